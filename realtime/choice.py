"""A latency mode as it would run on this machine: what a user chooses by."""

from __future__ import annotations

from dataclasses import dataclass

from realtime.latency import Latency


@dataclass(frozen=True)
class Choice:
    """`work` is the median and the p99.9 of a call that lasts `period`, in seconds; `quality` the mean SDR in dB, if known."""

    mode: str
    latency: Latency
    work: tuple[float, float]
    period: float
    quality: float | None = None

    @property
    def load(self) -> float:
        """Median work over the time it lasts."""
        return self.work[0] / self.period
