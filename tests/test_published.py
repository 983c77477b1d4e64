"""The published networks: the authors' numbers, every option of theirs, their files, and files that are none of theirs."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnx", reason="needs the train extra")

from torch import nn

import models.checkpoint
import run_live
from models.checkpoint import import_checkpoint, read_arguments, read_checkpoint
from models.condition import Layers
from models.configuration import UNetConfig, build
from models.published import config_from, load_published, pipeline_from, renamed
from models.unet import randomised
from realtime.errors import HostError

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "fixtures" / "published"
OTHERS = os.environ.get("PUBLISHED_FIXTURES")
FIXTURES = [
    pytest.param(path, id=path.stem)
    for folder in (SHARED, *([Path(OTHERS)] if OTHERS else []))
    for path in sorted(folder.glob("*.npz"))
]
ABSENT = [
    pytest.param(None, marks=pytest.mark.skip(reason="the published networks' fixtures are not beside this repository"))
]

SMALL = UNetConfig(
    "tfc",
    n_fft=32,
    n_blocks=5,
    internal_channels=3,
    n_internal_layers=2,
    bn_factor=4,
    min_bn_units=3,
    num_tdfs=2,
    dk=3,
    embedding_dim=5,
    bn_factor_rnn=4,
    min_bn_units_rnn=3,
    t_down_layers=(0, 1),
)
PLAIN = ("tfc", "tdc", "tdf", "tfc_tdf", "tdc_rnn")
OPTIONS = [
    *({"block": block} for block in PLAIN),
    {"n_blocks": 3, "n_fft": 8, "t_down_layers": (0,)},
    {"n_blocks": 9, "t_down_layers": (1, 3)},
    {"t_down_layers": ()},
    {"block": "tdc_rnn", "t_down_layers": (1,)},
    {"kernel_size_t": 5, "kernel_size_f": 1, "n_internal_layers": 1},
    {"kernel_size_t": 1},
    {"block": "tdc", "kernel_size_f": 5, "activation": "tanh"},
    {"first_conv_activation": "leaky_relu", "activation": "softmax", "last_activation": "tanh"},
    {"input_channels": 2, "last_activation": "sigmoid"},
    {"block": "tdf", "bn_factor": None, "activation": "sigmoid"},
    {"block": "tdf", "bias": True, "affine_tdf": True},
    {"block": "tfc_tdf", "bn_factor": None, "bias": True, "affine_tdf": True, "activation": "leaky_relu"},
    {"block": "tdc_rnn", "num_layers_rnn": 2, "bias_rnn": False, "bn_factor": None},
    {"block": "tdc_rnn", "bias": True, "activation": "identity"},
    *({"block": block, "modulation": "film"} for block in ("tfc", "tfc_tdf", "lasaft")),
    *({"block": block, "modulation": "gpocm"} for block in ("tfc", "tfc_tdf", "lasaft", "lightsaft")),
    {"modulation": "film", "gamma_activation": "softmax", "beta_activation": "tanh", "condition_to": "encoder"},
    {"modulation": "film", "condition_to": "full", "control_n_layer": 1},
    {"modulation": "film_simple", "condition_to": "full"},
    {"block": "lasaft", "modulation": "gpocm", "condition_to": "full", "pocm_norm": None, "bn_factor": None},
    {"block": "lightsaft", "modulation": "gpocm", "condition_to": "encoder", "bias": True, "control_n_layer": 2},
    {"modulation": "gpocm", "control_input_dim": 3, "control_n_layer": 5, "embedding_dim": 2},
    {"modulation": "film", "control_vector_type": "one_hot_mode", "embedding_dim": 4},
]


def config_of(options: dict) -> UNetConfig:
    """Return the small network with `options`; without a condition, norms are affine with a bias only, as published."""
    conditioned = "modulation" in options
    return replace(SMALL, **{"affine_tdf": conditioned or options.get("bias", False)} | options)


def arguments_of(config: UNetConfig) -> dict:
    """Return what the published constructor would be called with."""
    block = {"lasaft": "tfc_tdf", "lightsaft": "tfc_tdf"}.get(config.block, config.block)
    same = ["n_fft", "n_blocks", "input_channels", "internal_channels", "first_conv_activation", "last_activation"]
    arguments = {
        f"{block}_activation": config.activation,
        "t_down_layers": str(list(config.t_down_layers)),
        "f_down_layers": None,
    }
    if block != "tdf":
        same += ["n_internal_layers", "kernel_size_f"] + ([] if block.startswith("tdc") else ["kernel_size_t"])
    if block in ("tdf", "tfc_tdf"):
        same += ["bn_factor", "min_bn_units"]
        arguments["bias" if block == "tdf" else "tfc_tdf_bias"] = config.bias
    if block == "tdc_rnn":
        same += ["bn_factor_rnn", "min_bn_units_rnn", "num_layers_rnn", "bias_rnn"]
        arguments |= {"bn_factor_tdf": config.bn_factor, "bias_tdf": config.bias}
    if config.block.endswith("saft"):
        same += ["num_tdfs", "dk"]
    if config.modulation:
        same += [
            "control_vector_type",
            "control_input_dim",
            "embedding_dim",
            "condition_to",
            "control_type",
            "control_n_layer",
        ]
        film = {"film": "complex", "film_simple": "simple"}.get(config.modulation)
        same += ["gamma_activation", "beta_activation"] if film else ["pocm_norm"]
        arguments |= {"film_type": film} if film else {"pocm_type": "matmul"}
    return arguments | {name: getattr(config, name) for name in same}


def published(config: UNetConfig, state: dict) -> dict:
    """Return our parameters under the names, and in the layout, of the release that has the network."""
    result = {}
    for key, value in state.items():
        one_dimensional = config.block in ("tdc", "tdc_rnn") and ".H." in key
        if config.block in ("tdc", "tdf"):
            one_dimensional = one_dimensional or "samplings" in key
        else:
            key = re.sub(r"(samplings\.\d)\.conv", r"\1.0", key)
            key = re.sub(r"(samplings\.\d)\.bn", r"\1.1", key)
        if config.modulation is None:
            key = re.sub(
                r"(decoders\.\d)\.body\.([01])\.(tdf\.)?",
                lambda found: f"{found[1]}.{found[2]}." + "tif." * bool(found[3]),
                key,
            )
            key = key.replace(".body.0.tdf.", ".tif.")
            key = key.replace(".tdf.tdf.", ".tif_f1_to_f2.tif." if config.block == "tdc_rnn" else ".tif.tif.")
        result[key] = value.squeeze(2) if one_dimensional and value.ndim == 4 else value
    return result


def example(**options) -> tuple[UNetConfig, nn.Module, dict]:
    """Return a description, its network with random weights, and the network's parameters as published."""
    config = config_of(options)
    network = randomised(build(config), seed=1)
    return config, network, published(config, network.state_dict())


