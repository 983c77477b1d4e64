"""A host of no sound over real UDP, for tests of the window."""

from __future__ import annotations

import socket

from pyqtgraph.Qt import QtCore
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

from gui.law import gain_text

STEMS = ("vocals", "drums", "bass", "other")
PRESETS = ("all", "acapella", "instrumental", "drums", "bass", "drums+bass", "no drums", "melody")


class FakeHost(QtCore.QObject):
    """A host of no sound: keeps the state it is told, echoes it to its subscriber, and remembers what it heard."""

    def __init__(self, run: str = "stems") -> None:
        super().__init__()
        self.state = {
            "/model": ("lasaft-448",), "/mode": ("low",), "/run": (run,), "/device": ("JACK dummy",), "/device/state": ("playing",), "/rate": (44100,),
            "/block": (128,), "/preset": ("all",), "/bypass": (0,), "/wet": (1.0,), "/remainder/gain": (0.0,),
        }
        for stem in STEMS:
            self.state |= {f"/stem/{stem}/gain": (0.75,), f"/stem/{stem}/mute": (0,), f"/stem/{stem}/solo": (0,)}
        # Stems come late on purpose: the window must not depend on the order.
        self.state |= {"/stems": STEMS, "/presets": PRESETS}
        self.heard: list[tuple] = []
        self.answering = self.echoing = True
        self.subscriber: tuple[str, int] | None = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self.pump)
        self._timer.start(5)

    def close(self) -> None:
        self._timer.stop()
        self._socket.close()

    def tell(self, address: str, *values) -> None:
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        self.throw(builder.build().dgram)

    def throw(self, datagram: bytes) -> None:
        if self.subscriber is not None:
            self._socket.sendto(datagram, self.subscriber)

    def put(self, address: str, *values) -> None:
        self.state[address] = values
        self.tell(address, *values)

    def said(self, address: str) -> list[tuple]:
        return [values for at, values in self.heard if at == address]

    def pump(self) -> None:
        while True:
            try:
                datagram, sender = self._socket.recvfrom(65536)
            except BlockingIOError:
                return
            for timed in OscPacket(datagram).messages:
                self._hear(timed.message.address, tuple(timed.message.params), sender)

    def _hear(self, address: str, values: tuple, sender: tuple[str, int]) -> None:
        self.heard.append((address, values))
        if not self.answering:
            return
        if address == "/subscribe":
            self.subscriber = (sender[0], values[0])
            for at, known in self.state.items():
                self.tell(at, *known)
        elif address == "/ping":
            self.tell("/pong")
        elif address in self.state and self.echoing:
            self.put(address, *values)
            if address.endswith("/gain"):
                self.tell(f"{address}/str", gain_text(values[0]))

    def telemetry(self, misses: int = 0) -> None:
        self.tell("/telemetry/latency", 1024)
        self.tell("/telemetry/latency/ms", 23.2)
        self.tell("/telemetry/latency/split", "window 512 + block 0 + reserve 512 = 1024 samples, 23.2 ms")
        self.tell("/telemetry/load", 0.18)
        self.tell("/telemetry/work", 1.9, 2.4, 3.1, 4.0)
        self.tell("/telemetry/deadline", 11.6)
        self.tell("/telemetry/misses", misses)
        self.tell("/telemetry/xruns", 0)
        for name in ("input", "output"):
            self.tell(f"/telemetry/meter/{name}", 0.7, 0.3)
            self.tell(f"/telemetry/spectrum/{name}", bytes(range(0, 256, 2)))
        if self.state["/run"] == ("stems",):
            for stem in STEMS:
                self.tell(f"/telemetry/meter/{stem}", 0.5, 0.2)
                self.tell(f"/telemetry/spectrum/{stem}", bytes(range(0, 256, 2)))
