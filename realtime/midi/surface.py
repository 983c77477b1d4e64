"""A controller at the host: a thread between its ports and the state of the controls."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from realtime.changed import Changed
from realtime.control import Refused, Value
from realtime.errors import HostError
from realtime.midi.entry import Entry
from realtime.midi.event import Event, event_of
from realtime.midi.feedback import Feedback
from realtime.midi.learner import Learner
from realtime.midi.map import MidiMap, write_map
from realtime.midi.mapper import Mapper
from realtime.midi.ports import Connection, Ports
from realtime.state import Change, ControlState, Message

ADDRESSES = ("/midi/learn", "/midi/unlearn")
# Seconds between two looks at what has come, and at which ports there are.
POLL = 0.003
SEARCH = 1.0
# An upper half without its lower one is waited for so long, in seconds.
PATIENCE = 0.01
# Searches that found nothing at all before the way to the system is built anew: a JACK server may have come back.
_EMPTY = 5
_MOST_ORDERS = 64
_CLOCK = (0xF2, 0xF8, 0xFA, 0xFB, 0xFC)
_log = logging.getLogger(__name__)


class Surface:
    """Serves the controllers whose port names hold `names` in `ports`, from construction until `close`.

    What they send goes to `state` by `midi_map`, which is read from `path`, and written there when it is changed by
    learning. `hear_clock` is given status, song position and time, in seconds since 1970, of each message of a MIDI clock.
    """

    def __init__(
        self,
        state: ControlState,
        ports: Ports,
        names: Sequence[str],
        path: Path,
        midi_map: MidiMap,
        hear_clock: Callable[[int, int, float], object] = lambda status, data, time: None,
    ) -> None:
        self._state, self._ports, self._path, self._hear_clock = state, ports, path, hear_clock
        self._wanted: dict[str, Connection | None] = dict.fromkeys(names)
        # The wall-clock time of the last message of each connection.
        self._times: dict[str, float] = {}
        self._gone: set[str] = set()
        self._orders: deque[tuple[str, str]] = deque()
        self._changed = Changed()
        self._learner: Learner | None = None
        # When the last event came, until what waited for more has been given up.
        self._heard: float | None = None
        self._searched = float("-inf")
        self._empty = 0
        self._failed = False
        self._use(midi_map)
        state.watch(self._changed.note)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="midi", daemon=True)
        self._thread.start()

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Raise Refused where one of ADDRESSES cannot be carried out."""
        address, text = message.address, str(message.values[0])
        if address == "/midi/learn":
            self._learner_for(text)
        elif text != "all" and text not in {entry.control for entry in self._map.entries}:
            raise Refused(address, f"nothing moves {text[:80]!r} over MIDI; nothing was changed")
        if len(self._orders) + len(before) >= _MOST_ORDERS:
            raise Refused(address, "too many orders wait already; nothing was changed")

    def change(self, address: str, value: Value) -> None:
        """Carry out one of ADDRESSES: learn "<control>" or "<control> <value>", or "" to end; unlearn "<control>" or "all"."""
        self._orders.append((address, str(value)))

    def close(self) -> None:
        """End the thread and let go of the ports."""
        self._stopping.set()
        self._thread.join()

    # The thread.

    def _run(self) -> None:
        while not self._stopping.wait(POLL if any(self._wanted.values()) else 10 * POLL):
            try:
                self._turn(time.monotonic())
            except Exception:  # noqa: BLE001 - nothing may end this thread
                if not self._failed:
                    self._failed = True
                    _log.exception("a fault in the MIDI thread; it goes on, and reports no further ones")
        self._apply(self._mapper.release())
        for connection in self._wanted.values():
            if connection is not None:
                connection.close()
        self._ports.reset()

    def _turn(self, now: float) -> None:
        while self._orders:
            self._obey(*self._orders.popleft())
        if now >= self._searched + SEARCH:
            self._searched = now
            self._search()
        messages: list[Message] = []
        for name, connection in self._wanted.items():
            if connection is None:
                continue
            try:
                coming = connection.read()
            except OSError:
                self._lose(name)
                continue
            for data, later in coming:
                stamp = self._stamp(name, later)
                if data and data[0] in _CLOCK:
                    self._hear_clock(data[0], data[1] | data[2] << 7 if len(data) > 2 else 0, stamp)
                elif (event := event_of(data)) is not None:
                    self._heard = now
                    messages += self._take(event, now)
        if self._heard is not None and now >= self._heard + PATIENCE:
            messages += self._mapper.idle()
            self._heard = None
        self._apply(messages)
        self._note_values()
        self._show(now)

    def _stamp(self, name: str, later: float) -> float:
        """Return when a message came that came `later` seconds after the one before it: ports tell that more finely
        than they are looked at."""
        now = self._state.clock()
        stamp = self._times.get(name, 0.0) + later
        if not now - 0.05 < stamp < now:
            stamp = now
        self._times[name] = stamp
        return stamp

    def _take(self, event: Event, now: float) -> list[Message]:
        if self._learner is None:
            return self._mapper.take(event)
        hint = self._learner.hint
        entry = self._learner.take(event, now)
        if entry is not None:
            self._end_learning()
            released = self._mapper.release()
            self._use(self._map.learnt(entry))
            self._save()
            self._note(f"MIDI: {entry.text}")
            return released
        if hint != self._learner.hint:
            self._tell_state()
        return []

    def _obey(self, address: str, text: str) -> None:
        if address == "/midi/learn":
            self._learner = self._learner_for(text)
            self._state.set_info("/midi/learn", text)
            self._tell_state()
            return
        self._apply(self._mapper.release())
        self._use(self._map.without(None if text == "all" else text))
        self._save()

    def _learner_for(self, text: str) -> Learner | None:
        address, _, value = text.strip().partition(" ")
        if not address:
            return None
        control = self._state.control(address)
        return Learner(control, control.accept((_as(value.strip(), control.tags),))[0] if value.strip() else None)

    def _end_learning(self) -> None:
        self._learner = None
        self._state.set_info("/midi/learn", "")
        self._tell_state()

    def _use(self, midi_map: MidiMap) -> None:
        self._map = midi_map
        self._mapper = Mapper(midi_map.entries, self._state.controls, self._value, self._touched)
        self._state.set_info("/midi/map", "\n".join(entry.text for entry in midi_map.entries))
        self._feedback = Feedback()
        self._show_all()

    def _show_all(self) -> None:
        for entry in self._map.entries:
            self._feedback.changed(entry)

    def _save(self) -> None:
        try:
            write_map(self._path, self._map)
        except HostError as problem:
            self._note(str(problem))

    def _value(self, address: str) -> tuple[Value, ...] | None:
        return self._state.value(address) if self._state.controls[address].access != "write" else None

    # The controls.

    def _apply(self, messages: list[Message]) -> None:
        if not messages:
            return
        # Of what came at once the last of each address holds; what is carried out rather than set is not folded.
        settings: dict[str, Message] = {}
        others: list[Message] = []
        for message in messages:
            if self._state.controls[message.address].kind == "setting":
                settings.pop(message.address, None)
                settings[message.address] = message
            else:
                others.append(message)
        for batch in ([tuple(settings.values())] if settings else []) + [(message,) for message in others]:
            try:
                self._state.apply([Change(batch)])
            except HostError as problem:
                self._note(f"MIDI: {problem}")

    def _note_values(self) -> None:
        changed = self._changed.take()
        for address in changed:
            self._mapper.changed(address)
        for entry in self._map.entries if changed else ():
            if entry.control in changed:
                self._feedback.changed(entry)

    def _touched(self, entry: Entry, position: float | None) -> None:
        self._feedback.touched(entry, position, time.monotonic())

    def _show(self, now: float) -> None:
        if not any(self._wanted.values()):
            return
        for message in self._feedback.take(now, self._mapper.shown):
            for name, connection in self._wanted.items():
                try:
                    if connection is not None:
                        connection.send(message)
                except OSError:
                    self._lose(name)

    # The ports.

    def _search(self) -> None:
        there = self._ports.inputs()
        for name, connection in self._wanted.items():
            if connection is not None and connection.name not in there:
                self._lose(name)
        missing = [name for name, connection in self._wanted.items() if connection is None]
        if not missing:
            return
        if not there:
            # The way to the system may be to one that has gone.
            self._empty += 1
            if self._empty % _EMPTY == 0 and not any(self._wanted.values()):
                self._ports.reset()
        taken = {connection.name for connection in self._wanted.values() if connection is not None}
        for name in missing:
            found = next((port for port in there if name.lower() in port.lower() and port not in taken), None)
            if found is None:
                self._miss(name, _absent(name, there))
                continue
            try:
                self._wanted[name] = self._ports.open(found)
            except OSError as problem:
                self._miss(name, str(problem))
                continue
            taken.add(found)
            self._empty = 0
            if name in self._gone:
                self._gone.discard(name)
                self._note(f"MIDI: {found} is there")
            self._feedback.forget()
            self._show_all()
        self._tell_state()

    def _lose(self, name: str) -> None:
        connection, self._wanted[name] = self._wanted[name], None
        if connection is not None:
            connection.close()
        if not any(self._wanted.values()):
            # What is left of a server that has gone must go before anything new is made.
            self._ports.reset()
            self._apply(self._mapper.release())
        self._miss(name, f"{connection.name if connection else name} has gone")
        self._tell_state()

    def _miss(self, name: str, why: str) -> None:
        if name not in self._gone:
            self._gone.add(name)
            self._note(f"MIDI: {why}; it is looked for again")

    # What is told.

    def _tell_state(self) -> None:
        here = [connection.name if connection else f"waiting for {name}" for name, connection in self._wanted.items()]
        text = ", ".join(here)
        if self._learner is not None:
            text = f"learning {self._learner.control.address}: {self._learner.hint} ({text})"
        if self._state.value("/midi/state") != (text,):
            self._state.set_info("/midi/state", text)

    def _note(self, text: str) -> None:
        self._state.set_info("/notice", text)


def waited_for(ports: Ports, names: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each of `names` that is in the name of no port."""
    there = ports.inputs()
    return tuple(
        f"MIDI: {_absent(name, there)}; it is looked for again." for name in names
        if not any(name.lower() in port.lower() for port in there)
    )


def _absent(name: str, there: Sequence[str]) -> str:
    return f"there is no port with {name!r} in its name, but {', '.join(there) or 'none at all'}"


def _as(text: str, tags: str) -> object:
    """Return `text` as a number, where `tags` want one and it is one."""
    if tags not in ("f", "i"):
        return text
    try:
        return int(text) if tags == "i" else float(text)
    except ValueError:
        return text
