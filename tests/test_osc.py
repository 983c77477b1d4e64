from __future__ import annotations

import math
import random
import shutil
import socket
import struct
import subprocess
import threading

import pytest
from osc_ends import STEMS, Client, built, bundle, wait_for
from pythonosc.osc_message import OscMessage

from realtime.control import twin_of
from realtime.errors import HostError
from realtime.osc import OscServer
from realtime.packets import DEEPEST, decode, encode
from realtime.state import Message
from realtime.subscribers import MOST_SUBSCRIBERS

# Messages.


def test_a_name_that_is_no_text_is_sent_with_a_mark_in_its_place():
    assert OscMessage(encode("/notice", "s", ("caf\udce9 caf\u00e9",))).params == ["caf? caf\u00e9"]


def test_an_empty_blob_is_sent_like_any_other_value():
    packet = encode("/x", "isbf", (7, "long enough", b"", 1.5))
    assert OscMessage(packet).params == [7, "long enough", b"", 1.5]
    assert decode(packet)[0][1].values == (7, "long enough", b"", 1.5)


def test_a_ping_is_answered(client):
    client.send("/ping")
    assert client.receive() == ("/pong",)


def test_a_message_reaches_the_engine(client, link):
    client.send("/wet", 0.5)
    assert client.ping() == []
    [(mix, at)] = link.submitted
    assert (mix.wet, at) == (0.5, None)


def test_the_order_of_a_thousand_messages_is_kept(client, link):
    for i in range(1000):
        client.send("/wet", i / 1000)
        if i % 50 == 0:  # no more in flight than a small receive buffer holds
            client.ping()
    assert client.ping() == []
    assert [mix.wet for mix, _ in link.submitted] == pytest.approx([i / 1000 for i in range(1000)])


@pytest.mark.parametrize(
    ("address", "values", "tags"),
    [
        ("/wet", [1], "i"), ("/wet", [1], "h"), ("/wet", [0.5], "d"), ("/glide", [30], "i"), ("/bypass", [True], "T"),
        ("/bypass", [1], "h"), ("/condition", [1, 0.5, 0, 1.0], "ifif"), ("/preset", ["melody"], "s"),
    ],
)
def test_types_that_mean_the_same_are_accepted(client, link, address, values, tags):
    client.send(address, *values, tags=tags)
    assert client.ping() == []
    assert len(link.submitted) == 1


def test_a_message_without_type_tags_has_no_arguments(client):
    client.send_raw(b"/ping\0\0\0")
    assert client.receive() == ("/pong",)


REFUSED = [
    ("/wet",), ("/wet", 1.5), ("/wet", math.nan), ("/wet", -math.inf), ("/wet", "loud"), ("/wet", [0.5]),
    ("/wet", None), ("/wet", b"x" * 60000), ("/condition", 1.0), ("/preset", "karaoke"), ("/stem/piano/mute", 1),
    ("/bypass", 2), ("/nothing", 1), ("/rate", 48000), ("/stem/*/mute", 1), ("/get", "/nothing"), ("/get",),
    ("/get", "/ping"), ("/ping", 1), ("/subscribe", 0), ("/subscribe", 70000), ("/subscribe", "/nowhere"),
    ("/subscribe", "/tele"), ("/unsubscribe", "x"),
]


@pytest.mark.parametrize("message", REFUSED, ids=lambda m: f"{m[0]}-{str(m[1:])[:20]}")
def test_what_does_not_fit_is_answered_on_error_and_changes_nothing(client, link, message):
    client.send(*message)
    [(address, *(about, reason))] = client.ping()
    assert address == "/error"
    assert about in (message[0], "", *message[1:])
    assert len(reason) > 20
    assert link.submitted == []


def test_refusals_of_other_hosts_are_not_answered(client):
    client.send("/error", "/wet", "no")
    client.send("/error", 1)
    client.send("/pong")
    assert client.ping() == []


