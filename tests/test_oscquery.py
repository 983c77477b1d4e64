"""A controller reads the tree, listens and sends, by libraries other than the server's; one that means no good is borne."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from osc_ends import SNAPSHOT, STEMS
from pythonosc.osc_message import OscMessage

pytest.importorskip("websockets")
pytest.importorskip("zeroconf")
websocket = pytest.importorskip("websocket")

from realtime import host
from realtime.enginemessages import PLAYING
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.mix import Mix
from realtime.osc import OscServer, encode
from realtime.oscquery.listener import MOST_ANSWERS
from realtime.oscquery.server import MOST_CONNECTIONS, MOST_LISTENERS, OscQueryServer
from realtime.plan import Plan, Started
from realtime.scene import Scene
from realtime.state import ControlState

PATIENCE = 10.0
FADER = "/stem/vocals/gain"


@pytest.fixture
def state(link):
    return ControlState(STEMS, link)


@pytest.fixture
def osc(state):
    with OscServer(state, port=0) as running:
        yield running


@pytest.fixture
def server(state, osc):
    with OscQueryServer(state, osc, port=0, announce=False) as running:
        yield running


class Client:
    """A controller: websocket-client, which shares no code with the server."""

    def __init__(self, server, **options):
        self.socket = websocket.create_connection(f"ws://127.0.0.1:{server.port}", timeout=PATIENCE, **options)

    def command(self, command, data):
        self.socket.send(json.dumps({"COMMAND": command, "DATA": data}))

    def send(self, address, tags="", *values):
        self.socket.send_binary(encode(address, tags, values))

    def receive(self):
        """Return the next packet as address and values, or the next command."""
        message = self.socket.recv()
        if isinstance(message, str):
            return json.loads(message)
        packet = OscMessage(message)
        return packet.address, *packet.params

    def until(self, address):
        """Return what arrives before `address`, and that last."""
        got = []
        while not got or got[-1][0] != address:
            got.append(self.receive())
        return got

    def ping(self):
        """Return everything that was sent until a ping is answered."""
        self.send("/ping")
        return self.until("/pong")[:-1]

    def close(self):
        self.socket.close(timeout=1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def client(server):
    with Client(server) as made:
        yield made


def get(server, target="/", headers=None):
    request = urllib.request.Request(server.url + target, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"did not happen within {PATIENCE:g} s"
        time.sleep(0.005)


# HTTP.


def test_the_tree_is_read_over_http(server, state):
    state.set(FADER, 0.25)
    status, headers, body = get(server)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    tree = json.loads(body)
    assert tree["CONTENTS"]["stem"]["CONTENTS"]["vocals"]["CONTENTS"]["gain"]["VALUE"] == [0.25]
    assert tree["CONTENTS"]["telemetry"]["CONTENTS"]["misses"]["VALUE"] == [SNAPSHOT.misses]


def test_host_info_says_where_osc_and_the_websocket_are(server, osc):
    info = json.loads(get(server, "/?HOST_INFO")[2])
    assert (info["OSC_IP"], info["OSC_PORT"], info["OSC_TRANSPORT"]) == ("127.0.0.1", osc.port, "UDP")
    assert (info["WS_IP"], info["WS_PORT"]) == ("127.0.0.1", server.port)
    assert info["NAME"].startswith("LaSAFT Live")
    assert info["EXTENSIONS"]["LISTEN"] and not info["EXTENSIONS"]["PATH_CHANGED"]


@pytest.mark.parametrize(("target", "status"), [("/stem?VALUE", 204), ("/nothing", 404), ("/wet?NOTHING", 400)])
def test_what_cannot_be_told_has_its_status(server, target, status):
    assert get(server, target)[0] == status


def test_a_page_of_the_web_reads_nothing(server):
    assert get(server, headers={"Origin": "https://evil.example"})[0] == 403
    assert get(server, headers={"Host": "evil.example"})[0] == 403
    assert get(server, headers={"Origin": "http://localhost:3000"})[1]["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_a_page_of_the_web_cannot_listen(server):
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        Client(server, origin="https://evil.example")


def test_nothing_is_set_over_http(server, link):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        raw.sendall(b"PUT /wet HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.makefile("rb").readline().startswith(b"HTTP/1.1 405 ")
    assert link.submitted == []


# LISTEN and IGNORE.


def test_a_listener_hears_the_value_and_follows_the_fader(client, state):
    client.command("LISTEN", FADER)
    assert client.receive() == (FADER, 0.75)
    for value in (0.5, 0.25, 0.125):
        state.set(FADER, value)
        assert client.receive() == (FADER, value)


def test_a_listener_hears_no_more_than_it_asked_for(client, state):
    client.command("LISTEN", FADER)
    client.receive()
    state.set("/stem/drums/gain", 0.5)
    state.set(FADER, 0.5)
    assert client.receive() == (FADER, 0.5)
    assert client.ping() == []


def test_a_change_made_by_another_is_heard_with_all_that_follows_from_it(client, state):
    twin = "/stem/drums/gain/str"
    for address in (twin, "/preset"):
        client.command("LISTEN", address)
    assert {client.receive(), client.receive()} == {(twin, "0.0 dB"), ("/preset", "all")}
    state.set("/preset", "melody")
    heard = dict([client.receive(), client.receive()])
    assert heard == {"/preset": "melody", twin: state.value(twin)[0]}
    assert heard[twin] != "0.0 dB"


def test_who_ignores_hears_nothing_more(client, state):
    client.command("LISTEN", FADER)
    client.receive()
    client.command("IGNORE", FADER)
    client.ping()
    state.set(FADER, 0.5)
    time.sleep(0.05)
    assert client.ping() == []


def test_telemetry_is_heard_when_it_changes(client, link):
    client.command("LISTEN", "/telemetry/misses")
    assert client.receive() == ("/telemetry/misses", SNAPSHOT.misses)
    link.snapshot = replace(SNAPSHOT, misses=9)
    assert client.receive() == ("/telemetry/misses", 9)
    time.sleep(0.1)
    assert client.ping() == []


def test_a_flood_of_changes_is_thinned_and_its_last_value_arrives(client, state):
    client.command("LISTEN", FADER)
    client.receive()
    for i in range(2000):
        state.set(FADER, i / 2000)
    state.set(FADER, 0.5)
    heard = [client.receive()]
    while heard[-1] != (FADER, 0.5):
        heard.append(client.receive())
    assert len(heard) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "null", "7", "{}", '{"COMMAND": "LISTEN"}', '{"COMMAND": 1, "DATA": "/wet"}', "[" * 5000,
        '{"COMMAND": "LISTEN", "DATA": ["/wet"]}', '{"COMMAND": "DANCE", "DATA": "/wet"}', "9" * 10000,
        '{"COMMAND": "LISTEN", "DATA": "/stem"}', '{"COMMAND": "LISTEN", "DATA": "/"}', '{"COMMAND": "LISTEN", "DATA": ""}',
        '{"COMMAND": "LISTEN", "DATA": "/ping"}', '{"COMMAND": "LISTEN", "DATA": "\\ud800\\u0000"}',
        '{"COMMAND": "\\ud800\\u0000", "DATA": "/wet"}', '{"COMMAND": "LISTEN", "DATA": "/' + "x" * 9000 + '"}',
    ],
    ids=lambda text: text[:50],
)
def test_a_command_that_does_not_fit_is_answered_on_error(client, text):
    client.socket.send(text)
    [(address, _, reason)] = client.ping()
    assert address == "/error"
    assert 20 < len(reason) <= 400


# OSC packets of a client.


def test_a_packet_over_the_websocket_does_what_it_does_over_udp(client, state, link):
    client.send(FADER, "f", 0.5)
    assert client.ping() == []
    assert state.value(FADER) == (0.5,)
    assert len(link.submitted) == 1


def test_a_refusal_comes_back_over_the_websocket(client, link):
    client.send(FADER, "f", 2.0)
    [(address, about, reason)] = client.ping()
    assert (address, about) == ("/error", FADER)
    assert "from 0 to 1" in reason
    assert link.submitted == []


def test_a_value_is_asked_for_over_the_websocket(client):
    client.send("/get", "s", "/glide")
    assert client.ping() == [("/glide", 30.0)]


def test_a_subscription_over_the_websocket_ends_with_it(server, osc):
    with Client(server) as client:
        client.send("/subscribe", "s", "/wet")
        client.ping()
        assert len(osc._subscribers) == 1
    wait_for(lambda: not osc._subscribers)


# Those that mean no good.


def _answers(server) -> bool:
    try:
        return get(server)[0] == 200
    except OSError:
        return False


def test_garbage_does_no_harm(server, link):
    draw = random.Random(7)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
            head = draw.choice((b"", b"GET ", b"GET / HTTP/1.1\r\n", b"GET /\xff?\xff HTTP/1.1\r\n\r\n"))
            try:
                raw.sendall(head + draw.randbytes(draw.randrange(3000)))
            except OSError:
                pass
    # Those that still wait to be taken in stand before this one.
    wait_for(lambda: _answers(server))
    wait_for(lambda: not server._connections)
    with Client(server) as client:
        for _ in range(200):
            client.socket.send_binary(draw.randbytes(draw.randrange(1, 400)))
        client.send(FADER, "f", 0.5)
        wait_for(lambda: link.submitted)
    with Client(server) as client:
        client.socket.sock.sendall(draw.randbytes(1000))
    assert get(server)[0] == 200


def test_a_request_without_end_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as raw:
        try:
            for _ in range(1000):
                raw.sendall(b"x" * 4096)
        except OSError:
            pass
    assert get(server)[0] == 200


def test_a_message_larger_than_a_packet_ends_the_connection(server):
    with Client(server) as client:
        client.socket.send_binary(bytes(70000))
        with pytest.raises((websocket.WebSocketException, OSError)):
            while client.socket.recv_data()[0] != websocket.ABNF.OPCODE_CLOSE:
                pass
            raise websocket.WebSocketConnectionClosedException
    assert get(server)[0] == 200


def test_one_client_too_many_is_told_to_come_later(server):
    clients = [Client(server) for _ in range(MOST_LISTENERS)]
    with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
        Client(server)
    assert get(server)[0] == 200
    clients.pop().close()
    wait_for(lambda: len(server._listeners) < MOST_LISTENERS)
    clients.append(Client(server))
    for client in clients:
        client.close()


def test_connections_that_say_nothing_are_bounded_in_number(server):
    idle = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(MOST_CONNECTIONS + 10)]
    time.sleep(0.2)
    assert len(server._connections) <= MOST_CONNECTIONS
    for raw in idle:
        raw.close()
    wait_for(lambda: not server._connections)
    assert get(server)[0] == 200


def test_a_listener_that_stops_reading_costs_no_memory_and_delays_nobody(server, state):
    with Client(server, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)) as slow, Client(server) as quick:
        for address in state.controls:
            if state.controls[address].access != "write":
                slow.command("LISTEN", address)
        quick.command("LISTEN", FADER)
        quick.receive()
        names = "x" * 60000
        ended = time.monotonic() + 1.5
        heard = 0
        while time.monotonic() < ended:
            heard += 1
            state.set_info("/notice", f"{heard}{names}")
            state.set(FADER, heard % 1000 / 1000)
            quick.until(FADER)
        assert heard > 20
        assert any(listener._values for listener in server._listeners)
        for listener in server._listeners:
            assert len(listener._values) <= len(state.controls)
            assert len(listener._answers) <= MOST_ANSWERS


def test_a_listener_that_is_too_slow_is_dropped(server, state, monkeypatch):
    monkeypatch.setattr("realtime.oscquery.listener.PATIENCE", 0.2)
    with Client(server, sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),)) as slow:
        slow.command("LISTEN", "/notice")
        slow.socket.recv()
        said = 0

        def dropped():
            nonlocal said
            said += 1
            state.set_info("/notice", f"{said}{'x' * 60000}")
            return not server._listeners

        wait_for(dropped)


def test_a_listener_that_vanishes_is_forgotten(server, state):
    client = Client(server)
    client.command("LISTEN", FADER)
    client.receive()
    client.socket.sock.close()
    wait_for(lambda: not server._listeners)
    state.set(FADER, 0.5)
    assert get(server)[0] == 200


def test_a_machine_that_osc_does_not_listen_to_cannot_connect(server, osc, monkeypatch):
    monkeypatch.setattr(osc, "allows", lambda address: False)
    with pytest.raises(OSError):
        get(server)


# Start and end.


def test_the_port_is_the_one_after_osc_or_any_free_one(state, osc):
    with (
        OscQueryServer(state, osc, announce=False) as first,
        OscQueryServer(state, osc, announce=False) as second,
    ):
        assert first.port != second.port
        assert get(second)[0] == 200


def test_a_port_that_was_asked_for_and_is_taken_is_refused_in_a_sentence(server, state, osc):
    with pytest.raises(HostError, match=f"TCP port {server.port} on 127.0.0.1 is taken.*--oscquery-port"):
        OscQueryServer(state, osc, server.port, announce=False)


@pytest.mark.parametrize("port", [-1, 70000])
def test_a_port_that_is_none_is_refused_in_a_sentence(state, osc, port):
    with pytest.raises(HostError, match="from 0 to 65535"):
        OscQueryServer(state, osc, port, announce=False)


def test_closing_says_farewell_and_frees_the_port_and_the_thread(state, osc):
    server = OscQueryServer(state, osc, 0, announce=False)
    with Client(server) as client:
        server.close()
        server.close()
        assert client.socket.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    assert "oscquery" not in {thread.name for thread in threading.enumerate()}
    state.set(FADER, 0.5)
    with OscQueryServer(state, osc, server.port, announce=False):
        pass


def test_clients_are_told_when_the_tree_changes(server, client):
    client.ping()
    server.path_changed("/stem")
    assert client.receive() == {"COMMAND": "PATH_CHANGED", "DATA": "/stem"}


# The host.


class Engine:
    """What a host takes for the engine's process."""

    started = Started("identity", STEMS, "low", "single", "null", 44100, 512, SNAPSHOT.latency, (0, 0), 512, (1, 1))
    device_state = PLAYING

    def __init__(self, *_):
        pass

    def submit(self, mix, at):
        pass

    def telemetry(self):
        return SNAPSHOT

    def stop(self):
        pass


