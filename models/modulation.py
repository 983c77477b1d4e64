"""How a condition changes features: FiLM, PoCM and GPoCM.

Each takes features X [B, C, T, F] and, for every frame or for all, what a condition generator made:
weights [B, 1 or T, weights] and offsets [B, 1 or T, offsets].
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from realtime.errors import HostError

KINDS = ("film", "film_simple", "pocm", "gpocm")


@dataclass(frozen=True)
class Modulation:
    """A modulation of one of `KINDS`, of `channels` channels.

    film: gamma_c X_c + beta_c (Meseguer-Brocal and Peeters 2019, "complex"); film_simple: the same with one
    gamma and one beta for all channels ("simple"); pocm: sum_j w_cj X_j + beta_c; gpocm:
    sigmoid(PoCM(X)) * X (Choi et al. 2021).
    """

    kind: str
    channels: int

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise HostError(f"modulation '{self.kind}' is not known; known are {', '.join(KINDS)}")

    @property
    def weights(self) -> int:
        """How many weights a layer needs."""
        return {"film": self.channels, "film_simple": 1}.get(self.kind, self.channels**2)

    @property
    def offsets(self) -> int:
        """How many offsets a layer needs."""
        return 1 if self.kind == "film_simple" else self.channels

    def __call__(self, x: Tensor, weights: Tensor, offsets: Tensor) -> Tensor:
        beta = offsets.transpose(1, 2).unsqueeze(-1)
        if self.kind in ("film", "film_simple"):
            return weights.transpose(1, 2).unsqueeze(-1) * x + beta
        mixed = self._mixed(x, weights) + beta
        return mixed.sigmoid() * x if self.kind == "gpocm" else mixed

    def _mixed(self, x: Tensor, weights: Tensor) -> Tensor:
        # The published matrix multiplies from the right: rows are the channels that come in.
        matrix = weights.unflatten(-1, (self.channels, self.channels)).transpose(-1, -2)
        if matrix.shape[1] == 1:
            return (matrix[:, 0] @ x.flatten(2)).unflatten(-1, x.shape[2:])
        return (matrix @ x.transpose(1, 2)).transpose(1, 2)
