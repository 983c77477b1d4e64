"""Pools of rendered audio: one long int16 array a stem, so that a training step only slices and mixes.

Rendering ahead is what makes training cheap: decoding, resampling and synthesis happen once, and
random remixes of a pool cost a memory copy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from models.data.corpus import RATE, STEMS, Corpus, read_stereo
from models.data.joined import Joined
from models.data.layout import skipped_sentence
from models.data.pool_writer import LEVEL, StemFile, levelled, loudness, stretches, write_index
from models.data.sequences import BassSampler, DrumSampler
from models.data.tones import accompaniment, bass_line, drum_machine
from realtime.errors import HostError

__all__ = ["LEVEL", "Pool", "levelled", "loudness", "pool_folders", "render_pool", "sounding"]

PLENTY = 60.0
"""Minutes of songs from which on they are pooled in one speed, and nothing is synthesised beside them."""
# Left out: what is labelled bass there, other separators hear as drums, and so might the one we train.
_DISPUTED = {("05-rubidium", "bass")}
_SPEEDS = (1.0, 0.89, 1.12, 0.79, 1.26)


def sounding(audio: np.ndarray, threshold: float = -55.0, pause: float = 0.4) -> np.ndarray:
    """Return `audio` [samples, 2] with silences longer than `pause` seconds shortened to it."""
    frame = 2205
    count = len(audio) // frame
    if count == 0:
        return audio
    level = np.sqrt(np.mean(audio[: count * frame].reshape(count, -1) ** 2, axis=1))
    loud = level > 10 ** (threshold / 20)
    hold = int(pause * RATE / frame)
    keep = np.convolve(loud, np.ones(hold + 1), "full")[:count] > 0
    return audio[: count * frame].reshape(count, frame, 2)[keep].reshape(-1, 2)


def _speeds(audio: np.ndarray, speeds: tuple[float, ...]) -> Iterator[np.ndarray]:
    for speed in speeds:
        yield audio if speed == 1.0 else soxr.resample(audio, RATE, int(RATE / speed), quality="MQ")


@dataclass(frozen=True)
class _Plan:
    """What a pool is made of: the songs in `speeds`, their stems `aligned` or without their silences; and
    `minutes` of everything synthesised or sequenced."""

    corpus: Corpus
    minutes: float
    speeds: tuple[float, ...]
    aligned: bool
    synthesised: bool


def _plan(corpus: Corpus, minutes: float) -> _Plan:
    seconds = 0.0
    for song in corpus.songs("train"):
        try:
            seconds += corpus.seconds(song)
        except HostError:  # named when it is read
            continue
    scarce = seconds < PLENTY * 60
    return _Plan(corpus, minutes, _SPEEDS if scarce else (1.0,), aligned=not corpus.free, synthesised=scarce)


def _songs(plan: _Plan, stem: str, skipped: dict[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (song and speed, audio) of a stem of the train songs, in every speed."""
    for song in plan.corpus.songs("train"):
        name = plan.corpus.name(song)
        if (name, stem) in _DISPUTED:
            continue
        try:
            audio = plan.corpus.stem(song, stem)
        except HostError as error:
            skipped[name] = str(error)
            continue
        if np.abs(audio).max() > 1e-3:
            audio = audio if plan.aligned else sounding(audio)
            for speed, version in zip(plan.speeds, _speeds(audio, plan.speeds), strict=True):
                yield f"{name} x{speed}", version


def _phrases(corpus: Corpus) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    for speed in (1.0, 0.84, 1.19):
        paths = corpus.phrases()
        rng.shuffle(paths)
        for path in paths:
            phrase = next(_speeds(sounding(read_stereo(path)), (speed,)))
            yield np.concatenate([phrase, np.zeros((int(rng.uniform(0, 0.6) * RATE), 2), np.float32)])


def _rendered(
    render: Callable[[np.random.Generator, float], np.ndarray], minutes: float, seed: int
) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(int(minutes * 60 / 16)):
        yield render(rng, 16.0)