def test_get_sends_the_value_and_its_text(client, state):
    state.set_info("/mode", "low")
    client.send("/get", "/stem/vocals/gain")
    client.send("/get", "/mode")
    client.send("/get", "/stem/vocals/gain/str")
    client.send("/get", "/stems")
    client.send("/get", "/telemetry/hops")
    assert client.ping() == [
        ("/stem/vocals/gain", 0.75), ("/stem/vocals/gain/str", "0.0 dB"), ("/mode", "low"),
        ("/stem/vocals/gain/str", "0.0 dB"), ("/stems", *STEMS), ("/telemetry/hops", 7),
    ]


def test_get_of_what_is_not_known_says_so(client, link):
    link.snapshot = None
    client.send("/get", "/device")
    client.send("/get", "/telemetry/load")
    assert [(m[0], m[1]) for m in client.ping()] == [("/error", "/device"), ("/error", "/telemetry/load")]


# Bundles.


def test_a_bundle_is_one_mix(client, link):
    client.send_raw(bundle(0, ("/preset", "drums"), ("/get", "/wet"), ("/wet", 0.5)).dgram)
    assert client.ping() == [("/wet", 0.5), ("/wet/str", "50 %")]
    [(mix, at)] = link.submitted
    assert (mix.gains, mix.wet, at) == ((0, 1, 0, 0), 0.5, None)


@pytest.mark.parametrize("wrong", [("/wet", 7.0), ("/nothing", 1), ("/get", "/nothing"), ("/subscribe", "/nowhere")])
def test_a_bundle_with_one_wrong_message_is_refused_whole(client, link, clock, wrong):
    inner = bundle(clock.now + 60, ("/stem/bass/mute", 1))
    client.send_raw(bundle(0, ("/wet", 0.5), inner, wrong, ("/bypass", 1)).dgram)
    assert [m[0] for m in client.ping()] == ["/error"]
    client.send("/subscribe", "/wet")
    client.send("/bypass", 1)
    client.ping()
    assert [mix.wet for mix, _ in link.submitted] == [0]


def test_a_future_time_tag_becomes_a_stream_position_without_holding_up_others(client, link, state, clock):
    due = clock.now + 1
    client.send_raw(bundle(due, ("/wet", 0.5), ("/stem/bass/mute", 1)).dgram)
    client.send("/stem/vocals/gain", 0.0)
    assert client.ping() == []
    assert [(mix.wet, mix.gains[0], at) for mix, at in link.submitted] == [(1, 0, None)]
    clock.now = due - 0.05
    wait_for(lambda: len(link.submitted) == 2)
    mix, at = link.submitted[1]
    assert abs(at - link.position(due)) <= 1
    assert (mix.wet, mix.gains) == (0.5, (0, 1, 0, 1))
    client.send("/get", "/bypass")
    assert client.ping() == [("/bypass", 0)]
    assert state.value("/wet") == (1,)
    clock.now = due + 0.001
    wait_for(lambda: state.value("/wet") == (0.5,))
    assert len(link.submitted) == 2


def test_bundles_land_in_the_order_of_their_tags(client, link, clock):
    start = clock.now + 1
    for number in (3, 1, 2, 0):
        client.send_raw(bundle(start + number / 1000, ("/wet", number / 10), (f"/stem/{STEMS[number]}/mute", 1)).dgram)
    assert client.ping() == []
    clock.now = start - 0.05
    wait_for(lambda: len(link.submitted) == 4)
    mixes = [mix for mix, _ in link.submitted]
    assert [at for _, at in link.submitted] == sorted({at for _, at in link.submitted})
    assert [mix.wet for mix in mixes] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert [sum(mix.gains) for mix in mixes] == [3, 2, 1, 0]


def test_a_tag_in_the_past_applies_at_once_and_is_counted(client, link, clock):
    client.send_raw(bundle(clock.now - 100, ("/wet", 0.5)).dgram)
    client.send("/get", "/telemetry/late")
    assert client.ping() == [("/telemetry/late", 1)]
    assert [(mix.wet, at) for mix, at in link.submitted] == [(0.5, None)]


def test_a_tag_beyond_an_hour_is_refused_and_so_is_a_request_that_would_wait(client, link, clock):
    client.send_raw(bundle(clock.now + 4000, ("/wet", 0.5)).dgram)
    client.send_raw(bundle(clock.now + 10, ("/get", "/wet")).dgram)
    assert [m[:2] for m in client.ping()] == [("/error", "/wet"), ("/error", "/get")]
    assert link.submitted == []