@pytest.fixture
def plan(monkeypatch):
    monkeypatch.setattr(host, "RemoteEngine", Engine)
    monkeypatch.setattr("realtime.oscquery.server.Announcement.begin", lambda *_: asyncio.sleep(0))
    return Plan(separator=find_separator("identity"), mix=Mix(()), device="null")


def test_a_host_is_read_and_followed(plan):
    running = host.Host(plan, host.OscAddress(port=0), discovery=host.Discovery(0))
    assert json.loads(get(running.query, "/?HOST_INFO")[2])["OSC_PORT"] == running.server.port
    assert json.loads(get(running.query, "/device?VALUE")[2]) == {"VALUE": ["null"]}
    with Client(running.query) as client, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        client.command("LISTEN", "/wet")
        assert client.receive() == ("/wet", 1.0)
        udp.sendto(encode("/wet", "f", (0.5,)), ("127.0.0.1", running.server.port))
        assert client.receive() == ("/wet", 0.5)
    running.stop()
    assert "oscquery" not in {thread.name for thread in threading.enumerate()}


def test_a_host_that_is_not_to_be_found_is_not(plan):
    running = host.Host(plan, host.OscAddress(port=0))
    assert running.query is None
    running.stop()


def test_a_host_runs_without_the_packages_and_says_so(plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "realtime.oscquery.server", None)
    running = host.Host(plan, host.OscAddress(port=0), discovery=host.Discovery())
    assert "pip install 'lasaft-live[oscquery]'" in running.state.value("/notice")[0]
    assert running.query is None
    running.stop()