def _beside_songs(plan: _Plan, stem: str) -> dict[str, Iterator[np.ndarray]]:
    """What there is of a stem beside songs: group name to clips."""
    corpus, minutes = plan.corpus, plan.minutes
    groups: dict[str, Iterator[np.ndarray]] = {}
    if stem == "vocals" and corpus.phrases():
        groups["phrases"] = _phrases(corpus)
    if stem == "drums" and corpus.drum_hits():
        groups["hits"] = _rendered(DrumSampler(corpus).pattern, minutes, 2)
    if stem == "bass" and corpus.bass_notes():
        groups["notes"] = _rendered(BassSampler(corpus).line, minutes, 3)
    if plan.synthesised and stem == "drums":
        groups["machine"] = _rendered(drum_machine, minutes, 6)
    elif plan.synthesised and stem == "bass":
        groups["tones"] = _rendered(bass_line, minutes, 4)
    elif plan.synthesised and stem == "other":
        groups["tones"] = _rendered(accompaniment, minutes, 5)
    return groups


def _render_stem(plan: _Plan, stem: str, folder: Path) -> tuple[dict, dict[str, str]]:
    """Write the array of a stem; return its document, and why which songs were skipped."""
    skipped: dict[str, str] = {}
    songs: dict[str, tuple[int, int, float]] = {}
    runs: list[tuple[int, int]] = []
    file = StemFile(folder, stem)
    for label, audio in _songs(plan, stem, skipped):
        start, end = file.add(audio)
        songs[label] = (start, end, loudness(audio))
        runs += [(start + a, start + b) for a, b in stretches(audio)] if plan.aligned else []
    groups = {"songs": [0, file.length]}
    for name, clips in _beside_songs(plan, stem).items():
        start = file.length
        for clip in clips:
            file.add(clip)
        groups[name] = [start, file.length]
    file.close()
    document = {"groups": {name: (a, b) for name, (a, b) in groups.items() if b > a}, "songs": songs}
    if plan.aligned:
        document |= {"aligned": True, "sounding": {"songs": runs}}
    return document, skipped


def render_pool(root: Path | Corpus, folder: Path, minutes: float = 40.0, workers: int = 2) -> None:
    """Render the pool of the train split into `folder`; prints what each stem holds.

    `root` is a folder of stems in any layout that `Corpus` reads; what it lacks (phrases, notes, hits) is left out.
    Under an hour of songs comes in five speeds, with `minutes` of each kind of synthesised music beside it. The
    stems of a song stay aligned, except those of the free corpus: they lose their silences instead, for they
    hardly ever sound at once. Raises HostError where there is no song to train on.
    """
    corpus = root if isinstance(root, Corpus) else Corpus(root)
    if not corpus.songs("train"):
        raise HostError(f"{corpus.root} has no songs to train on: its split 'train' is empty.")
    folder.mkdir(parents=True, exist_ok=True)
    plan = _plan(corpus, minutes)
    documents = {}
    with ProcessPoolExecutor(workers) as executor:
        jobs = {stem: executor.submit(_render_stem, plan, stem, folder) for stem in STEMS}
        for stem, job in jobs.items():
            documents[stem], skipped = job.result()
            held = ", ".join(f"{k} {(b - a) / RATE / 60:.0f} min" for k, (a, b) in documents[stem]["groups"].items())
            print(f"{stem}: {held or 'nothing'}", flush=True)
            if skipped:
                print(f"{stem}: {skipped_sentence(skipped, len(corpus.songs('train')))}", file=sys.stderr, flush=True)
    if not any(document["songs"] for document in documents.values()):
        raise HostError(f"None of the songs of {corpus.root} could be read; no pool was made in {folder}.")
    write_index(folder, documents)


def pool_folders(folder: Path) -> list[Path]:
    """Return the pools below `folder`: itself, or its subfolders that hold one."""
    if (folder / "other.json").exists():
        return [folder]
    return sorted(index.parent for index in folder.rglob("other.json"))


def accompaniment_folders(folder: Path) -> list[Path]:
    """Return the folders at or below `folder` that hold unseparated accompaniment."""
    return sorted(index.parent for index in folder.rglob("accompaniment.json"))