def test_elements_of_a_bundle_are_due_no_earlier_than_the_bundle():
    packet = bundle(2e9, ("/a",), bundle(0, ("/b",)), bundle(1.9e9, ("/c",)), bundle(2.05e9, ("/d",))).dgram
    assert [(message.address, due) for due, message in decode(packet)] == [
        ("/a", 2e9), ("/b", 2e9), ("/c", 2e9), ("/d", 2.05e9),
    ]


def test_time_tags_go_on_after_ntp_starts_over_in_2036():
    after = 2**32 - 2_208_988_800 + 1000  # as seconds since 1970
    packet = b"#bundle\0" + struct.pack(">II", 1000, 1 << 31) + struct.pack(">i", 8) + b"/a\0\0,\0\0\0"
    assert decode(packet) == [(after + 0.5, Message("/a"))]


# Packets that are not OSC.

PING = built("/ping").dgram
WET = built("/wet", 0.5).dgram
MALFORMED = {
    "empty": b"",
    "not osc": b"GET / HTTP/1.1\r\n\r\n",
    "no end of address": b"/wet",
    "number cut short": b"/wet\0\0\0\0,f\0\0",
    "number cut in half": WET[:-2],
    "more than its arguments": WET + b"\0\0\0\0",
    "tags without a comma": b"/wet\0\0\0\0f\0\0\0" + b"\0\0\0\0",
    "unknown type": b"/wet\0\0\0\0,If\0" + struct.pack(">f", 0.5),
    "array": b"/wet\0\0\0\0,[f]\0\0\0\0" + struct.pack(">f", 0.5),
    "address of bytes": b"/\xff\xfe\0,f\0\0" + struct.pack(">f", 0.5),
    "text of bytes": b"/preset\0,s\0\0\xff\xff\xff\0",
    "negative blob": b"/wet\0\0\0\0,bf\0" + struct.pack(">if", -8, 0.5),
    "blob longer than the packet": b"/wet\0\0\0\0,b\0\0" + struct.pack(">i", 2**31 - 1),
    "bundle without a tag": b"#bundle\0",
    "element of negative size": b"#bundle\0" + struct.pack(">Qi", 1, -4) + WET,
    "element of no size": b"#bundle\0" + struct.pack(">Qi", 1, 0) + WET,
    "element longer than the bundle": b"#bundle\0" + struct.pack(">Qi", 1, 4000) + WET,
    "element that is nothing": b"#bundle\0" + struct.pack(">Qi", 1, 4) + b"wet\0",
    "second element cut short": bundle(0, ("/wet", 0.5), ("/wet", 0.1)).dgram[:-4],
}


def nested(depth, inner):
    for _ in range(depth):
        inner = b"#bundle\0" + struct.pack(">Qi", 1, len(inner)) + inner
    return inner


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_packet_is_refused_and_changes_nothing(client, link, packet):
    client.send_raw(packet)
    assert [m[0] for m in client.ping()] == ["/error"]
    assert link.submitted == []


def test_bundles_nest_only_so_deep(client, link):
    client.send_raw(nested(DEEPEST, WET))
    client.send_raw(nested(DEEPEST + 1, WET))
    client.send_raw(nested(3000, WET))
    assert [m[0] for m in client.ping()] == ["/error", "/error"]
    assert len(link.submitted) == 1


def test_random_and_truncated_packets_leave_the_server_answering(client, caplog):
    dice = random.Random(1)
    pair = bundle(0, ("/wet", 0.5), ("/preset", "all")).dgram
    whole = [WET, PING, pair, built("/condition", 1.0, 0.0, 1.0, 0.5).dgram]
    for i in range(600):
        packet = bytearray(dice.choice(whole))
        if i % 3 == 0:
            packet = packet[: dice.randrange(len(packet))]
        elif i % 3 == 1:
            for _ in range(dice.randrange(1, 6)):
                packet[dice.randrange(len(packet))] = dice.randrange(256)
        else:
            packet = dice.choice([b"", b"/", b"#bundle\0"]) + dice.randbytes(dice.randrange(200))
        client.send_raw(bytes(packet))
        if i % 20 == 0:
            client.ping()
    client.send("/get", "/stems")
    client.until("/stems")
    assert client.ping() == []
    assert caplog.records == []


