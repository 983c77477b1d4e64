"""The pad, the pages, the crossfader and the keys of the window, against a fake host over real UDP, drawn offscreen."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
from gui.__main__ import qt_trouble

if trouble := qt_trouble():
    pytest.skip(trouble, allow_module_level=True)
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from gui.client import Client
from gui.crossfade import CURVES, crossfaded
from gui.history import History
from gui.keys import HELP
from gui.mixes import Mix, Shelf
from gui.polygon import CENTRE, corners_for, gains_at, inside, point_of, shares_at
from gui.window import MORPH, Window
from tests.fake_host import STEMS, FakeHost

Key, Button, Shift = QtCore.Qt.Key, QtCore.Qt.MouseButton, QtCore.Qt.KeyboardModifier.ShiftModifier
MIXES = {"mixes": [{"name": "verse", "gains": {"vocals": 1.0, "bass": 0.25}}, {"name": "chorus", "gains": {"drums": 1.0, "bass": 1.0}}]}


@pytest.fixture
def host(qapp):
    made = FakeHost()
    made.state["/condition"] = (1.0, 1.0, 1.0, 1.0)
    yield made
    made.close()


@pytest.fixture
def shelf(tmp_path):
    path = tmp_path / "mixes.json"
    path.write_text(json.dumps(MIXES))
    return path


@pytest.fixture
def window(qtbot, host, shelf):
    made = Window(Client("127.0.0.1", host.port, beat=0.3), shelf)
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    qtbot.waitUntil(lambda: len(made.strips) == 4 and len(made.presets) == 8 and made.client.alive)
    QtTest.QTest.qWaitForWindowExposed(made)
    return made


def last(host, address):
    said = host.said(address)
    return said[-1] if said else None


def move(widget, position, kind=QtCore.QEvent.Type.MouseMove):
    event = QtGui.QMouseEvent(kind, position, widget.mapToGlobal(position), Button.NoButton, Button.LeftButton,
                              QtCore.Qt.KeyboardModifier.NoModifier)
    QtWidgets.QApplication.sendEvent(widget, event)


# The law of the pad.


@pytest.mark.parametrize("count", range(1, 10))
def test_a_corner_is_that_instrument_alone_and_the_centre_is_all(count):
    corners = corners_for(count)
    for index, corner in enumerate(corners):
        assert gains_at(corner, corners) == pytest.approx([float(i == index) for i in range(count)], abs=1e-9)
    assert gains_at(CENTRE, corners) == pytest.approx([1.0] * count)


@pytest.mark.parametrize("count", range(2, 10))
def test_the_point_comes_back_from_its_gains_however_loud(count):
    corners = corners_for(count)
    for x, y in ((0.31, 0.62), (0.5, 0.2), (0.77, 0.51)):
        point = inside((x, y), corners)
        assert point_of([0.4 * gain for gain in gains_at(point, corners)], corners) == pytest.approx(point)
    assert point_of([0.0] * count, corners) is None


def test_on_a_square_the_shares_are_bilinear():
    x, y = 0.3, 0.6
    expected = [(1 - x) * (1 - y), x * (1 - y), x * y, (1 - x) * y]
    assert shares_at((x, y), corners_for(4)) == pytest.approx(expected)


def test_shares_go_steadily_along_an_edge_and_nobody_else_sounds_there():
    corners = corners_for(5)
    (ax, ay), (bx, by) = corners[1], corners[2]
    found = [shares_at((ax + t * (bx - ax), ay + t * (by - ay)), corners) for t in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert [shares[2] for shares in found] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    assert all(shares[0] == pytest.approx(0.0, abs=1e-9) for shares in found)


def test_a_point_outside_becomes_the_nearest_inside():
    assert inside((2.0, -1.0), corners_for(4)) == (1.0, 0.0)
    assert inside((0.2, 0.9), corners_for(2)) == pytest.approx((0.2, 0.5))


# The pad.


def test_the_dot_moved_by_mouse_sends_the_condition(qtbot, host, window):
    window.pages.turn(MORPH)
    pad = window.morph
    qtbot.mousePress(pad, Button.LeftButton, pos=pad.spot(CENTRE).toPoint())
    move(pad, pad.spot((1.5, -0.5)))
    qtbot.waitUntil(lambda: last(host, "/condition") == (0.0, 1.0, 0.0, 0.0))
    assert pad.point == (1.0, 0.0)
    qtbot.mouseRelease(pad, Button.LeftButton, pos=pad.spot((1.0, 0.0)).toPoint())
    qtbot.mouseDClick(pad, Button.LeftButton, pos=pad.spot((0.9, 0.1)).toPoint())
    qtbot.waitUntil(lambda: last(host, "/condition") == (1.0, 1.0, 1.0, 1.0))


def test_the_dot_moves_by_arrow_keys_and_home(qtbot, host, window):
    qtbot.keyClick(window, Key.Key_F4)
    for _ in range(12):
        qtbot.keyClick(window.morph, Key.Key_Left)
        qtbot.keyClick(window.morph, Key.Key_Up)
    qtbot.waitUntil(lambda: last(host, "/condition") == (1.0, 0.0, 0.0, 0.0))
    qtbot.keyClick(window.morph, Key.Key_Home)
    qtbot.waitUntil(lambda: last(host, "/condition") == (1.0, 1.0, 1.0, 1.0))
    qtbot.keyClick(window.morph, Key.Key_B)
    qtbot.waitUntil(lambda: host.said("/bypass") == [(1,)])


def test_the_dot_follows_what_else_moves_the_condition_and_sends_nothing_back(qtbot, host, window):
    host.put("/condition", 0.5, 0.5, 0.0, 0.0)
    qtbot.waitUntil(lambda: window.morph.point == pytest.approx((0.5, 0.0)))
    assert window.morph.exact
    host.put("/condition", 1.0, 0.0, 1.0, 0.0)
    qtbot.waitUntil(lambda: window.morph.point == pytest.approx((0.5, 0.5)))
    assert not window.morph.exact
    host.put("/condition", 0.0, 0.0, 0.0, 0.0)
    qtbot.waitUntil(lambda: window.morph.gains == (0.0,) * 4)
    assert not host.said("/condition")


def test_a_held_dot_ignores_the_host_until_let_go(qtbot, host, window):
    window.pages.turn(MORPH)
    pad, corner = window.morph, window.morph.spot((0.0, 0.0)).toPoint()
    host.echoing = False
    qtbot.mousePress(pad, Button.LeftButton, pos=corner)
    host.put("/condition", 0.0, 0.0, 1.0, 0.0)
    qtbot.waitUntil(lambda: window.client.values["/condition"] == (0.0, 0.0, 1.0, 0.0))
    assert pad.point == pytest.approx((0.0, 0.0), abs=0.01)
    qtbot.mouseRelease(pad, Button.LeftButton, pos=corner)
    qtbot.waitUntil(lambda: pad.point == (1.0, 1.0))
    assert pad.gains == (0.0, 0.0, 1.0, 0.0)


def test_other_stems_make_another_pad(qtbot, host, window):
    host.put("/stems", "voice", "drums", "rest")
    qtbot.waitUntil(lambda: window.morph.stems == ("voice", "drums", "rest"))
    host.put("/condition", 0.0, 0.0, 1.0)
    qtbot.waitUntil(lambda: window.morph.point == pytest.approx(corners_for(3)[2]))
    window.pages.turn(MORPH)
    assert not window.grab().isNull()


# The choosers.


def offer(host):
    for mode, delay, load in (("safe", 46.4, 0.08), ("low", 23.2, 0.1), ("lower", 17.4, 0.21)):
        host.put(f"/mode/{mode}/offered", 1)
        host.put(f"/mode/{mode}/delay", delay)
        host.put(f"/mode/{mode}/load", load)
    host.put("/mode/safe/quality", 2.8)
    host.put("/mode/extreme/offered", 0)
    host.put("/models", "lasaft-448", "identity")


def test_modes_show_what_the_host_predicts_and_only_those_it_offers(qtbot, host, window):
    offer(host)
    modes = window.choosers.modes
    qtbot.waitUntil(lambda: list(window.choosers.models) == ["lasaft-448", "identity"])
    assert list(modes) == ["safe", "low", "lower"]
    assert modes["safe"].prediction.cells == ("46.4 ms", "8 %", "2.8 dB")
    assert modes["lower"].prediction.cells == ("17.4 ms", "21 %", "–")
    assert [mode for mode, button in modes.items() if button.lit] == ["low"]


@pytest.mark.parametrize(("address", "group", "choice"), [
    ("/mode", "modes", "lower"), ("/run", "runs", "single"), ("/model", "models", "identity"), ("/block", "blocks", 256)])
def test_a_choice_is_framed_until_the_host_has_carried_it_out(qtbot, host, window, address, group, choice):
    offer(host)
    qtbot.waitUntil(lambda: "identity" in window.choosers.models)
    window.pages.turn(4)
    button = getattr(window.choosers, group)[choice]
    host.echoing = False
    qtbot.mouseClick(button, Button.LeftButton)
    qtbot.waitUntil(lambda: host.said(address) == [(choice,)])
    assert button.asked and not button.lit
    host.put(address, choice)
    qtbot.waitUntil(lambda: button.lit and not button.asked)


def test_what_the_host_answers_to_a_choice_stays_on_the_page(qtbot, host, window):
    offer(host)
    qtbot.waitUntil(lambda: "identity" in window.choosers.models)
    host.echoing = False
    qtbot.mouseClick(window.choosers.models["identity"], Button.LeftButton)
    host.put("/notice", "identity has other stems; lasaft-448 goes on")
    qtbot.waitUntil(lambda: window.choosers.answer.text() == "identity has other stems; lasaft-448 goes on")
    assert not window.choosers.models["identity"].asked
    assert window.choosers.models["lasaft-448"].lit
    qtbot.mouseClick(window.choosers.blocks[64], Button.LeftButton)
    host.tell("/error", "/block", "this device has no block of 64 samples")
    qtbot.waitUntil(lambda: "no block of 64" in window.choosers.answer.text())
    assert not window.choosers.blocks[64].asked


def test_automatic_steps_can_be_switched(qtbot, host, window):
    host.put("/mode/auto", 1)
    qtbot.waitUntil(lambda: window.choosers.auto.lit)
    qtbot.mouseClick(window.choosers.auto, Button.LeftButton)
    qtbot.waitUntil(lambda: host.said("/mode/auto") == [(0,)])


# Keys.


def test_a_held_key_solos_only_while_it_is_held(qtbot, host, window):
    qtbot.keyPress(window, Key.Key_Q)
    qtbot.keyPress(window, Key.Key_E)
    assert [strip.solo.lit for strip in window.strips] == [True, False, True, False]
    qtbot.keyRelease(window, Key.Key_Q)
    qtbot.keyRelease(window, Key.Key_E)
    qtbot.waitUntil(lambda: host.said("/stem/vocals/solo") == host.said("/stem/bass/solo") == [(1,), (0,)])


def test_a_held_key_leaves_a_latched_solo_on(qtbot, host, window):
    qtbot.keyClick(window, Key.Key_W, Shift)
    qtbot.keyClick(window, Key.Key_W)
    qtbot.keyClick(window, Key.Key_B)
    qtbot.waitUntil(lambda: host.said("/bypass") == [(1,)])
    assert host.said("/stem/drums/solo") == [(1,)]


def test_panic_switches_the_bypass_on_and_never_off(qtbot, host, window):
    qtbot.keyClick(window, Key.Key_Escape)
    qtbot.keyClick(window, Key.Key_Escape)
    qtbot.waitUntil(lambda: host.said("/bypass") == [(1,), (1,)])
    assert window.bypass.lit


def test_panic_while_space_is_held_outlasts_it(qtbot, host, window):
    qtbot.keyPress(window, Key.Key_Space)
    qtbot.keyClick(window, Key.Key_Escape)
    qtbot.keyRelease(window, Key.Key_Space)
    qtbot.keyClick(window, Key.Key_1)
    qtbot.waitUntil(lambda: host.said("/preset") == [("all",)])
    assert host.said("/bypass") == [(1,), (1,)]


def test_the_keys_are_listed_and_any_key_puts_the_list_away(qtbot, host, window):
    assert not window.help.isVisible()
    qtbot.keyClick(window, Key.Key_Question)
    assert window.help.isVisible() and window.help.size() == window.size()
    assert not window.grab().isNull()
    qtbot.keyClick(window, Key.Key_Escape)
    assert not window.help.isVisible() and not window.bypass.lit
    assert any("panic" in what for _, what in HELP)


def test_function_keys_turn_the_pages(qtbot, host, window):
    for key, page in ((Key.Key_F3, 1), (Key.Key_F6, 4), (Key.Key_F2, 0)):
        qtbot.keyClick(window, key)
        assert window.pages.page == page
        assert [tab.lit for tab in window.pages.tabs] == [index == page for index in range(len(window.pages.tabs))]
    qtbot.mouseClick(window.pages.tabs[3], Button.LeftButton)
    assert window.pages.page == 3


def test_every_control_says_its_osc_address(window):
    assert "/condition" in window.morph.toolTip()
    assert "/condition" in window.mixes.crossfader.toolTip()
    for button in (*window.choosers.runs.values(), *window.choosers.blocks.values(), window.choosers.auto, *window.presets,
                   window.bypass, *(strip.solo for strip in window.strips), *(strip.mute for strip in window.strips)):
        assert "\n/" in button.toolTip()
    assert "Q for as long as it is held" in window.strips[0].solo.toolTip()


# Mixes and the crossfader.


def test_the_present_mix_is_stored_as_it_sounds(qtbot, host, window, shelf):
    host.put("/stem/drums/gain", 0.375)
    host.put("/stem/bass/mute", 1)
    host.put("/stem/other/gain", 1.0)
    qtbot.waitUntil(lambda: window.strips[2].mute.lit and window.strips[3].fader.value == 1.0)
    qtbot.keyClick(window, Key.Key_S, QtCore.Qt.KeyboardModifier.ControlModifier)
    stored = json.loads(shelf.read_text())["mixes"][-1]
    assert stored == {"name": "mix 1", "gains": {"vocals": 1.0, "drums": 0.25, "bass": 0.0, "other": pytest.approx(1.9953, abs=1e-4)}}


def test_a_mix_comes_back_louder_stems_and_all_as_one_change(qtbot, host, window):
    window.mixes.shelf.mixes.append(Mix("loud", {"vocals": 1.9953, "drums": 0.5}))
    window.mixes.recall(2)
    qtbot.waitUntil(lambda: bool(host.said("/stem/vocals/gain")))
    assert host.said("/condition") == [(1.0, 0.5, 0.0, 0.0)]
    assert host.said("/stem/vocals/gain") == [(pytest.approx(1.0, abs=1e-4),)]


def test_shifted_digits_recall_mixes(qtbot, host, window):
    qtbot.keyClick(window, Key.Key_At, Shift)
    qtbot.waitUntil(lambda: host.said("/condition") == [(0.0, 1.0, 1.0, 0.0)])
    qtbot.keyClick(window, Key.Key_9, Shift)
    qtbot.keyClick(window, Key.Key_1, Shift)
    qtbot.waitUntil(lambda: last(host, "/condition") == (1.0, 0.0, 0.25, 0.0))
    assert len(host.said("/condition")) == 2


def test_mixes_are_renamed_moved_and_deleted_and_the_file_follows(qtbot, host, window, shelf):
    def names():
        return [mix["name"] for mix in json.loads(shelf.read_text())["mixes"]]

    window.pages.turn(3)
    page, press = window.mixes, lambda name: qtbot.mouseClick(window.mixes.buttons[name], Button.LeftButton)
    page.list.setCurrentRow(0)
    press("▼")
    assert names() == ["chorus", "verse"] and page.chosen == 1
    press("▲")
    page.rename("  first   verse ")
    assert names() == ["first verse", "chorus"] and page.list.item(0).text() == "first verse"
    press("DELETE")
    assert len(names()) == 2
    press("DELETE")
    assert names() == ["chorus"]
    press("STORE")
    press("RECALL")
    assert names() == ["chorus", "mix 1"]
    qtbot.waitUntil(lambda: host.said("/condition") == [(1.0, 1.0, 1.0, 1.0)])


def test_a_dragged_mix_is_moved_in_the_file(qtbot, window, shelf):
    window.pages.turn(3)
    view = window.mixes.list
    window.mixes.shelf.store({"vocals": 0.5})
    window.mixes._fill(0)
    # A drop ends in this; a drag itself needs a hand.
    view.model().moveRow(QtCore.QModelIndex(), 0, QtCore.QModelIndex(), 3)
    assert [mix["name"] for mix in json.loads(shelf.read_text())["mixes"]] == ["chorus", "mix 1", "verse"]
    view.model().moveRow(QtCore.QModelIndex(), 2, QtCore.QModelIndex(), 1)
    assert [mix["name"] for mix in json.loads(shelf.read_text())["mixes"]] == ["chorus", "verse", "mix 1"]
    assert [view.item(row).text() for row in range(3)] == ["chorus", "verse", "mix 1"]


def test_a_name_is_typed_in_the_list_and_its_keys_play_nothing(qtbot, host, window, shelf):
    window.pages.turn(3)
    window.mixes.list.setCurrentRow(0)
    window.mixes.rename()
    editor = window.mixes.list.findChild(QtWidgets.QLineEdit)
    editor.selectAll()
    qtbot.keyClicks(editor, "bq1 ")
    qtbot.keyClick(editor, Key.Key_Return)
    qtbot.waitUntil(lambda: window.mixes.shelf.mixes[0].name == "bq1")
    assert {address for address, _ in host.heard} <= {"/subscribe", "/ping"}
    qtbot.keyClick(window, Key.Key_B)
    qtbot.waitUntil(lambda: host.said("/bypass") == [(1,)])


def test_a_crossfader_without_ends_says_how_to_give_it_some(qtbot, host, window):
    heard = []
    window.mixes.crossfader.empty.connect(lambda: heard.append(1))
    qtbot.keyClick(window, Key.Key_X)
    qtbot.mouseClick(window.mixes.crossfader, QtCore.Qt.MouseButton.LeftButton)
    assert len(heard) == 2 and "SET A" in window.status.notices.shown.text
    assert not host.said("/condition")


def test_the_crossfader_fades_between_two_mixes(qtbot, host, window):
    fader, page = window.mixes.crossfader, window.mixes
    qtbot.keyClick(window, Key.Key_X)
    assert fader.value == 0.0 and not fader.ready
    for end in (0, 1):
        page.list.setCurrentRow(end)
        page.set_end(end)
    assert fader.names == ("verse", "chorus") and fader.ready
    qtbot.keyClick(window, Key.Key_X)
    qtbot.waitUntil(lambda: last(host, "/condition") == (0.0, 1.0, 1.0, 0.0))
    fader.put(0.5)
    qtbot.waitUntil(lambda: last(host, "/condition") == (0.5, 0.5, 0.625, 0.0))
    qtbot.keyClick(window, Key.Key_Z)
    qtbot.waitUntil(lambda: last(host, "/condition") == (1.0, 0.0, 0.25, 0.0))
    middle = QtCore.QPointF(fader.rect().center())
    qtbot.mousePress(fader, Button.LeftButton, pos=middle.toPoint())
    move(fader, middle + QtCore.QPointF(2.0 * fader.width(), 0.0))
    qtbot.mouseRelease(fader, Button.LeftButton)
    qtbot.waitUntil(lambda: last(host, "/condition") == (0.0, 1.0, 1.0, 0.0))


@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_begins_at_a_and_ends_at_b(curve):
    a, b = {"vocals": 1.0, "bass": 0.25}, {"drums": 1.0, "bass": 0.25}
    assert crossfaded(a, b, STEMS, 0.0, curve) == pytest.approx((1.0, 0.0, 0.25, 0.0))
    assert crossfaded(a, b, STEMS, 1.0, curve) == pytest.approx((0.0, 1.0, 0.25, 0.0))
    assert crossfaded(a, b, STEMS, 0.3, curve)[2] == pytest.approx(0.25)


def test_equal_power_keeps_the_power_and_cut_jumps_in_the_middle():
    a, b = {"vocals": 1.0}, {"drums": 1.0}
    for x in (0.1, 0.5, 0.8):
        assert sum(gain**2 for gain in crossfaded(a, b, STEMS, x, "equal power")) == pytest.approx(1.0)
    found = [crossfaded(a, b, STEMS, x, "cut")[0] for x in (0.0, 0.49, 0.5, 1.0)]
    assert found == [1.0, 1.0, 0.0, 0.0]
    assert all(one >= two for one, two in pairwise(found))


def test_a_mix_of_other_stems_changes_nothing_and_says_so(qtbot, host, window):
    window.mixes.shelf.mixes.append(Mix("strings", {"violin": 1.0}))
    window.mixes.recall(2)
    assert "none of them is here" in window.status.text
    assert not host.said("/condition")


def test_a_bad_mix_is_named_and_kept_and_so_are_unknown_keys(tmp_path):
    path, told = tmp_path / "mixes.json", []
    entries = [{"name": "good", "gains": {"vocals": 1}, "colour": "red"}, {"name": "bad", "gains": {"vocals": "loud"}}]
    path.write_text(json.dumps({"version": 9, "mixes": entries}))
    shelf = Shelf(path, told.append)
    assert [mix.name for mix in shelf.mixes] == ["good"]
    assert len(told) == 1 and "mix 2" in told[0] and "vocals" in told[0]
    shelf.rename(0, "better")
    assert json.loads(path.read_text()) == {"version": 9, "mixes": [{**entries[0], "name": "better"}, entries[1]]}


@pytest.mark.parametrize("content", [b"no json", b"[]", b'{"mixes": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_file_of_something_else_is_kept_under_another_name(tmp_path, content):
    path, told = tmp_path / "mixes.json", []
    path.write_bytes(content)
    Shelf(path, told.append).store({"vocals": 1.0})
    assert (tmp_path / "mixes.unreadable").read_bytes() == content
    assert len(told) == 1 and "is no list of mixes" in told[0]
    assert [mix.name for mix in Shelf(path).mixes] == ["mix 1"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    Shelf(tmp_path / "file" / "mixes.json", told.append).store({"vocals": 1.0})
    assert "cannot be written" in told[-1]


# What is always seen.


def test_the_history_shows_load_and_misses_of_the_last_minute():
    now = [100.0]
    history = History(clock=lambda: now[0])
    for address, value in (("/telemetry/misses", 7), ("/telemetry/load", 0.2), ("/telemetry/load", 0.4), ("/telemetry/load", 0.3)):
        history.hear(address, value)
    assert [slot[1:] for slot in history.slots] == [(0.4, 0)]
    now[0] = 110.0
    history.hear("/telemetry/misses", 9)
    history.hear("/telemetry/load", float("nan"))
    assert history.missed == 2
    now[0] = 171.0
    assert history.missed == 0


def test_telemetry_reaches_the_history_and_the_stems_waterfalls(qtbot, host, window):
    host.telemetry()
    qtbot.waitUntil(lambda: bool(window.status.history.slots))
    assert window.status.history.isVisible()
    host.put("/run", "single")
    qtbot.waitUntil(lambda: window.waterfalls["bass"]._note == "no stems in single")


@pytest.mark.parametrize("size", [(1024, 640), (1280, 720), (3840, 2160)])
def test_every_page_is_drawn_at_every_size(qtbot, host, window, size):
    offer(host)
    host.telemetry()
    qtbot.waitUntil(lambda: "identity" in window.choosers.models)
    window.resize(*size)
    seen = set()
    for page in range(5):
        window.pages.turn(page)
        qtbot.waitUntil(lambda: window.size() == QtCore.QSize(*size))
        picture = window.grab().toImage()
        seen.add(bytes(picture.constBits()))
    assert len(seen) == 5


def test_zero_also_ends_what_the_host_has_not_confirmed_yet(qtbot, host, window):
    host.echoing = False
    host.state["/stem/drums/solo"] = (1,)
    qtbot.keyClick(window, Key.Key_0)
    qtbot.waitUntil(lambda: all(last(host, f"/stem/{stem}/{what}") == (0,) for stem in STEMS for what in ("solo", "mute")))
