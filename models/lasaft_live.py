"""LaSAFT-Live: the live network made of matrix products over the whole spectrum.

Trunk: bands -> [TDF + GRU] x layers. Head: latent-source attention (LaSAFT), GPoCM over channels, a hidden layer and
the mask of all bands. models/live_network.py names the sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.live_network import LiveConfig, LiveHead, LiveNetwork


@dataclass(frozen=True)
class LasaftLiveConfig(LiveConfig):
    """`hidden` is the width of the trunk, `bottleneck` that of its TDFs; the head has `head_channels` x `head_width`."""

    architecture: ClassVar[str] = "lasaft-live"

    hidden: int = 256
    bottleneck: int = 128
    layers: int = 2
    head_channels: int = 24
    head_width: int = 6
    head_hidden: int = 192
    dropout: float = 0.2


class Tdf(nn.Module):
    """Residual time-distributed fully connected block over frequency features, [..., size]."""

    def __init__(self, size: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.inner = nn.Linear(size, bottleneck)
        self.outer = nn.Linear(bottleneck, size)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(self.norm(x))))


class LasaftHead(LiveHead):
    """Values [batch, frames, latents, head_channels x head_width]."""

    def __init__(self, config: LasaftLiveConfig, bands: int) -> None:
        super().__init__(config)
        c = config
        self.head = c.head_channels * c.head_width
        self.omega = nn.Linear(c.embedding, c.head_channels * c.head_channels)
        self.beta = nn.Linear(c.embedding, c.head_channels)
        self.gamma = nn.Linear(c.embedding, self.head)
        self.hidden = nn.Linear(self.head, c.head_hidden)
        self.scale = nn.Linear(c.embedding, c.head_hidden)
        self.mask = nn.Linear(c.head_hidden, bands * c.channels * 2)

    def logits(self, values: Tensor, condition: Tensor) -> Tensor:
        c = self.config
        embedding = self.embed(condition)
        x = self.attention(embedding) @ values
        x = x * (1 + self.gamma(embedding))
        grid = x.unflatten(-1, (c.head_channels, c.head_width))
        omega = self.omega(embedding).unflatten(-1, (c.head_channels, c.head_channels))
        gate = torch.sigmoid(omega @ grid + self.beta(embedding).unsqueeze(-1))
        x = (gate * grid).flatten(-2)
        x = torch.relu(self.hidden(x) * (1 + self.scale(embedding)))
        return self.mask(x).unflatten(-1, (2, c.channels, -1))


class LasaftLive(LiveNetwork):
    """The network; see models/live_network.py for what it takes and gives."""

    def __init__(self, config: LasaftLiveConfig = LasaftLiveConfig()) -> None:
        super().__init__(config)
        c = config
        self.reduce = nn.Linear(3 * self.bands.count, c.hidden)
        # Few songs teach: without it a training soon knows them by heart, and no other.
        self.dropout = nn.Dropout(c.dropout)
        self.tdfs = nn.ModuleList(Tdf(c.hidden, c.bottleneck) for _ in range(c.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(c.hidden) for _ in range(c.layers))
        self.grus = nn.ModuleList(nn.GRU(c.hidden, c.hidden) for _ in range(c.layers))
        self.out_norm = nn.LayerNorm(c.hidden)
        self.head = LasaftHead(c, self.bands.count)
        self.values = nn.Linear(c.hidden, c.latent_sources * self.head.head)

    def begin(self, lanes: int) -> Tensor:
        return torch.zeros(self.config.layers, lanes, self.config.hidden)

    def trunk(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        x = self.reduce(self.dropout((features - self.feature_mean) * self.feature_scale))
        x = x.transpose(0, 1)
        states = []
        for i in range(self.config.layers):
            x = self.tdfs[i](x)
            y, last = self.grus[i](self.dropout(self.norms[i](x)), state[i : i + 1])
            x = x + y
            states.append(last)
        values = torch.relu(self.values(self.dropout(self.out_norm(x)))).transpose(0, 1)
        return values.unflatten(-1, (self.config.latent_sources, self.head.head)), torch.cat(states)

    def folded(self) -> nn.Module:
        """Return an equal module for one frame at a time that takes fewer operations, to be exported."""
        from models.lasaft_live_frame import LasaftLiveFrame

        return LasaftLiveFrame(self)

    @torch.no_grad()
    def tdfs_by_bands(self) -> list[Tensor]:
        patterns = nn.functional.normalize(self.reduce.weight.unflatten(1, (3, -1)).sum(1), dim=0)
        weights = (tdf.outer.weight @ (tdf.inner.weight * tdf.norm.weight) for tdf in self.tdfs)
        return [patterns.T @ weight @ patterns for weight in weights]
