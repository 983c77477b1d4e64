"""Where the songs of a folder lie, in any of the layouts that stems come in, and which of them are fit for use.

- a folder a song with `vocals`, `drums`, `bass` and `other` as .wav, .flac, .ogg, .m4a or .mp3, up to three
  levels deep; below `train`, `valid` and `test` these are the splits;
- MUSDB18-HQ: `train/<song>/vocals.wav` and so on; its mixture.wav is left aside, the mixture is the sum;
- MUSDB18: `train/<song>.stem.mp4`, through the musdb library;
- the free corpus: `everything-is-free/<song>/vocals.ogg` and so on.

A `split.json` beside the songs, {"train": [name, ...], "valid": [...], "test": [...]}, decides before anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.data.recordings import KINDS, MULTIPLE, extent_of, mpeg4_reader
from realtime.errors import HostError

STEMS = ("vocals", "drums", "bass", "other")
SPLITS = ("train", "valid", "test")
FREE = "everything-is-free"
LENIENCE = 0.05
"""Seconds by which the stems of a song may differ in length: encoders pad."""
SHORTEST = 1.0
"""Seconds; what is shorter is no song."""

_DEPTH = 3
_STREAMS = {"drums": 1, "bass": 2, "other": 3, "vocals": 4}
_FOLDERS = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}
# The 14 songs of MUSDB18's train folder that its own library keeps for validation.
_MUSDB_VALIDATION = {
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
}


@dataclass(frozen=True)
class Layout:
    """The songs below `base`, split by split, and why others are left out, by name."""

    base: Path
    splits: dict[str, tuple[Path, ...]]
    skipped: dict[str, str]

    def report(self) -> str:
        """Return a sentence that names what is left out; empty where nothing is."""
        whole = sum(map(len, self.splits.values())) + len(self.skipped)
        return skipped_sentence(self.skipped, whole)


def skipped_sentence(skipped: dict[str, str], whole: int) -> str:
    """Return '2 of 9 songs skipped: a (why); b (why)', songs of one reason together; empty where there are none."""
    reasons: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        reasons.setdefault(reason, []).append(name)
    told = "; ".join(f"{', '.join(sorted(names))} ({reason})" for reason, names in reasons.items())
    return f"{len(skipped)} of {whole} songs skipped: {told}." if skipped else ""


def stem_files(song: Path) -> dict[str, tuple[Path, int]]:
    """Return for each stem of a song its file and the number of its stream there."""
    if song.name.lower().endswith(MULTIPLE):
        return {stem: (song, stream) for stem, stream in _STREAMS.items()}
    found: dict[str, tuple[Path, int]] = {}
    files = [f for f in song.iterdir() if f.suffix.lower() in KINDS and f.is_file()]
    for file in sorted(files, key=lambda f: KINDS.index(f.suffix.lower())):
        if file.stem.lower() in STEMS:
            found.setdefault(file.stem.lower(), (file, 0))
    return found


def layout_of(root: Path) -> Layout:
    """Return the songs below `root`. Raises HostError, which says what is expected, where none can be used."""
    if not root.is_dir():
        raise HostError(f"There is no folder {root}. {_EXPECTED}")
    base = root / FREE if (root / FREE / "split.json").exists() else root
    songs = {name_of(base, song): song for song in _songs(base, _DEPTH)}
    if not songs:
        raise HostError(f"There are no songs in {root}. {_EXPECTED}")
    splits, skipped = _split(base, songs)
    for split, names in splits.items():
        faults = {name: fault for name in names if (fault := _fault(songs[name]))}
        skipped |= faults
        splits[split] = [name for name in names if name not in faults]
    layout = Layout(base, {s: tuple(songs[name] for name in splits[s]) for s in SPLITS}, skipped)
    if not any(layout.splits.values()):
        raise HostError(f"No song in {root} can be used. {layout.report()} {_EXPECTED}")
    return layout


_EXPECTED = (
    "Expected is one folder a song with vocals, drums, bass and other as .wav, .flac, .ogg or .m4a (a stem that a song "
    "lacks is a file of silence), as it is or below train, valid and test; or MUSDB18-HQ or MUSDB18 as they unpack; "
    f"or the free corpus, with {FREE}/split.json."
)


def _songs(folder: Path, depth: int) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            if entry.name.lower().endswith(MULTIPLE):
                yield entry
        elif stem_files(entry):
            yield entry
        elif depth > 1:
            yield from _songs(entry, depth - 1)


def name_of(base: Path, song: Path) -> str:
    """Return the name of a song: where it lies below `base`."""
    name = song.relative_to(base).as_posix()
    return name[: -len(MULTIPLE)] if name.lower().endswith(MULTIPLE) else name


def _rank(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone, so that a song stays in its split as others come."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def _held_out(names: list[str]) -> list[str]:
    """About a tenth of the names, one at least."""
    ranked = sorted(names, key=_rank)
    return sorted([name for name in ranked if _rank(name) < 0.1] or ranked[:1])


def _split(base: Path, songs: dict[str, Path]) -> tuple[dict[str, list[str]], dict[str, str]]:
    skipped: dict[str, str] = {}
    splits: dict[str, list[str]] = {split: [] for split in SPLITS}
    if (base / "split.json").exists():
        listed = json.loads((base / "split.json").read_text())
        for split in SPLITS:
            for name in listed.get(split, []):
                if name in songs:
                    splits[split].append(name)
                else:
                    skipped[name] = "in split.json, but not there"
        named = {name for names in splits.values() for name in names}
        return splits, skipped | {name: "not in split.json" for name in songs if name not in named}
    below = {name: _FOLDERS.get(name.split("/")[0].lower()) if "/" in name else None for name in songs}
    if not any(below.values()):
        names = list(songs)
        if len(names) >= 3:  # fewer cannot be split
            splits["test"] = _held_out(names)
            names = [name for name in names if name not in splits["test"]]
            splits["valid"] = _held_out(names)
        splits["train"] = sorted(set(names) - set(splits["valid"]))
        return splits, skipped
    for name, split in below.items():
        if split is None:
            skipped[name] = "neither in train nor in valid nor in test"
        else:
            splits[split].append(name)
    if not splits["valid"]:
        train = splits["train"]
        known = [name for name in train if Path(name).name in _MUSDB_VALIDATION]
        splits["valid"] = known or (_held_out(train) if len(train) > 1 else [])
        splits["train"] = [name for name in train if name not in splits["valid"]]
    return splits, skipped


def _fault(song: Path) -> str | None:
    """Why a song cannot be used, as far as the heads of its files say; None where it can."""
    if song.is_file():  # a tenth of a second each to look into: what is wrong with it shows when it is read
        try:
            mpeg4_reader(song)
        except HostError as error:
            return str(error)
        return None
    files = stem_files(song)
    if missing := [stem for stem in STEMS if stem not in files]:
        return f"no {' and no '.join(missing)}"
    extents = {}
    for stem, (path, stream) in files.items():
        try:
            extents[stem] = extent_of(path, stream)
        except HostError as error:
            return str(error)
    if len({extent.rate for extent in extents.values()}) > 1:
        return ", ".join(f"{stem} at {extents[stem].rate} Hz" for stem in STEMS)
    seconds = {stem: extent.seconds for stem, extent in extents.items()}
    if max(seconds.values()) - min(seconds.values()) > LENIENCE:
        return ", ".join(f"{stem} {seconds[stem]:.2f} s" for stem in STEMS)
    return None if min(seconds.values()) >= SHORTEST else f"shorter than {SHORTEST:.0f} s"
