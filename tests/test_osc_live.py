"""OSC is heard: messages of a foreign client change the sound where they should, without a click."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from realtime.chain import chain_for
from realtime.demo import demo_song
from realtime.engine import Engine, full_mix
from realtime.library import SHIPPED
from realtime.osc import OscServer
from realtime.packets import encode
from realtime.separator import Separator
from realtime.state import AHEAD, ControlState
from realtime.stream import Stream
from tests.hearing import RATE, brightness, cross_fade, level
from tests.jack_peers import ROOT, host

BLOCK = 512
GLIDE = round(0.03 * RATE)
LEAD = 64 * BLOCK
AT = 60 * BLOCK
PATIENCE = 30.0


@pytest.fixture(scope="module")
def separator(request) -> Separator:
    shipped = SHIPPED / "lasaft-live.onnx"
    return Separator.load(shipped if shipped.is_file() else request.getfixturevalue("four_stems"))


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    return demo_song(1.5).mixture


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "the host did not do what it was told"
        time.sleep(0.002)


def send_foreign(port: int, address: str, text: str) -> None:
    """Send one text with liblo's client, or with python-osc's where that is missing."""
    if shutil.which("oscsend"):
        subprocess.run(["oscsend", "127.0.0.1", str(port), address, "s", text], check=True, timeout=PATIENCE)
    else:
        from pythonosc.udp_client import SimpleUDPClient

        SimpleUDPClient("127.0.0.1", port).send_message(address, text)


class Rig:
    """A host without a device: a stream that stands still unless it is driven, and whose clock is its own."""

    def __init__(self, separator: Separator, run: str, preset: str) -> None:
        names = separator.metadata.stems
        engine = Engine(separator, separator.metadata.modes["low"], 2, run, full_mix(names))
        chain = chain_for(engine, RATE)
        self.stream = Stream(chain, chain.latency(BLOCK, BLOCK), RATE, BLOCK)
        self.taken = 0
        self.submitted = threading.Event()
        self._heard: list[np.ndarray] = []
        self.state = ControlState(names, self, self.clock)
        self.server = OscServer(self.state, port=0)
        self.state.set("/glide", 0)
        self.state.set("/preset", preset)
        self.play(np.zeros((LEAD - BLOCK, 2)))
        self.state.set("/glide", 30)
        self.play(np.zeros((BLOCK, 2)))
        self.submitted.clear()

    # The link. Its clock shows a time that is exact in float64.

    def submit(self, mix, at) -> None:
        self.stream.submit(mix, at)
        self.submitted.set()

    def position(self, wall: float) -> int:
        return round((wall - 1e9) * RATE)

    def telemetry(self):
        return self.stream.telemetry()

    def clock(self) -> float:
        return 1e9 + self.taken / RATE

    def play(self, sound: np.ndarray) -> None:
        """Take `sound` [samples, 2] in, block by block, each of its hops computed before the next."""
        for start in range(0, len(sound), BLOCK):
            block, out = np.zeros((2, BLOCK, 2), np.float32)
            rows = sound[start : start + BLOCK]
            block[: len(rows)] = rows
            self.stream.bridge.process(block, out)
            self._heard.append(out)
            self.taken += BLOCK
            while self.stream.advance():
                pass

    @property
    def heard(self) -> np.ndarray:
        """What came out since the song began."""
        return np.concatenate(self._heard)[LEAD:]


def constant(separator: Separator, run: str, song: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is heard of `song` under the preset before the change, and under the one after it."""
    rigs = [Rig(separator, run, preset) for preset in ("instrumental", "drums")]
    for rig in rigs:
        rig.play(song)
        rig.server.close()
    return rigs[0].heard, rigs[1].heard


def switched(separator: Separator, run: str, song: np.ndarray) -> tuple[np.ndarray, Rig]:
    """Return what is heard of `song` where a foreign client changes the preset at the song's sample AT, and the rig."""
    rig = Rig(separator, run, "instrumental")
    with rig.server:
        rig.play(song[:AT])
        send_foreign(rig.server.port, "/preset", "drums")
        wait_for(rig.submitted.is_set)
        rig.play(song[AT:])
    return rig.heard, rig


