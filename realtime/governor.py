"""When to step down to a mode that costs less, and when to step up again: from counts alone, without a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

# So many misses, and this share of the hops, within so many seconds, are too many.
MISSES, SHARE, WITHIN = 4, 0.01, 2.0
# What is missed in the first second of a mode says nothing of those to come.
GRACE = 1.0
# Seconds without a miss after which there may be room again; twice as long after every step up that failed.
QUIET, LONGEST_QUIET = 20.0, 640.0
# A step up after which misses come back within so many seconds has failed.
TRIAL = 30.0
# A step down must be worth it: the load of a cheaper mode is below this share of the present one's.
CHEAPER = 0.8


class Governor:
    """Watches the misses of a run in the mode that the user wants, `wanted`, and says which mode to go to.

    `loads` are the modes' predicted loads. Times are seconds on any clock that does not go back.
    """

    def __init__(self, wanted: str, loads: Mapping[str, float]) -> None:
        self.wanted, self.mode = wanted, wanted
        self._loads = dict(loads)
        self._seen: deque[tuple[float, int, int]] = deque()
        self._misses = 0
        self._quiet = QUIET
        self._calm_since: float | None = None
        self._begun: float | None = None
        self._stepped_up: float | None = None

    def look(self, now: float, hops: int, misses: int) -> str | None:
        """Take the counts of the run at `now`; return the mode to step to, None to stay."""
        if self._calm_since is None or misses > self._misses:
            self._calm_since = now
        self._misses = misses
        if self._begun is None:
            self._begun = now
        if now - self._begun < GRACE:
            return None
        self._seen.append((now, hops, misses))
        while now - self._seen[0][0] > WITHIN:
            self._seen.popleft()
        _, hops_before, misses_before = self._seen[0]
        missed = misses - misses_before
        if missed >= MISSES and missed > SHARE * (hops - hops_before):
            return self._cheaper(now)
        if self.mode != self.wanted and now - self._calm_since >= self._quiet:
            self._stepped_up = now
            return self._better()
        return None

    def costs_less(self, mode: str) -> bool:
        """Return whether `mode` costs less than the present one."""
        return self._loads.get(mode, 0.0) < self._loads.get(self.mode, 0.0)

    def arrived(self, mode: str) -> None:
        """Take note that `mode` runs now; counts begin anew."""
        self.mode = mode
        self._seen.clear()
        self._calm_since = self._begun = None

    def _cheaper(self, now: float) -> str | None:
        if self._stepped_up is not None and now - self._stepped_up < TRIAL:
            self._quiet = min(LONGEST_QUIET, 2 * self._quiet)
        load = self._loads.get(self.mode, 1.0)
        below = {mode: each for mode, each in self._loads.items() if each < CHEAPER * load}
        return max(below, key=below.__getitem__) if below else None

    def _better(self) -> str:
        """The next mode towards the wanted one."""
        load = self._loads[self.mode]
        above = {mode: each for mode, each in self._loads.items() if load < each <= self._loads[self.wanted]}
        return min(above, key=above.__getitem__) if above else self.wanted
