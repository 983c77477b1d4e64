"""Condition generators: from the condition vector to the parameters of a modulation at every layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.blocks.block import activation
from models.frames import Condition, Frames
from models.modulation import Modulation
from realtime.errors import HostError


class Dense(nn.Module):
    """Fully connected layers that double the width: [rows, size] -> [rows, size * 2^(layers - 1)].

    ReLU after each; dropout and batch norm after all but the first. Source: published LaSAFT code, after
    the dense generator of Meseguer-Brocal and Peeters 2019.
    """

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.linear = nn.Sequential()
        for index in range(layers - 1):
            outputs = size * 2 ** (index + 1)
            self.linear.extend([nn.Linear(size * 2**index, outputs), nn.ReLU()])
            if index:
                self.linear.extend([nn.Dropout(), nn.BatchNorm1d(outputs)])
        self.outputs = size * 2 ** (layers - 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Convolutional(nn.Module):
    """One-dimensional convolutions over the condition: [rows, size] -> [rows, outputs].

    Three layers of 16, 32 and 64 channels, kernels 10, 6 and 4, the last over what is left; ReLU, dropout
    and batch norm after each. Source: the CNN generator of Meseguer-Brocal and Peeters, "Conditioned-U-Net",
    ISMIR 2019, whose kernels are cut to the length of a short condition.
    """

    def __init__(
        self, size: int, channels: tuple[int, ...] = (16, 32, 64), kernels: tuple[int, ...] = (10, 6, 4)
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        inputs = 1
        for index, (outputs, kernel) in enumerate(zip(channels, kernels, strict=True)):
            last = index == len(channels) - 1
            conv = nn.Conv1d(inputs, outputs, size if last else min(kernel, size), padding=0 if last else "same")
            self.layers.extend([conv, nn.ReLU(), nn.Dropout(), nn.BatchNorm1d(outputs)])
            inputs = outputs
        self.outputs = inputs

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.unsqueeze(1)).squeeze(-1)


class Layers(nn.Sequential):
    """One linear map for all modulated layers, of which each uses its own rows: code -> [layers * size].

    Followed by `act` and, with `norm`, by a batch norm without affine part (published for PoCM).
    """

    def __init__(self, code: int, layers: int, size: int, act: str, norm: bool) -> None:
        super().__init__(nn.Linear(code, layers * size), activation(act))
        if norm:
            self.append(nn.BatchNorm1d(layers * size, affine=False))
        self.size = size

    def of(self, layer: int, code: Tensor) -> Tensor:
        """Return [rows, size] for `layer` of `code` [rows, size of the code]."""
        rows = slice(layer * self.size, (layer + 1) * self.size)
        if isinstance(self[1], nn.Softmax):  # published as one over the values of all layers
            value = self[1](self[0](code))[:, rows]
        else:
            value = self[1](functional.linear(code, self[0].weight[rows], self[0].bias[rows]))
        if len(self) == 2:
            return value
        norm = self[2]
        mean, variance = norm.running_mean[rows], norm.running_var[rows]
        return functional.batch_norm(
            value, mean, variance, training=self.training, momentum=norm.momentum, eps=norm.eps
        )


class ConditionGenerator(nn.Module):
    """Weights and offsets of a `modulation` for `layers` layers, made from the embedding of the condition."""

    def __init__(
        self, dense: Dense | Convolutional, layers: int, modulation: Modulation, norm: bool, gamma: str, beta: str
    ) -> None:
        super().__init__()
        self.dense_control_block, self.modulation = dense, modulation
        self.linear_gamma = Layers(dense.outputs, layers, modulation.weights, gamma, norm)
        self.linear_beta = Layers(dense.outputs, layers, modulation.offsets, beta, norm)

    def code(self, embedding: Tensor) -> Tensor:
        """Return [..., code] of the embedding [..., size]."""
        code = self.dense_control_block(embedding.reshape(-1, embedding.shape[-1]))
        return code.reshape(*embedding.shape[:-1], code.shape[-1])

    def modulate(self, x: Frames, layer: int, code: Condition) -> Frames:
        """Return `x` modulated as `layer` is to be under `code`."""
        at = code.at(x)
        flat = at.reshape(-1, at.shape[-1])
        weights = self.linear_gamma.of(layer, flat).reshape(*at.shape[:2], -1)
        offsets = self.linear_beta.of(layer, flat).reshape(*at.shape[:2], -1)
        return x.spread(self.modulation(x.data, weights, offsets), True)


class Embedding(nn.Module):
    """A learnt vector per stem, blended by the condition: [..., width] -> [..., size]."""

    def __init__(self, width: int, size: int, one_hot: bool = False) -> None:
        super().__init__()
        if one_hot and size != width:
            raise HostError(
                f"a one-hot condition of {width} stems cannot be embedded in {size} numbers; embedding_dim must be {width}"
            )
        self.weight = nn.Parameter(torch.eye(width) if one_hot else torch.randn(width, size))

    def forward(self, condition: Tensor) -> Tensor:
        return condition @ self.weight