def test_a_fault_inside_the_host_does_not_end_the_server(client, link, caplog):
    def broken(mix, at):
        raise RuntimeError("boom")

    link.submit, working = broken, link.submit
    client.send("/wet", 0.5)
    client.send("/wet", 0.6)
    assert [m[0] for m in client.ping()] == ["/error", "/error"]
    assert len(caplog.records) == 1
    link.submit = working
    client.send("/wet", 0.7)
    assert client.ping() == []


# Subscriptions.


def test_a_subscriber_gets_current_values_and_then_changes(client, server):
    client.send("/subscribe", "/stem/vocals")
    assert client.ping() == [
        ("/stem/vocals/gain", 0.75), ("/stem/vocals/gain/str", "0.0 dB"),
        ("/stem/vocals/mute", 0), ("/stem/vocals/solo", 0),
    ]
    other = Client(server.port)
    other.send("/wet", 0.5)
    other.send("/stem/vocals/gain", 0.375)
    assert client.receive() == ("/stem/vocals/gain", 0.375)
    assert client.receive() == ("/stem/vocals/gain/str", "-12.0 dB")
    assert other.ping() == []
    assert client.ping() == []


def test_after_a_preset_every_gain_that_changed_is_sent(client):
    client.send("/subscribe", "/stem")
    client.ping()
    client.send("/preset", "drums+bass")
    assert [client.receive() for _ in range(4)] == [
        ("/stem/vocals/gain", 0), ("/stem/vocals/gain/str", "off"),
        ("/stem/other/gain", 0), ("/stem/other/gain/str", "off"),
    ]


def test_a_subscription_can_go_to_another_port_and_be_ended(client, server):
    other = Client(server.port)
    client.send("/subscribe", other.port, "/wet")
    assert [other.receive(), other.receive()] == [("/wet", 1), ("/wet/str", "100 %")]
    client.send("/unsubscribe", other.port)
    client.send("/wet", 0.5)
    assert client.ping() == []
    assert other.ping() == []


def test_changes_by_the_host_reach_subscribers(client, state):
    client.send("/subscribe", "/run")
    assert client.ping() == []
    state.set_info("/run", "single")
    assert client.receive() == ("/run", "single")


def test_a_prefix_ends_at_a_slash(client):
    client.send("/subscribe", "/stem/vocals/gain/")
    assert [m[0] for m in client.ping()] == ["/stem/vocals/gain", "/stem/vocals/gain/str"]
    client.send("/subscribe", "/stem/vocals/g")
    assert [m[0] for m in client.ping()] == ["/error"]


def test_without_a_prefix_everything_that_has_a_value_is_sent(client, state):
    client.send("/subscribe")
    sent = [m[0] for m in client.ping()]
    known = [a for a, c in state.controls.items() if c.access != "write" and state.value(a) is not None]
    assert [a for a in sent if not a.startswith("/telemetry")] == known
    assert {twin_of(a) for a in sent if state.controls[a].text} <= set(sent)


def test_telemetry_goes_to_who_asked_for_it(client, server, link):
    client.send("/subscribe", "/stem")
    client.ping()
    assert link.asked == 0
    client.send("/subscribe", "/telemetry/latency")
    got = {client.receive() for _ in range(9)}
    assert got >= {
        ("/telemetry/latency", 1024),
        ("/telemetry/latency/split", "window 512 + block 0 + reserve 512 = 1024 samples, 23.2 ms"),
    }
    assert {m[0] for m in got} == {"/telemetry/latency", "/telemetry/latency/ms", "/telemetry/latency/split"}


def test_every_telemetry_value_fits_the_table(client, state):
    client.send("/subscribe", "/telemetry")
    got = {m[0]: m[1:] for m in client.ping()}
    assert set(got) == {a for a, c in state.controls.items() if c.kind == "telemetry"} - {
        *(f"/telemetry/{kind}/{stem}" for kind in ("meter", "spectrum") for stem in ("drums", "bass", "other")),
        "/telemetry/tags/residual", "/telemetry/tags/drift",
    }
    assert got["/telemetry/work"] == (1, 2, 3, 4)
    assert got["/telemetry/meter/vocals"] == (0.5, 0.25)
    assert got["/telemetry/spectrum/output"] == (bytes(range(128)),)
    for address, values in got.items():
        encode(address, state.controls[address].tags, values)


