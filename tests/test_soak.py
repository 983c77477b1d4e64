"""A soak changes what runs, measures the delay after every change, and tells of what it found; and floods are of all kinds."""

from __future__ import annotations

import json
import random

import pytest
from conftest import ROOT

from realtime.errors import HostError
from realtime.flood import packet
from realtime.packets import decode
from realtime.soak import Found, Minute, Request, soak

IDENTITY = ROOT / "models" / "pretrained" / "identity.onnx"


def test_a_short_soak_of_a_real_host_tells_of_changes_delays_misses_and_memory(tmp_path, capsys):
    path = tmp_path / "soak.json"
    soak(Request(IDENTITY, minutes=0.1, seed=3, rate=100, json=path))
    found = json.loads(path.read_text())
    assert sum(found["changes"].values()) >= 1
    assert found["measured"] + len(found["wrong"]) + found["unheard"] == sum(found["changes"].values())
    assert found["messages"] > 100 and found["seed"] == 3
    printed = capsys.readouterr().out
    for words in ("changes (", "misses: ", "the machine's share: ", "delay: measured "):
        assert words in printed


def test_no_time_at_all_is_refused():
    with pytest.raises(HostError, match="longer than nothing"):
        soak(Request(IDENTITY, minutes=0))


def test_memory_is_compared_with_minute_five_or_the_first_there_is():
    minutes = [Minute(n, 0, 0, 0, 100.0 + n, None) for n in range(1, 31)]
    assert Found(minutes).growth() == (130 / 105 - 1, None)
    assert Found(minutes[:3]).growth() == (0.0, None)


def test_a_flood_holds_messages_that_fit_some_that_do_not_and_what_is_none():
    draw = random.Random(0)
    addresses, broken = set(), 0
    for _ in range(500):
        try:
            addresses |= {message.address for _, messages in decode_all(packet(draw)) for message in messages}
        except ValueError:
            broken += 1
    assert {"/condition", "/glide", "/nothing", "/stem/bass/gain"} <= addresses
    assert broken > 20


def decode_all(data: bytes):
    return [(None, [message for _, message in decode(data)])]
