"""Where packets are handled: settings go to the state, requests are answered, refusals are told to the sender."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

from realtime.connections import Connection
from realtime.control import Refused, Value
from realtime.datagrams import Address
from realtime.errors import HostError
from realtime.packets import decode, encode
from realtime.patterns import Pattern
from realtime.peers import Allowance
from realtime.state import Change, ControlState, Message
from realtime.subscribers import MOST_SUBSCRIBERS, Subscribers

# Who says something: an address over UDP, a connection over TCP.
Peer = Address | Connection

_LONGEST_TEXT = 400
_log = logging.getLogger(__name__)


def machine_of(peer: Peer) -> str:
    """Return the address of the machine that `peer` is on."""
    return peer.address[0] if isinstance(peer, Connection) else peer[0]


class Desk:
    """Handles packets for `state`; one thread may use it.

    `send` takes a packet and a peer, `telemetry` returns the values that are not the state's, `is_own` says whether an
    address is where the host itself listens.
    """

    def __init__(
        self,
        state: ControlState,
        subscribers: Subscribers,
        send: Callable[[bytes, Peer], object],
        telemetry: Callable[[], dict[str, tuple[Value, ...]]],
        is_own: Callable[[Address], bool],
    ) -> None:
        self._state, self._subscribers = state, subscribers
        self._send, self._telemetry, self._is_own = send, telemetry, is_own
        self._allowance = Allowance()
        self._failed = False
        self._readable = [c.address for c in state.controls.values() if c.access != "write"]
        self._replies = {c.address for c in state.controls.values() if c.kind == "reply"}
        self._requests: dict[str, Callable[[tuple, Peer], Callable[[], object]]] = {
            "/subscribe": self._subscribe,
            "/unsubscribe": self._unsubscribe,
            "/get": self._get,
            "/ping": self._ping,
        }

    def receive(self, packet: bytes, sender: Peer) -> None:
        """Do what `packet` says, all of it or nothing; whatever is wrong with it is told to `sender`."""
        try:
            self._handle(packet, sender)
        except Refused as refusal:
            self.send_error(refusal.address, str(refusal), sender)
        except HostError as error:
            self.send_error("", f"{error}; nothing was changed", sender)
        except Exception:  # noqa: BLE001 - one packet may not cost the rest of its batch
            self.report_failure()
            self.send_error("", "the host failed to handle this packet", sender)

    def report_failure(self) -> None:
        """Log the exception that is being handled; once, for whoever can provoke one must not fill a disk with it."""
        if not self._failed:
            self._failed = True
            _log.exception("a fault in the OSC server; it goes on, and reports no further ones")

    def send_error(self, address: str, reason: str, peer: Peer) -> None:
        """Tell `peer` why something at `address` was refused, or has ended."""
        self._send(encode("/error", "ss", (address[:_LONGEST_TEXT], reason[:_LONGEST_TEXT])), peer)

    def send_values(self, addresses: Iterable[str], peer: Peer, packets: dict[str, bytes | None]) -> int:
        """Send the values at `addresses` that are known, in their order; return how many.

        `packets` keeps what has been encoded, for others who are sent the same.
        """
        sent, telemetry = 0, None
        for address in addresses:
            if address not in packets:
                control = self._state.controls[address]
                if control.kind == "telemetry":
                    telemetry = self._telemetry() if telemetry is None else telemetry
                    values = telemetry.get(address)
                else:
                    values = self._state.value(address)
                packets[address] = None if values is None else encode(address, control.tags, values)
            if (packet := packets[address]) is not None:
                self._send(packet, peer)
                sent += 1
        return sent

    def _handle(self, packet: bytes, sender: Peer) -> None:
        # What other hosts answer is dropped: two that refused each other's refusals would never end.
        messages = [item for item in decode(packet) if item[1].address not in self._replies]
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
        port, wish, rate, lease = values
        wish = (wish or "").rstrip("/")
        peer = (machine_of(sender), port) if port else sender
        pattern = self._pattern("/subscribe", wish, sender)
        found = [address for address in self._readable if pattern.holds(address)]
        if not found:
            raise Refused("/subscribe", f"no value lies below {wish[:80]!r}; nothing was subscribed")
        if not isinstance(peer, Connection) and self._is_own(peer):
            raise Refused("/subscribe", f"port {peer[1]} is the host's own; nothing was subscribed")
        self._spend("/subscribe", len(found), sender)

        def answer() -> None:
            interval = 1 / rate if rate else 0.0
            evicted = self._subscribers.add(peer, sender, wish, frozenset(found), interval, lease, time.monotonic())
            if evicted is not None:
                self.send_error("/subscribe", f"ended: {MOST_SUBSCRIBERS} others subscribed since", evicted)
            self.send_values(found, peer, {})

        return answer

    def _unsubscribe(self, values: tuple, sender: Peer) -> Callable[[], object]:
        peer = (machine_of(sender), values[0]) if values[0] else sender
        return lambda: self._subscribers.drop(peer)

    def _get(self, values: tuple, sender: Peer) -> Callable[[], object]:
        (address,) = values
        pattern = self._pattern("/get", address, sender)
        if pattern.plain:
            if self._state.control(address).access == "write":
                raise Refused(address, f"{address} has no value to get")
            found = self._state.with_twins([address])
        else:
            found = self._state.with_twins(each for each in self._readable if pattern.matches(each))
            if not found:
                raise Refused("/get", f"no value has an address like {address[:80]!r}")
            self._spend("/get", len(found), sender)

        def answer() -> None:
            if not self.send_values(found, sender, {}):
                self.send_error(address, f"{address[:80]} has no value now", sender)

        return answer

    def _ping(self, values: tuple, sender: Peer) -> Callable[[], object]:
        return lambda: self._send(encode("/pong", "", ()), sender)

    def _pattern(self, request: str, text: str, sender: Peer) -> Pattern:
        try:
            pattern = Pattern(text)
        except HostError as error:
            raise Refused(request, f"{error}; nothing was changed") from None
        if not pattern.plain:
            # To look through the whole table costs about as much as to send it.
            self._spend(request, len(self._readable), sender)
        return pattern

    def _spend(self, request: str, values: int, sender: Peer) -> None:
        if not self._allowance.spend(machine_of(sender), values, time.monotonic()):
            raise Refused(request, "this asks for more values a second than the host gives to one machine; ask less often")