@torch.no_grad()
def outputs(network: nn.Module, config: UNetConfig):
    """Return what becomes of a random spectrum under every condition."""
    batch = config.control_input_dim
    spectrum = torch.randn(
        batch, config.input_channels, 16, config.n_fft // 2 + 1, generator=torch.Generator().manual_seed(2)
    )
    return network(spectrum, torch.eye(batch) if network.width else None)


@pytest.mark.parametrize("path", FIXTURES or ABSENT)
def test_the_published_network_gives_the_published_output(path):
    with np.load(path) as file:
        state = {
            key.removeprefix("param/"): torch.from_numpy(file[key]) for key in file.files if key.startswith("param/")
        }
        network = load_published(state, json.loads(str(file["config"])))
        condition = torch.eye(network.width)[file["input/1"]] if "input/1" in file.files else None
        with torch.inference_mode():
            found = network(torch.from_numpy(file["input/0"]), condition).numpy()
        np.testing.assert_allclose(found, file["output"], rtol=0, atol=1e-5)


@pytest.mark.skipif(not OTHERS, reason="PUBLISHED_FIXTURES names no other folder of fixtures")
def test_the_other_folder_of_fixtures_is_not_empty():
    assert list(Path(OTHERS).glob("*.npz"))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_published_option_is_honoured(options):
    config, network, state = example(**options)
    loaded = load_published(state, json.loads(json.dumps(arguments_of(config))))
    assert not loaded.training
    torch.testing.assert_close(outputs(loaded, config), outputs(network, config), rtol=0, atol=0)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_arguments_leave_out_follows_from_the_shapes(options):
    config, network, state = example(**options)
    kept = ("_activation", "condition_to", "control_vector_type", "film_type")
    arguments = {name: value for name, value in arguments_of(config).items() if name.endswith(kept)}
    if config.block in ("tfc", "tdc"):
        state["stft.stft.window"] = torch.hann_window(config.n_fft)
    torch.testing.assert_close(
        outputs(load_published(state, arguments), config), outputs(network, config), rtol=0, atol=0
    )


