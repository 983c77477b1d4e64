"""Streaming STFT: a block of whole hops in, a spectrum for each out, and back by overlap-add.

Nothing is allocated after construction.
"""

from __future__ import annotations

import numpy as np


class Analysis:
    """The past of a stream, given in blocks of `step` samples, windowed and transformed where asked for.

    It reaches back `len(window)` samples, or `reach` where that is more.
    """

    def __init__(self, window: np.ndarray, step: int, channels: int, reach: int = 0) -> None:
        self.step = step
        self._window = window.astype(np.float32)
        n_fft = len(window)
        self._reach = max(n_fft, reach)
        # Several blocks longer, so that history is moved once in a while and not at every block.
        self._history = np.zeros((channels, self._reach + max(16 * step, self._reach - n_fft)), np.float32)
        self._end = self._reach
        self._frame = np.zeros((channels, n_fft), np.float32)
        # Source and target may touch: copying through a third place keeps numpy from allocating.
        self._moved = self._frame if self._reach == n_fft else np.zeros((channels, self._reach), np.float32)
        self.spectrum = np.zeros((channels, n_fft // 2 + 1), np.complex64)

    def push(self, block: np.ndarray) -> None:
        """Take `block` [channels, step] without transforming it."""
        reach = self._reach
        if self._end + self.step > self._history.shape[1]:
            self._moved[:] = self._history[:, self._end - reach : self._end]
            self._history[:, :reach] = self._moved
            self._end = reach
        self._history[:, self._end : self._end + self.step] = block
        self._end += self.step

    def last(self, samples: int, before: int = 0) -> np.ndarray:
        """Return a view [channels, samples] of the past that ends `before` samples before now."""
        end = self._end - before
        return self._history[:, end - samples : end]

    def transform(self, before: int = 0) -> np.ndarray:
        """Return the spectrum of the frame that ends `before` samples before now, complex64 [channels, bins].

        It is overwritten by the next call.
        """
        np.multiply(self.last(len(self._window), before), self._window, out=self._frame)
        np.fft.rfft(self._frame, axis=-1, out=self.spectrum)
        return self.spectrum

    def reset(self) -> None:
        """Forget the past."""
        self._history.fill(0)
        self._end = self._reach


class Synthesis:
    """Overlap-add of the last `len(window)` samples of each frame, for `streams` x `channels` spectra."""

    def __init__(self, window: np.ndarray, hop: int, n_fft: int, streams: int, channels: int) -> None:
        self.hop = hop
        self._window = window.astype(np.float32)
        self._n_fft = n_fft
        self.spectrum = np.zeros((streams, channels, n_fft // 2 + 1), np.complex64)
        self._frame = np.zeros((streams, channels, n_fft), np.float32)
        # Two sums in turn, so that shifting one by a hop never overlaps itself.
        self._sums = [np.zeros((streams, channels, len(window)), np.float32) for _ in range(2)]
        self._turn = 0

    def add(self) -> None:
        """Add the frame whose spectrum stands in `spectrum` [streams, channels, bins]."""
        size = len(self._window)
        before, after = self._sums[self._turn], self._sums[1 - self._turn]
        np.fft.irfft(self.spectrum, self._n_fft, axis=-1, out=self._frame)
        np.multiply(self._frame[:, :, -size:], self._window, out=after)
        after[:, :, : size - self.hop] += before[:, :, self.hop :]
        self._turn ^= 1

    def skip(self) -> None:
        """Move on by a hop without a frame."""
        size = len(self._window)
        before, after = self._sums[self._turn], self._sums[1 - self._turn]
        after[:, :, : size - self.hop] = before[:, :, self.hop :]
        after[:, :, size - self.hop :] = 0
        self._turn ^= 1

    @property
    def final(self) -> np.ndarray:
        """The finished samples, a view [streams, channels, hop]."""
        return self._sums[self._turn][:, :, : self.hop]

    @property
    def tail(self) -> np.ndarray:
        """What overlap-add already holds behind them, a view [streams, channels, synthesis - hop]."""
        return self._sums[self._turn][:, :, self.hop :]

    def reset(self) -> None:
        """Forget the past."""
        for sums in self._sums:
            sums.fill(0)
