"""What goes wrong is said in one sentence, with an exit status, and without a traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from conftest import ROOT, metadata, write_swap
from playing import noise

import run_live
from realtime.control import Refused
from realtime.latency import Mode
from realtime.metadata import KEY
from realtime.state import ControlState


def refusal(capsys, *arguments: object) -> str:
    """Run a command that fails, and return its one sentence."""
    assert run_live.main([*map(str, arguments)]) == 1
    return sentence(capsys.readouterr().err)


def sentence(error: str) -> str:
    assert error.startswith("error: "), error
    assert "Traceback" not in error
    assert error.count("error: ") == 1
    assert len(error.splitlines()[0]) > 30
    return error


def live(*arguments: object) -> str:
    """Start the host as a user does and return how it refuses; for what is found only once the engine is up."""
    command = [sys.executable, "run_live.py", "--no-window", "--osc-port", str(free_port()), *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    return sentence(done.stderr)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def song(tmp_path) -> Path:
    soundfile.write(tmp_path / "song.wav", noise(20000), 44100, subtype="FLOAT")
    return tmp_path / "song.wav"


# Audio.


def damaged(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
        return path
    soundfile.write(path, noise(0 if kind == "silent" else 20000), 44100, subtype="FLOAT")
    whole = path.read_bytes()
    content = {
        "empty": b"",
        "text": b"la la la",
        "truncated": whole[: len(whole) // 2],
        "header": whole[:30],
        "silent": whole,
    }
    path.write_bytes(content[kind])
    return path


AUDIO = [
    ("missing", "no file"),
    ("folder", "is a folder"),
    ("empty", "is empty"),
    ("text", "cannot be read as audio"),
    ("truncated", "cut short"),
    ("header", ""),
    ("silent", "holds no audio"),
]


@pytest.mark.parametrize(("kind", "says"), AUDIO)
def test_audio_that_is_none_is_refused(tmp_path, identity, capsys, kind, says):
    error = refusal(capsys, "separate", damaged(tmp_path, kind), "-o", tmp_path / "out", "--model", identity)
    assert says in error
    assert f"{kind}.wav" in error
    assert not (tmp_path / "out").exists()


def test_a_live_source_that_is_none_is_refused(tmp_path, identity):
    assert "cut short" in live("--model", identity, "--device", "null", "--input", damaged(tmp_path, "truncated"))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, identity, song, capsys):
    (tmp_path / "out").write_text("a file")
    assert "cannot be made a folder" in refusal(capsys, "separate", song, "-o", tmp_path / "out", "--model", identity)


def test_a_folder_in_the_place_of_a_result_is_refused_and_left(tmp_path, identity, song, capsys):
    (tmp_path / "out" / "song" / "all.wav").mkdir(parents=True)
    assert "all.wav cannot be written" in refusal(capsys, "separate", song, "-o", tmp_path / "out", "--model", identity)
    assert [path.name for path in (tmp_path / "out" / "song").iterdir()] == ["all.wav"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["perform", "demo", "--gesture", "{}", "-o", "out.wav"],
        ["perform", "demo", "--gesture", "docs/control/demo.gesture", "-o", "{}"],
        ["perform", "{}", "--gesture", "docs/control/demo.gesture", "-o", "out.wav"],
        ["perform", "demo", "--gesture", "docs/control/demo.gesture", "-o", "out.wav", "--model", "{}"],
        ["bench", "--json", "{}"],
        ["soak", "--json", "{}"],
        ["midi", "--midi-map", "{}"],
        ["--device", "null", "--record", "{}"],
    ],
    ids=" ".join,
)
def test_a_folder_in_the_place_of_a_file_is_called_one_at_once(tmp_path, capsys, arguments):
    assert run_live.main([str(tmp_path) if each == "{}" else each for each in arguments]) == 1
    # A bar of progress may have stood on the line.
    assert f"{tmp_path} is a folder" in sentence(capsys.readouterr().err.lstrip())


def test_a_recording_that_cannot_be_written_is_refused_before_the_music(tmp_path, identity, song):
    assert "cannot be written" in live(
        "--model", identity, "--device", "null", "--input", song, "--record", tmp_path / "no" / "out.wav"
    )
    (tmp_path / "taken").write_text("a file")
    assert "cannot be made a folder" in live(
        "--model", identity, "--device", "null", "--input", song, "--stems", tmp_path / "taken"
    )


# Separators.


def spoiled(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.onnx"
    if kind == "missing":
        return path
    onnx = pytest.importorskip("onnx", reason="needs the train extra to make separators with")
    write_swap(path, None if kind == "bare" else metadata("swap", ("swapped",)))
    if kind == "corrupt":
        path.write_bytes(path.read_bytes()[:100] + b"\xff" * 200)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind in ("later", "foreign"):
        model = onnx.load(path)
        document = json.loads(metadata("swap", ("swapped",)).to_json()) | {"format": 2}
        onnx.helper.set_model_props(model, {KEY: json.dumps(document) if kind == "later" else "hello"})
        onnx.save(model, path)
    elif kind == "wide":
        write_swap(path, replace(metadata("swap", ("swapped",)), n_fft=2048, modes={"low": Mode(512, 1024)}))
    return path


SEPARATORS = [
    ("missing", "cannot be read"),
    ("corrupt", "not an ONNX file"),
    ("empty", "not an ONNX file"),
    ("bare", "carries no metadata"),
    ("later", "format version is 2"),
    ("foreign", "not a JSON document"),
    ("wide", "where the contract wants"),
]


@pytest.mark.parametrize(("kind", "says"), SEPARATORS)
def test_files_that_are_no_separators_are_refused_by_every_command(tmp_path, song, capsys, kind, says):
    path = spoiled(tmp_path, kind)
    for command in (("separate", song, "-o", tmp_path / "out"), ("osc",), ("--device", "null", "--no-window")):
        error = refusal(capsys, *command, "--model", path)
        assert says in error
        assert f"{kind}.onnx" in error
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_is_refused_with_those_there_are(song, tmp_path, capsys):
    for command in (("separate", song, "-o", tmp_path / "out"), ("osc",), ("--no-window",)):
        error = refusal(capsys, *command, "--model", "nightingale")
        assert "'nightingale'" in error
        assert "identity" in error


def test_a_mode_the_separator_does_not_offer_is_refused_with_those_it_does(tmp_path, song, capsys):
    meta = metadata("swap", ("swapped",))
    path = write_swap(tmp_path / "swap.onnx", replace(meta, modes={"low": meta.modes["low"]}))
    error = refusal(capsys, "separate", song, "-o", tmp_path / "out", "--model", path, "--latency", "extreme")
    assert "'extreme'; it offers low" in error


def test_a_checkpoint_that_is_none_is_refused(tmp_path, capsys, monkeypatch):
    pytest.importorskip("torch", reason="needs the train extra")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "song.ckpt").write_bytes(b"la la la")
    assert "it is not a checkpoint" in refusal(capsys, "import", tmp_path / "song.ckpt", "--name", "mine")
    assert "cannot be read" in refusal(capsys, "import", tmp_path / "missing.ckpt", "--name", "mine")
    import torch

    torch.save({"weights": 1.0}, tmp_path / "odd.ckpt")
    assert "no state dict" in refusal(capsys, "import", tmp_path / "odd.ckpt", "--name", "mine")
    torch.save({"conv.weight": torch.zeros(3, 3)}, tmp_path / "other.ckpt")
    refusal(capsys, "import", tmp_path / "other.ckpt", "--name", "mine")
    refusal(capsys, "import", tmp_path / "other.ckpt", "--name", "../mine")
    assert not list(tmp_path.rglob("*.onnx"))


# Options.


@pytest.mark.parametrize("block", [-1, 1, 31, 4097])
def test_a_block_out_of_range_is_refused(identity, capsys, block):
    assert "32 to 4096" in refusal(capsys, "--model", identity, "--device", "null", f"--block={block}")


@pytest.mark.parametrize("rate", [-44100, 0, 7000, 1_000_000])
def test_a_rate_out_of_range_is_refused(identity, capsys, rate):
    assert "8000 to 384000" in refusal(capsys, "--model", identity, "--device", "null", f"--rate={rate}")


def test_a_stream_without_channels_is_refused(identity, capsys):
    assert "at least one channel" in refusal(capsys, "--model", identity, "--device", "null", "--channels", "0")


def test_an_unknown_preset_is_refused(identity, capsys):
    error = refusal(
        capsys, "--model", identity, "--device", "null", "--no-window", "--osc-port", free_port(), "--preset", "louder"
    )
    assert "louder" in error
    assert "all" in error


def test_an_unknown_stem_is_refused_with_those_there_are():
    state = ControlState(("vocals", "drums"), None)
    with pytest.raises(Refused, match="the stems are vocals, drums"):
        state.set("/stem/piano/gain", 0.5)


def test_an_unknown_device_is_refused(identity):
    assert "theremin" in live("--model", identity, "--device", "theremin") or pytest.skip("PortAudio is not installed")


def test_a_port_in_use_is_refused(identity, capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = refusal(capsys, "--model", identity, "--device", "null", "--no-window", "--osc-port", port)
    assert f"UDP port {port}" in error
    assert "--osc-port" in error


@pytest.mark.parametrize("options", [("--osc-port", 70000), ("--osc-port=-1",), ("--osc-host", "no.such.host.invalid")])
def test_an_address_that_is_none_is_refused(identity, capsys, options):
    assert "OSC cannot listen" in refusal(capsys, "--model", identity, "--device", "null", "--no-window", *options)


def test_stems_cannot_be_written_at_a_rate_the_separator_does_not_have(tmp_path, identity, song):
    error = live(
        "--model", identity, "--device", "null", "--input", song, "--rate", 96000, "--stems", tmp_path / "stems"
    )
    assert "44100 or 48000" in error


@pytest.mark.parametrize(
    "arguments", [("--latency", "soon"), ("--run", "both"), ("--block", "many"), ("separate",), ("dance",)]
)
def test_options_that_do_not_exist_are_refused_by_name(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        run_live.main(list(arguments))
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in last
    assert arguments[-1] in last
