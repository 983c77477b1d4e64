"""Real clicks and keys on the window of a real host change what is heard, and change it back.

The host plays four tones through a separator that takes each for a stem, and records what is heard. Its window is a process
of its own on an X server without a screen, and xdotool is the hand. Where things are, a second window tells, which this
process has offscreen, as large as the first and on the same host: it never sends anything. It is also how the host is
heard over OSC.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import N_FFT, ROOT, STEMS, Graph, metadata

os.environ["QT_QPA_PLATFORM"] = "offscreen"
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")
from gui.__main__ import qt_trouble
from gui.xvfb import VirtualDisplay, virtual_display, xvfb_missing

if trouble := qt_trouble() or xvfb_missing():
    pytest.skip(trouble, allow_module_level=True)
if shutil.which("xdotool") is None:
    pytest.skip("xdotool is not installed (Debian: apt install xdotool).", allow_module_level=True)
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.client import Client
from gui.law import position
from gui.window import Window

SIZE = (1280, 720)
# Ten minutes, for a machine that has little time for this.
RATE, SECONDS, LOUD = 44100, 600, 0.1
# Bins of the separator's spectrum, a tone on each.
TONES = dict(zip(STEMS, (25, 75, 5, 220), strict=True))
EDGES = dict(zip(STEMS, ((15, 50), (50, 150), (0, 15), (150, 513)), strict=True))
# Seconds of sound that every change is listened to, and that are left for it to have come and to go.
HELD, MARGIN = 0.4, 0.12
PATIENCE = 240_000
ALL = frozenset(STEMS)


def write_bands(path: Path) -> Path:
    """A separator whose stems are bands of the spectrum."""
    graph = Graph()
    masks = np.zeros((4, N_FFT // 2 + 1), np.float32)
    for row, stem in enumerate(STEMS):
        masks[row, slice(*EDGES[stem])] = 1.0
    mask = graph.op("MatMul", "condition", graph.weight(masks))
    graph.op("Mul", graph.op("Unsqueeze", mask, graph.weight(np.array([1, 2]))), "mixture", output="estimate")
    return graph.write(path, metadata("bands", STEMS), {})


def write_tones(folder: Path) -> Path:
    """All tones at once, each of which begins anew with every frame."""
    times = np.arange(N_FFT) / N_FFT
    tones = sum(LOUD * np.sin(2 * np.pi * line * times) for line in TONES.values())
    once = np.round(32767 * tones).astype(np.int16)
    soundfile.write(folder / "tones.wav", np.tile(once[:, None], (SECONDS * RATE // N_FFT, 2)), RATE)
    return folder / "tones.wav"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder: Path, environment: dict[str, str], port: int, *arguments: object) -> subprocess.Popen:
    """Start a host with its window, whose settings are in `folder`."""
    homes = {f"XDG_{kind}_HOME": str(folder) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    command = ["run_live.py", "--device", "null", "--osc-port", port, "--no-oscquery", "--window", *arguments]
    return subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment | homes | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        # A shell that put the tests in the background may have taken Ctrl-C from its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end(host: subprocess.Popen) -> str:
    """End `host` as Ctrl-C does; return what it said."""
    host.send_signal(signal.SIGINT)
    try:
        said, _ = host.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        host.kill()
        raise
    return said


@dataclass
class Stretch:
    """Seconds of the input, from `begin` to `end`, in which only `stems` were to be heard; `what` was done for it."""

    what: str
    stems: frozenset[str]
    begin: float
    end: float


@dataclass
class Hands:
    """Clicks and keys on the window `number` of `display`, and ears; `map` is the window in this process."""

    bot: object
    display: VirtualDisplay
    map: Window
    number: str = ""
    left: int = 0
    top: int = 0
    heard: list[Stretch] = field(default_factory=list)

    # The hand.

    def xdo(self, *words: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, words)], env=self.display.environment, capture_output=True, text=True, timeout=120)
        return done.stdout

    def find_window(self) -> None:
        """Wait until the window stands on the display and shows what the map shows; and let it have the keys."""
        self.wait(self.found, pause=200)
        place = dict(line.split("=") for line in self.xdo("getwindowgeometry", "--shell", self.number).split() if "=" in line)
        assert (int(place["WIDTH"]), int(place["HEIGHT"])) == SIZE
        self.left, self.top = int(place["X"]), int(place["Y"])
        self.wait(self.shows_the_same, pause=100)
        self.xdo("windowfocus", self.number)

    def found(self) -> bool:
        self.number = self.xdo("search", "--onlyvisible", "--name", "^LaSAFT Live$").strip()
        return bool(self.number)

    def click(self, widget: QtWidgets.QWidget, times: int = 1) -> None:
        # Away again at once, so that no tooltip comes between the hand and what it wants next.
        self.xdo("mousemove", *self.spot(widget), "click", "--repeat", times, "--delay", 40, 1, "mousemove", *self.aside)

    def drag(self, widget: QtWidgets.QWidget, down: int) -> None:
        x, y = self.spot(widget)
        steps = [word for step in range(1, 9) for word in ("mousemove", x, y + round(down * step / 8))]
        self.xdo("mousemove", x, y, "mousedown", 1, *steps, "mouseup", 1, "mousemove", *self.aside)

    def key(self, *keys: str) -> None:
        self.xdo("key", *keys)

    @property
    def aside(self) -> tuple[int, int]:
        return self.left + 4, self.top + SIZE[1] // 2

    def spot(self, widget: QtWidgets.QWidget) -> tuple[int, int]:
        centre = widget.mapTo(self.map, widget.rect().center())
        return self.left + centre.x(), self.top + centre.y()

    # The eye.

    def shows_the_same(self) -> bool:
        """Whether every button of the window looks as it does on the map."""
        shown = self.display.pixels()[self.top :, self.left :].astype(int)
        image = self.map.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)
        rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
        drawn = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
        for button in self.buttons():
            box = QtCore.QRect(button.mapTo(self.map, QtCore.QPoint(0, 0)), button.size())
            place = slice(box.top(), box.bottom()), slice(box.left(), box.right())
            # Letters are smoothed in another way.
            if np.abs(shown[place] - drawn[place]).mean() > 6:
                return False
        return True

    def buttons(self) -> list[QtWidgets.QWidget]:
        pairs = [button for strip in self.map.strips for button in (strip.plate, strip.solo, strip.mute)]
        tabs = [tab for tab in self.map.pages.tabs if not tab.isHidden()]
        return [*pairs, *self.map.presets, *tabs, self.map.bypass]

    # The ear.

    def wait(self, condition: Callable[[], object], pause: int = 0) -> None:
        """Wait until `condition()` holds, with so many milliseconds between two looks where looking costs something."""

        def holds() -> bool:
            if pause:
                self.bot.wait(pause)
            return bool(condition())

        self.bot.waitUntil(holds, timeout=PATIENCE)

    def says(self, address: str, value: object) -> None:
        self.wait(lambda: self.map.client.values.get(address) == (value,))

    def listen(self, what: str, *stems: str) -> None:
        """Wait until the host's meter has been steady at the level of `stems` for some time, and note which."""
        level, values, begin = LOUD * np.sqrt(len(stems) / 2), self.map.client.values, None

        def steady() -> bool:
            nonlocal begin
            at, rms = values["/telemetry/position"][0], values["/telemetry/meter/output"][1]
            if abs(rms - level) > 0.01 * LOUD + 0.04 * level:
                begin = None
            elif begin is None:
                begin = at
            return begin is not None and at >= begin + HELD

        self.wait(steady)
        self.heard.append(Stretch(what, frozenset(stems), begin, values["/telemetry/position"][0]))


