"""From frequency to frequency: what the frequency transformations of a network do, as matrices.

A TDF's two linear layers are one matrix where every hidden unit is active: W2 W1, times the scales of the norms
behind them. The slides show these weights as pictures: harmonics stand in them as lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.blocks.tdf import Tdf, TdfBlock
from models.blocks.tfc_tdf import Lasaft, LightSaft, MuxTdf, TfcTdf
from models.live_network import LiveNetwork
from models.train import ANALYSIS, HOP
from realtime.demo import demo_song
from realtime.windows import analysis_window

_ALL_SOUND, _SONG_RATE = 7.8, 44100  # seconds into the demo song, and its rate
_PAST = 40  # frames by which a GRU has found its state


@dataclass(frozen=True)
class FrequencyMatrix:
    """What `layer`, or one `source` in it, makes of frequencies: `values` [outputs, inputs], `edges` [inputs + 1] in Hz."""

    layer: str
    source: str
    values: np.ndarray
    edges: np.ndarray


def unet_matrices(network: nn.Module, rate: int) -> list[FrequencyMatrix]:
    """Return the matrix of every frequency transformation of a U-Net, for LaSAFT one a latent instrument.

    Values are root mean squares over the channels, which differ only in the norms' scales. A level of the
    U-Net divides the range up to half of `rate` Hz among as many bins as it has.
    """
    found = []
    for name, block in network.named_modules():
        matrices, sources = _of_block(block)
        for index, values in enumerate(matrices):
            source = f"{sources} {index + 1}" if sources else ""
            edges = np.linspace(0, rate / 2, values.shape[1] + 1)
            found.append(FrequencyMatrix(_title(name), source, values.numpy(), edges))
    return found


@torch.no_grad()
def _of_block(block: nn.Module) -> tuple[list[Tensor], str]:
    """Return the matrices [outputs, inputs] of a block, and what they belong to one each; none of other modules."""
    if isinstance(block, TdfBlock):
        return _of_tdf(block.body[0], 1), ""
    if isinstance(block, TfcTdf):
        return _of_tdf(block.tdf, 1), ""
    if isinstance(block, MuxTdf):
        return _of_tdf(block.tdfs, block.instruments), "instrument"
    if isinstance(block, Lasaft):
        return _of_tdf(block.tdfs, block.latents), "latent"
    if isinstance(block, LightSaft):
        first, norm, *_ = block.LaSAFT_bn_layer
        second, last, *_ = block.LaSIFT
        scale = _scale(norm, last)
        return [scale * second.weight @ weight for weight in first.weight.unflatten(0, (block.latents, -1))], "latent"
    return [], ""


def _of_tdf(tdf: Tdf, sources: int) -> list[Tensor]:
    """Return the matrix of each of `sources`, which are interleaved in what the last layer gives."""
    layers = [layer for layer in tdf.tdf if isinstance(layer, nn.Linear)]
    scale = _scale(*(layer for layer in tdf.tdf if isinstance(layer, nn.BatchNorm2d)))
    weights = layers[-1].weight.unflatten(0, (-1, sources)).unbind(1)
    return [scale * (weight @ layers[0].weight if len(layers) == 2 else weight) for weight in weights]


def _scale(*norms: nn.BatchNorm2d) -> Tensor:
    """Return the root mean square over the channels of what all `norms` together multiply by."""
    product = torch.ones(())
    for norm in norms:
        product = product * (1 if norm.weight is None else norm.weight) / (norm.running_var + norm.eps).sqrt()
    return product.square().mean().sqrt()


def _title(name: str) -> str:
    """Return "encoder 1" for the block called "encoders.0"."""
    part, _, index = name.partition(".")
    return "middle" if part == "mid_block" else f"{part.removesuffix('s')} {int(index) + 1}"


def live_tdfs(model: LiveNetwork) -> list[FrequencyMatrix]:
    """Return the TDFs of a live network's trunk as seen from its bands: see LiveNetwork.tdfs_by_bands."""
    edges = band_edges(model)
    return [FrequencyMatrix(f"TDF {i + 1}", "", tdf.numpy(), edges) for i, tdf in enumerate(model.tdfs_by_bands())]


def live_masks(
    model: LiveNetwork, stems: tuple[str, ...], cells: np.ndarray, moments: int = 48
) -> list[FrequencyMatrix]:
    """Return for every stem how LaSAFT-Live's mask answers to the music, between `cells` [n + 1] in Hz.

    The source is the latent one that the stem attends to most, with its share.
    Values are d logit(gain) / d ln(power), averaged over `moments` of the demo song and both channels: how
    much further the mask at one frequency opens where the input at another is louder. Non-linear parts
    are taken as they are at those moments; the mask is the network's own, before its share of the static one.
    """
    past, now = _heard(model, moments)
    share = torch.from_numpy(overlaps(cells, band_edges(model))).to(past)
    sums = share / torch.from_numpy(np.diff(band_edges(model))).to(past)
    means = share / share.sum(1, keepdim=True)
    with torch.no_grad():
        _, state = model.trunk(past, model.begin(moments).to(past))
    now.requires_grad_()
    values, _ = model.trunk(now, state)
    found = []
    for index, stem in enumerate(stems):
        condition = torch.eye(len(stems)).to(past)[index].expand(moments, 1, 1, -1)
        gains = model.head.logits(values, condition)[:, 0, 0, 0].mean(1) @ means.T
        rows = [torch.autograd.grad(gain.sum(), now, retain_graph=True)[0] for gain in gains.unbind(1)]
        answers = torch.stack(rows).unflatten(-1, (3, -1)).sum(-2)[:, :, 0].mean(1) @ sums.T
        shares = model.attention(condition[:1, 0, 0])[0, 0]
        source = f"{shares.max():.0%} source {shares.argmax() + 1}".replace("%", " %")
        found.append(FrequencyMatrix(stem, source, answers.numpy(), cells))
    return found


@torch.no_grad()
def _heard(model: LiveNetwork, moments: int) -> tuple[Tensor, Tensor]:
    """Return the features of the demo song at `moments`, and of the frames before: [moments, frames, 3 bands]."""
    n_fft, frames = model.config.n_fft, _PAST + 4 * moments
    begin = round(_ALL_SOUND * _SONG_RATE)
    length = n_fft + HOP * (frames - 1)
    song = demo_song(_ALL_SOUND + length / _SONG_RATE + 1).mixture[begin : begin + length]
    pieces = torch.from_numpy(song.T.copy()).float().unfold(-1, n_fft, HOP)
    spectra = torch.view_as_real(torch.fft.rfft(pieces * torch.from_numpy(analysis_window(ANALYSIS, n_fft)).float()))
    features = model.features(spectra.permute(0, 3, 1, 2).flatten(0, 1)[None])[0]
    runs = features.unfold(0, _PAST + 1, 4)[:moments].transpose(1, 2)
    return runs[:, :-1], runs[:, -1:].clone()


def band_edges(model: LiveNetwork) -> np.ndarray:
    """Return where LaSAFT-Live's bands begin and end, in Hz."""
    return model.bands.edges * _SONG_RATE / model.config.n_fft


def overlaps(cells: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return [cells, bins]: by how many Hz each cell and each bin overlap."""
    highest, lowest = np.minimum(cells[1:, None], edges[1:]), np.maximum(cells[:-1, None], edges[:-1])
    return np.clip(highest - lowest, 0, None)
