"""A U-Net described by the published constructors' arguments, and the network such a description gives."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial

from models.blocks.alternatives import ALTERNATIVES
from models.blocks.block import Block
from models.blocks.tdc_rnn import TfcRnn
from models.blocks.tdf import Tdf, TdfBlock, hidden_size
from models.blocks.tfc import Tfc
from models.blocks.tfc_tdf import Lasaft, LightSaft, MuxTdf, TfcTdf
from models.condition import ConditionGenerator, Convolutional, Dense, Embedding
from models.modulation import Modulation
from models.unet import UNet
from realtime.errors import HostError

# TIC (time-independent convolution) is the first release's name of TDC; its one-dimensional kernels compute the same.
FRAME_BY_FRAME = ("tdc", "tic", "tdc_rnn", "tic_rnn")
BLOCKS = ("tfc", "tdf", "tfc_tdf", "tfc_rnn", *FRAME_BY_FRAME, "lasaft", "lightsaft", "mux", *ALTERNATIVES)
_NEEDING_CONDITION = ("lasaft", "lightsaft", "mux")


@dataclass(frozen=True)
class UNetConfig:
    """What shapes a U-Net. Names are the published ones; where two releases differ, the later.

    `block` is one of `BLOCKS`; `modulation` one of models.modulation.KINDS or None; `t_down_layers` lists
    the levels that halve time (None: all of them, except around TDC and TDF, which never do).
    `affine_tdf` says whether the norms inside TDF have an affine part: in the ISMIR 2020 release only
    with a bias.
    Of other systems' blocks: `growth_rate` and `num_d2_blocks` shape "d3", with `n_internal_layers` in each
    D2 block; `band_growth` and `band_layers`, a low to a high band and the full one, and `band_scales`, how
    often bins are halved inside the block, "mmdense" and "mmdenselstm", the latter with `units_lstm`;
    `attention_channels` and `attention_frames` "ftb"; `features` are those of a frame in "dilated_gru"
    (`dilations`, `groups`) and "cbhg" (`bank_size`, `num_highways`).
    """

    block: str
    n_fft: int = 2048
    n_blocks: int = 7
    input_channels: int = 4
    output_channels: int | None = None
    internal_channels: int = 24
    n_internal_layers: int = 5
    first_conv_activation: str = "relu"
    last_activation: str = "identity"
    t_down_layers: tuple[int, ...] | None = None
    kernel_size_t: int = 3
    kernel_size_f: int = 3
    activation: str = "relu"
    bn_factor: int | None = 16
    min_bn_units: int = 16
    bias: bool = False
    affine_tdf: bool = True
    bn_factor_rnn: int = 16
    min_bn_units_rnn: int = 16
    num_layers_rnn: int = 1
    bias_rnn: bool = True
    bidirectional: bool = True
    num_tdfs: int = 6
    dk: int = 32
    growth_rate: int = 12
    num_d2_blocks: int = 2
    band_growth: tuple[int, ...] = (16, 10, 6)
    band_layers: tuple[int, ...] = (4, 3, 2)
    band_scales: int = 3
    units_lstm: int = 128
    attention_channels: int = 5
    attention_frames: int = 9
    features: int = 128
    dilations: tuple[int, ...] = (1, 2, 4)
    groups: int = 4
    bank_size: int = 8
    num_highways: int = 4
    modulation: str | None = None
    condition_to: str = "decoder"
    control_type: str = "dense"
    control_n_layer: int = 4
    control_vector_type: str = "embedding"
    control_input_dim: int = 4
    embedding_dim: int = 32
    pocm_norm: str | None = "batch_norm"
    gamma_activation: str = "identity"
    beta_activation: str = "identity"

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise HostError(f"block '{self.block}' is not known; known are {', '.join(BLOCKS)}")
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is None and entry.type.endswith("None"):
                continue
            if entry.type.startswith("int") and (type(value) is not int or value < 1):
                raise HostError(f"{entry.name} is {value!r}, but must be a whole number of at least 1")
            if entry.type == "bool" and not isinstance(value, bool):
                raise HostError(f"{entry.name} is {value!r}, but must be true or false")
            if entry.type.startswith("str") and not isinstance(value, str):
                raise HostError(f"{entry.name} is {value!r}, but must be a name")
        if self.control_vector_type not in ("embedding", "one_hot_mode"):
            raise HostError(
                f"control_vector_type is '{self.control_vector_type}', but must be embedding or one_hot_mode"
            )
        if self.control_type not in ("dense", "cnn"):
            raise HostError(f"control_type is '{self.control_type}', but must be dense or cnn")
        if self.pocm_norm not in (None, "batch_norm"):
            raise HostError(f"pocm_norm is '{self.pocm_norm}', but must be batch_norm or nothing")
        if self.block == "lightsaft" and self.bn_factor is None:
            raise HostError("LightSAFT needs a bottleneck, but bn_factor is not given")

    @property
    def conditioned(self) -> bool:
        """Whether the network takes a condition."""
        return self.modulation is not None or self.block in _NEEDING_CONDITION

    @property
    def halving(self) -> frozenset[int]:
        """The levels at which time is halved."""
        if self.block in ("tdc", "tic", "tdf"):
            return frozenset()
        return frozenset(range(self.n_blocks // 2) if self.t_down_layers is None else self.t_down_layers)


def build(config: UNetConfig) -> UNet:
    """Return the network of `config`, untrained. Raises HostError where the description makes no sense."""
    embedding = generator = None
    if config.conditioned:
        width = config.control_input_dim
        one_hot = config.control_vector_type == "one_hot_mode"
        size = width if one_hot else config.embedding_dim
        embedding = Embedding(width, size, one_hot)
        if config.modulation is not None:
            generator = partial(_generator, config, size)
    return UNet(
        config.n_fft,
        config.n_blocks,
        config.input_channels,
        config.output_channels or config.input_channels,
        config.internal_channels,
        partial(_block, config),
        config.halving,
        config.first_conv_activation,
        config.last_activation,
        embedding,
        generator,
        config.condition_to,
        raw=config.block == "mux",
    )


def _generator(config: UNetConfig, size: int, layers: int) -> ConditionGenerator:
    dense = Dense(size, config.control_n_layer) if config.control_type == "dense" else Convolutional(size)
    modulation = Modulation(config.modulation, config.internal_channels)
    norm = config.modulation in ("pocm", "gpocm") and config.pocm_norm is not None
    return ConditionGenerator(dense, layers, modulation, norm, config.gamma_activation, config.beta_activation)


def _block(config: UNetConfig, inputs: int, bins: int) -> Block:
    if config.block in ALTERNATIVES:
        return ALTERNATIVES[config.block](config, inputs, bins)
    channels, act, hidden = (
        config.internal_channels,
        config.activation,
        hidden_size(bins, config.bn_factor, config.min_bn_units),
    )
    kernel = (1 if config.block in FRAME_BY_FRAME else config.kernel_size_t, config.kernel_size_f)
    tdf = partial(Tdf, bias=config.bias, act=act)
    if config.block == "tdf":
        return TdfBlock(inputs, channels, tdf(inputs, bins, bins, hidden, affine=config.affine_tdf))
    tfc = Tfc(inputs, channels, config.n_internal_layers, kernel, act)
    if config.block in ("tfc", "tdc", "tic"):
        return tfc
    if config.block == "tfc_tdf":
        return TfcTdf(tfc, tdf(channels, bins, bins, hidden, affine=config.affine_tdf))
    if config.block == "mux":
        hidden = hidden_size(bins * config.control_input_dim, config.bn_factor, config.min_bn_units)
        return MuxTdf(tfc, tdf(channels, bins, bins * config.control_input_dim, hidden), config.control_input_dim)
    if config.block.endswith("rnn"):
        units = max(bins // config.bn_factor_rnn, config.min_bn_units_rnn)
        back = units * (2 if config.bidirectional else 1)
        return TfcRnn(
            tfc,
            channels,
            bins,
            units,
            config.num_layers_rnn,
            config.bidirectional,
            config.bias_rnn,
            tdf(channels, back, bins, hidden_size(bins, config.bn_factor, 16)),
        )
    attended = Lasaft if config.block == "lasaft" else LightSaft
    size = config.control_input_dim if config.control_vector_type == "one_hot_mode" else config.embedding_dim
    return attended(
        tfc, channels, bins, config.bn_factor, config.min_bn_units, config.bias, act, size, config.num_tdfs, config.dk
    )
