"""Recording of what goes in and out, begun and ended at any time, on a thread of the control process.

The engine only ever copies into memory that both processes have (`realtime.taps`); disks are waited for here.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from platformdirs import user_music_dir

from realtime.aligned import Aligned, common_positions
from realtime.control import Refused, Value
from realtime.errors import HostError
from realtime.state import Change, ControlState, Message
from realtime.take import Take, new_folder
from realtime.tape import make_folder
from realtime.taps import Counts, Description, Taps
from realtime.track import Stretch, TrackReader
from realtime.turn import Turn

# What a take may hold, and the controls that say whether it does.
_KINDS = {"mixture": "/record/mixture", "master": "/record/master", "stems": "/record/stems"}
ADDRESSES = ("/record", *_KINDS.values(), "/record/folder", "/record/format")
# Seconds that the end of the host waits for a take to be finished, and then for what is under way to stop.
LONGEST_END, _FAREWELL = 30.0, 5.0
# How often the disk gets what there is, and headers are brought up to date, in seconds.
_BEAT, _SOON = 0.2, 0.02
# How many samples are read at once.
_MOST = 1 << 15
# What was played up to the end of a take is waited for so long beyond the delay of the separator, in seconds.
_PATIENCE = 2.0
# Changes that are remembered while the disk is not ready for them.
_REMEMBERED = 1 << 16
# Values that say how the host stands besides the settings, and are written down as they change.
_TOLD = ("/model", "/mode", "/run", "/block", "/rate", "/device", "/device/state", "/notice")


def default_folder() -> Path:
    """Return where takes go unless the user says otherwise."""
    return Path(user_music_dir()) / "LaSAFT Live"


def _is_whole(folder: str) -> bool:
    try:
        return Path(folder).expanduser().is_absolute()
    except RuntimeError:  # the home of somebody who has none here
        return False


class _Done(NamedTuple):
    """Controls took the values of `messages` at `wall`, seconds since 1970; `number` keeps the order of what happened at once.

    Of what the turn `by` of a gesture does, only what no hand takes out of it until then.
    """

    wall: float
    number: int
    messages: tuple[Message, ...]
    by: Turn | None = None


class _Order(NamedTuple):
    """What a take is to hold, and from when: `wall`, seconds since 1970, or the beginning of the run."""

    parent: Path
    kinds: frozenset[str]
    flac: bool
    wall: float
    whole: bool
    # The controls as they were then, and as they are now.
    values: dict[str, tuple[Value, ...]]
    now: Callable[[], dict[str, tuple[Value, ...]]]


class Recorder:
    """Records from what `taps` returns at the time; told what to do, and telling what it does, through `state`.

    A recording ends by itself, with a notice, where the disk refuses. Where another engine takes over that gives other
    stems, or the device has gone and come back, a new part begins, in a folder of its own.
    """

    def __init__(self, state: ControlState, taps: Callable[[], Taps | None]) -> None:
        self._state, self._taps = state, taps
        self._done: deque[_Done] = deque(maxlen=_REMEMBERED)
        self._number = count()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._until = 0.0
        # Whether what is done is to be remembered.
        self._recording = False
        # Of all takes, and of those before the one that is made now.
        self.folders: tuple[Path, ...] = ()
        self._before: tuple[Path, ...] = ()
        # Set where the end waits for it; and what was not finished by then, in sentences.
        self._hurry = threading.Event()
        self.remarks: tuple[str, ...] = ()
        state.listen(self._listen)
        state.watch(self._watch)

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Raise Refused where one of ADDRESSES cannot be carried out."""
        address, (value,) = message
        if address == "/record/folder" and value and not _is_whole(value):
            raise Refused(address, f"{address} takes a whole path, from the root or from ~, not {value!r}; nothing was changed")
        if address != "/record" or not value:
            return
        if self._finishing or (self._running and Message("/record", (0,)) in before):
            raise Refused(address, "the last take is still being finished; start again in a moment; nothing was changed")
        set_before = {message.address: message.values for message in before}
        if not self._running and not any((set_before.get(kind) or self._state.value(kind))[0] for kind in _KINDS.values()):
            raise Refused(address, f"there is nothing to record: set {' or '.join(_KINDS.values())} to 1; nothing was changed")

    def change(self, address: str, value: Value) -> None:
        """Carry out one of ADDRESSES."""
        if address != "/record":
            self._state.set_info(address, value)
        elif value:
            self.start()
        else:
            self.stop()

    @property
    def _running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def _finishing(self) -> bool:
        return self._running and self._stop.is_set()

    def start(self, whole: bool = False) -> None:
        """Begin a take with what goes in now, or, with `whole`, with what went in first; where one is made, it goes on."""
        if self._running:
            return
        read = self._state.value
        kinds = frozenset(kind for kind, address in _KINDS.items() if read(address)[0])
        folder = read("/record/folder")[0]
        order = _Order(
            Path(folder).expanduser() if folder else default_folder(), kinds, read("/record/format")[0] == "flac",
            self._state.clock(), whole, self._values(), self._values,
        )
        self._done.clear()
        self._stop.clear()
        self._recording = True
        # What was told before, and happens from now on.
        for change in self._state.pending():
            self._listen(change)
        self._before = self.folders
        self._tell({"/record": 1, "/record/state": "recording", "/record/seconds": 0.0, "/record/lost": 0.0})
        self._thread = threading.Thread(target=self._guarded, args=(order,), name="recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the take with what goes in now; it is finished on its own thread."""
        if self._thread is not None and not self._stop.is_set():
            self._until = self._state.clock()
            self._recording = False
            self._stop.set()

    def close(self) -> None:
        """End the take, and wait until it is finished, LONGEST_END at most; files that are not FLAC by then stay WAV.

        `remarks` says what was not finished.
        """
        self.stop()
        if self._thread is None:
            return
        self._thread.join(LONGEST_END)
        self._hurry.set()
        # A disk that does not answer is not waited for.
        self._thread.join(_FAREWELL)
        if self._thread.is_alive():
            self.remarks += (f"the disk of {self.folders[-1] if self.folders else 'the recording'} does not answer; "
                             "its files hold what was written a second before the end.",)

    # What was done meanwhile.

    def _is_told(self, address: str) -> bool:
        return address in _TOLD or self._state.controls[address].kind == "setting"

    def _values(self) -> dict[str, tuple[Value, ...]]:
        return {address: value for address, value in self._state.values.items() if self._is_told(address)}

    def _listen(self, change: Change) -> None:
        if self._recording:
            wall = self._state.clock() if change.due is None else change.due
            self._done.append(_Done(wall, next(self._number), change.messages, change.by))

    def _watch(self, addresses: set[str]) -> None:
        if not self._recording:
            return
        wall = self._state.clock()
        for address in _TOLD:
            if address in addresses and (values := self._state.value(address)) is not None:
                self._done.append(_Done(wall, next(self._number), (Message(address, values),)))

    def _tell(self, values: dict[str, Value]) -> None:
        for address, value in values.items():
            self._state.set_info(address, value)

    # The thread.

    def _guarded(self, order: _Order) -> None:
        failure, takes = None, []
        try:
            self._record(order, takes)
        except HostError as problem:
            failure = str(problem)
        except Exception as problem:  # noqa: BLE001 - whatever it is, it must be told
            failure = f"recording failed ({problem!r}); the recording ends here."
        remarks = [] if failure is None else [f"{failure} The sound goes on."]
        if order.flac and takes:
            self._tell({"/record/state": "finishing: turning the files into FLAC"})
        for take in takes:
            try:
                if order.flac and (cut := take.to_flac(self._hurry.is_set)):
                    remarks.append(f"{cut} numbers in {take.folder} were above full scale, and are cut off in FLAC.")
            except HostError as problem:
                remarks.append(f"{problem}.")
        for remark in remarks:
            self._tell({"/notice": remark})
        self.remarks += tuple(remarks)
        self._recording = False
        self._stop.set()
        self._tell({"/record": 0, "/record/state": "off" if failure is None else f"stopped: {failure}"})

    def _record(self, order: _Order, takes: list[Take]) -> None:
        reel: _Reel | None = None
        parts, lost = count(1), 0.0
        make_folder(order.parent)
        try:
            while True:
                stopping = self._stop.wait(_BEAT if takes else _SOON)
                taps = self._taps()
                if reel is not None and taps is not reel.taps:
                    # The device or the run has gone; what it gave last is still there.
                    reel.finish()
                    lost, reel = lost + reel.lost, None
                if reel is None and taps is not None and not (stopping and takes):
                    counts = taps.counts()
                    description = None if counts is None else taps.description(counts.generation)
                    if description is not None and counts.origin is not None:
                        reel = _Reel(order, taps, description, counts, self._done, self._state.left, takes, parts)
                        self.folders = (*self._before, *(take.folder for take in takes))
                if reel is not None and not stopping:
                    reel.beat()
                elif reel is not None:
                    reel.play_out(self._until, self._taps)
                    reel.finish()
                    lost, reel = lost + reel.lost, None
                elif stopping:
                    break
                now_lost = lost + (reel.lost if reel is not None else 0.0)
                self.folders = (*self._before, *(take.folder for take in takes))
                self._tell({"/record/seconds": sum(take.seconds for take in takes), "/record/lost": now_lost})
                if takes:
                    self._tell({"/record/take": str(takes[-1].folder).encode(errors="replace").decode()})
                if stopping:
                    break
        except BaseException:
            if reel is not None:
                reel.abandon()
            raise
        if not takes:
            self._tell({"/notice": "nothing was recorded: there was no sound meanwhile."})
        if lost:
            self._tell({"/notice": f"{lost:.1f} s were lost because the disk was too slow, and are silent in the take."})


class _Reel:
    """What one engine gives, from its memory to the files of a take, or of several where its stems become others."""

    def __init__(
        self,
        order: _Order,
        taps: Taps,
        description: Description,
        counts: Counts,
        done: deque[_Done],
        left: Callable[[tuple[Message, ...], float, Turn | None], tuple[Message, ...]],
        takes: list[Take],
        parts: count,
    ) -> None:
        self.taps = taps
        self._order, self._done, self._left, self._takes, self._parts = order, done, left, takes, parts
        self._waiting: list[_Done] = []
        self._pending: deque[Stretch] = deque()
        self._output, self._input = TrackReader(taps.output), TrackReader(taps.input)
        self._rate, self._engine_rate = description.rate, round(description.engine_rate)
        input_rate = self._engine_rate if description.latency.ahead else self._rate
        self._delay = (description.latency.added + description.latency.lookahead) / self._rate
        device_step, engine_step = common_positions(self._rate, self._engine_rate)
        first = not takes
        begin = 0
        if not (order.whole and first):
            wall = order.wall if first else counts.origin
            position = max(0, round((wall - counts.origin) * self._rate))
            begin = -(-position // device_step) * engine_step
            self._output.skip(_MOST)
            self._input.skip(round(2 * self._rate))
        self._aligned = Aligned(input_rate, self._engine_rate, begin, taps.layout.channels)
        self._origin = counts.origin
        # What is being written, and of which generation the last sound was.
        self._described, self._generation = description, -1
        self._at = begin
        # Nothing from this position on is written.
        self._end: int | None = None
        self._missing = 0
        self._take: Take | None = None

    @property
    def lost(self) -> float:
        """Seconds that were overwritten before they were read."""
        return max(self._output.lost / self._engine_rate, self._input.lost / self._rate)

    def beat(self) -> None:
        """Write what there is of all of them."""
        while self._step():
            pass
        if self._take is not None:
            self._write_down()
            self._take.update()

    def play_out(self, until: float, taps: Callable[[], Taps | None]) -> None:
        """Go on until what was taken in by `until`, seconds since 1970, has come out, and no longer than that should take."""
        end = self._end = round((until - self._origin) * self._engine_rate)
        beats = round((self._delay + _PATIENCE) / 0.05)
        sleeping = threading.Event()
        while self._at < end and beats and taps() is self.taps:
            self._step()
            beats -= 1
            sleeping.wait(0.05)
        while self._step():
            pass
        if taps() is self.taps:
            self._silence(end)

    def finish(self) -> None:
        """Write what is left, and close the files."""
        while self._step():
            pass
        self._aligned.finish()
        self._drain(final=True)
        if self._take is not None:
            self._write_down()
        self._close()

    def abandon(self) -> None:
        """Close the files after the disk refused."""
        try:
            self._close()
        except HostError:
            pass  # what it refused first has been told

    def _step(self) -> bool:
        # In this order: what there is of the output, there is of the input.
        found = self._output.read(_MOST)
        self._pending.extend(found)
        while stretches := self._input.read(_MOST):
            for stretch in stretches:
                self._aligned.add(stretch)
        self._drain()
        return bool(found)

    def _drain(self, final: bool = False) -> None:
        while self._pending:
            stretch = self._pending[0]
            # A resampled input lags behind.
            if not final and self._aligned.end < stretch.position + stretch.sound.shape[1]:
                return
            self._add(self._pending.popleft())

    def _add(self, stretch: Stretch) -> None:
        last = stretch.sound.shape[1]
        if self._end is not None:
            last = min(last, self._end - stretch.position)
        first = max(0, self._at - stretch.position)
        if last <= first:
            return
        if stretch.generation != self._generation:
            self._generation = stretch.generation
            described = self.taps.description(stretch.generation) or self._described
            if self._take is not None and self._kept(described) != self._kept(self._described):
                self._silence(stretch.position)
                self._close()
            self._described = described
        self._silence(stretch.position)
        sounds = stretch.sound[:, first:last]
        mixture = self._aligned.take(self._at + last - first)
        rows = [mixture if name == "mixture" else sounds[row] for name, row in self._kept(self._described).items()]
        self._write(rows, last - first)

    def _silence(self, until: int) -> None:
        """Write what there is of the input up to position `until`, and silence for the rest."""
        while self._at < until:
            size = min(_MOST, until - self._at)
            mixture = self._aligned.take(self._at + size)
            self._write([mixture if name == "mixture" else None for name in self._kept(self._described)], size)
            self._missing += size

    def _write(self, rows: list[np.ndarray | None], size: int) -> None:
        if self._take is None:
            self._open()
        self._take.write(rows, size)
        self._at += size

    def _kept(self, description: Description) -> dict[str, int]:
        """Return the names of the files, and which row of the output each takes; the mixture takes none."""
        kinds, names = self._order.kinds, {}
        if "mixture" in kinds:
            names["mixture"] = -1
        if "master" in kinds:
            names["master"] = 0
        if "stems" in kinds:
            stems = description.names[: self.taps.layout.stems]
            names |= {name if name not in ("mixture", "master") else f"stem-{name}": row for row, name in enumerate(stems, 1)}
        return names

    def _open(self) -> None:
        description, begin = self._described, self._at
        part = next(self._parts)
        wall = self._origin + begin / self._engine_rate
        folder = new_folder(self._order.parent, self._order.wall if part == 1 else wall, part)
        channels = self.taps.layout.channels
        values = self._order.values if part == 1 else self._order.now()
        # What has taken over says so only after a while.
        values = values | {"/run": ("stems" if description.names else "single",)}
        self._take = Take(folder, tuple(self._kept(description)), self._engine_rate, channels, wall, values)
        self._begin = begin
        self._takes.append(self._take)

    def _close(self) -> None:
        take, self._take = self._take, None
        if take is None:
            return
        remarks = []
        if self.lost:
            remarks.append(f"{self.lost:.3f} s were lost because the disk was too slow, and are silent")
        if self._missing:
            remarks.append(f"{self._missing / self._engine_rate:.3f} s of master and stems were not there in time, and are silent")
        self._missing = 0
        take.close(*remarks)

    def _write_down(self) -> None:
        """Write down what was done up to where the files are."""
        while self._done:
            heapq.heappush(self._waiting, self._done.popleft())
        counts = self.taps.counts()
        if counts is not None and counts.origin is not None:
            self._origin = counts.origin
        while self._waiting:
            done = self._waiting[0]
            sample = round((done.wall - self._origin) * self._engine_rate)
            if sample > self._at:
                return
            heapq.heappop(self._waiting)
            for address, values in self._left(done.messages, done.wall, done.by):
                self._take.note(max(0, sample - self._begin), address, values)
