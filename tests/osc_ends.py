"""Stand-ins for the ends of an OSC server: an engine, a wall clock, and a client that is no part of the host."""

from __future__ import annotations

import socket
import time

from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from realtime.latency import Latency
from realtime.telemetry import Telemetry

STEMS = ("vocals", "drums", "bass", "other")
RATE = 44100
SNAPSHOT = Telemetry(
    hops=7, misses=1, xruns=2, position=3584, latency=Latency(512, 0, 512), rate=RATE, hop=512, block=512,
    work_ms=(1.0, 2.0, 3.0, 4.0), deadline_ms=11.6, load=0.25,
    meters={"input": (0.5, 0.25), "output": (0.5, 0.25), "vocals": (0.5, 0.25)},
    spectra={"input": bytes(128), "output": bytes(range(128)), "vocals": bytes(128)},
)


class Link:
    def __init__(self):
        self.submitted, self.snapshot, self.asked = [], SNAPSHOT, 0

    def submit(self, mix, at):
        self.submitted.append((mix, at))

    def position(self, wall):
        return round((wall - 1_600_000_000) * RATE)

    def telemetry(self):
        self.asked += 1
        return self.snapshot


class Clock:
    """Wall-clock time that moves only when told."""

    now = 1_700_000_000.0

    def __call__(self):
        return self.now


class Client:
    """A raw UDP socket that speaks OSC."""

    beats = False

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.host = ("127.0.0.1", port)
        self.port = self.socket.getsockname()[1]

    def send(self, address, *values, tags=None):
        self.socket.sendto(built(address, *values, tags=tags).dgram, self.host)

    def send_raw(self, packet):
        self.socket.sendto(packet, self.host)

    def receive(self):
        """Return the next message; heart-beats, which come when they like, only where they are asked for."""
        while True:
            message = OscMessage(self.socket.recv(65536))
            if message.address != "/heartbeat" or self.beats:
                return message.address, *message.params

    def until(self, address):
        """Return what arrives before `address`, and its arguments last."""
        got = []
        while not got or got[-1][0] != address:
            got.append(self.receive())
        return got

    def ping(self):
        """Return everything that was answered to what was sent before."""
        self.send("/ping")
        return self.until("/pong")[:-1]


def built(address, *values, tags=None):
    builder = OscMessageBuilder(address)
    for i, value in enumerate(values):
        builder.add_arg(value, tags[i] if tags else None)
    return builder.build()


def bundle(when, *messages):
    builder = OscBundleBuilder(when)
    for message in messages:
        builder.add_content(message if not isinstance(message, tuple) else built(*message))
    return builder.build()


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "did not happen within 5 s"
        time.sleep(0.002)
