"""Figures of one mode and run, and the course they sum up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Figures:
    """What one mode and run gave: a row of the table, and an object of `modes` in the document.

    `delay_measured_samples` is None where the click met a gap, `mmacs` (million multiply-accumulates per call) and
    `gmacs_per_second` where they cannot be counted, `memory_mb` where the system does not tell. `hop` is what one call
    finishes, in samples; `deadline_ms` the reserve; `load` the median work over the duration of a hop. `control_...`
    is by how much a thread that does nothing woke late. `misses_card` are hops for which the stand-in for the device, late itself,
    left less time than the median work, where that is known; `misses_bare` are those of the network without the host,
    where asked for. `click_db`: see `realtime.bench.change`.
    """

    mode: str
    run: str
    block: int
    hop: int
    hops: int
    latency_ms: float
    deadline_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    load: float
    misses: int
    misses_control: int
    control_p99_ms: float
    control_max_ms: float
    delay_reported_samples: int
    delay_measured_samples: int | None
    click_db: float
    click_change: str
    memory_mb: float | None
    mmacs: float | None
    gmacs_per_second: float | None
    misses_card: int | None = None
    misses_bare: int | None = None

    @property
    def agrees(self) -> bool:
        """Whether the delay is what is reported."""
        return self.delay_measured_samples == self.delay_reported_samples


@dataclass(frozen=True)
class Course:
    """How one run went: `at` [hops], when each hop was done, in seconds since the beginning, and `took` [hops], in ms.

    `missed` are the times of the misses, `control` those of the control; `split` is the added latency by cause, in
    samples at `rate`; `period` is how long a hop lasts, in ms.
    """

    at: np.ndarray
    took: np.ndarray
    missed: np.ndarray
    control: np.ndarray
    split: tuple[tuple[str, int], ...]
    rate: int
    period: float


@dataclass(frozen=True)
class Measured:
    """The figures of a mode and run, and their course."""

    figures: Figures
    course: Course


def percentile(values: np.ndarray, share: float) -> float:
    """Return the least of `values` that `share` (0..1) of them do not exceed: no interpolation between hops."""
    return float(np.quantile(values, share, method="inverted_cdf"))