def test_without_any_arguments_the_published_defaults_hold():
    for block, modulation in (
        ("tfc", None),
        ("tdf", None),
        ("tdc_rnn", None),
        ("tfc_tdf", "film"),
        ("lasaft", "gpocm"),
    ):
        config, network, state = example(block=block, modulation=modulation, affine_tdf=modulation is not None)
        state = {f"spec2spec.{key}": value for key, value in state.items()} | {
            "stft.stft.window": torch.hann_window(32)
        }
        torch.testing.assert_close(outputs(load_published(state), config), outputs(network, config), rtol=0, atol=0)


def test_the_first_release_had_other_names_and_its_kernels_on_end():
    config, network, state = example(block="tfc_tdf", bias=True)
    old = {}
    for key, value in state.items():
        if key.startswith(("first_conv.0.w", "last_conv.0.w")):
            value = value.transpose(2, 3)
        old[key.replace("samplings", "sampling").replace("last_conv", "final_conv")] = value
    torch.testing.assert_close(outputs(load_published(old), config), outputs(network, config), rtol=0, atol=0)
    assert not pipeline_from({}, old).parts_first and pipeline_from({}, state).parts_first


def test_renaming_twice_is_renaming_once():
    for block in PLAIN:
        once = renamed(example(block=block)[2])
        assert renamed(once).keys() == once.keys()
        assert all(value.shape == once[key].shape for key, value in renamed(once).items())


@pytest.mark.parametrize("spelling", [None, "None", "[0,1]", "0, 1", "[0, 1, 7, -1]", [1, 0], (0, 1)])
def test_levels_that_halve_time_are_spelt_in_many_ways(spelling):
    config, network, state = example()
    arguments = arguments_of(config) | {"t_down_layers": spelling}
    torch.testing.assert_close(
        outputs(load_published(state, arguments), config), outputs(network, config), rtol=0, atol=0
    )


@pytest.mark.parametrize("nothing", [None, "None", "none"])
def test_a_tdf_without_a_bottleneck_is_spelt_in_many_ways(nothing):
    config, network, state = example(block="tdf", bn_factor=None)
    loaded = load_published(state, arguments_of(config) | {"bn_factor": nothing})
    torch.testing.assert_close(outputs(loaded, config), outputs(network, config), rtol=0, atol=0)


def test_naive_pocm_multiplies_from_the_left():
    state = example(
        modulation="gpocm", pocm_norm=None, control_n_layer=1, embedding_dim=4, n_blocks=3, t_down_layers=()
    )[2]
    # Of the one layer that is modulated, a matrix that moves channel 1 into channel 0 if read from the left.
    state = {key: value.clone() for key, value in state.items()}
    state["embedding.weight"] = torch.eye(4)
    state["condition_generator.linear_gamma.0.weight"].zero_()
    state["condition_generator.linear_gamma.0.bias"].zero_()[1] = 1
    state["condition_generator.linear_beta.0.weight"].zero_()
    state["condition_generator.linear_beta.0.bias"].zero_()
    features = torch.randn(4, 3, 2, 5)
    for kind, target, source in (("naive", 0, 1), ("matmul", 1, 0)):
        generator = load_published(state, {"pocm_type": kind, "n_fft": 32}).condition_generator
        matrix = generator.linear_gamma.of(0, generator.code(torch.eye(4)))[:, None]
        wanted = torch.full_like(features, 0.5) * features
        wanted[:, target] = features[:, source].sigmoid() * features[:, target]
        torch.testing.assert_close(generator.modulation(features, matrix, torch.zeros(4, 1, 3)), wanted)


