"""The link to the engine's process (`realtime.engineprocess`): mixes go there, telemetry comes back."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from realtime.changes import Notice
from realtime.comeback import POLL
from realtime.deck.orders import DeckNews, Order, Peaks
from realtime.enginemessages import PLAYING, Automatic, DeviceState, Ended, Found, Lost, Shared, Waiting
from realtime.engineprocess import LONGEST_START, main
from realtime.errors import HostError
from realtime.inserts.insert import Place, SlotNews, Turn
from realtime.interrupts import interrupts_held
from realtime.mix import Mix, Schedule
from realtime.move import Ask, Go, Move, Moved, Release, Retake, Standing
from realtime.plan import Plan, Started, Wish
from realtime.segment import Segment
from realtime.tape import Tape
from realtime.taps import Taps
from realtime.telemetry import Telemetry
from realtime.view import View

# Wishes and orders that wait for the engine's process, or for a device; of more than these the oldest go.
MOST_HELD = 1024
# No change of what runs takes longer.
_LONGEST_ANSWER = 30.0
# What a process may take to finish, in seconds, before it is ended.
_LONGEST_END = 10.0
_log = logging.getLogger(__name__)


class _Life:
    """One process of an engine, from its start to its end, and what is shared with it."""

    def __init__(self, plan: Plan, comeback: bool, successor: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._name = Segment.new_name()
        arguments = plan, theirs, self._name, comeback, successor
        self.process = context.Process(target=main, args=arguments, name="engine", daemon=True)
        with interrupts_held(ends=True):
            self.process.start()
        # At the interpreter's end it would be asked to end, which it does not hear, and then waited for.
        atexit.register(self.process.kill)
        theirs.close()
        self.taps: Taps | None = None
        self.view: View | None = None
        self._segment: Segment | None = None
        self._tape: Tape | None = None

    def take(self, shared: Shared, answer: Go | bool = True) -> None:
        """Take the memory, open the files, and say so by `answer`."""
        self._segment = Segment.take(self._name)
        self.taps = taps = Taps(shared.layout, self._segment.buf)
        self.view = View(taps)
        if shared.recording is not None:
            self._tape = Tape(shared.recording, taps)
        self.pipe.send(answer)

    def let_go(self) -> tuple[tuple[Path, ...], str | None]:
        """Finish the files and give the memory back; return the files, and what they lack. The last view stays."""
        files, problem = (), None
        if self._tape is not None:
            files = self._tape.stop()
            problem, self._tape = self._tape.problem, None
        if self.view is not None:
            self.view.close()
        self.taps = None
        atexit.unregister(self.process.kill)
        if self._segment is None:
            Segment.remove(self._name)
        else:
            try:
                self._segment.close()
            except BufferError:
                pass  # somebody is looking still; it goes with the last look
        return files, problem

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()
        self.let_go()


class RemoteEngine:
    """Runs a plan in a process of its own and links control to it.

    `started` says what runs; until it does, `say` hears what it waits for. `tell` is called, on a thread of the
    link's own, with what runs instead after a change, with notices, and with the state of the device. A sound device that
    goes is waited for in another process, which then goes on with what `mix` returns. Raises HostError where the plan does
    not work.
    """

    def __init__(
        self,
        plan: Plan,
        say: Callable[[str], object] = lambda sentence: None,
        tell: Callable[[Started | Notice | DeviceState | DeckNews | Peaks | Moved | SlotNews], object] = lambda news: None,
        mix: Callable[[], Mix] | None = None,
    ) -> None:
        self._plan, self._hearer, self._mix = plan, tell, mix or (lambda: plan.mix)
        self.device_state = PLAYING
        self._ended: Ended | None = None
        self._result: Ended | None = None
        # What was counted before the device went.
        self._counted: Telemetry | None = None
        self._schedule = Schedule()
        self._waiting = threading.Event()
        self._over = threading.Event()
        self._sending = threading.Lock()
        # Clear while a device is waited for; what is asked for meanwhile is held back.
        self._playing = threading.Event()
        self._held: deque[Wish | Automatic | Order | Place | Turn] = deque(maxlen=MOST_HELD)
        # Held while processes take turns, so that the one that is stopped is the one that runs.
        self._turn = threading.Lock()
        self._stopping = self._abandoned = False
        # What makes itself ready to take over, and what the one that plays answers meanwhile.
        self._successor: _Life | None = None
        self._answers: queue.SimpleQueue[Standing] = queue.SimpleQueue()
        self._moving = threading.Lock()
        self._life = _Life(plan, comeback=False)
        try:
            self.started: Started = self._await_start(say)
        except BaseException:
            self._life.kill()
            raise
        self._playing.set()
        threading.Thread(target=self._listen, name="news", daemon=True).start()
        threading.Thread(target=self._courier, name="courier", daemon=True).start()

    def _await_start(self, say: Callable[[str], object]) -> Started:
        while True:
            try:
                message = self._life.pipe.recv()
                if isinstance(message, Shared):
                    self._life.take(message)
            except (EOFError, OSError):
                raise HostError(
                    "the engine's process ended before it started; run again with --verbose for its messages"
                ) from None
            match message:
                case str():
                    say(message)
                case Ended():
                    raise HostError(message.failure)
                case Started():
                    return message

    @property
    def pid(self) -> int:
        """Process id of the engine; another one after a device has gone."""
        return self._life.process.pid

    @property
    def taps(self) -> Taps | None:
        """What can be seen of the run; others after a device has gone, None once it is over."""
        return self._life.taps

    # The link.

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand over a mix; many in a row travel as one."""
        self._schedule.submit(mix, at)
        self._waiting.set()

    def change(self, wish: Wish | Automatic | Order | Place | Turn) -> None:
        """Have something else run while the music plays, or have it chosen by the host itself; `tell` hears of it.

        It returns at once, also where the engine's process takes nothing.
        """
        self._held.append(wish)
        self._waiting.set()

    def move(self, move: Move) -> bool:
        """Have the run go on with another device or source, as soon as that is ready; `tell` hears what came of it.

        It returns at once, False where another move is under way.
        """
        if not self._moving.acquire(blocking=False):
            return False
        threading.Thread(target=self._move, args=(move,), name="move", daemon=True).start()
        return True

    @property
    def moving(self) -> bool:
        """Whether a move is under way."""
        return self._moving.locked()

    def position(self, wall: float) -> int | None:
        """Return which input sample stands at wall-clock time `wall`; None while no sound runs."""
        return self._life.view.position(wall) if self._playing.is_set() else None

    def telemetry(self) -> Telemetry | None:
        """Return how it runs now; None before the first hop."""
        now = self._life.view.telemetry() if self._playing.is_set() else None
        return self._counted if now is None else now.after(self._counted)

    def _send(self, message) -> bool:
        with self._sending:
            if not self._playing.is_set():
                return False
            try:
                self._life.pipe.send(message)
            except OSError:
                return False
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is over, at most `timeout` seconds; return whether it is."""
        return self._over.wait(timeout)

    def stop(self) -> Ended:
        """Stop the sound, finish what is recorded, and return how it ended."""
        with self._turn:
            self._stopping = True
            if self._successor is not None:
                self._successor.process.kill()
            if not self._over.is_set() and not self._playing.is_set():
                # It waits for a device, and has nothing to write.
                self._abandoned = True
                self._life.process.kill()
        if not self._over.is_set():
            # Not from here: a process that takes nothing must not keep us.
            self._waiting.set()
            if not self._over.wait(_LONGEST_END):
                self._life.process.kill()
                self._over.wait(2)
        self._life.process.join(2)
        if self._result is None:
            ended = self._ended or Ended(failure="the engine's process did not end by itself and was stopped")
            files, problem = self._life.let_go()
            failure = " ".join(filter(None, (ended.failure, problem))) or None
            self._result = Ended(self.telemetry(), files, failure)
        return self._result

    # What the engine's process tells.

    def _listen(self) -> None:
        while not self._over.is_set():
            life = self._life
            try:
                message = life.pipe.recv()
            except (EOFError, OSError):
                message = None
            if life is self._life:
                self._take(message)

    def _take(self, message: Shared | Started | Notice | DeckNews | Peaks | SlotNews | Lost | Waiting | Found | Ended | Standing | str | None) -> None:
        if isinstance(message, Shared):
            try:
                self._life.take(message)
            except OSError:
                pass  # gone again, which the next message says
        elif isinstance(message, Started):
            if self._playing.is_set():
                self.started = message
                self._tell(message)
            else:
                self._resume(message)
        elif isinstance(message, Notice | DeckNews | Peaks | SlotNews):
            self._tell(message)
        elif isinstance(message, Standing):
            self._answers.put(message)
        elif isinstance(message, Lost):
            self._lose(message)
        elif isinstance(message, Waiting):
            self._wait_because(message.reason)
        elif isinstance(message, Found):
            self._answer(self._mix())
        elif isinstance(message, Ended):
            self._end(message)
        elif message is None:
            self._mourn()

    def _tell(self, news: Started | Notice | DeviceState | DeckNews | Peaks | Moved | SlotNews) -> None:
        try:
            self._hearer(news)
        except Exception:  # noqa: BLE001 - whoever hears it may not end this thread, which brings devices back
            _log.exception("what the engine told could not be shown")

    def _end(self, ended: Ended) -> None:
        self._ended = ended
        self._over.set()

    def _mourn(self) -> None:
        """The process has gone without a word."""
        if self._abandoned:
            self._end(Ended())
        elif self._playing.is_set():
            self._end(Ended(failure="the engine's process ended unexpectedly; the sound has stopped"))
        else:
            # A host API whose server comes and goes while it looks for it takes its process with it.
            time.sleep(POLL)
            self._begin_comeback()

    def _lose(self, lost: Lost) -> None:
        last = self.telemetry()
        if last is not None:
            self._counted = last.standing_still()
        with self._sending:
            self._playing.clear()
        self._plan = lost.plan
        self._wait_because(lost.reason)
        self._begin_comeback()

    def _wait_because(self, reason: str) -> None:
        state = DeviceState(f"waiting: {reason}")
        if state != self.device_state:
            self.device_state = state
            self._tell(state)
            self._tell(Notice(f"{reason}; the sound goes on by itself when the device is back."))

    def _begin_comeback(self) -> None:
        with self._turn:
            self._life.process.join(2)
            self._life.kill()
            if self._stopping:
                self._end(Ended())
            else:
                self._life = _Life(self._plan, comeback=True)

    def _answer(self, mix: Mix) -> None:
        try:
            self._life.pipe.send(mix)
        except OSError:
            pass  # gone again, which the next message says

    # Moves.

    def _move(self, move: Move) -> None:
        try:
            self._carry_over(move)
        except HostError as problem:
            # Without the list of devices that may follow.
            reason = str(problem).splitlines()[0].removesuffix("; choose one of these:").rstrip(".")
            self._tell(Notice(f"{reason}; {self.started.device} goes on."))
        except (EOFError, OSError):
            # Of the one or the other process; what plays tells its own end.
            self._tell(Notice(f"what was to take over ended before it could; {self.started.device} goes on."))
        finally:
            with self._turn:
                successor, self._successor = self._successor, None
            if successor is not None:
                successor.kill()
            self._moving.release()

    def _carry_over(self, move: Move) -> None:
        life = self._life
        if not self._playing.is_set():
            # What is waited for is another device from now on.
            self._plan = move.plan(self._plan)
            self._tell(Moved(self._plan))
            life.process.kill()
            return
        while not self._answers.empty():
            self._answers.get()
        self._send(Ask())
        plan = move.plan(self._standing())
        with self._turn:
            if self._stopping:
                return
            self._successor = successor = _Life(replace(plan, mix=self._mix()), comeback=False, successor=True)
        shared = _ready(successor)
        with self._sending:
            if self._life is not life or not self._playing.is_set():
                raise HostError("the device that played went meanwhile; nothing was changed")
            last = self.telemetry()
            self._playing.clear()
            life.pipe.send(Release())
        try:
            successor.take(shared, Go(self._standing()))
            started = _started(successor)
        except (HostError, EOFError, OSError):
            life.pipe.send(Retake())
            self._playing.set()
            raise
        if last is not None:
            self._counted = last.standing_still()
        with self._turn:
            if self._stopping:
                return
            self._plan, self._life, self._successor = plan, successor, None
        self._tell(Moved(plan))
        self._resume(started, f"{started.device} plays now")
        for notice in started.notices:
            self._tell(Notice(notice))
        # It ends by itself, and its word of that is not heard any more.
        try:
            life.pipe.send(None)
        except OSError:
            pass
        life.process.join(_LONGEST_END)
        life.kill()

    def _standing(self) -> Plan:
        try:
            return self._answers.get(timeout=_LONGEST_ANSWER).plan
        except queue.Empty:
            raise HostError("the device that plays is busy with another change; nothing was changed") from None

    def _resume(self, started: Started, words: str | None = None) -> None:
        before, self.started = self.started, started
        # What was scheduled is in the mix as it is now, or waits for a position of the new run.
        self._schedule.take_all()
        given = None
        while given != (now := self._mix()):
            self.submit(now, None)
            given = now
        self.device_state = PLAYING
        self._playing.set()
        for news in (started, PLAYING, Notice(returned(before, started, words))):
            self._tell(news)

    def _courier(self) -> None:
        while not self._over.is_set():
            if not self._waiting.wait(0.5) or not self._playing.wait(0.5):
                continue
            self._waiting.clear()
            batch = self._schedule.take_all()
            if batch:
                self._send(batch)
            while self._held:
                wish = self._held.popleft()
                if not self._send(wish):
                    # For the process that takes the place of this one, unless newer ones have.
                    if len(self._held) < MOST_HELD:
                        self._held.appendleft(wish)
                    self._waiting.set()
                    break
            if self._stopping:
                self._send(None)
            # A flood of messages costs the engine's process no more than this many wake-ups.
            time.sleep(0.002)


def _ready(life: _Life) -> Shared:
    """Return what `life` shares once all but its device is ready. Raises HostError with why that cannot be."""
    message = life.pipe.recv()
    if isinstance(message, Ended):
        raise HostError(message.failure)
    return message


def _started(life: _Life) -> Started:
    """Return what `life` plays once its device does. Raises HostError where that refuses, or takes too long."""
    while life.pipe.poll(LONGEST_START):
        message = life.pipe.recv()
        if isinstance(message, Ended):
            raise HostError(message.failure)
        if isinstance(message, Started):
            return message
    raise HostError("the device does not open")


def returned(before: Started, now: Started, words: str | None = None) -> str:
    """Return in a sentence that the device plays again, or `words`, and what is no longer as it was `before`."""
    changes = [
        f"at {now.rate} Hz instead of {before.rate}" if now.rate != before.rate else "",
        f"in blocks of {now.block} instead of {before.block}" if now.block != before.block else "",
    ]
    if now.latency.added != before.latency.added:
        changes.append(f"with an added latency of {now.latency.added} samples instead of {before.latency.added}")
    if now.device_latency != before.device_latency:
        changes.append("with {} samples in and {} out of its own".format(*now.device_latency))
    return ", ".join([words or f"{now.device} plays again", *filter(None, changes)]) + "."
