"""The deck in the window, against a fake host over real UDP, drawn offscreen."""

from __future__ import annotations

import os

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
from gui.__main__ import qt_trouble

if trouble := qt_trouble():
    pytest.skip(trouble, allow_module_level=True)
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from gui import deckpage
from gui.client import Client
from gui.clocktext import clock_text
from gui.keys import DECK_HELP, FIRST_PAGE
from gui.palette import CUE_COLOURS, TEXT, stem_colours
from gui.playposition import JUMP, SETTLE, PlayPosition
from gui.song import PLACES, UNKNOWN, Song
from gui.window import Window
from tests.fake_host import STEMS, FakeHost

Key, Button, Modifier = QtCore.Qt.Key, QtCore.Qt.MouseButton, QtCore.Qt.KeyboardModifier
DURATION = 200.0
DECK = {
    "/deck/play": (0,), "/deck/loop": (0.0, 0.0), "/deck/loop/on": (0,), "/deck/position": (50.0,), "/deck/duration": (DURATION,),
    "/deck/overview": (bytes([255] * PLACES),), "/deck/title": ("Night Drive",), "/deck/state": ("paused",),
    **{f"/deck/cue/{number}/at": (-1.0,) for number in range(1, 9)},
}
PASS = {"/deck/hq": (0,), "/deck/hq/state": ("working",), "/deck/hq/ready": (0.25,), "/deck/hq/speed": (2.5,)}


@pytest.fixture
def host(qapp):
    made = FakeHost()
    made.state |= DECK
    yield made
    made.close()


def open_window(qtbot, host, tmp_path):
    made = Window(Client("127.0.0.1", host.port, beat=0.3), tmp_path / "mixes.json")
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    qtbot.waitUntil(lambda: len(made.strips) == 4 and made.client.alive)
    QtTest.QTest.qWaitForWindowExposed(made)
    return made


@pytest.fixture
def window(qtbot, host, tmp_path):
    made = open_window(qtbot, host, tmp_path)
    qtbot.waitUntil(lambda: made.deck.present and made.deck.song.duration == DURATION and made.deck.near.width() > 300)
    return made


def point(wave, seconds, height=0.5):
    return QtCore.QPointF(wave.x_of(seconds), height * wave.height())


def mouse(widget, kind, position, modifier=Modifier.NoModifier):
    press = kind == QtCore.QEvent.Type.MouseButtonPress
    event = QtGui.QMouseEvent(kind, position, widget.mapToGlobal(position), Button.LeftButton if kind != QtCore.QEvent.Type.MouseMove else Button.NoButton,
                              Button.LeftButton if press or kind == QtCore.QEvent.Type.MouseMove else Button.NoButton, modifier)
    QtWidgets.QApplication.sendEvent(widget, event)


def drag(wave, start, end, modifier=Modifier.NoModifier):
    """Press at `start`, move to `end` and let go there: points of `wave`."""
    mouse(wave, QtCore.QEvent.Type.MouseButtonPress, start, modifier)
    for part in (0.5, 1.0):
        mouse(wave, QtCore.QEvent.Type.MouseMove, start + part * (end - start), modifier)
    mouse(wave, QtCore.QEvent.Type.MouseButtonRelease, end, modifier)


def tab_of(window):
    return window.pages.tabs[window.deck_page]


def deck_orders(host):
    return [(address, values) for address, values in host.heard if address.startswith("/deck/")]


def colour_at(wave, seconds, height):
    picture = wave.grab().toImage()
    ratio = picture.width() / wave.width()
    return picture.pixelColor(round(wave.x_of(seconds) * ratio), round(height * picture.height()))


# Where the page is.


def test_the_page_is_there_where_the_host_has_a_deck_and_is_turned_to(window):
    assert tab_of(window).isVisible() and tab_of(window).lit
    assert window.deck.isVisible()
    assert window.deck.head.title == "Night Drive"
    assert window.deck.head.times == ("0:50.0", "−2:30.0")
    assert any(f"F{FIRST_PAGE + window.deck_page}" == keys for keys, _ in window.help.rows) and set(DECK_HELP) <= set(window.help.rows)


