"""What stands in a row of the tables: a separator in one latency mode, or a baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.data.corpus import STEMS
from models.evaluate.baselines import Estimator, fit_isolator, ideal_mask, isolator, mixture_itself
from models.evaluate.cache import Cache
from models.evaluate.contestant import Contestant
from models.evaluate.playing import streaming
from models.evaluate.tracks import Track
from realtime.defaults import mode_of
from realtime.errors import HostError

DEFAULT_MODE = "low"
ISOLATOR = "three-band isolator"
FITTED = 20
"""How many songs three gains a stem are fitted to, at most."""


@dataclass(frozen=True)
class Row:
    """`estimate` under its `label`; `key` names all that it depends on; a baseline has no `contestant` and no `mode`."""

    label: str
    key: str
    estimate: Estimator
    stems: tuple[str, ...] = STEMS
    contestant: Contestant | None = None
    mode: str = ""


def separator_rows(
    contestants: Sequence[Contestant], modes: Sequence[str] | None, every: bool
) -> tuple[list[Row], list[str]]:
    """Return a row for each contestant and mode, and a sentence for each mode that one does not offer.

    `modes` None means all that the file claims if `every`, or else `low`, or else its first. Raises HostError where
    no row is left.
    """
    rows, notes = [], []
    for contestant in contestants:
        separator = contestant.separator
        offered = separator.metadata.modes
        wanted = modes or (offered if every else [DEFAULT_MODE if DEFAULT_MODE in offered else next(iter(offered))])
        for name in wanted:
            try:
                mode = mode_of(separator, name)
            except HostError as problem:
                notes.append(f"left out: {problem}")
                continue
            rows.append(
                Row(
                    label=f"{contestant.name}, {name}",
                    key=f"{contestant.file_hash} {name}",
                    estimate=streaming(separator, mode),
                    stems=separator.metadata.stems,
                    contestant=contestant,
                    mode=name,
                )
            )
    if contestants and not rows:
        raise HostError(notes[0].removeprefix("left out: "))
    return rows, notes


def baseline_rows(train: Sequence[Track], cache: Cache) -> tuple[list[Row], list[str]]:
    """Return the rows of the baselines; the isolator, fitted to the songs in `train`, is left out where there are none."""
    rows, notes = [Row("mixture", "mixture", mixture_itself)], []
    try:
        gains = _fitted(train, cache)
        digest = hashlib.sha256(str(gains).encode()).hexdigest()
        arrays = {name: np.array(values) for name, values in gains.items()}
        rows.append(Row(ISOLATOR, f"isolator {digest}", isolator(arrays)))
    except HostError as problem:
        notes.append(f"left out: the isolator, for its gains cannot be fitted ({problem})")
    return [*rows, Row("ideal ratio mask", "ideal", ideal_mask)], notes


def _fitted(train: Sequence[Track], cache: Cache) -> dict[str, list[float]]:
    if not train:
        raise HostError("there are no songs to train on")

    train = train[:FITTED]

    def fit() -> dict[str, list[float]]:
        return {name: values.tolist() for name, values in fit_isolator(track.read() for track in train).items()}

    return cache.get(("isolator", *(track.stamp() for track in train)), fit)
