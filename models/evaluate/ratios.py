"""Ratios of energies in decibels: what separation is measured by."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np

FLOOR = -200.0
"""Stands for nothing at all, in dB."""

_CHUNK = 1 << 20
_LEAST = 1e-12


def energy(audio: np.ndarray) -> float:
    """Return the sum of squares of `audio` [samples, channels], in double precision, without a copy of it all."""
    return float(sum(np.square(audio[at : at + _CHUNK], dtype=np.float64).sum() for at in range(0, len(audio), _CHUNK)))


def decibels(part: float, whole: float = 1.0) -> float:
    """Return 10 log10(part / whole), no less than FLOOR; NaN where `whole` is nothing."""
    if whole <= 0:
        return float("nan")
    return max(FLOOR, 10 * float(np.log10(max(part / whole, 1e-30))))


def sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the signal-to-distortion ratio 10 log10(|s|^2 / |s - e|^2) in dB over all samples and channels.

    NaN where the reference is silent: there is no ratio then, only leakage.
    """
    signal, error = energy(reference), _error(reference, estimate)
    return float("nan") if signal == 0 else 10 * float(np.log10(signal / max(error, _LEAST)))


def _error(reference: np.ndarray, estimate: np.ndarray) -> float:
    return float(
        sum(
            np.square(reference[at : at + _CHUNK].astype(np.float64) - estimate[at : at + _CHUNK]).sum()
            for at in range(0, len(reference), _CHUNK)
        )
    )


def frame_sdr(references: np.ndarray, estimates: np.ndarray, window: int) -> np.ndarray:
    """Return the SDR of every source in every whole window of `window` samples, in dB, [sources, windows].

    `references` and `estimates` are [sources, samples, channels]. This is the SDR of BSS Eval version 4 (Stöter,
    Liutkus, Ito, "The 2018 Signal Separation Evaluation Campaign", 2018; museval), whose error is estimate less
    reference whatever the distortion filters are: those only divide it into ISR, SIR and SAR. As there, a window in
    which any source or estimate is digital silence is NaN for all sources.
    """
    sources, samples, _ = references.shape
    windows = samples // window if window < samples else 1
    result = np.full((sources, windows), np.nan)
    for index in range(windows):
        at = slice(index * window, (index + 1) * window)
        true, given = references[:, at].astype(np.float64), estimates[:, at].astype(np.float64)
        if any(not each.sum(-1).any() for each in (*true, *given)):
            continue
        error = np.maximum(np.square(given - true).sum((1, 2)), _LEAST)
        with np.errstate(divide="ignore"):
            result[:, index] = 10 * np.log10(np.square(true).sum((1, 2)) / error)
    return result


def median(values: Iterable[float]) -> float:
    """Return the median of those `values` that are numbers; NaN where none is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.nanmedian([*values] or [np.nan]))
