"""Measures of what was heard: levels, cross-fades, and the brightness that gives a click away."""

from __future__ import annotations

import numpy as np

RATE = 44100


def level(sound: np.ndarray, against: np.ndarray) -> float:
    """Return the power of `sound` in dB relative to that of `against`, -200 at least."""
    powers = [float(np.mean(np.square(part, dtype=np.float64))) for part in (sound, against)]
    return 10 * float(np.log10(max(1e-20, powers[0] / max(1e-20, powers[1]))))


def cross_fade(before: np.ndarray, after: np.ndarray, begun: int, glide: int) -> np.ndarray:
    """Return `before` going over into `after` in a straight line of `glide` samples, the first of them `begun`."""
    share = np.clip((np.arange(len(before)) - begun + 1) / glide, 0, 1)[:, None]
    return before + share * (after - before)


def find_fade(heard: np.ndarray, before: np.ndarray, after: np.ndarray, glide: int) -> int:
    """Return the sample at which `heard` begins to go over from `before` into `after`."""
    departed = int(np.flatnonzero(np.abs(heard - before).max(axis=1) > 1e-3 * np.abs(before).max())[0])
    first = max(0, departed - glide)
    part = slice(first, departed + 2 * glide)
    candidates = range(departed - first + 1)
    fades = (cross_fade(before[part], after[part], candidate, glide) for candidate in candidates)
    return first + int(np.argmin([np.square(heard[part] - fade).sum() for fade in fades]))


def brightness(heard: np.ndarray, begun: int, glide: int, *constant: np.ndarray) -> float:
    """Return by how many dB `heard` has more above 8 kHz than the louder of `constant` at most.

    Compared within 10 ms of each moment of the change: from `begun` until `glide` samples later.
    """
    reach = RATE // 100
    window = np.hanning(2 * reach)[:, None]
    highs = np.fft.rfftfreq(2 * reach, 1 / RATE) > 8000

    def energy(sound: np.ndarray, centre: int) -> float:
        return float(np.square(np.abs(np.fft.rfft(window * sound[centre - reach : centre + reach], axis=0)[highs])).sum())

    # 90 dB below full scale nothing clicks.
    floor = 1e-9 * float(np.square(window).sum()) * reach
    centres = range(begun, begun + glide + 1, reach // 4)
    return max(
        10 * float(np.log10(energy(heard, at) / max(floor, *(energy(sound, at) for sound in constant))))
        for at in centres
    )
