"""The state of the controls: validates messages, applies them in the order of time, and feeds the engine."""

from __future__ import annotations

import heapq
import threading
import time
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import NamedTuple, Protocol

from realtime import gainlaw
from realtime.control import Control, Refused, Value, below, controls_for, twin_of
from realtime.mix import Mix
from realtime.outputs import Routes, cues, routes_for
from realtime.patterns import WILD
from realtime.presets import presets_for
from realtime.telemetry import Telemetry
from realtime.tempo.quantiser import Quantiser
from realtime.turn import Turn

# Seconds before its due time that a change goes to the engine, so that it lands on its sample.
AHEAD = 0.1
FURTHEST = 3600.0
MOST_WAITING = 10_000
# Every change that is made at once is folded into those handed over, so their number bounds its cost.
MOST_HANDED = 256


class Link(Protocol):
    """The way to the engine. Its methods are quick and may be called from any thread."""

    def submit(self, mix: Mix, at: int | None) -> None:
        """Make `mix` the one from stream position `at` on, in samples; None, or a position gone by: at once.

        It takes the place of every mix that still waits for `at` or later; None that of all that wait.
        The state submits those again, with this change in them.
        """

    def position(self, wall: float) -> int | None:
        """Return the stream position for wall-clock time `wall`, seconds since 1970; None if not running."""

    def telemetry(self) -> Telemetry | None:
        """Return the latest snapshot; None if not running."""

    def change(self, address: str, value: Value | tuple[Value, ...] | None) -> None:
        """Carry out a choice, or an action; its value is its argument, "" where it takes none and None where it is left out.

        Where it takes several, the value is all of them.

        What runs then is set by `ControlState.set_info`. What can be refused is better refused by a Check before.
        """


class Message(NamedTuple):
    """An address and its arguments."""

    address: str
    values: tuple[object, ...] = ()


# Raises Refused where a choice or an action cannot be carried out, once those before it in the same packet have been.
# It is quick, and changes nothing.
Check = Callable[[Message, Sequence[Message]], None]


@dataclass(frozen=True)
class Change:
    """Messages that happen at one instant, all or none. `due` is in seconds since 1970, None is now.

    `by` is the turn of the gesture that makes it; None is a performer, or whoever plays in their place.
    """

    messages: tuple[Message, ...]
    due: float | None = None
    by: Turn | None = None


@dataclass(frozen=True, order=True)
class _Scheduled:
    due: float
    arrival: int
    messages: tuple[Message, ...] = field(compare=False)
    at: int | None = field(compare=False, default=None)
    by: Turn | None = field(compare=False, default=None)


