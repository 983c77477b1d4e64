"""One WebSocket client: what it listens to, what waits to be sent to it, and its own OSC packets."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from realtime.control import Refused, below, shown
from realtime.datagrams import Address
from realtime.packets import encode
from realtime.state import ControlState

# Seconds that one packet may take to leave for a client before the client is given up.
PATIENCE = 10.0
# What the OSC server answers and is not fetched in time; of more than this the oldest go.
MOST_ANSWERS = 256
# Bytes of a client's packets on their way to the OSC server; what comes on top is lost, as over UDP.
MOST_PASSING = 1 << 18
_LONGEST_TEXT = 400


class Listener:
    """Serves `connection`; its OSC packets go to the OSC server at `osc`, whose answers come back as packets.

    `offer_current` puts the value that an address has now before the listener. Everything runs on the loop's thread.
    """

    def __init__(
        self,
        connection: ServerConnection,
        state: ControlState,
        osc: Address,
        offer_current: Callable[[Listener, str], object],
    ) -> None:
        self.addresses: set[str] = set()
        self._connection = connection
        self._state = state
        self._osc = osc
        self._offer_current = offer_current
        # One packet an address: a client that is slow gets the newest value, and costs no more memory for it.
        self._values: dict[str, bytes] = {}
        self._answers: deque[bytes | str] = deque(maxlen=MOST_ANSWERS)
        self._waiting = asyncio.Event()
        self._port: asyncio.DatagramTransport | None = None

    def offer(self, address: str, packet: bytes) -> None:
        """Send `packet` when its turn comes, unless a newer one of `address` takes its place before."""
        self._values[address] = packet
        self._waiting.set()

    def tell(self, message: bytes | str) -> None:
        """Send `message`: an answer, in turn."""
        self._answers.append(message)
        self._waiting.set()

    async def run(self) -> None:
        """Serve until the connection ends."""
        sender = asyncio.create_task(self._send())
        try:
            async for message in self._connection:
                try:
                    await self._take(message)
                except Refused as refusal:
                    self.tell(encode("/error", "ss", (refusal.address[:_LONGEST_TEXT], str(refusal)[:_LONGEST_TEXT])))
                # Messages that are here already are handed out without a pause: others want their turn.
                await asyncio.sleep(0)
        finally:
            sender.cancel()
            if self._port is not None:
                self._port.sendto(encode("/unsubscribe", "", ()))
                self._port.close()

    async def _send(self) -> None:
        try:
            while True:
                await self._waiting.wait()
                if self._answers:
                    message = self._answers.popleft()
                elif self._values:
                    message = self._values.pop(next(iter(self._values)))
                else:
                    self._waiting.clear()
                    continue
                async with asyncio.timeout(PATIENCE):
                    await self._connection.send(message)
        except TimeoutError:
            self._connection.transport.abort()
        except ConnectionClosed:
            pass

    async def _take(self, message: bytes | str) -> None:
        if isinstance(message, bytes):
            await self._pass_on(message)
            return
        command, path = _command(message)
        if command == "LISTEN":
            self._listen(path)
        elif command == "IGNORE":
            self.addresses.discard(path)
            self._values.pop(path, None)
        else:
            raise Refused("", f"there is no command {shown(command)}; allowed are LISTEN and IGNORE; nothing was changed")

    def _listen(self, path: str) -> None:
        if path not in self._state.controls and any(below(path, address) for address in self._state.controls):
            raise Refused(path, f"{path} is a container, and LISTEN takes the address of a value; nothing was changed")
        control = self._state.control(path)
        if control.access == "write":
            raise Refused(path, f"{path} has no value to listen to; nothing was changed")
        self.addresses.add(path)
        self._offer_current(self, path)

    async def _pass_on(self, packet: bytes) -> None:
        """Send `packet` to the OSC server from a port of the client's own: it is one more UDP client there."""
        if self._port is None:
            loop = asyncio.get_running_loop()
            self._port, _ = await loop.create_datagram_endpoint(lambda: _Answers(self), remote_addr=self._osc)
        if packet and self._port.get_write_buffer_size() < MOST_PASSING:
            self._port.sendto(packet)


class _Answers(asyncio.DatagramProtocol):
    """Hands what the OSC server answers to the client that asked."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._listener.tell(data)

    def error_received(self, exc: OSError) -> None:
        """The server is gone or its buffer full: lost, as over UDP."""


def _command(text: str) -> tuple[str, str]:
    try:
        content = json.loads(text)
        command, data = content["COMMAND"], content["DATA"]
    except (ValueError, TypeError, KeyError, RecursionError):
        command = data = None
    if not isinstance(command, str) or not isinstance(data, str) or not (data.isascii() and data.isprintable()):
        raise Refused("", 'a text message is {"COMMAND": "LISTEN", "DATA": "/an/address"}, or IGNORE; nothing was changed')
    return command, data
