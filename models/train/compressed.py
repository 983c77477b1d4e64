"""Errors of compressed complex spectra: sum |X |X|^-0.7 - T|^2, |X|^0.3 with the phase of X.

Compression lets quiet parts count beside loud ones, as they do for the ear; the phase stays, for the stems have
to cancel in the remainder. After Ephrat et al., "Looking to listen at the cocktail party", 2018.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import torch
from torch import Tensor

EXPONENT = 0.3
SIZES = (2048, 512, 128)
"""Frames of the spectra, in samples."""
_FLOOR = 1e-7


def spectra(sound: Tensor, size: int, place: float) -> Tensor:
    """Return Hann-windowed spectra of [..., samples], complex [..., frames, size // 2 + 1], of unit noise gain or so.

    Frames follow each other without overlap from `place` * `size` samples on, 0 <= place < 1: drawn anew for
    every batch, it gives all samples their turn for half the work.
    """
    first = int(place * size) if sound.shape[-1] >= 2 * size else 0
    count = (sound.shape[-1] - first) // size
    frames = sound[..., first : first + count * size].unflatten(-1, (count, size))
    window = torch.hann_window(size, device=sound.device) / math.sqrt(size)
    return torch.fft.rfft(frames * window)


def compress(x: Tensor) -> Tensor:
    """Return x |x|^-0.7, slightly less near zero."""
    return x * (x.real.square() + x.imag.square() + _FLOOR) ** (0.5 * (EXPONENT - 1))


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _errors(x, target, slope, total, share):
    """Sum of the errors of each signal [signals, values, 2], and their slopes."""
    signals, count, _ = x.shape
    for s in range(signals):
        whole = 0.0
        for i in range(count):
            re, im = x[s, i, 0], x[s, i, 1]
            power = re * re + im * im + np.float32(_FLOOR)
            scale = power ** np.float32(-share)
            a, b = re * scale - target[s, i, 0], im * scale - target[s, i, 1]
            along = np.float32(2 * share) * (a * re + b * im) / power
            slope[s, i, 0] = 2 * scale * (a - along * re)
            slope[s, i, 1] = 2 * scale * (b - along * im)
            whole += a * a + b * b
        total[s] = whole


class _Error(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, target: Tensor) -> Tensor:
        flat, wanted = (
            torch.view_as_real(v.detach().contiguous().flatten(0, 1).flatten(1)).numpy() for v in (x, target)
        )
        slope, total = np.empty_like(flat), np.empty(len(flat), np.float32)
        _errors(flat, wanted, slope, total, 0.5 * (1 - EXPONENT))
        ctx.slope, ctx.shape = slope, x.shape
        return torch.from_numpy(total).unflatten(0, x.shape[:2])

    @staticmethod
    def backward(ctx, grad: Tensor):
        slope = torch.from_numpy(ctx.slope) * grad.flatten()[:, None, None]
        return torch.view_as_complex(slope).view(ctx.shape), None


def error(x: Tensor, target: Tensor) -> Tensor:
    """Return the errors [lanes, queries] of spectra complex64 [lanes, queries, ...]; `target` is compressed already."""
    if x.device.type == "cpu":
        return _Error.apply(x, target)
    return torch.view_as_real(compress(x) - target).square().flatten(2).sum(2)
