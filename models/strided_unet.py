"""The fully two-dimensional U-Net for singing voice, and the Conditioned-U-Net made of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.condition import Condition
from models.frames import Frames, joined
from models.modulation import KINDS, Modulation
from models.unet import PLACES, Resampling
from realtime.errors import HostError

GENERATORS = ("dense", "cnn")
# The decoder's first layers, of which half is dropped (Jansson et al.; in the released C-U-Net the second to fourth).
_DROPPED = 3
# Published units of the condition's layers, by generator and by whether a layer has one gamma or one per channel.
# The release names 128 and 256 for the second dense layer of the latter; with 128 the network has 12.0 M numbers.
_UNITS = {
    ("dense", True): (16, 64, 256),
    ("dense", False): (16, 128, 1024),
    ("cnn", True): (16, 32, 64),
    ("cnn", False): (32, 64, 256),
}


@dataclass(frozen=True)
class StridedUNetConfig:
    """What shapes a strided U-Net. As it stands: Jansson et al. 2017; with `modulation` film_simple or film: C-U-Net.

    `n_layers` strided convolutions, the first to `channels` and every other to twice as many; `kernel_size`
    both ways; `output_channels` masks at once. `modulation` is one of models.modulation.KINDS or None, at the
    layers of `condition_to`; `control_units` of the generator `control_type` are by default those published
    for it. Both papers: mono at 8192 Hz, n_fft 1024, hop 768, magnitudes brought to 0..1 over the whole song,
    trained on 128 frames at a time. Raises HostError where the description makes no sense.
    """

    n_fft: int = 1024
    n_layers: int = 6
    channels: int = 16
    kernel_size: int = 5
    input_channels: int = 1
    output_channels: int = 1
    modulation: str | None = None
    condition_to: str = "encoder"
    control_type: str = "dense"
    control_input_dim: int = 4
    control_units: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("n_fft", "n_layers", "channels", "kernel_size", "input_channels", "output_channels"):
            _whole(name, getattr(self, name), 1)
        for name, value, known in (
            ("modulation", self.modulation, (None, *KINDS)),
            ("condition_to", self.condition_to, PLACES),
            ("control_type", self.control_type, GENERATORS),
        ):
            if value not in known:
                allowed = ", ".join("nothing" if entry is None else entry for entry in known)
                raise HostError(f"{name} is {value!r}, but must be one of: {allowed}")
        if self.kernel_size < 3 or self.kernel_size % 2 == 0:
            raise HostError(f"kernel_size is {self.kernel_size}, but a strided layer needs an odd one of at least 3")
        if self.n_fft % 2 or (self.n_fft // 2) % 2**self.n_layers:
            raise HostError(
                f"{self.n_layers} layers halve the frequencies {self.n_layers} times, which n_fft {self.n_fft} does not "
                f"allow; it must be a multiple of {2 ** (self.n_layers + 1)}"
            )
        if self.modulation is None and self.control_units is not None:
            raise HostError("control_units are given, but without a modulation there is no condition to use them for")
        _whole("control_input_dim", self.control_input_dim, 1)
        if self.control_units is not None and not self.control_units:
            raise HostError("control_units is empty, but a condition goes through at least one layer")
        for units in self.control_units or ():
            _whole("an entry of control_units", units, 1)

    @property
    def units(self) -> tuple[int, ...]:
        """Units of the condition's layers."""
        return self.control_units or _UNITS[self.control_type, self.modulation == "film_simple"]

    @property
    def sizes(self) -> list[int]:
        """Channels after every layer, the encoder's and then the decoder's."""
        encoder = [self.channels * 2**layer for layer in range(self.n_layers)]
        return [*encoder, *reversed(encoder[:-1]), self.output_channels]


