"""The spectrogram pipeline: spectrum in, spectrum out, around a network that is one step of it.

A network becomes a separator here: the host's spectra are brought into the form it was trained on
(magnitudes, or real and imaginary parts as channels), its result is taken as the stem's spectrum
("mapping") or multiplied with the mixture's ("masking"), and the condition picks or blends.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.blocks.tfc_tdf import Attended
from models.frames import Condition, Frames, Stream, multiplied
from models.unet import Resampling
from realtime.errors import HostError
from realtime.latency import Mode
from realtime.metadata import Metadata, Training


@dataclass(frozen=True)
class Pipeline:
    """What surrounds a network: `n_fft`, the `hop` it was trained at and the `stems` it knows, in order.

    `spectrum` is "complex" or "magnitude", `estimate` "mapping" or "masking", `parts_first` tells channels
    ordered (all real parts, all imaginary parts) from the host's (real, imaginary) for each channel.
    """

    stems: tuple[str, ...] = ("vocals", "drums", "bass", "other")
    n_fft: int = 2048
    hop: int = 1024
    channels: int = 2
    rate: int = 44100
    spectrum: str = "complex"
    estimate: str = "mapping"
    parts_first: bool = True

    def __post_init__(self) -> None:
        for name, allowed in (("spectrum", ("complex", "magnitude")), ("estimate", ("mapping", "masking"))):
            if getattr(self, name) not in allowed:
                raise HostError(f"{name} is '{getattr(self, name)}', but must be {' or '.join(allowed)}")
        if not 0 < self.hop < self.n_fft:
            raise HostError(f"hop {self.hop} must be between 0 and n_fft {self.n_fft}")

    @property
    def inputs(self) -> int:
        """Channels that the network is given."""
        return self.channels * (2 if self.spectrum == "complex" else 1)


class SpectrogramSeparator(nn.Module):
    """A network kept to the separator contract, exactly streamed.

    A network without a condition gives one stem (dedicated) or all of them (multi-head, stems as groups of
    channels); the condition then scales or blends what it gives. A network that takes the condition is
    run for each row of it. Below about -60 dBFS of mixture the estimate fades, as networks alone hum in
    silence. Batch norm is folded into convolutions, on a copy of `network`, which is put into evaluation mode.
    """

    def __init__(self, network: nn.Module, pipeline: Pipeline) -> None:
        super().__init__()
        self.network, self.pipeline = fold_batch_norm(copy.deepcopy(network)), pipeline
        self.frames: int = network.frames
        if network.width not in (0, len(pipeline.stems)):
            raise HostError(
                f"the network takes a condition of {network.width} entries, but there are {len(pipeline.stems)} stems: "
                + ", ".join(pipeline.stems)
            )
        # Mean square of a spectrum's entries for noise of variance 1e-6: half the energy of a Hann window.
        self.quiet = 1e-6 * 0.5 * 0.375 * pipeline.n_fft
        self.lookahead, self.reach, self.per_stem, self.ages, self._shapes = 0, 0, (), (), ()
        if streams(self.network):
            self._plan()

    def _plan(self) -> None:
        """Find the look-ahead and the states by running on silence."""
        bins, width = self.pipeline.n_fft // 2 + 1, len(self.pipeline.stems)
        silence = torch.zeros(1, 2 * self.pipeline.channels, self.frames, bins)
        with torch.inference_mode():
            for reach in (None, 0):
                stream = Stream(self.frames, 2, torch.ones(1), reach if reach is None else self.reach)
                result = self._separated(Frames(silence, stream), torch.zeros(2, width))
                result.silenced()
                self.reach, self.lookahead = stream.found if reach is None else self.reach, result.delay
        self.per_stem, self.ages = tuple(stream.per_stem), tuple(stream.ages)
        self._shapes = tuple(state.shape for state in stream.next_states)

    @property
    def takes_valid(self) -> bool:
        """Whether a call must say if its frames belong to the signal."""
        return self.reach > 0

    @property
    def stem_states(self) -> tuple[bool, ...]:
        """For each state, whether its first dimension is the stems."""
        return self.per_stem

    def initial_states(self, stems: int) -> tuple[Tensor, ...]:
        """Return the states at the start of a stream."""
        pairs = zip(self._shapes, self.per_stem, strict=True)
        return tuple(torch.zeros((stems, *shape[1:]) if per_stem else shape) for shape, per_stem in pairs)

    @property
    def attends(self) -> tuple[int, int] | None:
        """Attended layers and latent instruments of each; None for a network without."""
        layers = attended(self.network)
        return (len(layers), layers[0].latents) if layers else None

    def attention(self, condition: Tensor) -> Tensor:
        """Return [stems, layers, latents]: how much each layer takes of each latent instrument under `condition`."""
        embedding = self.network.embedding(condition)
        return torch.stack([layer.attention(embedding) for layer in attended(self.network)], 1)

    def forward(self, mixture: Tensor, condition: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return estimate [stems, 2*channels, frames, bins] and the next states.

        `mixture` is [1, 2*channels, frames, bins], `condition` [stems, width]; then follow `valid` [1], if
        `takes_valid`, and the states.
        """
        valid = rest[0] if self.takes_valid else mixture.new_ones(1)
        states = rest[1:] if self.takes_valid else rest
        stream = Stream(self.frames, condition.shape[0], valid, self.reach, states)
        estimate = self._separated(Frames(mixture, stream), condition)
        return (estimate.silenced().data, *stream.next_states)

    def offline(self, mixture: Tensor, condition: Tensor) -> Tensor:
        """Return what becomes of a whole signal: [1, 2*channels, T, bins] -> [stems, 2*channels, T, bins].

        `condition` is [stems, width] or, with one for every frame, [stems, T, width]; T a multiple of `frames`.
        """
        return self._separated(Frames(mixture), condition).data

    def _separated(self, mixture: Frames, condition: Tensor) -> Frames:
        pipeline = self.pipeline
        if mixture.stream is None:  # offline the batch is the stems from the start
            mixture = Frames(mixture.data.expand(condition.shape[0], -1, -1, -1))
        scale = mixture.each(self._loud)
        spectrum = mixture.each(self._magnitude if pipeline.spectrum == "magnitude" else self._ordered)
        result = self.network.run(spectrum, condition if self.network.width else None)
        if not self.network.width:
            result = self._picked(result, Condition(condition, mixture.stream))
        if pipeline.estimate == "masking":
            result = multiplied(result, spectrum)
        if pipeline.spectrum == "magnitude":
            result = multiplied(result.each(self._both), mixture.each(self._phase))
        elif pipeline.parts_first:
            result = result.each(self._restored)
        return multiplied(result, scale)

    def _picked(self, result: Frames, condition: Condition) -> Frames:
        """Return the blend of the heads (channels in groups, one a stem) that the condition asks for."""
        weights = condition.at(result)
        if len(self.pipeline.stems) == 1:
            return result.spread(result.data * weights[:, None, :, :], True)
        heads = result.data.unflatten(1, (len(self.pipeline.stems), -1))
        return result.spread((heads * weights.transpose(1, 2)[:, :, None, :, None]).sum(1), True)

    def _loud(self, mixture: Tensor) -> Tensor:
        return (mixture.square().mean((1, 3), keepdim=True) / self.quiet).clamp(max=1)

    def _ordered(self, mixture: Tensor) -> Tensor:
        if not self.pipeline.parts_first:
            return mixture
        return mixture.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1, 2)

    def _restored(self, estimate: Tensor) -> Tensor:
        return estimate.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)

    def _magnitude(self, mixture: Tensor) -> Tensor:
        return mixture.unflatten(1, (-1, 2)).square().sum(2).clamp(min=1e-16).sqrt()

    def _both(self, magnitude: Tensor) -> Tensor:
        return magnitude.repeat_interleave(2, 1)

    def _phase(self, mixture: Tensor) -> Tensor:
        return mixture / self._both(self._magnitude(mixture))

    def metadata(self, name: str, architecture: str, training: Training) -> Metadata:
        """Return the metadata of the separator in the mode it was trained in, `safe`."""
        pipeline = self.pipeline
        # A network that sees one frame at a time runs at any hop; one with a memory only at its own.
        alone = not self.lookahead and not self._shapes and self.frames == 1
        return Metadata(
            name=name,
            architecture=architecture,
            stems=pipeline.stems,
            sample_rates=(pipeline.rate,),
            channels=pipeline.channels,
            n_fft=pipeline.n_fft,
            frames=self.frames,
            lookahead=self.lookahead,
            modes=any_hop(pipeline) if alone else {"safe": Mode(pipeline.hop, pipeline.n_fft, "hann")},
            training=training,
            chunk=getattr(self, "chunk", 0),
            ages=self.ages if any(age > 1 for age in self.ages) else (),
        )


