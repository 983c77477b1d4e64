"""Every system of the slides, small and with random parameters: exported, streamed, and equal to itself offline."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need the train extra")

from export.exporter import export_separator
from models.pipeline import ChunkedSeparator
from models.systems import SYSTEMS, network_of, reduced, separator
from models.table import FIGURES, RANDOM, costs_of
from models.unet import randomised
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


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_listed_costs_are_those_of_the_network(name):
    listed = json.loads(FIGURES.read_text())[name]
    costs = costs_of(SYSTEMS[name])
    assert listed == json.loads(json.dumps(costs.__dict__))
