"""What a run sounds like, written to files from the stream's taps by a thread of its own.

In the control process, so that a slow or full disk cannot touch the sound.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.devices.file import FileSink
from realtime.errors import HostError
from realtime.taps import Taps
from realtime.track import Stretch, TrackReader

# How often the tape looks for more, in seconds, and how many samples it takes at once.
_BEAT = 0.05
_MOST = 1 << 15


def make_folder(folder: Path) -> Path:
    """Return `folder`, made with its parents where it was missing. Raises HostError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise HostError(f"{folder} cannot be made a folder ({problem.strerror}); choose another.") from None
    return folder


def check_folder(folder: Path) -> None:
    """Make `folder`, and raise HostError where no file can be written to it."""
    make_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise HostError(f"nothing can be written to {folder} ({problem.strerror}); choose another folder.") from None


@dataclass(frozen=True)
class Recording:
    """What to record: `heard` is a file for what the device gives, at `rate`; `folder` takes a file for each of `names`.

    Those begin with the source and are as long as what went in, `frames` samples at most, at `engine_rate`.
    They are the stems, or, where there is one name, the master.
    """

    heard: Path | None
    rate: int
    folder: Path | None
    engine_rate: float
    names: tuple[str, ...]
    frames: int


class Tape:
    """Records `recording` from `taps` until `stop`. Raises HostError where a file cannot be made."""

    def __init__(self, recording: Recording, taps: Taps) -> None:
        self._parts: list[_Part] = []
        if recording.heard is not None:
            sinks = [FileSink(recording.heard, recording.rate, taps.layout.heard)]
            self._parts.append(_Part(TrackReader(taps.heard), sinks))
        if recording.folder is not None:
            paths = [make_folder(recording.folder) / f"{name}.wav" for name in recording.names]
            sinks = [FileSink(path, int(recording.engine_rate), taps.layout.channels) for path in paths]
            self._parts.append(_Stems(TrackReader(taps.output), sinks, recording.frames, taps))
        self._failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tape", daemon=True)
        self._thread.start()

    def stop(self) -> tuple[Path, ...]:
        """Write what is left, after the stream has ended, and return the files."""
        self._stop.set()
        self._thread.join()
        return tuple(sink.path for part in self._parts for sink in part.sinks)

    @property
    def problem(self) -> str | None:
        """What the files lack, in sentences, once stopped; None where they are complete."""
        said = [*self._failures, *(part.missing for part in self._parts if part.missing)]
        return " ".join(said) or None

    def _run(self) -> None:
        going = list(self._parts)
        last = False
        while going and not last:
            # Asked first: what is written before the stop is to be read after it.
            last = self._stop.wait(_BEAT)
            for part in list(going):
                try:
                    while part.take():
                        pass
                    if last:
                        part.finish()
                except HostError as problem:
                    self._failures.append(str(problem))
                    going.remove(part)
        for part in self._parts:
            try:
                part.close()
            except HostError as problem:
                self._failures.append(str(problem))


class _Part:
    """The files of one track: `sinks` take its rows from `row` on, from position 0 to `end`."""

    row = 0
    end: int | None = None

    def __init__(self, reader: TrackReader, sinks: list[FileSink]) -> None:
        self.reader, self.sinks = reader, sinks
        self.written = 0

    @property
    def missing(self) -> str | None:
        """What the files lack, in a sentence; None where that is nothing."""
        if not self.reader.lost:
            return None
        sink, seconds = self.sinks[0], self.reader.lost / self.sinks[0].rate
        where = sink.path if len(self.sinks) == 1 else sink.path.parent
        return f"the disk was too slow for {where}: {seconds:.1f} s are missing there and silent; what was heard was whole."

    def take(self) -> bool:
        """Write some of what there is; return whether there was any."""
        stretches = self.reader.read(_MOST)
        for stretch in stretches:
            self._add(stretch)
        return bool(stretches)

    def finish(self) -> None:
        """Bring the files to their length."""

    def close(self) -> None:
        """Close the files."""
        for sink in self.sinks:
            sink.close()

    def _add(self, stretch: Stretch) -> None:
        # What is missing between two stretches was missed or overwritten, and is silent.
        self.silence(stretch.position)
        first = max(0, self.written - stretch.position)
        last = stretch.sound.shape[1] if self.end is None else self.end - stretch.position
        sounds = stretch.sound[self.row : self.row + len(self.sinks), first : max(first, last)]
        for sink, sound in zip(self.sinks, sounds, strict=True):
            sink.write(sound)
        self.written += sounds.shape[1]

    def silence(self, until: int) -> None:
        """Write silence up to position `until`, but not beyond the end."""
        until = until if self.end is None else min(until, self.end)
        while self.written < until:
            count = min(_MOST, until - self.written)
            for sink in self.sinks:
                sink.write(np.zeros((count, sink.channels), np.float32))
            self.written += count


class _Stems(_Part):
    """The stems, or the master, as long as what went in."""

    def __init__(self, reader: TrackReader, sinks: list[FileSink], frames: int, taps: Taps) -> None:
        super().__init__(reader, sinks)
        self.end = frames
        self.row = 1 if len(sinks) > 1 else 0
        self._taps = taps

    def finish(self) -> None:
        counts = self._taps.counts()
        self.silence(0 if counts is None else counts.position)
