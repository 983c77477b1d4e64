"""A take on disk: a folder of files that begin at the same sample, and what was done meanwhile, as text."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from realtime.control import Value
from realtime.devices.file import CHUNK, FileSink
from realtime.errors import HostError
from realtime.tape import make_folder

CHANGES = "changes.tsv"


def new_folder(parent: Path, wall: float, part: int = 1) -> Path:
    """Return a new folder in `parent`, named by the local time of `wall`, seconds since 1970, and by `part` from the second on.

    Raises HostError where it cannot be made.
    """
    name = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(wall)) + (f"_part-{part}" if part > 1 else "")
    make_folder(parent)
    number, folder = 1, parent / name
    while folder.exists():
        number += 1
        folder = parent / f"{name}_{number}"
    return make_folder(folder)


def local_time(wall: float) -> str:
    """Return `wall`, seconds since 1970, as local time with its zone, to the millisecond."""
    whole = time.localtime(wall)
    return time.strftime("%Y-%m-%d %H:%M:%S", whole) + f".{int(wall % 1 * 1000):03d}" + time.strftime(" %z", whole)


class Take:
    """Files for `names` in `folder`, at `rate` Hz, each `channels` wide, of which sample 0 was taken in at `wall`.

    They are WAV of 32-bit floats, and open after any end: `update` is to be called once a second or more. `values`
    are those of the controls at sample 0. All methods raise HostError where the disk refuses.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        rate: int,
        channels: int,
        wall: float,
        values: dict[str, tuple[Value, ...]],
    ) -> None:
        self.folder, self.rate, self.wall = folder, rate, wall
        self.written = 0
        self._sinks: list[FileSink] = []
        self._changes = None
        try:
            self._changes = (folder / CHANGES).open("w", encoding="utf-8", newline="\n")
            self._say(f"# LaSAFT Live: the controls of a take that began {local_time(wall)}")
            self._say(f"# samples are those of the files in this folder, {rate} a second; values as JSON")
            self._say("sample\tseconds\taddress\tvalues")
            for address, value in values.items():
                self.note(0, address, value)
            for name in names:
                self._sinks.append(FileSink(folder / f"{name}.wav", rate, channels))
            self.update()
        except (OSError, HostError) as problem:
            self._abandon()
            if isinstance(problem, HostError):
                raise
            raise self._refused(problem) from None

    @property
    def seconds(self) -> float:
        """How long the files are."""
        return self.written / self.rate

    def write(self, sounds: Sequence[np.ndarray | None], count: int) -> None:
        """Append `count` samples: for each name float32 [count, channels], or None for silence."""
        silence = None
        for sink, sound in zip(self._sinks, sounds, strict=True):
            if sound is None:
                silence = np.zeros((count, sink.channels), np.float32) if silence is None else silence
                sound = silence
            sink.write(sound)
        self.written += count

    def note(self, sample: int, address: str, values: Sequence[Value]) -> None:
        """Write down that a control took `values` at `sample`."""
        shown = " ".join(
            f'"a blob of {len(value)} bytes"' if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
            for value in values
        )
        self._say(f"{sample}\t{sample / self.rate:.6f}\t{address}\t{shown}")

    def update(self) -> None:
        """Let the files be whole as far as they go, were this the end."""
        for sink in self._sinks:
            sink.update()
        try:
            self._changes.flush()
        except OSError as problem:
            raise self._refused(problem) from None

    def close(self, *remarks: str) -> None:
        """Finish the files; `remarks` end the text."""
        failure = None
        try:
            for remark in remarks:
                self._say(f"# {remark}")
            self._say(f"# ended after {self.written} samples, {self.seconds:.3f} s")
            self._changes.close()
        except HostError as problem:
            failure = problem
        except OSError as problem:
            failure = self._refused(problem)
        for sink in self._sinks:
            try:
                sink.close()
            except HostError as problem:
                failure = failure or problem
        if failure is not None:
            raise failure

    def to_flac(self, ends: Callable[[], bool] = lambda: False) -> int:
        """Turn the files, closed before, into FLAC of 24 bits; return how many of their numbers are cut off at full scale.

        A file that cannot be turned stays WAV, as do all that are left when `ends` says that it is to end.
        """
        return sum(_turned(sink.path, ends) for sink in self._sinks)

    def _say(self, line: str) -> None:
        try:
            self._changes.write(line + "\n")
        except OSError as problem:
            raise self._refused(problem) from None

    def _refused(self, problem: OSError) -> HostError:
        return HostError(f"{self.folder / CHANGES} cannot be written ({problem.strerror}); the recording ends here.")

    def _abandon(self) -> None:
        for file in (self._changes, *self._sinks):
            try:
                if file is not None:
                    file.close()
            except (OSError, HostError):
                pass  # what was wrong first is what counts


def _turned(path: Path, ends: Callable[[], bool]) -> int:
    part, cut = path.with_suffix(".part"), 0
    try:
        with (
            soundfile.SoundFile(path) as source,
            soundfile.SoundFile(part, "w", source.samplerate, source.channels, "PCM_24", format="FLAC") as flac,
        ):
            while len(rows := source.read(CHUNK, dtype="float32", always_2d=True)):
                if ends():
                    raise HostError(f"{path.parent} holds WAV files that were not FLAC by the end of the host, and are whole")
                cut += int(np.count_nonzero(np.abs(rows) > 1))
                flac.write(np.clip(rows, -1, 1))
        part.replace(path.with_suffix(".flac"))
        path.unlink()
    except (soundfile.SoundFileError, OSError) as problem:
        raise HostError(f"{path} stays WAV: it cannot be turned into FLAC ({problem})") from None
    finally:
        part.unlink(missing_ok=True)
    return cut