@pytest.mark.parametrize("state", [None, ("off",)])
def test_without_a_deck_there_is_no_page_and_its_keys_do_nothing(qtbot, tmp_path, state):
    host = FakeHost()
    if state is not None:
        host.state |= DECK | {"/deck/state": state}
    made = open_window(qtbot, host, tmp_path)
    qtbot.waitUntil(lambda: len(made.presets) == 8)
    assert not tab_of(made).isVisible()
    assert not made.deck.isVisible() and not made.deck.strip.isVisible()
    for key in (Key.Key_Return, Key.Key_Comma, Key.Key_Period, Key.Key_M, Key.Key_Left):
        qtbot.keyClick(made, key)
    qtbot.wait(50)
    assert not deck_orders(host)
    host.close()


def test_the_page_goes_with_the_deck_and_comes_back(qtbot, host, window):
    host.put("/deck/state", "off")
    qtbot.waitUntil(lambda: not window.deck.isVisible())
    assert window.pages.page == 0 and not tab_of(window).isVisible()
    qtbot.keyClick(window, Key(int(Key.Key_F1) + FIRST_PAGE + window.deck_page - 1))
    assert window.pages.page == 0
    host.put("/deck/state", "empty")
    qtbot.waitUntil(lambda: tab_of(window).isVisible())
    qtbot.keyClick(window, Key(int(Key.Key_F1) + FIRST_PAGE + window.deck_page - 1))
    assert window.deck.isVisible()


def test_below_other_pages_the_song_stays_in_sight(qtbot, host, window):
    assert not window.deck.strip.isVisible()
    window.pages.turn(0)
    assert window.deck.strip.isVisible()
    qtbot.waitUntil(lambda: window.deck.strip.left._shown == ("−2:30", "0:50"))
    strip = window.deck.strip.whole
    drag(strip, point(strip, 150.0), point(strip, 150.0))
    qtbot.waitUntil(lambda: bool(host.said("/deck/seek")) and host.said("/deck/seek")[-1] == (pytest.approx(150.0, abs=0.5),))


# What hands do.


def test_buttons_say_exactly_what_they_do(qtbot, host, window):
    deck = window.deck
    host.state |= PASS
    qtbot.waitUntil(lambda: deck.hq.isVisible())
    for button in (deck.play, deck.loop_in, deck.loop_out, deck.loop, deck.hq):
        qtbot.mouseClick(button, Button.LeftButton)
    qtbot.waitUntil(lambda: len(deck_orders(host)) == 5)
    assert deck_orders(host) == [("/deck/play", (1,)), ("/deck/loop/in", ()), ("/deck/loop/out", ()), ("/deck/loop/on", (1,)), ("/deck/hq", (1,))]


def test_keys_play_the_deck(qtbot, host, window):
    control, shift, pad = Modifier.ControlModifier, Modifier.ShiftModifier, Modifier.KeypadModifier
    host.state["/deck/cue/2/at"] = (20.0,)
    qtbot.waitUntil(lambda: window.deck.cues[1].at == 20.0)
    for key, modifier in (
        (Key.Key_Return, Modifier.NoModifier), (Key.Key_Comma, Modifier.NoModifier), (Key.Key_Period, Modifier.NoModifier),
        (Key.Key_M, Modifier.NoModifier), (Key.Key_1, control), (Key.Key_2, pad), (Key.Key_At, control | shift),
        (Key.Key_Right, Modifier.NoModifier),
    ):
        qtbot.keyClick(window, key, modifier)
    qtbot.waitUntil(lambda: len(deck_orders(host)) == 8)
    assert deck_orders(host) == [
        ("/deck/play", (1,)), ("/deck/loop/in", ()), ("/deck/loop/out", ()), ("/deck/loop/on", (1,)), ("/deck/cue/1/set", ()),
        ("/deck/cue/2", ()), ("/deck/cue/2/set", ()), ("/deck/seek", (55.0,)),
    ]
    assert not host.said("/preset") and not host.said("/bypass")


