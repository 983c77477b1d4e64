"""Pairs of output channels: what may be heard on each, and the matrix that says what is.

A row of the matrix is a pair, a column something that can be heard: the master, the remainder after and before its
fader, the dry mixture, then every stem after its fader, then every stem before it. Whatever the separator runs as,
its stems have their columns; those that are not computed are silent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from realtime.errors import HostError

if TYPE_CHECKING:
    from realtime.state import ControlState

WIDTH = 2
MOST = 32
MASTER, REMAINDER, REMAINDER_PRE, DRY = 0, 1, 2, 3
# Columns before those of the stems.
FIXED = 4
PRE = ":pre"

_FIXED = ("master", "remainder", f"remainder{PRE}", "dry")

Routes = tuple[tuple[float, ...], ...]


def columns(stems: Sequence[str]) -> tuple[str, ...]:
    """Return what each column of the matrix stands for."""
    return (*_FIXED, *stems, *(stem + PRE for stem in stems))


def sources(stems: Sequence[str]) -> tuple[str, ...]:
    """Return what a pair may be given, in the order of a menu, each once."""
    before = (stem + PRE for stem in (*stems, "remainder"))
    return tuple(dict.fromkeys(("master", *stems, "remainder", "dry", "cue", "none", *before)))


def cues(stems: Sequence[str]) -> dict[str, str]:
    """Return name -> OSC address of what can be cued."""
    return {stem: f"/stem/{stem}/cue" for stem in stems} | {"dry": "/cue/dry"}


def check_outputs(outputs: Sequence[str], stems: Sequence[str]) -> None:
    """Raise HostError unless each of `outputs`, one a pair, is something that can be heard."""
    if len(outputs) > MOST:
        raise HostError(f"there can be at most {MOST} output pairs, not {len(outputs)}")
    known = sources(stems)
    for number, name in enumerate(outputs, 1):
        if name not in known:
            raise HostError(f"output pair {number} cannot be {name!r}; a pair takes one of {', '.join(known)}")


def routes_for(
    stems: Sequence[str], outputs: Sequence[str], gains: Sequence[float] = (), cued: Sequence[str] = ()
) -> Routes:
    """Return the matrix for `outputs`, a source a pair, at linear `gains` (default: unity).

    `cued` are names of stems, and `dry`: their sum before the faders is the cue; where none is, the master is.
    """
    # A stem that is called like something else stands behind it.
    where = {name: index for index, name in reversed(tuple(enumerate(columns(stems))))}
    heard = [where[name if name == "dry" else name + PRE] for name in cued] or [MASTER]
    rows = []
    for name, gain in zip(outputs, gains or [1.0] * len(outputs), strict=True):
        row = [0.0] * len(columns(stems))
        for column in heard if name == "cue" else [] if name == "none" else [where[name]]:
            row[column] = gain
        rows.append(tuple(row))
    return tuple(rows)


def wanted_stems(routes: Routes, stems: Sequence[str]) -> tuple[str, ...]:
    """Return the stems that are to be heard on some pair by themselves."""
    count = len(stems)
    heard = {column - FIXED for row in routes for column, gain in enumerate(row) if gain and column >= FIXED}
    return tuple(stem for index, stem in enumerate(stems) if heard & {index, index + count})


def watch_outputs(state: ControlState, tell: Callable[[str], object]) -> None:
    """Have `tell` hear which stems are silent on their pairs because they are not computed, whenever that changes."""
    addresses, said = {"/run", *cues(state.stems).values()}, ()

    def look(changed: set[str]) -> None:
        nonlocal said
        if not any(address in addresses or address.startswith("/output/") for address in changed):
            return
        single = state.value("/run") == ("single",)
        silent = wanted_stems(state.mix.routes, state.stems) if single else ()
        if silent and silent != said:
            tell(
                f"silent on the output pairs: {', '.join(silent)}; run as single, the separator gives no stems by "
                "themselves, which /run stems does."
            )
        said = silent

    if state.mix.routes:
        state.watch(look)
