"""The OSC client: one UDP socket, kept subscribed, polled by the Qt event loop."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from pyqtgraph.Qt import QtCore
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.osc_packet import OscPacket

POLL = 0.015
READ_LIMIT = 2000
PARSE_LIMIT = 200
KNOWN_LIMIT = 2000
LARGEST = 65536


class Client(QtCore.QObject):
    """A subscriber of the host at `host`:`port` that mends its own connection.

    Every `beat` seconds it subscribes anew and pings; with no datagram for one and a half beats the
    host counts as not answering. `received(address, values)` fires for each message and
    `answering(bool)` when the host comes or goes. `values` keeps the last values by address.

    Work per poll is bounded: of the datagrams waiting, only the newest for each address is parsed
    (every message of the protocol is a state, so the last one is the truth), and where there are
    still too many, telemetry is dropped, and controls wait for the next poll: they are told once.

    Raises OSError when `host` cannot be resolved.
    """

    received = QtCore.Signal(str, object)
    answering = QtCore.Signal(bool)

    def __init__(self, host: str, port: int, beat: float = 2.0, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.target = (socket.gethostbyname(host), port)
        self.name = f"{host}:{port}"
        self.alive = False
        self.values: dict[str, tuple] = {}
        self._patience = 1.5 * beat
        self._heard = 0.0
        self._left: dict[bytes | int, bytes] = {}
        self._bundles = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1" if self._is_loopback(self.target[0]) else "", 0))
        self._poll = QtCore.QTimer(self)
        self._poll.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._poll.timeout.connect(self._receive)
        self._poll.start(round(1000 * POLL))
        self._beat = QtCore.QTimer(self)
        self._beat.timeout.connect(self._subscribe)
        self._beat.start(round(1000 * beat))
        QtCore.QTimer.singleShot(0, self, self._subscribe)

    @property
    def port(self) -> int:
        """The port this client listens on."""
        return self._socket.getsockname()[1]

    def send(self, address: str, *values: float | str) -> None:
        """Send one message; booleans travel as integers. A network that is down is reported by silence, not here."""
        with suppress(OSError):
            self._socket.sendto(_message(address, values).dgram, self.target)

    def send_together(self, messages: Sequence[tuple[str, Sequence[float]]]) -> None:
        """Send messages that the host applies as one change."""
        if len(messages) == 1:
            self.send(messages[0][0], *messages[0][1])
            return
        bundle = OscBundleBuilder(IMMEDIATELY)
        for address, values in messages:
            bundle.add_content(_message(address, values))
        with suppress(OSError):
            self._socket.sendto(bundle.build().dgram, self.target)

    def close(self) -> None:
        """Unsubscribe and close the socket."""
        if self._socket.fileno() < 0:
            return
        self._poll.stop()
        self._beat.stop()
        self.send("/unsubscribe", self.port)
        self._socket.close()

    def _subscribe(self) -> None:
        if self._socket.fileno() < 0:
            return
        self.send("/subscribe", self.port)
        self.send("/ping")

    def _receive(self) -> None:
        newest, self._left = self._left, {}
        for _ in range(READ_LIMIT):
            try:
                datagram, sender = self._socket.recvfrom(LARGEST)
            except BlockingIOError:
                break
            except OSError:
                continue
            if sender[0] != self.target[0] and not (self._is_loopback(sender[0]) and self._is_loopback(self.target[0])):
                continue
            address = datagram[: datagram.find(b"\0")]
            self._bundles += 1
            key = self._bundles if address == b"#bundle" else address
            newest.pop(key, None)
            newest[key] = datagram
        waiting = sorted(newest.items(), key=lambda item: item[1].startswith(b"/telemetry"))
        for _, datagram in waiting[:PARSE_LIMIT]:
            self._deliver(datagram)
        over = [item for item in waiting[PARSE_LIMIT:] if not item[1].startswith(b"/telemetry")]
        self._left = dict(over[:KNOWN_LIMIT])
        if self.alive and time.monotonic() - self._heard > self._patience:
            self.alive = False
            self.answering.emit(False)

    def _deliver(self, datagram: bytes) -> None:
        try:
            messages = [timed.message for timed in OscPacket(datagram).messages]
        except Exception:  # noqa: BLE001 - garbage makes the parser raise much more than its own ParseError
            return
        if not messages:
            return
        self._heard = time.monotonic()
        if not self.alive:
            self.alive = True
            self.answering.emit(True)
        for message in messages[:PARSE_LIMIT]:
            values = tuple(message.params)
            if message.address in self.values or len(self.values) < KNOWN_LIMIT:
                self.values[message.address] = values
            self.received.emit(message.address, values)

    @staticmethod
    def _is_loopback(address: str) -> bool:
        return address.startswith("127.")


def _message(address: str, values: Sequence[float | str]) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(int(value) if isinstance(value, bool) else value)
    return builder.build()
