"""The engine's process, and the link to it: mixes go there through a pipe, sound and counts come back in shared memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realtime.changes import Changes, Notice
from realtime.errors import HostError
from realtime.mix import Mix, Schedule
from realtime.segment import Segment
from realtime.session import Plan, Session, Started, Wish
from realtime.tape import Recording, Tape
from realtime.taps import Layout, Taps
from realtime.telemetry import Telemetry
from realtime.view import View

_BEAT = 1 / 30


@dataclass(frozen=True)
class Automatic:
    """Whether the mode is stepped down and up by itself."""

    on: bool


@dataclass(frozen=True)
class Ended:
    """The run is over: the last telemetry, files written, and what went wrong if anything did."""

    telemetry: Telemetry | None = None
    files: tuple[Path, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class _Shared:
    """The memory is there, and what to record from it."""

    layout: Layout
    recording: Recording | None


def _serve(plan: Plan, pipe, name: str) -> None:
    # Ctrl-C reaches the whole group; the control process decides when sound ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session = Session(plan)
        layout = session.stream.taps.layout
        segment = Segment.create(name, layout.size)
        session.stream.use(Taps(layout, segment.buf))
        pipe.send(_Shared(layout, session.recording))
        # The answer is that control has the memory, and all its files are open.
        pipe.recv()
        session.start(pipe.send)
    except HostError as problem:
        pipe.send(Ended(failure=str(problem)))
        return
    pipe.send(session.started)
    stop = threading.Event()
    changes = Changes(session, plan.automatic)

    def receive() -> None:
        try:
            while (message := pipe.recv()) is not None:
                if isinstance(message, Wish):
                    changes.ask(message)
                elif isinstance(message, Automatic):
                    changes.automatic = message.on
                else:
                    for at, mix in message:
                        session.stream.submit(mix, at)
        except (EOFError, OSError):
            pass  # control is gone, and with it whoever could still stop the sound
        stop.set()

    threading.Thread(target=receive, name="mixes", daemon=True).start()
    while not session.over and not stop.wait(_BEAT):
        changes.beat()
        while not changes.told.empty():
            pipe.send(changes.told.get())
    failure = session.failure
    session.stop()
    pipe.send(Ended(failure=failure))


def _main(plan: Plan, pipe, name: str) -> None:
    try:
        _serve(plan, pipe, name)
    except (BrokenPipeError, ConnectionResetError, EOFError):
        pass
    finally:
        # In vain, unless control was gone before it took the memory.
        Segment.remove(name)
    # PortAudio and its host APIs may hold threads that never end; all that matters is closed.
    os._exit(0)


class RemoteEngine:
    """Runs a plan in a process of its own and links control to it.

    `started` says what runs; until it does, `say` hears what it waits for. `tell` is called, on a thread of the
    link's own, with what runs instead after a change, and with notices. Raises HostError where the plan does not work.
    """

    def __init__(
        self,
        plan: Plan,
        say: Callable[[str], object] = lambda sentence: None,
        tell: Callable[[Started | Notice], object] = lambda news: None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._name = Segment.new_name()
        self._process = context.Process(target=_main, args=(plan, theirs, self._name), name="engine", daemon=True)
        self._process.start()
        theirs.close()
        self._segment: Segment | None = None
        self._view: View | None = None
        self._tape: Tape | None = None
        self._ended: Ended | None = None
        self._result: Ended | None = None
        self._schedule = Schedule()
        self._waiting = threading.Event()
        self._sending = threading.Lock()
        self._tell = tell
        self._over = threading.Event()
        try:
            self.started: Started = self._await_start(say)
        except BaseException:
            self._process.kill()
            self._process.join()
            self._let_go()
            raise
        threading.Thread(target=self._listen, name="news", daemon=True).start()
        threading.Thread(target=self._courier, name="courier", daemon=True).start()

    def _await_start(self, say: Callable[[str], object]) -> Started:
        while True:
            try:
                message = self._pipe.recv()
                if isinstance(message, _Shared):
                    self._take(message)
                    self._pipe.send(True)
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

    def _take(self, shared: _Shared) -> None:
        self._segment = Segment.take(self._name)
        taps = Taps(shared.layout, self._segment.buf)
        self._view = View(taps)
        if shared.recording is not None:
            self._tape = Tape(shared.recording, taps)

    def _let_go(self) -> tuple[tuple[Path, ...], str | None]:
        """Finish the files and give the memory back; return the files, and what they lack."""
        files, problem = (), None
        if self._tape is not None:
            files = self._tape.stop()
            problem, self._tape = self._tape.problem, None
        if self._view is not None:
            self._view.close()
        if self._segment is None:
            Segment.remove(self._name)
        else:
            try:
                self._segment.close()
            except BufferError:
                pass  # somebody is looking still; it goes with the last look
        return files, problem

    @property
    def pid(self) -> int:
        """Process id of the engine."""
        return self._process.pid

    # The link.

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand over a mix; many in a row travel as one."""
        self._schedule.submit(mix, at)
        self._waiting.set()

    def change(self, wish: Wish | Automatic) -> None:
        """Have something else run while the music plays, or have it chosen by the host itself; `tell` hears of it."""
        self._send(wish)

    def position(self, wall: float) -> int | None:
        """Return which input sample stands at wall-clock time `wall`; None before sound runs."""
        return self._view.position(wall)

    def telemetry(self) -> Telemetry | None:
        """Return how it runs now; None before the first hop."""
        return self._view.telemetry()

    def _send(self, message) -> bool:
        try:
            with self._sending:
                self._pipe.send(message)
        except OSError:
            return False
        return True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run is over, at most `timeout` seconds; return whether it is."""
        return self._over.wait(timeout)

    def stop(self) -> Ended:
        """Stop the sound, finish what is recorded, and return how it ended."""
        if not self._over.is_set():
            self._send(None)
            if not self._over.wait(10):
                self._process.kill()
                self._over.wait(2)
        self._process.join(2)
        if self._result is None:
            ended = self._ended or Ended(failure="the engine's process did not end by itself and was stopped")
            files, problem = self._let_go()
            failure = " ".join(filter(None, (ended.failure, problem))) or None
            self._result = Ended(self._view.telemetry(), files, failure)
        return self._result

    def _listen(self) -> None:
        try:
            while not isinstance(message := self._pipe.recv(), Ended):
                if isinstance(message, Started):
                    self.started = message
                self._tell(message)
            self._ended = message
        except (EOFError, OSError):
            self._ended = Ended(failure="the engine's process ended unexpectedly; the sound has stopped")
        self._over.set()

    def _courier(self) -> None:
        while not self._over.is_set():
            if not self._waiting.wait(0.5):
                continue
            self._waiting.clear()
            batch = self._schedule.take_all()
            if batch and not self._send(batch):
                return
            # A flood of messages costs the engine's process no more than this many wake-ups.
            time.sleep(0.002)
