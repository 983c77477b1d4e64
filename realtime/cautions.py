"""What a user should know of a run before it begins, in sentences."""

from __future__ import annotations

from realtime.choice import Choice
from realtime.errors import HostError
from realtime.latency import Latency
from realtime.metadata import Metadata
from realtime.separator import Separator

# Above this share of the time its samples last, work leaves no room for the rest of the machine.
TIGHT, IMPOSSIBLE = 0.5, 0.9


def tight(separator: Separator, choice: Choice, run: str) -> list[str]:
    """Return what to say of a choice that leaves little room. Raises HostError where there is none."""
    meta = separator.metadata
    call = "a hop" if meta.frames == 1 else f"a call for {meta.frames} hops"
    prediction = (
        f"{call} of {meta.name} takes {1000 * choice.work[0]:.1f} ms of the {1000 * choice.period:.1f} ms it lasts "
        f"in '{choice.mode}'"
    )
    lighter = "choose a lighter model or a longer latency mode"
    if run == "stems" and len(meta.stems) > 1 and "single" in meta.runs:
        lighter += ", or one condition at a time with --run single"
    if choice.load > IMPOSSIBLE:
        raise HostError(f"{prediction}, which this machine cannot keep up; {lighter}")
    return [f"{prediction}: expect misses, or {lighter}."] if choice.load > TIGHT else []


def lookahead_cautions(meta: Metadata, latency: Latency, rate: int, run: str) -> list[str]:
    """Return what a user should know of a separator that does not stream frame by frame, in sentences."""
    notices = []
    if meta.chunk:
        notices.append(
            f"{meta.name} works on overlapping chunks of {meta.chunk} frames and is inexact at their borders."
        )
    if latency.lookahead and not latency.ahead:
        notices.append(f"{meta.name} looks ahead: what goes in is heard {latency.added / rate:.1f} s later.")
    if latency.lookahead and run == "single":
        choice = "; with --run stems it is heard at once" if "stems" in meta.runs else ""
        late = latency.lookahead / rate
        notices.append(f"in single, a change of the condition is heard {late:.1f} s after it is made{choice}.")
    return notices