class ControlState:
    """The values of all controls of a host with `stems`; every change becomes one Mix for `link`.

    The engine is given nothing at construction: start it with `mix`. `clock` returns seconds since 1970;
    `attends` are the layers and latent sources of the separator's attention, `models` the separators to choose from, `outputs` what
    each output pair has at the start, `inserts` whether there are slots for plugins.
    All methods may be called from any thread. Raises HostError for stems that OSC
    cannot address, and for outputs that cannot be.
    """

    def __init__(
        self,
        stems: Sequence[str],
        link: Link,
        clock: Callable[[], float] = time.time,
        attends: tuple[int, int] | None = None,
        models: Sequence[str] = (),
        outputs: Sequence[str] = (),
        inserts: bool = False,
    ) -> None:
        self.stems = tuple(stems)
        self.link = link
        self.controls = controls_for(stems, attends, models, outputs, inserts)
        self.late = 0
        # Where what has no time of its own may have to wait for a beat.
        self.quantiser: Quantiser | None = None
        # By address, what says beforehand that a choice or an action cannot be carried out.
        self.checks: dict[str, Check] = {}
        self._presets = presets_for(stems)
        self._stem_addresses = [(f"/stem/{stem}/gain", f"/stem/{stem}/mute", f"/stem/{stem}/solo") for stem in stems]
        self._pairs = [(f"/output/{n}/source", f"/output/{n}/gain") for n in range(1, len(outputs) + 1)]
        self._cues = cues(stems)
        # The last matrix, and of what it was made: it seldom changes, and mixes do often.
        self._routed: tuple[tuple, Routes] = (), ()
        self.clock = clock
        self._lock = threading.RLock()
        self._watchers: list[Callable[[set[str]], None]] = []
        self._listeners: list[Callable[[Change], None]] = []
        self._values = {c.address: c.default for c in self.controls.values() if c.default is not None}
        self._waiting: list[_Scheduled] = []
        self._handed: list[_Scheduled] = []
        self._waiting_messages = 0
        self._arrivals = 0

    @property
    def waiting(self) -> int:
        """How many messages wait for their time."""
        with self._lock:
            return self._waiting_messages + sum(len(entry.messages) for entry in self._handed)

    @property
    def mix(self) -> Mix:
        """The Mix of the values as they are now."""
        with self._lock:
            return self._mix_of(self._values)

    def value(self, address: str) -> tuple[Value, ...] | None:
        """Return the value of `address`, None where it is not known (yet). Raises Refused if it has none."""
        control = self.control(address)
        if control.access == "write":
            raise Refused(address, f"{address} has no value to get")
        if control.kind == "text":
            parent = self.controls[address.removesuffix("/str")]
            return (parent.text(self._values[parent.address][0]),)
        return self._values.get(address)

    def control(self, address: str) -> Control:
        """Return the control at `address`, taken literally. Raises Refused where there is none."""
        control = self.controls.get(address)
        if control is not None:
            return control
        if below("/stem", address):
            known = f"the stems are {', '.join(self.stems)}, each with gain, mute and solo"
            raise Refused(address, f"there is no {address[:80]}; {known}; nothing was changed")
        hint = "; only /get and /subscribe take patterns" if WILD & set(address) else ""
        known = f"`run_live.py osc` lists the addresses{hint}"
        raise Refused(address, f"there is no {address[:80]}; {known}; nothing was changed")

    def with_twins(self, addresses: Iterable[str]) -> list[str]:
        """Return `addresses` in the order of the table, each followed by its display twin where it has one."""
        wanted = set(addresses)
        wanted |= {twin_of(a) for a in wanted if self.controls[a].text}
        return [address for address in self.controls if address in wanted]

    def watch(self, watcher: Callable[[set[str]], None]) -> None:
        """Have `watcher` called with the addresses whose values changed, twins left out; it must return at once."""
        self._watchers.append(watcher)

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Have `listener` called with every change of settings that is accepted, before it happens; `due` is its time.

        It is called with the state locked, and must return at once.
        """
        self._listeners.append(listener)

    def pending(self) -> list[Change]:
        """Return the changes that wait for their time, in its order."""
        with self._lock:
            return [Change(e.messages, e.due, e.by) for e in sorted((*self._handed, *self._waiting))]

    def resubmit(self) -> None:
        """Hand over once more what waits, because a turn was stopped."""
        with self._lock:
            self._submit_from(0)

    @property
    def values(self) -> dict[str, tuple[Value, ...]]:
        """The values of all addresses that have one, but display twins."""
        with self._lock:
            return dict(self._values)

    def set(self, address: str, *values: object) -> None:
        """Apply one message now. Raises Refused and changes nothing where it does not fit."""
        self.apply([Change((Message(address, values),))])

    def set_info(self, address: str, value: Value | tuple[Value, ...]) -> None:
        """Set what the host does, such as /mode or /rate. Raises Refused where it does not fit the table."""
        control = self.control(address)
        if control.kind not in ("info", "choice"):
            raise Refused(address, f"{address} is not set by the host")
        with self._lock:
            values = control.accept(value if isinstance(value, tuple) else (value,))
            self._take(self._values | {address: values})

    def apply(self, changes: Sequence[Change]) -> None:
        """Apply `changes`, or schedule those that are due later; each becomes one Mix.

        A change that is overdue is applied now and counted in `late`. Raises Refused, and changes
        nothing at all, where any message of any change does not fit, a choice or an action does not pass
        its check, a time is more than an hour ahead, or too much is waiting.
        """
        with self._lock:
            now = self.clock()
            accepted = [replace(change, messages=tuple(map(self._accepted, change.messages))) for change in changes]
            choices = [self._choices(change, now) for change in accepted]
            accepted = [self._settings(change) for change in accepted]
            later = [c for c in accepted if c.messages and c.due is not None and c.due > now]
            self._check_schedule(later, now)
            self._check_choices(tuple(chain.from_iterable(choices)))
            self._advance(now)
            for change in later:
                self._tell(change)
                self._arrivals += 1
                heapq.heappush(self._waiting, _Scheduled(change.due, self._arrivals, change.messages, by=change.by))
                self._waiting_messages += len(change.messages)
            self._advance(now)
            for change in accepted:
                if change.due is None and self.quantiser is not None and self.quantiser.hold(change.messages, now):
                    self._advance(now)
                elif change.messages and (change.due is None or change.due <= now):
                    self.late += change.due is not None and change.by is None
                    self._tell(replace(change, due=now))
                    self._take(self.after(self._values, self.left(change.messages, now, change.by)))
                    self.link.submit(self._mix_of(self._values), None)
                    self._submit_from(0)
            for address, values in chain.from_iterable(choices):
                self.link.change(address, values if len(values) > 1 else values[0] if values else "")

    def advance(self) -> float | None:
        """Hand over and apply what has come due; return the seconds to the next call, None if nothing waits."""
        with self._lock:
            now = self.clock()
            self._advance(now)
            times = [entry.due for entry in self._handed[:1]]
            if self._waiting:
                due = self._waiting[0].due
                times.append(due - AHEAD if due - AHEAD > now else due)
            if self.quantiser is not None and (due := self.quantiser.due(now)) is not None:
                times.append(due - AHEAD)
            return max(0.0, min(times) - now) if times else None

    def _accepted(self, message: Message) -> Message:
        control = self.control(message.address)
        if control.kind not in ("setting", "choice", "action"):
            what = "read only" if control.access == "read" else "a request, not a value to set"
            raise Refused(message.address, f"{message.address} is {what}; nothing was changed")
        return Message(message.address, control.accept(message.values))

    def _choices(self, change: Change, now: float) -> tuple[Message, ...]:
        found = tuple(m for m in change.messages if self.controls[m.address].kind in ("choice", "action"))
        if found and change.due is not None and change.due > now:
            address = found[0].address
            raise Refused(address, f"{address} is carried out as soon as it can be, not at a time; nothing was changed")
        return found

    def _settings(self, change: Change) -> Change:
        return replace(change, messages=tuple(m for m in change.messages if self.controls[m.address].kind == "setting"))

    def _tell(self, change: Change) -> None:
        for listener in self._listeners:
            listener(change)

    def _check_choices(self, choices: tuple[Message, ...]) -> None:
        for index, message in enumerate(choices):
            if (check := self.checks.get(message.address)) is not None:
                check(message, choices[:index])

    def _check_schedule(self, changes: list[Change], now: float) -> None:
        for change in changes:
            if change.due > now + FURTHEST:
                raise Refused(
                    change.messages[0].address,
                    f"a time tag may lie at most an hour ahead, not {change.due - now:.0f} s; nothing was changed",
                )
        count = sum(len(change.messages) for change in changes)
        if count and self._waiting_messages + count > MOST_WAITING:
            raise Refused(
                changes[0].messages[0].address,
                f"{self._waiting_messages} messages wait for their time already, of at most {MOST_WAITING}; "
                "send closer to the time; nothing was changed",
            )

    def _advance(self, now: float) -> None:
        if self.quantiser is not None and (beat := self.quantiser.take(now, now + AHEAD)) is not None:
            due, messages = beat
            self._tell(Change(messages, max(now, due)))
            self._arrivals += 1
            heapq.heappush(self._waiting, _Scheduled(due, self._arrivals, messages))
            self._waiting_messages += len(messages)
        while self._waiting:
            first = self._waiting[0]
            at = None
            if first.due > now:
                if first.due > now + AHEAD or len(self._handed) >= MOST_HANDED:
                    break
                at = self.link.position(first.due)
                if at is None:
                    break
                if first.by is not None and (rate := self._values.get("/rate")):
                    at = first.by.anchor.place(first.due, at, rate[0])
            heapq.heappop(self._waiting)
            self._waiting_messages -= len(first.messages)
            entry = replace(first, at=at)
            index = bisect(self._handed, entry)
            self._handed.insert(index, entry)
            self._submit_from(index)
        while self._handed and self._handed[0].due <= now:
            entry = self._handed.pop(0)
            self._take(self.after(self._values, self.left(entry.messages, entry.due, entry.by)))

    def _submit_from(self, index: int) -> None:
        values = self._values
        for number, entry in enumerate(self._handed):
            values = self.after(values, self.left(entry.messages, entry.due, entry.by))
            if number >= index:
                self.link.submit(self._mix_of(values), entry.at)

    def _take(self, values: dict[str, tuple[Value, ...]]) -> None:
        changed = {address for address, value in values.items() if self._values.get(address) != value}
        self._values = values
        if changed:
            for watcher in self._watchers:
                watcher(changed)

    def elements(self, message: Message) -> tuple[Message, ...]:
        """Return the messages that `message` stands for: a preset and a condition set every stem; others are their own."""
        address, arguments = message
        if address not in ("/condition", "/preset"):
            return (message,)
        gains = arguments if address == "/condition" else self._presets[arguments[0]]
        found = []
        for (gain, mute, solo), linear in zip(self._stem_addresses, gains, strict=True):
            found += [Message(gain, (gainlaw.from_linear(linear),)), Message(mute, (0,)), Message(solo, (0,))]
        return tuple(found)

    def left(self, messages: tuple[Message, ...], due: float, by: Turn | None) -> tuple[Message, ...]:
        """Return what is left of `messages` where a hand has taken controls from the turn that sends them."""
        if by is None or (not by.taken and due < by.stopped):
            return messages
        left: list[Message] = []
        for message in messages:
            elements = self.elements(message)
            kept = [element for element in elements if by.moves(element.address, due)]
            left += [message] if len(kept) == len(elements) else kept
        return tuple(left)

    def after(self, values: dict[str, tuple[Value, ...]], messages: Iterable[Message]) -> dict[str, tuple[Value, ...]]:
        """Return what `values` of all addresses become by accepted `messages`, one after the other."""
        values = dict(values)
        for message in messages:
            for element in self.elements(message):
                values[element.address] = element.values
            values[message.address] = message.values
        gains = self._gains(values)
        # The separator's condition ends at 1; what is above is level, applied to the result.
        values["/condition"] = tuple([min(1.0, gain) for gain in gains])
        if gains != self._presets.get(values["/preset"][0]):
            values["/preset"] = ("",)
        return values

    def _gains(self, values: dict[str, tuple[Value, ...]]) -> tuple[float, ...]:
        soloed = any(values[solo][0] for _, _, solo in self._stem_addresses)
        gains = []
        for gain, mute, solo in self._stem_addresses:
            silent = values[mute][0] or (soloed and not values[solo][0])
            gains.append(0.0 if silent else gainlaw.to_linear(values[gain][0]))
        return tuple(gains)

    def _mix_of(self, values: dict[str, tuple[Value, ...]]) -> Mix:
        return Mix(
            gains=self._gains(values),
            wet=0.0 if values["/bypass"][0] else values["/wet"][0],
            remainder=gainlaw.to_linear(values["/remainder/gain"][0]),
            glide=values["/glide"][0] / 1000,
            routes=self._routes(values) if self._pairs else (),
        )

    def _routes(self, values: dict[str, tuple[Value, ...]]) -> Routes:
        of = [values[address][0] for pair in self._pairs for address in pair]
        cued = [name for name, address in self._cues.items() if values[address][0]]
        key = *of, *cued
        if key != self._routed[0]:
            gains = [gainlaw.to_linear(gain) for gain in of[1::2]]
            self._routed = key, routes_for(self.stems, of[::2], gains, cued)
        return self._routed[1]
