"""What the host accepts as a separator, and that running one neither copies nor forgets."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from realtime import library
from realtime.errors import HostError
from realtime.latency import Mode
from realtime.metadata import KEY, Metadata, Training
from realtime.providers import CPU, PROVIDERS, fallback, in_turn
from realtime.separator import Separator, flush_denormals

onnx = pytest.importorskip("onnx", reason="needs the train extra to make separators with")
helper = onnx.helper

METADATA = Metadata(
    name="tiny",
    architecture="test",
    stems=("vocals", "drums"),
    sample_rates=(44100,),
    channels=2,
    n_fft=16,
    frames=1,
    lookahead=0,
    modes={"low": Mode(4, 8, "asymmetric-4")},
    training=Training("none", "MIT"),
    weights="0" * 64,
)
SPECTRUM = [4, 1, 9]


def tensor(name: str, shape: list, kind: int = onnx.TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def write(path, text: str | None = None, drop: str = "", **changed):
    """Write a separator: a shared running sum of the mixture plus a running sum of each condition."""
    values = {
        "mixture": tensor("mixture", [1, *SPECTRUM]),
        "condition": tensor("condition", ["stems", 2]),
        "state_0": tensor("state_0", [1, *SPECTRUM]),
        "state_1": tensor("state_1", ["stems", 2]),
        "estimate": tensor("estimate", ["stems", *SPECTRUM]),
        "next_state_0": tensor("next_state_0", [1, *SPECTRUM]),
        "next_state_1": tensor("next_state_1", ["stems", 2]),
    } | changed
    nodes = [
        helper.make_node("Add", ["state_0", "mixture"], ["next_state_0"]),
        helper.make_node("Add", ["state_1", "condition"], ["next_state_1"]),
        helper.make_node("ReduceSum", ["next_state_1", "axis"], ["level"], keepdims=1),
        helper.make_node("Reshape", ["level", "column"], ["gain"]),
        helper.make_node("Mul", ["gain", "next_state_0"], ["estimate"]),
    ]
    weights = [
        helper.make_tensor("axis", onnx.TensorProto.INT64, [1], [1]),
        helper.make_tensor("column", onnx.TensorProto.INT64, [4], [-1, 1, 1, 1]),
    ]
    inputs = [value for name, value in values.items() if name in ("mixture", "condition", "state_0", "state_1")]
    outputs = [value for name, value in values.items() if name.startswith(("estimate", "next")) and name != drop]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {KEY: METADATA.to_json() if text is None else text} if text != "" else {})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def tiny(tmp_path):
    return Separator.load(write(tmp_path / "tiny.onnx"))


def edited(**changed) -> str:
    document = json.loads(METADATA.to_json()) | changed
    return json.dumps({name: value for name, value in document.items() if value is not ...})


def test_metadata_survives_its_json():
    assert Metadata.from_json(METADATA.to_json()) == METADATA


@pytest.mark.parametrize(
    ("changed", "clause"),
    [
        ({"format": 2}, "format version is 2"),
        ({"format": ...}, "'format' is missing"),
        ({"stems": ...}, "lacks the field 'stems'"),
        ({"stems": []}, "'stems'"),
        ({"stems": ["a b"]}, "'stems'"),
        ({"stems": ["a", "a"]}, "'stems'"),
        ({"stems": [[]]}, "'stems'"),
        ({"sample_rates": 44100}, "'sample_rates'"),
        ({"sample_rates": [44100.5]}, "'sample_rates'"),
        ({"channels": True}, "'channels'"),
        ({"n_fft": 17}, "'n_fft'"),
        ({"frames": 0}, "'frames'"),
        ({"lookahead": -1}, "'lookahead'"),
        ({"chunk": -1}, "'chunk'"),
        ({"chunk": 1.5}, "'chunk'"),
        ({"normalisation": "ortho"}, "'normalisation'"),
        ({"runs": ["sometimes"]}, "'runs'"),
        ({"weights": "abc"}, "'weights'"),
        ({"name": ""}, "'name'"),
        ({"training": {"data": "x"}}, "'training'"),
        ({"training": {"data": "x", "licence": 1}}, "'training.licence'"),
        ({"modes": {}}, "'modes'"),
        ({"modes": {"low": {"hop": "4", "synthesis": 8, "analysis": "hann"}}}, "'modes.low'"),
        ({"modes": {"low": {"hop": 8, "synthesis": 4, "analysis": "hann"}}}, "'modes.low'"),
        ({"modes": {"low": {"hop": 4, "synthesis": 8, "analysis": "kaiser"}}}, "unknown analysis window"),
        ({"modes": {"low": {"hop": 4, "synthesis": 32, "analysis": "hann"}}}, "longer than the frame"),
        ({"modes": {"low": {"hop": 3, "synthesis": 8, "analysis": "hann"}}}, "multiple of the hop"),
        ({"modes": {"low": {"hop": 4, "synthesis": 8, "analysis": "asymmetric-4", "interleave": 0}}}, "'modes.low'"),
        (
            {"frames": 2, "modes": {"low": {"hop": 4, "synthesis": 8, "analysis": "asymmetric-4", "interleave": 2}}},
            "'modes.low.interleave'",
        ),
        ({"quality": {"safe": {"vocals": 1.0}}}, "'quality.safe'"),
        ({"quality": {"low": {"piano": 1.0}}}, "'quality.low'"),
        ({"quality": {"low": {"vocals": "good"}}}, "'quality.low'"),
    ],
)
def test_a_broken_clause_of_the_metadata_is_named(changed, clause):
    with pytest.raises(HostError, match=clause):
        Metadata.from_json(edited(**changed))


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_metadata_that_is_not_an_object_is_refused(text):
    with pytest.raises(HostError, match="JSON"):
        Metadata.from_json(text)


def test_metadata_from_before_there_were_chunks_has_none():
    assert Metadata.from_json(edited(chunk=...)) == METADATA
    assert Metadata.from_json(edited(chunk=128)).chunk == 128


def test_unknown_metadata_is_ignored():
    assert Metadata.from_json(edited(colour="blue")) == METADATA


def test_a_separator_tells_what_it_is(tiny):
    assert tiny.metadata == METADATA
    assert [state.per_stem for state in tiny.states] == [False, True]
    assert tiny.states[1].zeros(3).shape == (3, 2)


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        ({"text": ""}, "no metadata"),
        ({"text": edited(format=9)}, "format version is 9"),
        ({"text": edited(n_fft=32)}, "'mixture' is \\[1, 4, 1, 9\\]"),
        ({"text": edited(channels=1)}, "'mixture' is"),
        ({"text": edited(stems=["vocals"])}, "'condition' is \\[stems, 2\\]"),
        ({"drop": "next_state_1"}, "its outputs are"),
        ({"condition": tensor("condition", ["batch", 2])}, "'condition' is \\[batch, 2\\]"),
        ({"condition": tensor("condition", [1, 2])}, "'condition' is \\[1, 2\\]"),
        ({"state_0": tensor("state_0", [1, "channels", 1, 9])}, "only its first dimension"),
        ({"next_state_1": tensor("next_state_1", ["other", 2])}, "'next_state_1' is"),
    ],
)
def test_a_file_that_breaks_the_contract_is_refused_with_the_clause(tmp_path, broken, clause):
    with pytest.raises(HostError, match=f"was not loaded: .*{clause}"):
        Separator.load(write(tmp_path / "broken.onnx", **broken))


def test_another_number_type_is_refused(tmp_path):
    shape = [1, *SPECTRUM]
    node = helper.make_node("Identity", ["mixture"], ["estimate"])
    graph = helper.make_graph(
        [node],
        "double",
        [tensor("mixture", shape, onnx.TensorProto.DOUBLE), tensor("condition", ["stems", 2])],
        [tensor("estimate", shape, onnx.TensorProto.DOUBLE)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {KEY: METADATA.to_json()})
    (tmp_path / "double.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(HostError, match="tensor\\(double\\)"):
        Separator.load(tmp_path / "double.onnx")


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: b"not a network", lambda data: data[: len(data) // 2]])
def test_a_corrupt_file_is_refused(tmp_path, spoil):
    path = write(tmp_path / "corrupt.onnx")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(HostError, match="was not loaded"):
        Separator.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(HostError, match="cannot be read"):
        Separator.load(tmp_path / "absent.onnx")


@pytest.mark.parametrize("stems", [1, 3])
def test_a_runner_reads_and_writes_its_own_arrays(tiny, stems):
    runner = tiny.runner(stems)
    arrays = (runner.mixture, runner.condition, runner.estimate)
    addresses = [array.ctypes.data for array in arrays]
    total, sums = 0, np.zeros((stems, 1, 1, 1))
    for step in range(1, 6):
        runner.mixture[:] = step
        runner.condition[:] = np.arange(stems)[:, None] + step
        runner.run()
        total += step
        sums += 2 * (np.arange(stems) + step).reshape(-1, 1, 1, 1)
        np.testing.assert_array_equal(runner.estimate, np.broadcast_to(sums * total, runner.estimate.shape))
    assert runner.estimate.shape == (stems, *SPECTRUM)
    assert [array.ctypes.data for array in arrays] == addresses


def test_reset_replays_bit_exactly(tiny):
    runner = tiny.runner(2)
    frames = np.random.default_rng(0).standard_normal((7, 1, *SPECTRUM)).astype(np.float32)

    def play() -> list[np.ndarray]:
        heard = []
        for frame in frames:
            runner.mixture[:] = frame
            runner.condition[:] = frame[0, 0, 0, :2]
            runner.run()
            heard.append(runner.estimate.copy())
        return heard

    first = play()
    runner.reset()
    np.testing.assert_array_equal(play(), first)


@pytest.mark.parametrize("most", [64, 1])
@pytest.mark.parametrize("interleave", [2, 3])
def test_interleaved_states_are_as_many_streams_taking_turns(tiny, interleave, most, monkeypatch):
    monkeypatch.setattr("realtime.separator._MOST_BINDINGS", most)
    runner, alone = tiny.runner(2, interleave=interleave), [tiny.runner(2) for _ in range(interleave)]
    frames = np.random.default_rng(0).standard_normal((13, 1, *SPECTRUM)).astype(np.float32)

    def play() -> list[np.ndarray]:
        heard = []
        for frame in frames:
            runner.mixture[:], runner.condition[:] = frame, frame[0, 0, 0, :2]
            runner.run()
            heard.append(runner.estimate.copy())
        return heard

    first = play()
    for turn, frame in enumerate(frames):
        one = alone[turn % interleave]
        one.mixture[:], one.condition[:] = frame, frame[0, 0, 0, :2]
        one.run()
        np.testing.assert_array_equal(first[turn], one.estimate)
    runner.reset()
    np.testing.assert_array_equal(play(), first)


def test_a_mode_tells_how_many_states_take_turns():
    modes = {"lower": Mode(4, 8, "asymmetric-4", interleave=2)}
    assert Metadata.from_json(edited(modes={name: vars(mode) for name, mode in modes.items()})).modes == modes
    before = {"low": {"hop": 4, "synthesis": 8, "analysis": "asymmetric-4"}}
    assert Metadata.from_json(edited(modes=before)).modes["low"].interleave == 1


def test_two_runners_do_not_share_state(tiny):
    one, other = tiny.runner(1), tiny.runner(1)
    for runner in (one, other):
        runner.mixture[:] = 1
        runner.condition[:] = 1
    one.run()
    one.run()
    other.run()
    assert other.estimate.max() == 2


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_estimate_that_is_not_finite_is_noticed(tiny, value):
    runner = tiny.runner(1)
    assert runner.finite()
    runner.condition[:] = 1
    runner.mixture[0, 1, 0, 3] = value
    runner.run()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not runner.finite()


def test_a_provider_that_cannot_be_had_leaves_the_work_to_the_cpu_and_a_sentence(tiny):
    separator = Separator.load(tiny.path, in_turn("cuda"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner = separator.runner(1)
    if runner.providers[0] == PROVIDERS["cuda"]:
        pytest.skip("there is a card here")
    assert runner.providers == CPU
    assert fallback("cuda", runner.providers) == (
        "The network runs on 'cpu', because 'cuda' cannot be had here; "
        "it needs an NVIDIA card with its driver, and the gpu extra in place of cpu."
    )
    assert fallback("cpu", runner.providers) is None
    assert in_turn("tensorrt") == (PROVIDERS["tensorrt"], PROVIDERS["cuda"], *CPU)
    with pytest.raises(HostError, match="there is no provider 'tpu'; there are cpu, cuda"):
        in_turn("tpu")


def test_states_on_a_card_go_back_to_zero_with_a_reset(tiny, monkeypatch):
    """Without a card its place is taken by memory that is not the host's own: a copy."""
    import onnxruntime

    plain = onnxruntime.OrtValue.ortvalue_from_numpy
    kept = []

    def elsewhere(array, device="cpu", number=0):
        if device == "cpu":
            return plain(array)
        kept.append(array.copy())
        return plain(kept[-1])

    monkeypatch.setattr("realtime.separator.ON_DEVICE", {CPU[0]: "cuda"})
    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_numpy", staticmethod(elsewhere))
    runner = tiny.runner(1)
    runner.mixture[:], runner.condition[:] = 1, 1
    heard = []
    for _ in range(2):
        for _ in range(3):
            runner.run()
        heard.append(runner.estimate.copy())
        runner.reset()
    assert heard[0].max() > 2
    np.testing.assert_array_equal(*heard)


