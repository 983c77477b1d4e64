"""Separators that need no torch: the shipped identity, and small ones of operators put together by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from osc_ends import Client, Clock, Link

from realtime.latency import Mode
from realtime.library import SHIPPED
from realtime.metadata import KEY, Metadata, Training
from realtime.osc import OscServer
from realtime.state import ControlState

ROOT = Path(__file__).resolve().parents[1]
N_FFT = 1024
# Every kind of mode: twice and thrice overlapped, a short overlap, and both kinds of analysis window.
MODES = {
    "safe": Mode(512, 1024, "asymmetric-512"),
    "low": Mode(256, 320, "asymmetric-64"),
    "lower": Mode(128, 384, "asymmetric-256"),
    "extreme": Mode(64, 128, "hann"),
}
STEMS = ("vocals", "drums", "bass", "other")
# A single spectral line louder than this makes the poisoned separator give NaN.
POISON = 100.0


def metadata(name: str, stems: tuple[str, ...]) -> Metadata:
    return Metadata(
        name=name,
        architecture="test",
        stems=stems,
        sample_rates=(44100,),
        channels=2,
        n_fft=N_FFT,
        frames=1,
        lookahead=0,
        modes=MODES,
        training=Training("none", "MIT"),
    )


class Graph:
    """An ONNX graph written down node by node."""

    def __init__(self) -> None:
        self.onnx = pytest.importorskip("onnx", reason="needs the train extra to make separators with")
        self.nodes, self.weights = [], []

    def weight(self, values: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(self.onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def number(self, value: float) -> str:
        return self.weight(np.float32(value))

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes) -> str:
        output = output or f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def write(
        self,
        path: Path,
        meta: Metadata | None,
        states: dict[str, list],
        frames: int = 1,
        n_fft: int = N_FFT,
        valid: bool = False,
    ) -> Path:
        helper, single = self.onnx.helper, self.onnx.TensorProto.FLOAT

        def tensor(name: str, shape: list):
            return helper.make_tensor_value_info(name, single, shape)

        spectrum = [4, frames, n_fft // 2 + 1]
        inputs = [tensor("mixture", [1, *spectrum]), tensor("condition", ["stems", len(meta.stems) if meta else 1])]
        inputs += [tensor("valid", [1])] if valid else []
        inputs += [tensor(name, shape) for name, shape in states.items()]
        outputs = [tensor("estimate", ["stems", *spectrum])]
        outputs += [tensor(f"next_{name}", shape) for name, shape in states.items()]
        graph = helper.make_graph(self.nodes, "test", inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        if meta is not None:
            helper.set_model_props(model, {KEY: meta.to_json()})
        path.write_bytes(model.SerializeToString())
        return path


def write_four_stems(path: Path) -> Path:
    """Masks that depend on the condition and on two states: the mixture's past, and each stem's own."""
    random, graph = np.random.default_rng(5), Graph()
    bins = N_FFT // 2 + 1
    # Smooth over frequency, so that a mask does not ring beyond the frame.
    shapes = np.cos(np.pi * np.arange(6)[:, None] * np.arange(bins) / bins)
    weights = (random.standard_normal((4, 6)) @ shapes).astype(np.float32)
    past = graph.op("Mul", "state_0", graph.number(0.6))
    now = graph.op("Mul", "mixture", graph.number(0.4))
    shared = graph.op("Add", past, now, output="next_state_0")
    logits = graph.op("MatMul", "condition", graph.weight(weights))
    mask = graph.op("Unsqueeze", graph.op("Sigmoid", logits), graph.weight(np.array([1, 2])))
    wide = graph.op("Mul", mask, graph.op("Add", "mixture", shared))
    own = graph.op("Add", wide, graph.op("Mul", "state_1", graph.number(0.5)), output="next_state_1")
    level = graph.op("ReduceSum", "condition", graph.weight(np.array([1])), keepdims=1)
    level = graph.op("Unsqueeze", graph.op("Mul", level, graph.number(0.3)), graph.weight(np.array([2, 3])))
    graph.op("Mul", own, level, output="estimate")
    states = {"state_0": [1, 4, 1, bins], "state_1": ["stems", 4, 1, bins]}
    return graph.write(path, metadata("four", STEMS), states)


def write_swap(path: Path, meta: Metadata | None = metadata("swap", ("swapped",))) -> Path:
    """Left and right exchanged at half the level: unlike the mixture, without memory."""
    graph = Graph()
    swapped = graph.op("Gather", "mixture", graph.weight(np.array([2, 3, 0, 1])), axis=1)
    half = graph.op("Mul", swapped, graph.number(0.5))
    graph.op("Mul", half, graph.op("Unsqueeze", "condition", graph.weight(np.array([2, 3]))), output="estimate")
    return graph.write(path, meta, {})


def write_poisoned(path: Path) -> Path:
    """Half the mixture plus half its past; NaN, in the state too, while any line is louder than POISON."""
    graph = Graph()
    loudest = graph.op("ReduceMax", graph.op("Abs", "mixture"), keepdims=0)
    loud = graph.op("Greater", loudest, graph.number(POISON))
    factor = graph.op("Where", loud, graph.number(np.nan), graph.number(0.5))
    now = graph.op("Mul", "mixture", factor)
    past = graph.op("Mul", "state_0", graph.number(0.5))
    both = graph.op("Add", now, past, output="next_state_0")
    graph.op("Mul", both, graph.op("Unsqueeze", "condition", graph.weight(np.array([2, 3]))), output="estimate")
    return graph.write(path, metadata("poisoned", ("all",)), {"state_0": [1, 4, 1, N_FFT // 2 + 1]})


@pytest.fixture(scope="session")
def identity() -> Path:
    """The shipped separator that changes nothing: one stem, any latency mode."""
    return SHIPPED / "identity.onnx"


@pytest.fixture(scope="session")
def four_stems(tmp_path_factory) -> Path:
    """A separator of four stems with states, random weights and every kind of mode."""
    return write_four_stems(tmp_path_factory.mktemp("separators") / "four.onnx")


@pytest.fixture(scope="session")
def swap(tmp_path_factory) -> Path:
    """A separator whose result differs from the mixture and remembers nothing."""
    return write_swap(tmp_path_factory.mktemp("separators") / "swap.onnx")


@pytest.fixture(scope="session")
def poisoned(tmp_path_factory) -> Path:
    """A separator with a state that gives NaN when it hears something loud."""
    return write_poisoned(tmp_path_factory.mktemp("separators") / "poisoned.onnx")


@pytest.fixture
def link() -> Link:
    """An engine that plays nothing, with telemetry that stands still."""
    return Link()


@pytest.fixture
def clock() -> Clock:
    """Wall-clock time that moves only when told."""
    return Clock()


@pytest.fixture
def state(link, clock) -> ControlState:
    """The controls of four stems, for `link`."""
    return ControlState(STEMS, link, clock)


@pytest.fixture
def server(state):
    """An OSC server on a free port."""
    with OscServer(state, port=0) as running:
        yield running


@pytest.fixture
def client(server):
    """A client of `server` over UDP."""
    made = Client(server.port)
    yield made
    made.socket.close()
