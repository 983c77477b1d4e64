"""Dense blocks whose layers look at several resolutions at once: multi-dilated convolution, D2 and D3 blocks.

Sources: Takahashi and Mitsufuji, "D3Net: densely connected multidilated DenseNet for music source
separation", arXiv 2010.01733, and "Densely connected multidilated convolutional networks for dense
prediction tasks", CVPR 2021; the published code of the latter.
"""

from __future__ import annotations

from torch import nn

from models.blocks.block import Modulate
from models.blocks.checks import positive
from models.blocks.dense import Composite
from models.frames import Condition, Frames, joined, summed


class D2Block(nn.Module):
    """Multi-dilated convolutions, densely connected: [B, inputs, T, F] -> [B, growth, T, F].

    x_l = sum over i < l of w_{l,i} *_{2^i} act(norm_i(x_i)): in one layer the dilation differs by the layer
    that the channels come from, 2^i for x_i, and what comes from x_0, the input, is not dilated. So no
    kernel steps over what its input has not gathered, and nothing in the receptive field is missed: there is no
    aliasing. The result is the last x_l. Each x_i goes through one convolution that serves all later
    layers, with one norm for all of them, as in the published code.
    Parameters, with K weights a kernel, L layers and g of growth: inputs (2 + K g L) + sum over 0 < i < L of
    g (2 + K g (L - i)), and a bias of g (L - i) for every i. Receptive field along either axis:
    1 + (kernel - 1) (2^L - 1), which is 2^(L + 1) - 1 for kernels of 3.
    """

    def __init__(
        self, inputs: int, growth: int, layers: int, kernel: tuple[int, int] = (3, 3), act: str = "relu"
    ) -> None:
        super().__init__()
        positive("growth", growth)
        self.growth = growth
        self.sources = nn.ModuleList(
            Composite(inputs if index == 0 else growth, growth * (layers - index), kernel, 2**index, act, bias=True)
            for index in range(positive("the number of layers of a D2 block", layers))
        )

    def forward(self, x: Frames) -> Frames:
        pending = self.sources[0](x)  # what the layers still to come have gathered so far, the next one first
        for source in self.sources[1:]:
            new = pending.each(lambda data: data[:, : self.growth])
            pending = summed(pending.each(lambda data: data[:, self.growth :]), source(new))
        return pending


class D3Block(nn.Module):
    """D2 blocks, densely connected in their turn: [B, inputs, T, F] -> [B, channels, T, F].

    X_m = D2_m([X_0, ..., X_{m-1}]), X_0 the input; a point-wise composite function makes the channels of the
    U-Net of all X. Parameters: those of the D2 blocks, with inputs + m growth channels into the m-th, and
    c (2 + channels), c = inputs + blocks growth. Receptive field along either axis:
    1 + blocks (kernel - 1) (2^layers - 1).
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        growth: int,
        layers: int,
        blocks: int,
        kernel: tuple[int, int] = (3, 3),
        act: str = "relu",
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            D2Block(inputs + index * growth, growth, layers, kernel, act)
            for index in range(positive("the number of D2 blocks", blocks))
        )
        self.transition = Composite(inputs + blocks * growth, channels, act=act)

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        for block in self.blocks:
            x = joined(x, block(x))
        return modulate(self.transition(x))