def tones_in(sound: np.ndarray) -> set[str]:
    """Return the stems whose tones are heard in `sound` [samples, 2]; raises AssertionError for one that is half there."""
    times, found = np.arange(len(sound)) / RATE, set()
    window = np.hanning(len(sound))
    for stem, line in TONES.items():
        wave = np.exp(-2j * np.pi * line * RATE / N_FFT * times)
        level = abs(2 * (sound.mean(axis=1) * window * wave).sum() / window.sum()) / LOUD
        assert level < 0.1 or 0.8 < level < 1.2, f"{stem} is heard at {level:.2f} of its level"
        if level > 0.5:
            found.add(stem)
    return found


@pytest.fixture
def display() -> Iterator[VirtualDisplay]:
    with virtual_display(*SIZE) as made:
        yield made


def test_clicks_and_keys_change_what_is_heard_and_change_it_back(qtbot, display, tmp_path):
    bands, song, record, port = write_bands(tmp_path / "bands.onnx"), write_tones(tmp_path), tmp_path / "heard.wav", free_port()
    host = start(tmp_path, display.environment, port, "--model", bands, "--latency", "safe", "--hold", "--run", "stems",
                 "--input", song, "--record", record)
    try:
        window = Window(Client("127.0.0.1", port, beat=0.3), tmp_path / "mixes.json")
        qtbot.addWidget(window)
        window.resize(*SIZE)
        hands = Hands(qtbot, display, window)
        hands.wait(lambda: host.poll() is not None or (len(window.strips) == 4 and "/telemetry/meter/output" in window.client.values))
        assert host.poll() is None, host.stdout.read()
        perform(hands)
        added = window.client.values["/telemetry/latency"][0]
    finally:
        said = end(host) if host.poll() is None else ""
    assert "error" not in said, said
    sound, _ = soundfile.read(record, dtype="float32", always_2d=True)
    for stretch in hands.heard:
        first, last = (round(at * RATE) + added for at in (stretch.begin + MARGIN, stretch.end - MARGIN / 2))
        assert tones_in(sound[first:last]) == stretch.stems, stretch.what