def test_a_host_whose_port_is_taken_does_not_start_and_leaves_nothing(plan, server):
    with pytest.raises(HostError, match="is taken"):
        host.Host(plan, host.OscAddress(port=0), discovery=host.Discovery(server.port))
    assert [thread.name for thread in threading.enumerate()].count("osc") == 1


def test_a_host_that_cannot_record_as_it_should_does_not_start_and_leaves_nothing(plan, tmp_path):
    nothing = Scene("silent", controls={f"/record/{kind}": 0 for kind in ("mixture", "master", "stems")})
    before = set(threading.enumerate())
    with pytest.raises(HostError, match="nothing to record"):
        host.Host(
            plan, host.OscAddress(port=0), discovery=host.Discovery(0), scene=nothing, record_to=tmp_path, keep_last=True
        )
    assert set(threading.enumerate()) <= before


def test_a_host_with_a_preset_that_is_none_leaves_nothing(plan):
    before = set(threading.enumerate())
    with pytest.raises(HostError, match="/preset takes"):
        host.Host(plan, host.OscAddress(port=0), preset="loud")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("automatic", [True, False])
def test_a_host_reads_the_automatic_that_its_scene_chose_and_a_start_that_holds_goes_before(plan, automatic, monkeypatch):
    asked = []
    monkeypatch.setattr(Engine, "change", lambda self, wish: asked.append(wish.on), raising=False)
    scene = Scene("tour", controls={"/mode/auto": int(not automatic)})
    running = host.Host(replace(plan, automatic=automatic), host.OscAddress(port=0), scene=scene)
    assert running.state.value("/mode/auto") == (0,)
    assert asked[-1] is False
    running.stop()