def test_a_softmax_of_generated_weights_runs_over_all_layers():
    layers = Layers(6, 3, 4, "softmax", norm=False)
    code = torch.randn(2, 6)
    assert torch.cat([layers.of(layer, code) for layer in range(3)], 1).sum().item() == pytest.approx(2)


@pytest.mark.parametrize(
    ("spectrum", "estimate", "channels"),
    [("complex", "mapping", 4), ("complex", "masking", 4), ("magnitude", "masking", 2)],
)
def test_arguments_say_what_is_around_the_network(spectrum, estimate, channels):
    config, _, state = example(block="tfc_tdf", input_channels=channels)
    arguments = arguments_of(config) | {
        "spec_type": spectrum,
        "spec_est_mode": estimate,
        "hop_length": 16,
        "target_name": "bass",
    }
    pipeline = pipeline_from(arguments, state)
    assert (pipeline.n_fft, pipeline.hop, pipeline.channels, pipeline.stems) == (32, 16, 2, ("bass",))
    assert (pipeline.spectrum, pipeline.estimate) == (spectrum, estimate)


def test_a_conditioned_network_knows_the_published_stems():
    config, _, state = example(modulation="film")
    assert pipeline_from(arguments_of(config), state).stems == ("vocals", "drums", "bass", "other")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_blocks": 4}, "odd number of blocks"),
        ({"n_blocks": "five"}, "n_blocks is 'five'"),
        ({"n_fft": 36}, "n_fft must be a multiple of 8"),
        ({"kernel_size_t": 4}, "kernel along time is 4"),
        ({"t_down_layers": "first"}, "t_down_layers is 'first'"),
        ({"t_down_layers": {"0": 1}}, "t_down_layers is"),
        ({"tfc_tdf_activation": "gelu"}, "tfc_tdf_activation: activation 'gelu' is not known"),
        ({"last_activation": ["relu"]}, "last_activation is"),
        ({"tfc_tdf_bias": "perhaps"}, "bias is 'perhaps'"),
        ({"pocm_type": "fast"}, "pocm_type is 'fast', but must be naive or matmul"),
        ({"film_type": "spherical"}, "film_type is 'spherical'"),
        ({"pocm_norm": "lstm_like"}, "pocm_norm is 'lstm_like'"),
        ({"condition_to": "middle"}, "not in 'middle'"),
        ({"control_type": "sparse"}, "control_type is 'sparse'"),
        ({"control_vector_type": "thermometer"}, "control_vector_type is 'thermometer'"),
        ({"bn_factor": 0}, "bn_factor is 0"),
    ],
)
def test_an_argument_that_is_not_supported_is_named(wrong, message):
    config, _, state = example(block="lasaft", modulation="gpocm")
    with pytest.raises(HostError, match=message):
        load_published(state, arguments_of(config) | wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"spec_type": "mel"}, "mel"),
        ({"spec_est_mode": "guessing"}, "guessing"),
        ({"hop_length": "short"}, "hop_length is 'short'"),
    ],
)
def test_an_argument_of_the_pipeline_that_is_not_supported_is_named(wrong, message):
    config, _, state = example()
    with pytest.raises(HostError, match=message):
        pipeline_from(arguments_of(config) | wrong, state)


def test_a_softmax_over_songs_is_refused():
    config, _, state = example(block="tdc")
    with pytest.raises(HostError, match="tdc_activation is 'softmax'"):
        load_published(state, arguments_of(config) | {"tdc_activation": "softmax"})


def test_arguments_of_training_are_ignored():
    config, network, state = example(block="tfc_tdf")
    training = {
        "lr": 1e-3,
        "optimizer": "adam",
        "train_loss": object(),
        "tif_init_mode": "dk",
        "gpus": 4,
        "f_down_layers": "[0]",
    }
    loaded = load_published(state, arguments_of(config) | training)
    torch.testing.assert_close(outputs(loaded, config), outputs(network, config), rtol=0, atol=0)


