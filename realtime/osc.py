"""The OSC server: one socket, one thread, messages handled in the order they arrive.

python-osc encodes and decodes messages. Its server is not used (it starts a thread per message and
sleeps on time tags), nor are its bundles: an element of negative size makes them loop for ever.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import OscMessageBuilder

from realtime.control import Refused, Value, below
from realtime.errors import HostError
from realtime.state import Change, ControlState, Message
from realtime.telemetry import Telemetry

MOST_SUBSCRIBERS = 32
# Packets handled before changes are published: feedback during a flood is thinned, never queued.
BATCH = 64
DEEPEST = 8
LONGEST_POLL = 0.05
LARGEST_PACKET = 65536
LARGEST_INT = 2**31 - 1

_BUNDLE = b"#bundle\x00"
_SIZES = {"i": 4, "f": 4, "h": 8, "d": 8, "T": 0, "F": 0}
_SECONDS_1900_TO_1970 = 2_208_988_800
_LONGEST_TEXT = 400
_log = logging.getLogger(__name__)

Peer = tuple[str, int]


def encode(address: str, tags: str, values: Sequence[Value]) -> bytes:
    """Return the OSC packet of one message; `tags` holds the type of each value, of f, i, s and b."""
    builder = OscMessageBuilder(address)
    for tag, value in zip(tags, values, strict=True):
        builder.add_arg(value, tag)
    return builder.build().dgram


def decode(packet: bytes) -> list[tuple[float | None, Message]]:
    """Return the messages of `packet` in its order, each with its due time in seconds since 1970 or None.

    An element of a bundle is due when the bundle around it is, or later. Raises HostError where
    any part of the packet is not what OSC 1.0 says, or nests too deeply.
    """
    found: list[tuple[float | None, Message]] = []
    _decode(packet, None, 0, found)
    return found


def _decode(packet: bytes, due: float | None, depth: int, found: list[tuple[float | None, Message]]) -> None:
    if not packet.startswith(_BUNDLE):
        found.append((due, _message(packet)))
        return
    if depth >= DEEPEST:
        raise HostError(f"a packet may nest at most {DEEPEST} bundles")
    if len(packet) < 16:
        raise HostError("a bundle ends before its time tag does")
    due = _later(due, _seconds(packet))
    at = 16
    while at < len(packet):
        size = struct.unpack_from(">i", packet, at)[0] if at + 4 <= len(packet) else -1
        if not 0 < size <= len(packet) - at - 4:
            raise HostError("a bundle's element does not have the size it says")
        _decode(packet[at + 4 : at + 4 + size], due, depth + 1, found)
        at += 4 + size


def _later(outer: float | None, inner: float | None) -> float | None:
    return inner if outer is None else outer if inner is None else max(outer, inner)


def _seconds(packet: bytes) -> float | None:
    (tag,) = struct.unpack_from(">Q", packet, 8)
    if tag <= 1:  # "immediately", and what clients without a clock send
        return None
    # NTP time starts over in 2036; its top bit tells the eras apart (RFC 4330, section 3).
    return tag / 2**32 - _SECONDS_1900_TO_1970 + (0 if tag >> 63 else 2**32)


def _message(packet: bytes) -> Message:
    try:
        address_size = _padded(packet.index(0))
        tags_end = packet.index(0, address_size) if address_size < len(packet) else address_size
        tags = packet[address_size + 1 : tags_end].decode("ascii")
        if unknown := set(tags) - set(_SIZES) - {"s", "b"}:
            raise HostError(f"an argument of type {min(unknown)!r} fits no control; allowed are i f s b h d T F")
        message = OscMessage(packet)
        # python-osc fills up numbers that are cut short and leaves negative blob sizes alone.
        size = address_size + (_padded(tags_end - address_size) if address_size < len(packet) else 0)
        for tag, value in zip(tags, message.params, strict=True):
            size += _SIZES[tag] if tag in _SIZES else _text_size(value) if tag == "s" else 4 + -(-len(value) // 4) * 4
    except (ParseError, ValueError, IndexError, struct.error) as error:
        if isinstance(error, HostError):
            raise
        raise HostError("a packet is not an OSC message") from error
    if size != len(packet) or not message.address.startswith("/"):
        raise HostError("a packet is not an OSC message: it is cut short, or more follows its arguments")
    return Message(message.address, tuple(message.params))


def _padded(length: int) -> int:
    return (length // 4 + 1) * 4


def _text_size(text: str) -> int:
    return _padded(len(text.encode()))


def telemetry_values(snapshot: Telemetry, late: int) -> dict[str, tuple[Value, ...]]:
    """Return address -> value for `snapshot`; `late` counts bundles that came after their time."""
    delay = snapshot.latency
    counts = {"hops": snapshot.hops, "misses": snapshot.misses, "xruns": snapshot.xruns, "late": late}
    values: dict[str, tuple[Value, ...]] = {
        "/telemetry/latency": (delay.added,),
        "/telemetry/latency/ms": (1000 * delay.added / snapshot.rate,),
        "/telemetry/latency/split": (delay.text(snapshot.rate),),
        "/telemetry/load": (snapshot.load,),
        "/telemetry/work": tuple(snapshot.work_ms),
        "/telemetry/deadline": (snapshot.deadline_ms,),
    }
    values |= {f"/telemetry/{name}": (min(count, LARGEST_INT),) for name, count in counts.items()}
    values |= {f"/telemetry/meter/{name}": tuple(pair) for name, pair in snapshot.meters.items()}
    values |= {f"/telemetry/spectrum/{name}": (data,) for name, data in snapshot.spectra.items()}
    for name, weights in snapshot.attention.items():
        values[f"/telemetry/attention/{name}" if name else "/telemetry/attention"] = weights
    return values


class OscServer:
    """Serves `state` over OSC on UDP, from construction until `close`.

    `port` 0 takes any free one; `telemetry_interval` is the least time between two rounds of
    telemetry, in seconds. Values go only to subscribers, refusals to the sender on /error. At most
    32 subscribers are kept; one more takes the place of the one that subscribed longest ago.
    Raises HostError where the port cannot be had.
    """

    def __init__(
        self, state: ControlState, host: str = "127.0.0.1", port: int = 9000, telemetry_interval: float = 1 / 30
    ) -> None:
        self._state = state
        self._interval = telemetry_interval
        self._subscribers: dict[Peer, set[str]] = {}
        self._changed: set[str] = set()
        self._changed_lock = threading.Lock()
        self._next_telemetry = 0.0
        self._failed = False
        self._stopping = threading.Event()
        self._requests: dict[str, Callable[[tuple, Peer], Callable[[], object]]] = {
            "/subscribe": self._subscribe,
            "/unsubscribe": self._unsubscribe,
            "/get": self._get,
            "/ping": self._ping,
        }
        self._socket = _bound_socket(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        state.watch(self._note_changed)
        self._thread = threading.Thread(target=self._run, name="osc", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving and free the port; changes that wait for their time are given up."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    # The thread.

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            wait = 0.0
            while not self._stopping.is_set():
                selector.select(wait)
                try:
                    wait = self._turn()
                except Exception:  # noqa: BLE001 - nothing may end this thread
                    self._report_failure()
                    wait = LONGEST_POLL

    def _turn(self) -> float:
        for _ in range(BATCH):
            try:
                packet, sender = self._socket.recvfrom(LARGEST_PACKET)
            except BlockingIOError:
                break
            except OSError:  # some systems report here that an earlier receiver is gone
                continue
            self._receive(packet, sender[:2])
        due = self._state.advance()
        self._publish_changes()
        self._publish_telemetry()
        return min(LONGEST_POLL, self._interval, LONGEST_POLL if due is None else due)

    def _report_failure(self) -> None:
        # Once: whoever can provoke a fault must not be able to fill a disk with it.
        if not self._failed:
            self._failed = True
            _log.exception("a fault in the OSC server; it goes on, and reports no further ones")

    def _receive(self, packet: bytes, sender: Peer) -> None:
        try:
            self._handle(packet, sender)
        except Refused as refusal:
            self._send_error(refusal.address, str(refusal), sender)
        except HostError as error:
            self._send_error("", f"{error}; nothing was changed", sender)
        except Exception:  # noqa: BLE001 - one packet may not cost the rest of its batch
            self._report_failure()
            self._send_error("", "the host failed to handle this packet", sender)

    def _handle(self, packet: bytes, sender: Peer) -> None:
        # What other hosts answer is dropped: two that refused each other's refusals would never end.
        messages = [item for item in decode(packet) if item[1].address not in ("/error", "/pong")]
        answers = []
        settings: dict[float | None, list[Message]] = {}
        for due, message in messages:
            if message.address in self._requests:
                answers.append(self._prepare(due, message, sender))
            else:
                settings.setdefault(due, []).append(message)
        self._state.apply([Change(tuple(settings[due]), due) for due in sorted(settings, key=lambda due: due or 0.0)])
        for answer in answers:
            answer()

    # Requests: checked first, so that a bundle is refused whole; answered when the rest has been done.

    def _prepare(self, due: float | None, message: Message, sender: Peer) -> Callable[[], object]:
        address = message.address
        if due is not None and due > self._state.clock():
            raise Refused(address, f"{address} is answered at once and cannot wait for a time tag; nothing was changed")
        return self._requests[address](self._state.control(address).accept(message.values), sender)

    def _subscribe(self, values: tuple, sender: Peer) -> Callable[[], object]:
        port, prefix = values
        prefix = (prefix or "").rstrip("/")
        peer = (sender[0], port or sender[1])
        if not any(below(prefix, c.address) for c in self._state.controls.values() if c.access != "write"):
            raise Refused("/subscribe", f"no value lies below {prefix[:80]!r}; nothing was subscribed")
        if peer == (self.host, self.port):
            raise Refused("/subscribe", f"port {self.port} is the host's own; nothing was subscribed")

        def answer() -> None:
            prefixes = self._subscribers.pop(peer, set())
            if len(self._subscribers) >= MOST_SUBSCRIBERS:
                oldest = next(iter(self._subscribers))
                del self._subscribers[oldest]
                self._send_error("/subscribe", f"ended: {MOST_SUBSCRIBERS} others subscribed since", oldest)
            self._subscribers[peer] = prefixes | {prefix}
            snapshot = self._telemetry()
            for address, control in self._state.controls.items():
                if control.access != "write" and below(prefix, address):
                    self._send_value(address, snapshot.get(address), [peer])

        return answer

    def _unsubscribe(self, values: tuple, sender: Peer) -> Callable[[], object]:
        peer = (sender[0], values[0] or sender[1])
        return lambda: self._subscribers.pop(peer, None)

    def _get(self, values: tuple, sender: Peer) -> Callable[[], object]:
        (address,) = values
        if self._state.control(address).access == "write":
            raise Refused(address, f"{address} has no value to get")

        def answer() -> None:
            snapshot = self._telemetry() if below("/telemetry", address) else {}
            sent = [self._send_value(a, snapshot.get(a), [sender]) for a in self._state.with_twins([address])]
            if not sent[0]:
                self._send_error(address, f"{address} has no value now", sender)

        return answer

    def _ping(self, values: tuple, sender: Peer) -> Callable[[], object]:
        return lambda: self._send(encode("/pong", "", ()), [sender])

    # Sending.

    def _note_changed(self, addresses: set[str]) -> None:
        with self._changed_lock:
            self._changed |= addresses

    def _publish_changes(self) -> None:
        with self._changed_lock:
            changed, self._changed = self._changed, set()
        if changed and self._subscribers:
            for address in self._state.with_twins(changed):
                self._send_value(address, None, self._peers(address))

    def _publish_telemetry(self) -> None:
        now = time.monotonic()
        if now < self._next_telemetry:
            return
        self._next_telemetry = now + self._interval
        wanted = {a: self._peers(a) for a, c in self._state.controls.items() if c.kind == "telemetry"}
        if any(wanted.values()):
            for address, values in self._telemetry().items():
                self._send_value(address, values, wanted.get(address, []))

    def _telemetry(self) -> dict[str, tuple[Value, ...]]:
        snapshot = self._state.link.telemetry()
        return {} if snapshot is None else telemetry_values(snapshot, self._state.late)

    def _peers(self, address: str) -> list[Peer]:
        return [
            peer for peer, prefixes in self._subscribers.items() if any(below(prefix, address) for prefix in prefixes)
        ]

    def _send_value(self, address: str, values: tuple[Value, ...] | None, peers: list[Peer]) -> bool:
        """Send `values`, or the state's value where None, and return whether there was one."""
        values = self._state.value(address) if values is None else values
        if values is not None and peers:
            self._send(encode(address, self._state.controls[address].tags, values), peers)
        return values is not None

    def _send_error(self, address: str, reason: str, peer: Peer) -> None:
        self._send(encode("/error", "ss", (address[:_LONGEST_TEXT], reason[:_LONGEST_TEXT])), [peer])

    def _send(self, packet: bytes, peers: list[Peer]) -> None:
        for peer in peers:
            try:
                self._socket.sendto(packet, peer)
            except OSError:  # full, gone or unreachable: its loss, and nobody else's
                pass


def _bound_socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setblocking(False)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    except OSError:  # a smaller buffer only loses messages earlier in a flood
        pass
    try:
        bound.bind((host, port))
    except (OSError, OverflowError, UnicodeError) as error:
        bound.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise HostError(
                f"UDP port {port} on {host} is taken, perhaps by another copy that still runs; "
                "stop it or choose another port with --osc-port"
            ) from error
        raise HostError(
            f"OSC cannot listen on {host}, UDP port {port} ({error}); "
            "use an address of this machine and a port from 0 to 65535, such as --osc-port 9001"
        ) from error
    return bound
