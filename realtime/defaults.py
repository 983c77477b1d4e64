"""What a plan leaves open: latency mode, way to run, matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from realtime.errors import HostError
from realtime.latency import Mode
from realtime.metadata import Metadata
from realtime.outputs import WIDTH, Routes, check_outputs, routes_for, wanted_stems
from realtime.plan import Plan
from realtime.separator import Separator


def mode_name(separator: Separator, wanted: str | None) -> str:
    """Return the latency mode `wanted`, or, for None, `low`, or the first offered by a separator without it.

    Raises HostError where the separator was not trained for the mode.
    """
    modes = separator.metadata.modes
    name = wanted or ("low" if "low" in modes else next(iter(modes)))
    if name not in modes:
        raise HostError(
            f"separator '{separator.metadata.name}' was not trained and measured for latency mode '{name}'; "
            f"it offers {', '.join(modes)}"
        )
    return name


def mode_of(separator: Separator, wanted: str | None) -> Mode:
    """Return the latency mode that `mode_name` names."""
    return separator.metadata.modes[mode_name(separator, wanted)]


def default_run(meta: Metadata, readable: bool, routes: Routes = ()) -> Literal["single", "stems"]:
    """Return the way to run a separator on a live input, or on a `readable` source, which is read ahead.

    `routes` may want stems by themselves.
    """
    # A condition is late by the look-ahead, and sound that is read ahead is not: there gains are wanted.
    wanted = len(meta.stems) > 1 or (readable and meta.lookahead > 0) or bool(wanted_stems(routes, meta.stems))
    return "stems" if wanted and "stems" in meta.runs else "single"


def with_routes(plan: Plan, meta: Metadata) -> Plan:
    """Return `plan` with the matrix of its output pairs, where there are any. Raises HostError where they cannot be."""
    if not plan.outputs:
        return plan
    check_outputs(plan.outputs, meta.stems)
    if plan.channels != WIDTH:
        raise HostError(f"output pairs are stereo, and this run has {plan.channels} channels; leave out --channels")
    return replace(plan, mix=replace(plan.mix, routes=plan.mix.routes or routes_for(meta.stems, plan.outputs)))
