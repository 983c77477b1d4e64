"""Stems on disk, for the next time: a folder for each song, separator and mode, a file for each segment.

A segment's file holds its SHA-256, a line of JSON, and FLAC of 24 bits with 12 dB of room above full scale, eight channels at
most in each stream. It appears only when it is whole, and one that does not keep its digest is named and made anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import time
from pathlib import Path

import numpy as np
import soundfile
from platformdirs import user_cache_dir

from realtime.errors import HostError
from realtime.wholewrite import write_whole

FORMAT = 1
# Samples of a segment, and how many of the next one it holds besides, which readers fade over.
SEGMENT, OVERLAP = 1 << 16, 512
# Full scale of the files.
_ROOM = 4.0
_WIDEST = 8
_SUFFIX = ".stems"
# What a writer that ended too soon has left behind is not older than this, in seconds, while it may still write.
_STALE = 600.0


def default_folder() -> Path:
    """Return where stems are kept; it may not exist yet."""
    return Path(user_cache_dir("lasaft-live", appauthor=False)) / "deck"


class Damaged(HostError):
    """A file of the cache that is not what was written."""


class Entry:
    """The stems of one song by one separator in one mode, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, index: int) -> Path:
        """Return the file of segment `index`, which may not be there."""
        return self.folder / f"{index:06d}{_SUFFIX}"

    def segments(self) -> set[int]:
        """Return which segments are there."""
        try:
            names = [each.stem for each in self.folder.iterdir() if each.suffix == _SUFFIX]
        except OSError:
            return set()
        return {int(name) for name in names if name.isdigit()}

    def write(self, index: int, sound: np.ndarray, levels: np.ndarray, rate: int) -> int:
        """Keep `sound` float32 [n, columns] and what `read` is to return as its levels, whole numbers [places, stems].

        Returns the size in bytes. Raises OSError, and leaves nothing behind, where the disk refuses.
        """
        streams = []
        for first in range(0, sound.shape[1], _WIDEST):
            part = io.BytesIO()
            scaled = np.clip(sound[:, first : first + _WIDEST] / np.float32(_ROOM), -1, 1)
            soundfile.write(part, scaled, rate, subtype="PCM_24", format="FLAC")
            streams.append(part.getvalue())
        about = {"lengths": [len(stream) for stream in streams], "levels": levels.tolist()}
        body = json.dumps(about).encode() + b"\n" + b"".join(streams)
        write_whole(self.path(index), hashlib.sha256(body).digest() + body)
        return 32 + len(body)

    def levels(self, index: int) -> np.ndarray:
        """Return the levels of segment `index`. Raises Damaged, or OSError where it is not there."""
        return np.array(self._open(index)[0]["levels"], np.uint8)

    def read(self, index: int) -> np.ndarray:
        """Return the sound of segment `index`, float32 [n, columns]. Raises Damaged, or OSError where it is not there."""
        about, body = self._open(index)
        parts, at = [], 0
        try:
            for length in about["lengths"]:
                stream = io.BytesIO(body[at : at + length])
                parts.append(soundfile.read(stream, dtype="float32", always_2d=True)[0])
                at += length
            sound = np.concatenate(parts, axis=1)
        except (soundfile.SoundFileError, ValueError, KeyError, TypeError):
            raise self._damaged(index) from None
        sound *= np.float32(_ROOM)
        return sound

    def drop(self, index: int) -> None:
        """Let segment `index` be missing."""
        try:
            self.path(index).unlink(missing_ok=True)
        except OSError:
            pass  # in use, on some systems; it is found again the next time

    def size(self) -> int:
        """Return how many bytes it takes."""
        return sum(_size(path) for path in _files(self.folder))

    def _open(self, index: int) -> tuple[dict, bytes]:
        data = self.path(index).read_bytes()
        digest, body = data[:32], data[32:]
        line, _, rest = body.partition(b"\n")
        if hashlib.sha256(body).digest() != digest:
            raise self._damaged(index)
        try:
            return json.loads(line), rest
        except ValueError:
            raise self._damaged(index) from None

    def _damaged(self, index: int) -> Damaged:
        return Damaged(f"{self.path(index)}, stems of the deck, is damaged; it is dropped and made anew.")


class Cache:
    """Entries in `folder`, at most `limit` bytes of them: the ones used longest ago go first."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def entry(self, contents: str, separator: str, mode: str, rate: int, channels: int, stems: tuple[str, ...], about: dict) -> Entry:
        """Return the entry for a file by the hash of its `contents` and a separator by its own, used now.

        `about` is for whoever looks into the folder. Raises OSError where it cannot be made.
        """
        key = json.dumps([FORMAT, contents, separator, mode, rate, channels, stems])
        folder = self.folder / hashlib.sha256(key.encode()).hexdigest()[:40]
        folder.mkdir(parents=True, exist_ok=True)
        # Its age is when this was written last.
        write_whole(folder / "about.json", json.dumps(about, indent=1) + "\n")
        for path in _files(folder):
            if path.name.startswith(".") and _age(path) > _STALE:
                path.unlink(missing_ok=True)
        return Entry(folder)

    def size(self) -> int:
        """Return how many bytes all entries take."""
        return sum(Entry(folder).size() for folder in self._folders())

    def trim(self, kept: Entry) -> int:
        """Remove what was used longest ago until the rest fits, but not `kept`; return how many bytes are left."""
        sizes = {folder: Entry(folder).size() for folder in self._folders()}
        for folder in sorted(sizes, key=lambda each: -_age(each / "about.json")):
            if sum(sizes.values()) <= self.limit:
                break
            if folder != kept.folder:
                shutil.rmtree(folder, ignore_errors=True)
                del sizes[folder]
        return sum(sizes.values())

    def _folders(self) -> list[Path]:
        try:
            return [each for each in self.folder.iterdir() if each.is_dir()]
        except OSError:
            return []


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")
