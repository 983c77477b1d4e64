"""Gestures on a running host: recorded from whatever changes the controls, and played ahead of time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from realtime.control import Refused, Value
from realtime.errors import HostError
from realtime.gesture import MOST_POINTS, SHORTEST_ROUND, STEP, Gesture, Point, Values, narrow
from realtime.gesturefile import SUFFIX, check_name, is_name, names_in, read_gesture, user_folder, write_gesture
from realtime.state import Change, ControlState, Message
from realtime.tempo.quantiser import Quantiser
from realtime.turn import Anchor, Turn

ADDRESSES = tuple(f"/gesture/{name}" for name in ("play", "record", "end", "stop", "loop", "speed"))
# Changes are scheduled this many seconds before they are due, and looked for every so many.
HORIZON = 0.3
_BEAT = 0.1
# From the wish to play until the start, in seconds: enough to hand over what happens at once.
LEAD = 0.03
# How often the folder is looked at while nothing plays, in seconds.
_GLANCE = 1.0
MOST_PLAYING = 16
_MOST_WISHES = 64
_LONGEST_TEXT = 4000


@dataclass
class _Recording:
    """Changes from `begin` on, as they were accepted; `before` are the values they began with."""

    name: str
    begin: float
    before: Values
    changes: list[Change] = field(default_factory=list)
    full: bool = False


@dataclass(frozen=True)
class _Wish:
    """What was asked for, and when; the recording that it ends; a gesture at hand, which begins with the sound."""

    address: str
    value: Value | None
    when: float
    ends: _Recording | None = None
    gesture: Gesture | None = None


class _Playing:
    """A gesture that plays: its turn of now, and the one that follows it."""

    def __init__(self, name: str, gesture: Gesture, anchor: Anchor, state: ControlState, lasts: float) -> None:
        self.name, self.gesture, self._anchor, self._state = name, gesture, anchor, state
        self.turns: list[Turn] = []
        self._begin(anchor.begin, lasts, state.values)

    def _begin(self, begin: float, lasts: float, values: Values) -> None:
        self._values = values
        self.turn = Turn(begin, begin + lasts, self._anchor)
        # A hand that moves ahead of time takes as one that moves now.
        for change in self._state.pending():
            if change.by is None:
                self.turn.take(_addresses(self._state, change), change.due)
        self.turns = [turn for turn in self.turns if turn.end > self._state.clock()] + [self.turn]
        self._changes = self.gesture.changes(self._state, values, self.gesture.length / lasts if lasts else 1.0)
        self._next = next(self._changes, None)

    @property
    def rounds(self) -> bool:
        """Whether it is long enough to come round."""
        return self.turn.end - self.turn.begin >= SHORTEST_ROUND

    def due(self, until: float, loop: bool, lasts: Callable[[Gesture, float], float]) -> list[Change]:
        """Return what is due before `until`, and go on after it; with `loop` it comes round.

        `lasts` tells how long a round of a gesture that begins then is to last, in seconds.
        """
        found = []
        while True:
            while self._next is not None and (due := self.turn.begin + self._next[0]) < until:
                found.append(Change(self._next[1], due, self.turn))
                self._next = next(self._changes, None)
            if self.turn.end >= until or not (loop and self.rounds):
                return found
            begin = self.turn.end
            length = lasts(self.gesture, begin)
            if (slept := (self._state.clock() - begin) // length) > 0:
                # A machine that slept goes on where it would be by now.
                begin += length * slept
                length = lasts(self.gesture, begin)
            values = self._values | {address: self._state.value(address) for address in self.turn.taken}
            self._begin(begin, length, self._state.after(values, ()))

    def over(self, now: float) -> bool:
        """Return whether nothing more comes of it."""
        return self._next is None and now >= self.turn.end

    def stop(self, when: float) -> None:
        """Let nothing of it happen from `when` on."""
        for turn in self.turns:
            turn.stop(when)


class Gestures:
    """Records and plays gestures of `state`, kept in `folder`.

    It carries out what is sent to /gesture/..., in `turn`: on a thread of its own from `start` until `close`, or of
    whoever calls it. `tell` hears sentences there. Several gestures play at once: the last change wins. A control that
    a performer touches is taken from the gestures that play, until each comes round.

    What `quantiser`, one of its own, makes wait begins on the beat, and a round lasts until one.
    """

    def __init__(
        self,
        state: ControlState,
        tell: Callable[[str], object] = lambda text: None,
        folder: Path | None = None,
        quantiser: Quantiser | None = None,
    ) -> None:
        self._quantiser = quantiser
        self._state, self._tell, self.folder = state, tell, folder or user_folder()
        self._wishes: deque[_Wish] = deque()
        self._with_sound: list[_Wish] = []
        # Replaced, never changed: it is read with the state locked.
        self._playing: tuple[_Playing, ...] = ()
        # What is recorded now; it begins and ends with the state locked.
        self._recording: _Recording | None = None
        # What was recorded in this run: its file may still be on its way.
        self._recorded: set[str] = set()
        self._glance_due = 0.0
        self._awake, self._stopping = threading.Event(), False
        self._thread: threading.Thread | None = None
        state.listen(self._hear)

    def start(self) -> None:
        """Begin to carry out what is asked for."""
        self._thread = threading.Thread(target=self._run, name="gestures", daemon=True)
        self._thread.start()

    def play_with_sound(self, name: str, gesture: Gesture) -> None:
        """Play `gesture` from where the sound begins, or began."""
        self._wishes.append(_Wish("/gesture/play", name, self._state.clock(), gesture=gesture))
        self._awake.set()

    def close(self) -> None:
        """End what plays; what is being recorded is kept."""
        self._state.set("/gesture/stop")
        self._stopping = True
        self._awake.set()
        if self._thread is not None:
            self._thread.join(10)

    # With the state locked.

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Raise Refused where no gesture can be called so, or there is none to play."""
        if message.address not in ("/gesture/play", "/gesture/record"):
            return
        (name,) = message.values
        try:
            if message.address == "/gesture/record":
                check_name(name)
            elif name not in self._recorded and Message("/gesture/record", (name,)) not in before:
                self._path(name)
        except HostError as problem:
            raise Refused(message.address, str(problem)) from None

    def ask(self, address: str, value: Value | None) -> None:
        """Carry out what was sent to `address`; returns at once."""
        state = self._state
        if address in ("/gesture/loop", "/gesture/speed"):
            state.set_info(address, value)
            return
        recording, now = self._recording, state.clock()
        if address == "/gesture/play" or (address == "/gesture/end" and recording is not None and value != recording.name):
            recording = None
        if address == "/gesture/record" and not is_name(value):
            recording = None  # a slip of the pen must not end what is recorded
        if len(self._wishes) >= _MOST_WISHES:
            return  # a flood, and nobody waits for what it wants
        self._wishes.append(_Wish(address, value, now, recording))
        self._awake.set()
        if recording is not None:
            self._recording = None
        if address == "/gesture/record" and is_name(value):
            self._recording = _Recording(value, now, state.values, state.pending())
            self._recorded.add(value)

    def _hear(self, change: Change) -> None:
        if change.by is None and self._playing:
            addresses = _addresses(self._state, change)
            for playing in self._playing:
                for turn in playing.turns:
                    turn.take(addresses, change.due)
        recording = self._recording
        if recording is not None:
            recording.full = len(recording.changes) >= MOST_POINTS
            if not recording.full:
                recording.changes.append(change)

    # The thread.

    def _run(self) -> None:
        while not self._stopping:
            self._awake.wait(self.turn())
            self._awake.clear()
        self.turn()

    def turn(self) -> float:
        """Carry out what was asked for, and schedule what is due soon; return the seconds to the next turn."""
        while self._wishes:
            wish = self._wishes.popleft()
            self._attempt(lambda wish=wish: self._carry_out(wish))
            self._glance_due = 0.0
        self._attempt(self._play_on)
        self._attempt(self._show)
        waits = self._quantiser is not None and self._quantiser.waiting()
        return STEP if self._with_sound else _BEAT if self._playing or waits else _GLANCE

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except HostError as problem:
            self._tell(f"{problem}.")
        except Exception as fault:  # noqa: BLE001 - nothing may end this thread
            self._tell(f"a gesture failed ({fault!r}); the host goes on.")

    def _carry_out(self, wish: _Wish) -> None:
        if wish.ends is not None:
            self._attempt(lambda: self._keep(wish.ends, wish.when))
        match wish.address:
            case "/gesture/play" if wish.gesture is not None:
                self._with_sound.append(wish)
            case "/gesture/play":
                self._path(name := str(wish.value))
                if self._quantiser is None or not self._quantiser.hold((_on_the_beat(name),), wish.when):
                    self._play(name, self._read(name), Anchor(wish.when + LEAD))
            case "/gesture/record":
                check_name(str(wish.value))
            case "/gesture/end":
                waited = self._give_up(name := str(wish.value))
                if not self._end(name, wish.when) and not waited and wish.ends is None:
                    raise HostError(f"no gesture '{str(wish.value)[:80]}' is played or recorded; nothing was stopped")
            case "/gesture/stop":
                self._give_up(None)
                self._end(None, wish.when)

    def _path(self, name: str) -> Path:
        # Whoever sends messages names what is in the folder, and no other file.
        path = self.folder / f"{name}{SUFFIX}"
        if not is_name(name) or not path.is_file():
            known = ", ".join(names_in(self.folder)) or "none at all"
            raise HostError(f"there is no gesture '{name[:80]}', but {known}; nothing is played")
        return path

    def _read(self, name: str) -> Gesture:
        read = read_gesture(self._path(name), self._state)
        if read.notices:
            self._tell(" ".join(read.notices))
        return read.gesture

    def _play(self, name: str, gesture: Gesture, anchor: Anchor) -> None:
        if not gesture.points:
            raise HostError(f"there is nothing in the gesture '{name[:80]}'; nothing is played")
        self._end(name, anchor.begin)
        if len(self._playing) >= MOST_PLAYING:
            raise HostError(f"{MOST_PLAYING} gestures play already; stop one before '{name}' is played")
        loop = self._state.value("/gesture/loop")[0]
        lasts = self._lasts(gesture, anchor.begin) if loop else gesture.length / self._state.value("/gesture/speed")[0]
        playing = _Playing(name, gesture, anchor, self._state, lasts)
        self._playing = (*self._playing, playing)
        if loop and not playing.rounds:
            self._tell(f"the gesture '{name}' is shorter than {SHORTEST_ROUND:g} s and does not come round.")

    def _play_on(self) -> None:
        state = self._state
        clock = snapshot.clock if self._with_sound and (snapshot := state.link.telemetry()) else None
        if clock is not None:
            begun, self._with_sound = self._with_sound, []
            for wish in begun:
                self._play(str(wish.value), wish.gesture, Anchor(clock[1] - clock[0] / snapshot.rate, 0))
        (loop,), now = state.value("/gesture/loop"), state.clock()
        beat = None if self._quantiser is None else self._quantiser.take(now, now + HORIZON)
        if beat is not None:
            for _, (name,) in beat[1]:
                self._attempt(lambda name=name: self._play(name, self._read(name), Anchor(beat[0])))
        for playing in self._playing:
            for change in playing.due(now + HORIZON, bool(loop), self._lasts):
                self._attempt(lambda change=change: state.apply([change]))
        self._playing = tuple(playing for playing in self._playing if not playing.over(now))

    def _lasts(self, gesture: Gesture, begin: float) -> float:
        """Return how long a round of `gesture` from `begin` on lasts, in seconds."""
        lasts = gesture.length / self._state.value("/gesture/speed")[0]
        if self._quantiser is None or lasts < SHORTEST_ROUND:
            return lasts
        return self._quantiser.fitted(begin, lasts, self._state.clock())

    def _end(self, name: str | None, when: float) -> bool:
        """Let the gesture called `name`, or every one, play no more; return whether any did."""
        self._with_sound = [wish for wish in self._with_sound if name not in (None, wish.value)]
        ending = [playing for playing in self._playing if name in (None, playing.name)]
        for playing in ending:
            playing.stop(when)
        if ending:
            self._playing = tuple(playing for playing in self._playing if playing not in ending)
            self._state.resubmit()
        return bool(ending)

    def _give_up(self, name: str | None) -> bool:
        """Let the gesture called `name`, or every one, no longer wait for the beat; return whether any did."""
        address = None if name is None else _on_the_beat(name).address
        return self._quantiser is not None and self._quantiser.give_up(address)

    def _keep(self, recording: _Recording, end: float) -> None:
        gesture = recorded(recording.changes, recording.before, recording.begin, end, self._state)
        if recording.full:
            self._tell(f"a gesture has at most {MOST_POINTS} changes: what came after them is not in '{recording.name}'.")
        if not gesture.points:
            raise HostError(f"no control was moved: there is no gesture '{recording.name}' to keep")
        write_gesture(gesture, self.folder / f"{recording.name}{SUFFIX}", self._state)

    def _show(self) -> None:
        parts = [f"playing {playing.name}" for playing in self._playing]
        if self._quantiser is not None:
            parts += [f"waiting {name}" for _, (name,) in self._quantiser.waiting()]
        if (recording := self._recording) is not None:
            parts.insert(0, f"recording {recording.name}")
        self._set("/gesture/state", parts)
        if time.monotonic() >= self._glance_due:
            self._glance_due = time.monotonic() + _GLANCE
            self._set("/gesture/names", names_in(self.folder))

    def _set(self, address: str, parts: Sequence[str]) -> None:
        text = ", ".join(parts)[:_LONGEST_TEXT]
        if self._state.value(address) != (text,):
            self._state.set_info(address, text)


