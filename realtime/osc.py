"""The OSC server: UDP and TCP on one port, one thread, messages handled in the order they arrive.

python-osc's server is not used: it starts a thread per message and sleeps on time tags.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from realtime.changed import Changed
from realtime.connections import Connection, Connections
from realtime.control import Value
from realtime.datagrams import Address, Datagrams
from realtime.desk import Desk, Peer
from realtime.errors import HostError
from realtime.packets import encode
from realtime.peers import AllowList, is_here, is_loopback
from realtime.state import ControlState
from realtime.subscribers import Subscribers
from realtime.tagclock import PERIOD, TagClock
from realtime.telemetry import LARGEST_INT, Telemetry, telemetry_values

# Packets handled before changes are published: feedback during a flood is thinned, never queued.
BATCH = 64
LONGEST_POLL = 0.05
# Free ports that are tried where any will do, until one is free for both UDP and TCP.
_TRIES = 20


class OscServer:
    """Serves `state` over OSC on UDP and TCP, from construction until `close`.

    `port` 0 takes any free one; `telemetry_interval` is the least time between two rounds of telemetry, `heartbeat` the
    time between two heart-beats to a subscriber, in seconds. `allow` names the addresses and networks that may talk to
    it, where it does not listen to this machine only; empty means all. Values go only to subscribers, refusals to the
    sender on /error. At most 32 subscribers are kept; one more takes the place of the one that subscribed longest ago.
    Raises HostError where the port cannot be had.
    """

    def __init__(
        self,
        state: ControlState,
        host: str = "127.0.0.1",
        port: int = 9000,
        telemetry_interval: float = 1 / 30,
        heartbeat: float = 1.0,
        allow: Sequence[str] = (),
    ) -> None:
        self._state = state
        self._allowed = AllowList(allow)
        if allow and is_loopback(host):
            raise HostError(
                f"on {host} the host hears this machine only, and --osc-allow has nobody to allow; "
                "add --osc-host 0.0.0.0, or leave it out"
            )
        self._interval = telemetry_interval
        self._changed = Changed()
        self._stopping = threading.Event()
        self._refused = self._dropped = 0
        self._tag_clock = TagClock()
        self._next_look = 0.0
        self._now = time.monotonic()
        self._snapshot: Telemetry | None = None
        self._looked = False
        telemetry = [c.address for c in state.controls.values() if c.kind == "telemetry"]
        self._subscribers = Subscribers(state.controls, telemetry, telemetry_interval, heartbeat)
        self._desk = Desk(state, self._subscribers, self._send, self._telemetry, self._is_own)
        self._datagrams, self._connections = _both(
            host, port, self._allowed.allows, self._subscribers.__contains__, lambda text: state.set_info("/notice", text)
        )
        self.host, self.port = self._datagrams.host, self._datagrams.port
        state.watch(self._changed.note)
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
        self._datagrams.close()
        self._connections.close()

    def telemetry(self) -> dict[str, tuple[Value, ...]]:
        """Return address -> value of all telemetry that there is now; may be called from any thread."""
        return self._told(self._state.link.telemetry())

    def allows(self, address: str) -> bool:
        """Return whether the machine at `address` may talk to the host."""
        return self._allowed.allows(address)

    # The thread.

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._datagrams.socket, selectors.EVENT_READ)
            self._connections.use(selector)
            wait = 0.0
            while not self._stopping.is_set():
                selector.select(wait)
                try:
                    wait = self._turn()
                except Exception:  # noqa: BLE001 - nothing may end this thread
                    self._desk.report_failure()
                    wait = LONGEST_POLL

    def _turn(self) -> float:
        self._looked = False
        self._now = time.monotonic()
        self._receive_datagrams()
        self._receive_streams()
        self._watch_tags()
        due = self._state.advance()
        now = time.monotonic()
        self._looked = False
        self._drop_the_gone(now)
        self._publish(now)
        self._connections.flush()
        if any(connection.pending for connection in self._connections):
            return 0.0
        return min(LONGEST_POLL, self._interval, LONGEST_POLL if due is None else due, self._subscribers.wait(now))

    def _receive_datagrams(self) -> None:
        for _ in range(BATCH):
            received = self._datagrams.receive()
            if received is None:
                break
            packet, sender = received
            if self._allowed.allows(sender[0]):
                self._receive(packet, sender)
            else:
                self._refused += 1

    def _receive_streams(self) -> None:
        self._refused += self._connections.accept()
        for connection in self._connections:
            for packet in connection.receive():
                self._receive(packet, connection)

    def _receive(self, packet: bytes, sender: Peer) -> None:
        self._subscribers.hear(sender, self._now)
        self._desk.receive(packet, sender)

    def _watch_tags(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + PERIOD
            wall = self._state.clock()
            (rate,) = self._state.value("/rate") or (None,)
            self._tag_clock.look(wall, self._state.link.position(wall), rate)

    def _drop_the_gone(self, now: float) -> None:
        for peer in self._datagrams.closed():
            self._dropped += self._subscribers.drop(peer)
        for connection in self._connections.sweep():
            self._dropped += self._subscribers.drop(connection)
        for peer, lease in self._subscribers.lapse(now).items():
            self._dropped += 1
            self._desk.send_error("/subscribe", f"ended: nothing was heard for {lease:g} s; subscribe again", peer)

    # Sending.

    def _publish(self, now: float) -> None:
        changed = self._changed.take()
        packets: dict[str, bytes | None] = {}
        for peer, addresses in self._subscribers.take(self._state.with_twins(changed) if changed else [], now):
            self._desk.send_values(addresses, peer, packets)
        for peer, number in self._subscribers.beat(now):
            self._send(encode("/heartbeat", "i", (number & LARGEST_INT,)), peer)

    def _telemetry(self) -> dict[str, tuple[Value, ...]]:
        """Return what there is to tell; the engine is looked at once a turn."""
        if not self._looked:
            self._looked, self._snapshot = True, self._state.link.telemetry()
        return self._told(self._snapshot)

    def _told(self, snapshot: Telemetry | None) -> dict[str, tuple[Value, ...]]:
        told = {} if snapshot is None else telemetry_values(snapshot, self._state.late)
        return told | self._own_telemetry()

    def _own_telemetry(self) -> dict[str, tuple[Value, ...]]:
        counts = {
            "tags/waiting": self._state.waiting,
            "subscribers": len(self._subscribers),
            "connections": len(self._connections),
            "dropped": self._dropped,
            "refused": self._refused,
        }
        values: dict[str, tuple[Value, ...]] = {f"/telemetry/{name}": (n & LARGEST_INT,) for name, n in counts.items()}
        for name, value in (("residual", self._tag_clock.residual), ("drift", self._tag_clock.drift)):
            if value is not None:
                values[f"/telemetry/tags/{name}"] = (value,)
        return values

    def _send(self, packet: bytes, peer: Peer) -> None:
        if isinstance(peer, Connection):
            peer.send(packet)
        else:
            self._datagrams.send(packet, peer)

    def _is_own(self, address: Address) -> bool:
        return address[1] == self.port and (address[0] == self.host or (self.host == "0.0.0.0" and is_here(address[0])))


def _both(
    host: str,
    port: int,
    allows: Callable[[str], bool],
    needed: Callable[[Connection], bool],
    tell: Callable[[str], object],
) -> tuple[Datagrams, Connections]:
    """Return UDP and TCP on the same port."""
    tries = 1 if port else _TRIES
    while True:
        datagrams = Datagrams(host, port)
        try:
            return datagrams, Connections(host, datagrams.port, allows, needed, tell)
        except HostError:
            datagrams.close()
            tries -= 1
            if not tries:
                raise
