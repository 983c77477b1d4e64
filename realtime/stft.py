"""Streaming STFT: a block of one hop in, one spectrum out, and back by overlap-add.

Nothing is allocated after construction.
"""

from __future__ import annotations

import numpy as np


class Analysis:
    """The last `len(window)` samples of a stream, windowed and transformed every `hop` samples."""

    def __init__(self, window: np.ndarray, hop: int, channels: int) -> None:
        self.hop = hop
        self._window = window.astype(np.float32)
        n_fft = len(window)
        # Several frames long, so that history is moved once in a while and not at every hop.
        self._history = np.zeros((channels, n_fft + 16 * hop), np.float32)
        self._end = n_fft
        self._frame = np.zeros((channels, n_fft), np.float32)
        self.spectrum = np.zeros((channels, n_fft // 2 + 1), np.complex64)

    def push(self, block: np.ndarray) -> None:
        """Take `block` [channels, hop] without transforming it."""
        n_fft = len(self._window)
        if self._end + self.hop > self._history.shape[1]:
            # Source and target may touch: copying through the frame keeps numpy from allocating.
            self._frame[:] = self._history[:, self._end - n_fft : self._end]
            self._history[:, :n_fft] = self._frame
            self._end = n_fft
        self._history[:, self._end : self._end + self.hop] = block
        self._end += self.hop

    def last(self, samples: int) -> np.ndarray:
        """Return a view of the last `samples` <= len(window) samples, [channels, samples]."""
        return self._history[:, self._end - samples : self._end]

    def transform(self) -> np.ndarray:
        """Return the spectrum of the current frame, complex64 [channels, bins]; overwritten by the next call."""
        np.multiply(self.last(len(self._window)), self._window, out=self._frame)
        np.fft.rfft(self._frame, axis=-1, out=self.spectrum)
        return self.spectrum

    def reset(self) -> None:
        """Forget the past."""
        self._history.fill(0)
        self._end = len(self._window)


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
