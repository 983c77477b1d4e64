"""What the live networks share: features by bands, a trunk without condition, a head that attends, a complex mask.

The trunk runs once per hop for all stems and carries the state; the head runs per condition, so four stems cost little
more than one. Sources of the parts they are made of:

  TDF     x + W2 relu(W1 x), fully connected over frequency. Choi et al., "Investigating U-Nets with
          various intermediate blocks for spectrogram-based singing voice separation", ISMIR 2020.
  LaSAFT  softmax(Q K^T / sqrt(d_k)) V', Q from the condition, V' one frequency transformation per
          latent source. Choi et al., "LaSAFT: Latent Source Attentive Frequency Transformation for
          Conditioned Source Separation", ICASSP 2021; V' computed once for all stems as in LightSAFT
          (Jeong et al., "LightSAFT", MDX workshop at ISMIR 2021).
  GPoCM   sigma(beta_c + sum_j omega_cj X_j) * X_c, omega and beta generated from the condition (LaSAFT, ibid.).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from models.bands import Bands

FLOOR = 1e-4


@dataclass(frozen=True)
class LiveConfig:
    """Hyper-parameters that all live networks have. `bands` are (width in bins, count) from the lowest bin up."""

    architecture: ClassVar[str]

    n_fft: int = 2048
    channels: int = 2
    stems: int = 4
    bands: tuple[tuple[int, int], ...] = ((1, 192), (4, 80), (16, 32))
    embedding: int = 32
    latent_sources: int = 6
    d_k: int = 16
    dropout: float = 0.0

    def __post_init__(self) -> None:
        covered = sum(width * count for width, count in self.bands)
        if covered != self.n_fft // 2:
            raise ValueError(f"bands cover {covered} bins; they must cover n_fft / 2 = {self.n_fft // 2}")

    def to_dict(self) -> dict:
        """Return plain data for a checkpoint."""
        return {"architecture": self.architecture, **asdict(self)}


class LiveHead(nn.Module):
    """Embeds conditions and weighs latent sources by them; `logits` is the network's own.

    values [batch, frames, latents, ...] and condition [batch, 1 or frames, queries, stems] give
    a complex mask gain + j turn, each [batch, queries, channels, frames, bands], gain in 0..1, turn in -0.5..0.5.
    """

    def __init__(self, config: LiveConfig) -> None:
        super().__init__()
        c = config
        self.config = c
        self.embed = nn.Sequential(nn.Linear(c.stems, c.embedding), nn.ReLU(), nn.Linear(c.embedding, c.embedding))
        self.query = nn.Linear(c.embedding, c.d_k)
        self.keys = nn.Parameter(torch.randn(c.latent_sources, c.d_k))
        # Stems that all attend alike learn slowly to differ: begin with distinct ones.
        with torch.no_grad():
            logits = self.query(self.embed(torch.eye(c.stems))) @ self.keys.T / c.d_k**0.5
            self.query.weight *= 2.0 / logits.std(0).mean()

    def attention(self, embedding: Tensor) -> Tensor:
        """Weights of the latent sources for an embedded condition: [..., embedding] -> [..., latent_sources]."""
        return torch.softmax(self.query(embedding) @ self.keys.T / self.config.d_k**0.5, -1)

    def logits(self, values: Tensor, condition: Tensor) -> Tensor:
        """The mask before its squashing, [batch, frames, queries, 2, channels, bands]."""
        raise NotImplementedError

    def forward(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        mask = self.logits(values, condition).permute(3, 0, 2, 4, 1, 5)
        return torch.sigmoid(mask[0]), 0.5 * torch.tanh(mask[1])


class LiveNetwork(nn.Module):
    """Keeps the separator contract frame by frame and trains on whole clips; has a `head`, a LiveHead."""

    stem_states = (False,)
    head: LiveHead

    def __init__(self, config: LiveConfig) -> None:
        super().__init__()
        self.config = config
        self.bands = Bands(config.bands)
        features = 3 * self.bands.count
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.register_buffer("static_mask", torch.zeros(config.stems, self.bands.count))
        self.register_buffer("static_share", torch.zeros(()))

    def features(self, mixture: Tensor) -> Tensor:
        """[batch, 2 channels, frames, bins] -> [batch, frames, 3 bands]: log power of left, right, side."""
        left, right = mixture[:, 0:2], mixture[:, 2:4]
        power = torch.stack([(s * s).sum(1) for s in (left, right, 0.5 * (left - right))], 2)
        return torch.log(self.bands.gather(power) + FLOOR).flatten(-2)

    def scaled(self, powers: np.ndarray | Tensor) -> Tensor:
        """The same features from band sums of power, [batch, frames, 3, bands]."""
        return torch.log(torch.as_tensor(powers) / self.bands.widths + FLOOR).flatten(-2)

    def begin(self, lanes: int) -> Tensor:
        """Return the state at the start of `lanes` streams, zeros [layers, lanes, units]."""
        raise NotImplementedError

    def initial_states(self, stems: int = 1) -> tuple[Tensor, ...]:
        """Zero state, shared by all stems."""
        del stems
        return (self.begin(1),)

    def trunk(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features and state to the values of the latent sources [batch, frames, latents, ...] and the next state."""
        raise NotImplementedError

    def tdfs_by_bands(self) -> list[Tensor]:
        """Return the TDFs of the trunk, which work on learnt features, as seen from the bands: [bands, bands] each.

        A band writes a pattern into the features, r_i (left, right and side together, brought to unit length).
        Given is r_j^T W2 W1 r_i at [j, i], the scale of the norm included: how much of band j's pattern the TDF
        adds where band i is louder.
        """
        raise NotImplementedError

    @property
    def attends(self) -> tuple[int, int]:
        """Layers and latent sources of `attention`."""
        return 1, self.config.latent_sources

    def attention(self, condition: Tensor) -> Tensor:
        """Weights of the latent sources for condition [stems, width]: [stems, 1, latent_sources]."""
        # Shaped as for the head, so that ONNX Runtime sees that both need the same and computes it once.
        return self.head.attention(self.head.embed(condition[None, None])).permute(2, 0, 1, 3).squeeze(1)

    def mask(self, values: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """What the head makes of its arguments, shrunk; see LiveHead.

        Towards the mask that is right on average: on music unlike the training's, less is more.
        """
        gain, turn = self.head(values, condition)
        static = (condition @ self.static_mask).transpose(1, 2).unsqueeze(2)
        return gain + self.static_share * (static - gain), turn - self.static_share * turn

    def forward(self, mixture: Tensor, condition: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Separator contract: mixture [1, 2 channels, frames, bins], condition [stems, width]."""
        values, state = self.trunk(self.features(mixture), state)
        gain, turn = self.mask(values, condition[None, None])
        spectrum = mixture.unflatten(1, (self.config.channels, 2)).unsqueeze(1)
        re, im = spectrum[:, :, :, 0], spectrum[:, :, :, 1]
        gain, turn = self.bands.spread(gain), self.bands.spread(turn)
        estimate = torch.stack([gain * re - turn * im, gain * im + turn * re], 3).flatten(2, 3)
        return estimate[0], state
