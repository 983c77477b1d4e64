"""The OSCQuery server: one port for HTTP and WebSocket, one thread, and bounds on whatever a client can ask for."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Self

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from realtime.changed import Changed
from realtime.control import Value, below
from realtime.errors import HostError
from realtime.osc import OscServer
from realtime.oscquery.announce import Announcement, host_name
from realtime.oscquery.answer import Answer, answer, refusal
from realtime.oscquery.listener import Listener
from realtime.oscquery.origin import may_ask
from realtime.oscquery.tree import EXTENSIONS, Json, Tree
from realtime.packets import encode
from realtime.state import ControlState

MOST_CONNECTIONS = 32
MOST_LISTENERS = 16
# A WebSocket message carries what a UDP packet can.
LARGEST_MESSAGE = 65507
# Seconds a client may take to ask, and to fetch the answer.
LONGEST_REQUEST = 5.0
# Seconds that clients have to answer that the host is closing.
LONGEST_FAREWELL = 0.5
# Seconds between two rounds of changes: what changes faster is thinned.
CHANGE_INTERVAL = 0.01
TELEMETRY_INTERVAL = 1 / 30
# Bytes kept for a slow client by the system: what is there cannot be replaced by newer values.
SEND_BUFFER = 1 << 16
_log = logging.getLogger(__name__)
# Strangers must not be able to fill a log with what they get wrong.
_silent = logging.Logger("websockets", logging.CRITICAL + 1)


class OscQueryServer:
    """Serves the controls of `state`, which `osc` takes messages for, from construction until `close`.

    It listens where `osc` does and to whom `osc` does. `port` None takes the one after the OSC server's or, where that is
    taken, any free one; 0 takes any free one. `announce` puts both servers on zeroconf; `tell` hears what the user should
    know. Raises HostError where the port cannot be had.
    """

    def __init__(
        self,
        state: ControlState,
        osc: OscServer,
        port: int | None = None,
        announce: bool = True,
        tell: Callable[[str], object] = lambda sentence: None,
    ) -> None:
        self._state = state
        self._osc = osc
        self._tell = tell
        self._socket = _listening_socket(osc.host, osc.port, port)
        self.host, self.port = self._socket.getsockname()[:2]
        places = (osc.host, osc.port), (self.host, self.port)
        self._announcement = Announcement(host_name(), *places) if announce else None
        self._tree = Tree(state.controls, self._value)
        self._connections: set[_Connection] = set()
        self._listeners: set[Listener] = set()
        self._changed = Changed(lambda: self._call(self._something_changed.set))
        self._failed = False
        # The latest round of telemetry, and when it was asked for: a tree of forty values asks once.
        self._round: tuple[float, dict[str, tuple[Value, ...]]] = (0.0, {})
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda loop, context: self._report_failure(context.get("exception")))
        self._something_changed = asyncio.Event()
        self._stopping = asyncio.Event()
        state.watch(self._changed.note)
        self._thread = threading.Thread(target=self._run, name="oscquery", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What the host is called where it is announced; a second one of the same name gets a number."""
        return host_name() if self._announcement is None else self._announcement.name

    @property
    def url(self) -> str:
        """The address of the tree, for a person on this machine."""
        return f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}"

    def close(self) -> None:
        """Take back the announcement, end the connections, and free the port."""
        if self._call(self._stopping.set):
            self._thread.join()

    def path_changed(self, path: str) -> None:
        """Say that the table of controls has changed below `path`: the tree is made anew, and every client told."""
        self._call(lambda: self._change_path(path))

    # The thread.

    def _call(self, function: Callable[[], object]) -> bool:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # closed
            return False
        return True

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._main())
        except Exception as problem:  # noqa: BLE001 - the host goes on without
            self._report_failure(problem)
        finally:
            self._socket.close()

    async def _main(self) -> None:
        server = await serve(
            self._follow,
            sock=self._socket,
            backlog=MOST_CONNECTIONS,
            create_connection=self._connect,
            process_request=self._respond,
            compression=None,
            server_header=None,
            open_timeout=LONGEST_REQUEST,
            close_timeout=LONGEST_REQUEST,
            max_size=LARGEST_MESSAGE,
            logger=_silent,
        )
        tasks = [asyncio.create_task(self._publish_changes()), asyncio.create_task(self._publish_telemetry())]
        if self._announcement is not None:
            tasks.append(asyncio.create_task(self._announcement.begin(self._tell)))
        await self._stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()
        if self._announcement is not None:
            await self._announcement.end()
        closed = asyncio.create_task(server.wait_closed())
        await asyncio.wait({closed}, timeout=LONGEST_FAREWELL)
        for connection in list(self._connections):
            connection.transport.abort()
        await closed

    def _report_failure(self, problem: BaseException | None) -> None:
        # Once: whoever can provoke a fault must not be able to fill a disk with it.
        if not self._failed:
            self._failed = True
            _log.error("a fault in the OSCQuery server; it goes on, and reports no further ones", exc_info=problem)

    # Connections.

    def _connect(self, *arguments: object, **options: object) -> _Connection:
        return _Connection(self, *arguments, **options)

    def enter(self, connection: _Connection) -> None:
        """Count a connection in, or cut it off where there are too many or its machine is not allowed."""
        self._connections.add(connection)
        peer = connection.transport.get_extra_info("peername")
        if len(self._connections) > MOST_CONNECTIONS or peer is None or not self._osc.allows(peer[0]):
            connection.transport.abort()

    def leave(self, connection: _Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)

    def _respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a plain request; None lets the WebSocket begin."""
        try:
            return self._answered(connection, request)
        except Exception as problem:  # noqa: BLE001 - one request may not end the server
            self._report_failure(problem)
            return _response(refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the host failed to answer this"))

    def _answered(self, connection: ServerConnection, request: Request) -> Response | None:
        # More than one of either header is no browser's doing, and cannot be read.
        host, origin = (", ".join(request.headers.get_all(name)) or None for name in ("Host", "Origin"))
        if not may_ask(host, origin):
            found = refusal(HTTPStatus.FORBIDDEN, "ask by address, and from a page of this machine or its network")
        elif request.method not in ("GET", "HEAD"):
            found = refusal(HTTPStatus.METHOD_NOT_ALLOWED, "nothing is set over HTTP; GET, or send OSC")
        elif "websocket" not in [value.lower() for value in request.headers.get_all("Upgrade")]:
            found = answer(self._tree, self._host_info(connection), request.path)
        elif len(self._listeners) >= MOST_LISTENERS:
            found = refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_LISTENERS} clients listen already; close one")
        else:
            return None
        return _response(found, origin, request.method)

    def _host_info(self, connection: ServerConnection) -> Json:
        # The address that this client reached: of several, the one that works for it.
        here = connection.transport.get_extra_info("sockname")[0]
        return {
            "NAME": self.name,
            "OSC_IP": here,
            "OSC_PORT": self._osc.port,
            "OSC_TRANSPORT": "UDP",
            "WS_IP": here,
            "WS_PORT": self.port,
            "EXTENSIONS": EXTENSIONS,
        }

    async def _follow(self, connection: ServerConnection) -> None:
        osc = "127.0.0.1" if self._osc.host == "0.0.0.0" else self._osc.host
        listener = Listener(connection, self._state, (osc, self._osc.port), self._offer)
        self._listeners.add(listener)
        try:
            await listener.run()
        except ConnectionClosed:
            pass
        except Exception as problem:  # noqa: BLE001 - one client may not end the server
            self._report_failure(problem)
        finally:
            self._listeners.discard(listener)

    # Values.

    def _value(self, address: str) -> tuple[Value, ...] | None:
        if self._state.controls[address].kind == "telemetry":
            return self._telemetry().get(address)
        return self._state.value(address)

    def _telemetry(self) -> dict[str, tuple[Value, ...]]:
        now = time.monotonic()
        if now >= self._round[0] + TELEMETRY_INTERVAL / 2:
            self._round = now, self._osc.telemetry()
        return self._round[1]

    def _offer(self, listener: Listener, address: str) -> None:
        if (values := self._value(address)) is not None:
            listener.offer(address, encode(address, self._state.controls[address].tags, values))

    async def _publish_changes(self) -> None:
        while True:
            await self._something_changed.wait()
            self._something_changed.clear()
            changed = self._changed.take()
            if self._listeners:
                self._publish(self._state.with_twins(changed))
            await asyncio.sleep(CHANGE_INTERVAL)

    async def _publish_telemetry(self) -> None:
        known: dict[str, tuple[Value, ...]] = {}
        while True:
            await asyncio.sleep(TELEMETRY_INTERVAL)
            if any(below("/telemetry", address) for listener in self._listeners for address in listener.addresses):
                before, known = known, self._telemetry()
                self._publish([address for address, values in known.items() if before.get(address) != values])

    def _publish(self, addresses: Iterable[str]) -> None:
        for address in addresses:
            for listener in self._listeners:
                if address in listener.addresses:
                    self._offer(listener, address)

    def _change_path(self, path: str) -> None:
        self._tree = Tree(self._state.controls, self._value)
        for listener in self._listeners:
            listener.tell(json.dumps({"COMMAND": "PATH_CHANGED", "DATA": path}))


class _Connection(ServerConnection):
    """A connection that is counted from its first byte on, not from its first request."""

    def __init__(self, owner: OscQueryServer, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._owner.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._owner.leave(self)


def _response(found: Answer, origin: str | None = None, method: str = "GET") -> Response:
    headers = Headers({"Connection": "close", "Cache-Control": "no-store"})
    if found.status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"
    if origin is not None and found.status is not HTTPStatus.FORBIDDEN:
        headers["Access-Control-Allow-Origin"] = origin
    if found.status is not HTTPStatus.NO_CONTENT:
        headers["Content-Type"] = found.content_type
        headers["Content-Length"] = str(len(found.body))
    return Response(found.status.value, found.status.phrase, headers, b"" if method == "HEAD" else found.body)


def _listening_socket(host: str, osc_port: int, port: int | None) -> socket.socket:
    beside = osc_port + 1 if osc_port < 65535 else 0
    try:
        try:
            listening = socket.create_server((host, beside if port is None else port), backlog=MOST_CONNECTIONS)
        except OSError:
            if port is not None:
                raise
            listening = socket.create_server((host, 0), backlog=MOST_CONNECTIONS)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise HostError(
                f"TCP port {port} on {host} is taken, perhaps by another copy that still runs; choose another port with "
                "--oscquery-port, or go without by --no-oscquery"
            ) from error
        raise HostError(
            f"OSCQuery cannot listen on {host}, TCP port {port} ({error}); use a port from 0 to 65535, such as "
            "--oscquery-port 9001, or go without by --no-oscquery"
        ) from error
    listening.setblocking(False)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return listening