def test_a_cue_is_set_where_empty_jumped_to_where_set_set_anew_and_cleared(qtbot, host, window):
    cue = window.deck.cues[2]
    qtbot.mouseClick(cue, Button.RightButton)
    qtbot.mouseClick(cue, Button.LeftButton)
    host.put("/deck/cue/3/at", 61.5)
    qtbot.waitUntil(lambda: cue.lit and cue.at == 61.5)
    qtbot.mouseClick(cue, Button.LeftButton)
    qtbot.mouseClick(cue, Button.LeftButton, Modifier.ShiftModifier)
    qtbot.mouseClick(cue, Button.RightButton)
    qtbot.waitUntil(lambda: len(deck_orders(host)) == 4)
    assert deck_orders(host) == [("/deck/cue/3/set", ()), ("/deck/cue/3", ()), ("/deck/cue/3/set", ()), ("/deck/cue/3/clear", ())]
    host.put("/deck/cue/3/at", -1.0)
    qtbot.waitUntil(lambda: not cue.lit and window.deck.song.cues[2] is None)


def test_a_click_on_the_whole_song_goes_there_and_a_drag_ends_where_it_is_let_go(qtbot, host, window):
    wave = window.deck.whole
    drag(wave, point(wave, 40.0), point(wave, 40.0))
    qtbot.waitUntil(lambda: bool(host.said("/deck/seek")))
    assert host.said("/deck/seek")[-1] == (pytest.approx(40.0, abs=0.5),)
    drag(wave, point(wave, 40.0), point(wave, 120.0))
    qtbot.waitUntil(lambda: host.said("/deck/seek")[-1] == (pytest.approx(120.0, abs=0.5),))
    assert window.deck.place.now == pytest.approx(120.0, abs=0.5)


def test_near_the_play_head_a_click_goes_there_and_a_drag_pulls_the_song(qtbot, host, window):
    wave = window.deck.near
    drag(wave, point(wave, 52.0), point(wave, 52.0))
    qtbot.waitUntil(lambda: bool(host.said("/deck/seek")))
    assert host.said("/deck/seek")[-1] == (pytest.approx(52.0, abs=0.1),)
    host.put("/deck/position", 52.0)
    qtbot.waitUntil(lambda: window.client.values["/deck/position"] == (52.0,))
    window.deck.place.put(52.0)
    drag(wave, point(wave, 54.0), point(wave, 51.0))
    qtbot.waitUntil(lambda: host.said("/deck/seek")[-1] == (pytest.approx(55.0, abs=0.1),))


def test_shift_and_drag_draws_a_loop_and_its_corners_move_its_ends(qtbot, host, window):
    wave = window.deck.near
    drag(wave, point(wave, 51.0), point(wave, 53.0), Modifier.ShiftModifier)
    qtbot.waitUntil(lambda: bool(host.said("/deck/loop")))
    assert host.said("/deck/loop")[-1] == (pytest.approx(51.0, abs=0.05), pytest.approx(53.0, abs=0.05))
    assert not host.said("/deck/seek")
    qtbot.waitUntil(lambda: window.deck.song.loop[1] == pytest.approx(53.0, abs=0.05))
    drag(wave, point(wave, window.deck.song.loop[1], 0.99), point(wave, 54.0, 0.99))
    qtbot.waitUntil(lambda: host.said("/deck/loop")[-1][1] == pytest.approx(54.0, abs=0.05))
    assert host.said("/deck/loop")[-1][0] == pytest.approx(51.0, abs=0.05)


def test_a_cue_s_flag_on_the_waveform_jumps_there(qtbot, host, window):
    host.put("/deck/cue/4/at", 52.0)
    qtbot.waitUntil(lambda: window.deck.song.cues[3] == 52.0)
    wave = window.deck.near
    at = QtCore.QPointF(wave.x_of(52.0) + 5, 5)
    drag(wave, at, at)
    qtbot.waitUntil(lambda: deck_orders(host) == [("/deck/cue/4", ())])


