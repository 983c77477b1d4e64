"""Devices: files in and out, the clock, and PortAudio itself on a JACK server without hardware."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtime import atomics
from realtime.bridge import Bridge
from realtime.devices import Device
from realtime.devices.file import FileSink, FileSource
from realtime.devices.null import NullDevice
from realtime.devices.portaudio import PortAudioDevice
from realtime.errors import HostError
from tests.jack_server import jack_missing, jack_server

HERE = Path(__file__).resolve().parent
RATE = 44100


def noise(length: int, channels: int = 2) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((length, channels))).astype(np.float32)


def drain(source: FileSource, n: int = 1000) -> np.ndarray:
    blocks = []
    while len(block := source.read(n)):
        blocks.append(block)
    return np.concatenate(blocks)


# Files.


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("n", [1, 7, 512, 100_000])
def test_a_float_file_reads_back_to_the_bit(tmp_path, channels, n):
    sound = noise(3000, channels)
    soundfile.write(tmp_path / "a.wav", sound, RATE, "FLOAT")
    source = FileSource(tmp_path / "a.wav", RATE)
    assert (source.channels, source.frames, source.notice) == (channels, 3000, None)
    assert np.array_equal(drain(source, n), sound)
    assert source.read(10).shape == (0, channels)


@pytest.mark.parametrize("file_rate", [22050, 48000, 96000])
def test_a_file_at_another_rate_is_resampled_in_place(tmp_path, file_rate):
    def tone(rate: int) -> np.ndarray:
        return np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32)[:, None]

    soundfile.write(tmp_path / "a.wav", tone(file_rate), file_rate, "FLOAT")
    heard = drain(FileSource(tmp_path / "a.wav", RATE), 333)
    assert len(heard) == RATE
    middle = slice(2000, -2000)
    assert np.abs(heard[middle] - tone(RATE)[middle]).max() < 1e-3


def test_samples_that_are_not_numbers_become_silence_and_are_counted(tmp_path):
    sound = noise(1000)
    sound[10, 0], sound[20, 1], sound[30, 0] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", sound, RATE, "FLOAT")
    source = FileSource(tmp_path / "a.wav", RATE)
    heard = drain(source)
    assert "3 samples" in source.notice
    assert not heard[[10, 20, 30], [0, 1, 0]].any()
    assert np.isfinite(heard).all()


def test_files_that_cannot_be_played_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(HostError, match="there is no file"):
        FileSource(tmp_path / "none.wav", RATE)
    with pytest.raises(HostError, match="is a folder"):
        FileSource(tmp_path, RATE)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(HostError, match="is empty"):
        FileSource(tmp_path / "empty.wav", RATE)
    soundfile.write(tmp_path / "silent.wav", noise(0), RATE)
    with pytest.raises(HostError, match="holds no audio"):
        FileSource(tmp_path / "silent.wav", RATE)
    (tmp_path / "text.wav").write_text("no sound here " * 100)
    with pytest.raises(HostError, match="cannot be read as audio"):
        FileSource(tmp_path / "text.wav", RATE)


@pytest.mark.parametrize("format", ["wav", "aiff", "flac"])
def test_a_file_cut_short_is_refused_before_it_plays(tmp_path, format):
    path = tmp_path / f"a.{format}"
    soundfile.write(path, noise(20000), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(HostError, match="cut short|damaged"):
        FileSource(path, RATE)


def test_a_sink_writes_a_plain_float_wav(tmp_path):
    sound = noise(2000)
    sound[5] = 3.5
    sink = FileSink(tmp_path / "a.wav", RATE, 2)
    for block in np.array_split(sound, 7):
        sink.write(block)
    sink.close()
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.subtype, info.samplerate) == ("FLOAT", RATE)
    assert (tmp_path / "a.wav").read_bytes()[:4] == b"RIFF"
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], sound)


def test_a_sink_that_cannot_be_made_says_so(tmp_path):
    with pytest.raises(HostError, match="cannot be written"):
        FileSink(tmp_path / "none" / "a.wav", RATE, 2)


# The clock.


def null_run(sound: np.ndarray, bridge: Bridge, block: int, rate: int = 1_000_000) -> tuple[NullDevice, np.ndarray]:
    blocks, at = [], 0

    def source(n: int) -> np.ndarray:
        nonlocal at
        at += n
        return sound[at - n : at]

    device = NullDevice(source, rate, block, sink=lambda rows: blocks.append(rows.copy()))
    device.start(bridge)
    assert device.wait(30)
    return device, np.concatenate(blocks)


@pytest.mark.parametrize("length", [0, 1000, 1024, 5000])
def test_the_null_device_plays_everything_and_flushes_the_latency(length):
    bridge = Bridge(300, 1, np.zeros(0))
    bridge.publish(noise(0), noise(0), 1.0)
    sound = noise(length)
    device, heard = null_run(sound, bridge, 512)
    assert len(heard) == length + 300
    assert not heard[:300].any()
    assert np.array_equal(heard[300:], sound)
    assert device.error is None


def test_two_threads_race_and_every_sample_is_right():
    bridge = Bridge(2000, 64, np.linspace(1, 0, 34, dtype=np.float32)[1:-1])
    bridge.publish(noise(0), noise(0), 1.0)
    sound = noise(400_000)
    playing = threading.Event()
    playing.set()

    def infer() -> None:
        buffer = np.zeros((96, 2), np.float32)
        while playing.is_set():
            at = bridge.published
            if at + 96 > bridge.available():
                continue
            if bridge.read(at, 96, buffer):
                bridge.publish(buffer[:64], buffer[64:] * np.linspace(1, 0, 34)[1:-1, None], 1.0)
            else:
                bridge.skip_to(bridge.available())

    thread = threading.Thread(target=infer)
    thread.start()
    _, heard = null_run(sound, bridge, 128, 4_000_000)
    playing.clear()
    thread.join()
    # Wet and dry are the same sound here, so that misses do not show; only a torn read would. The
    # fill gain starts at 0, which does show, until the first hop has been played.
    assert np.abs(heard[12000:] - sound[10000:]).max() < 1e-4


def test_a_source_that_fails_ends_the_stream_with_a_sentence():
    def source(n: int) -> np.ndarray:
        raise HostError("the disk is gone")

    device = NullDevice(source, RATE, 512)
    device.start(Bridge(300, 1, np.zeros(0)))
    assert device.wait(10)
    assert "the disk is gone" in device.error


def test_the_null_device_stops_at_once():
    device = NullDevice(lambda n: np.zeros((n, 2), np.float32), 8000, 80000)
    device.start(Bridge(300, 1, np.zeros(0)))
    stopper = threading.Thread(target=device.stop)
    stopper.start()
    stopper.join(5)
    assert not stopper.is_alive()
    assert not device.active()


def test_devices_refuse_a_bridge_of_other_channels():
    with pytest.raises(ValueError, match="differ in channels"):
        NullDevice(lambda n: np.zeros((n, 1)), RATE, 64, (1, 2)).start(Bridge(1, 1, np.zeros(0)))


def test_the_null_device_keeps_the_protocol():
    device: Device = NullDevice(lambda n: np.zeros((n, 1)), RATE, 64, (1, 2))
    assert (device.in_channels, device.out_channels, device.block, device.rate) == (1, 2, 64, RATE)
    assert (device.input_latency, device.output_latency, device.active()) == (0, 0, False)


# PortAudio.


def on_jack(*arguments: str) -> str:
    """Run a script beside a JACK server of its own and return what it printed."""
    if reason := jack_missing():
        pytest.skip(reason)
    with jack_server() as environment:
        command = [sys.executable, *arguments]
        options = {"capture_output": True, "text": True, "timeout": 90, "cwd": HERE.parent}
        result = subprocess.run(command, check=False, env=environment, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


WITHOUT_NUMBA = "import runpy, sys; sys.modules['numba'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"


@pytest.mark.parametrize("kind", ["compiled", "python", "lockstep"])
def test_portaudio_delivers_every_sample_with_one_delay_when_freewheeling(kind):
    if kind == "compiled" and atomics.njit is None:
        pytest.skip("numba is not installed")
    script = str(HERE / "jack_duplex.py")
    if kind == "python":
        heard = json.loads(on_jack("-c", WITHOUT_NUMBA, script, "dry"))
    else:
        heard = json.loads(on_jack(script, "dry" if kind == "compiled" else kind))
    assert heard["error"] is None
    assert heard["exact"]
    # The bridge delays by 1000; the host API may add whole periods of 512.
    extra = heard["delay"] - 1000
    assert extra % 512 == 0
    assert 0 <= extra <= 1024
    assert heard["heard"] == heard["at_delay"] == heard["frames"] - heard["delay"]


def test_portaudio_plays_in_real_time_through_an_inference_thread():
    heard = json.loads(on_jack(str(HERE / "jack_duplex.py"), "echo"))
    assert heard["error"] is None
    assert heard["callbacks"] > 20
    # A busy machine may drop a period, never the majority of them.
    assert heard["at_delay"] > heard["frames"] / 2
    assert (heard["delay"] - 1000) % 512 == 0
    assert all(0 <= latency < RATE for latency in heard["latencies"])
    assert "player: 2 in, 0 out, 44100 Hz" in heard["devices"]


REFUSALS = """
import sounddevice
from realtime.devices.portaudio import PortAudioDevice
from realtime.errors import HostError
for arguments in (dict(device="no such card"), dict(device=99), dict(rate=12345), dict(channels=(2, 64))):
    try:
        PortAudioDevice(**arguments)
    except HostError as problem:
        print(str(problem).replace("\\n", " "))
sounddevice._terminate()
"""


def test_what_portaudio_cannot_do_is_refused_with_what_it_can():
    name, index, rate, channels = on_jack("-c", REFUSALS).splitlines()
    for refusal in (name, index, channels):
        assert "system: 2 in, 2 out" in refusal
    assert "no such card" in name
    assert "99" in index
    assert "12345 Hz" in rate
    assert "it accepts 44100." in rate
    assert "not 64" in channels


def test_a_missing_library_is_named(monkeypatch):
    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(HostError, match="libportaudio2"):
        PortAudioDevice()
