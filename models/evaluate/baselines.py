"""What a separator is compared with: the mixture itself, a DJ's equaliser, and the ideal mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from models.crossover import band_gains
from models.data.corpus import RATE, STEMS

Stems = dict[str, np.ndarray]
"""Stem name to float [samples, channels]."""

Estimator = Callable[[np.ndarray, Stems], Stems]
"""From a mixture [samples, channels] and its true stems, which only the ideal mask looks at, to estimates."""


_FITTED = 1 << 18


def mixture_itself(mixture: np.ndarray, stems: Stems) -> Stems:
    """Return the mixture as the estimate of every stem."""
    return {name: mixture for name in stems}


def bands_of(audio: np.ndarray) -> np.ndarray:
    """Split [samples, channels] into low, mid and high, [3, samples, channels]; they sum to the input.

    Over the whole signal rather than frame by frame, so that the baseline is what no latency mode can spoil.
    """
    spectrum = np.fft.rfft(audio, axis=0)
    parts = band_gains(np.fft.rfftfreq(len(audio), 1 / RATE))
    return np.stack([np.fft.irfft(spectrum * part[:, None], len(audio), axis=0) for part in parts])


def fit_isolator(songs: Iterable[Stems]) -> dict[str, np.ndarray]:
    """Return for each stem the three gains w that leave the least error |s - sum_b w_b bands_b|^2 over `songs`.

    Energies are summed over frequency, where bands need not be transformed back (Parseval), 6 s at a time.
    """
    gains = band_gains(np.fft.rfftfreq(_FITTED, 1 / RATE))
    # Every bin but the first and the last stands for two.
    twice = np.full(gains.shape[1], 2.0)
    twice[[0, -1]] = 1
    normal = np.zeros((3, 3))
    right = {stem: np.zeros(3) for stem in STEMS}
    for stems in songs:
        for at in range(0, len(next(iter(stems.values()))), _FITTED):
            spectra = {stem: np.fft.rfft(audio[at : at + _FITTED], _FITTED, axis=0) for stem, audio in stems.items()}
            mixture = sum(spectra.values())
            normal += (gains * (twice * np.square(np.abs(mixture)).sum(1))) @ gains.T
            for stem in STEMS:
                right[stem] += gains @ (twice * np.real(np.conj(mixture) * spectra[stem]).sum(1))
    # No solution is the only one where a band is silent in all songs.
    return {stem: np.linalg.lstsq(normal, right[stem])[0] for stem in STEMS}


def isolator(gains: dict[str, np.ndarray]) -> Estimator:
    """Return the estimator that gives every stem its three fixed `gains` of low, mid and high."""

    def estimate(mixture: np.ndarray, stems: Stems) -> Stems:
        bands = bands_of(mixture)
        return {name: np.tensordot(gains[name], bands, 1) for name in STEMS}

    return estimate


def ideal_mask(mixture: np.ndarray, stems: Stems, n_fft: int = 2048, hop: int = 512) -> Stems:
    """Return what the ratio mask |S| / sum |S_i| made from the true stems gives, windows of a sine."""
    window = np.sin(np.pi * (np.arange(n_fft) + 0.5) / n_fft)
    padded = {name: np.pad(audio, ((n_fft, 2 * n_fft), (0, 0))) for name, audio in stems.items()}
    starts = range(0, len(next(iter(padded.values()))) - n_fft, hop)
    result = {name: np.zeros_like(audio, dtype=np.float64) for name, audio in padded.items()}
    shape = window[:, None]
    for start in starts:
        spectra = {name: np.fft.rfft(audio[start : start + n_fft] * shape, axis=0) for name, audio in padded.items()}
        total = sum(np.abs(s) for s in spectra.values()) + 1e-9
        mixed = sum(spectra.values())
        for name, spectrum in spectra.items():
            frame = np.fft.irfft(np.abs(spectrum) / total * mixed, n_fft, axis=0)
            result[name][start : start + n_fft] += frame * shape * (2 * hop / n_fft)
    return {name: audio[n_fft : n_fft + len(mixture)] for name, audio in result.items()}
