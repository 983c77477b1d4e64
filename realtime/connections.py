"""OSC over TCP: a listener, and its connections with bounded buffers."""

from __future__ import annotations

import errno
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable

from realtime.datagrams import Address, refusal
from realtime.errors import HostError
from realtime.framing import Framing, framing_for

MOST_CONNECTIONS = 32
# Bytes that wait for a receiver before it counts as too slow; its system takes some more.
MOST_WAITING_BYTES = 1 << 18
# Packets of one connection that are handled before another's turn comes.
SHARE = 16
_CHUNK = 16384
_ACCEPTED_AT_ONCE = 8
# Seconds without a sign of life from the other machine until a connection counts as gone, and, where it lives, without
# anything taken of what waits for it.
PATIENCE = 15
# Seconds after which one that says nothing and has subscribed to nothing has to make way where there is no place left.
IDLE = 60.0
# Seconds until new connections are looked for again, where the system has no room for another open file.
REST = 1.0
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connection:
    """One TCP connection. Nothing waits; `ended` says why it is over, and is None while it is not."""

    def __init__(self, connected: socket.socket, address: Address) -> None:
        self.address = address
        self.ended: str | None = None
        self.spoke = False
        # When it last said something, and since when nothing of what waits for it has been taken.
        self.heard = time.monotonic()
        self._stuck: float | None = None
        self.socket = connected
        self._framing: Framing | None = None
        self._inbox: deque[bytes] = deque()
        self._out = bytearray()
        self._finished = False
        connected.setblocking(False)
        _tune(connected)

    @property
    def pending(self) -> bool:
        """Whether packets wait to be handled."""
        return bool(self._inbox)

    @property
    def blocked(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._out)

    @property
    def events(self) -> int:
        """What a selector is to wait for."""
        # A stream that has come to its end can be read for ever.
        reading = 0 if self._finished else selectors.EVENT_READ
        return reading | (selectors.EVENT_WRITE if self.blocked else 0)

    def receive(self) -> list[bytes]:
        """Return packets that have come, SHARE at most; more are read once these are gone."""
        if not self._inbox and not self._finished and self.ended is None:
            self._read()
        packets = [self._inbox.popleft() for _ in range(min(SHARE, len(self._inbox)))]
        if packets:
            self.spoke, self.heard = True, time.monotonic()
        return packets

    def _read(self) -> None:
        try:
            received = self.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self.ended = str(error)
            return
        if not received:
            # What it has sent is still answered.
            self._finished = True
            return
        try:
            if self._framing is None:
                self._framing = framing_for(received)
            self._inbox.extend(self._framing.feed(received))
        except HostError as error:
            # Where the next packet begins cannot be told any more.
            self.ended = str(error)

    def send(self, packet: bytes) -> None:
        """Have `packet` sent; a receiver that has let too much wait is given up."""
        if self._framing is None or self.ended is not None:
            return
        self._out += self._framing.wrap(packet)
        if len(self._out) > MOST_WAITING_BYTES:
            self.flush()
        if len(self._out) > MOST_WAITING_BYTES:
            self.ended = "it does not read what it asked for"

    def flush(self) -> None:
        """Send what can be sent now."""
        while self._out:
            try:
                sent = self.socket.send(self._out[: 1 << 16])
            except BlockingIOError:
                self._wait()
                return
            except OSError as error:
                self.ended = str(error)
                self._out.clear()
                return
            del self._out[:sent]
            self._stuck = None
        if self._finished and not self._inbox and self.ended is None:
            self.ended = "closed by the peer"

    def _wait(self) -> None:
        # The other machine's system keeps such a connection alive for ever.
        now = time.monotonic()
        self._stuck = now if self._stuck is None else self._stuck
        if now - self._stuck > PATIENCE and self.ended is None:
            self.ended = f"it has not read for {PATIENCE} s what it asked for"
            self._out.clear()

    def close(self) -> None:
        """Send what can be sent, and close."""
        self.flush()
        self.ended = self.ended or "closed by the host"
        self.socket.close()