def perform(hands: Hands) -> None:
    """Do what a performer does, and listen after each thing that is done."""
    window = hands.map
    vocals, _, bass, _ = window.strips
    hands.find_window()
    hands.listen("nothing", *STEMS)

    hands.click(bass.solo)
    hands.says("/stem/bass/solo", 1)
    hands.listen("a click on the solo of the bass", "bass")
    hands.click(bass.solo)
    hands.says("/stem/bass/solo", 0)
    hands.listen("another", *STEMS)

    hands.xdo("keydown", "w")
    hands.says("/stem/drums/solo", 1)
    hands.listen("W held down", "drums")
    hands.xdo("keyup", "w")
    hands.says("/stem/drums/solo", 0)
    hands.listen("W let go", *STEMS)

    hands.drag(vocals.fader, SIZE[1])
    hands.says("/stem/vocals/gain", 0.0)
    hands.listen("the fader of the vocals dragged down", *(ALL - {"vocals"}))
    hands.click(vocals.fader, times=2)
    hands.says("/stem/vocals/gain", pytest.approx(position(0.0)))
    hands.listen("a double click on it", *STEMS)

    hands.key("a", "s", "d", "f")
    for stem in STEMS:
        hands.says(f"/stem/{stem}/mute", 1)
    hands.listen("A, S, D and F")
    hands.key("0")
    for stem in STEMS:
        hands.says(f"/stem/{stem}/mute", 0)
    hands.listen("0", *STEMS)

    hands.click(window.presets[1])
    hands.says("/preset", "acapella")
    hands.listen("a click on the preset acapella", "vocals")
    hands.key("Escape")
    hands.says("/bypass", 1)
    hands.listen("Escape", *STEMS)
    hands.click(window.bypass)
    hands.says("/bypass", 0)
    hands.listen("a click on bypass", "vocals")
    hands.key("1")
    hands.says("/preset", "all")
    hands.listen("1", *STEMS)
    # And the window shows what is so at the end.
    hands.wait(hands.shows_the_same, pause=100)


# A display that is not there.


@pytest.mark.parametrize("named", [{"DISPLAY": ":77"}, {}])
def test_without_the_display_the_host_says_one_sentence_and_plays_on(qtbot, tmp_path, identity, named):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
    port = free_port()
    host = start(tmp_path, environment | named, port, "--model", identity, "--input", write_tones(tmp_path))
    lines = []
    try:
        while not any("display" in line for line in lines):
            lines.append(host.stdout.readline())
            assert lines[-1], "".join(lines)
        client = Client("127.0.0.1", port, beat=0.3)
        position = lambda: client.values.get("/telemetry/position", (0.0,))[0]  # noqa: E731
        qtbot.waitUntil(lambda: position() > 0, timeout=PATIENCE)
        told = position()
        qtbot.waitUntil(lambda: position() > told + 0.5, timeout=PATIENCE)
        client.close()
        assert host.poll() is None
    finally:
        lines.append(end(host))
    said = [line for line in "".join(lines).splitlines() if "display" in line or "Qt" in line or "Aborted" in line or "Traceback" in line]
    assert len(said) == 1 and ("DISPLAY=:77 names is not there" if named else "no display here") in said[0]
    assert host.returncode == 0
