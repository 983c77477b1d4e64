"""Convolutions with a recurrence along time: TDC-RNN, TFC-RNN."""

from __future__ import annotations

from torch import Tensor, nn

from models.blocks.block import Modulate
from models.blocks.tdf import Tdf
from models.blocks.tfc import Tfc
from models.frames import Condition, Frames, summed


class TfcRnn(nn.Module):
    """y = h + TDF(GRU(h)), h = norm(TFC(x)); the GRU runs along time over all bins of a channel.

    TDC-RNN with a TFC of one frame (called TIC-RNN in the published code), TFC-RNN otherwise. Both
    directions as published; with `bidirectional` off it streams. Source: Choi et al., ISMIR 2020.
    """

    def __init__(
        self,
        tfc: Tfc,
        channels: int,
        bins: int,
        units: int,
        layers: int,
        bidirectional: bool,
        bias: bool,
        tdf: Tdf,
    ) -> None:
        super().__init__()
        self.tic = tfc
        self.bn = nn.BatchNorm2d(channels)
        self.rnn = nn.GRU(bins, units, layers, bias=bias, batch_first=True, bidirectional=bidirectional)
        self.tdf = tdf

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        x = self.tic.dense(x).each(self.bn)
        channels = x.data.shape[1]

        def shaped(data: Tensor) -> Tensor:
            return self.tdf.map(data.unflatten(0, (-1, channels)))

        return modulate(summed(x, x.recurrent(self.rnn, lambda data: data.flatten(0, 1)).each(shaped)))