def test_a_preset_is_heard_within_a_hop_of_its_message_as_a_cross_fade_of_stems(separator, song):
    heard, rig = switched(separator, "stems", song)
    before, after = constant(separator, "stems", song)
    begun = int(np.flatnonzero((heard != before).any(axis=1))[0])
    # What was finished ahead of its time, the reserve, is still played: a hop, or a block.
    assert AT <= begun <= AT + max(rig.stream.chain.hop, BLOCK)
    wanted = cross_fade(before, after, begun, GLIDE)
    assert level((heard - wanted)[begun:], wanted[begun:]) <= -100
    assert level((heard - wanted)[begun : begun + GLIDE], wanted[begun : begun + GLIDE]) <= -60
    assert brightness(heard, begun, GLIDE, before, after) <= 1


def test_a_preset_in_single_goes_over_into_the_new_condition_without_a_click(separator, song):
    heard, rig = switched(separator, "single", song)
    before, after = constant(separator, "single", song)
    begun = int(np.flatnonzero((heard != before).any(axis=1))[0])
    assert AT <= begun <= AT + max(rig.stream.chain.hop, BLOCK)
    assert level((heard - after)[-RATE // 4 :], after[-RATE // 4 :]) <= -60
    assert brightness(heard, begun, GLIDE, before, after) <= 1


def test_a_time_tag_lands_on_its_sample(separator, song):
    ahead = 7777
    message = encode("/preset", "s", ("drums",))
    rig = Rig(separator, "stems", "instrumental")
    with rig.server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        rig.play(song[:AT])
        tag = round((rig.clock() + ahead / RATE + 2_208_988_800) * 2**32)
        bundle = b"#bundle\0" + struct.pack(">Qi", tag, len(message)) + message
        client.sendto(bundle, ("127.0.0.1", rig.server.port))
        client.sendto(encode("/ping", "", ()), ("127.0.0.1", rig.server.port))
        client.settimeout(PATIENCE)
        client.recv(100)
        assert not rig.submitted.is_set()
        # The stream stands still where the change is to be handed over, until it has been.
        near = (ahead - round(AHEAD * RATE)) // BLOCK * BLOCK + BLOCK
        rig.play(song[AT : AT + near])
        wait_for(rig.submitted.is_set)
        rig.play(song[AT + near :])
    before, after = constant(separator, "stems", song)
    begun = AT + ahead + rig.stream.latency.added
    assert np.array_equal(rig.heard[:begun], before[:begun])
    assert (rig.heard[begun] != before[begun]).any()
    wanted = cross_fade(before, after, begun, GLIDE)
    assert level((rig.heard - wanted)[begun:], wanted[begun:]) <= -100


# The window.


def waiting_bytes(pid: int) -> int:
    """Return how many bytes wait at the UDP sockets of process `pid`."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
        except FileNotFoundError:
            continue
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[9] in inodes)


def test_a_window_that_hangs_or_dies_does_not_stop_the_sound(separator, tmp_path):
    if find_spec("PySide6") is None or find_spec("pyqtgraph") is None:
        pytest.skip("the window's packages, PySide6 and pyqtgraph, are not installed")
    if not Path("/proc/net/udp").exists():
        pytest.skip("whether the window listens can be seen under Linux only")
    take = tmp_path / "take.wav"
    with host("--device", "null", "--input", "demo", "--model", str(separator.path), "--record", str(take)) as running:
        running.ask("/telemetry/hops")
        window = subprocess.Popen(
            [sys.executable, "-m", "gui", "--port", str(running.port)],
            cwd=ROOT,
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
            stderr=subprocess.PIPE,
            text=True,
        )

        def goes_on(hops: int = 60) -> None:
            begun = running.ask("/telemetry/hops")[0]
            wait_for(lambda: running.ask("/telemetry/hops")[0] >= begun + hops)

        try:
            wait_for(lambda: window.poll() is not None or waiting_bytes(window.pid))
            if window.poll() is not None:
                pytest.skip(f"the window does not start here: {window.stderr.read().strip()}")
            window.send_signal(signal.SIGSTOP)
            wait_for(lambda: waiting_bytes(window.pid) > 50_000)
            goes_on()
            window.kill()
            window.wait(PATIENCE)
            goes_on()
            hops, rms = running.ask("/telemetry/hops")[0], running.ask("/telemetry/meter/output")[1]
        finally:
            window.kill()
            window.communicate()
        assert running.stop() == 0
    assert rms > 0
    assert "Traceback" not in running.stderr
    heard = soundfile.read(take, dtype="float32")[0]
    assert len(heard) >= hops * separator.metadata.modes["low"].hop
    # No stretch of a quarter of a second is silent, the first one apart.
    quarters = np.abs(heard[: len(heard) // (RATE // 4) * (RATE // 4)]).max(axis=1).reshape(-1, RATE // 4).max(axis=1)
    assert (quarters[2:] > 1e-4).all()
