"""OSC over TCP: framed either way, answered down the same connection, bounded, and on the same port as UDP."""

from __future__ import annotations

import errno
import shutil
import socket
import struct
import subprocess
import time

import pytest
from osc_ends import STEMS, Client, built, bundle, wait_for
from pythonosc.osc_message import OscMessage

from realtime import connections
from realtime.connections import MOST_CONNECTIONS
from realtime.errors import HostError
from realtime.framing import END, SizePrefixed, Slip, framing_for
from realtime.osc import OscServer
from realtime.packets import LARGEST_PACKET


class Caller:
    """A TCP client that speaks OSC in `framing`."""

    def __init__(self, port, framing=SizePrefixed):
        self.socket = socket.create_connection(("127.0.0.1", port), 5)
        self.socket.settimeout(5)
        self.framing = framing()
        self.waiting = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, address, *values):
        self.socket.sendall(self.framing.wrap(built(address, *values).dgram))

    def receive(self):
        while True:
            while not self.waiting:
                received = self.socket.recv(65536)
                if not received:
                    raise EOFError
                self.waiting += self.framing.feed(received)
            message = OscMessage(self.waiting.pop(0))
            if message.address != "/heartbeat":
                return message.address, *message.params

    def ping(self):
        self.send("/ping")
        got = []
        while (message := self.receive()) != ("/pong",):
            got.append(message)
        return got

    def ended(self):
        """Return whether the host closes the connection."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


@pytest.mark.parametrize("framing", [SizePrefixed, Slip])
def test_a_stream_is_answered_in_its_own_framing(server, link, framing):
    with Caller(server.port, framing) as caller:
        caller.send("/wet", 0.5)
        caller.send("/get", "/wet")
        caller.send("/nothing", 1)
        got = caller.ping()
        assert got[:2] == [("/wet", 0.5), ("/wet/str", "50 %")]
        assert got[2][:2] == ("/error", "/nothing")
    assert [mix.wet for mix, _ in link.submitted] == [0.5]


@pytest.mark.parametrize("framing", [SizePrefixed, Slip])
def test_a_stream_may_come_in_any_pieces(server, link, framing):
    packets = [built("/wet", i / 10).dgram for i in range(5)] + [bundle(0, ("/bypass", 1)).dgram]
    data = b"".join(framing().wrap(packet) for packet in packets)
    with Caller(server.port, framing) as caller:
        for at in range(0, len(data), 7):
            caller.socket.sendall(data[at : at + 7])
        assert caller.ping() == []
    assert [mix.wet for mix, _ in link.submitted] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0])


def test_slip_without_a_leading_end_and_with_escaped_bytes_is_read():
    slip = Slip()
    packet = bytes(range(256)) + b"\xdb\xdc\xdb\xdd\xc0\xdb"
    assert slip.feed(slip.wrap(packet)) == [packet]
    assert slip.feed(b"/a\0\0,\0\0\0" + END + END + b"/b") == [b"/a\0\0,\0\0\0"]
    assert isinstance(framing_for(b"/a"), Slip) and isinstance(framing_for(b"\0"), SizePrefixed)


def test_the_order_of_a_thousand_messages_in_one_stream_is_kept(server, link):
    with Caller(server.port) as caller:
        caller.socket.sendall(b"".join(SizePrefixed().wrap(built("/wet", i / 1000).dgram) for i in range(1000)))
        assert caller.ping() == []
    assert [mix.wet for mix, _ in link.submitted] == pytest.approx([i / 1000 for i in range(1000)])


def test_a_subscription_over_tcp_comes_down_the_same_connection_and_ends_with_it(server):
    udp = Client(server.port)
    with Caller(server.port) as caller:
        caller.send("/subscribe", "/wet")
        assert caller.ping() == [("/wet", 1), ("/wet/str", "100 %")]
        udp.send("/wet", 0.5)
        assert [caller.receive(), caller.receive()] == [("/wet", 0.5), ("/wet/str", "50 %")]
        assert len(server._subscribers) == 1
        caller.send("/unsubscribe")
        udp.ping()
        caller.ping()
        udp.send("/wet", 0.6)
        udp.ping()
        assert caller.ping() == []
        caller.send("/subscribe", "/wet")
        caller.ping()
    wait_for(lambda: len(server._subscribers) == 0 and len(server._connections) == 0)


def test_a_port_in_a_subscription_over_tcp_means_udp(server):
    udp = Client(server.port)
    with Caller(server.port) as caller:
        caller.send("/subscribe", udp.port, "/wet")
        assert udp.receive() == ("/wet", 1)
        assert caller.ping() == []


def test_a_client_that_shuts_its_side_is_still_answered(server):
    with Caller(server.port) as caller:
        caller.send("/get", "/stems")
        caller.socket.shutdown(socket.SHUT_WR)
        assert caller.receive() == ("/stems", *STEMS)
        with pytest.raises(EOFError):
            caller.receive()
    wait_for(lambda: len(server._connections) == 0)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", struct.pack(">i", LARGEST_PACKET + 1),
        END + b"x" * (3 * LARGEST_PACKET), SizePrefixed().wrap(built("/ping").dgram) + b"\x7f\xff\xff\xff",
    ],
    ids=["http", "negative", "too large", "endless slip", "out of step"],
)
def test_a_stream_that_makes_no_sense_is_cut_and_others_go_on(server, link, data):
    with Caller(server.port) as good, Caller(server.port) as bad:
        try:
            bad.socket.sendall(data)
        except OSError:
            pass
        assert bad.ended()
        assert good.ping() == []
    assert link.submitted == []


def test_a_slow_receiver_has_a_bounded_buffer_and_is_dropped(state, monkeypatch):
    monkeypatch.setattr(connections, "MOST_WAITING_BYTES", 20_000)
    with OscServer(state, port=0, telemetry_interval=0.0005) as server:
        udp = Client(server.port)
        slow = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(SizePrefixed().wrap(built("/subscribe").dgram))
        wait_for(lambda: len(server._connections) == 1)
        [connection] = server._connections
        largest = 0
        end = time.monotonic() + 15
        while len(server._connections) and time.monotonic() < end:
            largest = max(largest, len(connection._out))
            assert udp.ping() == []
        assert len(server._connections) == 0
        wait_for(lambda: len(server._subscribers) == 0)
        assert "does not read" in connection.ended
        assert largest < 30_000
        udp.send("/get", "/telemetry/dropped")
        assert udp.ping() == [("/telemetry/dropped", 1)]
        slow.close()


def test_connections_are_limited_and_a_mute_one_gives_way_first(server):
    callers = [Caller(server.port) for _ in range(MOST_CONNECTIONS)]
    for caller in callers[1:]:
        assert caller.ping() == []
    wait_for(lambda: len(server._connections) == MOST_CONNECTIONS)
    # The first one has said nothing so far.
    with Caller(server.port) as late:
        assert late.ping() == []
        assert callers[0].ended()
        with Caller(server.port) as later:
            assert later.ended()
        assert late.ping() == []
    assert all(caller.ping() == [] for caller in callers[1:])
    for caller in callers:
        caller.socket.close()
    wait_for(lambda: len(server._connections) == 0)


def test_udp_and_tcp_have_the_same_port_and_close_frees_both(state):
    server = OscServer(state, port=0)
    with Caller(server.port) as caller:
        caller.ping()
        server.close()
        assert caller.ended()
    with OscServer(state, port=server.port) as again:
        assert again.port == server.port


def test_a_tcp_port_in_use_is_named_with_what_to_do(state):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(HostError, match=rf"TCP port {port}.*--osc-port"):
            OscServer(state, port=port)
        # The UDP port is not kept.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", port))


@pytest.mark.skipif(not shutil.which("oscsend"), reason="liblo's oscsend is not installed")
def test_oscsend_controls_the_host_over_tcp(server, link):
    for line in ["/preset s acapella", "/stem/bass/gain f 0.75"]:
        url = f"osc.tcp://127.0.0.1:{server.port}/"
        subprocess.run(["oscsend", url, *line.split()], check=True, timeout=10)
    wait_for(lambda: len(link.submitted) == 2)
    assert [mix.gains for mix, _ in link.submitted] == [(1, 0, 0, 0), (1, 0, 1, 0)]


@pytest.mark.parametrize("mode", ["1.0", "1.1"])
def test_python_oscs_own_tcp_client_is_answered(server, mode):
    tcp_client = pytest.importorskip("pythonosc.tcp_client")
    with tcp_client.SimpleTCPClient("127.0.0.1", server.port, mode=mode) as client:
        client.send_message("/get", "/stem/vocals/gain")
        got = []
        while len(got) < 2:
            got += list(client.get_messages(2))
    assert [message.address for message in got] == ["/stem/vocals/gain", "/stem/vocals/gain/str"]


def test_a_client_that_says_no_more_and_does_not_read_costs_nothing(server, monkeypatch):
    turns = taken = left = 0

    def flush(connections, before=connections.Connections.flush):
        nonlocal turns
        turns += 1
        before(connections)

    def receive(connection, before=connections.Connection.receive):
        nonlocal taken, left
        packets = before(connection)
        taken, left = taken + len(packets), left - len(packets)
        return packets

    def all_taken():
        return left <= 0

    monkeypatch.setattr(connections.Connection, "receive", receive)
    with Caller(server.port) as caller:
        caller.send("/ping")
        assert caller.receive()[0] == "/pong"
        (connection,) = server._connections
        # More than the system takes, and less than ends the connection.
        while len(connection._out) < 100_000:
            assert taken < 1_000_000
            left = 100
            for _ in range(left):
                caller.send("/get", "/presets")
            wait_for(all_taken)
        caller.socket.shutdown(socket.SHUT_WR)
        wait_for(lambda: connection._finished)
        monkeypatch.setattr(connections.Connections, "flush", flush)
        time.sleep(0.5)
        assert connection.blocked
        assert turns < 100
        # It keeps its place no longer than those whose machine has gone.
        monkeypatch.setattr(connections, "PATIENCE", 0.1)
        wait_for(lambda: len(server._connections) == 0)
        assert "has not read" in connection.ended


def test_without_room_for_another_file_the_server_rests_says_so_and_goes_on(server, state, monkeypatch):
    asked = []

    class Full:
        """A listener on a system whose table of open files is full."""

        def __init__(self, listener):
            self.listener, self.full = listener, True

        def accept(self):
            if self.full:
                asked.append(time.monotonic())
                raise OSError(errno.EMFILE, "Too many open files")
            return self.listener.accept()

        def __getattr__(self, name):
            return getattr(self.listener, name)

    monkeypatch.setattr(connections, "REST", 0.2)
    full = server._connections._listener = Full(server._connections._listener)
    udp = Client(server.port)
    with Caller(server.port) as caller:
        wait_for(lambda: asked)
        assert udp.ping() == []
        time.sleep(0.5)
        assert len(asked) <= 4
        assert state.value("/notice")[0].startswith("nobody can connect over OSC TCP (Too many open files)")
        full.full = False
        assert caller.ping() == []
    with Caller(server.port) as caller:
        assert caller.ping() == []


def test_who_has_said_nothing_for_long_gives_way_unless_something_is_sent_to_it(server, monkeypatch):
    callers = [Caller(server.port) for _ in range(MOST_CONNECTIONS)]
    for caller in callers:
        assert caller.ping() == []
    callers[0].send("/subscribe", "/wet")
    callers[0].ping()
    with Caller(server.port) as late:
        assert late.ended()
    monkeypatch.setattr(connections, "IDLE", 0.3)
    time.sleep(0.4)
    for caller in callers[2:]:
        caller.ping()
    with Caller(server.port) as late:
        assert late.ping() == []
        assert callers[1].ended()
    callers[0].ping()
    for caller in callers:
        caller.socket.close()
