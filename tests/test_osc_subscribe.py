"""Subscriptions and queries over UDP: patterns, rates, heart-beats, and peers that go or are not allowed."""

from __future__ import annotations

import socket
import sys
import time
from types import SimpleNamespace

import pytest
from osc_ends import STEMS, Client, bundle, wait_for

from realtime import osc
from realtime.control import controls_for
from realtime.errors import HostError
from realtime.osc import OscServer
from realtime.peers import Allowance

needs_reports = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whose port is closed")


@pytest.fixture
def server(state):
    with OscServer(state, port=0, heartbeat=0.2) as running:
        yield running


# Queries.


def test_get_takes_a_pattern_and_answers_in_the_order_of_the_table(client):
    client.send("/get", "/stem/{bass,drums}/[gm]*")
    assert client.ping() == [
        ("/stem/drums/gain", 0.75), ("/stem/drums/gain/str", "0.0 dB"), ("/stem/drums/mute", 0),
        ("/stem/bass/gain", 0.75), ("/stem/bass/gain/str", "0.0 dB"), ("/stem/bass/mute", 0),
    ]
    client.send("/get", "//gain/str")
    assert [m[0] for m in client.ping()] == [*(f"/stem/{stem}/gain/str" for stem in STEMS), "/remainder/gain/str"]


def test_everything_that_has_a_value_can_be_had_at_once(client, state, link):
    client.send("/get", "//*")
    got = {m[0] for m in client.ping()}
    silent = {"/pong", "/error", "/heartbeat", "/telemetry/tags/residual", "/telemetry/tags/drift"}
    silent |= {f"/telemetry/{kind}/{stem}" for kind in ("meter", "spectrum") for stem in STEMS[1:]}
    assert got == {
        a for a, c in state.controls.items() if a not in silent and c.access != "write"
        and (c.kind == "telemetry" or state.value(a) is not None)
    }


def test_a_pattern_that_matches_nothing_or_cannot_be_is_refused(client):
    for pattern in ("/nothing/*", "/stem/*/gai", "/[", "*" * 300):
        client.send("/get", pattern)
        [(address, about, reason)] = client.ping()
        assert (address, about) == ("/error", "/get")
        assert len(reason) > 20


def test_a_pattern_in_a_setting_is_refused_with_where_patterns_belong(client, link):
    client.send("/stem/*/gain", 0.5)
    client.send("/?et", 0.5)
    errors = client.ping()
    assert [m[0] for m in errors] == ["/error", "/error"]
    assert "only /get and /subscribe take patterns" in errors[1][2]
    assert link.submitted == []


def test_subscribe_takes_a_pattern_and_holds_what_lies_below(client):
    client.send("/subscribe", "/stem/*/gain")
    assert len(client.ping()) == 8
    client.send("/stem/vocals/mute", 1)
    client.send("/stem/drums/gain", 0.375)
    assert client.receive() == ("/stem/drums/gain", 0.375)
    assert client.receive() == ("/stem/drums/gain/str", "-12.0 dB")


def test_who_asks_for_too_much_is_told_so_and_others_are_answered(client, server, monkeypatch):
    monkeypatch.setattr(server._desk, "_allowance", Allowance(rate=400))
    for _ in range(12):
        client.send("/get", "//*")
    said = client.ping()
    assert [m for m in said if m[0] == "/error" and "more values a second" in m[2]]
    assert len(said) < 500
    # Plain questions are answered all the same.
    client.send("/get", "/bypass")
    assert client.ping() == [("/bypass", 0)]


# Rates.


def test_a_rate_sends_the_newest_value_no_more_often_than_asked(client):
    client.send("/subscribe", "/glide", 5.0)
    assert client.ping() == [("/glide", 30)]
    begun = time.monotonic()
    for i in range(100):
        client.send("/glide", float(i))
    got = [client.receive()]
    while got[-1] != ("/glide", 99):
        got.append(client.receive())
    assert len([m for m in got if m[0] == "/glide"]) <= 1 + (time.monotonic() - begun) * 5


def test_a_rate_thins_telemetry(client):
    begun = time.monotonic()
    client.send("/subscribe", "/telemetry/hops", 10)
    # The value at once, and one a tenth of a second from the next on.
    for _ in range(5):
        assert client.receive() == ("/telemetry/hops", 7)
    assert time.monotonic() - begun > 0.29


@pytest.mark.parametrize(
    "values", [(-1.0,), (2000.0,), (9001, "/wet", 10.0, 0.5), (9001, "/wet", 10.0, 4000.0), (9001.0,), (1.0, 2.0, 3.0)]
)
def test_a_rate_or_a_lease_out_of_range_is_refused(client, values):
    client.send("/subscribe", *values)
    assert [m[:2] for m in client.ping()] == [("/error", "/subscribe")]


# Heart-beats, and those who go.


