"""The window's pages for device, recording and outputs, its gestures, MIDI hints, notices and first start, against a fake host."""

from __future__ import annotations

import json
import os

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
from gui.__main__ import qt_trouble

if trouble := qt_trouble():
    pytest.skip(trouble, allow_module_level=True)
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from gui.client import Client
from gui.clocktext import clock_text
from gui.devicepage import devices_of
from gui.gesturebar import place_of, speed_of
from gui.midihints import address_of, moved_by
from gui.notices import LEAST, SHOWN, Notices
from gui.trace import Trace
from gui.welcome import PATIENCE, Welcome
from gui.window import DEVICE, MORPH, OUT, REC, Window
from tests.fake_host import FakeHost

Key, Button, Control = QtCore.Qt.Key, QtCore.Qt.MouseButton, QtCore.Qt.KeyboardModifier.ControlModifier
CARD = {"name": "Card, ALSA", "in": 2, "out": 2, "rate": 48000, "in_ms": 5.0, "out_ms": 6.0, "usual": ["in", "out"]}
MIC = {"name": "Mic, ALSA", "in": 1, "out": 0, "rate": 44100, "in_ms": 9.0, "out_ms": 0.0, "usual": []}
MAP = "cc 7, channel 1 -> /stem/vocals/gain\nnote 36, any channel -> /preset acapella (hold)"


@pytest.fixture
def host(qapp):
    made = FakeHost()
    made.state |= {
        "/source": ("input",), "/device/wanted": ("",), "/device/list": ("",), "/record": (0,), "/record/mixture": (1,),
        "/record/master": (1,), "/record/stems": (1,), "/record/format": ("wav",), "/record/folder": ("",),
        "/record/state": ("off",), "/record/seconds": (0.0,), "/record/lost": (0.0,), "/record/take": ("",),
        "/gesture/names": ("",), "/gesture/state": ("",), "/gesture/loop": (0,), "/gesture/speed": (1.0,),
        "/midi/state": ("off",), "/midi/map": ("",), "/midi/learn": ("",), "/notice": ("",),
        "/output/1/source": ("master",), "/output/1/gain": (0.75,), "/output/2/source": ("vocals:pre",),
        "/output/2/gain": (0.5,), "/cue/dry": (0,), **{f"/stem/{stem}/cue": (0,) for stem in ("vocals", "drums", "bass", "other")},
    }
    yield made
    made.close()


@pytest.fixture
def window(qtbot, host, tmp_path):
    made = Window(Client("127.0.0.1", host.port, beat=0.3), tmp_path / "mixes.json")
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    qtbot.waitUntil(lambda: len(made.strips) == 4 and made.client.alive and len(made.outputs.pairs) == 2)
    QtTest.QTest.qWaitForWindowExposed(made)
    return made


def click(qtbot, button):
    qtbot.mouseClick(button, Button.LeftButton)


# The device.


def test_the_page_of_the_device_looks_once_and_lists_what_it_hears(qtbot, host, window):
    qtbot.keyClick(window, Key.Key_F7)
    assert window.pages.page == DEVICE
    qtbot.waitUntil(lambda: host.said("/device/look") == [()])
    host.put("/device/list", json.dumps([CARD, MIC, {"name": "broken"}]))
    page = window.device
    qtbot.waitUntil(lambda: [device.title for device in page.lists["in"].devices] == ["Card", "Mic"])
    assert [device.title for device in page.lists["out"].devices] == ["Card"]
    window.pages.turn(0)
    window.pages.turn(DEVICE)
    click(qtbot, page.look)
    qtbot.waitUntil(lambda: len(host.said("/device/look")) == 2)


def test_a_device_of_both_ends_is_chosen_by_one_and_two_by_two_names(qtbot, host, window):
    page = window.device
    window.pages.turn(DEVICE)
    host.put("/device/list", json.dumps([CARD, MIC]))
    host.tell("/telemetry/latency/ms", 23.0)
    host.tell("/telemetry/load", 0.2)
    qtbot.waitUntil(lambda: len(page.devices) == 2 and "/telemetry/load" in page._heard)
    page.lists["out"].setCurrentRow(0)
    assert page.lists["in"].chosen.title == "Card"
    assert page.prediction.cells == ("about 34 ms: 23.0 added, 5.0 in, 6.0 out · load 20 %",)
    click(qtbot, page.use)
    qtbot.waitUntil(lambda: host.said("/device/select") == [("Card, ALSA",)])
    page.lists["in"].setCurrentRow(1)
    assert page.lists["out"].chosen.title == "Card"
    click(qtbot, page.use)
    qtbot.waitUntil(lambda: host.said("/device/select")[-1] == ("Mic, ALSA", "Card, ALSA"))
    click(qtbot, page.usual)
    click(qtbot, page.none)
    qtbot.waitUntil(lambda: host.said("/device/select")[2:] == [(), ("null",)])
    host.put("/device", "Mic -> Card")
    qtbot.waitUntil(lambda: page.lists["in"].playing is page.devices[1] and page.lists["out"].playing is page.devices[0])


