"""`python -m realtime.daws.reaper`: a bridge to REAPER's OSC surface, set up with LaSAFT-Live.ReaperOSC.

REAPER numbers its tracks in addresses, so that a pattern file alone cannot name a stem.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from realtime.daws.bridging import bridge
from realtime.daws.strips import Outgoing, Said, decibels_of, gain_of

SILENCE = -150.0
# "Control surface: Refresh all surfaces", in REAPER's list of actions.
_REFRESH = 41743
# Action, and how REAPER writes it: a letter for the type (s text, f plain number, b 0 or 1, i whole), an address, @ a number.
PATTERNS = {
    "TRACK_NAME": "s/track/@/name",
    "TRACK_VOLUME": "f/track/@/volume/db",
    "TRACK_MUTE": "b/track/@/mute",
    "ACTION": "i/action",
}
_WHAT = {"name": "name", "volume/db": "gain", "mute": "mute"}
_ADDRESS = re.compile(r"/track/(\d{1,4})/(name|volume/db|mute)")


class Reaper:
    """REAPER 5 and newer."""

    name = "REAPER"
    # It sends changes only, and all there is when it opens a project.
    beats = False

    def hello(self) -> Sequence[Outgoing]:
        """Ask REAPER to send everything again."""
        return [Outgoing("/action", "i", (_REFRESH,))]

    def understood(self, address: str, values: Sequence[object]) -> Said | None:
        """Return what a feedback message says of a track."""
        match = _ADDRESS.fullmatch(address)
        if match is None or len(values) != 1:
            return None
        track, what = int(match[1]), _WHAT[match[2]]
        if what == "name":
            return Said(track, what, values[0]) if isinstance(values[0], str) else None
        if not isinstance(values[0], int | float):
            return None
        return Said(track, what, gain_of(values[0]) if what == "gain" else float(values[0] > 0.5))

    def gain(self, track: int, value: float) -> Outgoing:
        """Move a track's fader."""
        return Outgoing(f"/track/{track}/volume/db", "f", (decibels_of(value, SILENCE),))

    def mute(self, track: int, value: float) -> Outgoing:
        """Press or release a track's mute."""
        return Outgoing(f"/track/{track}/mute", "f", (value,))


def pattern_file() -> str:
    """Return the text of a .ReaperOSC file: only what the bridge understands."""
    lines = [
        "# LaSAFT Live: what its bridge to REAPER understands (python -m realtime.daws.reaper).",
        "# Tracks beyond the count are not heard of; a bank that followed the mixer would number them anew.",
        "DEVICE_TRACK_COUNT 64",
        "REAPER_TRACK_FOLLOWS REAPER",
        "DEVICE_TRACK_FOLLOWS DEVICE",
        "DEVICE_TRACK_BANK_FOLLOWS DEVICE",
        *(f"{action} {pattern}" for action, pattern in PATTERNS.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(bridge(Reaper(), __doc__.splitlines()[0], ("127.0.0.1", 8010), listen=9010))
