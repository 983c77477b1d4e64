"""The training loss as two compiled passes over bands.

A mask m is constant inside a band, so the energy of its error there is
|m|^2 sum|X|^2 - 2 Re(conj(m) sum conj(X) S) + sum|S|^2, which needs band sums only. Written as single
passes over memory this costs a fraction of the same formula spelled out in tensor operations.
"""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor

QUIET = 1e-3
ABSENT_SHARE = 0.1


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _band_sums(spectra, curves, condition, edges, sums, powers):
    lanes, stems, channels, frames = spectra.shape[:4]
    changing, queries = condition.shape[1] > 1, condition.shape[2]
    x = np.zeros((2, 2), np.float32)
    part = np.zeros((stems, 2, 2), np.float32)
    for b in range(lanes):
        for t in range(frames):
            wish = t if changing else 0
            for k in range(len(edges) - 1):
                for i in range(edges[k], edges[k + 1]):
                    x[:] = 0
                    for s in range(stems):
                        gain = curves[b, s, i]
                        for c in range(channels):
                            part[s, c, 0] = spectra[b, s, c, t, i, 0] * gain
                            part[s, c, 1] = spectra[b, s, c, t, i, 1] * gain
                            x[c, 0] += part[s, c, 0]
                            x[c, 1] += part[s, c, 1]
                    for c in range(channels):
                        power = x[c, 0] * x[c, 0] + x[c, 1] * x[c, 1]
                        powers[b, t, c, k] += power
                        for q in range(queries):
                            re = np.float32(0)
                            im = np.float32(0)
                            for s in range(stems):
                                re += condition[b, wish, q, s] * part[s, c, 0]
                                im += condition[b, wish, q, s] * part[s, c, 1]
                            sums[0, b, t, q, c, k] += re * re + im * im
                            sums[1, b, t, q, c, k] += x[c, 0] * re + x[c, 1] * im
                            sums[2, b, t, q, c, k] += x[c, 0] * im - x[c, 1] * re
                    re = np.float32(0.5) * (x[0, 0] - x[1, 0])
                    im = np.float32(0.5) * (x[0, 1] - x[1, 1])
                    powers[b, t, 2, k] += re * re + im * im


