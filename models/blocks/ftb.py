"""The frequency transformation block of PHASEN, and the amplitude stream of its two-stream block.

Source: Yin et al., "PHASEN: a phase-and-harmonics-aware speech enhancement network", AAAI 2020.
"""

from __future__ import annotations

from torch import nn

from models.blocks.block import Modulate, activation, odd
from models.blocks.checks import positive
from models.frames import Condition, Frames, joined, multiplied


class Convolved(nn.Module):
    """act(norm(conv(x))), the number of frames and bins kept: [B, inputs, T, F] -> [B, outputs, T, F]."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], act: str = "relu") -> None:
        super().__init__()
        time, bins = odd("the kernel along time", kernel[0]), odd("the kernel along frequency", kernel[1])
        conv = nn.Conv2d(inputs, outputs, kernel, padding=(time // 2, bins // 2))
        self.body = nn.Sequential(conv, nn.BatchNorm2d(outputs), activation(act))

    def forward(self, x: Frames) -> Frames:
        return x.conv(self.body[0]).each(self.body[1:])


class Ftb(nn.Module):
    """Frequency transformation block: [B, inputs, T, F] -> [B, channels, T, F].

    y = conv([x, FC(a * x)]), FC the same F x F matrix for all channels and frames, without a bias;
    the attention a [B, 1, T, F], the same for all channels (of public implementations, some give each channel
    one that is the same for all bins instead), is conv1d(fold(conv(x))): a point-wise convolution
    leaves `reduced` channels, which are folded into features of a frame, [B, reduced F, T], and a
    one-dimensional convolution along time makes F of them. act(norm(.)) after every convolution.
    Parameters, with k frames in that convolution: (inputs + 3) reduced + (reduced k F + 3) F + F^2
    + (2 inputs + 3) channels; most of them are the attention's, so that `reduced` wants to be small where
    bins are many. Receptive field: k frames, all bins.
    """

    def __init__(
        self, inputs: int, channels: int, bins: int, reduced: int = 5, kernel: int = 9, act: str = "relu"
    ) -> None:
        super().__init__()
        positive("the number of bins", bins)
        self.reduced = Convolved(inputs, positive("the reduced channels", reduced), (1, 1), act)
        self.attention = Convolved(reduced * bins, bins, (odd("the kernel of the attention", kernel), 1), act)
        self.linear = nn.Linear(bins, bins, bias=False)
        self.last = Convolved(2 * inputs, positive("the number of channels", channels), (1, 1), act)

    def forward(self, x: Frames) -> Frames:
        folded = self.reduced(x).each(lambda data: data.transpose(2, 3).flatten(1, 2).unsqueeze(-1))
        attention = self.attention(folded).each(lambda data: data.transpose(1, 3))
        return self.last(joined(x, multiplied(x, attention).each(self.linear)))


class AmplitudeStream(nn.Module):
    """The amplitude stream of PHASEN's two-stream block: [B, inputs, T, F] -> [B, channels, T, F].

    y = FTB(conv(conv(conv(FTB(x))))), kernels [time, frequency] of 5 x 5, 25 x 1 and 5 x 5 in the paper. The gate
    that the phase stream lays on its result is left out: around this block there is no phase stream.
    Parameters: those of two FTBs and (K channels + 3) channels for every convolution of K weights a kernel.
    Receptive field along time: 1 + 2 (k - 1) + sum of (kernel - 1), k the frames of the attention.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        bins: int,
        reduced: int = 5,
        kernel: int = 9,
        kernels: tuple[tuple[int, int], ...] = ((5, 5), (25, 1), (5, 5)),
        act: str = "relu",
    ) -> None:
        super().__init__()
        self.first = Ftb(inputs, channels, bins, reduced, kernel, act)
        self.convolutions = nn.ModuleList(Convolved(channels, channels, size, act) for size in kernels)
        self.last = Ftb(channels, channels, bins, reduced, kernel, act)

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        x = self.first(x)
        for convolution in self.convolutions:
            x = convolution(x)
        return modulate(self.last(x))
