"""The process that prepares what is on the deck, at the lowest priority, and the link to it."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from realtime.deck.best import best_separator
from realtime.deck.cache import Cache, default_folder
from realtime.deck.orders import DeckNews, Order
from realtime.deck.preparation import Changed, Job, Preparation, Progress
from realtime.errors import HostError
from realtime.interrupts import interrupts_held, leave_ends_to_parent
from realtime.library import list_separators
from realtime.separator import flush_denormals

ADDRESSES = ("/deck/hq",)
# How often the play head is told of, and how much it may be elsewhere than expected before it has jumped, in seconds.
_TOLD, _JUMP = 0.25, 1.0
# Between two looks whether all is still there, in seconds.
_REST = 1.0
_LONGEST_END = 2.0
# Before the deck is asked again, in seconds.
_AGAIN = 2.0
_IDLE = "waiting for a file"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HighQuality:
    """How files on the deck are prepared: by `separator`, None for the best one at hand; `on` from the start.

    At most `limit` bytes of stems are kept in `folder`.
    """

    on: bool = True
    separator: Path | None = None
    folder: Path = field(default_factory=default_folder)
    limit: int = 10_000_000_000


@dataclass(frozen=True)
class _Setup:
    """`own` is the separator that plays, with `stems`."""

    own: Path
    stems: tuple[str, ...]
    wanted: HighQuality


@dataclass(frozen=True)
class _Head:
    """Where the play head is, see `Preparation.move`."""

    at: int
    playing: bool
    jumped: bool


@dataclass(frozen=True)
class _Said:
    """A sentence for the user."""

    text: str


@dataclass(frozen=True)
class _End:
    """The process is not needed any more."""


class _Other(Exception):
    """Something else is to be prepared, or nothing."""


class _Worker:
    """What the process does: prepare what comes over `pipe`, until it closes."""

    def __init__(self, pipe, setup: _Setup) -> None:
        self._pipe, self._setup = pipe, setup
        self._job: Job | None = None
        self._preparation: Preparation | None = None
        self._head = _Head(0, False, False)

    def serve(self) -> None:
        """Work until it is not needed any more. Raises EOFError or OSError where control is gone."""
        setup, send = self._setup, self._pipe.send
        cache = Cache(setup.wanted.folder.expanduser(), setup.wanted.limit)
        chosen = None
        while True:
            if self._job is None:
                self._take(self._pipe.recv())
                continue
            job = self._job
            try:
                if chosen is None:
                    send(Progress("choosing a separator"))
                    named = setup.wanted.separator
                    chosen = best_separator(setup.own, setup.stems, list_separators().values(), named)
                if self._preparation is None:
                    preparation = Preparation(
                        job, *chosen, cache, self._poll, send, lambda text: send(_Said(text))
                    )
                    self._preparation = preparation
                    preparation.move(self._head.at, self._head.playing, False)
                self._preparation.run()
                if self._pipe.poll(_REST):
                    self._poll()
            except _Other:
                self._drop()
            except Changed:
                send(_Said(f"{job.path} has changed: its stems are made anew."))
                self._drop()
                # Whoever writes into it may not have finished.
                time.sleep(_REST)
            except (HostError, RuntimeError, OSError, ValueError, MemoryError) as problem:
                if isinstance(problem, EOFError | BrokenPipeError | ConnectionResetError):
                    raise
                done = self._preparation
                text = str(problem).rstrip(".")
                send(Progress(f"stopped: {text}") if done is None else done.progress(f"stopped: {text}"))
                send(_Said(f"the deck's background pass has stopped: {text}. The live network plays on."))
                self._job = None
                self._drop()

    def _drop(self) -> None:
        if self._preparation is not None:
            self._preparation.close()
        self._preparation = None

    def _poll(self) -> None:
        while self._pipe.poll():
            self._take(self._pipe.recv())

    def _take(self, message: Job | _Head | _End | None) -> None:
        if isinstance(message, _Head):
            self._head = message
            if self._preparation is not None:
                self._preparation.move(message.at, message.playing, message.jumped)
            return
        if isinstance(message, _End):
            raise EOFError
        self._job, self._head = message, _Head(0, False, False)
        raise _Other


def _main(pipe, setup: _Setup) -> None:
    # What ends a group ends the host, which then ends this: it has not gone unexpectedly.
    leave_ends_to_parent()
    stand_back()
    flush_denormals()
    worker = _Worker(pipe, setup)
    while True:
        try:
            worker.serve()
        except _Other:
            continue
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return


def stand_back() -> None:
    """Let this process have only the time that no other wants, as far as the system knows how."""
    try:
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        _stand_back_on_windows()


def _stand_back_on_windows() -> None:
    try:
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), 0x40)  # IDLE_PRIORITY_CLASS
    except (AttributeError, OSError):
        pass  # it is in nobody's way then only because its one thread leaves the other cores free


@dataclass(frozen=True)
class _Switch:
    """`/deck/hq` was set."""

    on: bool


@dataclass(frozen=True)
class _Gone:
    """The process behind `pipe` has ended."""

    pipe: object


class Preparer:
    """Has the file on the deck prepared as `wanted` says, for a run of `stems` by the separator `own`.

    `order` takes what the deck is to do, `tell` an address and its value, `say` sentences for the user; all are called on
    one thread, at its own time. A process that ends by itself costs the sound nothing: it is said, and the next file, or
    /deck/hq 1, starts another.
    """

    def __init__(
        self,
        wanted: HighQuality,
        own: Path,
        stems: tuple[str, ...],
        channels: int,
        order: Callable[[Order], object],
        tell: Callable[[str, object], object],
        say: Callable[[str], object],
    ) -> None:
        self._setup, self._channels = _Setup(own, stems, wanted), channels
        self._order, self._tell, self._say = order, tell, say
        self._events: queue.SimpleQueue[_Switch | DeckNews | Progress | _Said | _Gone | None] = queue.SimpleQueue()
        self._on = wanted.on
        self._process: multiprocessing.Process | None = None
        self._pipe = None
        self._news: DeckNews | None = None
        self._key: tuple[str, str, int] | None = None
        self._progress = Progress(_IDLE if wanted.on else "off")
        # What the deck was asked for last, and when.
        self._given: tuple[tuple[str, str], float] = ("", ""), 0.0
        self._head: tuple[float, float, bool] | None = None
        self._told: dict[str, object] = {}
        self._thread = threading.Thread(target=self._run, name="preparer", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Process id of the pass; None where there is none."""
        process = self._process
        return None if process is None else process.pid

    def change(self, address: str, value: object) -> None:
        """Carry out `/deck/hq`: switch it on, or anew, or off."""
        self._events.put(_Switch(bool(value)))

    def hear(self, news: DeckNews) -> None:
        """Follow the deck, which now stands as `news` says."""
        self._events.put(news)

    def close(self) -> None:
        """End the process."""
        self._events.put(None)
        self._thread.join()

    # The thread.

    def _run(self) -> None:
        self._show()
        while (event := self._events.get()) is not None:
            try:
                self._handle(event)
            except Exception:  # noqa: BLE001 - one fault may not end what follows the deck
                _log.exception("what became of the background pass could not be followed")
        self._end()

    def _handle(self, event: _Switch | DeckNews | tuple | _Gone) -> None:
        match event:
            case DeckNews():
                self._news = event
                self._follow()
            case _Switch(on):
                self._on, self._key = on, None
                if not on:
                    self._end()
                self._progress = Progress(_IDLE if on else "off")
                self._show()
                self._follow()
                self._give()
            case _Gone(pipe) if pipe is self._pipe:
                self._mourn()
            case (pipe, _Said(text)) if pipe is self._pipe:
                self._say(text)
            case (pipe, Progress() as progress) if pipe is self._pipe:
                self._progress = progress
                self._show()
                self._give()

    def _follow(self) -> None:
        news = self._news
        if not self._on or news is None:
            return
        # A deck that goes on elsewhere may have another rate, at which other samples are stems of the same file.
        if (news.path, news.contents, news.rate) != self._key:
            self._key = news.path, news.contents, news.rate
            self._head = None
            self._progress = Progress(_IDLE)
            self._show()
            if news.path and self._process is None:
                self._start()
            self._send(Job(news.path, news.rate, self._channels, self._setup.stems) if news.path else None)
        self._give()
        if news.path:
            self._send_head(news)

    def _send_head(self, news: DeckNews) -> None:
        now, jumped = time.monotonic(), True
        if self._head is not None:
            at, when, playing = self._head
            jumped = abs(news.position - at - (now - when if playing else 0)) > _JUMP
            if now - when < _TOLD and not jumped and playing == news.playing:
                return
        self._head = news.position, now, news.playing
        self._send(_Head(round(news.position * news.rate), news.playing, jumped))

    def _give(self) -> None:
        """Have the deck take its stems from where they are, if what was read is what it plays."""
        news, progress = self._news, self._progress
        if news is None or not news.path:
            return
        fits = (progress.contents, progress.rate) == (news.contents, news.rate)
        folder = progress.folder if fits else ""
        asked, when = self._given
        # A deck that has come back knows nothing of what was asked.
        if folder != news.stems and (asked != (news.contents, folder) or time.monotonic() > when + _AGAIN):
            self._given = (news.contents, folder), time.monotonic()
            self._order(Order("/deck/hq/stems", (news.contents, folder)))

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        process = context.Process(target=_main, args=(theirs, self._setup), name="preparer", daemon=True)
        with interrupts_held(ends=True):
            process.start()
        # At the interpreter's end it would be asked to end, which it does not hear, and then waited for.
        atexit.register(process.kill)
        theirs.close()
        self._process, self._pipe = process, pipe
        threading.Thread(target=self._listen, args=(pipe,), name="preparer's news", daemon=True).start()

    def _end(self) -> None:
        """End the process, which looks for messages at every step."""
        process = self._process
        self._send(_End())
        self._process = self._pipe = None
        if process is not None:
            process.join(_LONGEST_END)
            if process.is_alive():
                process.kill()
                process.join()
            atexit.unregister(process.kill)

    def _send(self, message: Job | _Head | _End | None) -> None:
        if self._pipe is None:
            return
        try:
            self._pipe.send(message)
        except OSError:
            pass  # it has gone, which is said where it is listened to

    def _mourn(self) -> None:
        self._process.join(_LONGEST_END)
        atexit.unregister(self._process.kill)
        code = self._process.exitcode
        self._process = self._pipe = None
        self._progress = replace(self._progress, state=f"stopped: it ended unexpectedly (exit code {code})", speed=0.0)
        self._show()
        self._say(
            f"the deck's background pass ended unexpectedly (exit code {code}); what it has made is used, the live network "
            "plays on, and /deck/hq 1 begins it anew."
        )

    def _show(self) -> None:
        progress = self._progress
        values = {
            "/deck/hq": int(self._on),
            "/deck/hq/state": progress.state,
            "/deck/hq/ready": progress.ready,
            "/deck/hq/speed": progress.speed,
            "/deck/activity": progress.activity,
        }
        for address, value in values.items():
            if self._told.get(address) != value:
                self._tell(address, value)
        self._told = values

    def _listen(self, pipe) -> None:
        """Pass on what comes over `pipe`: on a thread of its own, until it closes."""
        while True:
            try:
                self._events.put((pipe, pipe.recv()))
            except (EOFError, OSError):
                self._events.put(_Gone(pipe))
                return
