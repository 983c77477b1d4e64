"""Frequency bins gathered into bands, and bands spread over bins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Bands(nn.Module):
    """Frequency bins <-> bands: full resolution where the ear has it, averages above."""

    def __init__(self, bands: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.bands = tuple((int(w), int(c)) for w, c in bands)
        self.count = sum(c for _, c in self.bands)
        member = torch.cat([torch.arange(c).repeat_interleave(w) for w, c in self.bands])
        offset, parts, start = 0, [], 0
        for width, count in self.bands:
            parts.append(member[start : start + width * count] + offset)
            start, offset = start + width * count, offset + count
        widths = [w for w, c in self.bands for _ in range(c)]
        self.edges = np.concatenate([[0], np.cumsum(widths)])
        self.register_buffer("widths", torch.tensor(widths, dtype=torch.float32), persistent=False)
        # The Nyquist bin follows the last band.
        self.register_buffer("member", torch.cat([*parts, torch.tensor([self.count - 1])]), persistent=False)

    def gather(self, power: Tensor) -> Tensor:
        """[..., bins] -> [..., bands]: mean over each band's bins; the Nyquist bin is left out."""
        parts, start = [], 0
        for width, count in self.bands:
            part = power[..., start : start + width * count]
            parts.append(part.unflatten(-1, (count, width)).mean(-1) if width > 1 else part)
            start += width * count
        return torch.cat(parts, -1)

    def spread(self, values: Tensor) -> Tensor:
        """[..., bands] -> [..., bins]."""
        return torch.index_select(values, -1, self.member)