def test_what_is_asked_for_is_framed_until_the_host_answers_and_its_answer_stays(qtbot, host, window):
    page = window.device
    host.echoing = False
    click(qtbot, page.sources["demo"])
    qtbot.waitUntil(lambda: host.said("/source") == [("demo",)])
    assert page.sources["demo"].asked and page.sources["input"].lit
    host.tell("/error", "/source", "another device or source is being opened; nothing was changed")
    qtbot.waitUntil(lambda: "being opened" in page.answer.text())
    assert not page.sources["demo"].asked
    host.put("/source", "demo")
    qtbot.waitUntil(lambda: page.sources["demo"].lit)
    host.put("/source", "/music/song.wav")
    qtbot.waitUntil(lambda: not any(button.lit for button in page.sources.values()))


def test_devices_that_do_not_fit_are_left_out():
    assert [device.name for device in devices_of(json.dumps([CARD, 1, {}, {**MIC, "in_ms": "loud"}]))] == ["Card, ALSA"]
    assert devices_of("") == []
    with pytest.raises(ValueError):
        devices_of("{}")


# The first start.


def silent(host, window, qtbot):
    window.welcome._clock = lambda: now[0]
    now = [0.0]
    host.tell("/telemetry/meter/input", 0.0, 0.0)
    qtbot.waitUntil(lambda: window.welcome._silent_since is not None)
    now[0] += PATIENCE
    return now


def test_where_nothing_comes_in_one_click_plays_the_demo_song(qtbot, host, window):
    silent(host, window, qtbot)
    qtbot.waitUntil(lambda: window.welcome.isVisible())
    click(qtbot, window.welcome.demo)
    qtbot.waitUntil(lambda: host.said("/source") == [("demo",)])
    qtbot.waitUntil(lambda: not window.welcome.isVisible())
    assert window.welcome.over


def test_the_card_goes_for_good_once_something_comes_in_or_it_is_put_away(qtbot, host, window):
    silent(host, window, qtbot)
    qtbot.waitUntil(lambda: window.welcome.isVisible())
    qtbot.keyClick(window, Key.Key_Escape)
    assert window.welcome.over and not window.welcome.isVisible()
    assert host.said("/bypass") == []
    window.welcome.over = False
    qtbot.waitUntil(lambda: window.welcome.isVisible())
    host.tell("/telemetry/meter/input", 0.3, 0.1)
    qtbot.waitUntil(lambda: window.welcome.over)


def test_without_a_device_the_card_offers_to_look_for_one_unless_none_was_wanted(qtbot, host, window):
    host.put("/device/wanted", "null")
    host.put("/device", "null")
    host.put("/source", "demo")
    qtbot.waitUntil(lambda: window.welcome._heard.get("/source") == "demo")
    assert not window.welcome.isVisible()
    host.put("/device/wanted", "")
    qtbot.waitUntil(lambda: window.welcome.isVisible() and window.welcome.demo.text() == "LOOK FOR A DEVICE")
    click(qtbot, window.welcome.demo)
    qtbot.waitUntil(lambda: host.said("/device/select") == [()])
    window.welcome._asked_at -= 1
    host.put("/notice", "there is no input device; null goes on.")
    qtbot.waitUntil(lambda: window.welcome.demo.isEnabled())


def test_a_host_that_tells_nothing_of_devices_gets_no_card(qtbot):
    parent = QtWidgets.QWidget()
    qtbot.addWidget(parent)
    card = Welcome(parent, lambda: 100.0)
    card.hear("/source", ("input",))
    card.hear("/telemetry/meter/input", (0.0, 0.0))
    card._silent_since = 0.0
    card.tick()
    assert card.isHidden()


# Recording.


