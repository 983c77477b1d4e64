"""The gated linear recurrence h_t = h_(t-1) + z_t (u_t - h_(t-1)), compiled for training on a CPU."""

from __future__ import annotations

import numba
import torch
from torch import Tensor


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _forward(z, u, begin, h):
    batch, frames, units = z.shape
    for b in range(batch):
        for t in range(frames):
            for c in range(units):
                before = begin[b, c] if t == 0 else h[b, t - 1, c]
                h[b, t, c] = before + z[b, t, c] * (u[b, t, c] - before)


@numba.njit(fastmath=True, cache=True, nogil=True, error_model="numpy")
def _backward(z, u, begin, h, grad, dz, du, dbegin):
    batch, frames, units = z.shape
    for b in range(batch):
        for t in range(frames - 1, -1, -1):
            for c in range(units):
                before = begin[b, c] if t == 0 else h[b, t - 1, c]
                slope = dbegin[b, c] + grad[b, t, c]
                dz[b, t, c] = slope * (u[b, t, c] - before)
                du[b, t, c] = slope * z[b, t, c]
                dbegin[b, c] = slope * (1 - z[b, t, c])


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z: Tensor, u: Tensor, begin: Tensor) -> Tensor:
        z, u, begin = (x.detach().contiguous() for x in (z, u, begin))
        h = torch.empty_like(z)
        _forward(z.numpy(), u.numpy(), begin.numpy(), h.numpy())
        ctx.save_for_backward(z, u, begin, h)
        return h

    @staticmethod
    def backward(ctx, grad: Tensor):
        z, u, begin, h = ctx.saved_tensors
        dz, du, dbegin = torch.empty_like(z), torch.empty_like(u), torch.zeros_like(begin)
        arrays = (x.numpy() for x in (z, u, begin, h, grad.contiguous(), dz, du, dbegin))
        _backward(*arrays)
        return dz, du, dbegin


def _doubled(z: Tensor, u: Tensor, begin: Tensor) -> Tensor:
    """The recurrence in log2(frames) steps, each over all frames at once: Hillis and Steele, "Data parallel
    algorithms", CACM 1986."""
    kept, held = 1 - z, z * u
    held = torch.cat([held[:, :1] + kept[:, :1] * begin.unsqueeze(1), held[:, 1:]], 1)
    step = 1
    while step < z.shape[1]:
        held = torch.cat([held[:, :step], held[:, step:] + kept[:, step:] * held[:, :-step]], 1)
        kept = torch.cat([kept[:, :step], kept[:, step:] * kept[:, :-step]], 1)
        step *= 2
    return held


def gated(z: Tensor, u: Tensor, begin: Tensor) -> Tensor:
    """Return h [batch, frames, units] for z in 0..1 and u of that shape, h_(-1) = `begin` [batch, units].

    Compiled in float32 on a CPU; elsewhere by doubling, and frame by frame where they are few, as in an export.
    """
    frames = z.shape[1]
    if u.shape != z.shape or begin.shape != (z.shape[0], z.shape[2]):
        raise ValueError(f"z {tuple(z.shape)} goes with u of that shape and one state a lane, not {tuple(begin.shape)}")
    if frames <= 4 or torch.jit.is_tracing():
        held = []
        for t in range(frames):
            begin = begin + z[:, t] * (u[:, t] - begin)
            held.append(begin)
        return torch.stack(held, 1)
    if z.device.type == "cpu" and z.dtype != torch.float64:
        return _Gated.apply(z.float(), u.float(), begin.float())
    return _doubled(z, u, begin)
