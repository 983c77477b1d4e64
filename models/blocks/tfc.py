"""Densely connected convolutions: TFC over time and frequency, TDC over frequency alone."""

from __future__ import annotations

from torch import nn

from models.blocks.block import Modulate, activation, odd
from models.frames import Condition, Frames, Line, densely


class Tfc(nn.Module):
    """Time-frequency convolutions, densely connected: [B, inputs, T, F] -> [B, channels, T, F].

    x_l = act(norm(conv_l([x_{l-1}, ..., x_0]))) with kernels [time, frequency], the last x_l being the result.
    With a kernel of one frame this is TDC (time-distributed convolutions), called TIC in the published
    code, where it is written with one-dimensional kernels. Source: Choi et al., "Investigating U-Nets
    with various intermediate blocks for spectrogram-based singing voice separation", ISMIR 2020.
    """

    def __init__(self, inputs: int, channels: int, layers: int, kernel: tuple[int, int], act: str = "relu") -> None:
        super().__init__()
        time, bins = odd("the kernel along time", kernel[0]), odd("the kernel along frequency", kernel[1])
        # Kernels of one frame stay two-dimensional: CPU kernels are blocked for that layout.
        self.H = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs + index * channels, channels, (time, bins), padding=(time // 2, bins // 2)),
                nn.BatchNorm2d(channels),
                activation(act),
            )
            for index in range(layers)
        )

    def dense(self, x: Frames) -> Frames:
        """Return what the convolutions make of `x`."""
        padding = self.H[0][0].padding[0]
        last = x.delay + len(self.H) * padding
        lines = []
        for conv, *rest in self.H:
            lines.append(Line(x, last, padding))
            x = densely(conv, lines).each(nn.Sequential(*rest))
        return x

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        return modulate(self.dense(x))
