"""Stems that travel beside the mixture: written by whoever reads the deck, read by the inference thread, without locks."""

from __future__ import annotations

import numpy as np

from realtime.ring import read_ring, write_ring

# What stands in the last column where the stems are not there: so little that it changes nothing of what plays beside it in
# a stretcher or resampler. Above the other, any part of a sample has none.
MARK = 2.0**-10
UNREADY = MARK / 1000


class StemRing:
    """The last `capacity` samples of `stems` x `channels` columns, stem by stem, and of a mark; counted as the mixture is.

    One thread writes, any may read.
    """

    def __init__(self, capacity: int, stems: int, channels: int) -> None:
        self.stems, self.channels = stems, channels
        self._ring = np.zeros((capacity, stems * channels + 1), np.float32)
        # Up to where it holds sound, and up to where it is being written.
        self._end = self._begun = 0

    def write(self, rows: np.ndarray) -> None:
        """Append `rows` float32 [n, stems * c + 1]; of a deck with another number of channels, they are repeated or left out."""
        width = (rows.shape[1] - 1) // self.stems
        if width != self.channels:
            places = [stem * width + c % width for stem in range(self.stems) for c in range(self.channels)]
            rows = rows[:, [*places, -1]]
        capacity = len(self._ring)
        end = self._end + len(rows)
        self._begun = end
        rows = rows[-capacity:]
        write_ring(self._ring, end - len(rows), rows)
        self._end = end

    def read(self, start: int, out: np.ndarray) -> None:
        """Copy what stands at [start, start + n) into `out` [n, columns]; silence with a mark where any of it is not there."""
        capacity, count = len(self._ring), len(out)
        if start >= 0 and start + count <= self._end:
            read_ring(self._ring, start, out)
            # Nor overwritten meanwhile.
            if start >= self._begun - capacity:
                return
        out[:, :-1] = 0
        out[:, -1] = MARK
