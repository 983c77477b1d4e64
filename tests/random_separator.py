"""A small separator of four stems with random weights: cheap, with memory, and different for every condition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.latency import Mode
from realtime.library import SHIPPED
from realtime.metadata import KEY, Metadata, Training

STEMS = ("vocals", "drums", "bass", "other")
CHANNELS, N_FFT, CENTRES = 2, 2048, 8


def four_stem_separator(folder: Path) -> Path:
    """Return the shipped separator, or a random one written into `folder`; skip where it cannot be made."""
    shipped = SHIPPED / "lasaft-live.onnx"
    return shipped if shipped.is_file() else write_random_separator(folder / "random.onnx")


def write_random_separator(path: Path) -> Path:
    """Write a separator whose masks move with the smoothed power in a few bands and with the recent conditions."""
    onnx = pytest.importorskip("onnx", reason="needs the train extra to make a separator with")
    helper, single = onnx.helper, onnx.TensorProto.FLOAT
    bins, random = N_FFT // 2 + 1, np.random.default_rng(7)
    metadata = Metadata(
        name="random",
        architecture="test",
        stems=STEMS,
        sample_rates=(44100,),
        channels=CHANNELS,
        n_fft=N_FFT,
        frames=1,
        lookahead=0,
        modes={"low": Mode(512, 1024, "asymmetric-512")},
        training=Training("none", "MIT"),
    )

    def tensor(name: str, *shape: int | str):
        return helper.make_tensor_value_info(name, single, list(shape))

    def weights(name: str, values: np.ndarray):
        return onnx.numpy_helper.from_array(values.astype(np.float32), name)

    # Smooth over frequency, so that a mask's response in time is short.
    steps = np.cos(np.pi * np.arange(CENTRES)[:, None] * (np.arange(bins) + 0.5) / bins)
    bands = np.maximum(0, 1 - np.abs(np.arange(bins)[:, None] / bins * CENTRES - np.arange(CENTRES) - 0.5))
    nodes = [
        helper.make_node("Mul", ["mixture", "mixture"], ["power"]),
        helper.make_node("ReduceMean", ["power", "channels"], ["level"], keepdims=0),
        helper.make_node("MatMul", ["level", "bands"], ["banded"]),
        helper.make_node("Sqrt", ["banded"], ["amplitude"]),
        helper.make_node("Mul", ["amplitude", "new"], ["fresh"]),
        helper.make_node("Mul", ["state_0", "old"], ["kept"]),
        helper.make_node("Add", ["fresh", "kept"], ["next_state_0"]),
        helper.make_node("Tanh", ["next_state_0"], ["heard"]),
        helper.make_node("Mul", ["condition", "new"], ["wanted"]),
        helper.make_node("Mul", ["state_1", "old"], ["had"]),
        helper.make_node("Add", ["wanted", "had"], ["next_state_1"]),
        helper.make_node("MatMul", ["heard", "hearing"], ["heard_shape"]),
        helper.make_node("MatMul", ["next_state_1", "asking"], ["asked_shape"]),
        helper.make_node("Add", ["heard_shape", "asked_shape"], ["shape"]),
        helper.make_node("MatMul", ["shape", "steps"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["mask"]),
        helper.make_node("Unsqueeze", ["mask", "planes"], ["wide"]),
        helper.make_node("Mul", ["wide", "mixture"], ["estimate"]),
    ]
    spectrum = (2 * CHANNELS, 1, bins)
    graph = helper.make_graph(
        nodes,
        "random",
        [tensor("mixture", 1, *spectrum), tensor("condition", "stems", 4), tensor("state_0", 1, CENTRES), tensor("state_1", "stems", 4)],
        [tensor("estimate", "stems", *spectrum), tensor("next_state_0", 1, CENTRES), tensor("next_state_1", "stems", 4)],
        [
            onnx.numpy_helper.from_array(np.array([1, 2]), "channels"),
            onnx.numpy_helper.from_array(np.array([1, 2]), "planes"),
            weights("bands", bands),
            weights("steps", steps),
            weights("hearing", random.standard_normal((CENTRES, CENTRES))),
            weights("asking", 3 * random.standard_normal((4, CENTRES))),
            weights("new", np.array([0.3])),
            weights("old", np.array([0.7])),
        ],
    )
    # An axes input for ReduceMean came with opset 18.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {KEY: metadata.to_json()})
    path.write_bytes(model.SerializeToString())
    return path
