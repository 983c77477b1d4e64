"""The engine's process, and the link to it: mixes go there, telemetry comes back."""

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
from realtime.session import Plan, Session, Started, Wish
from realtime.telemetry import Telemetry

_BEAT = 1 / 30


@dataclass(frozen=True)
class Automatic:
    """Whether the mode is stepped down and up by itself."""

    on: bool


@dataclass(frozen=True)
class Ended:
    """The run is over: the last telemetry, files written, and what went wrong if anything did."""

    telemetry: Telemetry | None
    files: tuple[Path, ...] = ()
    failure: str | None = None


def _serve(plan: Plan, pipe) -> None:
    # Ctrl-C reaches the whole group; the control process decides when sound ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session = Session(plan)
        session.start(pipe.send)
    except HostError as problem:
        pipe.send(Ended(None, failure=str(problem)))
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
        if (snapshot := session.stream.telemetry()) is not None:
            pipe.send(snapshot)
    failure = session.failure
    files = session.stop()
    pipe.send(Ended(session.stream.telemetry(), tuple(files), failure))


def _main(plan: Plan, pipe) -> None:
    try:
        _serve(plan, pipe)
    except (BrokenPipeError, ConnectionResetError):
        pass
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
        self._process = context.Process(target=_main, args=(plan, theirs), name="engine", daemon=True)
        self._process.start()
        theirs.close()
        self.ended: Ended | None = None
        self._snapshot: Telemetry | None = None
        self._schedule = Schedule()
        self._waiting = threading.Event()
        self._sending = threading.Lock()
        self._tell = tell
        try:
            while isinstance(first := self._pipe.recv(), str):
                say(first)
        except EOFError:
            raise HostError(
                "the engine's process ended before it started; run again with --verbose for its messages"
            ) from None
        if isinstance(first, Ended):
            raise HostError(first.failure)
        self.started: Started = first
        self._over = threading.Event()
        threading.Thread(target=self._listen, name="telemetry", daemon=True).start()
        threading.Thread(target=self._courier, name="courier", daemon=True).start()

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
        return None if self._snapshot is None else self._snapshot.position_at(wall)

    def telemetry(self) -> Telemetry | None:
        """Return the latest snapshot."""
        return self._snapshot

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
        """Stop the sound and return how it ended."""
        if not self._over.is_set():
            self._send(None)
            if not self._over.wait(10):
                self._process.kill()
                self._over.wait(2)
        self._process.join(2)
        return self.ended or Ended(self._snapshot, failure="the engine's process did not end by itself and was stopped")

    def _listen(self) -> None:
        try:
            while True:
                message = self._pipe.recv()
                if isinstance(message, Ended):
                    self.ended = message
                    break
                if isinstance(message, Telemetry):
                    self._snapshot = message
                    continue
                if isinstance(message, Started):
                    self.started = message
                self._tell(message)
        except (EOFError, OSError):
            self.ended = Ended(self._snapshot, failure="the engine's process ended unexpectedly; the sound has stopped")
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
