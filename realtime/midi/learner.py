"""Learning: which knob or key was just used, and of what kind it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from realtime.control import Control, Refused, Value
from realtime.midi.assembler import DATA_LOWER, DATA_UPPER, NUMBER_LOWER, NUMBER_UPPER
from realtime.midi.entry import Entry, action_for, mappable, needs_value
from realtime.midi.event import Event
from realtime.midi.source import Source

# A button that ends within this time, in seconds, is one that is on while it is pressed.
PRESS = 0.6
# What encoders send, a step or a few at once; a knob passes through these places, but does not stay in them.
_SLOW = 8
_UP, _DOWN = range(1, _SLOW + 1), range(128 - _SLOW, 128)
_ABOVE, _BELOW = range(65, 65 + _SLOW), range(64 - _SLOW, 64)
# Knobs at once, so that a flood of other messages takes no memory.
_MOST = 256


@dataclass
class _Heard:
    """What came from one controller number: its values, and when the first came."""

    time: float
    values: list[int] = field(default_factory=list)


class Learner:
    """Waits for the knob or key that shall move `control`; with `value`, for the key that shall give it that value.

    Raises Refused where nothing can move it.
    """

    def __init__(self, control: Control, value: Value | None = None) -> None:
        if (why := mappable(control)) is not None:
            raise Refused("/midi/learn", f"{why}; nothing is learnt")
        if value is None and needs_value(control):
            raise Refused("/midi/learn", f"{control.address} needs a value after it; nothing is learnt")
        self.control, self.value = control, value
        self.hint = "press a key or a button" if self._pressed else "move a knob or a fader"
        self._heard: dict[tuple[int, int], _Heard] = {}
        self._last: Event | None = None
        self._pairs: dict[tuple[int, int], int] = {}
        self._parameters: dict[int, dict[int, int]] = {}
        self._data = 0

    @property
    def _pressed(self) -> bool:
        return self.value is not None or self.control.toggle or self.control.kind == "action"

    def take(self, event: Event, time: float) -> Entry | None:
        """Take an event that came at `time`, in seconds; return the entry once it is clear, or None."""
        kind, channel, number, value = event
        if kind == "note":
            if value == 0:
                return None
            if self.control.choices and self.value is None:
                self.hint = f"a key needs to know which: name it after {self.control.address}; or move a knob"
                return None
            return self._entry(Source("note", number, channel))
        if kind == "program":
            whole = self.value is None and not self._pressed
            return self._entry(Source("program", None if whole else value, channel))
        if kind == "bend":
            return None if self._pressed else self._entry(Source("bend", 0, channel))
        last, self._last = self._last, event
        if (parameter := self._parameter(event)) is not None:
            return None if parameter < 0 or self._pressed else self._entry(Source("nrpn", parameter, channel))
        if self._pressed:
            return self._button(event, time)
        return self._knob(event, last, time)

    def _entry(self, source: Source, action: str | None = None) -> Entry:
        action = action or action_for(self.control, source, self.value)
        # A switch on a program change: each turns it over.
        if source.kind == "program" and action == "follow":
            action = "latch"
        return Entry(self.control.address, source, action, self.value)

    def _parameter(self, event: Event) -> int | None:
        """Return the non-registered parameter that `event` sets, -1 where it only begins to, None for something else."""
        _, channel, number, value = event
        if number in (NUMBER_UPPER, NUMBER_LOWER):
            self._parameters.setdefault(channel, {})[number] = value
            return -1
        halves = self._parameters.get(channel, {})
        if number in (DATA_UPPER, DATA_LOWER) and len(halves) == 2:
            return halves[NUMBER_UPPER] << 7 | halves[NUMBER_LOWER]
        return None

    def _button(self, event: Event, time: float) -> Entry | None:
        source = Source("cc", event.number, event.channel)
        heard = self._heard_of(event, time)
        if self.control.kind == "action" or self.value is not None:
            return self._entry(source) if event.value >= 64 else None
        if len(heard.values) == 1:
            self.hint = "let it go, or press it again"
            return None
        first, second = heard.values[:2]
        if first >= 64 > second and time - heard.time > PRESS:
            return self._entry(source, "follow")
        if first < 64 <= second:
            # It was on before: each press sends the other.
            return self._entry(source, "follow")
        return self._entry(source, "latch")

    def _knob(self, event: Event, last: Event | None, time: float) -> Entry | None:
        _, channel, number, _ = event
        heard = self._heard_of(event, time)
        if last is not None and last.kind == "cc" and last.channel == channel and abs(number - last.number) == 32:
            upper = min(number, last.number)
            if upper < 32:
                self._pairs[channel, upper] = self._pairs.get((channel, upper), 0) + 1
                # The second time: two knobs of seven bits may once be moved one after the other.
                if self._pairs[channel, upper] >= 3:
                    return self._entry(Source("cc14", upper, channel))
        if number < 64 and (channel, number ^ 32) in self._heard:
            return None
        values = heard.values
        if (encoding := _encoding(values)) is not None:
            return self._entry(Source("relative", number, channel, encoding))
        if any(value not in _ENCODER for value in values):
            if len(set(values)) >= 3:
                return self._entry(Source("cc", number, channel))
        elif len(values) >= 3 and len(set(values)) < len(values):
            self.hint = "turn it the other way too"
        return None

    def _heard_of(self, event: Event, time: float) -> _Heard:
        key = event.channel, event.number
        if key not in self._heard and len(self._heard) >= _MOST:
            self._heard.clear()
        heard = self._heard.setdefault(key, _Heard(time))
        heard.values = [*heard.values[-31:], event.value]
        return heard


_ENCODER = {*_UP, *_DOWN, *_ABOVE, *_BELOW, 64}


def _encoding(values: list[int]) -> str | None:
    """Return how an encoder that sent `values` tells its steps; None where it may be a knob, or is not clear yet.

    A knob sends where it is, and so hardly ever the same twice in a row; an encoder turned slowly does little else.
    """
    if not set(values) <= _ENCODER or all(a != b for a, b in pairwise(values)):
        return None
    up, down, above, below = (any(value in places for value in values) for places in (_UP, _DOWN, _ABOVE, _BELOW))
    seen = {
        (True, True, False, False): "twos-complement",
        (False, False, True, True): "offset",
        (True, False, True, False): "sign-magnitude",
    }
    return seen.get((up, down, above, below))
