"""Weights rounded to int8, and the network folded to fewer operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
onnx = pytest.importorskip("onnx", reason="needs the train extra")

from export import verify as verification
from export.exporter import export_separator
from export.int8 import BLOCK, round_blocks, to_int8
from models.card import lasaft_live_metadata
from models.lasaft_live import LasaftLive, LasaftLiveConfig
from realtime.errors import HostError
from realtime.separator import Separator

CONFIG = LasaftLiveConfig(hidden=96, bottleneck=64, head_channels=8, head_width=4, head_hidden=64)


@pytest.fixture(scope="module")
def network() -> LasaftLive:
    torch.manual_seed(0)
    network = LasaftLive(CONFIG).eval()
    with torch.no_grad():
        for norm in (*network.norms, network.out_norm, *(tdf.norm for tdf in network.tdfs)):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
        network.feature_mean.uniform_(-5, 5)
        network.feature_scale.uniform_(0.2, 0.5)
        network.static_mask.uniform_(0, 1)
        network.static_share.fill_(0.3)
    return network


@torch.no_grad()
def test_the_folded_network_is_the_network(network):
    folded = network.folded().eval()
    state = own = network.initial_states()[0]
    for seed in range(10):
        torch.manual_seed(seed)
        mixture, condition = torch.randn(1, 4, 1, 1025), torch.rand(3, 4)
        expected, state = network(mixture, condition, state)
        found, own = folded(mixture, condition, own)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(own, state, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(folded.attention(condition), network.attention(condition))


def test_rounding_is_within_half_a_step_of_its_block():
    random = np.random.default_rng(0)
    weight = random.standard_normal((5, 3 * BLOCK - 7)).astype(np.float32)
    weight[0, :BLOCK] = 0
    numbers, scales = round_blocks(weight)
    back = ((numbers.astype(np.float32) - 128) * scales.reshape(5, 3, 1)).reshape(5, -1)[:, : weight.shape[1]]
    step = scales.reshape(5, 3).repeat(BLOCK, 1)[:, : weight.shape[1]]
    assert (np.abs(back - weight) <= 0.5001 * step).all()
    assert (numbers.reshape(5, -1)[0, :BLOCK] == 128).all()


def test_int8_takes_a_quarter_of_the_size_and_hardly_any_separation(network, tmp_path):
    metadata = lasaft_live_metadata({})
    full = export_separator(network, metadata, tmp_path / "full.onnx")
    small = export_separator(network, metadata, tmp_path / "small.onnx", int8=True)
    assert full.loss is None and small.loss < 0.02
    assert small.error == full.error < 1e-4
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("small", "full")]
    assert sizes[0] < 0.4 * sizes[1]
    weights = [Separator.load(tmp_path / f"{name}.onnx").metadata.weights for name in ("small", "full")]
    assert weights[0] != weights[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full.onnx", "small.onnx"]


def test_rounding_that_costs_separation_is_refused_and_leaves_the_file(network, tmp_path, monkeypatch):
    path = tmp_path / "small.onnx"
    path.write_bytes(b"before")
    monkeypatch.setattr(verification, "LOSS", -1.0)
    with pytest.raises(HostError, match="dB of SDR, allowed is"):
        export_separator(network, lasaft_live_metadata({}), path, int8=True)
    assert path.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1


def test_stems_that_the_demo_song_lacks_cannot_be_rounded(network, tmp_path):
    metadata = replace(lasaft_live_metadata({}), stems=("vocals", "drums", "bass", "flute"))
    with pytest.raises(HostError, match="no flute"):
        export_separator(network, metadata, tmp_path / "flute.onnx", int8=True)


def test_small_products_and_those_of_two_signals_are_left_alone():
    float32, node = onnx.TensorProto.FLOAT, onnx.helper.make_node
    graph = onnx.helper.make_graph(
        [
            node("MatMul", ["x", "big"], ["y"]),
            node("MatMul", ["y", "small"], ["z"]),
            node("MatMul", ["x", "z"], ["w"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("x", float32, [80, 80])],
        [onnx.helper.make_tensor_value_info("w", float32, [80, 80])],
        [
            onnx.numpy_helper.from_array(np.ones((80, 64), np.float32), "big"),
            onnx.numpy_helper.from_array(np.ones((64, 20), np.float32), "small"),
        ],
    )
    assert [each.op_type for each in to_int8(onnx.helper.make_model(graph)).graph.node] == ["MatMulNBits", "MatMul", "MatMul"]


def test_one_constant_may_be_multiplied_with_as_it_stands_and_turned():
    rng = np.random.default_rng(0)
    weight, x = rng.standard_normal((64, 64), np.float32), rng.standard_normal((1, 64), np.float32)
    nodes = [onnx.helper.make_node("Gemm", ["x", "w"], ["a"], transB=1), onnx.helper.make_node("MatMul", ["x", "w"], ["b"])]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 64]) for name in "xab"]
    graph = onnx.helper.make_graph(nodes, "tied", ends[:1], ends[1:], [onnx.numpy_helper.from_array(weight, "w")])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    session = ort.InferenceSession(to_int8(model).SerializeToString(), providers=["CPUExecutionProvider"])
    for given, exact in zip(session.run(None, {"x": x}), (x @ weight.T, x @ weight), strict=True):
        assert np.abs(given - exact).max() < 0.05 * np.abs(exact).max()
