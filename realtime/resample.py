"""Another device rate than the separator's: soxr both ways around an engine, and what it delays."""

from __future__ import annotations

import numpy as np
import soxr


class Resampler:
    """A streaming change of rate that is exact in time: output sample k stands at k / `rate_out`."""

    def __init__(self, rate_in: int, rate_out: int, channels: int, quality: str = "LQ") -> None:
        self.ratio = rate_out / rate_in
        self._arguments = (rate_in, rate_out, channels, quality)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        rate_in, rate_out, channels, quality = self._arguments
        self._stream = soxr.ResampleStream(rate_in, rate_out, channels, dtype="float32", quality=quality)

    def push(self, block: np.ndarray) -> np.ndarray:
        """Take float32 [n, channels]; return what is ready, [m, channels]."""
        return self._stream.resample_chunk(np.ascontiguousarray(block))
