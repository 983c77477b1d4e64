"""Rows times tracks: every estimate scored, and the medians over tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from types import ModuleType

import numpy as np

from models.data.corpus import RATE, STEMS
from models.evaluate.baselines import Stems
from models.evaluate.behaviour import Behaviour, Switch, behaviour, switching
from models.evaluate.bss import WINDOW, Ratios, bss_eval
from models.evaluate.cache import Cache
from models.evaluate.costs import Costs, Given, costs_of
from models.evaluate.ratios import frame_sdr, median, sdr
from models.evaluate.rows import Row
from models.evaluate.tracks import Selection, Track, at_equal_loudness, digest, fullest
from realtime.errors import HostError

BEHAVIOUR_TRACKS = 2
"""How many tracks behaviour is measured on, and for how long at most: the costliest measure of all."""

BEHAVIOUR_SAMPLES = 12 * RATE


@dataclass(frozen=True)
class Score:
    """What one estimate of one track is worth, per stem in dB: `sdr` of the whole signal, `frames` the median of the SDR
    of its seconds (BSS v4), `bss` museval's ratios, empty where they were not asked for."""

    sdr: dict[str, float]
    frames: dict[str, float]
    bss: dict[str, Ratios] = field(default_factory=dict)


@dataclass(frozen=True)
class RowFigures:
    """Medians over tracks per stem, as in Score; `each` the whole-signal SDR of every track. `bss` is empty where it was
    not taken of all tracks."""

    sdr: dict[str, float]
    frames: dict[str, float]
    bss: dict[str, Ratios]
    each: dict[str, list[float]]


@dataclass(frozen=True)
class SetFigures:
    """The figures of a selection, by the label of the row. `audio` is the SHA-256 over the stems of its `tracks`."""

    name: str
    equal: bool
    tracks: tuple[str, ...]
    audio: str
    rows: dict[str, RowFigures]


@dataclass(frozen=True)
class Manner:
    """How a row behaves, and what it costs; baselines have no costs and no switch."""

    behaviour: Behaviour
    switch: Switch | None
    costs: Costs | None


def mean_over_stems(values: dict[str, float]) -> float:
    """Return the mean over the four stems; NaN where one is missing."""
    return float(np.mean([values.get(stem, np.nan) for stem in STEMS]))


def score(estimates: Stems, stems: Stems, metrics: ModuleType | None) -> Score:
    """Return what `estimates` are worth; with museval's `metrics`, its ratios too.

    Where estimates of some stems are missing, the sum of those counts as one source more, estimated by the mixture
    less the others: then there is something to interfere.
    """
    names = list(estimates)
    mixture = sum(stems.values())
    references, given = [stems[name] for name in names], [estimates[name] for name in names]
    if set(names) != set(stems):
        references.append(mixture - sum(references))
        given.append(mixture - sum(given))
    true, found = np.stack(references), np.stack(given)
    frames = frame_sdr(true, found, WINDOW)
    ratios = [] if metrics is None else bss_eval(metrics, true, found)
    return Score(
        sdr={name: sdr(stems[name], estimates[name]) for name in names},
        frames={name: median(frames[index]) for index, name in enumerate(names)},
        bss=dict(zip(names, ratios, strict=False)),
    )


