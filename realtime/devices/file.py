"""Audio files as the source and the sink of a stream."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import soundfile
import soxr

from realtime.errors import HostError

CHUNK = 1 << 16
# A disk with less room than this, in bytes, has refused a write for that reason.
_FULL = 1 << 20
# What libsndfile logs where a WAV or AIFF header promises more bytes than follow: "data : 100 (should be 60)".
_SHORT = re.compile(r"^\s*(?:data|SSND)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
# Streamed WAV files carry a placeholder instead of a length.
_PLACEHOLDER = 0xFFFFFF00
# libsndfile's SFC_RF64_AUTO_DOWNGRADE and SFC_UPDATE_HEADER_NOW.
_AUTO_DOWNGRADE, _UPDATE_HEADER = 0x1210, 0x1060


class FileSource:
    """Reads `path` as float32 at `rate` Hz, resampled where the file has another rate.

    The file is decoded once on opening, so that a damaged one is refused (HostError) before the
    music starts. Samples that are not finite become 0; `notice` says how many. `frames` is the
    length at `rate`, `channels` the file's own.
    """

    def __init__(self, path: str | Path, rate: int) -> None:
        self.path = Path(path)
        self.rate = rate
        bad, frames = self._scan()
        self._file = open_audio(self.path)
        self.channels: int = self._file.channels
        self.file_rate: int = self._file.samplerate
        self.frames = frames if self.file_rate == rate else round(frames * rate / self.file_rate)
        self.notice: str | None = None
        if bad:
            self.notice = f"{self.path.name} has {bad} samples that are not numbers; they are played as silence."
        self._resampler = None
        if self.file_rate != rate:
            self._resampler = soxr.ResampleStream(self.file_rate, rate, self.channels, dtype="float32", quality="VHQ")
        self._ready = np.zeros((0, self.channels), np.float32)
        self._ended = False
        self._given = 0

    def read(self, n: int) -> np.ndarray:
        """Return the next samples, float32 [n, channels], fewer at the end. Raises HostError if the file fails."""
        n = min(n, self.frames - self._given)
        while len(self._ready) < n and not self._ended:
            self._ready = np.concatenate([self._ready, self._more(n)])
        rows, self._ready = self._ready[:n], self._ready[n:]
        self._given += len(rows)
        return rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _more(self, n: int) -> np.ndarray:
        rows = clean(read_audio(self._file, self.path, max(n, 4096)))[0]
        self._ended = len(rows) == 0
        if self._resampler is None:
            return rows
        return self._resampler.resample_chunk(rows, last=self._ended)

    def _scan(self) -> tuple[int, int]:
        with open_audio(self.path) as file:
            short = _SHORT.search(file.extra_info)
            if short and int(short[2]) < int(short[1]) < _PLACEHOLDER:
                raise _truncated(self.path, int(short[2]) / int(short[1]))
            bad = frames = 0
            while len(rows := read_audio(file, self.path, CHUNK)):
                bad += clean(rows)[1]
                frames += len(rows)
            if frames == 0:
                raise HostError(f"{self.path} holds no audio; choose another file.")
            # The announced length of some compressed formats is an estimate.
            if frames < 0.98 * file.frames:
                raise _truncated(self.path, frames / file.frames)
        return bad, frames


def reader(audio: np.ndarray) -> Callable[[int], np.ndarray]:
    """Return `read(n)` of a source that plays `audio` [samples, channels] once."""
    position = 0

    def read(n: int) -> np.ndarray:
        nonlocal position
        position += n
        return audio[position - n : position]

    return read


def endless(audio: np.ndarray) -> Callable[[int], np.ndarray]:
    """Return `read(n)` of a source that plays `audio` [samples, channels] round and round."""
    position = 0

    def read(n: int) -> np.ndarray:
        nonlocal position
        rows = audio.take(range(position, position + n), axis=0, mode="wrap")
        position = (position + n) % len(audio)
        return rows

    return read


class FileSink:
    """Writes float32 [n, channels] blocks to a WAV file of 32-bit floats, RF64 beyond 4 GB. Raises HostError."""

    def __init__(self, path: str | Path, rate: int, channels: int) -> None:
        self.path, self.rate, self.channels = Path(path), rate, channels
        if self.path.is_dir():
            raise HostError(f"{self.path} cannot be written: it is a folder; name a file in it.")
        try:
            self._file = soundfile.SoundFile(self.path, "w", rate, channels, "FLOAT", format="RF64")
        except (soundfile.SoundFileError, OSError) as problem:
            raise HostError(f"{self.path} cannot be written ({problem}); choose a folder you may write to.") from None
        # Where that cannot be, it stays RF64, which is valid at any length.
        self._command(_AUTO_DOWNGRADE, 1)

    def write(self, block: np.ndarray) -> None:
        """Append `block`. Raises HostError where the disk refuses."""
        try:
            self._file.write(block)
        except (soundfile.SoundFileError, OSError) as problem:
            # libsndfile does not say so itself.
            reason = "the disk is full" if _room(self.path) < _FULL else problem
            raise HostError(f"writing {self.path} failed ({reason}); the recording ends here.") from None

    def update(self) -> None:
        """Write the length so far into the header: from here on, the file opens however its writer ends."""
        self._command(_UPDATE_HEADER, 0)

    def _command(self, command: int, value: int) -> None:
        # soundfile itself has no name for it.
        try:
            soundfile._snd.sf_command(self._file._file, command, soundfile._ffi.NULL, value)
        except AttributeError:
            pass

    def close(self) -> None:
        """Finish the file. Raises HostError where the disk refuses."""
        try:
            self._file.close()
        except (soundfile.SoundFileError, OSError) as problem:
            raise HostError(f"finishing {self.path} failed ({problem}); its end may be missing.") from None


def _room(path: Path) -> int:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return _FULL


def open_audio(path: Path) -> soundfile.SoundFile:
    """Open an audio file. Raises HostError where there is none, or none that can be read."""
    if path.is_dir():
        raise HostError(f"{path} is a folder; name a file in it.")
    if not path.is_file():
        raise HostError(f"there is no file {path}; check the path.")
    if path.stat().st_size == 0:
        raise HostError(f"{path} is empty; choose another file.")
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError) as problem:
        # The library's own sentence names the path once more.
        why = str(problem).partition(": ")[2].rstrip(".") or str(problem)
        raise HostError(
            f"{path} cannot be read as audio: {why}. It may be damaged, or of another kind; WAV, AIFF, FLAC, Ogg and MP3 can be read."
        ) from None


def read_audio(file: soundfile.SoundFile, path: Path, n: int) -> np.ndarray:
    """Return the next `n` frames, float32 [n, channels], fewer at the end. Raises HostError for damage."""
    try:
        return file.read(n, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as problem:
        raise HostError(f"{path} is damaged ({problem}); choose another copy.") from None


def clean(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Return `rows` with 0 for what is not finite, and how many that were."""
    finite = np.isfinite(rows)
    bad = rows.size - int(np.count_nonzero(finite))
    return (np.where(finite, rows, np.float32(0)) if bad else rows), bad


def _truncated(path: Path, share: float) -> HostError:
    return HostError(f"{path} is cut short: only {share:.0%} of the audio it announces is there; choose another copy.")
