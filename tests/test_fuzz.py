"""Wrong packets of every kind change nothing, cost no memory, and leave the server answering, over UDP and TCP."""

from __future__ import annotations

import gc
import random
import tracemalloc
from types import SimpleNamespace

import pytest
from conftest import ROOT
from osc_ends import STEMS, Client, Clock

from realtime import fuzz as fuzz_module
from realtime.bench import fuzzed
from realtime.bench.flooded import FloodFigures
from realtime.errors import HostError
from realtime.framing import framing_for
from realtime.fuzz import KINDS, answers, fuzz, malformed, malformed_stream
from realtime.osc import OscServer
from realtime.packets import decode
from realtime.state import ControlState

IDENTITY = ROOT / "models" / "pretrained" / "identity.onnx"
NOBODY = ("127.0.0.1", 9)


@pytest.fixture
def server(link):
    with OscServer(ControlState(STEMS, link, Clock()), port=0, telemetry_interval=3600) as running:
        yield running


@pytest.fixture
def answered(server, monkeypatch):
    """What the host says to packets that are put on its desk, without a network in between."""
    packets = []
    monkeypatch.setattr(server._desk, "_send", lambda packet, peer: packets.append(packet))
    return packets


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_answered_by_a_refusal_or_not_at_all_and_changes_nothing(server, link, answered, kind, caplog):
    draw = random.Random(1)
    for _ in range(200):
        server._desk.receive(malformed(draw, kind), NOBODY)
    assert {packet.split(b"\0", 1)[0] for packet in answered} <= {b"/error"}
    assert len(answered) >= 150
    assert link.submitted == [] and len(server._subscribers) == 0
    assert caplog.records == []


def test_decoding_raises_nothing_but_a_sentence():
    draw = random.Random(2)
    for _ in range(5000):
        try:
            decode(malformed(draw))
        except HostError as error:
            assert len(str(error)) > 20


def test_thousands_of_wrong_packets_leave_memory_as_it_was(server, link, answered):
    def send(count, seed):
        draw = random.Random(seed)
        for _ in range(count):
            server._desk.receive(malformed(draw), NOBODY)
            answered.clear()
        gc.collect()

    send(500, 3)
    tracemalloc.start()
    try:
        send(500, 4)
        before, _ = tracemalloc.get_traced_memory()
        send(3000, 5)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000
    assert link.submitted == []


@pytest.mark.parametrize("stream", [False, True], ids=["udp", "tcp"])
def test_after_wrong_packets_from_the_network_the_next_good_message_works(server, link, stream, caplog):
    outcome = fuzz(server.port, 300, 2000, seed=6, stream=stream)
    assert outcome.answers
    assert outcome.errors > 100
    client = Client(server.port)
    assert link.submitted == []
    client.send("/wet", 0.5)
    assert client.ping() == []
    assert [mix.wet for mix, _ in link.submitted] == [0.5]
    assert len(server._connections) <= 1 and caplog.records == []
    client.socket.close()


def test_streams_of_wrong_packets_raise_nothing_but_a_sentence_and_buffers_are_bounded():
    draw = random.Random(7)
    for _ in range(300):
        data, _ = malformed_stream(draw)
        try:
            framing = framing_for(data) if data else None
            for start in range(0, len(data), 1000):
                framing.feed(data[start : start + 1000])
                assert len(framing._rest) <= 2 * 65536 + 1000
        except HostError as error:
            assert len(str(error)) > 20


def test_a_host_that_is_not_there_does_not_answer(monkeypatch):
    probe = Client(0)
    port = probe.port
    probe.socket.close()
    monkeypatch.setattr(fuzz_module, "_PATIENCE", 0.3)
    assert not answers(("127.0.0.1", port))


def test_the_measurement_tells_of_misses_memory_and_the_next_good_message(server, monkeypatch, capsys):
    def measured(path, mode, run, block, seconds, show, rate, make, look):
        look(SimpleNamespace(server=server))
        look(SimpleNamespace(server=server))
        return FloodFigures(mode, run, rate, 2000, seconds, 100, 1, 101, 2)

    monkeypatch.setattr(fuzzed, "measure_flood", measured)
    monkeypatch.setattr("sys.argv", ["fuzzed", "--model", str(IDENTITY), "--packets", "1000", "--seconds", "10"])
    assert fuzzed.main() == 0
    printed = capsys.readouterr().out
    for words in ("2000 wrong packets, 100 a second", "2 of 101 hops meanwhile, 1 of 100", "memory", "answered each time"):
        assert words in printed
