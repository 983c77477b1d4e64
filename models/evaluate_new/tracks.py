"""What is measured on: excerpts and whole songs with their true stems, one at a time in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from models.data.corpus import RATE, STEMS, Corpus, read_stereo
from models.evaluate.baselines import Stems
from realtime.errors import HostError

SUFFIXES = (".wav", ".flac", ".ogg")
LAYOUT = "a folder of songs, each a folder with " + ", ".join(f"{stem}.wav" for stem in STEMS) + " (or .flac, .ogg)"


@dataclass(frozen=True)
class Track:
    """A piece of music: its `name`, and `read`, which gives its stems, float32 [samples, 2] at 44.1 kHz each.

    `read` raises HostError where files are missing, broken or of different lengths.
    """

    name: str
    read: Callable[[], Stems]

    def at_equal_loudness(self) -> Track:
        """Return the same track with every stem at one level."""
        return Track(self.name, lambda: at_equal_loudness(self.read()))


@dataclass(frozen=True)
class Selection:
    """Tracks over which figures are medians: `name` says which in words; `equal`: at equal loudness."""

    name: str
    tracks: tuple[Track, ...]
    equal: bool = False


@dataclass(frozen=True)
class Material:
    """The songs of one split, by `name`, and the excerpts of them that all four stems sound in, if there are any.

    `train` are the songs to fit baselines to; there may be none.
    """

    name: str
    excerpts: tuple[Track, ...]
    songs: tuple[Track, ...]
    train: tuple[Track, ...]

    def selections(self, count: int, equal: bool, song: bool, full: bool) -> list[Selection]:
        """Return what to measure: the first `count` excerpts (songs, where there are no excerpts), with all stems as
        loud if `equal`; whole songs too if `song`; if `full`, also all of them, and all at equal loudness."""
        every, kind = (self.excerpts, "excerpts") if self.excerpts else (self.songs, "songs")
        first = every[:count]
        chosen = [(f"first {len(first)} {kind}", first, equal)]
        if full:
            chosen += [
                (f"first {len(first)} {kind}", first, not equal),
                (f"all {len(every)} {kind}", every, False),
                (f"all {len(every)} {kind}", every, True),
            ]
        if (song or full) and self.excerpts:
            chosen.append(("whole song" if len(self.songs) == 1 else f"{len(self.songs)} whole songs", self.songs, False))
        selections: dict[tuple[tuple[Track, ...], bool], Selection] = {}
        for name, tracks, level in chosen:
            title = name + (", stems at equal loudness" if level else "")
            selections.setdefault((tracks, level), Selection(title, tracks, level))
        return list(selections.values())


def at_equal_loudness(stems: Stems) -> Stems:
    """Return the stems at the same RMS, the loudest kept; a silent one stays silent."""
    levels = {name: float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) for name, audio in stems.items()}
    highest = max(levels.values())
    return {name: (audio * (highest / max(levels[name], 1e-9))).astype(np.float32) for name, audio in stems.items()}


def digest(stems: Stems) -> str:
    """Return the SHA-256 over the samples of all stems."""
    total = hashlib.sha256()
    for name in sorted(stems):
        total.update(name.encode())
        total.update(np.ascontiguousarray(stems[name], np.float32))
    return total.hexdigest()


def read_song(folder: Path) -> Stems:
    """Return the stems in `folder`, float32 [samples, 2]. Raises HostError naming what is missing, broken or unequal."""
    files = {stem: [folder / (stem + suffix) for suffix in SUFFIXES if (folder / (stem + suffix)).is_file()] for stem in STEMS}
    if missing := [stem for stem, found in files.items() if not found]:
        raise HostError(f"{folder.name} has no {', no '.join(missing)}: a song is {', '.join(STEMS)} as .wav, .flac or .ogg")
    stems = {}
    for stem, found in files.items():
        try:
            stems[stem] = read_stereo(found[0])
        except (soundfile.LibsndfileError, OSError) as problem:
            raise HostError(f"{folder.name}/{found[0].name} cannot be read ({_reason(problem)})") from None
        except HostError as problem:
            raise HostError(f"{folder.name}: {problem}") from None
    lengths = {stem: len(audio) for stem, audio in stems.items()}
    if len(set(lengths.values())) > 1:
        raise HostError(f"the stems of {folder.name} differ in length, in samples: {_counted(lengths)}")
    if not lengths[STEMS[0]]:
        raise HostError(f"the stems of {folder.name} are empty")
    return stems


def _reason(problem: Exception) -> str:
    return getattr(problem, "error_string", None) or getattr(problem, "strerror", None) or "it is damaged"


def _counted(lengths: dict[str, int]) -> str:
    return ", ".join(f"{stem} {count}" for stem, count in lengths.items())


# Excerpts of one song come one after the other, then the song itself: it is read once.
_cached = lru_cache(maxsize=1)(read_song)


def _song(folder: Path) -> Track:
    return Track(folder.name, lambda: _cached(folder))


def material(root: Path, split: str) -> Material:
    """Return the songs of `split`, "valid" or "test", in `root`.

    `root` is the corpus of free stems, or holds songs: in folders called train, valid and test, or all as they lie.
    Raises HostError where it holds neither.
    """
    if (root / "everything-is-free").is_dir():
        return _free_corpus(root, split)
    if not root.is_dir():
        raise HostError(f"there is no folder {root}; --data wants the free corpus, or {LAYOUT}")
    folders = [*_songs_in(root / split)] or [*_songs_in(root)]
    if not folders:
        raise HostError(f"{root} holds no songs of the split '{split}'; --data wants the free corpus, or {LAYOUT}")
    train = _songs_in(root / "train") if (root / split).is_dir() else ()
    return Material(f"{root.name}, {split}", (), tuple(map(_song, folders)), tuple(map(_song, train)))


def _songs_in(folder: Path) -> Iterator[Path]:
    """Yield what looks like a song: a folder with at least one of the stems in it."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and any((path / (stem + suffix)).is_file() for stem in STEMS for suffix in SUFFIXES):
            yield path


def _free_corpus(root: Path, split: str) -> Material:
    corpus = Corpus(root)
    try:
        listing = json.loads((root / "everything-is-free" / "excerpts-all4.json").read_text())["excerpts"]
        songs, train = (corpus.songs(name) for name in (split, "train"))
        excerpts = [_excerpt(root, entry) for entry in listing if entry["split"] == split]
    except (OSError, ValueError, KeyError) as problem:
        raise HostError(f"the lists of songs and excerpts in {root} are missing or damaged ({problem!r})") from None
    if not songs:
        raise HostError(f"{root} has no songs of the split '{split}'")
    names = ", ".join(song.name for song in songs)
    return Material(f"{names}, {split}", tuple(excerpts), tuple(map(_song, songs)), tuple(map(_song, train)))


def _excerpt(root: Path, entry: dict) -> Track:
    """Return the excerpt in which each stem begins at its own place."""
    folder, samples = root / "everything-is-free" / entry["song"], int(entry["samples"])
    starts = {stem: int(entry["start"][stem]) for stem in STEMS}

    def read() -> Stems:
        song = _cached(folder)
        if short := [stem for stem, start in starts.items() if start + samples > len(song[stem])]:
            raise HostError(f"{entry['id']} lies outside its song's {short[0]}, which has {len(song[short[0]])} samples")
        return {stem: song[stem][start : start + samples] for stem, start in starts.items()}

    return Track(entry["id"], read)
