"""What runs, as values of the table of controls."""

from __future__ import annotations

from realtime.control import Value
from realtime.latency import MODE_NAMES
from realtime.plan import Plan, Started


def infos(started: Started, plan: Plan) -> dict[str, Value | tuple[Value, ...]]:
    """Return address -> value for all that `started` says of what runs, and `plan` of its source."""
    values: dict[str, Value | tuple[Value, ...]] = {
        "/model": started.separator,
        "/mode": started.latency_mode,
        "/run": started.run,
        "/device": started.device,
        "/device/latency": started.device_latency,
        "/rate": started.rate,
        "/block": started.block,
        "/hop": started.hop,
        "/source": _source(started, plan),
        "/device/wanted": _wanted(plan),
        "/grants": "none was asked for" if started.grants is None else started.grants.text,
    }
    if started.engine_rate:
        values["/model/rate"] = started.engine_rate
    choices = {choice.mode: choice for choice in started.choices}
    for mode in MODE_NAMES:
        values[f"/mode/{mode}/offered"] = int(mode in choices)
        if (choice := choices.get(mode)) is None:
            continue
        values[f"/mode/{mode}/delay"] = 1000 * choice.latency.added / started.rate
        values[f"/mode/{mode}/load"] = choice.load
        if choice.quality is not None:
            values[f"/mode/{mode}/quality"] = choice.quality
    return values


def _wanted(plan: Plan) -> str:
    ends = plan.device if isinstance(plan.device, tuple) else (plan.device,)
    return " -> ".join(dict.fromkeys(str(end) for end in ends if end is not None)).encode(errors="replace").decode()


def _source(started: Started, plan: Plan) -> str:
    source = ("deck" if plan.deck else plan.source) or ("demo" if started.device == "null" else "input")
    # A file's name may hold what is no text.
    return source.encode(errors="replace").decode()
