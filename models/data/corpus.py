"""A folder of stems, read one way whatever its layout: songs by split, excerpts, and what single sounds it has.

The layouts are in models/data/layout.py. Sung phrases, bass notes and drum hits are there in the free corpus only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.data.layout import FREE, LENIENCE, STEMS, Layout, layout_of, name_of, skipped_sentence, stem_files
from models.data.recordings import RATE, extent_of, read_stereo
from realtime.errors import HostError

__all__ = ["RATE", "STEMS", "Corpus", "read_stereo"]

EXCERPT_SECONDS = 12.0
_EXCERPTS = 12
_QUIET = 10 ** (-60 / 20)


@dataclass(frozen=True)
class Corpus:
    """The songs and sounds below `root`; songs that cannot be used are named on stderr.

    Raises HostError, which says what layouts there are, where there is no song.
    """

    root: Path
    layout: Layout = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", layout_of(self.root))
        _tell(self.layout.report())

    @property
    def free(self) -> bool:
        """Whether it is the free corpus, whose songs hardly ever have all stems sounding at once."""
        return self.layout.base.name == FREE and self.layout.base != self.root

    def songs(self, split: str) -> list[Path]:
        """Return the songs of a split (train, valid or test): folders, or files that hold several recordings."""
        return list(self.layout.splits[split])

    def name(self, song: Path) -> str:
        """Return the name of a song, its own among the songs of the folder."""
        return name_of(self.layout.base, song)

    def seconds(self, song: Path) -> float:
        """Return the length of a song. Raises HostError where it cannot be read."""
        return extent_of(*stem_files(song)["other"]).seconds

    def stem(self, song: Path, stem: str) -> np.ndarray:
        """Return a stem of a song, float32 [samples, 2] at 44.1 kHz. Raises HostError where it cannot be read."""
        return read_stereo(*stem_files(song)[stem])

    def stems(self, song: Path) -> dict[str, np.ndarray]:
        """Return the four stems of a song, float32 [samples, 2] of one length.

        Raises HostError where one cannot be read, or lengths differ by more than encoders pad.
        """
        stems = {stem: self.stem(song, stem) for stem in STEMS}
        lengths = [len(audio) for audio in stems.values()]
        if max(lengths) - min(lengths) > LENIENCE * RATE:
            raise HostError(", ".join(f"{stem} {len(audio) / RATE:.2f} s" for stem, audio in stems.items()))
        return {stem: audio[: min(lengths)] for stem, audio in stems.items()}

    def read(self, split: str) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
        """Yield (name, stems) of every song of a split; those that break while being read are named on stderr."""
        skipped: dict[str, str] = {}
        for song in self.songs(split):
            try:
                stems = self.stems(song)
            except HostError as error:
                skipped[self.name(song)] = str(error)
                continue
            yield self.name(song), stems
        _tell(skipped_sentence(skipped, len(self.songs(split))))

    def phrases(self) -> list[Path]:
        """Return the sung phrases; none where the layout has none."""
        return sorted((self.root / "vocals-producer-space").glob("*.ogg"))

    def bass_notes(self) -> list[tuple[str, int, Path]]:
        """Return (instrument and articulation, MIDI note, file) of every sampled bass note, if any."""
        return [
            (e["file"].split("_")[0] + "-" + e["articulation"], int(e["midi"]), path)
            for e, path in self._listed("bass-samples")
        ]

    def drum_hits(self) -> list[tuple[str, Path]]:
        """Return (kind, file) of every drum sample, loops included, if any."""
        return [(e["type"], path) for e, path in self._listed("drum-samples")]

    def _listed(self, folder: str) -> list[tuple[dict, Path]]:
        listing = self.root / folder / "files.json"
        entries = json.loads(listing.read_text()) if listing.exists() else []
        return [(entry, listing.parent / entry["file"]) for entry in entries]

    def excerpts(self, split: str) -> list[dict[str, np.ndarray]]:
        """Return excerpts in which all four stems sound: stem name to float32 [samples, 2].

        The free corpus lists its own. Elsewhere each song gives one of 12 s, where most of its stems sound most of
        the time, or as many as make twelve in all; songs come in turns, so that the first few differ.
        Raises HostError where the split has none.
        """
        listing = self.layout.base / "excerpts-all4.json"
        if listing.exists():
            return self._listed_excerpts(json.loads(listing.read_text())["excerpts"], split)
        each = max(1, -(-_EXCERPTS // max(1, len(self.songs(split)))))
        found = []
        silent: dict[str, str] = {}
        for name, stems in self.read(split):
            starts = places(stems, int(EXCERPT_SECONDS * RATE), each)
            found.append([{s: a[i : i + int(EXCERPT_SECONDS * RATE)].copy() for s, a in stems.items()} for i in starts])
            if not starts:
                silent[name] = f"no {EXCERPT_SECONDS:.0f} s in which all four stems sound"
        _tell(skipped_sentence(silent, len(self.songs(split))))
        result = [song[turn] for turn in range(each) for song in found if turn < len(song)]
        if not result:
            raise HostError(
                f"{self.root} has no excerpts for '{split}': a folder without that split needs three songs at least, "
                f"and one of '{split}' must have all four stems sounding at once."
            )
        return result

    def _listed_excerpts(self, listing: list[dict], split: str) -> list[dict[str, np.ndarray]]:
        songs: dict[str, dict[str, np.ndarray]] = {}
        result = []
        for entry in (e for e in listing if e["split"] == split):
            if entry["song"] not in songs:
                songs[entry["song"]] = self.stems(self.layout.base / entry["song"])
            stems = songs[entry["song"]]
            result.append({s: stems[s][entry["start"][s] : entry["start"][s] + entry["samples"]] for s in STEMS})
        return result


def places(stems: dict[str, np.ndarray], samples: int, count: int) -> list[int]:
    """Return up to `count` starts, in samples, of excerpts that do not overlap and in which all stems sound.

    First comes the one with the most stems sounding in the most seconds; a stem sounds in a second that is
    within 30 dB of its loudest. The excerpt is the whole where that is shorter.
    """
    length = min(map(len, stems.values()))
    if length < samples:
        return [0] if all(np.sqrt(np.mean(a**2)) > _QUIET for a in stems.values()) else []
    seconds = length // RATE
    power = np.stack([np.mean(a[: seconds * RATE].reshape(seconds, -1) ** 2, axis=1) for a in stems.values()])
    sounding = (power > 1e-3 * power.max(axis=1, keepdims=True)) & (power > _QUIET**2)
    window = samples // RATE
    sums = np.concatenate([np.zeros((len(stems), 1)), np.cumsum(sounding, axis=1)], axis=1)
    each = sums[:, window:] - sums[:, :-window]
    # All stems for a moment count for more than three of them for long.
    score = np.where(each.min(axis=0) > 0, each.sum(axis=0), 0.0)
    starts: list[int] = []
    while len(starts) < count and score.max() > 0:
        best = int(np.argmax(score))
        starts.append(best * RATE)
        score[max(0, best - window + 1) : best + window] = 0
    return starts


def _tell(sentence: str) -> None:
    if sentence:
        print(sentence, file=sys.stderr, flush=True)
