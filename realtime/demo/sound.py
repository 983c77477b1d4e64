"""Sound shared by the parts: band-limited harmonics, shaped noise, placing, reverb.

There is no recursive filter here: a filter is a curve over harmonics (`additive`) or over the bins
of a spectrum (`shaped_noise`), which is exact, free of aliasing, and quick in numpy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Control values come once every HOP samples; the reverb works on blocks of BLOCK samples.
HOP = 64
BLOCK = 65536
_STRETCH = 256


def hertz(pitch: np.ndarray | float) -> np.ndarray | float:
    """Return the frequency of a MIDI pitch, which need not be whole."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


def smoothstep(x: np.ndarray) -> np.ndarray:
    """Return the cubic that rises from 0 at x <= 0 to 1 at x >= 1 with flat ends."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3 - 2 * x)


def control_times(seconds: float, rate: int) -> np.ndarray:
    """Return the times of the control values that cover `seconds`, float64 [frames + 1]."""
    return np.arange(int(np.ceil(seconds * rate / HOP)) + 1) * (HOP / rate)


def audio_rate(control: np.ndarray) -> np.ndarray:
    """Interpolate control values [frames + 1] linearly to [frames * HOP]."""
    ramp = np.arange(HOP, dtype=control.real.dtype) / HOP
    return (control[:-1, None] + np.diff(control)[:, None] * ramp).reshape(-1)


def additive(frequency: np.ndarray, weights: np.ndarray, rate: int) -> np.ndarray:
    """Return the sum over k of the real part of weights[k - 1] exp(2 pi i k phase), float32 [frames * HOP].

    `frequency` [frames + 1] in Hz and `weights` [harmonics, frames + 1], complex, are control values.
    Harmonics fade out below half the rate.
    """
    numbers = np.arange(1, len(weights) + 1)[:, None]
    allowed = np.clip((0.47 * rate - numbers * frequency) / 1000.0, 0.0, 1.0)
    weights = (weights * allowed).astype(np.complex64)
    phase = np.cumsum(audio_rate(np.asarray(frequency, dtype=np.float64))) / rate
    turn = np.exp(2j * np.pi * (phase % 1.0)).astype(np.complex64)
    total = np.zeros(len(turn), dtype=np.float32)
    audible = 1e-4 * np.abs(weights).max()
    # Stretches that stay in the processor's cache.
    for first in range(0, weights.shape[1] - 1, _STRETCH):
        part = weights[:, first : first + _STRETCH + 1]
        samples = slice(first * HOP, (first + _STRETCH) * HOP)
        harmonic = np.ones_like(turn[samples])
        loud = np.abs(part).max(axis=1) > audible
        for weight in part[: len(part) - int(np.argmax(loud[::-1]))] if loud.any() else ():
            harmonic *= turn[samples]
            total[samples] += (audio_rate(weight) * harmonic).real
    return total


def low_pass(frequency: np.ndarray, cutoff: np.ndarray | float, resonance: float = 0.7, poles: int = 2) -> np.ndarray:
    """Return the magnitude at `frequency` of a low pass with `poles` (even) poles, resonant in its last pair."""
    x = frequency / cutoff
    pair = 1 / np.sqrt((1 - x * x) ** 2 + (x / resonance) ** 2)
    return pair / (1 + x * x) ** (poles // 2 - 1)


def band(frequency: np.ndarray, low: float, high: float, slope: int = 2) -> np.ndarray:
    """Return the magnitude at `frequency` of a band from `low` to `high` Hz with 6 dB per octave for each `slope`."""
    x = np.maximum(frequency, 1e-3)
    return 1 / np.sqrt((1 + (low / x) ** (2 * slope)) * (1 + (x / high) ** (2 * slope)))


def shaped_noise(
    rng: np.random.Generator, length: int, rate: int, shape: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return Gaussian noise of unit power with the magnitude `shape(frequency in Hz)`, float32 [length]."""
    size = 1 << max(8, (length - 1).bit_length())
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    spectrum *= shape(np.fft.rfftfreq(size, 1 / rate))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, size).astype(np.float32)
    return noise[:length] / np.sqrt(np.mean(noise**2))


def pan(sound: np.ndarray, position: float) -> np.ndarray:
    """Return a mono sound as [samples, 2] with equal power at `position` from -1 (left) to 1 (right)."""
    angle = np.pi / 4 * (1 + position)
    return sound[:, None] * np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def place(track: np.ndarray, start: int, sound: np.ndarray) -> None:
    """Add a sound to a track from sample `start` on; what lies outside the track is dropped."""
    if start < 0:
        sound, start = sound[-start:], 0
    sound = sound[: max(0, len(track) - start)]
    track[start : start + len(sound)] += sound


def echo(track: np.ndarray, delay: int, gains: tuple[float, ...]) -> np.ndarray:
    """Return echoes only of a track [samples, 2]: one every `delay` samples, sides swapped each time."""
    wet = np.zeros_like(track)
    for number, gain in enumerate(gains, start=1):
        side = track[:, ::-1] if number % 2 else track
        place(wet, number * delay, side * np.float32(gain))
    return wet


def reverb(track: np.ndarray, rate: int, seconds: float, damping: float, seed: int) -> np.ndarray:
    """Return the reverberation only, float32 [samples, 2], of a track [samples, 2] of whole blocks.

    The response is noise of unit energy that falls by 60 dB in `seconds`, above `damping` Hz in half
    the time, independent on both sides. Blocks are fixed, so the result does not depend on what follows.
    """
    length = min(BLOCK, round(seconds * rate))
    rng = np.random.default_rng(seed)
    time = np.arange(length) / rate
    early = round(0.012 * rate)
    response = np.zeros((2, length), dtype=np.float32)
    for side in response:
        low = shaped_noise(rng, length, rate, lambda f: band(f, 180, damping))
        high = shaped_noise(rng, length, rate, lambda f: band(f, damping, 9000))
        tail = low * 10 ** (-3 * time / seconds) + 0.5 * high * 10 ** (-6 * time / seconds)
        side[early:] = (tail * smoothstep(time / 0.01))[: length - early]
        side /= np.sqrt(np.sum(side**2))
    transfer = np.fft.rfft(response, 2 * BLOCK)
    mono = track.mean(axis=1)
    wet = np.zeros((len(track) + BLOCK, 2), dtype=np.float32)
    for start in range(0, len(track), BLOCK):
        block = mono[start : start + BLOCK]
        if np.any(block):
            wet[start : start + 2 * BLOCK] += np.fft.irfft(np.fft.rfft(block, 2 * BLOCK) * transfer, 2 * BLOCK).T
    return wet[: len(track)]