def _whole(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise HostError(f"{name} is {value!r}, but must be a whole number of at least {least}")


class ControlLayers(nn.Sequential):
    """Layers over the condition: [rows, width] -> [rows, units[-1]].

    "dense": fully connected. "cnn": convolutions over its entries, kernels as long as it is, padded but for
    the last. ReLU after each; dropout and batch norm after all but the first. Source: released C-U-Net code.
    """

    def __init__(self, kind: str, width: int, units: Sequence[int]) -> None:
        super().__init__()
        if kind == "cnn":
            self.append(nn.Unflatten(1, (1, width)))
        inputs = [1 if kind == "cnn" else width, *units]
        for index, (size, following) in enumerate(itertools.pairwise(inputs)):
            if kind == "cnn":
                padding = 0 if index == len(units) - 1 else "same"
                self.append(nn.Conv1d(size, following, width, padding=padding))
            else:
                self.append(nn.Linear(size, following))
            self.append(nn.ReLU())
            if index:
                self.extend([nn.Dropout(), nn.BatchNorm1d(following)])
        if kind == "cnn":
            self.append(nn.Flatten())


class StridedUNet(nn.Module):
    """Masks for magnitudes: [B, inputs, T, n_fft/2 + 1] -> [B, outputs, T, n_fft/2 + 1], in 0..1; T a multiple of `frames`.

    Encoder e_i = lrelu(m(norm(conv(e_(i-1))))), stride 2 both ways, leak 0.2; decoder
    d_i = relu(drop(m(norm(tconv([d_(i-1), e_(n-i)]))))), the first without a skip, half dropped in the first
    three, and a sigmoid in the place of the last ReLU; m is the modulation of the condition, if there is one.
    Convolutions are centred on the first of every two frames and bins. The highest bin, at half the sampling
    rate, is left out, so that the rest can be halved, and takes its neighbour's mask, much as in the released
    C-U-Net. Sources: Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR
    2017; Meseguer-Brocal and Peeters, "Conditioned-U-Net: introducing a control mechanism in the U-Net for
    multiple source separations", ISMIR 2019, which conditions the encoder.
    """

    def __init__(self, config: StridedUNetConfig) -> None:
        super().__init__()
        self.config = config
        layers, kernel = config.n_layers, config.kernel_size
        self.frames = 2**layers
        self.width = config.control_input_dim if config.modulation else 0
        sizes = config.sizes
        inputs = [config.input_channels, *sizes[: layers - 1]]
        # Skips double what the decoder's layers take, but for the first.
        inputs += [sizes[layers - 1], *(2 * size for size in sizes[layers:-1])]
        self.encoders = nn.ModuleList(
            Resampling(nn.Conv2d(size, following, kernel, stride=2, padding=kernel // 2))
            for size, following in zip(inputs[:layers], sizes[:layers], strict=True)
        )
        self.decoders = nn.ModuleList(
            Resampling(nn.ConvTranspose2d(size, following, kernel, 2, kernel // 2, output_padding=1))
            for size, following in zip(inputs[layers:], sizes[layers:], strict=True)
        )
        self.activations = nn.ModuleList(nn.LeakyReLU(0.2) for _ in self.encoders)
        for layer in range(layers - 1):
            self.activations.append(nn.Sequential(nn.Dropout(), nn.ReLU()) if layer < _DROPPED else nn.ReLU())
        self.activations.append(nn.Sigmoid())
        self.modulations: dict[int, Modulation] = {}
        if config.modulation is None:
            return
        places = {"encoder": range(layers), "decoder": range(layers, 2 * layers), "full": range(2 * layers)}
        self.modulations = {layer: Modulation(config.modulation, sizes[layer]) for layer in places[config.condition_to]}
        self.control = ControlLayers(config.control_type, self.width, config.units)
        self.gammas, self.betas = nn.ModuleDict(), nn.ModuleDict()
        for layer, modulation in self.modulations.items():
            self.gammas[str(layer)] = nn.Linear(config.units[-1], modulation.weights)
            self.betas[str(layer)] = nn.Linear(config.units[-1], modulation.offsets)

    def forward(self, spectrum: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the masks for a whole signal under `condition` [B, width], or [B, T, width] with one for every frame."""
        return self.run(Frames(spectrum), condition).data

    def run(self, x: Frames, condition: Tensor | None = None) -> Frames:
        """Return the masks for frames, of a whole signal or of a stream, under the conditions of this call."""
        code = self._code(condition, x)
        x = x.each(lambda data: data[..., :-1])
        skips = []
        for layer, (resampling, activation) in enumerate(
            zip([*self.encoders, *self.decoders], self.activations, strict=True)
        ):
            if layer > len(self.encoders):
                x = joined(x, skips.pop())
            x = self._modulated(layer, resampling(x), code).each(activation)
            if layer < len(self.encoders) - 1:
                skips.append(x)
        return x.each(lambda data: torch.cat((data, data[..., -1:]), -1))

    def _modulated(self, layer: int, x: Frames, code: Condition | None) -> Frames:
        if code is None or layer not in self.modulations:
            return x
        at, key = code.at(x), str(layer)
        return x.spread(self.modulations[layer](x.data, self.gammas[key](at), self.betas[key](at)), True)

    def _code(self, condition: Tensor | None, x: Frames) -> Condition | None:
        if not self.width:
            return None
        if condition is None or condition.shape[-1] != self.width:
            found = "none" if condition is None else f"one of {condition.shape[-1]} entries"
            raise HostError(f"this network wants a condition of {self.width} entries and was given {found}")
        code = self.control(condition.reshape(-1, self.width))
        return Condition(code.reshape(*condition.shape[:-1], -1), x.stream)


def build_strided(config: StridedUNetConfig) -> StridedUNet:
    """Return the network of `config`, untrained."""
    return StridedUNet(config)
