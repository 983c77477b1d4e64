"""OSC is heard: messages of a foreign client change the sound where they should, without a click."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from realtime.chain import chain_for
from realtime.demo import demo_song
from realtime.engine import Engine, full_mix
from realtime.osc import OscServer, encode
from realtime.separator import Separator
from realtime.state import ControlState
from realtime.stream import Stream
from tests.jack_peers import Host, brightness, cross_fade, free_port, host, level
from tests.random_separator import four_stem_separator

RATE = 44100
BLOCK = 512
GLIDE = round(0.03 * RATE)
PATIENCE = 20.0


@pytest.fixture(scope="module")
def separator(tmp_path_factory) -> Separator:
    return Separator.load(four_stem_separator(tmp_path_factory.mktemp("separator")))


@pytest.fixture(scope="module")
def song() -> np.ndarray:
    return demo_song(2.0).mixture


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "the host did not do what it was told"
        time.sleep(0.002)


def send_foreign(port: int, address: str, text: str) -> None:
    """Send one text with liblo's client, or one that python-osc encodes where that is missing."""
    if shutil.which("oscsend"):
        subprocess.run(["oscsend", "127.0.0.1", str(port), address, "s", text], check=True, timeout=PATIENCE)
    else:
        from pythonosc.udp_client import SimpleUDPClient

        SimpleUDPClient("127.0.0.1", port).send_message(address, text)


@dataclass
class Rig:
    """A host without a device: a stream that stands still unless it is driven, and whose clock is its own."""

    stream: Stream
    state: ControlState
    server: OscServer
    taken: int = 0

    def __post_init__(self) -> None:
        self.submitted = threading.Event()
        self.heard: list[np.ndarray] = []

    # The link. Stream time is wall-clock time, from the year 2001 on.

    EPOCH = 1e9

    def submit(self, mix, at) -> None:
        self.stream.submit(mix, at)
        self.submitted.set()

    def position(self, wall: float) -> int:
        return round((wall - self.EPOCH) * RATE)

    def telemetry(self):
        return self.stream.telemetry()

    def clock(self) -> float:
        return self.EPOCH + self.taken / RATE

    def play(self, sound: np.ndarray) -> None:
        for start in range(0, len(sound), BLOCK):
            block, out = np.zeros((2, BLOCK, 2), np.float32)
            rows = sound[start : start + BLOCK]
            block[: len(rows)] = rows
            self.stream.bridge.process(block, out)
            self.heard.append(out)
            self.taken += BLOCK
            while self.stream.advance():
                pass


def rig(separator: Separator, run: str, preset: str) -> Rig:
    engine = Engine(separator, separator.metadata.modes["low"], 2, run, full_mix(separator.metadata.stems))
    chain = chain_for(engine, RATE)
    made = Rig(Stream(chain, chain.latency(BLOCK, BLOCK), RATE, BLOCK), None, None)
    made.state = ControlState(separator.metadata.stems, made, made.clock)
    made.server = OscServer(made.state, port=0)
    made.state.set("/glide", 0)
    made.state.set("/preset", preset)
    # A glide of nothing takes the mix there within the silence ahead of the song.
    made.play(np.zeros((64 * BLOCK, 2)))
    made.state.set("/glide", 30)
    made.play(np.zeros((BLOCK, 2)))
    made.submitted.clear()
    return made


def render(separator: Separator, run: str, song: np.ndarray, preset: str, event=lambda made: None, at: int = 0):
    """Play `song` under `preset`, with `event` at its sample `at`; return what was heard, from the song on, and the rig."""
    made = rig(separator, run, preset)
    lead = made.taken
    with made.server:
        made.play(song[:at])
        event(made)
        made.play(song[at:])
    return np.concatenate(made.heard)[lead:], made, lead


def test_a_preset_of_a_foreign_client_is_heard_within_a_hop_of_its_handling_as_a_cross_fade(separator, song):
    at = 60 * BLOCK

    def switch(made: Rig) -> None:
        send_foreign(made.server.port, "/preset", "drums")
        wait_for(made.submitted.is_set)

    heard, made, _ = render(separator, "stems", song, "instrumental", switch, at)
    before, after = (render(separator, "stems", song, preset)[0] for preset in ("instrumental", "drums"))
    begun = int(np.flatnonzero((heard != before).any(axis=1))[0])
    # What has been computed ahead is still played: the reserve, of one hop here.
    assert at <= begun <= at + made.stream.chain.hop
    wanted = cross_fade(before, after, begun, GLIDE)
    assert level((heard - wanted)[begun:][: 4 * GLIDE], wanted[begun:][: 4 * GLIDE]) <= -60
    assert np.array_equal(heard[:begun], before[:begun])
    assert np.allclose(heard[begun + GLIDE :], after[begun + GLIDE :], atol=1e-6)
    assert brightness(heard, begun, GLIDE, before, after) <= 1


def test_a_preset_in_single_goes_over_into_the_new_one_without_a_click(separator, song):
    at = 60 * BLOCK

    def switch(made: Rig) -> None:
        send_foreign(made.server.port, "/preset", "drums")
        wait_for(made.submitted.is_set)

    heard, made, _ = render(separator, "single", song, "instrumental", switch, at)
    before, after = (render(separator, "single", song, preset)[0] for preset in ("instrumental", "drums"))
    begun = int(np.flatnonzero((heard != before).any(axis=1))[0])
    assert at <= begun <= at + made.stream.chain.hop
    assert level((heard - before)[:begun], before[:begun]) == -200
    assert level((heard - after)[-RATE // 4 :], after[-RATE // 4 :]) <= -60
    assert brightness(heard, begun, GLIDE, before, after) <= 1


def test_a_time_tag_lands_on_its_sample(separator, song):
    at, ahead = 40 * BLOCK, 7777

    def switch(made: Rig) -> None:
        due = made.clock() + ahead / RATE
        tag = round((due + 2_208_988_800) * 2**32)
        message = encode("/preset", "s", ("drums",))
        made.server_socket_send(b"#bundle\0" + struct.pack(">Qi", tag, len(message)) + message)

    def tagged(made: Rig) -> None:
        import socket

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            made.server_socket_send = lambda packet: client.sendto(packet, ("127.0.0.1", made.server.port))
            switch(made)
        wait_for(lambda: made.state._waiting or made.submitted.is_set())
        assert not made.submitted.is_set()

    made = rig(separator, "stems", "instrumental")
    lead = made.taken
    with made.server:
        made.play(song[:at])
        tagged(made)
        # The stream stands still once the change is due for handing over, until it has been.
        rest = song[at:]
        near = (ahead - round(0.1 * RATE)) // BLOCK * BLOCK + BLOCK
        made.play(rest[:near])
        wait_for(made.submitted.is_set)
        made.play(rest[near:])
    heard = np.concatenate(made.heard)[lead:]
    before, after = (render(separator, "stems", song, preset)[0] for preset in ("instrumental", "drums"))
    begun = at + ahead + made.stream.latency.added
    assert np.array_equal(heard[:begun], before[:begun])
    wanted = cross_fade(before, after, begun, GLIDE)
    assert level((heard - wanted)[begun:], wanted[begun:]) <= -100


# The window.


def socket_queue(pid: int) -> int | None:
    """Return how many bytes wait at the UDP sockets of process `pid`; None where the system does not tell."""
    try:
        inodes = {
            target.readlink().name.removeprefix("socket:[").removesuffix("]")
            for target in Path(f"/proc/{pid}/fd").iterdir()
        }
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    except OSError:
        return None
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[9] in inodes)