def test_subscribers_get_a_numbered_heart_beat_and_others_do_not(client, server):
    other = Client(server.port)
    other.beats = client.beats = True
    client.send("/subscribe", "/wet")
    client.ping()
    assert [client.receive() for _ in range(3)] == [("/heartbeat", 1), ("/heartbeat", 2), ("/heartbeat", 3)]
    assert other.ping() == []
    client.send("/unsubscribe")
    client.ping()
    time.sleep(0.3)
    assert client.ping() == []


@needs_reports
def test_a_subscriber_whose_port_is_closed_is_dropped_at_once_and_counted(client, server):
    gone = Client(server.port)
    gone.send("/subscribe", "/telemetry")
    gone.ping()
    client.send("/subscribe", "/wet")
    client.ping()
    assert len(server._subscribers) == 2
    gone.socket.close()
    wait_for(lambda: len(server._subscribers) == 1)
    client.send("/get", "/telemetry/dropped")
    client.send("/get", "/telemetry/subscribers")
    assert client.ping() == [("/telemetry/dropped", 1), ("/telemetry/subscribers", 1)]


@needs_reports
def test_what_is_sent_to_a_closed_port_costs_others_nothing(client, server):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = probe.getsockname()[1]
    client.send("/subscribe", "/glide")
    client.ping()
    for i in range(200):
        client.send("/subscribe", nobody, "/stem")
        client.send("/glide", float(i))
        assert client.receive() == ("/glide", i)


def test_a_subscription_with_a_lease_ends_when_nothing_more_is_heard(client, server):
    quiet = Client(server.port)
    quiet.send("/subscribe", "/wet", 0, 1.0)
    client.send("/subscribe", "/wet", 0, 1.0)
    quiet.ping()
    client.ping()
    begun = time.monotonic()
    while time.monotonic() < begun + 1.4:
        client.ping()
        time.sleep(0.05)
    assert len(server._subscribers) == 1
    [(address, about, reason)] = quiet.ping()
    assert (address, about) == ("/error", "/subscribe") and "subscribe again" in reason
    client.send("/wet", 0.5)
    assert client.receive() == ("/wet", 0.5)


# Who may talk.


def test_a_peer_that_is_not_allowed_is_not_answered_and_counted(state, link, monkeypatch):
    monkeypatch.setattr(osc, "AllowList", lambda allow: SimpleNamespace(allows=lambda host: host != "127.0.0.2"))
    with OscServer(state, "0.0.0.0", 0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        client = Client(server.port)
        try:
            stranger.bind(("127.0.0.2", 0))
        except OSError:
            pytest.skip("this system has one loopback address only")
        stranger.settimeout(0.2)
        for packet in (b"/ping\0\0\0", b"garbage", b"/bypass\0,T\0\0"):
            stranger.sendto(packet, ("127.0.0.1", server.port))
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:
            caller.bind(("127.0.0.2", 0))
            caller.settimeout(5)
            caller.connect(("127.0.0.1", server.port))
            try:
                assert caller.recv(10) == b""
            except ConnectionResetError:
                pass
        with pytest.raises(TimeoutError):
            stranger.recv(100)
        assert client.ping() == [] and link.submitted == []
        client.send("/get", "/telemetry/refused")
        assert client.ping() == [("/telemetry/refused", 4)]


def test_a_list_of_who_may_talk_makes_no_sense_on_loopback(state):
    with pytest.raises(HostError, match="--osc-host 0.0.0.0"):
        OscServer(state, port=0, allow=("192.168.1.0/24",))


def test_a_host_that_listens_everywhere_does_not_subscribe_to_itself_under_any_name(state):
    with OscServer(state, "0.0.0.0", 0) as server:
        client = Client(server.port)
        client.send("/subscribe", server.port)
        assert [m[:2] for m in client.ping()] == [("/error", "/subscribe")]


# Time tags.


def test_the_residual_of_time_tags_is_told_once_the_stream_runs(state, link, clock, monkeypatch):
    monkeypatch.setattr(osc, "PERIOD", 0.001)
    state.set_info("/rate", 44100)
    with OscServer(state, port=0, heartbeat=9) as server:
        client = Client(server.port)
        for _ in range(60):
            clock.now += 0.25
            time.sleep(0.002)
            client.ping()
        client.send("/get", "/telemetry/tags/*")
        got = {m[0]: m[1] for m in client.ping()}
    assert 0 <= got["/telemetry/tags/residual"] < 0.02
    assert abs(got["/telemetry/tags/drift"]) < 20
    assert got["/telemetry/tags/waiting"] == 0


def test_messages_that_wait_for_their_time_are_counted(client, clock):
    client.send_raw(bundle(clock.now + 10, ("/wet", 0.5), ("/bypass", 1)).dgram)
    client.send("/get", "/telemetry/tags/waiting")
    assert client.ping() == [("/telemetry/tags/waiting", 2)]


def test_every_reply_of_the_table_is_ignored_where_it_comes_in(client, link):
    for control in controls_for(STEMS).values():
        if control.kind == "reply":
            client.send(control.address, 1)
    assert client.ping() == []
