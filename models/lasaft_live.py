"""LaSAFT-Live: a causal, conditioned separator for one CPU core.

A trunk without condition runs once per hop for all stems: spectrum -> bands -> [TDF + GRU] x 2.
A narrow head runs per condition: latent-source attention (LaSAFT), gated point-wise modulation
(GPoCM) and a complex mask.

Sources of the parts:
  TDF     x + W2 relu(W1 x), fully connected over frequency. Choi et al., "Investigating U-Nets with
          various intermediate blocks for spectrogram-based singing voice separation", ISMIR 2020.
  LaSAFT  softmax(Q K^T / sqrt(d_k)) V', Q from the condition, V' one frequency transformation per
          latent source. Choi et al., "LaSAFT: Latent Source Attentive Frequency Transformation for
          Conditioned Source Separation", ICASSP 2021; V' computed once for all stems as in LightSAFT
          (Jeong et al., "LightSAFT", MDX workshop at ISMIR 2021).
  GPoCM   sigma(beta_c + sum_j omega_cj X_j) * X_c, omega and beta generated from the condition (ibid.).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

_FLOOR = 1e-4


@dataclass(frozen=True)
class LasaftLiveConfig:
    """Hyper-parameters. `bands` are (width in bins, count) from the lowest bin up."""

    n_fft: int = 2048
    channels: int = 2
    stems: int = 4
    bands: tuple[tuple[int, int], ...] = ((1, 192), (4, 80), (16, 32))
    hidden: int = 256
    bottleneck: int = 128
    layers: int = 2
    embedding: int = 32
    latent_sources: int = 6
    d_k: int = 16
    head_channels: int = 24
    head_width: int = 6
    head_hidden: int = 192
    dropout: float = 0.2

    def __post_init__(self) -> None:
        covered = sum(width * count for width, count in self.bands)
        if covered != self.n_fft // 2:
            raise ValueError(f"bands cover {covered} bins; they must cover n_fft / 2 = {self.n_fft // 2}")

    def to_dict(self) -> dict:
        """Return plain data for a checkpoint."""
        return asdict(self)


class Bands(nn.Module):
    """Frequency bins <-> bands: full resolution where the ear has it, averages above."""

    def __init__(self, bands: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.bands = tuple((int(w), int(c)) for w, c in bands)
        self.count = sum(c for _, c in self.bands)
        member = torch.cat([torch.arange(c).repeat_interleave(w) for w, c in self.bands])
        offset, parts, start = 0, [], 0
        for width, count in self.bands:
            parts.append(member[start : start + width * count] + offset)
            start, offset = start + width * count, offset + count
        widths = [w for w, c in self.bands for _ in range(c)]
        self.edges = np.concatenate([[0], np.cumsum(widths)])
        self.register_buffer("widths", torch.tensor(widths, dtype=torch.float32), persistent=False)
        # The Nyquist bin follows the last band.
        self.register_buffer("member", torch.cat([*parts, torch.tensor([self.count - 1])]), persistent=False)

    def gather(self, power: Tensor) -> Tensor:
        """[..., bins] -> [..., bands]: mean over each band's bins; the Nyquist bin is left out."""
        parts, start = [], 0
        for width, count in self.bands:
            part = power[..., start : start + width * count]
            parts.append(part.unflatten(-1, (count, width)).mean(-1) if width > 1 else part)
            start += width * count
        return torch.cat(parts, -1)

    def spread(self, values: Tensor) -> Tensor:
        """[..., bands] -> [..., bins]."""
        return torch.index_select(values, -1, self.member)


class Tdf(nn.Module):
    """Residual time-distributed fully connected block over frequency features, [..., size]."""

    def __init__(self, size: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.inner = nn.Linear(size, bottleneck)
        self.outer = nn.Linear(bottleneck, size)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(self.norm(x))))


