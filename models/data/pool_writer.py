"""Writing pools: an array a stem, written as it grows, and beside it where songs lie and where something sounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from models.data.layout import STEMS
from models.data.recordings import RATE

LEVEL = 10 ** (-26 / 20)
_SILENT = 10 ** (-55 / 20)


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


def stretches(
    audio: np.ndarray, silent: float = _SILENT, pause: float = 2.0, least: float = 1.0
) -> list[tuple[int, int]]:
    """Return (start, end) of what sounds in float [samples, 2], pauses up to `pause` seconds included."""
    frame = RATE // 4
    count = len(audio) // frame
    loud = np.sqrt(np.mean(audio[: count * frame].reshape(count, -1) ** 2, axis=1)) > silent
    runs: list[list[int]] = []
    for i in np.flatnonzero(loud):
        if runs and i - runs[-1][1] <= pause * 4:
            runs[-1][1] = int(i) + 1
        else:
            runs.append([int(i), int(i) + 1])
    return [(a * frame, b * frame) for a, b in runs if (b - a) / 4 >= least]


class StemFile:
    """An int16 array [samples, 2] that grows on disk, and the document that says what lies in it."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._file = (folder / f"{stem}.npy").open("wb")
        self.length = 0
        self._head()

    def _head(self) -> None:
        # numpy leaves room in the head for a first dimension that grows.
        head = {"descr": "<i2", "fortran_order": False, "shape": (self.length, 2)}
        np.lib.format.write_array_header_1_0(self._file, head)

    def add(self, audio: np.ndarray) -> tuple[int, int]:
        """Append float [samples, 2], levelled; return where it lies."""
        start = self.length
        levelled(audio).tofile(self._file)
        self.length += len(audio)
        return start, self.length

    def close(self) -> None:
        self._file.seek(0)
        self._head()
        self._file.close()


def write_index(folder: Path, documents: dict[str, dict]) -> None:
    """Write the documents of all stems; the last file to appear is other.json, which is what makes it a pool."""
    for stem in sorted(STEMS, key=lambda s: s == "other"):
        (folder / f"{stem}.tmp").write_text(json.dumps(documents[stem]))
        (folder / f"{stem}.tmp").replace(folder / f"{stem}.json")


class PoolWriter:
    """Collects songs whose stems are equally long, and single pieces, and writes them as an aligned pool."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.parts: dict[str, list[np.ndarray]] = {s: [] for s in STEMS}
        self.songs: dict[str, dict[str, list]] = {s: {} for s in STEMS}
        self.sounding: dict[str, list[tuple[int, int]]] = {s: [] for s in STEMS}
        self.about: dict[str, dict] = {}

    def add(self, label: str, stems: dict[str, np.ndarray], about: dict) -> None:
        """Add the stems of a song, float32 [samples, 2] of one length; absent stems take no room.

        Raises ValueError where the lengths differ.
        """
        if len({len(a) for a in stems.values()}) > 1:
            raise ValueError(f"{label}: the stems of a song must be of one length")
        for stem, audio in stems.items():
            start = self.add_piece(stem, audio)
            self.songs[stem][label] = [start, start + len(audio), loudness(audio)]
        self.about[label] = about

    def add_piece(self, stem: str, audio: np.ndarray) -> int:
        """Add float32 [samples, 2] that belongs to no song; return where it starts."""
        start = sum(map(len, self.parts[stem]))
        self.parts[stem].append(levelled(audio))
        self.sounding[stem] += [(start + a, start + b) for a, b in stretches(audio)]
        return start

    def write(self, folder: Path) -> None:
        """Write the pool."""
        folder.mkdir(parents=True, exist_ok=True)
        documents = {}
        for stem in STEMS:
            audio = np.concatenate([np.zeros((0, 2), np.int16), *self.parts[stem]])
            np.save(folder / f"{stem}.npy", audio)
            documents[stem] = {
                "aligned": True,
                "groups": {self.group: [0, len(audio)]} if len(audio) else {},
                "sounding": {self.group: self.sounding[stem]},
                "songs": self.songs[stem],
                "about": {label: self.about[label] for label in self.songs[stem]},
            }
        write_index(folder, documents)
