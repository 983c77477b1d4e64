"""Excerpts to be heard and looked at: what every row makes of one mixture, and of music that has no stems."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from models.data.corpus import RATE, STEMS
from models.evaluate.baselines import Stems
from models.evaluate.rows import Row
from models.evaluate.tracks import fullest, fullest_start
from realtime.devices.file import FileSource

HEARD = 6 * RATE
"""How much is heard, in samples, of twice as much that is separated, so that states find their feet first."""

_OPUS_RATE = 48000
_PEAK = 0.7


@dataclass(frozen=True)
class Scene:
    """What is heard of one piece: `mixture` [samples, 2], the true stems, empty where nobody knows them, and the
    estimates by label of the row."""

    name: str
    mixture: np.ndarray
    truth: Stems
    estimates: dict[str, Stems]


def scene(name: str, stems: Stems, rows: Sequence[Row]) -> Scene:
    """Return what `rows` make of the fullest part of a piece with known `stems`."""
    part = fullest(stems, 2 * HEARD)
    start = fullest_start(part, HEARD)
    mixture = np.ascontiguousarray(sum(part.values()), np.float32)

    def heard(every: Stems) -> Stems:
        return {stem: audio[start : start + HEARD] for stem, audio in every.items()}

    estimates = {row.label: heard(row.estimate(mixture, part)) for row in rows if row.key != "mixture"}
    return Scene(name, mixture[start : start + HEARD], heard(part), estimates)


def real_scene(path: Path, rows: Sequence[Row]) -> Scene:
    """Return what the separators in `rows` make of the first 12 s of a finished piece; the rest of the mixture is a
    stem too. Raises HostError where `path` cannot be read."""
    with FileSource(path, RATE) as source:
        audio = source.read(2 * HEARD)
    audio = np.ascontiguousarray(np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2])
    estimates = {}
    for row in rows:
        if row.contestant is not None:
            stems = row.estimate(audio, dict.fromkeys(STEMS, audio))
            estimates[row.label] = stems | {"remainder": audio - sum(stems.values())}
    return Scene(path.stem, audio, {}, estimates)


def data_uri(audio: np.ndarray, peak: float) -> str:
    """Return `audio` [samples, 2] as Ogg/Opus in a data URI, at the gain that brings `peak` to a comfortable level.

    One gain for a whole scene keeps the balance, so that what is faint is heard to be faint.
    """
    loud = np.clip(audio * (_PEAK / max(peak, 1e-9)), -1, 1).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(loud, RATE, _OPUS_RATE), _OPUS_RATE, format="OGG", subtype="OPUS")
    return "data:audio/ogg;base64," + base64.b64encode(file.getvalue()).decode()
