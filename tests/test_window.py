"""The window against a fake host over real UDP, drawn offscreen."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
from gui.__main__ import main, qt_trouble

if trouble := qt_trouble():
    pytest.skip(trouble, allow_module_level=True)
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from gui.client import Client
from gui.echo import Echo
from gui.law import decibels, gain_text, position
from gui.palette import font, stem_colours
from gui.status import _two_lines
from gui.window import Window
from tests.fake_host import PRESETS, STEMS, FakeHost

BEAT = 0.3
Key, Button, Shift = QtCore.Qt.Key, QtCore.Qt.MouseButton, QtCore.Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def host(qapp):
    made = FakeHost()
    yield made
    made.close()


@pytest.fixture
def window(qtbot, host, tmp_path):
    made = Window(Client("127.0.0.1", host.port, beat=BEAT), tmp_path / "mixes.json")
    qtbot.addWidget(made)
    made.resize(1280, 720)
    made.show()
    qtbot.waitUntil(lambda: len(made.strips) == 4 and len(made.presets) == 8 and made.client.alive)
    QtTest.QTest.qWaitForWindowExposed(made)
    return made


def drag(qtbot, fader, pixels: int, release: bool = True) -> None:
    """Press on `fader`, go up by `pixels` in steps, and let go."""
    start = QtCore.QPoint(fader.width() // 2, fader.height() // 2)
    qtbot.mousePress(fader, Button.LeftButton, pos=start)
    for part in range(1, 6):
        point = start - QtCore.QPoint(0, pixels * part // 5)
        event = QtGui.QMouseEvent(QtCore.QEvent.Type.MouseMove, QtCore.QPointF(point), fader.mapToGlobal(QtCore.QPointF(point)),
                                  Button.NoButton, Button.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier)
        QtWidgets.QApplication.sendEvent(fader, event)
    if release:
        qtbot.mouseRelease(fader, Button.LeftButton, pos=start - QtCore.QPoint(0, pixels))


def test_the_window_is_built_from_what_the_host_has(window):
    assert [strip.name for strip in window.strips] == list(STEMS)
    assert [button.text() for button in window.presets] == list(PRESETS)
    assert window.presets[0].lit


def test_other_stems_make_other_strips(qtbot, host, window):
    host.put("/stems", "voice", "drums")
    host.put("/stem/voice/gain", 0.5)
    qtbot.waitUntil(lambda: [strip.name for strip in window.strips] == ["voice", "drums"])
    qtbot.waitUntil(lambda: window.strips[0].fader.value == 0.5)


def test_a_dragged_fader_tells_the_host(qtbot, host, window):
    drag(qtbot, window.strips[1].fader, -60)
    shown = window.strips[1].fader.value
    qtbot.waitUntil(lambda: len(host.said("/stem/drums/gain")) == 5)
    assert shown < 0.75
    assert host.said("/stem/drums/gain")[-1] == (pytest.approx(shown),)


def test_incoming_values_move_the_faders_and_send_nothing_back(qtbot, host, window):
    host.put("/stem/bass/gain", 0.25)
    host.put("/wet", 0.5)
    host.put("/remainder/gain", 0.75)
    qtbot.waitUntil(lambda: window.strips[2].fader.value == 0.25)
    qtbot.waitUntil(lambda: (window.wet.fader.value, window.remainder.fader.value) == (0.5, 0.75))
    qtbot.wait(50)
    assert {address for address, _ in host.heard} <= {"/subscribe", "/ping"}


def test_the_read_out_says_what_the_host_says(qtbot, host, window):
    host.tell("/stem/bass/gain/str", "a hair")
    qtbot.waitUntil(lambda: window.strips[2].plate.reading == "a hair")


def test_a_held_fader_ignores_the_host_until_let_go(qtbot, host, window):
    fader = window.strips[0].fader
    host.echoing = False
    drag(qtbot, fader, -60, release=False)
    held = fader.value
    host.put("/stem/vocals/gain", 0.1)
    qtbot.waitUntil(lambda: window.client.values["/stem/vocals/gain"][0] == pytest.approx(0.1))
    assert fader.value == held
    qtbot.mouseRelease(fader, Button.LeftButton)
    qtbot.waitUntil(lambda: fader.value == pytest.approx(0.1))


def test_an_echo_of_the_past_does_not_tug_at_a_released_value():
    now = [0.0]
    echo = Echo(0.75, settle=0.3, clock=lambda: now[0])
    echo.put(0.2)
    assert not echo.hear(0.6) and echo.value == 0.2
    echo.hear(0.2)
    assert echo.following and echo.hear(0.9) and echo.value == 0.9
    echo.put(0.1)
    echo.hear(0.9)
    now[0] = 0.31
    assert echo.tick() and echo.value == 0.9


def test_double_click_is_unity_and_wheel_and_arrows_step(qtbot, host, window):
    fader = window.strips[0].fader
    host.put("/stem/vocals/gain", 0.3)
    qtbot.waitUntil(lambda: fader.value == pytest.approx(0.3))
    qtbot.keyClick(fader, Key.Key_Up)
    assert fader.value > 0.3
    qtbot.mouseDClick(fader, Button.LeftButton)
    assert fader.value == 0.75
    qtbot.waitUntil(lambda: (0.75,) in host.said("/stem/vocals/gain"))


@pytest.mark.parametrize(("word", "index"), [("solo", 0), ("mute", 3)])
def test_solo_and_mute_buttons_latch(qtbot, host, window, word, index):
    latch = getattr(window.strips[index], word)
    qtbot.mouseClick(latch, Button.LeftButton)
    qtbot.waitUntil(lambda: host.said(f"/stem/{STEMS[index]}/{word}") == [(1,)])
    assert latch.lit
    qtbot.mouseClick(latch, Button.LeftButton)
    qtbot.waitUntil(lambda: host.said(f"/stem/{STEMS[index]}/{word}") == [(1,), (0,)])


def test_a_solo_shows_the_others_silent_and_mute_shows_its_stem_silent(qtbot, host, window):
    host.put("/stem/drums/solo", 1)
    qtbot.waitUntil(lambda: [strip.sounding for strip in window.strips] == [False, True, False, False])
    host.put("/stem/drums/mute", 1)
    qtbot.waitUntil(lambda: not any(strip.sounding for strip in window.strips))
    assert window.strips[1].plate.note == "MUTED"


def test_a_refused_switch_goes_back(qtbot, host, window):
    host.echoing = False
    qtbot.mouseClick(window.bypass, Button.LeftButton)
    assert window.bypass.lit
    qtbot.waitUntil(lambda: not window.bypass.lit)


def test_preset_buttons_choose_and_show_the_host_s_preset(qtbot, host, window):
    qtbot.mouseClick(window.presets[1], Button.LeftButton)
    qtbot.waitUntil(lambda: host.said("/preset") == [("acapella",)])
    host.put("/preset", "melody")
    qtbot.waitUntil(lambda: [button.text() for button in window.presets if button.lit] == ["melody"])


def test_keys_reach_the_host(qtbot, host, window):
    for key, modifier in ((Key.Key_Q, Shift), (Key.Key_S, None), (Key.Key_F, None), (Key.Key_B, None),
                          (Key.Key_3, None), (Key.Key_P, None), (Key.Key_P, Shift)):
        qtbot.keyClick(window, key, *([modifier] if modifier else []))
    qtbot.waitUntil(lambda: len(host.said("/preset")) == 3)
    assert host.said("/preset") == [("instrumental",), ("drums",), ("instrumental",)]
    assert host.said("/stem/vocals/solo") == host.said("/stem/drums/mute") == host.said("/stem/other/mute") == [(1,)]
    assert host.said("/bypass") == [(1,)]
    qtbot.keyClick(window, Key.Key_0)
    qtbot.waitUntil(lambda: len(host.said("/stem/other/mute")) == 2)
    assert host.said("/stem/vocals/solo")[-1] == host.said("/stem/drums/mute")[-1] == (0,)


def test_keys_work_while_a_fader_has_the_focus(qtbot, host, window):
    fader = window.strips[0].fader
    fader.setFocus()
    qtbot.keyClick(fader, Key.Key_D)
    qtbot.waitUntil(lambda: host.said("/stem/bass/mute") == [(1,)])


def test_space_bypasses_while_it_is_held(qtbot, host, window):
    qtbot.keyPress(window, Key.Key_Space)
    qtbot.waitUntil(lambda: host.said("/bypass") == [(1,)])
    assert not any(strip.sounding for strip in window.strips)
    qtbot.keyRelease(window, Key.Key_Space)
    qtbot.waitUntil(lambda: host.said("/bypass") == [(1,), (0,)])


def test_telemetry_reaches_the_status_line_and_the_meters(qtbot, host, window):
    host.telemetry()
    qtbot.waitUntil(lambda: window.strips[0].meter.peak > 0.8 and window.meters["output"].rms > 0.7)
    qtbot.waitUntil(lambda: "misses 0" in window.status.text)
    for words in ("23.2 ms", "1024 samples", "load 18 %", "p99 2.4 of 11.6 ms", "lasaft-448", "low", "stems", "JACK dummy",
                  "44.1 kHz", "block 128", "connected"):
        assert words in window.status.text


def test_rising_misses_raise_an_alarm(qtbot, host, window):
    def alarmed() -> bool:
        return any(word.alarm for words, _ in window.status._numbers() for word in words)

    host.telemetry(misses=3)
    qtbot.waitUntil(lambda: "misses 3" in window.status.text)
    assert not alarmed()
    host.telemetry(misses=4)
    qtbot.waitUntil(alarmed)


def test_errors_are_shown_in_the_status_line(qtbot, host, window):
    host.tell("/error", "/preset", "no preset is called karaoke; nothing changes")
    qtbot.waitUntil(lambda: "/preset: no preset is called karaoke" in window.status.text)


def test_what_the_host_has_to_say_is_shown_in_the_status_line(qtbot, host, window):
    host.put("/notice", "repeated misses within 2 s: stepped down from lower to low.")
    qtbot.waitUntil(lambda: "stepped down from lower to low" in window.status.text)


def test_in_single_there_are_no_stem_meters(qtbot, host, window):
    host.put("/run", "single")
    qtbot.waitUntil(lambda: not any(strip.meter.available for strip in window.strips))
    assert "single" in window.strips[0].meter.toolTip()
    assert window.meters["output"].available
    host.put("/run", "stems")
    qtbot.waitUntil(lambda: all(strip.meter.available for strip in window.strips))


def test_the_window_starts_in_single_when_the_host_does(qtbot, tmp_path):
    host = FakeHost(run="single")
    made = Window(Client("127.0.0.1", host.port, beat=BEAT), tmp_path / "mixes.json")
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: len(made.strips) == 4)
    qtbot.waitUntil(lambda: not made.strips[0].meter.available)
    host.close()


def test_attention_is_shown_where_the_host_tells_it(qtbot, host, window):
    assert not any(strip.attention.isVisible() for strip in window.strips)
    host.put("/attention", 2, 3)
    qtbot.waitUntil(lambda: "3 latent sources" in window.strips[1].attention.toolTip())
    host.tell("/telemetry/attention/drums", 1.0, 0.0, 0.0, 0.5, 0.5, 0.0)
    qtbot.waitUntil(lambda: window.strips[1].attention.isVisible())
    assert window.strips[1].attention.shares == [(0.75, 1.0), (0.25, 0.5), (0.0, 0.0)]
    assert not window.strips[0].attention.isVisible()
    host.tell("/telemetry/attention/drums", 1.0)
    host.put("/run", "single")
    host.tell("/telemetry/attention", 0.0, 0.0, 1.0, 0.0, 0.0, 1.0)
    qtbot.waitUntil(lambda: window.attention.isVisible())
    assert not window.strips[1].attention.isVisible()
    assert window.attention.shares == [(0.0, 0.0), (0.0, 0.0), (1.0, 1.0)]
    assert not window.grab().isNull()
    host.put("/run", "stems")
    qtbot.waitUntil(lambda: not window.attention.isVisible())


def test_a_vanished_host_is_shown_and_a_returned_one_is_taken_up(qtbot, host, window):
    host.answering = False
    qtbot.waitUntil(lambda: "host not answering" in window.status.text)
    host.state["/stem/vocals/gain"] = (0.5,)
    host.answering = True
    qtbot.waitUntil(lambda: "connected" in window.status.text)
    qtbot.waitUntil(lambda: window.strips[0].fader.value == 0.5)


def test_a_device_that_is_waited_for_is_shown_until_it_plays_again(qtbot, host, window):
    host.put("/device/state", "waiting: system has stopped; check its cable, or the sound server")
    qtbot.waitUntil(lambda: "waiting: system has stopped" in window.status.text)
    host.put("/device/state", "playing")
    qtbot.waitUntil(lambda: "JACK dummy" in window.status.text)


def test_garbage_does_not_hurt(qtbot, host, window):
    draw = random.Random(2)
    openings = (b"", b"#bundle\0", b"/stem/vocals/gain\0\0\0,f\0\0", b"/stems\0\0,", b"/telemetry/spectrum/input\0\0\0,b\0\0")
    for i in range(1000):
        host.throw(openings[i % len(openings)] + draw.randbytes(draw.randrange(200)))
        if i % 100 == 0:
            qtbot.wait(1)
    for address, values in (("/stem/vocals/gain", ("loud",)), ("/stem/vocals/gain", ()), ("/telemetry/work", ("x",)),
                            ("/telemetry/spectrum/input", (b"short",)), ("/telemetry/spectrum/nowhere", (bytes(128),)),
                            ("/telemetry/meter/drums", (0.1,)), ("/telemetry/load", (float("nan"),)),
                            ("/stem/bass/gain", (float("nan"),)), ("/telemetry/misses", (float("inf"),)), ("/stems", ()),
                            ("/attention", (0, 0)), ("/attention", ("x",)), ("/telemetry/attention", ("x",)),
                            ("/telemetry/attention/bass", ())):
        host.tell(address, *values)
    host.put("/stem/vocals/gain", 0.4)
    qtbot.waitUntil(lambda: window.strips[0].fader.value == pytest.approx(0.4))
    assert len(window.strips) == 4
    assert 0.0 <= window.strips[2].fader.value <= 1.0
    assert not window.grab().isNull()


def test_a_sentence_that_is_too_long_ends_in_a_mark_and_is_whole_in_the_tooltip(host, window):
    metrics = QtGui.QFontMetricsF(font(15.5))
    long = " ".join(["a sentence that tells all that there is to tell"] * 12)
    shown = _two_lines(long, metrics, 850.0)
    assert shown.endswith(" …") and long.startswith(shown[:-2])
    assert metrics.boundingRect(QtCore.QRectF(0, 0, 850, 1e6), int(QtCore.Qt.TextFlag.TextWordWrap), shown).height() < 2.5 * metrics.lineSpacing()
    assert _two_lines("short", metrics, 850.0) == "short"
    window.status.tell(long)
    window.status.grab()
    assert any(long in tip for _, tip in window.status._spots)


def test_a_stem_whose_fader_is_down_is_not_drawn_as_heard(qtbot, host, window):
    host.put("/stem/vocals/gain", 0.0)
    qtbot.waitUntil(lambda: not window.strips[0].meter.lit)
    assert window.strips[1].meter.lit


def test_a_flood_of_spectra_leaves_the_controls_responsive(qtbot, host, window):
    for _ in range(500):
        host.tell("/telemetry/spectrum/input", bytes(128))
    host.put("/stem/other/gain", 0.5)
    with qtbot.waitSignal(window.client.received, check_params_cb=lambda at, _: at == "/stem/other/gain"):
        pass
    assert window.strips[3].fader.value == 0.5


def test_the_window_says_goodbye(qtbot, host, window):
    window.close()
    qtbot.waitUntil(lambda: bool(host.said("/unsubscribe")))


@pytest.mark.parametrize("size", [(1024, 640), (1280, 720), (1920, 1080), (3840, 2160)])
def test_the_picture_is_legible_at_every_size(qtbot, host, window, size):
    window.resize(*size)
    host.telemetry()
    qtbot.waitUntil(lambda: window.strips[0].meter.peak > 0.8)
    assert (window.width(), window.height()) == size
    assert 30 * window._unit >= 24 and 25 * window._unit >= 20
    picture = window.grab().toImage()
    seen = {picture.pixel(x, y) for x in range(0, size[0], 7) for y in range(0, size[1], 7)}
    colours = [QtGui.QColor(c).rgb() for c in stem_colours(STEMS).values()]
    assert len(seen) > 50
    assert all(colour in seen for colour in colours)


def test_the_gain_law_has_an_inverse():
    assert decibels(0.375) == pytest.approx(-12.04, abs=0.01)
    assert decibels(1.0) == 6.0
    assert gain_text(0.0) == "off"
    assert gain_text(0.75) == "0.0 dB"
    assert all(position(decibels(x / 100)) == pytest.approx(x / 100) for x in range(1, 101))


def test_known_stems_keep_their_colours_and_all_stems_differ():
    colours = stem_colours(("piano", "drums", "guitar", "vocals"))
    assert colours["vocals"] == stem_colours(STEMS)["vocals"]
    assert len({colour.rgb() for colour in colours.values()}) == 4


def test_the_command_line_takes_a_screenshot(qtbot, host, tmp_path):
    timer = QtCore.QTimer(host)
    timer.timeout.connect(host.telemetry)
    timer.start(33)
    shot = tmp_path / "window.png"
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "gui", "--port", str(host.port), "--screenshot", str(shot)]
    process = subprocess.Popen(command, cwd=root)
    qtbot.waitUntil(lambda: process.poll() is not None, timeout=30000)
    assert process.returncode == 0
    picture = QtGui.QImage(str(shot))
    assert (picture.width(), picture.height()) == (1280, 720)


def test_without_a_display_the_command_line_says_so(monkeypatch, capsys):
    if not sys.platform.startswith("linux"):
        pytest.skip("only X11 and Wayland tell beforehand")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 1
    assert "no display" in capsys.readouterr().err