def test_tempo_is_shown_in_percent_moved_by_hand_and_reset_by_a_double_click(qtbot, host, window):
    fader = window.deck.tempo
    assert fader.isHidden()
    qtbot.keyClick(window, Key.Key_Plus)
    host.put("/deck/tempo", 1.25)
    qtbot.waitUntil(lambda: fader.isVisible() and fader.value == 1.25)
    middle = QtCore.QPointF(fader.rect().center())
    drag(fader, middle, middle + QtCore.QPointF(4000.0, 0.0))
    qtbot.waitUntil(lambda: bool(host.said("/deck/tempo")) and host.said("/deck/tempo")[-1] == (2.0,))
    qtbot.mouseDClick(fader, Button.LeftButton)
    qtbot.waitUntil(lambda: host.said("/deck/tempo")[-1] == (1.0,))
    qtbot.keyClick(window, Key.Key_Minus)
    qtbot.waitUntil(lambda: host.said("/deck/tempo")[-1] == (pytest.approx(0.99),))
    qtbot.keyClick(window, Key.Key_Backspace)
    qtbot.waitUntil(lambda: host.said("/deck/tempo")[-1] == (1.0,))


def test_a_file_that_is_chosen_is_loaded(qtbot, host, window, monkeypatch):
    monkeypatch.setattr(deckpage, "choose_file", lambda parent, folder: "/music/one.flac")
    qtbot.mouseClick(window.deck.load, Button.LeftButton)
    monkeypatch.setattr(deckpage, "choose_file", lambda parent, folder: "")
    qtbot.keyClick(window, Key.Key_O, Modifier.ControlModifier)
    qtbot.waitUntil(lambda: host.said("/deck/load") == [("/music/one.flac",)])


def drop(window, mime):
    place, copy = QtCore.QPoint(200, 300), QtCore.Qt.DropAction.CopyAction
    entered = QtGui.QDragEnterEvent(place, copy, mime, Button.LeftButton, Modifier.NoModifier)
    entered.ignore()
    QtWidgets.QApplication.sendEvent(window, entered)
    covered = window._veil.isVisible()
    event = QtGui.QDropEvent(QtCore.QPointF(place), copy, mime, Button.LeftButton, Modifier.NoModifier)
    QtWidgets.QApplication.sendEvent(window, event)
    assert not window._veil.isVisible()
    return entered.isAccepted(), covered


def test_a_file_dropped_on_the_window_is_loaded_and_other_things_are_not(qtbot, host, window, tmp_path):
    mime = QtCore.QMimeData()
    mime.setUrls([QtCore.QUrl("https://example.com/x.flac"), QtCore.QUrl.fromLocalFile(str(tmp_path / "a song, ümlaut.flac"))])
    assert drop(window, mime) == (True, True)
    text = QtCore.QMimeData()
    text.setText("/not/a/file")
    assert drop(window, text) == (False, False)
    qtbot.waitUntil(lambda: host.said("/deck/load") == [(str(tmp_path / "a song, ümlaut.flac"),)])


def test_a_file_dropped_where_there_is_no_deck_is_answered(qtbot, host, window, tmp_path):
    host.put("/deck/state", "off")
    qtbot.waitUntil(lambda: not window.deck.present)
    mime = QtCore.QMimeData()
    mime.setUrls([QtCore.QUrl.fromLocalFile(str(tmp_path / "x.flac"))])
    drop(window, mime)
    assert "no deck" in window.status.text
    assert not host.said("/deck/load")


def test_every_control_of_the_deck_says_its_address(window):
    deck = window.deck
    for part in (deck.play, deck.loop_in, deck.loop_out, deck.loop, deck.hq, deck.load, deck.tempo, deck.ready, deck.near, deck.whole,
                 deck.strip.whole, deck.head, *deck.cues):
        assert "\n/deck/" in part.toolTip()


# What is seen.


def test_a_cue_is_drawn_in_its_colour_at_its_place(qtbot, host, window):
    host.put("/deck/cue/5/at", 140.0)
    qtbot.waitUntil(lambda: window.deck.song.cues[4] == 140.0)
    assert colour_at(window.deck.whole, 140.0, 0.6) == CUE_COLOURS[4]
    assert colour_at(window.deck.near, 140.0 - 90.0, 0.6) != CUE_COLOURS[4]