def test_the_record_button_and_its_key_record_and_the_tab_is_red_with_the_time(qtbot, host, window):
    window.pages.turn(REC)
    click(qtbot, window.record.button)
    qtbot.waitUntil(lambda: host.said("/record") == [(1,)])
    host.put("/record/state", "recording")
    host.put("/record/seconds", 83.4)
    qtbot.waitUntil(lambda: window.record.button.words == "1:23")
    assert window.pages.tabs[REC].text() == "● 1:23"
    assert window.record.state.text() == "recording"
    window.pages.turn(0)
    assert window.pages.tabs[REC].lit
    qtbot.keyClick(window, Key.Key_R, Control)
    qtbot.waitUntil(lambda: host.said("/record") == [(1,), (0,)])
    host.put("/record/state", "finishing")
    qtbot.waitUntil(lambda: window.pages.tabs[REC].text() == "● …")
    host.put("/record/state", "off")
    qtbot.waitUntil(lambda: window.pages.tabs[REC].text() == "REC")
    assert not window.pages.tabs[REC].lit


def test_what_the_next_take_holds_its_files_and_its_folder_are_told(qtbot, host, window):
    window.pages.turn(REC)
    page = window.record
    click(qtbot, page.kinds["stems"])
    click(qtbot, page.formats["flac"])
    qtbot.waitUntil(lambda: host.said("/record/stems") == [(0,)] and host.said("/record/format") == [("flac",)])
    qtbot.waitUntil(lambda: page.formats["flac"].lit and not page.kinds["stems"].lit)
    page.folder.setFocus()
    qtbot.keyClicks(page.folder, "~/takes")
    qtbot.keyClick(page.folder, Key.Key_Return)
    qtbot.waitUntil(lambda: host.said("/record/folder") == [("~/takes",)])
    assert host.said("/stem/vocals/mute") == []
    host.put("/record/folder", "/music")
    qtbot.waitUntil(lambda: page.folder.text() == "/music")


def test_a_recording_that_stopped_or_lost_sound_says_so(qtbot, host, window):
    host.put("/record/state", "stopped: the disk is full")
    host.put("/record/lost", 2.5)
    qtbot.waitUntil(lambda: window.record.state.text() == "stopped: the disk is full · 2.5 s lost: the disk is too slow")
    assert [clock_text(seconds, 0) for seconds in (0, 61.9, 3600)] == ["0:00", "1:01", "1:00:00"]


# Outputs.


def test_the_matrix_shows_what_the_host_opened_and_a_crosspoint_routes(qtbot, host, window):
    page = window.outputs
    assert not window.pages.tabs[OUT].isHidden()
    qtbot.keyClick(window, Key.Key_F9)
    assert window.pages.page == OUT
    first, second = page.pairs
    assert first.cells["master"].state == "post" and second.cells["vocals"].state == "pre"
    assert second.gain.value == pytest.approx(0.5)
    click(qtbot, first.cells["drums"])
    qtbot.waitUntil(lambda: host.said("/output/1/source") == [("drums",)])
    click(qtbot, first.cells["drums"])
    qtbot.waitUntil(lambda: host.said("/output/1/source")[-1] == ("drums:pre",))
    click(qtbot, first.cells["cue"])
    qtbot.waitUntil(lambda: first.source == "cue" and first.cells["drums"].state == "")
    first.gain.put(0.25)
    qtbot.waitUntil(lambda: host.said("/output/1/gain") == [(0.25,)])


def test_a_refused_source_goes_back(qtbot, host, window):
    host.echoing = False
    pair = window.outputs.pairs[0]
    pair.choose("drums")
    assert pair.cells["drums"].state == "post"
    qtbot.waitUntil(lambda: pair.cells["master"].state == "post" and pair.cells["drums"].state == "")


def test_cue_buttons_cue_stems_and_the_mixture(qtbot, host, window):
    window.pages.turn(OUT)
    click(qtbot, window.outputs.cues["vocals"])
    click(qtbot, window.outputs.cues["dry"])
    qtbot.waitUntil(lambda: host.said("/stem/vocals/cue") == [(1,)] and host.said("/cue/dry") == [(1,)])
    host.put("/stem/bass/cue", 1)
    qtbot.waitUntil(lambda: window.outputs.cues["bass"].lit)


def test_the_rows_of_pairs_shrink_before_they_scroll(qtbot, host, window):
    for number in (3, 4, 5):
        host.put(f"/output/{number}/source", "none")
        host.put(f"/output/{number}/gain", 0.75)
    page = window.outputs
    qtbot.waitUntil(lambda: len(page.pairs) == 5)
    window.pages.turn(OUT)
    heights = []
    for tall in (420, 350, 200):
        page.resize(page.width(), round(tall * page._unit))
        heights.append(page.pairs[0].gain.height() / page._unit)
    assert heights == pytest.approx([36.0, 29.6, 28.0], abs=0.6)


def test_without_pairs_there_is_no_page_of_outputs(qtbot, tmp_path):
    host = FakeHost()
    window = Window(Client("127.0.0.1", host.port, beat=0.3), tmp_path / "mixes.json")
    qtbot.addWidget(window)
    window.show()
    qtbot.waitUntil(lambda: len(window.strips) == 4)
    assert window.pages.tabs[OUT].isHidden()
    window.pages.turn(OUT)
    assert window.pages.page == 0
    host.close()


