"""A file on the deck: decoded in chunks, in any order, so that each is what one pass from the start would give."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import soxr

from realtime.deck.shelf import Shelf, blank
from realtime.devices.file import clean, open_audio, read_audio
from realtime.errors import HostError

# Samples of a chunk, at the stream's rate.
CHUNK = 1 << 13
# What a resampler that begins within the file must have heard before it gives what one from the start would.
_SETTLING = 1024
# The same for the codecs whose frames overlap, in samples of the file.
_OVERLAPS = 1 << 13
# Containers name protected sound so, near the start of the file or its end.
_PROTECTED = (b"drms", b"drmi", b"enca", b"aavd")
_LOOKED_THROUGH = 1 << 20


class Material:
    """The file at `path` as float32 of `channels` channels at `rate` Hz, a chunk at a time.

    A file with fewer channels has them repeated, one with more has the rest left out. `frames` is its length at `rate`:
    what the file announces, until its end has been met. `title` is its name. `decode` is for one thread; `rows` and `holds` look only at
    what has been decoded, and are for any. Raises HostError for what cannot be read.
    """

    def __init__(self, path: str | Path, rate: int, channels: int) -> None:
        self.path, self.rate, self.channels = Path(path).expanduser(), rate, channels
        # A name may hold what is no text.
        self.title = self.path.stem.encode(errors="replace").decode()
        self.chunks: dict[int, np.ndarray] = {}
        # Stems that belong to what is in the file now.
        self.stems: Shelf | None = None
        # What there is to say of the file, once.
        self.notices: list[str] = []
        self._said: set[str] = set()
        self._open()

    def _open(self) -> None:
        try:
            self._file = open_audio(self.path)
        except HostError:
            if _is_protected(self.path):
                raise HostError(
                    f"{self.path} is protected against copying (DRM), and cannot be played here; choose a file without protection."
                ) from None
            raise
        except (OSError, ValueError) as problem:
            raise HostError(f"{self.title!r} is no file that can be opened ({problem}); check the path.") from None
        self._stamp, self.stems = stamp_of(self.path), None
        # What is played, which may no longer be what has its name.
        self.contents = contents_of(self._stamp)
        common = math.gcd(self._file.samplerate, self.rate)
        # So many frames of the file last as long as so many of the stream.
        self._in_step, self._out_step = self._file.samplerate // common, self.rate // common
        self._places = [c % self._file.channels for c in range(self.channels)]
        self.frames = round(self._file.frames * self._out_step / self._in_step)
        if self.frames == 0:
            raise HostError(f"{self.path} holds no audio; choose another file.")
        self._rewind(0)

    def _rewind(self, start: int) -> None:
        """Let the next sample that is decoded be the one at `start`."""
        settling = 0
        if self._in_step != self._out_step:
            settling = max(_SETTLING, 256 * self._out_step // self._in_step)
        if self._file.format in ("OGG", "MP3", "MPEG"):
            settling += _OVERLAPS * self._out_step // self._in_step
        steps = max(0, start - settling) // self._out_step
        try:
            self._file.seek(steps * self._in_step)
        except (RuntimeError, OSError, ValueError) as problem:
            raise HostError(f"{self.path} cannot be read from within ({problem}).") from None
        self._resampler = None
        if self._in_step != self._out_step:
            arguments = self._in_step, self._out_step, self.channels
            self._resampler = soxr.ResampleStream(*arguments, dtype="float32", quality="VHQ")
        self._ready = np.zeros((0, self.channels), np.float32)
        self._ended = False
        self._at, self._surplus = start, start - steps * self._out_step

    # Any thread.

    def holds(self, start: int, count: int) -> bool:
        """Return whether all of [start, start + count) that lies in the file has been decoded."""
        first, last = max(0, start), min(start + count, self.frames)
        return last <= first or all(index in self.chunks for index in range(first // CHUNK, (last - 1) // CHUNK + 1))

    def rows(self, start: int, out: np.ndarray) -> int:
        """Copy what is there from `start` on into `out` [n, channels], silence outside the file; return how many samples.

        It stops short at the first that has not been decoded. Wider rows take the stems as well, see `realtime.deck.shelf`.
        """
        if out.shape[1] == self.channels:
            return self._sound(start, out)
        done, stems = self._sound(start, out[:, : self.channels]), self.stems
        extra = out[:done, self.channels :]
        if stems is None:
            blank(extra)
        else:
            stems.rows(start, extra, self.frames)
        return done

    def _sound(self, start: int, out: np.ndarray) -> int:
        done = 0
        while done < len(out):
            at = start + done
            if at < 0 or at >= self.frames:
                count = min(len(out) - done, -at) if at < 0 else len(out) - done
                out[done : done + count] = 0
            else:
                chunk = self.chunks.get(at // CHUNK)
                if chunk is None:
                    break
                count = min(len(out) - done, CHUNK - at % CHUNK, self.frames - at)
                part = chunk[at % CHUNK :][:count]
                out[done : done + len(part)] = part
                out[done + len(part) : done + count] = 0
            done += count
        return done

    # The decoder's thread.

    def decode(self, index: int) -> None:
        """Decode chunk `index`. Raises HostError where the file fails."""
        self._look_for_changes()
        start = index * CHUNK
        if start != self._at:
            self._rewind(start)
        while len(self._ready) < CHUNK + self._surplus and not self._ended:
            self._ready = np.concatenate([self._ready, self._more()])
        rows = self._ready[self._surplus :][:CHUNK]
        self._ready = self._ready[self._surplus + CHUNK :]
        self._at, self._surplus = start + CHUNK, 0
        self.chunks[index] = np.ascontiguousarray(rows)
        end = start + len(rows)
        if self._ended and len(rows) < CHUNK and end < self.frames - 1:
            if end < 0.98 * self.frames:
                self._say(
                    f"{self.path} ends after {end / self.rate:.1f} s, although it announces {self.frames / self.rate:.1f} s."
                )
            self.frames = max(end, 1)

    def forget(self, kept: set[int]) -> None:
        """Let go of all chunks but `kept`."""
        for index in [each for each in self.chunks if each not in kept]:
            del self.chunks[index]

    def close(self) -> None:
        """Close the file; what has been decoded stays."""
        self._file.close()

    def _more(self) -> np.ndarray:
        rows = clean(read_audio(self._file, self.path, 8192))[0]
        self._ended = len(rows) == 0
        rows = np.ascontiguousarray(rows[:, self._places])
        return rows if self._resampler is None else self._resampler.resample_chunk(rows, last=self._ended)

    def _look_for_changes(self) -> None:
        stamp = stamp_of(self.path)
        if stamp == self._stamp:
            return
        before, self._stamp = self._stamp, stamp
        if stamp is None:
            self._say(f"{self.path} is no longer where it was; what the deck has opened of it plays on.")
        elif before is None or stamp[:2] != before[:2]:
            self._say(f"another file has taken the place of {self.path}; the one on the deck plays on.")
        else:
            # The same file with other contents: what was read before is of no use for what follows.
            self._file.close()
            self._open()
            self._say(f"{self.path} has changed while it plays; the deck goes on with what it holds now.")

    def _say(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self.notices.append(sentence)


def stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """Return what tells a file from others, and its contents from others; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def contents_of(stamp: tuple[int, int, int, int] | None) -> str:
    """Return `stamp` as text."""
    return "" if stamp is None else ":".join(map(str, stamp))


def _is_protected(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            looked = file.read(_LOOKED_THROUGH)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOOKED_THROUGH))
            looked += file.read()
    except (OSError, ValueError):
        return False
    return b"ftyp" in looked[:64] and any(word in looked for word in _PROTECTED)
