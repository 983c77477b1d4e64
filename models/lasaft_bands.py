"""LaSAFT-Bands: the live network whose groups of bands share what looks along time.

Trunk: bands -> groups of bands -> [recurrence along time, TDF along frequency] x layers. Head: latent sources that a
TDF each makes of all groups, GPoCM, and a mask by layers of every group's own. Beside what models/live_network.py names:

  groups      neighbouring bands share features, and all groups the weights that look along time: Luo and Yu, "Music
              source separation with band-split RNN", IEEE/ACM TASLP 2023.
  recurrence  h_t = (1 - z_t) h_(t-1) + z_t u_t with z = sigma(W x) and u = V x of the input alone, read out through a
              gate: Feng et al., "Were RNNs all we needed?", 2024; Lei et al., "Simple recurrent units for highly
              parallelizable recurrence", EMNLP 2018. Training needs no matrix product per frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.live_network import LiveConfig, LiveHead, LiveNetwork
from models.recurrence import gated

_SLOWEST = 150.0  # frames: 1.7 s at hop 512


@dataclass(frozen=True)
class LasaftBandsConfig(LiveConfig):
    """`group` bands share features of `width` numbers, and `bottleneck` is what the TDF squeezes all groups into."""

    architecture: ClassVar[str] = "lasaft-bands"

    group: int = 8
    width: int = 64
    bottleneck: int = 128
    layers: int = 4
    head_width: int = 32
    head_hidden: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        count = sum(count for _, count in self.bands)
        if count % self.group:
            raise ValueError(f"{count} bands do not divide into groups of {self.group}")


class GroupLinear(nn.Module):
    """A linear map with weights of its own for every group: [..., groups, inputs] -> [..., groups, outputs]."""

    def __init__(self, groups: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter((torch.rand(groups, inputs, outputs) * 2 - 1) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(groups, outputs))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, -3).transpose(0, 1)
        y = torch.baddbmm(self.bias.unsqueeze(1), rows, self.weight).transpose(0, 1)
        return y.unflatten(0, x.shape[:-2])


class Recurrence(nn.Module):
    """Residual gated recurrence along time, the same for all groups: [batch, frames, groups, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 3 * width)
        self.outer = nn.Linear(width, width)
        with torch.no_grad():
            # Units begin with time constants from two frames to the slowest.
            open_share = torch.logspace(0, 1, width, base=1 / _SLOWEST) * 2 / 3
            self.inner.bias[:width] = torch.logit(open_share)
            self.outer.weight *= 0.5

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output and the next state, of the shape of `state` [batch, groups x width]."""
        opening, update, gate = self.inner(self.norm(x)).split(self.width, -1)
        held = gated(torch.sigmoid(opening).flatten(-2), update.flatten(-2), state)
        y = held.unflatten(-1, (-1, self.width)) * nn.functional.silu(gate)
        return x + self.outer(y), held[:, -1]


class Tdf(nn.Module):
    """Residual time-distributed fully connected block over all groups, [..., groups, width]."""

    def __init__(self, groups: int, width: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(groups * width, bottleneck)
        self.outer = nn.Linear(bottleneck, groups * width)
        with torch.no_grad():
            self.outer.weight *= 0.5

    def forward(self, x: Tensor) -> Tensor:
        y = self.outer(torch.relu(self.inner(self.norm(x).flatten(-2))))
        return x + y.unflatten(-1, x.shape[-2:])


class LatentSources(nn.Module):
    """One frequency transformation (TDF) per latent source: [batch, frames, groups, width] to
    [batch, frames, latents, groups, width]."""

    def __init__(self, groups: int, latents: int) -> None:
        super().__init__()
        inner = groups // 2
        self.latents = latents
        self.inner = nn.Linear(groups, latents * inner)
        self.outer = nn.Parameter(torch.randn(latents, inner, groups) * 0.3 / inner**0.5)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.inner(x.transpose(2, 3))).unflatten(-1, (self.latents, -1))
        rows = y.permute(3, 0, 1, 2, 4).flatten(1, 3)
        y = torch.bmm(rows, self.outer).unflatten(1, y.shape[:3])
        return x.unsqueeze(2) + y.permute(1, 2, 0, 4, 3)


class BandsHead(LiveHead):
    """Values [batch, frames, latents, groups, width]."""

    def __init__(self, config: LasaftBandsConfig, groups: int) -> None:
        super().__init__(config)
        c = config
        width = c.head_width
        self.omega = nn.Linear(c.embedding, width * width)
        self.beta = nn.Linear(c.embedding, width)
        self.hidden = GroupLinear(groups, width, c.head_hidden)
        self.scale = nn.Linear(c.embedding, c.head_hidden)
        self.mask = GroupLinear(groups, c.head_hidden, 2 * c.channels * c.group)
        with torch.no_grad():
            self.omega.weight *= 0.2
            self.omega.bias.normal_(0, 0.3 / width**0.5)

    def modulated(self, x: Tensor, embedding: Tensor) -> Tensor:
        """GPoCM of x [batch, frames, queries, groups, width]."""
        omega = self.omega(embedding).unflatten(-1, (self.config.head_width, self.config.head_width))
        return torch.sigmoid(x @ omega + self.beta(embedding).unsqueeze(-2)) * x

    def logits(self, values: Tensor, condition: Tensor) -> Tensor:
        c = self.config
        embedding = self.embed(condition)
        x = (self.attention(embedding) @ values.flatten(-2)).unflatten(-1, values.shape[-2:])
        x = self.modulated(x, embedding)
        x = torch.relu(self.hidden(x) * (1 + self.scale(embedding)).unsqueeze(-2))
        mask = self.mask(x).unflatten(-1, (2, c.channels, c.group))
        return mask.permute(0, 1, 2, 4, 5, 3, 6).flatten(-2)


class LasaftBands(LiveNetwork):
    """The network; see models/live_network.py for what it takes and gives."""

    def __init__(self, config: LasaftBandsConfig = LasaftBandsConfig()) -> None:
        super().__init__(config)
        c = config
        self.groups = self.bands.count // c.group
        self.reduce = GroupLinear(self.groups, 3 * c.group, c.width)
        self.dropout = nn.Dropout(c.dropout)
        self.recurrences = nn.ModuleList(Recurrence(c.width) for _ in range(c.layers))
        self.tdfs = nn.ModuleList(Tdf(self.groups, c.width, c.bottleneck) for _ in range(c.layers))
        self.out_norm = nn.LayerNorm(c.width)
        self.values = nn.Linear(c.width, c.head_width)
        self.latents = LatentSources(self.groups, c.latent_sources)
        self.head = BandsHead(c, self.groups)

    def begin(self, lanes: int) -> Tensor:
        return torch.zeros(self.config.layers, lanes, self.groups * self.config.width)

    def trunk(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        x = (features - self.feature_mean) * self.feature_scale
        x = x.unflatten(-1, (3, self.groups, self.config.group)).transpose(-3, -2).flatten(-2)
        x = self.reduce(self.dropout(x))
        states = []
        for recurrence, tdf, before in zip(self.recurrences, self.tdfs, state, strict=True):
            x, after = recurrence(self.dropout(x), before)
            x = tdf(x)
            states.append(after)
        return self.latents(self.values(self.out_norm(x))), torch.stack(states)

    @torch.no_grad()
    def tdfs_by_bands(self) -> list[Tensor]:
        patterns = nn.functional.normalize(self.reduce.weight.unflatten(1, (3, -1)).sum(1), dim=-1)
        # One row a band, zero but for the features of its own group.
        rows = torch.block_diag(*patterns)
        norms = (tdf.norm.weight.repeat(self.groups) for tdf in self.tdfs)
        weights = (tdf.outer.weight @ (tdf.inner.weight * norm) for tdf, norm in zip(self.tdfs, norms, strict=True))
        return [rows @ weight @ rows.T for weight in weights]