# Gestures.


def test_a_gesture_recorded_by_holding_the_key_comes_round(qtbot, host, window):
    now = [0.0]
    window.gesture._clock = lambda: now[0]
    qtbot.keyPress(window, Key.Key_C)
    qtbot.waitUntil(lambda: host.said("/gesture/record") == [("pad",)])
    now[0] = 2.0
    qtbot.keyRelease(window, Key.Key_C)
    qtbot.waitUntil(lambda: host.said("/gesture/play") == [("pad",)])
    order = [address for address, _ in host.heard if address.startswith("/gesture/")]
    assert order == ["/gesture/record", "/gesture/end", "/gesture/loop", "/gesture/play"]


def test_a_short_press_records_until_the_next_and_play_stops_what_plays(qtbot, host, window):
    window.pages.turn(MORPH)
    bar = window.gesture
    bar._clock = lambda: 0.0
    click(qtbot, bar.record)
    host.put("/gesture/state", "recording pad")
    qtbot.waitUntil(lambda: bar.record.lit and bar.record.text() == "STOP")
    assert host.said("/gesture/end") == []
    click(qtbot, bar.record)
    qtbot.waitUntil(lambda: host.said("/gesture/play") == [("pad",)])
    host.put("/gesture/state", "playing pad, playing swell")
    qtbot.waitUntil(lambda: bar.play.lit)
    qtbot.keyClick(window, Key.Key_V)
    qtbot.waitUntil(lambda: host.said("/gesture/end") == [("pad",), ("pad",)])
    host.put("/gesture/state", "")
    qtbot.waitUntil(lambda: not bar.play.lit)
    click(qtbot, bar.loop)
    bar.speed.put(place_of(2.0))
    qtbot.waitUntil(lambda: host.said("/gesture/speed") == [(2.0,)] and bar.loop.lit is False)


def test_another_gesture_can_be_chosen(qtbot, host, window):
    host.put("/gesture/names", "pad, swell")
    qtbot.waitUntil(lambda: window.gesture.names == ["pad", "swell"])
    window.gesture.choose("swell")
    window.gesture.toggle()
    qtbot.waitUntil(lambda: host.said("/gesture/play") == [("swell",)])
    window.gesture.choose("../etc")
    assert window.gesture.name == "swell"
    assert [speed_of(place_of(speed)) for speed in (0.25, 1.0, 4.0)] == pytest.approx([0.25, 1.0, 4.0])


def test_the_way_of_a_recording_is_kept_while_it_plays_and_of_another_the_last_seconds():
    now = [0.0]
    trace = Trace(lambda: now[0])
    trace.add((0.1, 0.1))
    assert not trace.recent
    trace.follow("record")
    for x in (0.1, 0.1001, 0.2, 0.3):
        trace.add((x, 0.5))
    assert list(trace.way) == [(0.1, 0.5), (0.2, 0.5), (0.3, 0.5)]
    trace.follow("play")
    trace.add((0.9, 0.5))
    assert len(trace.way) == 3
    now[0] = 60.0
    trace.add((0.8, 0.5))
    assert [point for _, point in trace.recent] == [(0.8, 0.5)]
    trace.follow("record")
    assert not trace.way


# MIDI.


def test_tooltips_say_what_moves_a_control_where_midi_is_on(qtbot, host, window):
    fader = window.strips[0].fader
    assert window.hints.tip(fader.toolTip()) == fader.toolTip()
    host.put("/midi/state", "nanoKONTROL")
    host.put("/midi/map", MAP)
    qtbot.waitUntil(lambda: window.client.values.get("/midi/map") == (MAP,))
    assert window.hints.tip(fader.toolTip()).endswith("/stem/vocals/gain\nMIDI: cc 7, channel 1")
    assert window.hints.tip(window.presets[1].toolTip()).endswith("MIDI: note 36, any channel")
    assert "nothing yet" in window.hints.tip(window.wet.fader.toolTip())
    meter = window.meters["input"].toolTip()
    assert window.hints.tip(meter) == meter