def test_another_number_of_frames_is_refused(tiny):
    assert tiny.runner(1, frames=1).mixture.shape == (1, *SPECTRUM)
    with pytest.raises(HostError, match="1 frames per call, not 2"):
        tiny.runner(1, frames=2)
    with pytest.raises(HostError, match="at least one"):
        tiny.runner(0)


def test_a_thread_can_take_denormals_for_zero(tiny):
    runner = tiny.runner(1)
    runner.condition[:] = 0.25
    runner.mixture[:] = 1.5e-38
    heard = []

    def work() -> None:
        heard.append(flush_denormals())
        runner.run()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if not heard[0]:
        pytest.skip("this processor offers no flush-to-zero that we know of")
    assert not runner.estimate.any()


def test_without_onnx_runtime_the_extras_are_named(tmp_path, monkeypatch):
    path = write(tmp_path / "tiny.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(HostError, match=r"\[cpu\].*\[gpu\]"):
        Separator.load(path)


def test_the_host_needs_neither_torch_nor_onnx():
    code = "import sys, realtime.separator, realtime.library; assert not {'torch', 'onnx', 'models', 'export'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_separators_are_found_by_path_and_by_name(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(library, "user_folder", lambda: tmp_path / "user")
    with pytest.raises(HostError, match="none is installed"):
        library.find_separator("mine")
    for folder, name in (("shipped", "both"), ("user", "both"), ("user", "mine")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.onnx").touch()
    assert list(library.list_separators()) == ["both", "mine"]
    assert library.find_separator("both") == tmp_path / "shipped" / "both.onnx"
    assert library.find_separator("mine") == tmp_path / "user" / "mine.onnx"
    assert library.find_separator(tmp_path / "user" / "mine.onnx") == tmp_path / "user" / "mine.onnx"
    with pytest.raises(HostError, match="no separator 'yours'.*both, mine"):
        library.find_separator("yours")
