"""Spectrograms of a validation excerpt: the mixture, its stems, and what the network makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from models.bandloss import band_sums
from models.data.layout import STEMS
from models.data.recordings import RATE
from models.live_network import LiveNetwork
from models.train.scores import spectra_of
from models.train.windows import HOP

FOLDER = "pictures"
_RANGE = 80.0
_ROWS = 200
_LOWEST, _HIGHEST = 40.0, 16000.0


@torch.no_grad()
def estimates(network: LiveNetwork, stems: torch.Tensor) -> torch.Tensor:
    """Return the stems' estimates, complex64 like `stems` [stems, channels, frames, bins]."""
    network.eval()
    condition = torch.eye(len(STEMS))[None]
    flat = torch.ones(1, len(STEMS), stems.shape[-1])
    _, powers = band_sums(torch.view_as_real(stems)[None], flat, condition, network.bands.edges)
    values, _ = network.trunk(network.scaled(powers), network.begin(1))
    logits = network.head.logits(values, condition.unsqueeze(1))[0].permute(2, 1, 3, 0, 4)
    gain, turn = torch.sigmoid(logits[0]), 0.5 * torch.tanh(logits[1])
    mask = torch.complex(network.bands.spread(gain), network.bands.spread(turn))
    return mask * stems.sum(0)


def draw(network: LiveNetwork, excerpt: dict[str, np.ndarray], folder: Path, step: int) -> Path:
    """Write the picture of `excerpt` at `step`; return the file. Raises ImportError where matplotlib is missing."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    stems = spectra_of(excerpt, network.config.n_fft)
    found = estimates(network, stems)
    places = np.geomspace(_LOWEST, _HIGHEST, _ROWS)
    bins = np.round(places * network.config.n_fft / RATE).astype(int)
    pictures = [stems.sum(0), *stems, stems.sum(0) - found.sum(0), *found]
    loudest = float(stems.sum(0).abs().square().mean(0).max())
    figure = Figure(figsize=(15, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 1 + len(STEMS), sharex=True, sharey=True)
    titles = ["mixture", *STEMS, "left over", *(f"{stem}, estimated" for stem in STEMS)]
    for axis, spectrum, title in zip(axes.flat, pictures, titles, strict=True):
        power = spectrum.abs().square().mean(0).numpy()[:, bins].T / max(loudest, 1e-12)
        extent = (0, spectrum.shape[1] * HOP / RATE, 0, _ROWS)
        level = 10 * np.log10(power + 1e-12)
        axis.imshow(level, origin="lower", aspect="auto", vmin=-_RANGE, vmax=0, cmap="magma", extent=extent)
        axis.set_title(title)
    marks = [100, 300, 1000, 3000, 10000]
    axes[0, 0].set_yticks(np.interp(np.log(marks), np.log(places), np.arange(_ROWS)), [f"{m} Hz" for m in marks])
    for axis in axes[1]:
        axis.set_xlabel("seconds")
    path = folder / FOLDER / f"step-{step:07d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)
    return path