# The announcement.

BROWSER = """
import sys, time
from zeroconf import ServiceBrowser, Zeroconf
browsing = Zeroconf(interfaces=["127.0.0.1"])
class Said:
    def add_service(self, zeroconf, kind, name):
        info = zeroconf.get_service_info(kind, name)
        print("found", kind, info.port, info.parsed_addresses()[0], flush=True)
    def remove_service(self, zeroconf, kind, name):
        print("gone", kind, flush=True)
    def update_service(self, *_): pass
ServiceBrowser(browsing, ["_oscjson._tcp.local.", "_osc._udp.local."], Said())
print("ready", flush=True)
sys.stdin.read()
browsing.close()
"""


def multicast_works() -> bool:
    """Return whether loopback carries multicast here."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hears,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as says,
    ):
        try:
            hears.bind(("", 0))
            here = socket.inet_aton("127.0.0.1")
            hears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + here)
            hears.settimeout(1)
            says.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            says.sendto(b"x", ("224.0.0.251", hears.getsockname()[1]))
            return hears.recv(16) == b"x"
        except OSError:
            return False


@pytest.mark.skipif(not multicast_works(), reason="no multicast on loopback here")
def test_a_browser_in_another_process_finds_both_services_and_sees_them_go(state, osc):
    browser = subprocess.Popen(
        [sys.executable, "-c", BROWSER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(line.strip() for line in browser.stdout), daemon=True)
    try:
        assert browser.stdout.readline() == "ready\n"
        reader.start()
        with OscQueryServer(state, osc, 0) as server:
            wanted = {
                f"found _oscjson._tcp.local. {server.port} 127.0.0.1", f"found _osc._udp.local. {osc.port} 127.0.0.1"
            }
            wait_for(lambda: wanted <= set(lines))
        wait_for(lambda: {"gone _oscjson._tcp.local.", "gone _osc._udp.local."} <= set(lines))
    finally:
        browser.kill()
        browser.wait()


def test_a_network_that_cannot_be_spoken_to_is_said_and_the_tree_is_served(state, osc, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no such network")

    monkeypatch.setattr("realtime.oscquery.announce.AsyncZeroconf", refuse)
    said = []
    with OscQueryServer(state, osc, 0, tell=said.append) as server:
        assert get(server)[0] == 200
        wait_for(lambda: said)
    assert "no such network" in said[0] and server.url in said[0]
