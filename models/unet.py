"""The U-Net of the published systems, around any intermediate block, with or without a condition."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from models.blocks.block import Block, activation, unmodulated
from models.condition import ConditionGenerator, Embedding
from models.frames import Condition, Frames, joined
from realtime.errors import HostError

PLACES = ("encoder", "decoder", "full")


class Resampling(nn.Module):
    """A strided convolution `conv`, or a transposed one, followed by batch norm."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv
        self.bn = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Frames) -> Frames:
        moved = x.transposed(self.conv) if isinstance(self.conv, nn.ConvTranspose2d) else x.conv(self.conv)
        return moved.each(self.bn)


class UNet(nn.Module):
    """Encoder, middle and decoder of `n_blocks` blocks with skip connections: [B, inputs, T, n_fft/2 + 1] -> [B, outputs, ...].

    `block(inputs, bins)` makes the block of a level. Every level halves the bins, and those in `halving`
    the frames too: T must be a multiple of `frames`. With a condition, `generator` makes the parameters
    that modulate the blocks at `place` from the `embedding`; blocks are given the embedding too, or the
    condition itself if `raw`.
    Parameters go by their published names. Sources: Choi et al., ISMIR 2020 (the U-Net); Meseguer-Brocal
    and Peeters, ISMIR 2019 (its conditioning); Choi et al., ICASSP 2021 (conditioned with these blocks).
    """

    def __init__(
        self,
        n_fft: int,
        n_blocks: int,
        inputs: int,
        outputs: int,
        channels: int,
        block: Callable[[int, int], Block],
        halving: frozenset[int],
        first_act: str = "relu",
        last_act: str = "identity",
        embedding: Embedding | None = None,
        generator: Callable[[int], ConditionGenerator] | None = None,
        place: str = "decoder",
        raw: bool = False,
    ) -> None:
        super().__init__()
        if n_blocks < 1 or n_blocks % 2 == 0:
            raise HostError(f"a U-Net has an odd number of blocks, one of them in the middle, not {n_blocks}")
        levels = n_blocks // 2
        if n_fft % 2 or (n_fft // 2) % 2**levels:
            raise HostError(
                f"the {n_fft // 2} bins of n_fft {n_fft} cannot be halved {levels} times, as {n_blocks} blocks need; "
                f"n_fft must be a multiple of {2 ** (levels + 1)}"
            )
        if unknown := sorted(level for level in halving if not 0 <= level < levels):
            raise HostError(f"time cannot be halved at level {unknown[0]}: the levels are 0 to {levels - 1}")
        if place not in PLACES:
            raise HostError(f"a condition acts in {', '.join(PLACES)}, not in '{place}'")
        bins = [n_fft // 2 >> level for level in range(levels + 1)]
        scales = [(2 if level in halving else 1, 2) for level in range(levels)]
        self.frames = 2 ** len(halving)
        self.levels, self.place, self.raw = levels, place, raw
        # Kernel of two bins: drops one bin, so that the rest can be halved; the last convolution pads it back.
        self.first_conv = nn.Sequential(
            nn.Conv2d(inputs, channels, (1, 2)), nn.BatchNorm2d(channels), activation(first_act)
        )
        self.encoders = nn.ModuleList(block(channels, size) for size in bins[:-1])
        self.downsamplings = nn.ModuleList(
            Resampling(nn.Conv2d(channels, channels, scale, stride=scale)) for scale in scales
        )
        self.mid_block = block(channels, bins[-1])
        self.upsamplings = nn.ModuleList(
            Resampling(nn.ConvTranspose2d(channels, channels, scale, stride=scale)) for scale in reversed(scales)
        )
        self.decoders = nn.ModuleList(block(2 * channels, size) for size in reversed(bins[:-1]))
        self.last_conv = nn.Sequential(nn.Conv2d(channels, outputs, (1, 2), padding=(0, 1)), activation(last_act))
        self.embedding = embedding
        self.condition_generator = generator(n_blocks if place == "full" else levels) if generator else None

    @property
    def width(self) -> int:
        """Entries of the condition; 0 for a network without one."""
        return self.embedding.weight.shape[0] if self.embedding is not None else 0

    def forward(self, spectrum: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return what becomes of a whole signal: [B, inputs, T, bins] -> [B, outputs, T, bins].

        `condition` is [B, width], or [B, T, width] with one for every frame. Where time is halved, a frame
        stands for those it was made of, and the condition of the first of them counts.
        """
        return self.run(Frames(spectrum), condition).data

    def run(self, x: Frames, condition: Tensor | None = None) -> Frames:
        """Return what becomes of frames, of a whole signal or of a stream, under the conditions of this call."""
        embedding, code = self._conditions(condition, x)

        def modulate(layer: int, part: str) -> Callable[[Frames], Frames]:
            if code is None or self.place not in (part, "full"):
                return unmodulated
            # With all blocks modulated the encoder's layers come first, then the middle, then the decoder's.
            first = {"encoder": 0, "full": self.levels, "decoder": self.levels + 1}[part] if self.place == "full" else 0
            return lambda frames: self.condition_generator.modulate(frames, first + layer, code)

        x = x.conv(self.first_conv[0]).each(self.first_conv[1:])
        skips = []
        for level, (encoder, downsampling) in enumerate(zip(self.encoders, self.downsamplings, strict=True)):
            x = encoder(x, modulate(level, "encoder"), embedding)
            skips.append(x)
            x = downsampling(x)
        x = self.mid_block(x, modulate(0, "full"), embedding)
        for level, (upsampling, decoder) in enumerate(zip(self.upsamplings, self.decoders, strict=True)):
            x = decoder(joined(upsampling(x), skips.pop()), modulate(level, "decoder"), embedding)
        return x.conv(self.last_conv[0]).each(self.last_conv[1:])

    def _conditions(self, condition: Tensor | None, x: Frames) -> tuple[Condition | None, Condition | None]:
        if self.embedding is None:
            return None, None
        if condition is None or condition.shape[-1] != self.width:
            found = "none" if condition is None else f"one of {condition.shape[-1]} entries"
            raise HostError(f"this network wants a condition of {self.width} entries and was given {found}")
        value = self.embedding(condition)
        embedding = Condition(condition if self.raw else value, x.stream)
        if self.condition_generator is None:
            return embedding, None
        return embedding, Condition(self.condition_generator.code(value), x.stream)


def parameters_of(module: nn.Module) -> int:
    """Return how many numbers training would change."""
    return sum(parameter.numel() for parameter in module.parameters())


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Return `module` in evaluation mode with random parameters and random batch-norm statistics, for tests."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            if name.endswith("running_var"):
                value.uniform_(0.5, 2, generator=generator)
            elif value.ndim > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
            else:
                value.add_(torch.randn(value.shape, generator=generator) * 0.1)
    return module.eval()
