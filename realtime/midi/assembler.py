"""Readings of knobs out of events: halves of 14 bits are joined, parameters told apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from realtime.midi.event import Event
from realtime.midi.source import Source

# Of non-registered parameters: upper and lower half of the number, and of the value.
NUMBER_UPPER, NUMBER_LOWER, DATA_UPPER, DATA_LOWER = 99, 98, 6, 38
# Of registered ones, which share the value's controllers.
_REGISTERED = (101, 100)


class Reading(NamedTuple):
    """What a knob says: `value` of 0..`top`. `kind` is one of `source.KINDS`, "cc" for an encoder too."""

    kind: str
    channel: int
    number: int
    value: int
    top: int


class Assembler:
    """Makes readings of events, for knobs of 14 bits among `sources`; what no such knob sends passes as it is.

    An upper half waits for its lower one; `flush` gives it up where no more comes.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        sources = list(sources)
        self._fourteen = {(s.channel, s.number) for s in sources if s.kind == "cc14"}
        self._nrpn = {(s.channel, s.number) for s in sources if s.kind == "nrpn"}
        # Per channel: the halves of the parameter's number.
        self._parameters: dict[int, list[int | None]] = {}
        # Per knob: the halves of its value, and whether the upper one waits.
        self._uppers: dict[tuple[str, int, int], int] = {}
        self._lowers: dict[tuple[str, int, int], int] = {}
        self._waiting: dict[tuple[str, int, int], None] = {}

    def take(self, event: Event) -> list[Reading]:
        """Return what `event` completes."""
        kind, channel, number, value = event
        if kind != "cc":
            return [Reading(kind, channel, number, value, 16383 if kind == "bend" else 127)]
        if self._nrpn and self._parameter(event):
            return []
        if self._nrpn and number in (DATA_UPPER, DATA_LOWER):
            upper, lower = self._parameters.get(channel, (None, None))
            if upper is not None and lower is not None:
                parameter = upper << 7 | lower
                if self._wanted(self._nrpn, channel, parameter):
                    return self._half(("nrpn", channel, parameter), number == DATA_UPPER, value)
        if self._wanted(self._fourteen, channel, number):
            return self._half(("cc14", channel, number), True, value)
        if self._wanted(self._fourteen, channel, number - 32):
            return self._half(("cc14", channel, number - 32), False, value)
        return [Reading(kind, channel, number, value, 127)]

    def flush(self) -> list[Reading]:
        """Return the readings of upper halves whose lower ones have not come."""
        waiting, self._waiting = self._waiting, {}
        return [self._reading(key) for key in waiting]

    @staticmethod
    def _wanted(places: set[tuple[int | None, int | None]], channel: int, number: int) -> bool:
        return bool(places) and ((channel, number) in places or (None, number) in places)

    def _parameter(self, event: Event) -> bool:
        if event.number in _REGISTERED:
            self._parameters.pop(event.channel, None)
        elif event.number in (NUMBER_UPPER, NUMBER_LOWER):
            self._parameters.setdefault(event.channel, [None, None])[event.number == NUMBER_LOWER] = event.value
        else:
            return False
        return True

    def _half(self, key: tuple[str, int, int], upper: bool, value: int) -> list[Reading]:
        if not upper:
            self._lowers[key] = value
            self._waiting.pop(key, None)
            return [self._reading(key)] if key in self._uppers else []
        # One that waited still had its place in the course of the knob.
        before = [self._reading(key)] if key in self._waiting else []
        self._uppers[key] = value
        if key in self._lowers:
            self._lowers[key] = 0
        self._waiting[key] = None
        return before

    def _reading(self, key: tuple[str, int, int]) -> Reading:
        upper, lower = self._uppers[key], self._lowers.get(key)
        if lower is None:
            # A knob that never sent a lower half has only seven bits, and reaches the top with them.
            return Reading(*key, upper, 127)
        return Reading(*key, upper << 7 | lower, 16383)
