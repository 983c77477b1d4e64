"""The systems of the slides, each with its paper's hyper-parameters.

A system is a network's description and the spectrogram pipeline around it. `reduced` gives the same
system small, for tests. Of most systems there are no weights here: `network_of` returns them untrained.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from torch import nn

from models.configuration import FRAME_BY_FRAME, UNetConfig, build
from models.pipeline import Pipeline, SpectrogramSeparator, separator_of
from models.strided_unet import StridedUNetConfig, build_strided
from realtime.errors import HostError

STEMS = ("vocals", "drums", "bass", "other")


@dataclass(frozen=True)
class System:
    """A system: what it is called and is, where it comes from, its `network` and the `pipeline` around it.

    A network that looks both ways is run on `chunk` frames: as many as the published ones were trained on.
    """

    name: str
    title: str
    source: str
    network: UNetConfig | StridedUNetConfig
    pipeline: Pipeline
    chunk: int = 128


_JANSSON = "Jansson et al., ISMIR 2017"
_MESEGUER = "Meseguer-Brocal and Peeters, ISMIR 2019"
_ISMIR = "Choi et al., ISMIR 2020"
_LASAFT = "Choi et al., ICASSP 2021"

# Released hyper-parameters: 17 blocks and 2048 points in the comparison of blocks, 9 and 4096 in the large net;
# 7 blocks, embeddings of 32 and the stems of MUSDB18 in the conditioned nets.
_VOCALS = Pipeline(stems=("vocals",))
_FOUR = Pipeline(stems=STEMS)
_OLD = Pipeline(("vocals",), 1024, 768, 1, 8192, "magnitude", "masking")
_OLD_FOUR = dataclasses.replace(_OLD, stems=STEMS)


def _conditioned(block: str, modulation: str | None, place: str = "decoder", **more: object) -> UNetConfig:
    return UNetConfig(block, modulation=modulation, condition_to=place, **more)


_ALL = (
    System("jansson", "fully 2-D convolutional U-Net", _JANSSON, StridedUNetConfig(), _OLD),
    System("unet-tfc", "U-Net with TFC", _ISMIR, UNetConfig("tfc", n_blocks=7), _VOCALS),
    System("unet-tdf", "U-Net with TDF", _ISMIR, UNetConfig("tdf", n_blocks=7), _VOCALS),
    System("unet-tdc", "U-Net with TDC", _ISMIR, UNetConfig("tdc", n_blocks=17), _VOCALS),
    System(
        "unet-tic", "U-Net with TIC, the first release's name of TDC", _ISMIR, UNetConfig("tic", n_blocks=17), _VOCALS
    ),
    System("unet-tfc-tdf", "U-Net with TFC-TDF", _ISMIR, UNetConfig("tfc_tdf", n_blocks=7, affine_tdf=False), _VOCALS),
    System(
        "unet-tfc-tdf-large",
        "U-Net with TFC-TDF, large",
        _ISMIR,
        UNetConfig("tfc_tdf", n_fft=4096, n_blocks=9, affine_tdf=False),
        dataclasses.replace(_VOCALS, n_fft=4096),
    ),
    System("unet-tdc-rnn", "U-Net with TDC-RNN", _ISMIR, UNetConfig("tdc_rnn", n_blocks=7), _VOCALS),
    System("unet-tic-rnn", "U-Net with TIC-RNN", _ISMIR, UNetConfig("tic_rnn", n_blocks=7), _VOCALS),
    System("unet-tfc-rnn", "U-Net with TFC-RNN", _ISMIR, UNetConfig("tfc_rnn", n_blocks=7), _VOCALS),
    System(
        "unet-masking",
        "U-Net with TFC-TDF that masks magnitudes",
        _ISMIR,
        UNetConfig("tfc_tdf", n_blocks=7, input_channels=2, last_activation="sigmoid", affine_tdf=False),
        dataclasses.replace(_VOCALS, spectrum="magnitude", estimate="masking"),
    ),
    System(
        "multi-head",
        "multi-head U-Net with TFC-TDF: all stems from one pass",
        "the slides",
        UNetConfig("tfc_tdf", n_blocks=7, output_channels=16),
        _FOUR,
    ),
    System(
        "cunet-film-simple",
        "C-U-Net, FiLM simple",
        _MESEGUER,
        StridedUNetConfig(modulation="film_simple"),
        _OLD_FOUR,
    ),
    System("cunet-film", "C-U-Net, FiLM complex", _MESEGUER, StridedUNetConfig(modulation="film"), _OLD_FOUR),
    System(
        "cunet-film-decoder",
        "C-U-Net, FiLM complex in the decoder",
        "the slides, after " + _MESEGUER,
        StridedUNetConfig(modulation="film", condition_to="decoder"),
        _OLD_FOUR,
    ),
    System("tfc-film", "C-U-Net with TFC", _LASAFT, _conditioned("tfc", "film"), _FOUR),
    System(
        "tfc-tdf-film", "C-U-Net with TFC-TDF: the naive extension", _LASAFT, _conditioned("tfc_tdf", "film"), _FOUR
    ),
    System("mux-tdf-film", "MUX-like TDF: one per instrument", "the slides", _conditioned("mux", "film"), _FOUR),
    System("lasaft-film", "C-U-Net with LaSAFT", _LASAFT, _conditioned("lasaft", "film"), _FOUR),
    System("tfc-pocm", "C-U-Net with TFC and PoCM", _LASAFT, _conditioned("tfc", "pocm"), _FOUR),
    System("tfc-gpocm", "C-U-Net with TFC and GPoCM", _LASAFT, _conditioned("tfc", "gpocm"), _FOUR),
    System(
        "tfc-gpocm-encoder", "the same, GPoCM in the encoder", _LASAFT, _conditioned("tfc", "gpocm", "encoder"), _FOUR
    ),
    System(
        "tfc-gpocm-full", "the same, GPoCM in encoder and decoder", _LASAFT, _conditioned("tfc", "gpocm", "full"), _FOUR
    ),
    System("tfc-tdf-gpocm", "C-U-Net with TFC-TDF and GPoCM", _LASAFT, _conditioned("tfc_tdf", "gpocm"), _FOUR),
    System("lasaft-net", "LaSAFT-Net: LaSAFT and GPoCM", _LASAFT, _conditioned("lasaft", "gpocm"), _FOUR),
    System(
        "lasaft-net-large",
        "LaSAFT-Net, large",
        _LASAFT,
        _conditioned("lasaft", "gpocm", n_fft=4096, n_blocks=9, embedding_dim=64),
        dataclasses.replace(_FOUR, n_fft=4096),
    ),
    System(
        "lightsaft-net",
        "LightSAFT-Net: LightSAFT and GPoCM",
        "Jeong et al., MDX workshop 2021",
        _conditioned("lightsaft", "gpocm"),
        _FOUR,
    ),
    System(
        "unet-mmdense",
        "U-Net with multi-band dense blocks",
        "Takahashi and Mitsufuji, WASPAA 2017",
        UNetConfig("mmdense"),
        _VOCALS,
    ),
    System(
        "unet-mmdenselstm", "the same with LSTM", "Takahashi et al., IWAENC 2018", UNetConfig("mmdenselstm"), _VOCALS
    ),
    System(
        "unet-d3",
        "U-Net with multi-dilated dense blocks",
        "Takahashi and Mitsufuji, CVPR 2021",
        UNetConfig("d3"),
        _VOCALS,
    ),
    System(
        "unet-ftb",
        "U-Net with frequency transformation and attention",
        "Yin et al., PHASEN, AAAI 2020",
        UNetConfig("ftb", attention_channels=1),
        _VOCALS,
    ),
    System(
        "unet-dilated-gru",
        "U-Net with dilated convolution and GRU",
        "Liu and Yang, IJCAI 2019",
        UNetConfig("dilated_gru"),
        _VOCALS,
    ),
    System("unet-cbhg", "U-Net with gated CBHG", "Park and Chon, GSEP, 2020", UNetConfig("cbhg"), _VOCALS),
)

SYSTEMS: dict[str, System] = {system.name: system for system in _ALL}


def system(name: str) -> System:
    """Return the system called `name`; raise HostError, listing the known ones, where there is none."""
    if name not in SYSTEMS:
        raise HostError(f"there is no system '{name}'; there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def name_of(network: UNetConfig) -> str:
    """Return the name of the system that `network` is; where it is none, that of its block and modulation."""
    plain = _plain(network)
    for system in SYSTEMS.values():
        if isinstance(system.network, UNetConfig) and _plain(system.network) == plain:
            return system.name
    return "-".join(filter(None, (network.block.replace("_", "-"), network.modulation)))


def _plain(network: UNetConfig) -> UNetConfig:
    """Return the same description with the same word for the same thing."""
    return dataclasses.replace(
        network,
        t_down_layers=tuple(sorted(network.halving)),
        kernel_size_t=1 if network.block in FRAME_BY_FRAME else network.kernel_size_t,
        output_channels=network.output_channels or network.input_channels,
    )


def network_of(system: System) -> nn.Module:
    """Return the network of a system, untrained."""
    strided = isinstance(system.network, StridedUNetConfig)
    return build_strided(system.network) if strided else build(system.network)


def separator(system: System, network: nn.Module | None = None) -> SpectrogramSeparator:
    """Return a system as a separator, around `network` or, untrained, around its own."""
    return separator_of(network or network_of(system), system.pipeline, system.chunk)


def reduced(system: System) -> System:
    """Return the same system, small: n_fft 64, few blocks and channels, the same kinds of everything."""
    pipeline = dataclasses.replace(system.pipeline, n_fft=64, hop=48 if system.pipeline.rate == 8192 else 32)
    if isinstance(system.network, StridedUNetConfig):
        network = dataclasses.replace(system.network, n_fft=64, n_layers=3, channels=4)
    else:
        small = {"n_fft": 64, "n_blocks": 5, "internal_channels": 6, "n_internal_layers": 2, "embedding_dim": 6}
        small |= {"control_n_layer": 3, "num_tdfs": 3, "dk": 4, "bn_factor": 4, "min_bn_units": 4}
        small |= {"growth_rate": 3, "band_growth": (4, 3, 2), "band_layers": (1, 1, 1), "band_scales": 1}
        small |= {"units_lstm": 4, "features": 12, "dilations": (1, 2), "groups": 2, "bank_size": 3, "num_highways": 1}
        if system.network.block.startswith("mmdense"):
            small["n_blocks"] = 3  # its blocks are U-Nets themselves
        network = dataclasses.replace(system.network, **small)
    return dataclasses.replace(system, network=network, pipeline=pipeline, chunk=32)
