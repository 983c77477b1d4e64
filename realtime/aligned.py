"""The input as a stream of samples at the separator's rate, counted as master and stems are."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import soxr

from realtime.track import Stretch

# Zeros that stand for what is missing are made so many at a time.
_MOST = 1 << 16


def common_positions(rate: int, engine_rate: int) -> tuple[int, int]:
    """Return the distance between positions that fall on a sample at both rates: in samples of each."""
    common = math.gcd(rate, engine_rate)
    return rate // common, engine_rate // common


class Aligned:
    """Takes stretches at `rate` and gives their sound at `engine_rate` from position `begin`, `channels` wide.

    `begin` counts samples at `engine_rate`, a multiple of what `common_positions` says. What is missing is silent.
    """

    def __init__(self, rate: int, engine_rate: int, begin: int, channels: int) -> None:
        self._next = begin * rate // engine_rate
        self._at = self.end = begin
        self._channels = channels
        self._chunks: deque[np.ndarray] = deque()
        self._resampler = None
        if rate != engine_rate:
            self._resampler = soxr.ResampleStream(rate, engine_rate, channels, dtype="float32", quality="VHQ")

    def add(self, stretch: Stretch) -> None:
        """Take `stretch`, whose row 0 is the input; what was taken already is left out."""
        while (missing := stretch.position - self._next) > 0:
            self._push(np.zeros((min(missing, _MOST), self._channels), np.float32))
        # A copy: the stretch is a view of all that was read with it.
        self._push(stretch.sound[0, max(0, -missing) :].copy())

    def finish(self) -> None:
        """Give what the resampler holds back; nothing can be added after it."""
        if self._resampler is not None:
            self._keep(self._resampler.resample_chunk(np.zeros((0, self._channels), np.float32), last=True))

    def take(self, until: int) -> np.ndarray:
        """Return float32 [n, channels], what follows the last, up to position `until`; silent where there is nothing."""
        sound = np.zeros((max(0, until - self._at), self._channels), np.float32)
        filled = 0
        while self._chunks and filled < len(sound):
            chunk = self._chunks.popleft()
            part = chunk[: len(sound) - filled]
            sound[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) < len(chunk):
                self._chunks.appendleft(chunk[len(part) :])
        self._at += len(sound)
        self.end = max(self.end, self._at)
        return sound

    def _push(self, rows: np.ndarray) -> None:
        self._next += len(rows)
        self._keep(rows if self._resampler is None else self._resampler.resample_chunk(rows))

    def _keep(self, rows: np.ndarray) -> None:
        if len(rows):
            self._chunks.append(rows)
            self.end += len(rows)
