"""What a separator costs in delay and in work per hop: the axes a user chooses by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from realtime.engine import Engine, full_mix
from realtime.errors import HostError
from realtime.latency import Mode, latency_for
from realtime.measurement import measure_work
from realtime.metadata import Metadata
from realtime.separator import Separator

Given = dict[tuple[str, str, str], float]
"""Median ms per call, by separator, latency mode and run."""


@dataclass(frozen=True)
class Costs:
    """`delay_ms`: added latency with a block and a reserve of one hop. `work_ms`: the median time of a call, by run,
    of the `period_ms` that it lasts; measured here unless `given`."""

    delay_ms: float
    period_ms: float
    work_ms: dict[str, float]
    given: bool

    @property
    def all_stems_ms(self) -> float:
        """Work per call for all stems, or for as many as it runs with."""
        return max(self.work_ms.values())

    @property
    def load(self) -> float:
        """The share of one core that all stems take."""
        return self.all_stems_ms / self.period_ms


def delay_ms(meta: Metadata, mode: Mode) -> float:
    """Return the added latency in ms, see realtime.latency, with blocks and reserve of one call."""
    step = meta.frames * mode.hop
    return 1000 * latency_for(mode, step, step, meta.frames, meta.lookahead).added / meta.sample_rates[0]


def costs_of(separator: Separator, mode_name: str, given: Given) -> Costs:
    """Return the costs of a mode; work as `given` by a bench, or else measured now, as the host does at its start."""
    meta = separator.metadata
    mode = meta.modes[mode_name]
    runs = [run for run in meta.runs if len(meta.stems) > 1 or run == meta.runs[0]]
    known = {run: given[meta.name, mode_name, run] for run in runs if (meta.name, mode_name, run) in given}
    work = known or {run: 1000 * measure_work(Engine(separator, mode, 2, run, full_mix(meta.stems)))[0] for run in runs}
    period = 1000 * meta.frames * mode.hop / meta.sample_rates[0]
    return Costs(delay_ms(meta, mode), period, work, given=bool(known))


def read_bench(path: Path) -> Given:
    """Return what `run_live.py bench --json` wrote to `path`. Raises HostError where it did not."""
    try:
        document = json.loads(path.read_text())
        return {(document["separator"], row["mode"], row["run"]): float(row["p50_ms"]) for row in document["modes"]}
    except OSError as problem:
        raise HostError(f"bench {path} cannot be read ({problem.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise HostError(f"{path} is no bench; write one with run_live.py bench --json FILE") from None
