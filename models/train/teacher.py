"""A trained network as the teacher of a smaller one: what it would let be heard takes the place of the stems."""

from __future__ import annotations

import torch
from torch import Tensor

from models.live_network import LiveNetwork
from models.train.batches import Batch
from realtime.errors import HostError


class Teacher:
    """Answers batches whose lanes run on, for a `pupil` that sees the same bands; `state` is [layers, lanes, units]."""

    def __init__(self, network: LiveNetwork, pupil: LiveNetwork, lanes: int) -> None:
        for name in ("n_fft", "channels", "stems", "bands"):
            if getattr(network.config, name) != getattr(pupil.config, name):
                raise HostError(f"the teacher has other {name} than the network to be trained; training has not begun")
        self.network = network.eval().requires_grad_(False)
        self.state = network.begin(lanes)

    def to(self, device: torch.device) -> None:
        """Move network and state."""
        self.network.to(device)
        self.state = self.state.to(device)

    @torch.no_grad()
    def sums(self, batch: Batch, kept: Tensor) -> Tensor:
        """Return the band sums of the teacher's estimates, in place of the batch's; lanes not `kept` begin anew.

        Of a mask m = g + j h on the mixture X: |m X|^2, and conj(X) m X by its parts.
        """
        state = self.state * kept.view([1, -1] + [1] * (self.state.dim() - 2)).to(self.state.device)
        values, self.state = self.network.trunk(self.network.scaled(batch.powers), state)
        gain, turn = batch.wishes.over(self._answer, values).unbind(2)
        power = torch.as_tensor(batch.powers).to(gain.device)[:, :, None, :2]
        return torch.stack([(gain.square() + turn.square()) * power, gain * power, turn * power])

    def _answer(self, values: Tensor, condition: Tensor) -> Tensor:
        return torch.stack(self.network.mask(values, condition)).permute(1, 4, 0, 2, 3, 5)