def test_a_loop_is_drawn_from_its_start_to_its_end(qtbot, host, window):
    before = colour_at(window.deck.whole, 110.0, 0.5)
    host.put("/deck/loop", 100.0, 120.0)
    host.put("/deck/loop/on", 1)
    qtbot.waitUntil(lambda: window.deck.song.looping and window.deck.loop.lit)
    assert colour_at(window.deck.whole, 110.0, 0.01) == TEXT
    assert colour_at(window.deck.whole, 110.0, 0.5).lightness() > before.lightness()
    assert colour_at(window.deck.whole, 125.0, 0.5) == before


def test_the_waveform_is_grey_until_activity_is_known_and_then_in_the_colours_of_the_stems(qtbot, host, window):
    wave = window.deck.whole
    assert colour_at(wave, 150.0, 0.5) == UNKNOWN
    # The second half: drums and bass as loud as each other.
    levels = bytes(4 * PLACES // 2) + bytes([0, 90, 90, 0]) * (PLACES // 2)
    host.put("/deck/activity", levels)
    qtbot.waitUntil(lambda: colour_at(wave, 150.0, 0.45) == stem_colours(STEMS)["drums"])
    assert colour_at(wave, 150.0, 0.1) == stem_colours(STEMS)["bass"]
    assert colour_at(wave, 80.0, 0.5) == UNKNOWN
    host.put("/stem/drums/mute", 1)
    qtbot.waitUntil(lambda: colour_at(wave, 150.0, 0.45) != stem_colours(STEMS)["drums"])
    assert colour_at(wave, 150.0, 0.1) == stem_colours(STEMS)["bass"]


def test_the_height_of_the_waveform_is_the_peak():
    song = Song(duration=100.0)
    song.see_peaks(bytes([255] * 500 + [64] * 500))
    picture = song.picture(0.0, 100.0, 100, 101)
    for x, height in ((20, 1.0), (80, 0.25)):
        grey = sum(picture.pixelColor(x, y) == UNKNOWN for y in range(101))
        assert grey == pytest.approx(101 * height, abs=3)
    beyond = song.picture(90.0, 130.0, 40, 11)
    assert beyond.pixelColor(5, 5) == UNKNOWN and beyond.pixelColor(20, 5) != UNKNOWN


def test_fine_peaks_are_drawn_where_the_host_tells_them():
    song = Song(duration=100.0)
    song.see_peaks(bytes([255] * 1000))
    song.see_peaks(bytes([255, 0, 0, 0, 0, 0, 0, 0] * 1000), fine=True)
    picture = song.picture(0.0, 0.1, 80, 11)
    assert picture.pixelColor(5, 2) == UNKNOWN and picture.pixelColor(40, 2) != UNKNOWN


def test_the_background_pass_says_how_far_and_how_fast_it_is(qtbot, host, window):
    assert window.deck.ready.isHidden()
    for address, values in PASS.items():
        host.put(address, *values)
    qtbot.waitUntil(lambda: window.deck.ready.text == "high quality 25 %   ·   2.5 times real time   ·   working")
    bar = window.deck.ready.grab().toImage()
    assert bar.pixelColor(bar.width() // 5, 2) != bar.pixelColor(bar.width() // 3, 2)


def test_why_a_file_failed_is_shown(qtbot, host, window):
    host.put("/deck/state", "failed: the file is damaged from 12.0 s on")
    qtbot.waitUntil(lambda: window.deck.head.line[0] == "failed: the file is damaged from 12.0 s on" and window.deck.head.line[2])
    assert not window.grab().isNull()


def test_garbage_does_not_hurt_the_deck(qtbot, host, window):
    for address, values in (
        ("/deck/position", (float("nan"),)), ("/deck/position", ("x",)), ("/deck/duration", (float("inf"),)), ("/deck/cue/9/at", (1.0,)),
        ("/deck/cue/x/at", (1.0,)), ("/deck/cue/1/at", ()), ("/deck/loop", (1.0,)), ("/deck/loop", (float("nan"), 3.0)), ("/deck/overview", (3,)),
        ("/deck/overview/fine", (b"\xff" * 7,)), ("/deck/activity", (b"short",)), ("/deck/tempo", (0.0,)),
        ("/deck/hq/ready", (float("nan"),)), ("/deck/hq/speed", ("fast",)), ("/deck/state", ()), ("/deck/nothing", (1,)),
    ):
        host.tell(address, *values)
    host.put("/deck/title", "still here")
    qtbot.waitUntil(lambda: window.deck.head.title == "still here")
    assert not window.grab().isNull()


@pytest.mark.parametrize("size", [(1024, 640), (1920, 1080), (3840, 2160)])
def test_the_page_is_drawn_at_every_size(qtbot, host, window, size):
    host.state |= PASS | {"/deck/tempo": (1.0,)}
    host.put("/deck/cue/1/at", 52.0)
    qtbot.waitUntil(lambda: window.deck.tempo.isVisible() and window.deck.hq.isVisible() and window.deck.song.cues[0] == 52.0)
    window.resize(*size)
    qtbot.waitUntil(lambda: window.size() == QtCore.QSize(*size))
    qtbot.waitUntil(lambda: window.deck.near.height() > 90 * window._unit and window.deck.whole.height() > 40 * window._unit)
    picture = window.grab().toImage()
    at = window.deck.near.mapTo(window, point(window.deck.near, 52.0, 0.6).toPoint())
    near = {picture.pixel(x, at.y()) for x in range(at.x() - 2, at.x() + 3)}
    assert CUE_COLOURS[0].rgb() in near


# Time.


def made_place():
    now = [10.0]
    place = PlayPosition(clock=lambda: now[0])
    place.duration = 100.0
    place.hear(20.0)
    return now, place


def test_between_messages_the_play_head_runs_at_the_tempo_and_stops_with_the_deck():
    now, place = made_place()
    now[0] += 1.0
    assert place.now == 20.0
    place.run(True)
    place.speed(1.5)
    now[0] += 2.0
    assert place.now == pytest.approx(23.0)
    place.run(False)
    now[0] += 5.0
    assert place.now == pytest.approx(23.0)


def test_jitter_of_messages_is_smoothed_and_a_jump_is_followed_at_once():
    now, place = made_place()
    place.run(True)
    steps = []
    for number in range(1, 60):
        now[0] += 1 / 30
        before = place.now
        place.hear(20.0 + number / 30 + (0.02 if number % 2 else -0.02))
        steps.append(abs(place.now - before))
        assert place.now == pytest.approx(20.0 + number / 30, abs=0.01)
    assert max(steps) < 0.005
    place.hear(80.0)
    assert place.now == 80.0


def test_in_a_loop_the_play_head_comes_round_by_itself():
    now, place = made_place()
    place.loop = (20.0, 22.0)
    place.run(True)
    now[0] += 2.5
    assert place.now == pytest.approx(20.5)
    now[0] += 1.51
    place.hear(21.99)
    assert place.now == pytest.approx(20.01, abs=JUMP / 10)


def test_a_place_that_a_hand_has_put_stays_until_the_host_is_there():
    now, place = made_place()
    place.run(True)
    place.put(70.0)
    now[0] += 0.1
    place.hear(20.1)
    assert place.now == pytest.approx(70.1)
    place.hear(70.0)
    now[0] += SETTLE
    place.hear(30.0)
    assert place.now == 30.0


def test_while_playing_the_picture_moves_more_than_thirty_times_a_second(qtbot, host, window):
    host.put("/deck/state", "playing")
    qtbot.waitUntil(lambda: window.deck.place.running and window.deck._frame.isActive())
    assert window.deck._frame.interval() <= 1000 / 30
    before = window.deck.place.now
    qtbot.waitUntil(lambda: window.deck.place.now > before)
    window.pages.turn(0)
    qtbot.waitUntil(lambda: not window.deck._frame.isActive())


@pytest.mark.parametrize(("seconds", "digits", "text"), [
    (0.0, 1, "0:00.0"), (59.99, 1, "0:59.9"), (61.5, 1, "1:01.5"), (3723.4, 1, "1:02:03.4"), (83.0, 0, "1:23"), (-1.0, 1, "0:00.0")])
def test_times_are_read_as_on_a_clock(seconds, digits, text):
    assert clock_text(seconds, digits) == text