def measure(
    selections: Sequence[Selection],
    rows: Sequence[Row],
    metrics: ModuleType | None,
    cache: Cache,
    advance: Callable[[str], object],
) -> tuple[list[SetFigures], list[str]]:
    """Return the figures of every selection, and sentences on the tracks that were skipped and the rows that failed.

    A row that gives no numbers on one track has figures nowhere. museval's ratios are taken of the first selection
    only. `advance` hears of every estimate that is done. Raises HostError where nothing is left to be measured.
    """
    scores: dict[tuple[Track, bool], dict[str, Score]] = {}
    failed: dict[str, str] = {}
    hashes: dict[tuple[Track, bool], str] = {}
    problems: dict[str, str] = {}
    for index, selection in enumerate(selections):
        for track in selection.tracks:
            place = track, selection.equal
            if place in scores:
                for row in rows:
                    advance(f"{track.name}: {row.label}")
                continue
            try:
                stems = track.read()
            except HostError as problem:
                problems[track.name] = str(problem)
                continue
            if selection.equal:
                stems = at_equal_loudness(stems)
            hashes[place] = digest(stems)
            mixture, scores[place] = sum(stems.values()), {}
            for row in rows:
                advance(f"{track.name}: {row.label}")
                if row.label in failed:
                    continue
                taken = None if index else metrics
                try:
                    scores[place][row.label] = _scored(row, mixture, stems, hashes[place], taken, cache)
                except HostError as problem:
                    failed[row.label] = f"left out: {row.label}, which failed on {track.name} ({problem})"
    left = [row.label for row in rows if row.label not in failed]
    notes = [*failed.values()]
    if not left:
        raise HostError("nothing could be measured: " + "; ".join(notes))
    if problems:
        total = len({track.name for selection in selections for track in selection.tracks})
        notes.append(f"skipped {len(problems)} of {total} tracks: " + "; ".join(problems.values()))
    figures = []
    for selection in selections:
        places = [(track, selection.equal) for track in selection.tracks if (track, selection.equal) in scores]
        if not places:
            raise HostError(f"nothing could be measured: {'; '.join(problems.values()) or 'there are no tracks'}")
        figures.append(
            SetFigures(
                name=selection.name,
                equal=selection.equal,
                tracks=tuple(track.name for track, _ in places),
                audio=hashlib.sha256("".join(hashes[place] for place in places).encode()).hexdigest(),
                rows={label: _medians([scores[place][label] for place in places]) for label in left},
            )
        )
    return figures, notes


def _scored(row: Row, mixture: np.ndarray, stems: Stems, audio: str, metrics: ModuleType | None, cache: Cache) -> Score:
    found = cache.get(
        ("score", row.key, audio, "museval" if metrics else ""),
        lambda: asdict(score(row.estimate(mixture, stems), stems, metrics)),
    )
    return Score(found["sdr"], found["frames"], {name: Ratios(**ratios) for name, ratios in found["bss"].items()})


def _medians(scores: list[Score]) -> RowFigures:
    names = list(scores[0].sdr)
    return RowFigures(
        sdr={name: median(each.sdr[name] for each in scores) for name in names},
        frames={name: median(each.frames[name] for each in scores) for name in names},
        bss={
            name: Ratios(*(median(getattr(each.bss[name], kind) for each in scores) for kind in Ratios.__annotations__))
            for name in names
            if all(each.bss for each in scores)
        },
        each={name: [each.sdr[name] for each in scores] for name in names},
    )


def manners(
    rows: Sequence[Row],
    tracks: Sequence[Track],
    given: Given,
    seed: int,
    cache: Cache,
    advance: Callable[[str], object],
) -> tuple[dict[str, Manner], tuple[str, ...], list[str]]:
    """Return how every row but the ideal mask behaves on the first readable of `tracks`, and what it costs; the
    names of those tracks; and a sentence on every row that failed."""
    excerpts: list[Stems] = []
    names: list[str] = []
    for track in tracks:
        try:
            stems = fullest(track.read(), BEHAVIOUR_SAMPLES)
        except HostError:  # said where scores are taken
            continue
        names.append(track.name)
        excerpts.append({name: np.ascontiguousarray(audio) for name, audio in stems.items()})
        if len(excerpts) == BEHAVIOUR_TRACKS:
            break
    result, notes = {}, []
    for row in rows:
        if row.key == "ideal":
            continue
        advance(f"behaviour: {row.label}")
        try:
            result[row.label] = _manner(row, excerpts, given, seed, cache)
        except HostError as problem:
            notes.append(f"no behaviour of {row.label} ({problem})")
    return result, tuple(names), notes


def _manner(row: Row, excerpts: list[Stems], given: Given, seed: int, cache: Cache) -> Manner:
    audio = "".join(map(digest, excerpts))
    found = cache.get(
        ("behaviour", row.key, audio),
        lambda: asdict(behaviour(row.estimate, row.stems, excerpts)),
    )
    if row.contestant is None:
        return Manner(Behaviour(**found), None, None)
    separator = row.contestant.separator

    def switched() -> dict[str, float] | None:
        switch = switching(separator, separator.metadata.modes[row.mode], excerpts, seed)
        return switch and asdict(switch)

    switch = cache.get(("switch", row.key, audio, str(seed)), switched)
    # A bench knows separators by the name in their metadata: it cannot tell two of one name apart.
    known = given if row.contestant.name == separator.metadata.name else {}
    costs = costs_of(separator, row.mode, known)
    return Manner(Behaviour(**found), switch and Switch(**switch), costs)
