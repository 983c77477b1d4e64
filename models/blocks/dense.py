"""Dense blocks, and the multi-scale multi-band ones of MMDenseNet and MMDenseLSTM.

Sources: Huang et al., "Densely connected convolutional networks", CVPR 2017; Takahashi and Mitsufuji,
"Multi-scale multi-band DenseNets for audio source separation", WASPAA 2017; Takahashi, Goswami and
Mitsufuji, "MMDenseLSTM: an efficient combination of convolutional and recurrent neural networks for audio
source separation", IWAENC 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from models.blocks.block import Modulate, activation, odd
from models.blocks.checks import all_positive, multiple, positive
from models.frames import Condition, Frames, joined
from realtime.errors import HostError


class Composite(nn.Module):
    """The composite function of a DenseNet: conv(act(norm(x))), [B, inputs, T, F] -> [B, outputs, T, F].

    `kernel` and `dilation` are [time, frequency] and the same along both. Parameters: 2 inputs +
    inputs outputs kernel, and outputs more with a bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int] = (1, 1),
        dilation: int = 1,
        act: str = "relu",
        bias: bool = False,
    ) -> None:
        super().__init__()
        time, bins = odd("the kernel along time", kernel[0]), odd("the kernel along frequency", kernel[1])
        padding = (time // 2 * dilation, bins // 2 * dilation)
        self.norm = nn.BatchNorm2d(positive("the number of input channels", inputs))
        self.act = activation(act)
        self.conv = nn.Conv2d(
            inputs, positive("growth", outputs), kernel, padding=padding, dilation=dilation, bias=bias
        )

    def forward(self, x: Frames) -> Frames:
        return x.each(lambda data: self.act(self.norm(data))).conv(self.conv)


class DenseBlock(nn.Module):
    """Densely connected layers: [B, inputs, T, F] -> [B, growth, T, F].

    x_l = H_l([x_{l-1}, ..., x_0]), H_l the composite function with `growth` outputs; the result is the
    last x_l, which has seen all of them. Parameters, with c_l = inputs + l growth and K weights a kernel:
    sum over l of c_l (2 + K growth). Receptive field: 1 + layers (kernel - 1) along either axis.
    Handed on is the last layer alone, as in the public implementations; the paper does not say.
    """

    def __init__(
        self, inputs: int, growth: int, layers: int, kernel: tuple[int, int] = (3, 3), act: str = "relu"
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Composite(inputs + index * growth, growth, kernel, act=act)
            for index in range(positive("the number of layers of a dense block", layers))
        )

    def forward(self, x: Frames) -> Frames:
        for layer in self.layers[:-1]:
            x = joined(layer(x), x)
        return self.layers[-1](x)


class LstmMap(nn.Module):
    """One more feature map from a recurrence along time: [B, inputs, T, F] -> [B, inputs + 1, T, F].

    y = [x, W LSTM(v * x) + b]: a point-wise convolution v makes one map of all channels, an LSTM runs along
    time with the bins of a frame as its input, and W, fully connected, leads back to the bins; the
    recurrence follows a dense block, and what it adds is concatenated with what that block made.
    With D directions and H units in each, parameters: (inputs + 1) + 4 D H (F + H + 2) + F (D H + 1).
    """

    def __init__(self, inputs: int, bins: int, units: int, bidirectional: bool = True) -> None:
        super().__init__()
        self.single = nn.Conv2d(inputs, 1, 1)
        self.lstm = nn.LSTM(
            bins, positive("the units of the LSTM", units), batch_first=True, bidirectional=bidirectional
        )
        self.linear = nn.Linear(units * (2 if bidirectional else 1), bins)

    def forward(self, x: Frames) -> Frames:
        run = x.conv(self.single).recurrent(self.lstm, lambda data: data.squeeze(1))
        return joined(x, run.each(lambda data: self.linear(data).unsqueeze(1)))


@dataclass(frozen=True)
class Band:
    """The dense blocks of one band: `growth` and `layers` of each, down, at the bottom, and up again.

    `first` channels come from the convolution before them; `units` of an LSTM, or 0 for none, follow the
    bottom. An odd number of blocks: with 2 s + 1 the bins are halved s times.
    """

    growth: tuple[int, ...]
    layers: tuple[int, ...]
    first: int = 32
    units: int = 0

    def __post_init__(self) -> None:
        all_positive("the growth of a band", self.growth)
        all_positive("the layers of a band", self.layers)
        positive("the first channels of a band", self.first)
        if len(self.growth) != len(self.layers) or len(self.growth) % 2 == 0:
            raise HostError(
                f"a band has an odd number of dense blocks, with a growth and a number of layers each, but here are "
                f"{len(self.growth)} growths and {len(self.layers)} numbers of layers"
            )
        if self.units < 0:
            raise HostError(f"the units of a band's LSTM are {self.units}, but must be at least 1, or 0 for no LSTM")

    @property
    def scales(self) -> int:
        """How often the bins are halved."""
        return len(self.growth) // 2


class MultiScale(nn.Module):
    """MDenseNet: dense blocks at falling and rising resolution, [B, inputs, T, F] -> [B, last growth, T, F].

    Down: a dense block, then a point-wise convolution and the mean of two bins; up: a transposed
    convolution, the concatenation of the block at that scale on the way down, a dense block.
    Resolution falls along frequency alone, where the paper halves time too: around this block a U-Net's
    level may be down to one frame a call, and a stream would have to wait for more.
    Parameters, with c_i channels into block i, g_i out of it, and s scales: inputs first K + first, every
    dense block, g_i^2 + g_i for each of the s convolutions down, 2 c^2 + c for each transposed one, c the
    channels into it (with an LSTM at the bottom one more, and its own parameters).
    Receptive field along time: 1 + (kernel - 1) (1 + sum of all layers).
    """

    def __init__(
        self,
        inputs: int,
        bins: int,
        band: Band,
        kernel: tuple[int, int] = (3, 3),
        bidirectional: bool = True,
        act: str = "relu",
    ) -> None:
        super().__init__()
        scales = band.scales
        multiple("the number of bins of a band", bins, 2**scales, f"it is halved {scales} times")
        padding = (odd("the kernel along time", kernel[0]) // 2, odd("the kernel along frequency", kernel[1]) // 2)
        self.first = nn.Conv2d(inputs, band.first, kernel, padding=padding)
        self.blocks, self.down, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.lstm: LstmMap | None = None
        channels, skips = band.first, []
        for index, (growth, layers) in enumerate(zip(band.growth, band.layers, strict=True)):
            if index > scales:
                self.up.append(nn.ConvTranspose2d(channels, channels, (1, 2), stride=(1, 2)))
                channels += skips.pop()
            self.blocks.append(DenseBlock(channels, growth, layers, kernel, act))
            channels = growth
            if index < scales:
                skips.append(channels)
                self.down.append(nn.Conv2d(channels, channels, 1))
            if index == scales and band.units:
                self.lstm = LstmMap(channels, bins >> scales, band.units, bidirectional)
                channels += 1

    def forward(self, x: Frames) -> Frames:
        scales, skips = len(self.down), []
        x = x.conv(self.first)
        for block, down in zip(self.blocks, self.down, strict=False):
            x = block(x)
            skips.append(x)
            x = x.conv(down).each(lambda data: functional.avg_pool2d(data, (1, 2)))
        x = self.blocks[scales](x)
        if self.lstm is not None:
            x = self.lstm(x)
        for block, up in zip(self.blocks[scales + 1 :], self.up, strict=True):
            x = block(joined(x.transposed(up), skips.pop()))
        return x


def _swapped(data: Tensor) -> Tensor:
    """Return `data` with channels and bins in each other's place."""
    return data.transpose(1, 3)


class MultiBand(nn.Module):
    """MMDenseNet, and MMDenseLSTM where the bands have an LSTM: [B, inputs, T, F] -> [B, outputs, T, F].

    y = dense([[m_1(x_1); ...; m_n(x_n)], m(x)]): the bins are cut into n bands of equal width, low to high,
    each with a multi-scale dense network m_i of its own; their results meet along frequency, that of the full
    band m(x) joins them along the channels, and a last dense block with `outputs` of growth looks at both.
    Bands that meet along frequency need equally many channels, so the last growth of each must be the same.
    Parameters: those of all bands and of the last dense block.
    Receptive field along time: that of the longest band, and (kernel - 1) more for every layer of the last block.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bins: int,
        bands: Sequence[Band],
        full: Band,
        layers: int = 2,
        kernel: tuple[int, int] = (3, 3),
        bidirectional: bool = True,
        act: str = "relu",
    ) -> None:
        super().__init__()
        positive("the number of bands", len(bands))
        multiple("the number of bins", bins, len(bands), f"there are {len(bands)} bands of equal width")
        if len({band.growth[-1] for band in bands}) > 1:
            raise HostError(
                f"the bands end in {', '.join(str(band.growth[-1]) for band in bands)} channels, but must end in "
                "equally many to be put side by side along frequency"
            )
        self.width = bins // len(bands)
        self.bands = nn.ModuleList(MultiScale(inputs, self.width, band, kernel, bidirectional, act) for band in bands)
        self.full = MultiScale(inputs, bins, full, kernel, bidirectional, act)
        self.last = DenseBlock(bands[0].growth[-1] + full.growth[-1], outputs, layers, kernel, act)

    def features(self, x: Frames) -> Frames:
        """Return what the networks of all bands make of `x`."""
        parts = []
        for index, band in enumerate(self.bands):
            begin = index * self.width
            part = band(x.each(lambda data, begin=begin: data[..., begin : begin + self.width]))
            parts.append(part.each(_swapped))
        # Joined where the channels are, for that is where frames of different delay are brought together.
        return self.last(joined(joined(*parts).each(_swapped), self.full(x)))

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        return modulate(self.features(x))
