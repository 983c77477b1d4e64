"""What a control surface shows of the table of controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime import gainlaw
from realtime.control import Control, controls_for


@dataclass(frozen=True)
class Strip:
    """A fader and, for a stem, its mute and solo. `name` is the stem's, or "remainder"."""

    name: str
    gain: Control
    mute: Control | None = None
    solo: Control | None = None


@dataclass(frozen=True)
class Surface:
    """The controls of a host, grouped as a surface shows them.

    `ranges` are numbers with bounds that are no fader's, `switches` what is 0 or 1 and no stem's, `preset` names the
    conditions and `condition` is the whole of it.
    """

    strips: tuple[Strip, ...]
    condition: Control
    preset: Control
    ranges: tuple[Control, ...]
    switches: tuple[Control, ...]


def surface_for(stems: Sequence[str]) -> Surface:
    """Return the surface of a host with `stems`. Raises HostError where a stem's name cannot be part of an address."""
    table = controls_for(stems)
    settings = [control for control in table.values() if control.kind == "setting"]
    strips = []
    for fader in (control for control in settings if control.text is gainlaw.to_text):
        below = fader.address.removesuffix("/gain")
        strips.append(Strip(below.rsplit("/", 1)[1], fader, table.get(f"{below}/mute"), table.get(f"{below}/solo")))
    shown = {c.address for s in strips for c in (s.gain, s.mute, s.solo) if c}
    rest = [control for control in settings if control.address not in shown]
    return Surface(
        tuple(strips),
        table["/condition"],
        table["/preset"],
        tuple(c for c in rest if c.tags == "f" and c.range),
        tuple(c for c in rest if c.toggle),
    )
