"""How well wall-clock time tags are tracked to stream time: what the clock between the two jitters and drifts by.

A time tag becomes a stream position through the wall-clock time at which the stream's first sample was taken in, as the
engine last estimated it. Were that clock perfect, the estimate would lie on a line whose slope is the difference between
the two clocks' rates. The residual is what is left of it around that line: as much, automation sent with even time tags
is uneven.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import linear_regression

PERIOD = 0.25
SPAN = 10.0
_FEWEST = 8
# A clock that moves at once by more than this, in seconds, is that of another run.
_JUMP = 0.25


class TagClock:
    """Looks at the clock every PERIOD seconds and remembers the last SPAN.

    `residual` is the root mean square in ms, `drift` in parts per million; None until there is enough to tell.
    """

    def __init__(self) -> None:
        self.residual: float | None = None
        self.drift: float | None = None
        self._looks: deque[tuple[float, float]] = deque(maxlen=round(SPAN / PERIOD))

    def look(self, wall: float, position: int | None, rate: float | None) -> None:
        """Take in that `position`, in samples at `rate` Hz, stands at `wall`, in seconds; None where no sound runs."""
        if position is None or not rate:
            self._forget()
            return
        origin = wall - position / rate
        if self._looks and abs(origin - self._looks[-1][1]) > _JUMP:
            self._forget()
        if self._looks and wall <= self._looks[-1][0]:
            return
        self._looks.append((wall, origin))
        if len(self._looks) >= _FEWEST:
            self._fit()

    def _fit(self) -> None:
        first, base = self._looks[0]
        times = [wall - first for wall, _ in self._looks]
        origins = [origin - base for _, origin in self._looks]
        slope, start = linear_regression(times, origins)
        squares = [(o - start - slope * t) ** 2 for t, o in zip(times, origins, strict=True)]
        self.residual = 1000 * math.sqrt(sum(squares) / len(squares))
        self.drift = 1e6 * slope

    def _forget(self) -> None:
        self._looks.clear()
        self.residual = self.drift = None
