"""Mixed precision: matrix products in bfloat16, recurrences in float32, for their errors add up over time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def keep_recurrences(network: nn.Module) -> None:
    """Let the recurrent layers of torch in `network` compute in float32 also where autocast is on.

    It is done to the modules themselves: copy a network before, not after.
    """
    for module in network.modules():
        if isinstance(module, nn.RNNBase):
            module.forward = _single(module.forward)


def _single(forward):
    def in_float32(x: Tensor, state: Any = None):
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float(), state)

    return in_float32