class Pool:
    """Rendered pools, memory-mapped and read as one.

    `folder` is a pool, a folder of pools, or several of either. `weights` says how often a group is drawn,
    by its name (groups of one name in several pools are one group; 1 where not named).
    """

    def __init__(self, folder: Path | Sequence[Path], weights: Mapping[str, float] | None = None) -> None:
        folders = [f for given in ([folder] if isinstance(folder, Path) else folder) for f in pool_folders(given)]
        if not folders:
            raise HostError(f"there is no pool in {folder}: render one first, or pass the folder that holds other.json")
        self.audio = {stem: Joined([np.load(f / f"{stem}.npy", mmap_mode="r") for f in folders]) for stem in STEMS}
        self.weights = dict(weights or {})
        # Stem -> group -> stretches (start, end) that sound.
        self.index: dict[str, dict[str, list[tuple[int, int]]]] = {stem: {} for stem in STEMS}
        # Song and speed -> stem -> (start, end, its loudness in the song).
        self.songs: dict[str, dict[str, tuple[int, int, float]]] = {}
        # Songs whose stems start and end together, so that one offset serves all of them.
        self.aligned: set[str] = set()
        for stem in STEMS:
            for number, f in enumerate(folders):
                first = self.audio[stem].starts[number]
                document = json.loads((f / f"{stem}.json").read_text())
                if "groups" not in document:
                    raise HostError(f"{f} is a pool of another version: render it again")
                for name, whole in document["groups"].items():
                    runs = document.get("sounding", {}).get(name, [whole])
                    self.index[stem].setdefault(name, []).extend((first + a, first + b) for a, b in runs)
                for label, (start, end, level) in document["songs"].items():
                    self.songs.setdefault(label, {})[stem] = (first + start, first + end, level)
                    if document.get("aligned"):
                        self.aligned.add(label)
        parts = [
            f for given in ([folder] if isinstance(folder, Path) else folder) for f in accompaniment_folders(given)
        ]
        # Mixtures without singing, unseparated, and where each of their sources lies: name -> (start, end).
        self.accompaniment = Joined([np.load(f / "accompaniment.npy", mmap_mode="r") for f in parts])
        self.accompaniment_sources: dict[str, tuple[int, int]] = {}
        for first, f in zip(self.accompaniment.starts, parts, strict=False):
            for source in json.loads((f / "accompaniment.json").read_text())["sources"]:
                self.accompaniment_sources[source["name"]] = (first + source["start"], first + source["end"])

    def together(self, rng: np.random.Generator, label: str, samples: int) -> int:
        """Return an offset into an aligned song from which `samples` stay within it.

        Of four places drawn it is the one at which most stems sound: breaks are kept, but not as often as they last.
        """
        song = self.songs[label]
        length = min(end - start for start, end, _ in song.values())
        offsets = rng.integers(max(1, length - samples), size=4)
        sounding = np.zeros(len(offsets))
        for stem, (start, _, _) in song.items():
            runs = np.concatenate([np.array(r).reshape(-1, 2) for r in self.index[stem].values()])
            runs = runs[(runs[:, 1] > start) & (runs[:, 0] < start + length)]
            for share in (0.1, 0.5, 0.9):
                at = start + offsets[:, None] + int(share * samples)
                sounding += np.any((runs[:, 0] <= at) & (at < runs[:, 1]), axis=1)
        return int(offsets[np.argmax(sounding)])

    def draw(self, rng: np.random.Generator, stem: str, samples: int) -> int:
        """Return a start position in the stem's array from which `samples` stay within one group.

        In a group of many short stretches only the first two seconds are sure to sound.
        """
        groups = {name: runs for name, runs in self.index[stem].items() if self.weights.get(name, 1.0) > 0 and runs}
        if not groups:
            raise HostError(f"There is nothing of '{stem}' in the pool, and a remix takes all of {', '.join(STEMS)}.")
        if self.weights:
            share = np.array([self.weights.get(name, 1.0) for name in groups])
            chosen = int(rng.choice(len(groups), p=share / share.sum()))
        else:
            chosen = int(rng.integers(len(groups)))
        runs = list(groups.values())[chosen]
        if len(runs) > 1:
            lengths = np.array([end - start for start, end in runs], float)
            start, end = runs[int(rng.choice(len(runs), p=lengths / lengths.sum()))]
            samples = min(samples, 2 * RATE)
        else:
            start, end = runs[0]
        return int(rng.integers(start, max(start + 1, end - samples)))
