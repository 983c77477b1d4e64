"""TFC followed by a frequency transformation with a skip connection: TFC-TDF, MUX-like TDF, LaSAFT, LightSAFT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.blocks.block import Modulate, activation
from models.blocks.tdf import Tdf
from models.blocks.tfc import Tfc
from models.frames import Condition, Frames, summed


class TfcTdf(nn.Module):
    """y = h + TDF(h), h = modulate(TFC(x)). Source: Choi et al., ISMIR 2020; with a condition, the slides' naive extension."""

    def __init__(self, tfc: Tfc, tdf: Tdf) -> None:
        super().__init__()
        self.tfc, self.tdf = tfc, tdf

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        x = modulate(self.tfc.dense(x))
        return summed(x, x.each(self.tdf.map))


class Attended(nn.Module):
    """A block whose frequency transformation is weighted by the condition: y = h + transform(h, weights).

    `weights` [B, 1 or T, latent instruments] are the attention of the embedding to learnt keys,
    softmax(Q K^T / sqrt(d_k)) with Q = embedding W + b and K [latents, d_k] (stored transposed).
    Source: Choi et al., "LaSAFT: latent source attentive frequency transformation for conditioned
    source separation", ICASSP 2021.
    """

    def __init__(self, tfc: Tfc, embedding: int, latents: int, key_size: int) -> None:
        super().__init__()
        self.tfc, self.latents = tfc, latents
        self.keys = nn.Parameter(torch.randn(key_size, latents))
        self.linear_query = nn.Linear(embedding, key_size)

    def attention(self, embedding: Tensor) -> Tensor:
        """Return [..., latents] of `embedding` [..., size]: how much each latent instrument is attended to."""
        return (self.linear_query(embedding) @ self.keys / math.sqrt(self.keys.shape[0])).softmax(-1)

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition) -> Frames:
        x = modulate(self.tfc.dense(x))
        return summed(x, x.spread(self.transform(x.data, self.attention(embedding.at(x))), True))

    def transform(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return [B, C, T, F] of `x` [1 or B, C, T, F] and `weights` [B, 1 or T, latents]."""
        raise NotImplementedError


class Lasaft(Attended):
    """LaSAFT: one TDF per latent instrument, sharing the first layer, weighted after the second.

    V' [B, C, T, F, latents] = TDF_latents(h), y = h + V' weights; the latents are interleaved in the
    last axis of the second layer.
    """

    def __init__(
        self,
        tfc: Tfc,
        channels: int,
        bins: int,
        factor: int | None,
        least: int,
        bias: bool,
        act: str,
        embedding: int,
        latents: int,
        key_size: int,
    ) -> None:
        super().__init__(tfc, embedding, latents, key_size)
        hidden = None if factor is None else max(bins * latents // factor, least)
        self.tdfs = Tdf(channels, bins, bins * latents, hidden, bias, act=act)

    def transform(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return [B, C, T, F] of `x` [1 or B, C, T, F] and `weights` [B, 1 or T, latents]."""
        value = self.tdfs.map(x).unflatten(-1, (-1, self.latents))
        return (value @ weights[:, None, :, :, None]).squeeze(-1)


class LightSaft(Attended):
    """LightSAFT: the latent instruments differ in the first layer only, and are weighted before the second.

    y = h + act(norm(W2 (V weights))), V [B, C, T, latents, hidden] = act(norm(W1 h)). Source: Jeong, Choi
    and others, "LightSAFT: lightweight latent source aware frequency transform for source separation",
    2021, and the published code.
    """

    def __init__(
        self,
        tfc: Tfc,
        channels: int,
        bins: int,
        factor: int,
        least: int,
        bias: bool,
        act: str,
        embedding: int,
        latents: int,
        key_size: int,
    ) -> None:
        super().__init__(tfc, embedding, latents, key_size)
        hidden = max(bins // factor, least)
        self.LaSAFT_bn_layer = nn.Sequential(
            nn.Linear(bins, hidden * latents, bias), nn.BatchNorm2d(channels), activation(act)
        )
        self.LaSIFT = nn.Sequential(nn.Linear(hidden, bins, bias), nn.BatchNorm2d(channels), activation(act))

    def transform(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return [B, C, T, F] of `x` [1 or B, C, T, F] and `weights` [B, 1 or T, latents]."""
        value = self.LaSAFT_bn_layer(x).unflatten(-1, (self.latents, -1))
        return self.LaSIFT((weights[:, None, :, None, :] @ value).squeeze(-2))


class MuxTdf(nn.Module):
    """One TDF per instrument, picked by the condition: y = h + sum_i c_i TDF_i(h). The slides' MUX-like extension.

    As in LaSAFT, but the weights are the condition itself, so instruments are not latent.
    """

    def __init__(self, tfc: Tfc, tdf: Tdf, instruments: int) -> None:
        super().__init__()
        self.tfc, self.tdfs, self.instruments = tfc, tdf, instruments

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition) -> Frames:
        x = modulate(self.tfc.dense(x))
        weights = embedding.at(x)
        value = self.tdfs.map(x.data).unflatten(-1, (-1, self.instruments))
        return summed(x, x.spread((value @ weights[:, None, :, :, None]).squeeze(-1), True))
