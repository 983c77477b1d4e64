"""Added latency: what the host itself delays the sound by, split by cause.

With hop H, synthesis window S, device block B and reserve R, all in samples, an input sample comes
out S - gcd(B, H) + R samples later: the window's overlap S - H, the block adaptation H - gcd(B, H),
and the reserve R in which the separator must finish. The length of the analysis frame does not enter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Mode:
    """A latency mode: `hop` and `synthesis` window in samples, `analysis` window by name."""

    hop: int
    synthesis: int
    analysis: str = "hann"

    def __post_init__(self) -> None:
        if not 0 < self.hop < self.synthesis:
            raise ValueError(f"a mode needs 0 < hop < synthesis, not hop {self.hop} and synthesis {self.synthesis}")


MODE_NAMES = ("safe", "low", "lower", "extreme")


@dataclass(frozen=True)
class Latency:
    """Added latency split by cause, in samples at the device rate."""

    window: int
    block: int
    reserve: int
    resampler: int = 0

    @property
    def added(self) -> int:
        """Samples between an input sample and the output sample that carries it, device excluded."""
        return self.window + self.block + self.reserve + self.resampler


def reserve_for(work: float, block: int, rate: float) -> int:
    """Return the fewest whole blocks, at least one, that cover `work` seconds, in samples."""
    return max(1, math.ceil(work * rate / block - 1e-9)) * block


def latency_for(mode: Mode, block: int | None, reserve: int) -> Latency:
    """Return the split for `mode` on blocks of `block` samples (None: of varying size)."""
    step = 1 if block is None else math.gcd(block, mode.hop)
    return Latency(window=mode.synthesis - mode.hop, block=mode.hop - step, reserve=reserve)
