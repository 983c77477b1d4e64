"""One-dimensional blocks: all channels and bins of a frame as one vector, processed along time."""

from __future__ import annotations

from torch import Tensor, nn

from models.blocks.block import Modulate, activation
from models.blocks.checks import positive
from models.frames import Condition, Frames, summed


class Folded(nn.Module):
    """y = h + W2 along(W1 h), h = act(norm(conv(x))): [B, inputs, T, F] -> [B, channels, T, F].

    A point-wise convolution makes the U-Net's channels; of a frame's channels F numbers, W1 makes `features`,
    `along` looks at them along time, W2 leads back. The papers of such blocks take the bins of a spectrogram
    itself for features; inside a U-Net there are as many for every channel, too many for square matrices.
    Parameters: (inputs + 3) channels + channels F (2 features + 1) + features, and those of `along`.
    Receptive field: all bins; along time that of `along`.
    """

    def __init__(self, inputs: int, channels: int, bins: int, features: int, act: str = "relu") -> None:
        super().__init__()
        self.shape = (positive("the number of channels", channels), positive("the number of bins", bins))
        self.first = nn.Sequential(nn.Conv2d(inputs, channels, 1), nn.BatchNorm2d(channels), activation(act))
        self.fold = nn.Linear(channels * bins, positive("features", features))
        self.unfold = nn.Linear(features, channels * bins)

    def along(self, x: Frames) -> Frames:
        """Return [B, features, T, 1] of `x` of the same shape."""
        raise NotImplementedError

    def forward(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames:
        x = x.conv(self.first[0]).each(self.first[1:])
        return modulate(summed(x, self.along(x.each(self._folded)).each(self._unfolded)))

    def _folded(self, data: Tensor) -> Tensor:
        return self.fold(data.transpose(1, 2).flatten(2)).transpose(1, 2).unsqueeze(-1)

    def _unfolded(self, data: Tensor) -> Tensor:
        return self.unfold(data.squeeze(-1).transpose(1, 2)).unflatten(-1, self.shape).transpose(1, 2)
