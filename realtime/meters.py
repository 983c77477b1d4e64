"""Levels and spectra for the eye: peak, RMS, and 128 log-spaced bands from 30 Hz to 20 kHz."""

from __future__ import annotations

import numpy as np

BANDS = 128
FLOOR_DB = -90.0


class Meter:
    """Peak and RMS since the last reading."""

    def __init__(self) -> None:
        self._peak = self._power = 0.0
        self._count = 0

    def add(self, block: np.ndarray) -> None:
        """Take in samples of any shape."""
        self._peak = max(self._peak, float(block.max()), -float(block.min()))
        self._power += float(np.vdot(block, block))
        self._count += block.size

    def read(self) -> tuple[float, float]:
        """Return (peak, rms), linear, and begin anew."""
        values = self._peak, float(np.sqrt(self._power / max(1, self._count)))
        self._peak = self._power = 0.0
        self._count = 0
        return values


class SpectrumView:
    """Log-spaced bands of the last `size` samples as bytes."""

    def __init__(self, rate: float, size: int = 4096) -> None:
        self._window = np.hanning(size).astype(np.float32)
        self._past = np.zeros(size, np.float32)
        frequencies = np.fft.rfftfreq(size, 1 / rate)
        edges = np.geomspace(30, min(20000, rate / 2.05), BANDS + 1)
        starts = np.minimum(np.searchsorted(frequencies, edges[:-1]), len(frequencies) - 2)
        # Where bands are narrower than a bin, neighbours share it.
        ends = np.maximum(np.minimum(np.searchsorted(frequencies, edges[1:]), len(frequencies) - 1), starts + 1)
        # Every other stretch between these is a band.
        self._edges = np.stack([starts, ends], axis=1).ravel()
        self._scale = 2 / self._window.sum()

    def add(self, block: np.ndarray) -> None:
        """Take in samples [n, channels]."""
        mono = block.mean(axis=1)[-len(self._past) :]
        self._past = np.concatenate([self._past[len(mono) :], mono])

    def read(self) -> bytes:
        """Return 128 bytes: 0 is -90 dBFS or less, 255 is 0 dBFS."""
        magnitude = np.abs(np.fft.rfft(self._past * self._window)) * self._scale
        highest = np.maximum.reduceat(magnitude, self._edges)[::2]
        level = 20 * np.log10(highest + 1e-9)
        return np.clip(np.round((level - FLOOR_DB) / -FLOOR_DB * 255), 0, 255).astype(np.uint8).tobytes()
