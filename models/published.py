"""Networks as their authors published them, brought into ours: constructor arguments and parameters.

Three releases are known, all by Choi et al.: the code of ISMIR 2020 as first published (plain state dicts),
its second release, and LaSAFT (both PyTorch Lightning files). They are the same U-Net with other names.
What arguments do not say follows from the shapes of the parameters, activations apart: those are then the
releases' own, ReLU, and at the end none for complex spectra and a sigmoid for magnitudes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from models.blocks.block import activation
from models.configuration import UNetConfig, build
from models.pipeline import Pipeline
from models.unet import UNet
from realtime.errors import HostError

Arguments = Mapping[str, Any]
State = Mapping[str, Tensor]

_PREFIX = "spec2spec."
_WINDOW = "stft.stft.window"
_STEMS = ("vocals", "drums", "bass", "other")

# Published names of modules, in the order in which they are replaced. TDF was called TIF at first.
_MODULES = (
    (r"^spec2spec\.", ""),
    (r"^(down|up)sampling\.", r"\1samplings."),
    (r"^final_conv\.", "last_conv."),
    (r"^((?:down|up)samplings\.\d+)\.0\.", r"\1.conv."),
    (r"^((?:down|up)samplings\.\d+)\.1\.", r"\1.bn."),
    (r"\.t[id]f_f1_to_f2\.t[id]f\.", ".tdf.tdf."),
    (r"\.tif\.tif\.", ".tdf.tdf."),
    # TDF as the whole block, which is followed by a convolution where the number of channels changes.
    (r"^(mid_block|(?:en|de)coders\.\d+)\.(?:0\.)?tif\.", r"\1.body.0.tdf."),
    (r"^((?:en|de)coders\.\d+)\.1\.", r"\1.body.1."),
)

# The argument that names the activation says which block is meant.
_ACTIVATIONS = {
    "tfc": "tfc_activation",
    "tdc": "tdc_activation",
    "tdf": "tdf_activation",
    "tfc_tdf": "tfc_tdf_activation",
    "lasaft": "tfc_tdf_activation",
    "lightsaft": "tfc_tdf_activation",
    "tdc_rnn": "tdc_rnn_activation",
}
# The first layer of a block's TDF, and the one that widens its bottleneck again.
_TDF = {
    "tdf": ("body.0.tdf.0", "body.0.tdf.3"),
    "tfc_tdf": ("tdf.tdf.0", "tdf.tdf.3"),
    "tdc_rnn": ("tdf.tdf.0", "tdf.tdf.3"),
    "lasaft": ("tdfs.tdf.0", "tdfs.tdf.3"),
    "lightsaft": ("LaSAFT_bn_layer.0", "LaSIFT.0"),
}
_CONVOLUTIONS = {"tfc": "H", "tdc": "H", "tdc_rnn": "tic.H"}

# Arguments that every network takes, those of a condition, and those of a block; where the release has
# another name for one of ours, that name. What is not here shapes no network: f_down_layers is read but
# never used by the published code, tif_init_mode chooses initial weights, the rest is about training.
_OF_ALL = ("n_fft", "n_blocks", "input_channels", "internal_channels", "first_conv_activation", "last_activation")
_OF_CONDITION = (
    "control_vector_type",
    "control_input_dim",
    "embedding_dim",
    "condition_to",
    "control_type",
    "control_n_layer",
)
_OF_FILM = ("gamma_activation", "beta_activation")
_OF_TIME = ("n_internal_layers", "kernel_size_t", "kernel_size_f")
_OF_BLOCK: dict[str, dict[str, str]] = {
    "tfc": {},
    "tdc": {},
    "tdf": {"bn_factor": "bn_factor", "min_bn_units": "min_bn_units", "bias": "bias"},
    "tfc_tdf": {"bn_factor": "bn_factor", "min_bn_units": "min_bn_units", "tfc_tdf_bias": "bias"},
    "tdc_rnn": {
        "bn_factor_rnn": "bn_factor_rnn",
        "min_bn_units_rnn": "min_bn_units_rnn",
        "num_layers_rnn": "num_layers_rnn",
        "bias_rnn": "bias_rnn",
        "bn_factor_tdf": "bn_factor",
        "bias_tdf": "bias",
    },
}
_OF_BLOCK["lasaft"] = _OF_BLOCK["lightsaft"] = _OF_BLOCK["tfc_tdf"] | {"num_tdfs": "num_tdfs", "dk": "dk"}


def load_published(state: State, arguments: Arguments | None = None) -> UNet:
    """Return the network whose published parameters `state` holds, in evaluation mode.

    Spectra go in and out as the release orders their channels. Raises HostError for arguments that are not
    supported, and names the first parameters that are missing, unknown or of another shape.
    """
    arguments = arguments or {}
    config, parameters = config_from(arguments, state), renamed(state)
    _check_window(state)
    with torch.device("meta"):  # no memory for it before it is known to fit
        network = build(config)
    _compare(network.state_dict(), parameters, state)
    if config.modulation == "gpocm" and arguments.get("pocm_type") == "naive":
        parameters = _from_the_left(parameters, config.internal_channels)
    network.to_empty(device="cpu").load_state_dict(parameters)
    return network.eval()


def config_from(arguments: Arguments, state: State) -> UNetConfig:
    """Return the description of the network with the published constructor `arguments` and parameters `state`.

    The block and the modulation are recognised by the names of arguments and parameters. Raises HostError for
    parameters of no architecture known here and for arguments that are not supported.
    """
    given, parameters = _meant(arguments), renamed(state)
    block = _block(given, parameters)
    values = _found(block, parameters)
    if "n_fft" not in values and _WINDOW in state:
        values["n_fft"] = state[_WINDOW].numel()
    if _spectrum(given, values["input_channels"]) == "magnitude":
        values["last_activation"] = "sigmoid"
    modulation = values["modulation"] = _modulation(given, values.get("modulation"))

    names = {name: name for name in _OF_ALL} | _OF_BLOCK[block] | {_ACTIVATIONS[block]: "activation"}
    if block != "tdf":
        names |= {name: name for name in _OF_TIME if (name, block[:3]) != ("kernel_size_t", "tdc")}
    if modulation is not None:
        names |= {name: name for name in _OF_CONDITION}
        names |= {"pocm_norm": "pocm_norm"} if modulation == "gpocm" else {name: name for name in _OF_FILM}
    for name, ours in names.items():
        if name in given and (given[name] is not None or ours in ("bn_factor", "pocm_norm")):
            values[ours] = given[name]
    if block not in ("tdc", "tdf") and given.get("t_down_layers") is not None:
        values["t_down_layers"] = _levels(given["t_down_layers"])
    config = UNetConfig(block, **values)
    _check_activations(given, block, names)
    # Levels that a network does not have are without effect.
    levels = config.t_down_layers and tuple(
        level for level in config.t_down_layers if 0 <= level < config.n_blocks // 2
    )
    return replace(config, t_down_layers=levels)


def pipeline_from(arguments: Arguments, state: State) -> Pipeline:
    """Return what the published code puts around the network: its transform, its stems, and what is estimated."""
    given = {name: value for name, value in _meant(arguments).items() if value is not None}
    config = config_from(arguments, state)
    spectrum = _spectrum(given, config.input_channels)
    stems: tuple[str, ...] = (str(given.get("target_name", "vocals")),)
    if config.conditioned:
        width = config.control_input_dim
        stems = _STEMS if width == len(_STEMS) else tuple(f"stem{number + 1}" for number in range(width))
    hop = given.get("hop_length", min(1024, config.n_fft // 2))
    if not isinstance(hop, int):
        raise HostError(f"hop_length is {hop!r}, but must be a whole number of samples")
    pipeline = Pipeline(
        stems=stems,
        n_fft=config.n_fft,
        hop=hop,
        channels=config.input_channels // (1 if spectrum == "magnitude" else 2),
        spectrum=spectrum,
        estimate=given.get("spec_est_mode", "masking" if spectrum == "magnitude" else "mapping"),
        # In the first release the two parts of a channel stood together.
        parts_first=not any(name.startswith("final_conv.") for name in state),
    )
    if pipeline.inputs != config.input_channels:
        raise HostError(f"{spectrum} spectra do not come in {config.input_channels} channels")
    return pipeline


def _spectrum(given: Arguments, channels: int) -> Any:
    """Return what kind of spectrum has so many channels, where the arguments do not say: published are stereo and mono."""
    return given.get("spec_type") or ("magnitude" if channels in (1, 2) else "complex")


def renamed(state: State) -> dict[str, Tensor]:
    """Return the parameters under our names and in our layout, kernels [out, in, frames, bins].

    One-dimensional kernels [out, in, bins] gain a frame; those of the first release with bins before frames,
    (2, 1), are turned. What a Lightning file holds beside its network, the window of its transform, is left out.
    """
    return {_name(key): _laid_out(key, value) for key, value in state.items() if key != _WINDOW}


def _name(key: str) -> str:
    for pattern, replacement in _MODULES:
        key = re.sub(pattern, replacement, key)
    return key


def _laid_out(key: str, value: Tensor) -> Tensor:
    if value.ndim == 3:
        return value.unsqueeze(2)
    outer = key.removeprefix(_PREFIX).startswith(("first_conv.", "final_conv.", "last_conv."))
    return value.transpose(2, 3) if outer and value.shape[2:] == (2, 1) else value


def _meant(arguments: Arguments) -> dict[str, Any]:
    """Return `arguments` without the spelling that a command line left in them."""
    spelt = {"None": None, "none": None, "True": True, "False": False}
    return {name: spelt.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}


def _levels(value: Any) -> tuple[int, ...]:
    """Return the levels in a `t_down_layers` such as [0, 1] or "[0,1]"."""
    if isinstance(value, str) and re.fullmatch(r"\s*\[?[-\d,\s]*\]?\s*", value):
        value = [int(number) for number in re.findall(r"-?\d+", value)]
    if not isinstance(value, list | tuple) or not all(isinstance(level, int) for level in value):
        raise HostError(f"t_down_layers is {value!r}, but must be a list of levels such as [0, 1], or nothing for all")
    return tuple(sorted(set(value)))


def _shape(parameters: State, key: str, dimensions: int) -> tuple[int, ...] | None:
    """Return the shape of the parameter `key`; None where it is missing or has other than `dimensions`."""
    value = parameters.get(key)
    return None if value is None or value.ndim != dimensions else tuple(value.shape)


def _shapes(parameters: State, suffix: str) -> list[tuple[int, int]]:
    """Return the shapes of the matrices called `suffix` in the blocks of the encoder and in the middle."""
    places = ["mid_block", *(f"encoders.{level}" for level in range(_count(parameters, "encoders")))]
    shapes = (_shape(parameters, f"{place}.{suffix}", 2) for place in places)
    return [shape for shape in shapes if shape is not None]


def _block(given: Arguments, parameters: State) -> str:
    """Return the block that the arguments name, or else the parameters; where the arguments leave a choice, they decide."""
    found = _block_of(parameters)
    named = [block for block, argument in _ACTIVATIONS.items() if argument in given]
    if "num_tdfs" in given:
        named = [block for block in named if block.endswith("saft")] or named
    block = named[0] if named and found not in named else found
    if block is None or _shape(parameters, "first_conv.0.weight", 4) is None:
        raise HostError(
            f"its architecture is not known: it begins with the parameters {_few(parameters)}, "
            "a published U-Net with first_conv.0.weight"
        )
    return block


def _block_of(parameters: State) -> str | None:
    for block, layer in (
        ("tdc_rnn", "rnn.weight_ih_l0"),
        ("lightsaft", "LaSIFT.0.weight"),
        ("lasaft", "tdfs.tdf.0.weight"),
        ("tfc_tdf", "tdf.tdf.0.weight"),
        ("tdf", "body.0.tdf.0.weight"),
    ):
        if f"mid_block.{layer}" in parameters:
            return block
    kernel = _shape(parameters, "mid_block.H.0.0.weight", 4)
    if kernel is None:
        return None
    # A TFC of one frame is a TDC, where time is not halved.
    return "tdc" if kernel[2] == 1 and not _halving(parameters) else "tfc"


def _halving(parameters: State) -> tuple[int, ...]:
    """Return the levels at which time is halved."""
    kernels = [
        _shape(parameters, f"downsamplings.{level}.conv.weight", 4) for level in range(_count(parameters, "encoders"))
    ]
    return tuple(level for level, kernel in enumerate(kernels) if kernel is not None and kernel[2] == 2)


def _found(block: str, parameters: State) -> dict[str, Any]:
    """Return what the shapes of the parameters say about a network of such blocks."""
    values: dict[str, Any] = {"n_blocks": 2 * _count(parameters, "encoders") + 1}
    values["internal_channels"], values["input_channels"] = parameters["first_conv.0.weight"].shape[:2]
    if block not in ("tdc", "tdf"):
        values["t_down_layers"] = _halving(parameters)
    convolutions = "mid_block." + _CONVOLUTIONS.get(block, "tfc.H")
    if kernel := _shape(parameters, f"{convolutions}.0.0.weight", 4):
        values["n_internal_layers"] = _count(parameters, convolutions)
        values["kernel_size_t"], values["kernel_size_f"] = kernel[2:]
    if block in _TDF:
        values |= _found_in_tdf(block, parameters)
    if block == "tdc_rnn":
        values |= _found_in_rnn(parameters)
    if keys := _shape(parameters, "mid_block.keys", 2):
        values["dk"], values["num_tdfs"] = keys
    return values | _found_in_condition(values, parameters)


def _found_in_tdf(block: str, parameters: State) -> dict[str, Any]:
    """Return what the layers that are fully connected over frequency say."""
    narrowing, widening = (f"{name}.weight" for name in _TDF[block])
    values: dict[str, Any] = {"bias": f"mid_block.{_TDF[block][0]}.bias" in parameters}
    if block in ("tdf", "tfc_tdf"):
        values["affine_tdf"] = f"mid_block.{narrowing.replace('.0.weight', '.1.weight')}" in parameters
    if block == "tdc_rnn":
        values["bn_factor"], _ = _bottleneck(_shapes(parameters, widening), 16)
    else:
        values["bn_factor"], values["min_bn_units"] = _bottleneck(_shapes(parameters, widening))
        if middle := _shape(parameters, f"mid_block.{narrowing}", 2):
            values["n_fft"] = _n_fft(middle[1], parameters)
    return values


def _found_in_rnn(parameters: State) -> dict[str, Any]:
    """Return what the recurrences say, GRUs with three gates."""
    layers = [name for name in parameters if name.startswith("mid_block.rnn.weight_hh_")]
    gates = _shapes(parameters, "rnn.weight_ih_l0")
    factor, least = _bottleneck([(bins, gate // 3) for gate, bins in gates])
    return {
        "num_layers_rnn": len([name for name in layers if not name.endswith("_reverse")]),
        "bidirectional": any(name.endswith("_reverse") for name in layers),
        "bias_rnn": "mid_block.rnn.bias_ih_l0" in parameters,
        "bn_factor_rnn": factor,
        "min_bn_units_rnn": least,
        "n_fft": _n_fft(gates[0][1], parameters) if gates else 2048,
    }


def _n_fft(bins: int, parameters: State) -> int:
    """Return the size of the transform of a network with `bins` in the middle."""
    return bins << (_count(parameters, "encoders") + 1)


def _bottleneck(widths: list[tuple[int, int]], least: int | None = None) -> tuple[int | None, int]:
    """Return the factor and the least units with which every (width, units) is units = max(width // factor, least)."""
    if not widths:
        return None, 16
    least = min(units for _, units in widths) if least is None else least
    factors = range(1, max(width for width, _ in widths) + 1)
    fitting = (factor for factor in factors if all(units == max(width // factor, least) for width, units in widths))
    return next(fitting, 16), least


def _found_in_condition(values: dict[str, Any], parameters: State) -> dict[str, Any]:
    """Return what the embedding and the condition generator say; nothing for a network without a condition."""
    generator = "condition_generator"
    gamma, beta = (_shape(parameters, f"{generator}.linear_{part}.0.weight", 2) for part in ("gamma", "beta"))
    embedding = _shape(parameters, "embedding.weight", 2)
    if gamma is None or beta is None or embedding is None:
        return {}
    channels, blocks = values["internal_channels"], values["n_blocks"]
    if gamma[0] == beta[0]:
        complex_film = beta[0] in (blocks * channels, blocks // 2 * channels)
        modulation = "film" if complex_film or beta[0] not in (blocks, blocks // 2) else "film_simple"
    else:
        modulation = "gpocm"
    dense = [name for name in parameters if name.startswith(f"{generator}.dense_control_block.linear.")]
    return {
        "control_input_dim": embedding[0],
        "embedding_dim": embedding[1],
        "control_n_layer": 1 + len([name for name in dense if parameters[name].ndim == 2]),
        "modulation": modulation,
        "pocm_norm": "batch_norm" if f"{generator}.linear_gamma.2.running_mean" in parameters else None,
        "condition_to": "full" if beta[0] == blocks * (1 if modulation == "film_simple" else channels) else "decoder",
    }


def _modulation(given: Arguments, found: str | None) -> str | None:
    """Return the modulation that the arguments name, or else the one found in the parameters."""
    for name, allowed in (("pocm_type", ("naive", "matmul")), ("film_type", ("simple", "complex"))):
        if given.get(name) not in (None, *allowed):
            raise HostError(f"{name} is {given[name]!r}, but must be {' or '.join(allowed)}")
    named = ["gpocm"] if given.get("pocm_type") else []
    if given.get("film_type"):
        named.append("film" if given["film_type"] == "complex" else "film_simple")
    return named[0] if named and found not in named else found


def _check_activations(given: Arguments, block: str, names: Iterable[str]) -> None:
    """Raise HostError naming the argument whose activation is not supported."""
    for name in names:
        if name.endswith("_activation") and given.get(name) is not None:
            try:
                activation(given[name])
            except HostError as error:
                raise HostError(f"{name}: {error}") from None
    name = _ACTIVATIONS[block]
    if block.startswith("tdc") and given.get(name) == "softmax":
        raise HostError(
            f"{name} is 'softmax', which the published code runs across frames and songs; it is not supported"
        )


def _check_window(state: State) -> None:
    """Raise HostError where the window was trained too: spectra from a Hann window would be none that it knows."""
    window = state.get(_WINDOW)
    if window is not None and not torch.allclose(
        window.double(), torch.hann_window(window.numel(), dtype=torch.float64), atol=1e-3
    ):
        raise HostError(
            f"its analysis window, {_WINDOW}, was trained with it and is no Hann window; this is not supported"
        )


def _compare(wanted: State, parameters: State, state: State) -> None:
    """Raise HostError naming the first parameters in which `parameters`, those of `state` renamed, are not as `wanted`."""
    theirs = {_name(key): key for key in state}
    missing = [key for key in wanted if key not in parameters]
    missing = _called_as_in_the_file(missing, theirs) if missing else []
    unknown = [theirs[key] for key in parameters if key not in wanted]
    complaints = [f"lacks parameters: {_few(missing)}"] if missing else []
    complaints += [f"has unknown parameters: {_few(unknown)}"] if unknown else []
    if complaints:
        raise HostError("it " + "; it ".join(complaints))
    odd = [key for key, value in wanted.items() if value.shape != parameters[key].shape]
    if odd:
        shapes = f"{list(parameters[odd[0]].shape)} instead of {list(wanted[odd[0]].shape)}"
        raise HostError(
            f"the shapes of some parameters do not fit ({shapes} for the first): {_few(theirs[key] for key in odd)}"
        )


def _called_as_in_the_file(keys: Iterable[str], theirs: Mapping[str, str]) -> list[str]:
    """Return our names `keys` as the file, which has `theirs`, calls the modules that they are in."""
    modules = {}
    for ours, published in theirs.items():
        while "." in ours and ours.rpartition(".")[2] == published.rpartition(".")[2]:
            ours, published = ours.rpartition(".")[0], published.rpartition(".")[0]
            modules[ours] = published
    named = []
    for key in keys:
        module = key
        while module and module not in modules:
            module = module.rpartition(".")[0]
        named.append(modules.get(module, "") + key[len(module) :])
    return named


def _from_the_left(parameters: dict[str, Tensor], channels: int) -> dict[str, Tensor]:
    """Return `parameters` with the matrices that "naive" PoCM multiplies from the left as ours, from the right.

    The published code says that both are the same; its two functions read rows and columns the other way round.
    """
    turned = dict(parameters)
    for key, value in parameters.items():
        if key.startswith("condition_generator.linear_gamma.") and value.ndim:
            turned[key] = value.unflatten(0, (-1, channels, channels)).transpose(1, 2).flatten(0, 2)
    return turned


def _count(parameters: State, prefix: str) -> int:
    """Return how many numbered modules there are under `prefix`."""
    depth = prefix.count(".") + 1
    return len({key.split(".")[depth] for key in parameters if key.startswith(prefix + ".")})


def _few(keys: Iterable[str], most: int = 3) -> str:
    shown = list(keys)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
