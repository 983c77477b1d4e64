"""What the host knows has an address, and what is written of addresses is in the table."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from conftest import ROOT
from osc_ends import STEMS, Clock, Link

from realtime.choice import Choice
from realtime.control import controls_for, table_text
from realtime.grants import Grants
from realtime.infos import infos
from realtime.latency import Latency
from realtime.mix import Mix
from realtime.plan import Plan, Started
from realtime.state import ControlState

LATENCY = Latency(512, 0, 512)
STARTED = Started(
    "one", STEMS, "low", "stems", "card", 44100, 512, LATENCY, (64, 96), 512, (1.0, 2.0),
    choices=(Choice("low", LATENCY, (0.001, 0.002), 0.01, 7.5), Choice("safe", Latency(1024, 0, 512), (0.001, 0.002), 0.02)),
    grants=Grants(memory_refused="no memory"), engine_rate=48000,
)
PLAN = Plan(Path("one.onnx"), Mix(()))


def told(started=STARTED, plan=PLAN) -> ControlState:
    state = ControlState(STEMS, Link(), Clock())
    for address, value in infos(started, plan).items():
        state.set_info(address, value)
    return state


def test_what_runs_and_what_could_is_told_and_fits_the_table():
    state = told()
    expected = {
        "/model": "one", "/mode": "low", "/run": "stems", "/device": "card", "/rate": 44100, "/block": 512, "/hop": 512,
        "/model/rate": 48000, "/source": "input", "/grants": "real-time priority 20, no memory", "/mode/low/offered": 1,
        "/mode/safe/offered": 1, "/mode/extreme/offered": 0, "/mode/low/load": 0.1, "/mode/safe/load": 0.05,
        "/mode/low/quality": 7.5, "/mode/safe/delay": 1000 * 1536 / 44100,
    }
    assert {address: state.value(address)[0] for address in expected} == expected
    assert state.value("/device/latency") == (64, 96)
    assert state.value("/mode/safe/quality") is None and state.value("/mode/extreme/delay") is None


def test_a_separator_with_fewer_modes_says_which_it_has_not():
    state = told()
    for address, value in infos(replace(STARTED, choices=STARTED.choices[:1]), PLAN).items():
        state.set_info(address, value)
    assert state.value("/mode/safe/offered") == (0,)


def test_the_source_is_named_even_where_its_name_is_no_text():
    assert told(plan=replace(PLAN, source="song\udcff.wav")).value("/source") == ("song?.wav",)
    assert told(replace(STARTED, device="null")).value("/source") == ("demo",)


def test_the_table_in_markdown_has_a_row_of_seven_cells_for_every_address():
    head, line, *rows = table_text(STEMS, (2, 3), markdown=True).splitlines()
    assert head.startswith("| address | types") and set(line) == set("| -")
    assert [row.split("`")[1] for row in rows] == list(controls_for(STEMS, (2, 3)))
    assert {row.count(" | ") for row in rows} == {6}


def test_the_page_on_osc_names_no_address_that_is_not_there():
    page = (ROOT / "docs" / "control" / "osc.md").read_text()
    named = set(re.findall(r"(?<![\w./*])(/[a-z]+(?:/[a-z]+)*)(?![\w*/.{])", page)) - {"/str"}
    assert {"/subscribe", "/telemetry/tags/residual", "/stem/vocals/gain"} <= named
    assert named <= set(controls_for(STEMS))
