"""Dilated convolution with dilated GRU, one-dimensional along time.

Source: Liu and Yang, "Dilated convolution with dilated GRU for music source separation", IJCAI 2019.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from models.blocks.checks import all_positive, multiple, positive
from models.blocks.folded import Folded
from models.frames import Frames, summed


class DilatedGru(nn.Module):
    """A GRU whose unit at frame t hears from frame t - dilation: [B, features, T, 1] -> the same.

    r = s(W_r x_t + U_r h_{t-d}), z = s(W_z x_t + U_z h_{t-d}), n = tanh(W_n x_t + r * (U_n h_{t-d})),
    h_t = (1 - z) * n + z * h_{t-d}, biases beside every matrix: d interleaved recurrences with the same
    weights. With `bidirectional` others run against time, and both are added, which keeps the number of
    features; without it the block streams, its state being the last d of h. Parameters, with D
    directions and H features: 6 D H (H + 1). Receptive field: every d-th frame, of the past or of all.
    """

    def __init__(self, features: int, dilation: int, bidirectional: bool) -> None:
        super().__init__()
        self.dilation = positive("the dilation of a GRU", dilation)
        self.gru = nn.GRU(features, features, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Frames) -> Frames:
        return x.recurrent(self.gru, lambda data: data.squeeze(-1).transpose(1, 2), self.dilation).each(self._summed)

    def _summed(self, data: Tensor) -> Tensor:
        return data.unflatten(-1, (-1, self.gru.hidden_size)).sum(-2).transpose(1, 2).unsqueeze(-1)


class DilatedUnit(nn.Module):
    """y = x + c + GRU_d(c), c = lrelu(conv_d(x)): [B, features, T, 1] -> the same.

    The convolution of three frames, d apart, is weight-normalised and runs in `groups` that do not see each
    other; the GRU, with the same dilation, lets them meet; x is the paper's skip connection from the block's
    input to its output. That c stands before the GRU rather than beside it, and takes part
    in the sum, is a reading and not the paper's letter. Parameters: H (3 H / groups + 2) and those of the GRU.
    """

    def __init__(self, features: int, dilation: int, groups: int, bidirectional: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(features, features, (3, 1), padding=(dilation, 0), dilation=(dilation, 1), groups=groups)
        self.conv = weight_norm(conv)
        self.act = nn.LeakyReLU()
        self.gru = DilatedGru(features, dilation, bidirectional)

    def forward(self, x: Frames) -> Frames:
        convolved = x.conv(self.conv).each(self.act)
        return summed(x, convolved, self.gru(convolved))


class DilatedGruBlock(Folded):
    """A stack of dilated convolutions with dilated GRUs along time: [B, inputs, T, F] -> [B, channels, T, F].

    One unit for each of `dilations`, the input and output as `Folded` says, with its parameters. Receptive field along
    time: 1 + 2 (sum of dilations) by the convolutions; the recurrences reach all of the past, or of the signal.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        bins: int,
        features: int,
        dilations: tuple[int, ...] = (1, 2, 4),
        groups: int = 4,
        bidirectional: bool = True,
        act: str = "relu",
    ) -> None:
        super().__init__(inputs, channels, bins, features, act)
        all_positive("dilations", dilations)
        multiple("features", features, positive("groups", groups), f"a convolution in {groups} groups shares them out")
        self.units = nn.ModuleList(DilatedUnit(features, size, groups, bidirectional) for size in dilations)

    def along(self, x: Frames) -> Frames:
        for unit in self.units:
            x = unit(x)
        return x
