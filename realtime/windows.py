"""Analysis and synthesis windows with exact overlap-add.

A frame is `n_fft` samples long; only its last `synthesis` samples are overlap-added, so the delay
of the window is set by `synthesis`, not by `n_fft`. For every hop position the products
analysis x synthesis sum to one: a frame that is not modified comes back exactly.

Asymmetric analysis windows follow Mauler and Martin, "A low delay, variable resolution, perfect
reconstruction spectral analysis-synthesis system for speech enhancement", EUSIPCO 2007. A Hann window
whose whole frame is added gets the least-squares synthesis of Griffin and Lim, "Signal estimation from
modified short-time Fourier transform", 1984: the inverse STFT that published networks are used with.
"""

from __future__ import annotations

import re

import numpy as np

_ASYMMETRIC = re.compile(r"^asymmetric-(\d+)$")


def analysis_window(kind: str, n_fft: int) -> np.ndarray:
    """Return the analysis window, float64 [n_fft], values in 0..1.

    `kind` is ``hann`` (periodic) or ``asymmetric-F``: a slow square-root-Hann rise followed by a
    square-root-Hann fall over the last F samples. Raises ValueError for any other kind.
    """
    if kind == "hann":
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    match = _ASYMMETRIC.match(kind)
    if match is None:
        raise ValueError(f"unknown analysis window {kind!r}; known are 'hann' and 'asymmetric-<fall in samples>'")
    fall = int(match.group(1))
    if not 0 < fall <= n_fft // 2:
        raise ValueError(f"analysis window {kind!r} must fall within half a frame of {n_fft} samples")
    rise = n_fft - fall
    up = np.sin(0.5 * np.pi * (np.arange(rise) + 0.5) / rise)
    down = np.cos(0.5 * np.pi * (np.arange(fall) + 0.5) / fall)
    return np.concatenate([up, down])


def overlap_profile(hop: int, synthesis: int, analysis: np.ndarray | None = None) -> np.ndarray:
    """Return the product analysis x synthesis over the last `synthesis` samples, float64 [synthesis].

    Shifted by multiples of `hop` it sums to one. With synthesis >= 2 hop it is a periodic Hann
    scaled by 2 hop / synthesis (so `synthesis` must be a multiple of `hop`); shorter ones are flat
    with raised-cosine ramps of synthesis - hop samples. Where all of an `analysis` window w that begins
    with a zero is added, it is w(t)^2 / sum_k w(t - k hop)^2. Raises ValueError where no profile exists.
    """
    if not 0 < hop < synthesis:
        raise ValueError(f"synthesis window of {synthesis} samples must be longer than the hop of {hop}")
    if analysis is not None and _least_squares(analysis, synthesis):
        return analysis**2 / _shifted_power(analysis, hop)
    if synthesis >= 2 * hop:
        if synthesis % hop:
            raise ValueError(f"synthesis window of {synthesis} samples must be a multiple of the hop of {hop}")
        # Half-sample offset keeps both ends non-zero and symmetric; the sum over shifts stays one.
        phase = 2 * np.pi * (np.arange(synthesis) + 0.5) / synthesis
        return (0.5 - 0.5 * np.cos(phase)) * (2 * hop / synthesis)
    overlap = synthesis - hop
    ramp = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / overlap) ** 2
    return np.concatenate([ramp, np.ones(hop - overlap), ramp[::-1]])


def synthesis_window(analysis: np.ndarray, hop: int, synthesis: int) -> np.ndarray:
    """Return the synthesis window, float64 [synthesis], for the last samples of a frame.

    Raises ValueError where `analysis` vanishes inside the region: what it took away cannot be undone.
    """
    if synthesis > len(analysis):
        raise ValueError(f"synthesis window of {synthesis} samples is longer than the frame of {len(analysis)}")
    region = np.asarray(analysis, dtype=np.float64)[-synthesis:]
    profile = overlap_profile(hop, synthesis, analysis)
    if _least_squares(analysis, synthesis):
        window = region / _shifted_power(region, hop)
    else:
        # Where next to nothing is wanted, nothing is taken: a periodic Hann begins with a zero nobody can undo.
        window = np.where(profile < 1e-6, 0.0, profile / np.maximum(region, 1e-12))
    if window.max() > 100.0:
        raise ValueError(
            f"the analysis window is nearly zero inside the last {synthesis} samples and cannot be undone there"
        )
    return window


def _least_squares(analysis: np.ndarray, synthesis: int) -> bool:
    """Whether all of a window that a quotient cannot undo is added, as it is with a plain inverse STFT."""
    return synthesis == len(analysis) and analysis[0] == 0


def _shifted_power(window: np.ndarray, hop: int) -> np.ndarray:
    """Return sum_k w(t - k hop)^2, of the shape of `window`."""
    power = np.zeros(-(-len(window) // hop) * hop)
    power[: len(window)] = window**2
    total = power.reshape(-1, hop).sum(0)
    # Where every window is zero there is nothing to weigh.
    return np.resize(np.maximum(total, 1e-12), len(window))
