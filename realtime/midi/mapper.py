"""From what a controller sends to messages for the controls, by a map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from realtime.control import Control, Value
from realtime.midi.assembler import Assembler, Reading
from realtime.midi.entry import Entry, gradual, position_of, value_at
from realtime.midi.event import Event
from realtime.midi.source import Source, steps
from realtime.midi.takeover import Takeover
from realtime.state import Message

# From here on a button's 7 bit value is a press.
_PRESSED = 64


@dataclass
class _Hold:
    """The keys that hold a control, and the messages that give back what it was before the first of them."""

    restore: list[Message]
    keys: set[int] = field(default_factory=set)


class Mapper:
    """Applies the `entries` of a map. `value_of` returns what an address reads now. For one thread.

    `touched` is called for an entry that something came for, with the position, 0..1, that its knob is at; with None
    where it is no knob, or has no place of its own.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        controls: Mapping[str, Control],
        value_of: Callable[[str], tuple[Value, ...] | None],
        touched: Callable[[Entry, float | None], object] = lambda entry, position: None,
    ) -> None:
        self.entries = tuple(entries)
        self._controls, self._value_of, self._touched = controls, value_of, touched
        self._assembler = Assembler(entry.source for entry in self.entries)
        self._takeovers = {index: Takeover() for index, entry in enumerate(self.entries) if entry.action == "value"}
        self._pressed: set[int] = set()
        self._holds: dict[str, _Hold] = {}

    def take(self, event: Event) -> list[Message]:
        """Return what `event` makes of the controls."""
        return self._read(self._assembler.take(event))

    def idle(self) -> list[Message]:
        """Return what was waiting for more to come; to be called when nothing has come for some milliseconds."""
        return self._read(self._assembler.flush())

    def changed(self, address: str) -> None:
        """Note that `address` has changed, whoever changed it."""
        for index, entry in enumerate(self.entries):
            if entry.control == address and index in self._takeovers and (now := self._position(entry)) is not None:
                self._takeovers[index].moved(now)

    def release(self) -> list[Message]:
        """Return what gives back everything that is held: the keys are out of reach."""
        holds, self._holds = self._holds, {}
        self._pressed.clear()
        return [message for hold in holds.values() for message in hold.restore]

    def shown(self, entry: Entry) -> float | None:
        """Return the position, 0..1, that shows the value of the entry's control on its knob or light."""
        control = self._controls[entry.control]
        if control.kind == "action" or (value := self._value_of(entry.control)) is None:
            return None
        if entry.action in ("set", "hold") and entry.value is not None:
            return float(value[0] == entry.value)
        if entry.high == entry.low:
            return 0.0
        return min(1.0, max(0.0, (position_of(control, value[0]) - entry.low) / (entry.high - entry.low)))

    def _read(self, readings: list[Reading]) -> list[Message]:
        messages: list[Message] = []
        for reading in readings:
            for index, entry in enumerate(self.entries):
                if _means(entry.source, reading):
                    messages += self._apply(index, entry, reading)
        return messages

    def _apply(self, index: int, entry: Entry, reading: Reading) -> list[Message]:
        if entry.action == "value":
            return self._turned(index, entry, reading)
        self._touched(entry, None)
        down = reading.value > 0 if reading.kind == "note" else reading.kind == "program" or reading.value >= _PRESSED
        if entry.action == "follow":
            return self._switch(entry, down)
        before = index in self._pressed
        if reading.kind != "program":
            (self._pressed.add if down else self._pressed.discard)(index)
        if entry.action == "hold":
            return self._held(index, entry, down)
        # A button that says nothing when it is let go sends its press again.
        if not down or (before and reading.kind == "note"):
            return []
        if entry.action == "latch":
            now = self._value_of(entry.control)
            return self._switch(entry, not (now and now[0]))
        return [Message(entry.control, () if entry.value is None else (entry.value,))]

    def _switch(self, entry: Entry, on: bool) -> list[Message]:
        return [Message(entry.control, (int(on),))]

    def _turned(self, index: int, entry: Entry, reading: Reading) -> list[Message]:
        control, takeover = self._controls[entry.control], self._takeovers[index]
        if reading.kind == "note" and reading.value == 0:
            return []
        now = self._position(entry)
        if now is None:
            self._touched(entry, None)
            return []
        if entry.source.encoding is not None:
            step = entry.step if control.tags == "f" else max(entry.step, _apart(control))
            low, high = sorted((entry.low, entry.high))
            turned = steps(reading.value, entry.source.encoding) * (step if entry.high >= entry.low else -step)
            exact = min(high, max(low, takeover.base(now) + turned))
            self._touched(entry, None)
        elif entry.source.kind == "program":
            # A program names a place in the list, not a share of 128.
            last = len(control.choices) - 1 if control.choices else 127
            if reading.value > last:
                return []
            exact = reading.value / last if last else 0.0
            self._touched(entry, None)
        else:
            place = reading.value / reading.top
            exact = entry.low + (entry.high - entry.low) * place
            self._touched(entry, None if reading.kind == "note" else place)
            soft = entry.takeover and reading.kind != "note"
            if soft and not takeover.passes(exact, now):
                return []
        value = value_at(control, exact)
        takeover.sent(position_of(control, value), exact)
        return [Message(entry.control, (value,))]

    def _held(self, index: int, entry: Entry, down: bool) -> list[Message]:
        hold = self._holds.get(entry.control)
        if down:
            if hold is None:
                hold = self._holds[entry.control] = _Hold(self._restoring(entry.control))
            hold.keys.add(index)
            return [Message(entry.control, (1 if entry.value is None else entry.value,))]
        if hold is None or index not in hold.keys:
            return []
        hold.keys.discard(index)
        if hold.keys:
            return []
        del self._holds[entry.control]
        return hold.restore

    def _restoring(self, address: str) -> list[Message]:
        now = self._value_of(address)
        if address == "/preset" and now == ("",):
            # No preset: what one sets is given back one by one.
            stems = [a for a, c in self._controls.items() if a.startswith("/stem/") and c.kind == "setting"]
            return [Message(a, self._value_of(a)) for a in stems]
        return [] if now is None else [Message(address, now)]

    def _position(self, entry: Entry) -> float | None:
        control = self._controls[entry.control]
        now = self._value_of(entry.control)
        return position_of(control, now[0]) if now is not None and gradual(control) else None


def _apart(control: Control) -> float:
    """Return how far apart two neighbouring values of a whole number or a list lie, of 0..1."""
    if control.choices:
        return 1 / max(1, len(control.choices) - 1)
    return 1 / (control.range[1] - control.range[0])


def _means(source: Source, reading: Reading) -> bool:
    kind = "cc" if source.kind == "relative" else source.kind
    if kind != reading.kind or source.channel not in (None, reading.channel):
        return False
    if kind == "program":
        return source.number in (None, reading.value)
    return source.number == reading.number
