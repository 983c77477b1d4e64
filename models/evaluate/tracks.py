"""What is measured on: excerpts and whole songs with their true stems, one at a time in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.data.corpus import RATE, STEMS, Corpus
from models.data.layout import stem_files
from models.evaluate.baselines import Stems
from realtime.errors import HostError

_SILENT = 10 ** (-60 / 20)


@dataclass(frozen=True)
class Track:
    """A piece of music: its `name`, and `read`, which gives its stems, float32 [samples, 2] at 44.1 kHz.

    `read` raises HostError where a file breaks while it is read. `stamp` tells its `files` from others without reading
    them, by names, sizes and times.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], Stems]

    def stamp(self) -> str:
        """Return what changes when the files do."""
        return repr([(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files])


@dataclass(frozen=True)
class Selection:
    """Tracks over which figures are medians: `name` says which in words; `equal`: at equal loudness."""

    name: str
    tracks: tuple[Track, ...]
    equal: bool = False


@dataclass(frozen=True)
class Material:
    """The songs of one split, by `name`, and the excerpts of them that all four stems sound in, if there are any.

    `train` are the songs to fit baselines to, there may be none; `skipped` is a sentence on songs that are left out.
    """

    name: str
    excerpts: tuple[Track, ...]
    songs: tuple[Track, ...]
    train: tuple[Track, ...]
    skipped: str

    def selections(
        self, count: int, equal: bool = False, song: bool = False, full: bool = False, both: bool = False
    ) -> list[Selection]:
        """Return what to measure: the first `count` excerpts (songs, where there are no excerpts), with all stems as
        loud if `equal`, and both ways if `both`; whole songs too if `song`; if `full`, also all of them, both ways."""
        every, kind = (self.excerpts, "excerpts") if self.excerpts else (self.songs, "songs")
        first = every[:count]
        chosen = [(f"first {len(first)} {kind}", first, equal)]
        if full or both:
            chosen.append((f"first {len(first)} {kind}", first, not equal))
        if full:
            chosen += [
                (f"all {len(every)} {kind}", every, False),
                (f"all {len(every)} {kind}", every, True),
            ]
        if (song or full) and self.excerpts:
            chosen.append(
                ("whole song" if len(self.songs) == 1 else f"{len(self.songs)} whole songs", self.songs, False)
            )
        selections: dict[tuple[tuple[Track, ...], bool], Selection] = {}
        for name, tracks, level in chosen:
            title = name + (", stems at equal loudness" if level else "")
            selections.setdefault((tracks, level), Selection(title, tracks, level))
        return list(selections.values())


def at_equal_loudness(stems: Stems) -> Stems:
    """Return the stems at the same RMS, the loudest kept; one 60 dB below it or more is silence, and stays as it is."""
    levels = {name: float(np.sqrt(np.mean(np.square(audio, dtype=np.float64)))) for name, audio in stems.items()}
    highest = max(levels.values())
    return {
        name: audio if levels[name] <= _SILENT * highest else (audio * (highest / levels[name])).astype(np.float32)
        for name, audio in stems.items()
    }


def fullest(stems: Stems, samples: int) -> Stems:
    """Return the stretch of `samples`, begun on a whole second, in which the stem that sounds least sounds most."""
    start = fullest_start(stems, samples)
    return {name: audio[start : start + samples] for name, audio in stems.items()}


def fullest_start(stems: Stems, samples: int) -> int:
    """Return where the stretch that `fullest` returns begins; 0 where the music is no longer than that."""
    length, width = len(next(iter(stems.values()))), max(1, samples // RATE)
    if length <= samples:
        return 0
    # Energy up to every second, so that a long song is looked through once.
    sums = [np.cumsum([0.0, *_seconds(audio)]) for audio in stems.values()]
    starts = range((length - samples) // RATE + 1)
    return RATE * max(starts, key=lambda at: min((sum_[at + width] - sum_[at]) / (sum_[-1] or 1) for sum_ in sums))


def _seconds(audio: np.ndarray) -> list[float]:
    """Return the energy of every second begun."""
    return [float(np.square(audio[at : at + RATE], dtype=np.float64).sum()) for at in range(0, len(audio), RATE)]


def digest(stems: Stems) -> str:
    """Return the SHA-256 over the samples of all stems."""
    total = hashlib.sha256()
    for name in sorted(stems):
        total.update(name.encode())
        total.update(np.ascontiguousarray(stems[name], np.float32))
    return total.hexdigest()


def material(root: Path, split: str) -> Material:
    """Return the songs of `split`, "valid" or "test", below `root`, and the excerpts that a list beside them names.

    Other layouts are measured by whole songs, as the campaigns measure.
    Raises HostError where there is nothing to measure on.
    """
    corpus = Corpus(root)
    songs = corpus.songs(split)
    if not songs:
        raise HostError(
            f"{root} has no songs to '{split}': they lie in a folder of that name, or split.json names them, "
            "or there are three songs at least to choose one from"
        )
    read = _Reader(corpus)

    def whole(song: Path) -> Track:
        return Track(corpus.name(song), _files(song), lambda: read(song))

    title = f"{corpus.name(songs[0])}, {split}" if len(songs) == 1 else f"{len(songs)} songs, {split}"
    listing = corpus.layout.base / "excerpts-all4.json"
    excerpts = tuple(_excerpts(corpus, listing, split, read)) if listing.exists() else ()
    train = corpus.songs("train")
    return Material(title, excerpts, tuple(map(whole, songs)), tuple(map(whole, train)), corpus.layout.report())


class _Reader:
    """Reads songs and keeps the last one: the excerpts of a song come one after the other, and then the song."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._last: tuple[Path, Stems] | None = None

    def __call__(self, song: Path) -> Stems:
        if self._last is None or self._last[0] != song:
            self._last = None  # two at a time may be too many for the memory
            try:
                self._last = song, self._corpus.stems(song)
            except HostError as problem:
                raise HostError(f"{self._corpus.name(song)} ({problem})") from None
        return self._last[1]


def _files(song: Path) -> tuple[Path, ...]:
    return tuple(sorted({path for path, _ in stem_files(song).values()}))


def _excerpts(corpus: Corpus, listing: Path, split: str, read: _Reader) -> Iterator[Track]:
    """Yield the listed excerpts; in each of them every stem begins at its own place."""
    by_name = {corpus.name(song): song for song in corpus.songs(split)}
    try:
        for entry in json.loads(listing.read_text())["excerpts"]:
            if entry["split"] == split and entry["song"] in by_name:
                starts = {stem: int(entry["start"][stem]) for stem in STEMS}
                yield _excerpt(str(entry["id"]), by_name[entry["song"]], starts, int(entry["samples"]), read)
    except (OSError, ValueError, KeyError, TypeError):
        raise HostError(f"{listing} is damaged: it lists the excerpts to measure on") from None


def _excerpt(name: str, song: Path, starts: dict[str, int], samples: int, read: _Reader) -> Track:
    def stems() -> Stems:
        whole = read(song)
        if short := [stem for stem in whole if not 0 <= starts[stem] < starts[stem] + samples <= len(whole[stem])]:
            raise HostError(f"{name} (the excerpt of the {short[0]} does not lie within {song.name})")
        return {stem: audio[starts[stem] : starts[stem] + samples] for stem, audio in whole.items()}

    return Track(name, _files(song), stems)