def test_a_window_that_was_trained_is_refused():
    _, _, state = example()
    with pytest.raises(HostError, match="stft.stft.window"):
        load_published(state | {"stft.stft.window": torch.rand(32)}, {"n_fft": 32})


def test_parameters_of_another_network_are_named_as_the_file_has_them():
    config, _, state = example(block="tfc_tdf")
    arguments = arguments_of(config)
    key = "encoders.0.tif.tif.0.weight"
    with pytest.raises(HostError, match=f"^it lacks parameters: {re.escape(key)}$"):
        load_published({name: value for name, value in state.items() if name != key}, arguments)
    with pytest.raises(HostError, match="^it has unknown parameters: encoders.0.attention.weight$"):
        load_published(state | {"encoders.0.attention.weight": torch.zeros(1)}, arguments)
    with pytest.raises(
        HostError, match=r"shapes .*\[5, 16\] instead of \[4, 16\] for the first\): encoders.0.tif.tif.0.weight$"
    ):
        load_published(state | {key: torch.zeros(5, 16)}, arguments)


def test_arguments_of_another_network_name_the_first_parameters_that_differ():
    _, _, state = example(block="tfc_tdf")
    with pytest.raises(
        HostError,
        match=r"it lacks parameters: encoders.0.H.0.0.weight.* and \d+ more; it has unknown .*encoders.0.tfc.H.0.0",
    ):
        load_published(state, arguments_of(config_of({"block": "tdc"})))
    with pytest.raises(HostError, match="it lacks parameters: embedding.weight"):
        load_published(state, arguments_of(config_of({"block": "tfc_tdf", "modulation": "film"})))
    with pytest.raises(HostError, match="do not fit .*: first_conv.0.weight"):
        load_published(state, {"internal_channels": 8})


def test_an_unknown_architecture_says_what_it_begins_with():
    with pytest.raises(HostError, match=r"architecture is not known: .* features.0.weight, features.0.bias"):
        load_published(
            nn.Sequential().add_module("features", nn.Sequential(nn.Linear(2, 2)))
            or {"features.0.weight": torch.ones(2), "features.0.bias": torch.ones(2)}
        )
    with pytest.raises(HostError, match="architecture is not known"):
        load_published({"first_conv.0.weight": torch.ones(2, 4, 1, 2), "mid_block.weight": torch.ones(3)})


@pytest.fixture
def lightning(monkeypatch):
    """A stand-in for PyTorch Lightning, to be pickled by the names of its classes; gone when files are read."""
    names = (
        "pytorch_lightning.utilities.parsing",
        "pytorch_lightning.callbacks.model_checkpoint",
        "lasaft.loss_functions",
    )
    for name in names:
        for depth in range(name.count(".") + 1):
            module = ".".join(name.split(".")[: depth + 1])
            monkeypatch.setitem(sys.modules, module, types.ModuleType(module))

    def made(name: str, base: type) -> type:
        module, _, own = name.rpartition(".")
        kind = type(own, (base,), {"__module__": module})
        setattr(sys.modules[module], own, kind)
        return kind

    yield made
    monkeypatch.undo()


@pytest.mark.parametrize("container", ["dict", "Namespace", "AttributeDict"])
def test_a_lightning_file_brings_its_arguments(tmp_path, lightning, monkeypatch, container):
    config, network, state = example(block="lasaft", modulation="gpocm", activation="tanh")
    hyper = arguments_of(config) | {"lr": 0.001}
    loss = lightning("lasaft.loss_functions.SpectrogramLoss", object)()
    loss.criterion = nn.functional.mse_loss
    hyper["train_loss"] = loss
    if container == "Namespace":
        hyper = argparse.Namespace(**hyper)
    elif container == "AttributeDict":
        hyper = lightning("pytorch_lightning.utilities.parsing.AttributeDict", dict)(hyper)
    callback = lightning("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint", object)
    content = {
        "state_dict": {f"spec2spec.{key}": value for key, value in state.items()}
        | {"stft.stft.window": torch.hann_window(32)},
        "hyper_parameters": hyper,
        "hparams_type": type(hyper),
        "callbacks": {callback: {"best_model_path": Path("epoch=1.ckpt"), "best_model_score": np.float64(0.5)}},
    }
    if container == "dict":
        del content["hparams_type"]
    torch.save(content, tmp_path / "a.ckpt")
    monkeypatch.undo()
    assert "pytorch_lightning" not in sys.modules
    found, arguments = read_checkpoint(tmp_path / "a.ckpt")
    assert arguments["tfc_tdf_activation"] == "tanh"
    torch.testing.assert_close(
        outputs(load_published(found, arguments), config), outputs(network, config), rtol=0, atol=0
    )


