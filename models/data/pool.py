"""Pools of rendered audio: one long int16 array a stem, so that a training step only slices and mixes.

Rendering ahead is what makes training cheap: decoding, resampling and synthesis happen once, and
random remixes of a pool cost a memory copy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soxr

from models.data.corpus import RATE, STEMS, Corpus, read_stereo
from models.data.joined import Joined
from models.data.sequences import BassSampler, DrumSampler
from models.data.tones import accompaniment, bass_line, drum_machine
from realtime.errors import HostError

LEVEL = 10 ** (-26 / 20)
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


def loudness(audio: np.ndarray) -> float:
    """Return the RMS of the sounding parts of [samples, 2], linear."""
    frame = 4410
    count = max(1, len(audio) // frame)
    power = np.mean(audio[: count * frame].reshape(count, -1) ** 2, axis=1)
    return float(np.sqrt(power[power >= 0.03 * power.max()].mean()))


def levelled(audio: np.ndarray) -> np.ndarray:
    """Return int16 [samples, 2] whose sounding parts have an RMS of -26 dBFS."""
    level = loudness(audio)
    return (np.clip(audio * (LEVEL / level if level > 1e-5 else 0.0), -1, 1) * 32767).astype(np.int16)


def _speeds(audio: np.ndarray, speeds: tuple[float, ...]) -> Iterator[np.ndarray]:
    for speed in speeds:
        yield audio if speed == 1.0 else soxr.resample(audio, RATE, int(RATE / speed), quality="MQ")


def _songs(corpus: Corpus, stem: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (song and speed, audio) of a stem of the train songs, in every speed."""
    for song in corpus.songs("train"):
        if (song.name, stem) in _DISPUTED:
            continue
        audio = read_stereo(song / f"{stem}.ogg")
        if np.abs(audio).max() > 1e-3:
            for speed, version in zip(_SPEEDS, _speeds(sounding(audio), _SPEEDS), strict=True):
                yield f"{song.name} x{speed}", version


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


def _render_stem(root: Path, stem: str, folder: Path, minutes: float) -> str:
    corpus = Corpus(root)
    songs: dict[str, tuple[int, int, float]] = {}
    groups: dict[str, Iterator[np.ndarray]] = {}
    if stem == "vocals":
        groups["phrases"] = _phrases(corpus)
    elif stem == "drums":
        groups["hits"] = _rendered(DrumSampler(corpus).pattern, minutes, 2)
        groups["machine"] = _rendered(drum_machine, minutes, 6)
    elif stem == "bass":
        groups["notes"] = _rendered(BassSampler(corpus).line, minutes, 3)
        groups["tones"] = _rendered(bass_line, minutes, 4)
    else:
        groups["tones"] = _rendered(accompaniment, minutes, 5)
    index, parts, position = {}, [], 0
    for label, audio in _songs(corpus, stem):
        parts.append(levelled(audio))
        songs[label] = (position, position + len(parts[-1]), loudness(audio))
        position += len(parts[-1])
    index["songs"] = [0, position]
    for name, clips in groups.items():
        start = position
        for clip in clips:
            part = levelled(clip)
            parts.append(part)
            position += len(part)
        index[name] = [start, position]
    np.save(folder / f"{stem}.npy", np.concatenate(parts))
    (folder / f"{stem}.json").write_text(json.dumps({"groups": index, "songs": songs}))
    return f"{stem}: " + ", ".join(f"{k} {(b - a) / RATE / 60:.0f} min" for k, (a, b) in index.items())


def render_pool(root: Path, folder: Path, minutes: float = 40.0, workers: int = 2) -> None:
    """Render the pool of the train split into `folder`; prints what each stem holds."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as executor:
        jobs = [executor.submit(_render_stem, root, stem, folder, minutes) for stem in STEMS]
        for job in jobs:
            print(job.result(), flush=True)


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
