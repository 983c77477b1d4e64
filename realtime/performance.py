"""A performance in stream time: a song through the engine while gestures move the controls, each on its sample.

No clock takes part: the same song, gestures and separator give the same bits each time on the same machine.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from realtime.control import Value
from realtime.defaults import default_run
from realtime.demo import demo_song
from realtime.devices.file import FileSource, reader
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.gesture import FASTEST, SHORTEST_ROUND, SLOWEST, Gesture
from realtime.gesturefile import find_gesture, read_gesture
from realtime.latency import Mode
from realtime.metadata import Metadata
from realtime.mix import Mix
from realtime.picture import check_picture, draw_performance
from realtime.separator import Separator
from realtime.state import Change, ControlState, Message
from realtime.wholefiles import whole_files


@dataclass(frozen=True)
class Performance:
    """What to perform: `song` is a file or "demo", `gestures` are names or files, `preset` is what they begin from.

    With `loop` they come round until the song ends; `speed` is how fast they go, 0.1 to 10. `output` takes what is
    heard, `stems` the separated stems before their gains, `picture` their spectrograms.
    """

    song: str
    gestures: tuple[str, ...]
    output: Path
    stems: Path | None = None
    picture: Path | None = None
    preset: str | None = None
    loop: bool = False
    speed: float = 1.0
    run: str | None = None


@dataclass(frozen=True)
class Timed:
    """`mix` holds from sample `position` on."""

    position: int
    mix: Mix


def course(
    stems: Sequence[str], gestures: Sequence[Gesture], seconds: float, rate: int,
    preset: str | None = None, loop: bool = False, speed: float = 1.0,
) -> Iterator[Timed]:  # fmt: skip
    """Yield the mixes of a performance that lasts `seconds`, in the order of their positions at `rate` Hz.

    The first is the one it begins with, at 0. What happens at one time in several gestures happens in their order.
    """
    sheet = _Sheet()
    state = ControlState(stems, sheet, lambda: 0.0)
    if preset is not None:
        state.set("/preset", preset)
    begun = Timed(0, state.mix)
    parts = [_rounds(gesture, state, seconds, loop, speed) for gesture in gestures]
    for time, messages in heapq.merge(*parts, key=lambda part: part[0]):
        position = round(time * rate)
        if position > 0 and begun is not None:
            yield begun
            begun = None
        if position >= seconds * rate:
            break
        state.apply([Change(messages)])
        if begun is None:
            yield Timed(position, sheet.mix)
        else:
            begun = Timed(0, sheet.mix)
    if begun is not None:
        yield begun


class _Sheet:
    """In place of an engine: keeps the last mix. Time is told by whoever plays."""

    mix: Mix

    def submit(self, mix: Mix, at: int | None) -> None:
        self.mix = mix

    def position(self, wall: float) -> None:
        return None

    def telemetry(self) -> None:
        return None

    def change(self, address: str, value: Value | None) -> None:
        raise HostError(f"{address} cannot change in a performance")


def _rounds(
    gesture: Gesture, state: ControlState, seconds: float, loop: bool, speed: float
) -> Iterator[tuple[float, tuple[Message, ...]]]:
    values, lasts, begin = state.values, gesture.length / speed, 0.0
    while begin < seconds:
        for time, messages in gesture.changes(state, values, speed):
            yield begin + time, messages
        if not loop or lasts < SHORTEST_ROUND:
            return
        begin += lasts


def perform(
    separator: Separator,
    mode: Mode,
    performance: Performance,
    progress: Callable[[float], object] = lambda share: None,
) -> tuple[list[Path], list[str]]:
    """Perform, and return the files written and what there is to say. Raises HostError.

    Files have 32-bit floats, at the song's rate where the separator knows it, else at the separator's own; they are as
    long as the song and aligned with it, and appear only when whole.
    """
    meta = separator.metadata
    run = performance.run or default_run(meta, readable=True)
    _check(performance, run)
    state = ControlState(meta.stems, _Sheet())
    paths = [find_gesture(name) for name in performance.gestures]
    gestures = [read_gesture(path, state) for path in paths]
    names = meta.stems if performance.stems is not None else ()
    targets = [performance.output, *(performance.stems / f"{name}.wav" for name in names)]
    inputs = {path.resolve() for path in (Path(performance.song), *paths)}
    for target in targets:
        if target.resolve() in inputs:
            raise HostError(f"writing {target} would overwrite what is read; choose another place")
    with _Song(performance.song, meta) as song:
        mixes = tuple(
            course(
                meta.stems, [each.gesture for each in gestures], song.frames / song.rate, song.rate,
                performance.preset, performance.loop, performance.speed,
            )
        )  # fmt: skip
        engine = Engine(separator, mode, song.channels, run, mixes[0].mix, song.rate)
        _write(targets, song, _heard(engine, song, mixes), progress)
        notices = [song.notice] if song.notice else []
        notices += [notice for each in gestures for notice in each.notices]
        rate, frames = song.rate, song.frames
    if performance.picture is not None:
        with _Song(performance.song, meta) as song, FileSource(performance.output, rate) as heard:
            moves = tuple((each.position / rate, each.mix) for each in mixes)
            title = f"{Path(performance.song).stem}, performed with {meta.name}"
            draw_performance(performance.picture, title, (song.read, heard.read), frames, rate, meta.stems, moves)
        targets.append(performance.picture)
    return targets, notices


def _check(performance: Performance, run: str) -> None:
    if not SLOWEST <= performance.speed <= FASTEST:
        raise HostError(f"--speed {performance.speed:g}: gestures go {SLOWEST:g} to {FASTEST:g} times as fast as they are")
    if performance.stems is not None and run != "stems":
        raise HostError("--stems needs --run stems: in single there is one sound alone, the one that is heard")
    if performance.output.suffix.lower() != ".wav":
        raise HostError(f"{performance.output} is no WAV: name a file that ends in .wav")
    if performance.picture is not None:
        check_picture(performance.picture)


class _Song:
    """The file at `name`, or the demo song, at a rate that the separator knows: its own where it does."""

    def __init__(self, name: str, meta: Metadata) -> None:
        self._file: FileSource | None = None
        self.rate, self.notice = meta.sample_rates[0], None
        if name == "demo":
            audio = demo_song(rate=self.rate).mixture
            self.read, self.frames, self.channels = reader(audio), len(audio), audio.shape[1]
            return
        with FileSource(name, self.rate) as probe:
            if probe.file_rate in meta.sample_rates:
                self.rate = probe.file_rate
            elif probe.file_rate != self.rate:
                self.notice = f"{name} has {probe.file_rate} Hz, the performance the separator's {self.rate} Hz."
        self._file = FileSource(name, self.rate)
        self.read, self.frames, self.channels = self._file.read, self._file.frames, self._file.channels
        self.notice = " ".join(filter(None, (self.notice, self._file.notice))) or None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()


def _heard(engine: Engine, song: _Song, mixes: Sequence[Timed]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the parts of what is heard, and of the stems where the engine runs them, each [n, channels]."""
    engine.ends_at = song.frames
    block = np.zeros((engine.step, song.channels), np.float32)
    index, given = 1, 0
    while given < song.frames:
        rows = song.read(engine.step)
        block.fill(0)
        block[: len(rows)] = rows
        while index < len(mixes) and mixes[index].position < engine.end + engine.step:
            engine.schedule.submit(mixes[index].mix, mixes[index].position)
            index += 1
        if not engine.process(block):
            raise HostError(f"separator '{engine.separator.metadata.name}' gave numbers that are not finite; nothing was kept")
        part = slice(max(0, -engine.start), max(0, min(engine.step, song.frames - engine.start)))
        if (count := len(engine.master[part])) > 0:
            given += count
            yield engine.master[part], *engine.stems[:, part]


def _write(
    targets: Sequence[Path], song: _Song, sounds: Iterator[tuple[np.ndarray, ...]], progress: Callable[[float], object]
) -> None:
    """Write the first of each part's sounds to `targets`; they appear when whole."""
    written = 0
    with whole_files(targets, song.rate, song.channels, "choose another place") as sinks:
        for parts in sounds:
            for sink, part in zip(sinks, parts, strict=False):
                sink.write(np.ascontiguousarray(part))
            written += len(parts[0])
            progress(written / song.frames)
