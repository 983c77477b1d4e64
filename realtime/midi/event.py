"""MIDI channel messages as they arrive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

_LENGTHS = {0x80: 3, 0x90: 3, 0xB0: 3, 0xC0: 2, 0xE0: 3}


class Event(NamedTuple):
    """A note (value: velocity, 0 for its end), controller, program change (value: the program) or pitch bend.

    Channels count from 1. Values have 7 bits, those of a bend 14; a program and a bend have the number 0.
    """

    kind: Literal["note", "cc", "program", "bend"]
    channel: int
    number: int
    value: int


def event_of(data: Sequence[int]) -> Event | None:
    """Return the event of one MIDI message, its bytes; None for what is none or is cut short."""
    status = data[0] & 0xF0 if data else 0
    if len(data) != _LENGTHS.get(status) or any(byte > 127 for byte in data[1:]):
        return None
    channel = (data[0] & 0x0F) + 1
    if status in (0x80, 0x90):
        return Event("note", channel, data[1], data[2] if status == 0x90 else 0)
    if status == 0xB0:
        return Event("cc", channel, data[1], data[2])
    if status == 0xC0:
        return Event("program", channel, 0, data[1])
    return Event("bend", channel, 0, data[1] | data[2] << 7)
