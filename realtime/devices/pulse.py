"""What a stream's progress tells of its device: whether rate and block are still those it was opened with."""

from __future__ import annotations

import math

RATES = (44100, 48000, 88200, 96000, 176400, 192000)
# A rate is told from its neighbours to one part in a hundred, twice running: blocks are lost in many ways, but
# not so that exactly another rate is left.
WINDOW, NEAR = 10.0, 0.01
LOOKS = 40


class Pulse:
    """Watches how far a stream has come, now and then, at uneven intervals.

    `rate` in Hz and `block` in samples are what the device was opened with. Where its server takes
    more at once, a library that keeps to `block` calls back several times in a row, which no reserve
    of one block covers, and which shows only in that the stream moves by multiples.
    """

    def __init__(self, rate: int, block: int | None) -> None:
        self.rate, self.block = rate, block
        self._last: int | None = None
        self._step = self._looks = 0
        self._window: tuple[int, int, float] | None = None
        self._suspect: int | None = None

    def look(self, samples: int, xruns: int, now: float) -> None:
        """Take a look: `samples` and `xruns` since the start, at `now` in seconds. Updates `rate` and `block`."""
        if self.block is not None:
            self._look_at_block(samples)
        self._look_at_rate(samples, xruns, now)

    def _look_at_block(self, samples: int) -> None:
        moved = 0 if self._last is None else samples - self._last
        self._last = samples
        if not moved:
            return
        self._step, self._looks = math.gcd(self._step, moved), self._looks + 1
        if self._looks == LOOKS:
            if self._step > self.block and self._step % self.block == 0:
                self.block = self._step
            self._step = self._looks = 0

    def _look_at_rate(self, samples: int, xruns: int, now: float) -> None:
        if self._window is None:
            self._window = samples, xruns, now
        begun, xruns_before, since = self._window
        if now - since < WINDOW:
            return
        self._window = samples, xruns, now
        measured = (samples - begun) / (now - since)
        heard = min(RATES, key=lambda rate: abs(rate - measured))
        whole = xruns == xruns_before and abs(measured / heard - 1) < NEAR and heard != self.rate
        if whole and heard == self._suspect:
            self.rate = heard
        self._suspect = heard if whole else None
