"""The corpus of free stems as it lies on disk: whole songs, sung phrases, bass notes, drum hits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from realtime.errors import HostError

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100


def read_stereo(path: Path) -> np.ndarray:
    """Read a file as float32 [samples, 2] at 44.1 kHz; mono is doubled. Raises HostError for another rate."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != RATE:
        raise HostError(f"{path.name} is at {rate} Hz; the corpus is read at {RATE} Hz only")
    return np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]


@dataclass(frozen=True)
class Corpus:
    """The folders below `root`; raises HostError where the layout is not there."""

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / "everything-is-free" / "split.json").exists():
            raise HostError(
                f"{self.root} has no everything-is-free/split.json: pass the folder that holds the stem corpus with --data"
            )

    def songs(self, split: str) -> list[Path]:
        """Return the song folders of a split: train, valid or test."""
        names = json.loads((self.root / "everything-is-free" / "split.json").read_text())[split]
        return [self.root / "everything-is-free" / name for name in names]

    def phrases(self) -> list[Path]:
        """Return the sung phrases."""
        return sorted((self.root / "vocals-producer-space").glob("*.ogg"))

    def bass_notes(self) -> list[tuple[str, int, Path]]:
        """Return (instrument and articulation, MIDI note, file) of every sampled bass note."""
        folder = self.root / "bass-samples"
        entries = json.loads((folder / "files.json").read_text())
        return [
            (e["file"].split("_")[0] + "-" + e["articulation"], int(e["midi"]), folder / e["file"]) for e in entries
        ]

    def drum_hits(self) -> list[tuple[str, Path]]:
        """Return (kind, file) of every drum sample, loops included."""
        folder = self.root / "drum-samples"
        return [(e["type"], folder / e["file"]) for e in json.loads((folder / "files.json").read_text())]

    def excerpts(self, split: str) -> list[dict[str, np.ndarray]]:
        """Return the excerpts in which all four stems sound: stem name to float32 [samples, 2]."""
        listing = json.loads((self.root / "everything-is-free" / "excerpts-all4.json").read_text())["excerpts"]
        songs: dict[str, dict[str, np.ndarray]] = {}
        result = []
        for entry in (e for e in listing if e["split"] == split):
            folder = self.root / "everything-is-free" / entry["song"]
            stems = songs.setdefault(
                entry["song"],
                {s: read_stereo(folder / f"{s}.ogg") for s in STEMS} if entry["song"] not in songs else {},
            )
            result.append({s: stems[s][entry["start"][s] : entry["start"][s] + entry["samples"]] for s in STEMS})
        return result