@pytest.mark.parametrize("zipped", [False, True])
def test_a_plain_state_dict_is_without_arguments(tmp_path, zipped):
    state = example()[2]
    torch.save(state, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found, arguments = read_checkpoint(tmp_path / "a.pt")
    assert arguments is None
    assert found.keys() == state.keys()


def test_arguments_beside_a_file_go_before_those_in_it(tmp_path, monkeypatch):
    state = example(block="tfc_tdf")[2]
    inside = {"n_fft": 32, "tfc_tdf_activation": "relu", "target_name": "drums", "hop_length": 16}
    torch.save({"state_dict": state, "hyper_parameters": inside}, tmp_path / "a.ckpt")
    (tmp_path / "a.json").write_text(json.dumps({"tfc_tdf_activation": "tanh"}))
    written = []
    monkeypatch.setattr(models.checkpoint, "export_separator", lambda *values: written.append(values))
    assert import_checkpoint(tmp_path / "a.ckpt", "mine", tmp_path, tmp_path / "a.json") == tmp_path / "mine.onnx"
    ((separator, metadata, _),) = written
    assert (metadata.architecture, metadata.stems, metadata.frames) == ("tfc-tdf", ("drums",), 4)
    assert any(isinstance(module, nn.Tanh) for module in separator.modules())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "are not JSON"),
        ("[1]", "must be names with values"),
        (None, "cannot be read"),
        (b"\xff\xfe\x00", "are not JSON"),
    ],
)
def test_arguments_that_are_no_json_object_are_refused(tmp_path, content, message):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HostError, match=message):
        read_arguments(path)


def test_a_truncated_file_is_refused_on_the_command_line(tmp_path, capsys):
    torch.save(example()[2], tmp_path / "whole.pt")
    whole = (tmp_path / "whole.pt").read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        assert run_live.main(["import", str(tmp_path / "cut.pt"), "--name", "cut"]) == 1
        assert "cut.pt was not imported: it is not a checkpoint, or a damaged one" in capsys.readouterr().err


class Payload:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_hostile_file_is_refused_wherever_its_load_lies(tmp_path):
    trace = tmp_path / "executed"
    state = example()[2]
    for number, content in enumerate(
        (Payload(trace), {"state_dict": state, "hyper_parameters": Payload(trace)}, state | {"x": Payload(trace)})
    ):
        torch.save(content, tmp_path / f"{number}.pt")
        torch.save(content, tmp_path / f"{number}-old.pt", _use_new_zipfile_serialization=False)
        (tmp_path / f"{number}.pkl").write_bytes(pickle.dumps(content, protocol=2))
        for path in (f"{number}.pt", f"{number}-old.pt", f"{number}.pkl"):
            with pytest.raises(HostError, match="never loaded"):
                read_checkpoint(tmp_path / path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [[1, 2], {}, {"state_dict": {}}, {"state_dict": {"a": 1}}, {1: torch.ones(1)}, {"a": torch.ones(2).to_sparse()}],
    ids=str,
)
def test_what_holds_no_parameters_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(HostError, match="no state dict of tensors"):
        read_checkpoint(tmp_path / "a.pt")


def test_the_description_is_that_of_the_network():
    config, _, state = example(block="lasaft", modulation="gpocm")
    assert config_from(arguments_of(config), state) == replace(config, bn_factor_rnn=16, min_bn_units_rnn=16)
