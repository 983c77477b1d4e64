"""Gated CBHG: a bank of convolutions along time, highway layers, a GRU and a gate.

Sources: Wang et al., "Tacotron: towards end-to-end speech synthesis", Interspeech 2017 (CBHG); Park and
Chon, "GSEP: a robust vocal and accompaniment separation system using gated CBHG module and loudness
normalization", arXiv 2010.12139.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.blocks.checks import multiple, positive
from models.blocks.folded import Folded
from models.frames import Frames, summed


class Bank(nn.Module):
    """Convolutions of 1 to `size` frames side by side: [B, features, T, 1] -> [B, features size, T, 1].

    b = relu(norm([conv_1(x), ..., conv_size(x)])); a kernel of k frames sees (k - 1) // 2 of the past and k // 2 of
    the future. Parameters: features^2 size (size + 1) / 2 + 3 features size.
    """

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(features, features, (length + 1, 1)) for length in range(size))
        self.norm = nn.BatchNorm2d(features * positive("the size of the bank", size))
        self.past, self.future = (size - 1) // 2, size // 2

    def forward(self, x: Frames) -> Frames:
        # All of them at once, so that a stream keeps one past for the whole bank.
        return x.local(self._convolved, self.past, self.future).each(lambda data: self.norm(data).relu())

    def _convolved(self, data: Tensor) -> Tensor:
        parts = []
        for index, conv in enumerate(self.convs):
            begin, end = self.past - index // 2, self.future - (index + 1) // 2
            parts.append(conv(data[:, :, begin : data.shape[2] - end]))
        return torch.cat(parts, 1)


class Highway(nn.Module):
    """y = t * relu(W_h x + b_h) + (1 - t) * x, t = sigmoid(W_t x + b_t): [B, features, T, 1] -> the same.

    Parameters: 2 features (features + 1). Source: Srivastava et al., "Highway networks", 2015, whose
    negative first bias of t, by which a new layer hands on its input, is kept.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        # Point-wise convolutions: a linear layer wants the axes of [.., T, 1] in another order, and the gradient
        # of a batch norm before that is wrong (PyTorch 2.13 on CPU takes the one bin for another memory format).
        self.linear = nn.Conv2d(features, features, 1)
        self.gate = nn.Conv2d(features, features, 1)
        nn.init.constant_(self.gate.bias, -1)

    def forward(self, x: Tensor) -> Tensor:
        through = self.gate(x).sigmoid()
        return through * self.linear(x).relu() + (1 - through) * x


class GatedCbhg(Folded):
    """Gated CBHG along time: [B, inputs, T, F] -> [B, channels, T, F], input and output as `Folded` says.

    p = max over two frames of Bank(x); q = x + norm(conv_3(relu(norm(conv_3(p))))); h = highway layers of q;
    s = GRU(h); the result is (W_a s + b_a) * sigmoid(W_b s + b_b). The maximum is over a frame and the
    one before it. CBHG ends with s; that the gate of GSEP is a gated linear unit on it is a
    reading and not the paper's letter.
    Parameters, with H features, K convolutions in the bank, L highway layers, D directions of H / D units
    (features of the result stay H): those of `Folded`, H^2 K (K + 1) / 2 + 3 H K, 3 H^2 (K + 1) + 6 H,
    2 L H (H + 1), 3 H (H + H / D + 2), 2 H (H + 1). Receptive field along time up to the GRU: K + 5 frames.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        bins: int,
        features: int,
        bank: int = 8,
        highways: int = 4,
        bidirectional: bool = True,
        act: str = "relu",
    ) -> None:
        super().__init__(inputs, channels, bins, features, act)
        directions = 2 if bidirectional else 1
        multiple("features", features, directions, "the two directions of the GRU have half of them each")
        self.bank = Bank(features, bank)
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(size, features, (3, 1), padding=(1, 0)), nn.BatchNorm2d(features), last)
            for size, last in ((features * bank, nn.ReLU()), (features, nn.Identity()))
        )
        self.highways = nn.Sequential(*(Highway(features) for _ in range(positive("highway layers", highways))))
        self.gru = nn.GRU(features, features // directions, batch_first=True, bidirectional=bidirectional)
        self.gate = nn.Linear(features, 2 * features)

    def along(self, x: Frames) -> Frames:
        # What is missing before the first frame is zero, and nothing that comes out of the bank is less.
        projected = self.bank(x).local(lambda data: torch.maximum(data[:, :, 1:], data[:, :, :-1]), 1, 0)
        for projection in self.projections:
            projected = projected.conv(projection[0]).each(projection[1:])
        h = summed(x, projected).each(self.highways)
        run = h.recurrent(self.gru, lambda data: data.squeeze(-1).transpose(1, 2))
        return run.each(lambda data: nn.functional.glu(self.gate(data), -1).transpose(1, 2).unsqueeze(-1))
