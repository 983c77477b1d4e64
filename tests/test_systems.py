"""Every system of the slides, small and with random parameters: exported, streamed, and equal to itself offline."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need the train extra")

import run_live
from export.exporter import export_separator
from models.configuration import UNetConfig, build
from models.frames import Frames
from models.pipeline import ChunkedSeparator, Pipeline, SpectrogramSeparator
from models.systems import SYSTEMS, name_of, network_of, reduced, separator
from models.table import FIGURES, RANDOM, costs_of
from models.unet import randomised
from realtime.errors import HostError
from realtime.separator import Separator

FRAMES = 304


def changing_conditions(calls: int, stems: int) -> np.ndarray:
    """Return [calls, stems, stems]: blends, then one-hot ones, then blends that differ from call to call."""
    conditions = np.random.default_rng(1).uniform(0, 1, (calls, stems, stems)).astype(np.float32)
    conditions[: calls // 4] = conditions[0]
    conditions[calls // 4 : calls // 2] = np.eye(stems)
    return conditions


ONE_WAY = ("unet-tdc-rnn", "unet-tfc-rnn", "unet-mmdenselstm", "unet-dilated-gru", "unet-cbhg")


@pytest.mark.parametrize("name", [*SYSTEMS, *(f"{name} one way" for name in ONE_WAY)])
def test_the_exported_stream_equals_the_whole_signal_offline(name, tmp_path):
    name, one_way, _ = name.partition(" one way")
    small = reduced(SYSTEMS[name])
    if one_way:
        small = dataclasses.replace(small, network=dataclasses.replace(small.network, bidirectional=False))
    module = separator(small, randomised(network_of(small)))
    metadata = module.metadata(name, name, RANDOM)
    export_separator(module, metadata, tmp_path / "small.onnx")
    loaded = Separator.load(tmp_path / "small.onnx")
    assert loaded.metadata.lookahead == module.lookahead
    if isinstance(module, ChunkedSeparator):
        assert loaded.metadata.chunk == module.chunk > 0
        return  # what it computes is checked call by call against the module; there is no exact stream
    stems, channels, step = len(small.pipeline.stems), 2 * small.pipeline.channels, module.frames
    count = -(-FRAMES // step) * step
    calls, ahead = count // step, -(-module.lookahead // step)
    signal = np.random.default_rng(0).standard_normal((1, channels, count, 33)).astype(np.float32)
    conditions = changing_conditions(calls, stems)
    runner = loaded.runner(stems)
    parts = []
    for call in range(calls + ahead):
        inside = call < calls
        runner.mixture[:] = signal[:, :, call * step : (call + 1) * step] if inside else 0
        runner.valid[:] = inside
        runner.condition[:] = conditions[min(call, calls - 1)]
        runner.run()
        parts.append(runner.estimate.copy())
    found = np.concatenate(parts, 2)[:, :, module.lookahead :][:, :, :count]
    with torch.inference_mode():
        each = torch.from_numpy(conditions.swapaxes(0, 1).repeat(step, 1))
        wanted = module.offline(torch.from_numpy(signal), each).numpy()
    assert np.abs(found - wanted).max() <= 1e-4 * np.sqrt(np.mean(wanted**2))


LISTED = json.loads(FIGURES.read_text())
# Counting a recurrence goes through it frame by frame and takes long; those are counted when the list is written.
COUNTED = [name for name in LISTED if not LISTED[name]["chunk"] and name != "unet-mmdense"]


def test_every_system_is_listed():
    assert list(LISTED) == list(SYSTEMS)


@pytest.mark.parametrize("name", COUNTED)
def test_the_listed_costs_are_those_of_the_network(name):
    assert LISTED[name] == json.loads(json.dumps(costs_of(SYSTEMS[name]).__dict__))


def test_a_network_is_known_by_the_name_of_its_system():
    for name, system in SYSTEMS.items():
        if isinstance(system.network, UNetConfig):
            known = name_of(dataclasses.replace(system.network, t_down_layers=tuple(sorted(system.network.halving))))
            # TIC is TDC by another name, but a description says which.
            assert known == name
    assert name_of(UNetConfig("tfc", n_blocks=3, modulation="film")) == "tfc-film"


def test_one_dimensional_kernels_give_what_tdc_gives():
    network = randomised(build(UNetConfig("tic", n_fft=32, n_blocks=1, internal_channels=3, n_internal_layers=2)))
    x = torch.randn(2, 3, 5, 16)
    with torch.inference_mode():
        wanted = network.mid_block.dense(Frames(x)).data
        folded = x.transpose(1, 2).flatten(0, 1)
        new = folded
        for conv, norm, act in network.mid_block.H:
            one = torch.nn.functional.conv1d(folded, conv.weight.squeeze(2), conv.bias, padding=1)
            new = act(norm(one.unflatten(0, (2, 5)).transpose(1, 2))).transpose(1, 2).flatten(0, 1)
            folded = torch.cat((new, folded), 1)
        assert torch.allclose(new.unflatten(0, (2, 5)).transpose(1, 2), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({"n_blocks": 4}, "odd number of blocks"),
        ({"n_fft": 40}, "cannot be halved"),
        ({"t_down_layers": (7,)}, "time cannot be halved at level 7"),
        ({"kernel_size_t": 2}, "needs an odd one"),
        ({"block": "tfd"}, "block 'tfd' is not known"),
        ({"modulation": "flim"}, "modulation 'flim' is not known"),
        ({"modulation": "film", "condition_to": "middle"}, "not in 'middle'"),
        ({"internal_channels": 0}, "internal_channels is 0"),
        ({"activation": "gelu"}, "activation 'gelu' is not known"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused_with_the_reason(description, reason):
    with pytest.raises(HostError, match=reason):
        build(UNetConfig(**({"block": "tfc", "n_fft": 64, "n_blocks": 7} | description)))


def test_a_condition_that_does_not_fit_is_refused():
    network = build(UNetConfig("tfc", n_fft=32, n_blocks=3, modulation="film", control_input_dim=3))
    with pytest.raises(HostError, match="condition of 3 entries, but there are 4 stems"):
        SpectrogramSeparator(network, Pipeline(n_fft=32, hop=16))
    with pytest.raises(HostError, match="wants a condition of 3 entries and was given none"):
        network(torch.zeros(1, 4, 2, 17))


def test_the_list_of_systems_names_the_weights_at_hand(capsys):
    assert run_live.main(["models"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name} " in listed for name in SYSTEMS)
    assert run_live.main(["models", "--no-systems"]) == 0
    assert "lasaft-net-large" not in capsys.readouterr().out
