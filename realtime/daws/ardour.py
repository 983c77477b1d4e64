"""`python -m realtime.daws.ardour`: a bridge to Ardour's OSC surface.

Ardour sends what a strip does to whoever has sent it /set_surface, gains in decibels and once per process block:

    /strip/name n s    /strip/gain n f (dB, -193 and below: silence)    /strip/mute n f
"""

from __future__ import annotations

from collections.abc import Sequence

from realtime.daws.bridging import bridge
from realtime.daws.strips import Outgoing, Said, decibels_of, gain_of

SILENCE = -193.0
# Tracks and busses, audio and MIDI, VCAs (1 + 2 + 4 + 8 + 16): all of them in one bank.
_KINDS = 31
# Buttons and names, values, a heart-beat each second (1 + 2 + 8). Gains come as decibels (mode 0).
_FEEDBACK = 11


class Ardour:
    """Ardour 6 and newer."""

    name = "Ardour"
    beats = True

    def hello(self) -> Sequence[Outgoing]:
        """Register as a surface: all strips follow."""
        return [Outgoing("/set_surface", "iiiiiii", (0, _KINDS, _FEEDBACK, 0, 0, 0, 0))]

    def understood(self, address: str, values: Sequence[object]) -> Said | None:
        """Return what a feedback message says of a strip."""
        what = {"/strip/name": "name", "/strip/gain": "gain", "/strip/mute": "mute"}.get(address)
        if what is None or len(values) != 2 or not isinstance(values[0], int):
            return None
        if what == "name":
            return Said(values[0], what, values[1]) if isinstance(values[1], str) else None
        if not isinstance(values[1], int | float):
            return None
        return Said(values[0], what, gain_of(values[1]) if what == "gain" else float(values[1] > 0.5))

    def gain(self, track: int, value: float) -> Outgoing:
        """Move a strip's fader."""
        return Outgoing("/strip/gain", "if", (track, decibels_of(value, SILENCE)))

    def mute(self, track: int, value: float) -> Outgoing:
        """Press or release a strip's mute."""
        return Outgoing("/strip/mute", "ii", (track, round(value)))


if __name__ == "__main__":
    raise SystemExit(bridge(Ardour(), __doc__.splitlines()[0], ("127.0.0.1", 3819), listen=None))
