"""Ableton Link: a grid shared with others on the network. An optional extra, for Link is under the GPL, version 2 or later."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec

from realtime.errors import HostError
from realtime.tempo.grid import Grid

_INSTALL = "pip install -e '.[link]'"


def check_link() -> None:
    """Raise HostError where the package is not installed; it is not loaded for that."""
    try:
        found = find_spec("link") is not None
    except ValueError:  # it stands among the loaded modules without saying where from, or was ruled out
        found = sys.modules.get("link") is not None
    if not found:
        raise HostError(
            f"Ableton Link needs the link extra, under the GPL version 2 or later: {_INSTALL}; the source stays as it is"
        )


class LinkClock:
    """A member of the Link session of this network, from construction until `close`. `clock` is in seconds since 1970.

    Alone it begins at `bpm`; where others are, theirs is taken. Raises HostError where the package is not installed.
    """

    def __init__(self, bpm: float, clock: Callable[[], float]) -> None:
        check_link()
        from link import Link

        self._clock = clock
        self._link = Link(bpm)
        self._link.enabled = True

    def grid(self, quantum: int) -> Grid:
        """Return the session's grid as it is now; its beats count from the start of `quantum` beats that all share."""
        micros, now = self._link.clock().micros(), self._clock()
        session = self._link.captureSessionState()
        return Grid(session.beatAtTime(micros, quantum), now, session.tempo())

    def set_tempo(self, bpm: float) -> None:
        """Set the tempo of all in the session."""
        session = self._link.captureSessionState()
        session.setTempo(bpm, self._link.clock().micros())
        self._link.commitSessionState(session)

    @property
    def peers(self) -> int:
        """How many others are in the session."""
        return self._link.numPeers()

    def close(self) -> None:
        """Leave the session."""
        self._link.enabled = False
