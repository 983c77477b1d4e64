"""The DJ's equaliser isolator as a separator: three fixed bands, and nothing learnt."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.crossover import BANDS, band_gains
from realtime.latency import MODE_NAMES, Mode
from realtime.metadata import Metadata, Training

# Every window that the host offers falls as fast as it is overlapped: what a longer fall would gain in
# sharpness, the echo of a click that wraps around the frame loses many times over.
ISOLATOR = Metadata(
    name="isolator",
    architecture="three-band isolator",
    stems=BANDS,
    # The gains belong to bins: at 48 kHz the crossovers lie at 272 Hz and 2.72 kHz, a semitone and a half up.
    sample_rates=(44100, 48000),
    channels=2,
    n_fft=2048,
    frames=1,
    lookahead=0,
    modes={
        name: Mode(hop, 2 * hop, f"asymmetric-{hop}")
        for name, hop in zip(MODE_NAMES, (1024, 512, 256, 128), strict=True)
    },
    training=Training(data="none", licence="MIT"),
)


class Isolator(nn.Module):
    """estimate_s = sum_b condition_sb g_b(f) mixture, b being low, mid and high; float32, without state.

    The gains g of models.crossover sum to one, so that under one-hot conditions the stems sum to the mixture.
    mixture [1, 2*channels, frames, bins], condition [stems, 3] -> estimate [stems, 2*channels, frames, bins].
    """

    stem_states: tuple[bool, ...] = ()

    def __init__(self, rate: int = ISOLATOR.sample_rates[0], n_fft: int = ISOLATOR.n_fft) -> None:
        super().__init__()
        gains = band_gains(np.fft.rfftfreq(n_fft, 1 / rate))
        self.register_buffer("gains", torch.from_numpy(gains).float())

    def initial_states(self, stems: int) -> tuple[Tensor, ...]:
        """Return no states."""
        return ()

    def forward(self, mixture: Tensor, condition: Tensor) -> tuple[Tensor]:
        return ((condition @ self.gains)[:, None, None] * mixture,)
