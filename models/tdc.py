"""The published U-Net with TDC blocks, and the separator made of it.

TDC (time-distributed convolutions) is one of the intermediate blocks in Choi et al., "Investigating
U-Nets with various intermediate blocks for spectrogram-based singing voice separation", ISMIR 2020.
It sees one frame at a time: there is no state, and it runs at any hop.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from realtime.latency import Mode
from realtime.metadata import Metadata, Training

MODES = {
    # The first sample of a Hann window is zero and cannot be undone, so the synthesis window leaves it out.
    "safe": Mode(1024, 2048, "hann"),
    "low": Mode(512, 1024, "hann"),
    "lower": Mode(256, 512, "hann"),
    "extreme": Mode(128, 256, "hann"),
}


@dataclass(frozen=True)
class TdcConfig:
    """The published constructor's arguments, as far as they shape the network."""

    n_blocks: int = 17
    input_channels: int = 4
    internal_channels: int = 24
    n_internal_layers: int = 5
    kernel_size_f: int = 3


class Tdc(nn.Module):
    """Densely connected convolutions along frequency: [batch, inputs, frames, bins] -> [batch, channels, ...]."""

    def __init__(self, inputs: int, channels: int, layers: int, kernel: int) -> None:
        super().__init__()
        # Kernels of one frame, [1, kernel], instead of the published one-dimensional convolutions: the same
        # numbers without folding frames into the batch, and the layout that CPU kernels are blocked for.
        self.H = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs + index * channels, channels, (1, kernel), padding=(0, kernel // 2)),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            )
            for index in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        new = self.H[0](x)
        for layer in self.H[1:]:
            x = torch.cat((new, x), 1)
            new = layer(x)
        return new


class Resampling(nn.Module):
    """A strided convolution `conv` followed by batch norm."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class UNet(nn.Module):
    """The published U-Net around any intermediate block.

    `block(inputs, bins)` returns the block for a level; every level halves the bins. Parameters go by
    their published names. Input and output are spectra [batch, 2*channels, frames, n_fft/2+1].
    """

    def __init__(
        self, n_blocks: int, inputs: int, channels: int, n_fft: int, block: Callable[[int, int], nn.Module]
    ) -> None:
        super().__init__()
        levels = n_blocks // 2
        bins = [n_fft // 2 >> level for level in range(levels + 1)]
        # Kernel of two bins: drops one bin, so that the rest can be halved; the last convolution pads it back.
        self.first_conv = nn.Sequential(nn.Conv2d(inputs, channels, (1, 2)), nn.BatchNorm2d(channels), nn.ReLU())
        self.encoders = nn.ModuleList(block(channels, size) for size in bins[:-1])
        self.downsamplings = nn.ModuleList(
            Resampling(nn.Conv2d(channels, channels, (1, 2), stride=(1, 2))) for _ in range(levels)
        )
        self.mid_block = block(channels, bins[-1])
        self.upsamplings = nn.ModuleList(
            Resampling(nn.ConvTranspose2d(channels, channels, (1, 2), stride=(1, 2))) for _ in range(levels)
        )
        self.decoders = nn.ModuleList(block(2 * channels, size) for size in reversed(bins[:-1]))
        self.last_conv = nn.Sequential(nn.Conv2d(channels, inputs, (1, 2), padding=(0, 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first_conv(x)
        skips = []
        for encoder, downsampling in zip(self.encoders, self.downsamplings, strict=True):
            x = encoder(x)
            skips.append(x)
            x = downsampling(x)
        x = self.mid_block(x)
        for upsampling, decoder in zip(self.upsamplings, self.decoders, strict=True):
            x = decoder(torch.cat((upsampling(x), skips.pop()), 1))
        return self.last_conv(x)


def tdc_unet(config: TdcConfig, n_fft: int = 2048) -> UNet:
    """Return the TDC U-Net, untrained."""

    def block(inputs: int, _bins: int) -> nn.Module:
        return Tdc(inputs, config.internal_channels, config.n_internal_layers, config.kernel_size_f)

    return UNet(config.n_blocks, config.input_channels, config.internal_channels, n_fft, block)


class FrameSeparator(nn.Module):
    """A one-stem network without time, kept to the contract: estimate = network(mixture) * condition.

    Below about -60 dBFS the estimate fades with the mixture's power, and silence stays silent: the
    biases of a network alone hum, by up to -39 dBFS in the shortest mode, where the synthesis window is
    steep. Batch norm is folded into the convolutions, on a copy of `network`.
    """

    stem_states: tuple[bool, ...] = ()

    def __init__(self, network: nn.Module, n_fft: int = 2048) -> None:
        super().__init__()
        self.network = fold_batch_norm(copy.deepcopy(network))
        # Mean square of a spectrum's entries for noise of variance 1e-6: half the energy of a Hann window.
        self.quiet = 1e-6 * 0.5 * 0.375 * n_fft

    def initial_states(self, stems: int) -> tuple[Tensor, ...]:
        """Return no states: every frame stands alone."""
        return ()

    def forward(self, mixture: Tensor, condition: Tensor) -> tuple[Tensor]:
        power = mixture.square().mean((1, 3), keepdim=True)
        return (self.network(mixture) * (power / (power + self.quiet)) * condition[:, :, None, None],)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Fold every batch norm that follows a convolution into it, in place; return `network` in evaluation mode."""
    network.eval()
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential | Resampling):
            children = list(module.named_children())
            for (name, conv), (other, norm) in itertools.pairwise(children):
                if isinstance(norm, nn.BatchNorm2d):
                    transposed = isinstance(conv, nn.ConvTranspose2d)
                    setattr(module, name, fuse_conv_bn_eval(conv, norm, transpose=transposed))
                    setattr(module, other, nn.Identity())
    return network


def tdc_metadata(name: str, training: Training, stem: str = "vocals", n_fft: int = 2048) -> Metadata:
    """Return the metadata of a TDC separator for `stem`."""
    return Metadata(
        name=name,
        architecture="tdc",
        stems=(stem,),
        sample_rates=(44100,),
        channels=2,
        n_fft=n_fft,
        frames=1,
        lookahead=0,
        modes=MODES,
        training=training,
    )