def test_telemetry_waits_its_interval(state):
    with OscServer(state, port=0, telemetry_interval=3600) as server:
        client = Client(server.port)
        client.send("/subscribe", "/telemetry/hops")
        # The value at once, and at most one round.
        assert 1 <= sum(len(client.ping()) for _ in range(20)) <= 2


def test_a_dead_subscriber_hurts_nobody(client, server):
    gone = Client(server.port)
    gone.send("/subscribe")
    gone.ping()
    gone.socket.close()
    client.send("/subscribe", "/wet")
    client.ping()
    for i in range(5):
        client.send("/wet", i / 8)
        assert client.receive() == ("/wet", i / 8)
        assert client.receive()[0] == "/wet/str"


def test_subscribers_are_limited_and_the_oldest_gives_way(client, server):
    client.send("/subscribe", "/wet")
    client.ping()
    others = [Client(server.port) for _ in range(MOST_SUBSCRIBERS)]
    for other in others:
        other.send("/subscribe", "/wet")
        other.ping()
    [(address, about, reason)] = client.ping()
    assert (address, about) == ("/error", "/subscribe")
    assert str(MOST_SUBSCRIBERS) in reason
    others[0].send("/wet", 0.5)
    assert all(("/wet", 0.5) in other.until("/wet/str") for other in others)
    assert client.ping() == []
    for other in others:
        other.socket.close()


def test_the_host_does_not_subscribe_to_itself(client, server):
    client.send("/subscribe", server.port)
    assert [m[0] for m in client.ping()] == ["/error"]


# The port.


def test_a_port_in_use_is_named_with_what_to_do(server, state):
    with pytest.raises(HostError, match=f"{server.port}.*another copy.*--osc-port"):
        OscServer(state, port=server.port)


def test_a_port_that_cannot_be_is_refused_in_a_sentence(state):
    for host, port in [("127.0.0.1", 70000), ("192.0.2.1", 0)]:
        with pytest.raises(HostError, match="cannot listen"):
            OscServer(state, host, port)


def test_close_frees_the_port_and_ends_the_thread(state):
    before = threading.active_count()
    server = OscServer(state, port=0)
    server.close()
    server.close()
    assert threading.active_count() == before
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", server.port))


# A client that shares no code with the host.

needs_liblo = pytest.mark.skipif(
    not (shutil.which("oscsend") and shutil.which("oscdump")), reason="liblo's oscsend and oscdump are not installed"
)


@needs_liblo
def test_oscsend_controls_the_host(server, client, link):
    for line in ["/preset s acapella", "/stem/bass/gain f 0.75", "/bypass T", "/glide i 50"]:
        subprocess.run(["oscsend", "127.0.0.1", str(server.port), *line.split()], check=True, timeout=10)
    assert client.ping() == []
    assert [mix.gains for mix, _ in link.submitted] == [(1, 0, 0, 0)] + [(1, 0, 1, 0)] * 3
    assert (link.submitted[-1][0].wet, link.submitted[-1][0].glide) == (0, 0.05)


@needs_liblo
def test_oscdump_reads_what_the_host_sends(server, client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    dump = subprocess.Popen(["oscdump", "-L", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        lines, found = [], threading.Event()

        def read():
            for line in dump.stdout:
                lines.append(line.split(" ", 1)[1].strip())
                if "/telemetry/spectrum/output" in line:
                    found.set()

        threading.Thread(target=read, daemon=True).start()
        wanted = {
            "/stem/vocals/gain f 0.750000",
            '/stem/vocals/gain/str s "0.0 dB"',
            '/stems ssss "vocals" "drums" "bass" "other"',
            "/telemetry/latency i 1024",
        }
        for _ in range(50):  # until oscdump listens; it may begin in the middle of a burst
            found.clear()
            client.send("/subscribe", port)
            if found.wait(0.2) and wanted <= set(lines):
                break
        assert wanted <= set(lines)
    finally:
        dump.kill()
        dump.wait()
