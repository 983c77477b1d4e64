"""How a separator behaves where SDR says nothing: in silence, on solo stems, on absent ones, and when switched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.corpus import RATE
from models.evaluate.baselines import Estimator, Stems
from models.evaluate.playing import conditioned
from models.evaluate.ratios import FLOOR, decibels, energy, median, sdr
from realtime.latency import Mode
from realtime.separator import Separator

SILENCE = RATE
"""How long the silence at the start is, in samples."""

AFTER = 3 * RATE
"""How long the silence after music is; its last second is measured."""

BLOCK = RATE // 100
SETTLED = -40.0
"""What is left of the stem switched away from has settled below this, in dB of the mixture."""

LOSS = RATE // 2
"""How long after a switch its loss is measured over."""


@dataclass(frozen=True)
class Switch:
    """What happens when the condition is switched in the middle of a note, without a glide; medians over switches.

    `settles_ms`: after how long the sound stays within 40 dB (of the mixture) of what the new condition would have
    given all along. `loss`: dB of SDR that the first half second has lost against that. `click`: the steepest bend
    of the waveform around the switch, in dB of the steepest that either condition has there without a switch.
    """

    settles_ms: float
    loss: float
    click: float


@dataclass(frozen=True)
class Behaviour:
    """Levels in dB, FLOOR for nothing at all; medians over excerpts.

    `silence`: the peak (dBFS) that a second of digital silence gives; `after`: the level (dBFS) of the third second
    of silence after music; `absent`: per stem, how loud it comes out of a mixture without it, against that mixture;
    `kept`: per stem, the SDR when it is alone; `leaks`: per solo stem, how loud the others come out, against it.
    """

    silence: float
    after: float
    absent: dict[str, float]
    kept: dict[str, float]
    leaks: dict[str, dict[str, float]]


def behaviour(estimate: Estimator, names: tuple[str, ...], excerpts: list[Stems]) -> Behaviour:
    """Return how an estimator of the stems `names` behaves on `excerpts`."""
    absent = {name: [] for name in names}
    kept = {name: [] for name in names}
    leaks = {solo: {name: [] for name in names if name != solo} for solo in excerpts[0]}
    after = []
    for stems in excerpts:
        mixture = sum(stems.values())
        for name in names:
            rest = mixture - stems[name]
            nothing = {**stems, name: np.zeros_like(rest)}
            absent[name].append(decibels(energy(estimate(rest, nothing)[name]), energy(rest)))
        for solo, audio in stems.items():
            alone = {name: audio if name == solo else np.zeros_like(audio) for name in stems}
            for name, part in estimate(audio, alone).items():
                if name == solo:
                    kept[name].append(sdr(audio, part))
                else:
                    leaks[solo][name].append(decibels(energy(part), energy(audio)))
        after.append(_after(estimate, stems))
    silent = np.zeros((SILENCE, 2), np.float32)
    peak = max(float(np.abs(part).max()) for part in estimate(silent, dict.fromkeys(excerpts[0], silent)).values())
    return Behaviour(
        silence=decibels(peak**2),
        after=median(after),
        absent={name: median(values) for name, values in absent.items()},
        kept={name: median(values) for name, values in kept.items()},
        leaks={solo: {name: median(values) for name, values in row.items()} for solo, row in leaks.items()},
    )


def _after(estimate: Estimator, stems: Stems) -> float:
    """Return the level of the loudest stem in the last second of the silence after music, in dBFS."""
    padded = {name: np.pad(audio[: 4 * RATE], ((0, AFTER), (0, 0))) for name, audio in stems.items()}
    last = [
        np.square(part[-RATE:], dtype=np.float64).mean() for part in estimate(sum(padded.values()), padded).values()
    ]
    return decibels(float(max(last)))


def switching(separator: Separator, mode: Mode, excerpts: list[Stems], seed: int) -> Switch | None:
    """Return what switching costs: every stem to the next, in each excerpt at a place where both sound.

    `seed` chooses among those places. None for a separator of one stem, or without `single`.
    """
    names = separator.metadata.stems
    if len(names) < 2 or "single" not in separator.metadata.runs:
        return None
    random = np.random.default_rng(seed)
    found = []
    for stems in excerpts:
        mixture = np.ascontiguousarray(sum(stems.values()), np.float32)
        steady = {name: conditioned(separator, mode, mixture, [(0, name)]) for name in names}
        for before, then in zip(names, (*names[1:], names[0]), strict=True):
            at = mid_note(stems[before], stems[then], random)
            heard = conditioned(separator, mode, mixture, [(0, before), (at, then)])
            found.append(
                Switch(
                    settles_ms=_settles(heard - steady[then], mixture, at),
                    loss=sdr(stems[then][at : at + LOSS], steady[then][at : at + LOSS])
                    - sdr(stems[then][at : at + LOSS], heard[at : at + LOSS]),
                    click=_click(heard, (steady[before], steady[then]), at, mode),
                )
            )
    return Switch(*(median(getattr(each, name) for each in found) for name in ("settles_ms", "loss", "click")))


def mid_note(one: np.ndarray, other: np.ndarray, random: np.random.Generator) -> int:
    """Return a sample between a quarter and two thirds of the length at which both stems sound.

    One of the tenth of all 10 ms blocks in which the quieter of the two is loudest, each against its own mean.
    """
    count = len(one) // BLOCK
    powers = [
        np.square(audio[: count * BLOCK], dtype=np.float64).reshape(count, -1).sum(1) + 1e-20 for audio in (one, other)
    ]
    both = np.minimum(*(power / power.mean() for power in powers))
    low, high = count // 4, max(count // 4 + 1, 2 * count // 3)
    order = np.argsort(both[low:high])[::-1]
    block = low + int(random.choice(order[: max(1, len(order) // 10)]))
    return block * BLOCK + BLOCK // 2


def _settles(difference: np.ndarray, mixture: np.ndarray, at: int) -> float:
    """Return after how many ms `difference` stays below SETTLED dB of the mixture's mean level after `at`."""
    count = max(1, (len(difference) - at) // BLOCK)
    blocks = np.square(difference[at : at + count * BLOCK], dtype=np.float64).reshape(count, -1).sum(1)
    limit = 10 ** (SETTLED / 10) * np.square(mixture[at : at + count * BLOCK], dtype=np.float64).sum() / count
    loud = np.nonzero(blocks > limit)[0]
    return 1000 * BLOCK / RATE * (int(loud[-1]) + 1 if len(loud) else 0)


def _click(heard: np.ndarray, steady: tuple[np.ndarray, np.ndarray], at: int, mode: Mode) -> float:
    """Return the steepest second difference around the switch against that of the sounds on both sides of it, in dB."""
    # The frames that a switch falls into, before and after.
    around = slice(max(0, at - mode.synthesis), at + mode.hop + mode.synthesis)
    bends = [float(np.abs(np.diff(audio[around].astype(np.float64), 2, axis=0)).max()) for audio in (heard, *steady)]
    loudest = max(bends[1:])
    return FLOOR if loudest == 0 else decibels(bends[0] ** 2, loudest**2)
