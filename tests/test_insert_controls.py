"""The controls of inserts, the command line's, and a real plugin where there is one."""

from __future__ import annotations

import time

import numpy as np
import pytest

from realtime.control import Refused
from realtime.errors import HostError
from realtime.inserts.controls import InsertControls
from realtime.inserts.folders import folders, found
from realtime.inserts.insert import Insert, Parameter, Place, SlotNews, Turn, parse_inserts
from realtime.inserts.keeper import Keeper, Setup
from realtime.inserts.rack import delays_for
from realtime.latency import Latency
from realtime.state import ControlState, Message

STEMS = ("vocals", "drums")


class Link:
    def __init__(self) -> None:
        self.orders: list[object] = []
        self.inserts: InsertControls | None = None

    def submit(self, mix, at) -> None:
        pass

    def position(self, wall: float) -> None:
        return None

    def telemetry(self) -> None:
        return None

    def change(self, address, value) -> None:
        self.inserts.change(address, value)


@pytest.fixture
def state() -> ControlState:
    link = Link()
    state = ControlState(STEMS, link, inserts=True)
    link.inserts = InsertControls(state, link.orders.append)
    return state


def test_without_slots_there_are_no_controls_of_them():
    assert not [address for address in ControlState(STEMS, Link()).controls if address.startswith("/insert/")]


def test_what_is_set_becomes_an_order_and_is_shown(state):
    state.set("/insert/vocals/1/plugin", "/a.vst3")
    state.set("/insert/vocals/1/param/3", 0.5)
    state.set("/insert/vocals/1/bypass", 1)
    state.set("/insert/vocals/1/plugin", "")
    wanted = [Place("vocals", 1, "/a.vst3"), Turn("vocals", 1, 3, 0.5), Turn("vocals", 1, 0, 1.0), Place("vocals", 1, "")]
    assert state.link.orders == wanted
    # The next plugin does not begin where the one before was passed by.
    assert state.value("/insert/vocals/1/bypass") == (0,)
    with pytest.raises(Refused, match="from 0 to 1"):
        state.set("/insert/vocals/1/param/3", 1.5)
    with pytest.raises(Refused, match="there is no /insert/piano"):
        state.set("/insert/piano/1/plugin", "/a.vst3")


def test_a_plugin_that_is_not_there_is_refused_before_anything_is_done(state, tmp_path):
    controls, address = state.link.inserts, "/insert/vocals/1/plugin"
    assert address in controls.addresses and "/insert/vocals/1/state" not in controls.addresses
    for path in ("", str(tmp_path)):
        controls.check(Message(address, (path,)), ())
    with pytest.raises(Refused, match="there is no plugin"):
        controls.check(Message(address, (str(tmp_path / "none.vst3"),)), ())
    assert state.link.orders == []


def test_what_the_plugin_tells_is_shown_with_names_and_text(state):
    parameters = (Parameter("Attack", 0.25, "10 ms"),)
    state.link.inserts.hear(SlotNews("master", 2, "/a.vst3", "running", 7, parameters))
    at = "/insert/master/2"
    assert state.value(f"{at}/state") == ("running",) and state.value("/insert/master/misses") == (7,)
    assert [state.value(f"{at}/param/1{end}") for end in ("", "/name", "/str")] == [(0.25,), ("Attack",), ("10 ms",)]
    # Nothing is known of a parameter that it does not have.
    assert state.value(f"{at}/param/2") is None
    state.link.inserts.hear(SlotNews("master", 2, "", "off", 7))
    assert state.value(f"{at}/param/1/name") == ("",)


def test_the_command_line_fills_slots_in_turn_and_refuses_in_a_sentence():
    given = parse_inserts(["vocals=a", "master=b", "vocals=c=d"], STEMS)
    assert given == (Insert("vocals", 1, "a"), Insert("master", 1, "b"), Insert("vocals", 2, "c=d"))
    for texts, sentence in (
        (["vocals"], "takes a target and a plugin"),
        (["piano=a"], "one of master, vocals, drums, not on 'piano'"),
        (["drums=a"] * 3, "2 slots, and both are taken"),
    ):
        with pytest.raises(HostError, match=sentence):
            parse_inserts(texts, STEMS)


def test_the_delay_is_whole_hops_of_8_ms_the_fade_and_the_latest_plugin_and_is_told():
    assert delays_for({}, 512, 512, 44100, 512).whole == 0
    assert delays_for({"vocals": 30, "drums": 10}, 512, 512, 44100, 512).stems == 512 + 128 + 30
    both = delays_for({"vocals": 30, "master": 480}, 128, 128, 44100, 128)
    assert (both.stems, both.master) == (3 * 128 + 128 + 30, 3 * 128 + 128 + 480)
    # Hops that come four at a time leave no time between them.
    assert delays_for({"master": 0}, 256, 256, 44100, 1024).master == 5 * 256 + 128
    text = Latency(512, 0, 512, inserts=640).text(44100)
    assert "inserts 640 = 1664 samples" in text


def test_plugins_are_found_in_folders_and_bundles_are_not_searched(tmp_path):
    for name in ("b.vst3/Contents/x86_64-linux/b.so", "maker/a.vst3/Contents/inner.vst3/c", "readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert found((tmp_path, tmp_path / "none")) == (tmp_path / "b.vst3", tmp_path / "maker" / "a.vst3")


def test_a_real_plugin_keeps_the_delay_that_it_tells():
    pytest.importorskip("pedalboard", reason="needs the inserts extra")
    names = {path.name: path for path in found(folders())}
    if "ZaMaximX2.vst3" not in names:
        pytest.skip("needs zam-plugins")
    keeper = Keeper(Setup(44100, 2, 512), [Insert("master", 1, str(names["ZaMaximX2.vst3"]))])
    try:
        assert keeper.load(), keeper.failed
        assert keeper.latency > 0 and "Threshold" in [each.name for each in keeper.parameters[1]]
        line, sound = keeper.line(), np.zeros((20 * 512, 2), np.float32)
        sound[5000] = 0.25
        for start in range(0, len(sound), 512):
            line.send(start, sound[start : start + 512])
            keeper.wake()
        due = time.monotonic() + 30
        while line.returned < len(sound) - keeper.latency and time.monotonic() < due:
            time.sleep(0.01)
        heard = np.zeros((8000, 2), np.float32)
        assert line.receive(0, heard) == 8000
        assert np.abs(heard[:, 0]).argmax() == 5000
    finally:
        keeper.close()
