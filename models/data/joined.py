"""Several memory-mapped arrays read as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np


class Joined:
    """Arrays [samples, 2] end to end; a slice with plain bounds is read as from one array."""

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays = list(arrays)
        self.starts = [0]
        for array in self.arrays:
            self.starts.append(self.starts[-1] + len(array))

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, part: slice) -> np.ndarray:
        """Return the samples of `part`; what lies past the end is left out, as in an array."""
        start, stop, _ = part.indices(len(self))
        number = bisect_right(self.starts, start) - 1
        pieces = []
        while start < stop and number < len(self.arrays):
            first = self.starts[number]
            piece = self.arrays[number][start - first : stop - first]
            pieces.append(piece)
            start += len(piece)
            number += 1
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate(pieces) if pieces else np.zeros((0, 2), np.int16)
