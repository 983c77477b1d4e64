"""Where one engine's results end and another's go on, for whoever listens to the taps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime.engine import Engine


@dataclass(frozen=True)
class Result:
    """What an engine finished: `master` [n, channels] and `stems` [streams, n, channels] from position `start` on, at its rate."""

    start: int
    master: np.ndarray
    stems: np.ndarray


class Seam:
    """Fades from what `before` leaves unfinished at position `at` to what another engine has there; `stems` fade as well."""

    def __init__(self, at: int, before: Engine, stems: bool) -> None:
        self.at, self.end = at, at + len(before.tail)
        self._tail = before.tail.copy()
        self._stem_tails = before.stem_tails.copy() if stems else None
        self._rest = (1 - before.weights).astype(np.float32)[:, None]

    def over(self, result: Result) -> Result:
        """Return `result` without what lies before the seam, faded in where it is near."""
        first = max(0, self.at - result.start)
        start, master, stems = result.start + first, result.master[first:].copy(), result.stems[:, first:].copy()
        begin, end = start - self.at, min(start + len(master), self.end) - self.at
        if begin < end:
            rest, here = self._rest[begin:end], slice(0, end - begin)
            master[here] = master[here] * rest + self._tail[begin:end]
            if self._stem_tails is not None:
                stems[:, here] = stems[:, here] * rest + self._stem_tails[:, begin:end]
        return Result(start, master, stems)
