"""Quick scores for watching a training; published figures come from models.evaluate."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.bandloss import band_sums, mask_loss
from models.data.layout import STEMS
from models.live_network import LiveNetwork
from models.train.windows import ANALYSIS, HOP
from realtime.windows import analysis_window

_EQUAL = 0.05


def spectra_of(excerpt: dict[str, np.ndarray], n_fft: int) -> Tensor:
    """Return the spectra of the stems, complex64 [stems, channels, frames, bins]."""
    window = torch.from_numpy(analysis_window(ANALYSIS, n_fft)).float()
    audio = torch.stack([torch.from_numpy(excerpt[stem]).float().T for stem in STEMS])
    return torch.fft.rfft(audio.unfold(-1, n_fft, HOP) * window)


def equally_loud(excerpt: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the excerpt with all its stems at one RMS: a stem that is hard to hear is not a hard one to separate."""
    return {stem: audio * (_EQUAL / max(float(np.sqrt(np.mean(audio**2))), 1e-9)) for stem, audio in excerpt.items()}


@torch.no_grad()
def quick_scores(network: LiveNetwork, excerpts: list[dict[str, np.ndarray]]) -> list[float]:
    """Return the median SDR of spectra, in dB, of every stem; the network is on the CPU."""
    network.eval()
    rows = []
    condition = torch.eye(len(STEMS))[None]
    for excerpt in excerpts:
        stems = torch.view_as_real(spectra_of(excerpt, network.config.n_fft))[None]
        flat = torch.ones(1, len(STEMS), stems.shape[-2])
        sums, powers = band_sums(stems, flat, condition, network.bands.edges)
        values, _ = network.trunk(network.scaled(powers), network.begin(1))
        rows.append(mask_loss(network.head.logits(values, condition.unsqueeze(1)), sums, powers)[1][0])
    return torch.stack(rows).nanmedian(0).values.tolist()
