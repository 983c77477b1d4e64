"""A mask by bands on a spectrum by bins: E = (gain + j turn) X, compiled for the CPU and in plain torch for the rest."""

from __future__ import annotations

import numba
import numpy as np
import torch
from torch import Tensor


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _apply(gain, turn, mixture, member, result):
    lanes, frames, queries, _ = gain.shape
    for b in range(lanes):
        for t in range(frames):
            for q in range(queries):
                for i in range(len(member)):
                    g, h = gain[b, t, q, member[i]], turn[b, t, q, member[i]]
                    re, im = mixture[b, t, i, 0], mixture[b, t, i, 1]
                    result[b, t, q, i, 0] = g * re - h * im
                    result[b, t, q, i, 1] = g * im + h * re


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _gather(grad, mixture, member, of_gain, of_turn):
    lanes, frames, queries, _ = of_gain.shape
    for b in range(lanes):
        for t in range(frames):
            for q in range(queries):
                for i in range(len(member)):
                    re, im = mixture[b, t, i, 0], mixture[b, t, i, 1]
                    a, c = grad[b, t, q, i, 0], grad[b, t, q, i, 1]
                    of_gain[b, t, q, member[i]] += a * re + c * im
                    of_turn[b, t, q, member[i]] += c * re - a * im


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gain: Tensor, turn: Tensor, mixture: Tensor, member: Tensor) -> Tensor:
        lanes, frames, queries, _ = gain.shape
        result = torch.empty(lanes, frames, queries, len(member), 2)
        parts = torch.view_as_real(mixture.contiguous()).numpy()
        _apply(gain.detach().numpy(), turn.detach().numpy(), parts, member.numpy(), result.numpy())
        ctx.parts, ctx.member, ctx.shape = parts, member.numpy(), gain.shape
        return torch.view_as_complex(result)

    @staticmethod
    def backward(ctx, grad: Tensor):
        of_gain, of_turn = np.zeros(ctx.shape, np.float32), np.zeros(ctx.shape, np.float32)
        _gather(torch.view_as_real(grad.contiguous()).numpy(), ctx.parts, ctx.member, of_gain, of_turn)
        return torch.from_numpy(of_gain), torch.from_numpy(of_turn), None, None


def masked(logits: Tensor, mixture: Tensor, member: Tensor) -> Tensor:
    """Return the masked spectra, complex64 [lanes, frames, queries, bins].

    `logits` float32 [lanes, frames, queries, 2, bands] are of one channel, `mixture` complex64 [lanes, frames, bins]
    is that channel, `member` int64 [bins] names each bin's band.
    """
    gain, turn = torch.sigmoid(logits[:, :, :, 0]), 0.5 * torch.tanh(logits[:, :, :, 1])
    if logits.device.type == "cpu":
        return _Masked.apply(gain, turn, mixture, member)
    return torch.complex(gain, turn)[..., member] * mixture.unsqueeze(2)