def test_a_control_s_menu_learns_and_forgets(qtbot, host, window):
    host.put("/midi/state", "nanoKONTROL")
    host.put("/midi/map", MAP)
    qtbot.waitUntil(lambda: window.client.values.get("/midi/map") == (MAP,))

    def menu(widget):
        event = QtGui.QContextMenuEvent(QtGui.QContextMenuEvent.Reason.Mouse, QtCore.QPoint(5, 5), widget.mapToGlobal(QtCore.QPoint(5, 5)))
        QtWidgets.QApplication.sendEvent(widget, event)
        actions = {action.text(): action for action in window.hints.menu.actions()}
        window.hints.menu.close()
        return actions

    actions = menu(window.strips[0].fader)
    assert "moved by cc 7, channel 1" in actions
    actions["Learn MIDI"].trigger()
    actions["Forget"].trigger()
    qtbot.waitUntil(lambda: host.said("/midi/learn") == [("/stem/vocals/gain",)])
    qtbot.waitUntil(lambda: host.said("/midi/unlearn") == [("/stem/vocals/gain",)])
    qtbot.waitUntil(lambda: "Stop learning" in menu(window.strips[0].fader))
    assert "waits for a knob" in window.hints.tip(window.strips[0].fader.toolTip())
    menu(window.presets[0])["Learn MIDI"].trigger()
    qtbot.waitUntil(lambda: host.said("/midi/learn")[-1] == ("/preset all",))
    # While it is learnt there is nothing to forget.
    qtbot.waitUntil(lambda: "Stop learning" in (actions := menu(window.presets[0])) and "Forget" not in actions)


def test_an_address_is_read_off_a_tooltip_where_it_is_one():
    assert address_of("Loud.\n/preset drums+bass") == "/preset drums+bass"
    assert address_of("Two.\n/notice, /error") is None
    assert address_of("None at all.") is None
    assert moved_by("/preset acapella", MAP) == ["note 36, any channel"]
    assert moved_by("/preset", MAP) == ["note 36, any channel: acapella"]
    assert moved_by("/stem/vocals/gain/str", MAP) == []


# Notices.


def test_notices_wait_for_each_other_and_each_stays_long_enough():
    now = [0.0]
    notices = Notices(lambda: now[0], lambda: 0.0)
    notices.tell("one")
    notices.tell("two", error=True)
    assert notices.shown.text == "one" and notices.waiting == 1
    now[0] = LEAST - 0.1
    assert notices.shown.text == "one"
    now[0] = LEAST
    assert notices.shown.text == "two" and notices.shown.error
    now[0] = LEAST + SHOWN - 0.1
    assert notices.shown.text == "two"
    now[0] = LEAST + SHOWN
    assert notices.shown is None
    assert [said.text for said in notices.log] == ["one", "two"]


def test_what_is_said_over_and_over_is_counted_and_a_flood_leaves_the_newest():
    now = [0.0]
    notices = Notices(lambda: now[0], lambda: 0.0)
    for _ in range(3):
        notices.tell("again")
    assert notices.log[-1].times == 3 and notices.waiting == 1
    for number in range(50):
        notices.tell(str(number))
    assert notices.waiting == 5 and notices.shown.text == "45" and notices.waiting == 4


def test_two_notices_at_once_are_both_read_and_the_log_has_them(qtbot, host, window):
    now = [100.0]
    window.status.notices._clock = lambda: now[0]
    host.put("/notice", "the first")
    qtbot.waitUntil(lambda: "the first" in window.status.text)
    host.put("/notice", "the second")
    qtbot.waitUntil(lambda: window.status.notices.waiting == 1)
    assert "the first" in window.status.text
    now[0] += LEAST
    assert "the second" in window.status.text
    qtbot.keyClick(window, Key.Key_N)
    assert window.log.isVisible()
    window.log.grab()
    qtbot.keyClick(window, Key.Key_B)
    assert not window.log.isVisible() and host.said("/bypass") == []


# All sizes.


@pytest.mark.parametrize("size", [(1024, 640), (1280, 720), (3840, 2160)])
def test_the_new_pages_are_drawn_at_every_size(qtbot, host, window, size):
    host.put("/device/list", json.dumps([CARD, MIC]))
    window.resize(*size)
    seen = set()
    for page in (MORPH, DEVICE, REC, OUT):
        window.pages.turn(page)
        qtbot.waitUntil(lambda: window.size() == QtCore.QSize(*size))
        picture = window.grab().toImage()
        seen.add(bytes(picture.constBits()))
    assert len(seen) == 4


def test_every_new_control_says_its_osc_address(window):
    page, bar = window.record, window.gesture
    for widget in (page.button, *page.kinds.values(), *page.formats.values(), page.folder, bar.record, bar.play, bar.loop, bar.speed,
                   *window.outputs.cues.values(), window.device.use, *window.device.sources.values(),
                   *(cell for pair in window.outputs.pairs for cell in pair.cells.values()), window.welcome.demo):
        assert "\n/" in widget.toolTip()