class Connections:
    """Listens on TCP `host`:`port` and keeps what connects, MOST_CONNECTIONS at most. Raises HostError without the port.

    One more takes the place of the oldest that has never sent a packet, or else of the one that has been silent longest,
    IDLE seconds at least, and of which `needed` does not say that something is sent to it; or it is turned away. `allows`
    is asked whether an address may connect; `tell` hears a sentence where the system has no room for more.
    """

    def __init__(
        self,
        host: str,
        port: int,
        allows: Callable[[str], bool],
        needed: Callable[[Connection], bool] = lambda connection: False,
        tell: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self._allows, self._needed, self._tell = allows, needed, tell
        # When new connections are looked for again, while they are not.
        self._resting: float | None = None
        self._kept: list[Connection] = []
        self._selector: selectors.BaseSelector | None = None
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setblocking(False)
        try:
            if sys.platform != "win32":  # where it would let two hosts have the same port
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen(MOST_CONNECTIONS)
        except (OSError, OverflowError, UnicodeError) as error:
            self._listener.close()
            raise refusal("TCP", host, port, error) from error

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self):
        return iter(self._kept)

    def use(self, selector: selectors.BaseSelector) -> None:
        """Have `selector` wake its thread when something is to be done."""
        self._selector = selector
        selector.register(self._listener, selectors.EVENT_READ)

    def accept(self) -> int:
        """Take new connections; return how many were turned away: not allowed, or one too many."""
        refused = 0
        if self._resting is not None and time.monotonic() < self._resting:
            return refused
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connected, address = self._listener.accept()
            except OSError as error:
                if error.errno in _FULL:
                    self._rest(error)
                    return refused
                break  # none waits, or it is gone again
            if not self._allows(address[0]) or not self._has_room():
                refused += 1
                connected.close()
            else:
                connection = Connection(connected, address[:2])
                self._kept.append(connection)
                if self._selector is not None:
                    self._selector.register(connected, selectors.EVENT_READ)
        if self._resting is not None:
            self._resting = None
            if self._selector is not None:
                self._selector.register(self._listener, selectors.EVENT_READ)
        return refused

    def _rest(self, error: OSError) -> None:
        """Look away for a while: what waits at the door would wake the thread again and again."""
        if self._resting is None:
            if self._selector is not None:
                self._selector.unregister(self._listener)
            self._tell(
                f"nobody can connect over OSC TCP ({error.strerror}): close connections or files of the host, or let it have "
                "more (ulimit -n); UDP and those connected go on."
            )
        self._resting = time.monotonic() + REST

    def _has_room(self) -> bool:
        if len(self._kept) < MOST_CONNECTIONS:
            return True
        gives_way = next((each for each in self._kept if not each.spoke), None)
        if gives_way is None:
            limit = time.monotonic() - IDLE
            idle = [each for each in self._kept if each.heard < limit and not self._needed(each)]
            gives_way = min(idle, key=lambda each: each.heard, default=None)
        if gives_way is not None:
            self._remove(gives_way)
        return gives_way is not None

    def flush(self) -> None:
        """Send what can be sent to everyone, and have the selector wait for those that are not ready."""
        for connection in self._kept:
            connection.flush()
            if self._selector is not None and connection.ended is None:
                wanted = connection.events
                if wanted and self._selector.get_key(connection.socket).events != wanted:
                    self._selector.modify(connection.socket, wanted)

    def sweep(self) -> list[Connection]:
        """Close the connections that have ended; return them."""
        over = [each for each in self._kept if each.ended is not None and not each.pending]
        for connection in over:
            self._remove(connection)
        return over

    def _remove(self, connection: Connection) -> None:
        self._kept.remove(connection)
        if self._selector is not None:
            self._selector.unregister(connection.socket)
        connection.close()

    def close(self) -> None:
        """Close everything."""
        for connection in self._kept:
            connection.close()
        self._kept.clear()
        self._listener.close()


def _tune(connected: socket.socket) -> None:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)]
    options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPALIVE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2), ("TCP_USER_TIMEOUT", 1000 * PATIENCE)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    for option in options:
        try:
            connected.setsockopt(*option)
        except OSError:  # only finds out later that the other side is gone
            pass
