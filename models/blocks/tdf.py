"""TDF: fully connected over frequency, frame by frame."""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from models.blocks.block import Modulate, activation
from models.frames import Condition, Frames


class Tdf(nn.Module):
    """Time-distributed fully connected layers: [B, channels, T, bins] -> [B, channels, T, outputs].

    y = act(norm(W2 act(norm(W1 x)))), W1: bins -> hidden, W2: hidden -> outputs, the same for every
    channel and frame; without `hidden` a single layer. Source: Choi et al., ISMIR 2020; called TIF in
    the published code, where the norm has an `affine` part only in some places.
    """

    def __init__(
        self,
        channels: int,
        bins: int,
        outputs: int,
        hidden: int | None,
        bias: bool = False,
        affine: bool = True,
        act: str = "relu",
    ) -> None:
        super().__init__()
        sizes = [bins, outputs] if hidden is None else [bins, hidden, outputs]
        self.tdf = nn.Sequential()
        for size, following in itertools.pairwise(sizes):
            self.tdf.extend(
                [nn.Linear(size, following, bias), nn.BatchNorm2d(channels, affine=affine), activation(act)]
            )

    def map(self, x: Tensor) -> Tensor:
        """Return what the layers make of the data [B, channels, T, bins]."""
        return self.tdf(x)


class TdfBlock(nn.Module):
    """TDF as the whole block; where the number of channels must change, a point-wise convolution follows."""

    def __init__(self, inputs: int, channels: int, tdf: Tdf) -> None:
        super().__init__()
        self.body = nn.Sequential(tdf)
        if inputs != channels:
            self.body.append(nn.Conv2d(inputs, channels, 1))

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        x = x.each(self.body[0].map)
        return modulate(x.conv(self.body[1]) if len(self.body) == 2 else x)


def hidden_size(bins: int, factor: int | None, least: int) -> int | None:
    """Return the hidden units of a bottleneck: bins // factor, at least `least`; None for a single layer."""
    return None if factor is None else max(bins // factor, least)