class LasaftHead(nn.Module):
    """Latent-source attention, GPoCM and the mask for one or more conditions.

    values [batch, frames, latent_sources, head] and condition [batch, frames, queries, stems] give
    a complex mask gain + j turn, each [batch, queries, channels, frames, bands], gain in 0..1, turn in -0.5..0.5.
    """

    def __init__(self, config: LasaftLiveConfig, bands: int) -> None:
        super().__init__()
        c = config
        self.config = c
        self.head = c.head_channels * c.head_width
        self.embed = nn.Sequential(nn.Linear(c.stems, c.embedding), nn.ReLU(), nn.Linear(c.embedding, c.embedding))
        self.query = nn.Linear(c.embedding, c.d_k)
        self.keys = nn.Parameter(torch.randn(c.latent_sources, c.d_k))
        self.omega = nn.Linear(c.embedding, c.head_channels * c.head_channels)
        self.beta = nn.Linear(c.embedding, c.head_channels)
        self.gamma = nn.Linear(c.embedding, self.head)
        self.hidden = nn.Linear(self.head, c.head_hidden)
        self.scale = nn.Linear(c.embedding, c.head_hidden)
        self.mask = nn.Linear(c.head_hidden, bands * c.channels * 2)
        # Stems that all attend alike learn slowly to differ: begin with distinct ones.
        with torch.no_grad():
            logits = self.query(self.embed(torch.eye(c.stems))) @ self.keys.T / c.d_k**0.5
            self.query.weight *= 2.0 / logits.std(0).mean()

    def attention(self, embedding: Tensor) -> Tensor:
        """Weights of the latent sources for an embedded condition: [..., embedding] -> [..., latent_sources]."""
        return torch.softmax(self.query(embedding) @ self.keys.T / self.config.d_k**0.5, -1)

    def logits(self, values: Tensor, condition: Tensor) -> Tensor:
        """The mask before its squashing, [batch, frames, queries, 2, channels, bands]."""
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

    def forward(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.logits(values, condition).permute(3, 0, 2, 4, 1, 5)
        return torch.sigmoid(mask[0]), 0.5 * torch.tanh(mask[1])


class LasaftLive(nn.Module):
    """The network; keeps the separator contract frame by frame and trains on whole clips."""

    stem_states = (False,)

    def __init__(self, config: LasaftLiveConfig = LasaftLiveConfig()) -> None:
        super().__init__()
        c = config
        self.config = c
        self.bands = Bands(c.bands)
        features = 3 * self.bands.count
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.register_buffer("static_mask", torch.zeros(c.stems, self.bands.count))
        self.register_buffer("static_share", torch.zeros(()))
        self.reduce = nn.Linear(features, c.hidden)
        # Few songs teach: without it a training soon knows them by heart, and no other.
        self.dropout = nn.Dropout(c.dropout)
        self.tdfs = nn.ModuleList(Tdf(c.hidden, c.bottleneck) for _ in range(c.layers))
        self.norms = nn.ModuleList(nn.LayerNorm(c.hidden) for _ in range(c.layers))
        self.grus = nn.ModuleList(nn.GRU(c.hidden, c.hidden) for _ in range(c.layers))
        self.out_norm = nn.LayerNorm(c.hidden)
        self.head = LasaftHead(c, self.bands.count)
        self.values = nn.Linear(c.hidden, c.latent_sources * self.head.head)

    def features(self, mixture: Tensor) -> Tensor:
        """[batch, 2 channels, frames, bins] -> [batch, frames, 3 bands]: log power of left, right, side."""
        left, right = mixture[:, 0:2], mixture[:, 2:4]
        power = torch.stack([(s * s).sum(1) for s in (left, right, 0.5 * (left - right))], 2)
        return torch.log(self.bands.gather(power) + _FLOOR).flatten(-2)

    def scaled(self, powers: np.ndarray) -> Tensor:
        """The same features from band sums of power, [batch, frames, 3, bands]."""
        return torch.log(torch.from_numpy(powers) / self.bands.widths + _FLOOR).flatten(-2)

    def initial_states(self, stems: int = 1) -> tuple[Tensor, ...]:
        """Zero state: [layers, 1, hidden], shared by all stems."""
        del stems
        return (torch.zeros(self.config.layers, 1, self.config.hidden),)

    def trunk(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features and state to latent-source values [batch, frames, latent_sources, head] and the next state."""
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

    @property
    def attends(self) -> tuple[int, int]:
        """Layers and latent sources of `attention`."""
        return 1, self.config.latent_sources

    def attention(self, condition: Tensor) -> Tensor:
        """Weights of the latent sources for condition [stems, width]: [stems, 1, latent_sources]."""
        # Shaped as for the head, so that ONNX Runtime sees that both need the same and computes it once.
        return self.head.attention(self.head.embed(condition[None, None])).permute(2, 0, 1, 3).squeeze(1)

    def forward(self, mixture: Tensor, condition: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Separator contract: mixture [1, 2 channels, frames, bins], condition [stems, width]."""
        values, state = self.trunk(self.features(mixture), state)
        gain, turn = self.head(values, condition[None, None])
        # Shrunk towards the mask that is right on average: on music unlike the training's, less is more.
        static = (condition @ self.static_mask)[None, :, None, None]
        gain = gain + self.static_share * (static - gain)
        turn = turn - self.static_share * turn
        spectrum = mixture.unflatten(1, (self.config.channels, 2)).unsqueeze(1)
        re, im = spectrum[:, :, :, 0], spectrum[:, :, :, 1]
        gain, turn = self.bands.spread(gain), self.bands.spread(turn)
        estimate = torch.stack([gain * re - turn * im, gain * im + turn * re], 3).flatten(2, 3)
        return estimate[0], state
