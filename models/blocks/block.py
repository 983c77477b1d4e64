"""What every intermediate block is, and the activations that blocks choose from by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import nn

from models.frames import Condition, Frames
from realtime.errors import HostError

Modulate = Callable[[Frames], Frames]

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": lambda: nn.Softmax(1),
    "identity": nn.Identity,
}


class Block(Protocol):
    """[batch, inputs, frames, bins] -> [batch, channels, frames, bins]."""

    def __call__(self, x: Frames, modulate: Modulate, embedding: Condition | None) -> Frames: ...


def unmodulated(x: Frames) -> Frames:
    """Return `x` as it is."""
    return x


def activation(name: str) -> nn.Module:
    """Return the activation called `name` by the published code; raise HostError for another name."""
    if name not in _ACTIVATIONS:
        raise HostError(f"activation '{name}' is not known; known are {', '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]()


def odd(name: str, kernel: int) -> int:
    """Return `kernel`, which must be odd for a convolution that keeps its size; raise HostError where it is not."""
    if kernel < 1 or kernel % 2 == 0:
        raise HostError(
            f"{name} is {kernel}, but a convolution that keeps the number of frames and bins needs an odd one"
        )
    return kernel
