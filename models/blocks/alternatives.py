"""The intermediate blocks of other systems, built from a U-Net's configuration.

Each builder takes the configuration, the channels that come in and the bins, and gives the block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from models.blocks.block import Block
from models.blocks.cbhg import GatedCbhg
from models.blocks.d3 import D3Block
from models.blocks.dense import Band, MultiBand
from models.blocks.dilated_gru import DilatedGruBlock
from models.blocks.ftb import AmplitudeStream
from realtime.errors import HostError

if TYPE_CHECKING:
    from models.configuration import UNetConfig


def _multi_band(config: UNetConfig, inputs: int, bins: int) -> Block:
    if len(config.band_growth) != len(config.band_layers) or len(config.band_growth) < 2:
        raise HostError(
            f"band_growth {config.band_growth} and band_layers {config.band_layers} must have as many entries as each "
            "other: one for every band, low to high, and a last one for the full band"
        )
    blocks = 2 * config.band_scales + 1
    units = config.units_lstm if config.block == "mmdenselstm" else 0
    *bands, full = (
        Band((growth,) * blocks, (layers,) * blocks, units=units)
        for growth, layers in zip(config.band_growth, config.band_layers, strict=True)
    )
    # Bands are put side by side along frequency, and so must end in the same number of channels.
    bands = [replace(band, growth=(*band.growth[:-1], bands[0].growth[-1])) for band in bands]
    kernel = (config.kernel_size_t, config.kernel_size_f)
    return MultiBand(
        inputs,
        config.internal_channels,
        bins,
        bands,
        full,
        kernel=kernel,
        bidirectional=config.bidirectional,
        act=config.activation,
    )


def _d3(config: UNetConfig, inputs: int, bins: int) -> Block:
    return D3Block(
        inputs,
        config.internal_channels,
        config.growth_rate,
        config.n_internal_layers,
        config.num_d2_blocks,
        (config.kernel_size_t, config.kernel_size_f),
        config.activation,
    )


def _ftb(config: UNetConfig, inputs: int, bins: int) -> Block:
    return AmplitudeStream(
        inputs,
        config.internal_channels,
        bins,
        config.attention_channels,
        config.attention_frames,
        act=config.activation,
    )


def _dilated_gru(config: UNetConfig, inputs: int, bins: int) -> Block:
    return DilatedGruBlock(
        inputs,
        config.internal_channels,
        bins,
        config.features,
        config.dilations,
        config.groups,
        config.bidirectional,
        config.activation,
    )


def _cbhg(config: UNetConfig, inputs: int, bins: int) -> Block:
    return GatedCbhg(
        inputs,
        config.internal_channels,
        bins,
        config.features,
        config.bank_size,
        config.num_highways,
        config.bidirectional,
        config.activation,
    )


ALTERNATIVES: dict[str, Callable[[UNetConfig, int, int], Block]] = {
    "mmdense": _multi_band,
    "mmdenselstm": _multi_band,
    "d3": _d3,
    "ftb": _ftb,
    "dilated_gru": _dilated_gru,
    "cbhg": _cbhg,
}
