"""Streaming STFT: a block of whole hops in, a spectrum for each out, and back by overlap-add.

Spectra stand as separators take and give them, float32 [2 channels, slots, bins]: per channel the real part, then the
imaginary one, of as many frames as a call has slots. Nothing is allocated after construction.
"""

from __future__ import annotations

import numpy as np

from realtime.fft import transforms


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
        self._compiled = transforms(n_fft)
        if self._compiled is None:
            self._spectrum = np.zeros((channels, n_fft // 2 + 1), np.complex64)
        else:
            self._work = np.zeros(4 * n_fft, np.float32)

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

    def transform(self, spectra: np.ndarray, slot: int = 0, before: int = 0) -> None:
        """Write the spectrum of the frame that ends `before` samples before now to `slot` of `spectra`."""
        if self._compiled is not None:
            forward, table = self._compiled.forward, self._compiled.table
            forward(self._history, self._end - before, self._window, table, self._work, spectra, slot)
            return
        np.multiply(self.last(len(self._window), before), self._window, out=self._frame)
        np.fft.rfft(self._frame, axis=-1, out=self._spectrum)
        spectra[0::2, slot], spectra[1::2, slot] = self._spectrum.real, self._spectrum.imag

    def reset(self) -> None:
        """Forget the past."""
        self._history.fill(0)
        self._end = self._reach


class Synthesis:
    """Overlap-add of the last `len(window)` samples of each frame, for `streams` x `channels` spectra."""

    def __init__(self, window: np.ndarray, hop: int, n_fft: int, streams: int, channels: int) -> None:
        self.hop = hop
        self._n_fft = n_fft
        self._sums = np.zeros((streams, channels, len(window)), np.float32)
        self._compiled = transforms(n_fft)
        if self._compiled is not None:
            self._work = np.zeros(4 * n_fft, np.float32)
            self._window = (window / n_fft).astype(np.float32)
            return
        self._window = window.astype(np.float32)
        self._spectrum = np.zeros((streams, channels, n_fft // 2 + 1), np.complex64)
        self._frame = np.zeros((streams, channels, n_fft), np.float32)
        # Shifting by a hop overlaps itself: through a second place it takes no memory.
        self._before = np.zeros_like(self._sums)

    def add(self, spectra: np.ndarray, slot: int = 0) -> None:
        """Add the frames in `slot` of `spectra` [streams, 2 channels, slots, bins]."""
        sums, hop = self._sums, self.hop
        if self._compiled is not None:
            self._compiled.inverse(spectra, slot, self._window, hop, self._compiled.table, self._work, sums)
            return
        size = sums.shape[-1]
        self._spectrum.real, self._spectrum.imag = spectra[:, 0::2, slot], spectra[:, 1::2, slot]
        np.fft.irfft(self._spectrum, self._n_fft, axis=-1, out=self._frame)
        self._before[:] = sums
        np.multiply(self._frame[:, :, -size:], self._window, out=sums)
        sums[:, :, : size - hop] += self._before[:, :, hop:]

    @property
    def final(self) -> np.ndarray:
        """The finished samples, always the same view [streams, channels, hop]."""
        return self._sums[:, :, : self.hop]

    @property
    def tail(self) -> np.ndarray:
        """What overlap-add already holds behind them, always the same view [streams, channels, synthesis - hop]."""
        return self._sums[:, :, self.hop :]

    def reset(self) -> None:
        """Forget the past."""
        self._sums.fill(0)