def recorded(changes: list[Change], before: Values, begin: float, end: float, state: ControlState) -> Gesture:
    """Return the gesture of the `changes` that happened from `begin` to `end`, by wall clock, each at its time.

    It begins with the values that the controls it moves had `before`, so that it gives the same wherever it is played.
    Numbers are rounded to 32 bits, times to a microsecond.
    """
    kept = sorted((c for c in changes if begin <= c.due <= end), key=lambda change: change.due)
    points, moved = [], set()
    for change in kept:
        for message in change.messages:
            elements = state.elements(message)
            if change.by is not None:
                left = [e for e in elements if change.by.moves(e.address, change.due)]
                elements, message = (elements, message) if len(left) == len(elements) else (left, None)
            moved |= {element.address for element in elements}
            for each in elements if message is None else (message,):
                points.append(Point(round(change.due - begin, 6), narrow(each)))
    first = [Point(0.0, narrow(Message(address, before[address]))) for address in state.controls if address in moved]
    return Gesture((*first, *points), round(end - begin, 6))


def _on_the_beat(name: str) -> Message:
    """Return what stands for the wish to play `name` while it waits."""
    return Message(f"/gesture/play {name}", (name,))


def _addresses(state: ControlState, change: Change) -> set[str]:
    return {element.address for message in change.messages for element in state.elements(message)}
