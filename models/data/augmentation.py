"""What happens to a scene of a remix besides its gains and equalisers: cheap, and exact for the stems as for their sum.

Everything here is a gain that all stems share, a filter, or a change of one stem alone, so that the mixture stays
the sum of its stems. What costs more (rooms, compressors, codecs, tempo without pitch) is rendered ahead, by
models/data/treated.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.recordings import RATE


@dataclass(frozen=True)
class Augmentation:
    """How often each of these happens: a scene's chances, except `saturated` and `resting`, which are a stem's."""

    instrumental: float = 0.06  # no vocals
    solo: float = 0.04  # one stem alone
    resting: float = 0.12  # a stem pauses within the scene
    saturated: float = 0.12  # a stem is driven into a soft limit
    squeezed: float = 0.15  # a bus compressor rides on the mixture
    loud: float = 0.05  # up to where a limiter holds it at full scale
    quiet: float = 0.06  # 10 to 40 dB down
    narrow: float = 0.12  # band-limited, as low rates and codecs leave it
    mono: float = 0.05
    wrong_rate: float = 0.04  # 44.1 kHz played at 48, or the other way round


@dataclass
class Bus:
    """A compressor on the mixture: what is `over` the threshold (dBFS, peak) is divided by `ratio`.

    `release` in dB a block; the envelope of the last block is kept, so that batches run on.
    """

    threshold: float
    ratio: float
    release: float
    envelope: float = -200.0


def bus_gains(bus: Bus, mixture: np.ndarray, block: int, advance: int) -> np.ndarray:
    """Return the gain of every sample of `mixture` [samples, 2], float32, and move `bus` on by `advance` blocks.

    The envelope takes the peak of each `block` samples at once and falls by `release` a block; the gain glides to
    that of the block over its length.
    """
    count = -(-len(mixture) // block)
    level = np.zeros(count * block, np.float32)
    level[: len(mixture)] = np.abs(mixture).max(axis=1)
    peaks = 20 * np.log10(np.maximum(level.reshape(count, block).max(axis=1), 1e-10))
    envelope = np.empty(count + 1)
    envelope[0] = bus.envelope
    for i, peak in enumerate(peaks):
        envelope[i + 1] = max(peak, envelope[i] - bus.release)
    bus.envelope = float(envelope[advance])
    over = np.maximum(0.0, envelope - bus.threshold) * (1 - 1 / bus.ratio)
    gains = 10 ** (-over / 20)
    return np.interp(np.arange(len(mixture)), np.arange(count + 1) * block, gains).astype(np.float32)


def saturated(audio: np.ndarray, drive: float, level: float) -> np.ndarray:
    """Return `audio` driven into tanh: 1 is gentle, 8 harsh; what lies at `level` stays there."""
    return np.tanh(audio * (drive / level)) * (level / np.tanh(drive))


def band_limit(bins: int, n_fft: int, corner: float) -> np.ndarray:
    """Return float32 gains [bins]: 1 up to `corner` Hz, then down to -80 dB within a sixth of an octave."""
    hertz = np.maximum(np.arange(bins), 1) * RATE / n_fft
    octaves = np.log2(hertz / corner)
    return (10 ** (np.clip(octaves * -480, -80, 0) / 20)).astype(np.float32)


def rest(first: int, samples: int, start: int, end: int, ramp: int = 882) -> np.ndarray:
    """Return gains [samples], float32, of samples `first` and on: 0 from `start` to `end`, with ramps around it."""
    at = first + np.arange(samples)
    return np.clip(np.maximum(start - at, at - end) / ramp, 0, 1).astype(np.float32)