def attended(network: nn.Module) -> list[Attended]:
    """Return the blocks of `network` that attend to latent instruments, in the order of the signal."""
    return [block for block in network.modules() if isinstance(block, Attended)]


def any_hop(pipeline: Pipeline) -> dict[str, Mode]:
    """Return the modes of a network without time: the hop it was trained at, and halves of it."""
    hops = {"safe": pipeline.hop, "low": pipeline.hop // 2, "lower": pipeline.hop // 4, "extreme": pipeline.hop // 8}
    # The first sample of a Hann window is zero and cannot be undone, so shorter synthesis windows leave it out.
    return {name: Mode(hop, hop * pipeline.n_fft // pipeline.hop, "hann") for name, hop in hops.items()}


def streams(network: nn.Module) -> bool:
    """Return whether `network` can stream exactly: whether none of its recurrences runs backwards."""
    return not any(isinstance(part, nn.RNNBase) and part.bidirectional for part in network.modules())


def separator_of(network: nn.Module, pipeline: Pipeline, chunk: int = 128) -> SpectrogramSeparator:
    """Return `network` as a separator: exactly streamed, or in chunks of `chunk` frames where it looks both ways."""
    return SpectrogramSeparator(network, pipeline) if streams(network) else ChunkedSeparator(network, pipeline, chunk)


class ChunkedSeparator(SpectrogramSeparator):
    """A network that needs the whole signal, run on chunks of it that overlap by half and are cross-faded.

    A call takes half a chunk, which is also the look-ahead. Not exact: a chunk knows nothing of the music
    around it.
    """

    def __init__(self, network: nn.Module, pipeline: Pipeline, chunk: int) -> None:
        super().__init__(network, pipeline)
        self.chunk = max(1, math.ceil(chunk / 2 / network.frames)) * network.frames * 2
        self.frames = self.lookahead = self.chunk // 2
        bins, entries = pipeline.n_fft // 2 + 1, 2 * pipeline.channels
        self.per_stem, self.ages = (False, True, True), (1, 1, 1)
        self._shapes = (
            torch.Size((1, entries, self.frames, bins)),
            torch.Size((1, 1, len(pipeline.stems))),
            torch.Size((1, entries, self.frames, bins)),
        )
        rise = (torch.arange(self.frames) + 0.5) / self.frames
        self.register_buffer("rise", rise[:, None], persistent=False)

    def forward(self, mixture: Tensor, condition: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return the estimate, and what the next call needs: this half of the chunk, its condition, and its tail."""
        before, held, tail = rest
        now = condition[:, None]
        chunk = torch.cat((before, mixture), 2)
        conditions = torch.cat([each.expand(-1, self.frames, -1) for each in (held, now)], 1)
        estimate = self.offline(chunk, conditions)
        head, rear = estimate[:, :, : self.frames], estimate[:, :, self.frames :]
        return head * self.rise + tail, mixture, now, rear * (1 - self.rise)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Fold every batch norm that follows a convolution into it, and weight norms into their weights.

    In place; returns `network`, in evaluation mode.
    """
    network.eval()
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
        if isinstance(module, nn.Sequential | Resampling):
            children = list(module.named_children())
            for (name, conv), (other, norm) in itertools.pairwise(children):
                if isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                    transposed = isinstance(conv, nn.ConvTranspose2d)
                    setattr(module, name, fuse_conv_bn_eval(conv, norm, transpose=transposed))
                    setattr(module, other, nn.Identity())
    return network
