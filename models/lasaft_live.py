"""LaSAFT-Live: a causal, conditioned separator for one CPU core.

A trunk without condition runs once per hop for all stems: spectrum -> bands -> groups of bands -> [recurrence
along time, TDF along frequency] x layers. A narrow head runs per condition: latent-source attention (LaSAFT),
gated point-wise modulation (GPoCM) and a complex mask.

Sources of the parts:
  groups      neighbouring bands share features, and all groups the weights that look along time: Luo and Yu, "Music
              source separation with band-split RNN", IEEE/ACM TASLP 2023.
  recurrence  h_t = (1 - z_t) h_(t-1) + z_t u_t with z = sigma(W x) and u = V x of the input alone, read out through a
              gate: Feng et al., "Were RNNs all we needed?", 2024; Lei et al., "Simple recurrent units for highly
              parallelizable recurrence", EMNLP 2018. Training needs no matrix product per frame.
  TDF         x + W2 relu(W1 x), fully connected over frequency. Choi et al., "Investigating U-Nets with
              various intermediate blocks for spectrogram-based singing voice separation", ISMIR 2020.
  LaSAFT      softmax(Q K^T / sqrt(d_k)) V', Q from the condition, V' one frequency transformation per
              latent source. Choi et al., "LaSAFT: Latent Source Attentive Frequency Transformation for
              Conditioned Source Separation", ICASSP 2021; V' computed once for all stems as in LightSAFT
              (Jeong et al., "LightSAFT", MDX workshop at ISMIR 2021).
  GPoCM       sigma(beta_c + sum_j omega_cj X_j) * X_c, omega and beta generated from the condition (LaSAFT, ibid.).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.recurrence import gated

_FLOOR = 1e-4
_SLOWEST = 150.0  # frames: 1.7 s at hop 512


@dataclass(frozen=True)
class LasaftLiveConfig:
    """Hyper-parameters. `bands` are (width in bins, count) from the lowest bin up; `group` bands share features of
    `width` numbers, and `bottleneck` is what the TDF squeezes all groups into."""

    n_fft: int = 2048
    channels: int = 2
    stems: int = 4
    bands: tuple[tuple[int, int], ...] = ((1, 192), (4, 80), (16, 32))
    group: int = 8
    width: int = 64
    bottleneck: int = 128
    layers: int = 4
    embedding: int = 32
    latent_sources: int = 6
    d_k: int = 16
    head_width: int = 32
    head_hidden: int = 64
    dropout: float = 0.0

    def __post_init__(self) -> None:
        covered = sum(width * count for width, count in self.bands)
        if covered != self.n_fft // 2:
            raise ValueError(f"bands cover {covered} bins; they must cover n_fft / 2 = {self.n_fft // 2}")
        count = sum(count for _, count in self.bands)
        if count % self.group:
            raise ValueError(f"{count} bands do not divide into groups of {self.group}")

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


class LasaftHead(nn.Module):
    """Latent-source attention, GPoCM and the mask for one or more conditions.

    values [batch, frames, latents, groups, width] and condition [batch, 1 or frames, queries, stems] give
    a complex mask gain + j turn, each [batch, queries, channels, frames, bands], gain in 0..1, turn in -0.5..0.5.
    """

    def __init__(self, config: LasaftLiveConfig, groups: int) -> None:
        super().__init__()
        c = config
        self.config = c
        width = c.head_width
        self.embed = nn.Sequential(nn.Linear(c.stems, c.embedding), nn.ReLU(), nn.Linear(c.embedding, c.embedding))
        self.query = nn.Linear(c.embedding, c.d_k)
        self.keys = nn.Parameter(torch.randn(c.latent_sources, c.d_k))
        self.omega = nn.Linear(c.embedding, width * width)
        self.beta = nn.Linear(c.embedding, width)
        self.hidden = GroupLinear(groups, width, c.head_hidden)
        self.scale = nn.Linear(c.embedding, c.head_hidden)
        self.mask = GroupLinear(groups, c.head_hidden, 2 * c.channels * c.group)
        with torch.no_grad():
            self.omega.weight *= 0.2
            self.omega.bias.normal_(0, 0.3 / width**0.5)
            # Stems that all attend alike learn slowly to differ: begin with distinct ones.
            logits = self.query(self.embed(torch.eye(c.stems))) @ self.keys.T / c.d_k**0.5
            self.query.weight *= 2.0 / logits.std(0).mean()

    def attention(self, embedding: Tensor) -> Tensor:
        """Weights of the latent sources for an embedded condition: [..., embedding] -> [..., latent_sources]."""
        return torch.softmax(self.query(embedding) @ self.keys.T / self.config.d_k**0.5, -1)

    def modulated(self, x: Tensor, embedding: Tensor) -> Tensor:
        """GPoCM of x [batch, frames, queries, groups, width]."""
        omega = self.omega(embedding).unflatten(-1, (self.config.head_width, self.config.head_width))
        return torch.sigmoid(x @ omega + self.beta(embedding).unsqueeze(-2)) * x

    def logits(self, values: Tensor, condition: Tensor) -> Tensor:
        """The mask before its squashing, [batch, frames, queries, 2, channels, bands]."""
        c = self.config
        embedding = self.embed(condition)
        x = (self.attention(embedding) @ values.flatten(-2)).unflatten(-1, values.shape[-2:])
        x = self.modulated(x, embedding)
        x = torch.relu(self.hidden(x) * (1 + self.scale(embedding)).unsqueeze(-2))
        mask = self.mask(x).unflatten(-1, (2, c.channels, c.group))
        return mask.permute(0, 1, 2, 4, 5, 3, 6).flatten(-2)

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
        self.groups = self.bands.count // c.group
        features = 3 * self.bands.count
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.register_buffer("static_mask", torch.zeros(c.stems, self.bands.count))
        self.register_buffer("static_share", torch.zeros(()))
        self.reduce = GroupLinear(self.groups, 3 * c.group, c.width)
        self.dropout = nn.Dropout(c.dropout)
        self.recurrences = nn.ModuleList(Recurrence(c.width) for _ in range(c.layers))
        self.tdfs = nn.ModuleList(Tdf(self.groups, c.width, c.bottleneck) for _ in range(c.layers))
        self.out_norm = nn.LayerNorm(c.width)
        self.values = nn.Linear(c.width, c.head_width)
        self.latents = LatentSources(self.groups, c.latent_sources)
        self.head = LasaftHead(c, self.groups)

    def features(self, mixture: Tensor) -> Tensor:
        """[batch, 2 channels, frames, bins] -> [batch, frames, 3 bands]: log power of left, right, side."""
        left, right = mixture[:, 0:2], mixture[:, 2:4]
        power = torch.stack([(s * s).sum(1) for s in (left, right, 0.5 * (left - right))], 2)
        return torch.log(self.bands.gather(power) + _FLOOR).flatten(-2)

    def scaled(self, powers: np.ndarray) -> Tensor:
        """The same features from band sums of power, [batch, frames, 3, bands]."""
        return torch.log(torch.as_tensor(powers) / self.bands.widths + _FLOOR).flatten(-2)

    def begin(self, lanes: int) -> Tensor:
        """Return the state at the start of `lanes` streams, zeros [layers, lanes, groups x width]."""
        return torch.zeros(self.config.layers, lanes, self.groups * self.config.width)

    def initial_states(self, stems: int = 1) -> tuple[Tensor, ...]:
        """Zero state, shared by all stems."""
        del stems
        return (self.begin(1),)

    def trunk(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features and state to latent-source values [batch, frames, latents, groups, width] and the next state."""
        x = (features - self.feature_mean) * self.feature_scale
        x = x.unflatten(-1, (3, self.groups, self.config.group)).transpose(-3, -2).flatten(-2)
        x = self.reduce(self.dropout(x))
        states = []
        for recurrence, tdf, before in zip(self.recurrences, self.tdfs, state, strict=True):
            x, after = recurrence(self.dropout(x), before)
            x = tdf(x)
            states.append(after)
        return self.latents(self.values(self.out_norm(x))), torch.stack(states)

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
