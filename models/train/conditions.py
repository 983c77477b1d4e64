"""What is asked of the network in a batch: every stem by itself, and a blend that may change within the clip.

The trunk does not see the condition and the head keeps no state, so a switch reaches nothing that lasts: a
network whose state has never met a switch is not surprised by one. Blends are drawn anew for every batch, and
in half of them once more at a frame in the midst, so that the windows' overlap over a switch is trained as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.layout import STEMS

_SWITCHED = 0.5


def conditions_for(lanes: int, generator: torch.Generator) -> Tensor:
    """One-hot for every stem and one random blend a lane: [lanes, stems + 1, stems]."""
    count = len(STEMS)
    blend = torch.rand(lanes, 1, count, generator=generator)
    subset = torch.rand(lanes, 1, count, generator=generator) < 0.5
    switched = torch.rand(lanes, 1, 1, generator=generator) < 0.5
    blend = torch.where(switched, subset.float(), blend * (subset | (blend > 0.7)))
    return torch.cat([torch.eye(count).expand(lanes, count, count), blend], 1)


@dataclass
class Wishes:
    """Conditions of a clip in pieces: `pieces` of [lanes, queries, stems], each up to the frame in `ends`."""

    pieces: list[Tensor]
    ends: list[int]

    @classmethod
    def drawn(cls, lanes: int, frames: int, generator: torch.Generator) -> Wishes:
        """Return wishes for a clip of `frames`, at times switched within."""
        pieces, ends = [conditions_for(lanes, generator)], [frames]
        if frames > 1 and torch.rand((), generator=generator) < _SWITCHED:
            pieces.append(conditions_for(lanes, generator))
            ends.insert(0, int(torch.randint(1, frames, (), generator=generator)))
        return cls(pieces, ends)

    def spans(self) -> list[tuple[Tensor, int, int]]:
        """Return every piece with the frames from and up to which it holds."""
        return list(zip(self.pieces, [0, *self.ends[:-1]], self.ends, strict=True))

    def over(self, answer: Callable[[Tensor, Tensor], Tensor], values: Tensor) -> Tensor:
        """Return what `answer` makes of `values` [lanes, frames, ...] under these conditions, [lanes, frames, ...].

        It is given the values of every piece with its condition [lanes, 1, queries, stems].
        """
        found = [answer(values[:, start:end], piece.unsqueeze(1)) for piece, start, end in self.spans()]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    def by_frame(self) -> Tensor:
        """Return the condition of every frame, [lanes, frames or 1, queries, stems]."""
        if len(self.pieces) == 1:
            return self.pieces[0].unsqueeze(1)
        return torch.cat([piece.unsqueeze(1).expand(-1, end - start, -1, -1) for piece, start, end in self.spans()], 1)

    def to(self, device: torch.device) -> Wishes:
        """Return the same on another device."""
        return Wishes([piece.to(device, non_blocking=True) for piece in self.pieces], self.ends)
