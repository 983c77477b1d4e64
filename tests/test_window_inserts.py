"""The window's page of inserts, against a fake host that has slots."""

from __future__ import annotations

import os

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
from gui.__main__ import qt_trouble

if trouble := qt_trouble():
    pytest.skip(trouble, allow_module_level=True)
from pyqtgraph.Qt import QtCore, QtTest

from gui.client import Client
from gui.filechooser import PluginDialog
from gui.keys import FULL_SCREEN, Keys, page_key, page_of
from gui.window import Window
from tests.fake_host import STEMS, FakeHost

Button = QtCore.Qt.MouseButton
TARGETS = ("master", *STEMS)


def slots() -> dict[str, tuple]:
    """What a host with slots tells at first: more messages at once than the window takes in one go."""
    told: dict[str, tuple] = {}
    for target in TARGETS:
        told[f"/insert/{target}/misses"] = (0,)
        for slot in (1, 2):
            at = f"/insert/{target}/{slot}"
            told |= {f"{at}/plugin": ("",), f"{at}/bypass": (0,), f"{at}/state": ("off",)}
            for number in range(1, 25):
                told |= {f"{at}/param/{number}/name": ("",), f"{at}/param/{number}/str": ("",)}
    at = "/insert/vocals/1"
    return told | {
        f"{at}/plugin": ("/usr/lib/vst3/ZamCompX2.vst3",), f"{at}/state": ("running",),
        f"{at}/param/1": (0.25,), f"{at}/param/1/name": ("Attack",), f"{at}/param/1/str": ("48.200032 ms",),
        f"{at}/param/2": (1.0,), f"{at}/param/2/name": ("Threshold",), f"{at}/param/2/str": ("0.000000 dB",),
    }


@pytest.fixture
def host(qapp):
    made = FakeHost()
    made.state |= slots()
    yield made
    made.close()


@pytest.fixture
def window(qtbot, host, tmp_path):
    made = Window(Client("127.0.0.1", host.port, beat=0.3), tmp_path / "mixes.json")
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    qtbot.waitUntil(lambda: len(made.strips) == 4 and len(made.inserts.slots) == 10 and len(made.inserts.knobs) == 2)
    QtTest.QTest.qWaitForWindowExposed(made)
    made.pages.turn(made.insert_page)
    return made


def click(qtbot, button):
    qtbot.mouseClick(button, Button.LeftButton)


def test_without_slots_there_is_no_page(qtbot, tmp_path):
    host = FakeHost()
    made = Window(Client("127.0.0.1", host.port, beat=0.3), tmp_path / "mixes.json")
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: len(made.strips) == 4)
    made.pages.turn(made.insert_page)
    assert made.pages.page == 0 and made.pages.tabs[made.insert_page].isHidden()
    made.close()
    host.close()


def test_all_that_is_told_at_once_is_heard(qtbot, host, window):
    qtbot.waitUntil(lambda: slots().keys() <= window.client.values.keys())


def test_a_host_with_slots_shows_the_first_plugin_with_its_parameters_in_words(window):
    page = window.inserts
    assert window.pages.page == window.insert_page
    assert list(page.targets) == [*STEMS, "master"] and page.chosen == ("vocals", 1)
    assert page.targets["vocals"].text() == "vocals •" and page.targets["drums"].text() == "drums"
    assert [button.text() for button in page.places.values()] == ["1  ZamCompX2", "2  empty"]
    assert [slider.name for slider in page.knobs.values()] == ["Attack", "Threshold"]
    assert [slider.text for slider in page.knobs.values()] == ["48.2 ms", "0 dB"]
    assert page.state.text() == "running" and page.remove.isVisible()


def test_bypass_parameter_and_removal_are_sent_and_shown(qtbot, host, window):
    page = window.inserts
    click(qtbot, page.bypass)
    qtbot.waitUntil(lambda: host.said("/insert/vocals/1/bypass") == [(1,)] and page.state.text().startswith("passed by"))
    page.knobs[1].put(0.75)
    qtbot.waitUntil(lambda: host.said("/insert/vocals/1/param/1") == [(0.75,)])
    host.put("/insert/vocals/1/param/1/str", "90.0 ms")
    qtbot.waitUntil(lambda: page.knobs[1].text == "90 ms")
    click(qtbot, page.remove)
    qtbot.waitUntil(lambda: host.said("/insert/vocals/1/plugin") == [("",)] and not page.remove.isVisible())
    assert "LOAD" in page.state.text()


def test_a_plugin_is_put_in_the_slot_that_is_seen_and_its_failure_is_told(qtbot, host, window):
    page = window.inserts
    page._choose_plugin = lambda parent, path: "/music/Gate.vst3"
    click(qtbot, page.targets["drums"])
    click(qtbot, page.places[2])
    assert page.chosen == ("drums", 2) and not page.knobs and not page.bypass.isVisible()
    click(qtbot, page.load)
    qtbot.waitUntil(lambda: host.said("/insert/drums/2/plugin") == [("/music/Gate.vst3",)] and page.places[2].text() == "2  Gate")
    host.put("/insert/drums/2/state", "failed: it takes one channel")
    host.put("/insert/drums/misses", 3)
    qtbot.waitUntil(lambda: page.state.text() == "failed: it takes one channel  ·  hops that came back too late: 3")
    page._choose_plugin = lambda parent, path: ""
    click(qtbot, page.load)
    assert len(host.said("/insert/drums/2/plugin")) == 1


def test_messages_that_do_not_fit_leave_the_page_as_it_is(host, window):
    page = window.inserts
    for address, values in (("/insert/vocals/99/plugin", ("x",)), ("/insert/vocals/1/param/1", ("loud",)), ("/insert/vocals/1/bypass", ())):
        window._hear(address, values)
    page.tick()
    assert len(page.slots) == 10 and page.knobs[1].value == 0.25


def test_a_bundle_is_chosen_like_a_file(qtbot, tmp_path):
    bundle, other = tmp_path / "Gate.vst3", tmp_path / "more"
    bundle.mkdir()
    other.mkdir()
    dialog = PluginDialog(None, "a plugin", str(tmp_path))
    qtbot.addWidget(dialog)
    dialog.directoryEntered.emit(str(other))
    assert not dialog.chosen
    dialog.directoryEntered.emit(str(bundle))
    assert dialog.chosen == str(bundle) and dialog.result()


def test_pages_have_the_function_keys_but_that_of_the_full_screen():
    keys = [page_key(page) for page in range(10)]
    assert keys == ["F2", "F3", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F12"]
    assert [page_of(int(Keys.Key_F1) + int(key[1:]) - 1) for key in keys] == list(range(10))
    assert page_of(int(Keys.Key_F1) + FULL_SCREEN - 1) is None and page_of(int(Keys.Key_A)) is None
