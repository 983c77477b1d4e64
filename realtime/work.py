"""How long hops took, counted."""

from __future__ import annotations

import math

import numpy as np

# Work is counted in bins 2 % wide from 1 us up, so that percentiles of a whole night cost nothing.
_BIN = math.log(1.02)
BINS = 900


class WorkCounts:
    """How long hops took: percentiles to 2 %, the maximum exactly. `counts` [BINS] and `longest`, in seconds, are all of it."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one hop."""
        self.counts[min(BINS - 1, max(0, int(math.log(max(seconds, 1e-6) * 1e6) / _BIN)))] += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float:
        """Return the time in seconds within which `share` (0..1) of the hops were done; 0 before the first."""
        total = int(self.counts.sum())
        if not total:
            return 0.0
        index = int(np.searchsorted(np.cumsum(self.counts), share * total))
        return min(self.longest, math.exp((index + 1) * _BIN) * 1e-6)

    def reset(self) -> None:
        """Count anew."""
        self.counts.fill(0)
        self.longest = 0.0
