"""A move of a run to another sound device, or to another source, while music plays.

Another process makes all ready beside the one that plays; then the one lets go of its device and the other takes over.
What travels between control and the two is said here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from realtime.deck.orders import Setup
from realtime.errors import HostError
from realtime.plan import Plan

SOURCES = ("input", "demo", "deck")


@dataclass(frozen=True)
class Move:
    """What is to be another: None leaves as it is. `device` is (input, output) by name, with both None for the usual one;
    `source` one of SOURCES."""

    device: tuple[str | None, str | None] | None = None
    source: str | None = None

    def plan(self, plan: Plan) -> Plan:
        """Return `plan` after the move. Raises HostError where such a run cannot be moved, or not there."""
        if plan.lockstep or plan.probe is not None:
            raise HostError("this run keeps its device")
        if plan.record is not None or plan.stems is not None:
            raise HostError("what this run writes, by --record or --stems, is of the null device alone")
        if self.device is not None:
            source, sink = self.device
            # None alone would fall back on the null device.
            same = source == sink and source is not None
            plan = replace(plan, device=source if same else (source, sink), rate=None)
        if self.source == "input":
            if plan.device == "null":
                raise HostError("the null device hears nothing: choose a sound device first")
            plan = replace(plan, source=None, deck=None, again=False, begin=0.0)
        elif self.source == "demo":
            plan = replace(plan, source="demo", deck=None, again=True, begin=0.0)
        elif self.source == "deck" and plan.deck is None:
            plan = replace(plan, source=None, deck=Setup(), again=False, begin=0.0)
        return plan


@dataclass(frozen=True)
class Moved:
    """The run is now that of `plan`."""

    plan: Plan


# To a process that plays, and its answers.


@dataclass(frozen=True)
class Ask:
    """Asks for a Standing."""


@dataclass(frozen=True)
class Release:
    """Asks to fade out and let go of the device; the answer is a Standing."""


@dataclass(frozen=True)
class Retake:
    """Asks to take the device again, and fade in."""


@dataclass(frozen=True)
class Standing:
    """The plan of a run that goes on from where this one stands."""

    plan: Plan


# To the process that is to take over, once it has its memory.


@dataclass(frozen=True)
class Go:
    """Take over from a run that has come as far as `plan` says."""

    plan: Plan
