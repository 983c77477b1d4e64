"""The three bands of a DJ mixer's equaliser isolator: crossovers that sum to one."""

from __future__ import annotations

import numpy as np

BANDS = ("low", "mid", "high")
CROSSOVERS = (250.0, 2500.0)


def band_gains(frequency: np.ndarray) -> np.ndarray:
    """Return the gains of low, mid and high at `frequency` [...] in Hz, float64 [3, ...]; they sum to 1.

    low = 1 / (1 + (f / 250 Hz)^4), high = 1 - 1 / (1 + (f / 2.5 kHz)^4), mid = 1 - low - high: the
    magnitudes of fourth-order Linkwitz-Riley crossovers (24 dB per octave, -6 dB at the crossover), used
    without phase shift, so that amplitudes add up. Steeper ones ring longer than a short window holds: at
    48 dB per octave the wrapped echo of a click is some 8 dB louder. Source: Linkwitz, "Active crossover
    networks for noncoincident drivers", JAES 1976.
    """
    below = [1 / (1 + (frequency / crossover) ** 4) for crossover in CROSSOVERS]
    return np.stack([below[0], below[1] - below[0], 1 - below[1]])