def band_sums(spectra: Tensor, curves: Tensor, condition: Tensor, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return band sums of a remix.

    `spectra` float32 [lanes, stems, 2, frames, bins, 2] of the stems before their equalisers `curves`
    [lanes, stems, bins], `condition` [lanes, queries, stems], or [lanes, frames, queries, stems] where it changes,
    `edges` [bands + 1] in bins. Gives sums [3, lanes, frames, queries, 2, bands] (|S|^2, re and im of conj(X) S)
    and powers [lanes, frames, 3, bands] (|X|^2 of left, right, side).
    """
    lanes, _, channels, frames = spectra.shape[:4]
    bands = len(edges) - 1
    wishes = condition.unsqueeze(1) if condition.dim() == 3 else condition
    sums = np.zeros((3, lanes, frames, wishes.shape[2], channels, bands), np.float32)
    powers = np.zeros((lanes, frames, 3, bands), np.float32)
    _band_sums(spectra.numpy(), curves.numpy(), wishes.contiguous().numpy(), edges, sums, powers)
    return sums, powers


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _errors(mask, sums, powers, totals):
    lanes, frames, queries, _, channels, bands = mask.shape
    for b in range(lanes):
        for t in range(frames):
            for q in range(queries):
                total = amplitude = wanted = energy = np.float32(0)
                for c in range(channels):
                    for k in range(bands):
                        g = mask[b, t, q, 0, c, k]
                        h = mask[b, t, q, 1, c, k]
                        ps = sums[0, b, t, q, c, k]
                        error = (g * g + h * h) * powers[b, t, c, k] + ps
                        error -= 2 * (g * sums[1, b, t, q, c, k] + h * sums[2, b, t, q, c, k])
                        error = max(error, np.float32(0))
                        total += error
                        level = np.sqrt(np.sqrt(powers[b, t, c, k] + np.float32(QUIET)))
                        amplitude += np.sqrt(error + np.float32(QUIET)) / level
                        wanted += np.sqrt(ps + np.float32(QUIET)) / level
                        energy += ps
                totals[0, b, q] += total
                totals[1, b, q] += amplitude
                totals[2, b, q] += energy
                totals[3, b, q] += wanted


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _gradients(mask, sums, powers, weights):
    lanes, frames, queries, _, channels, bands = mask.shape
    for b in range(lanes):
        for t in range(frames):
            for q in range(queries):
                of_total = weights[0, b, q]
                of_amplitude = weights[1, b, q]
                for c in range(channels):
                    for k in range(bands):
                        g = mask[b, t, q, 0, c, k]
                        h = mask[b, t, q, 1, c, k]
                        px = powers[b, t, c, k]
                        cr = sums[1, b, t, q, c, k]
                        ci = sums[2, b, t, q, c, k]
                        error = (g * g + h * h) * px + sums[0, b, t, q, c, k] - 2 * (g * cr + h * ci)
                        error = max(error, np.float32(0))
                        level = np.sqrt(np.sqrt(px + np.float32(QUIET)))
                        slope = of_total + of_amplitude * np.float32(0.5) / np.sqrt(error + np.float32(QUIET)) / level
                        # sigmoid' = g (1 - g); (tanh / 2)' = (1 - (2 h)^2) / 2
                        mask[b, t, q, 0, c, k] = slope * 2 * (g * px - cr) * g * (1 - g)
                        mask[b, t, q, 1, c, k] = slope * 2 * (h * px - ci) * np.float32(0.5) * (1 - 4 * h * h)


class _MaskLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, sums: np.ndarray, powers: np.ndarray):
        mask = logits.detach()
        torch.sigmoid_(mask[:, :, :, 0])
        mask[:, :, :, 1].tanh_().mul_(0.5)
        lanes, _, queries = mask.shape[:3]
        totals = np.zeros((4, lanes, queries), np.float64)
        _errors(mask.numpy(), sums, powers, totals)
        total, amplitude, energy, wanted = totals
        whole = powers[:, :, :2].sum((1, 2, 3), dtype=np.float64)[:, None]
        loudness = ((powers[:, :, :2] + QUIET) ** 0.25).sum((1, 2, 3), dtype=np.float64)[:, None]
        # An absent stem weighs little: silencing everything is the easiest thing to learn, and hard to unlearn.
        share = np.where(energy > 1e-2 * whole, 1.0, ABSENT_SHARE) / (lanes * queries)
        over, under = total + 1e-3 * whole + QUIET, energy + 1e-2 * whole + QUIET
        above, below = amplitude + 0.03 * loudness, wanted + 0.1 * loudness
        loss = np.sum(share * 10 * (np.log10(over / under) + 2 * np.log10(above / below)))
        decibel = share * 10 / np.log(10)
        weights = np.stack([decibel / over, 2 * decibel / above])
        _gradients(mask.numpy(), sums, powers, weights.astype(np.float32))
        ctx.save_for_backward(mask)
        score = np.where(energy > 1e-2 * whole, -10 * np.log10((total + 1e-6) / (energy + 1e-6)), np.nan)
        score = torch.from_numpy(score).float()
        ctx.mark_non_differentiable(score)
        return torch.tensor(loss, dtype=torch.float32), score

    @staticmethod
    def backward(ctx, grad: Tensor, _):
        (mask,) = ctx.saved_tensors
        return mask.mul_(grad), None, None


def mask_loss(logits: Tensor, sums: np.ndarray | Tensor, powers: np.ndarray | Tensor) -> tuple[Tensor, Tensor]:
    """Return (loss, SDR in dB [lanes, queries], NaN where the target is absent).

    `logits` [lanes, frames, queries, 2, channels, bands] are consumed: their memory becomes the gradient.
    The loss is the error over the target in dB, once by energy, as it is judged, and once by amplitude
    over the root of the mixture's, so that quiet bands teach as well as loud ones.
    Arrays are computed with by the compiled passes, tensors by plain operations on whatever device they are.
    """
    if isinstance(sums, Tensor):
        return _plain_loss(logits, sums, powers)
    return _MaskLoss.apply(logits, sums, powers)


def _plain_loss(logits: Tensor, sums: Tensor, powers: Tensor) -> tuple[Tensor, Tensor]:
    gain, turn = torch.sigmoid(logits[:, :, :, 0]), 0.5 * torch.tanh(logits[:, :, :, 1])
    power = powers[:, :, None, :2]
    error = (gain.square() + turn.square()) * power + sums[0] - 2 * (gain * sums[1] + turn * sums[2])
    error = error.clamp(min=0)
    level = (power + QUIET) ** 0.25
    places = (1, 3, 4)
    total, energy = error.sum(places), sums[0].sum(places)
    amplitude, wanted = ((v + QUIET).sqrt().div(level).sum(places) for v in (error, sums[0]))
    whole, loudness = power.sum((1, 2, 3, 4))[:, None], level.sum((1, 2, 3, 4))[:, None]
    heard = energy > 1e-2 * whole
    share = torch.where(heard, 1.0, ABSENT_SHARE) / heard.numel()
    by_energy = torch.log10((total + 1e-3 * whole + QUIET) / (energy + 1e-2 * whole + QUIET))
    by_amplitude = torch.log10((amplitude + 0.03 * loudness) / (wanted + 0.1 * loudness))
    score = -10 * torch.log10((total + 1e-6) / (energy + 1e-6))
    return (share * 10 * (by_energy + 2 * by_amplitude)).sum(), score.detach().masked_fill(~heard, torch.nan)
