"""The row below the morph pad: gestures recorded, played round and round, and stopped, faster or slower."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtWidgets

from gui.button import Button, Latch
from gui.palette import GOOD, LINE, NEUTRAL, RAISED, TEXT, font
from gui.recordpage import RED
from gui.slider import Slider

SLOWEST, FASTEST = 0.25, 4.0
FIRST = "pad"
# A shorter press than this, in seconds, records until the next one.
TAP = 0.35
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,63}")


def speed_of(x: float) -> float:
    """Return the speed of slider position `x` in 0..1: 0.25 to 4, 1 in the middle."""
    return SLOWEST * (FASTEST / SLOWEST) ** x


def place_of(speed: float) -> float:
    """Return the slider position of a `speed`, the inverse of `speed_of`, limited to the slider's travel."""
    return min(1.0, max(0.0, math.log(max(speed, 1e-6) / SLOWEST) / math.log(FASTEST / SLOWEST)))


class GestureBar(QtWidgets.QWidget):
    """Controls of one gesture, `name`, of those that the host has. `say(address, *values)` fires for what a hand does, with
    the values as a tuple; `following(what)` with "record" or "play" where the gesture begins so, and "" where it ends.

    RECORD records while it is held, or from one short press to the next, and then plays it round and round. `clock` gives seconds.
    """

    say = QtCore.Signal(str, object)
    following = QtCore.Signal(str)
    chosen = QtCore.Signal()

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.name = FIRST
        self.names: list[str] = []
        self.record = Button("RECORD", RED, "C", pixels=17)
        self.play = Button("PLAY", GOOD, "V", pixels=17)
        self.loop = Latch("LOOP", NEUTRAL, pixels=17)
        self.chooser = Button(FIRST, NEUTRAL, pixels=17)
        self.speed = Slider(place_of(1.0), lambda x: f"{speed_of(x):.2f}×", name="speed")  # noqa: RUF001
        self.state = ""
        self._clock = clock
        self._pressed_at: float | None = None
        self._latched = False
        self._unit = 1.0
        for button, help in (
            (self.record, "Records every change while it is held, or from one short press to the next; then it comes round. Key C."
                          "\n/gesture/record"),
            (self.play, "Plays the gesture from its start, or stops it. Key V.\n/gesture/play"),
            (self.loop, "Gestures come round.\n/gesture/loop"),
            (self.chooser, "Which gesture this row is about.\n/gesture/names"),
        ):
            button.setToolTip(help)
        self.speed.setToolTip("How fast gestures go, from their next start or round on. Drag sideways, double click for 1.\n/gesture/speed")
        self.record.pressed.connect(lambda: self.press(True))
        self.record.released.connect(lambda: self.press(False))
        self.play.clicked.connect(lambda: self.toggle())
        self.loop.switched.connect(lambda on: self.say.emit("/gesture/loop", (int(on),)))
        self.speed.moved.connect(lambda x: self.say.emit("/gesture/speed", (round(speed_of(x), 4),)))
        self.chooser.clicked.connect(lambda: self._offer())
        self._row = QtWidgets.QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for widget, share in ((self.record, 4), (self.play, 3), (self.loop, 3), (self.chooser, 3), (self.speed, 4)):
            self._row.addWidget(widget, share)

    @property
    def recording(self) -> bool:
        """Whether the host records the gesture."""
        return f"recording {self.name}" in self.state.split(", ")

    @property
    def playing(self) -> bool:
        """Whether the host plays the gesture."""
        return f"playing {self.name}" in self.state.split(", ")

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        self._row.setSpacing(round(4 * unit))
        for part in (self.record, self.play, self.loop, self.chooser, self.speed):
            part.rescale(unit)
        self.setFixedHeight(round(38 * unit))

    def hear(self, address: str, values: tuple) -> bool:
        """Take a message of the host if it is this row's; return whether it was."""
        if address == "/gesture/names":
            self.names = [name for name in str(values[0]).split(", ") if name]
        elif address == "/gesture/loop":
            self.loop.hear(bool(values[0]))
        elif address == "/gesture/speed":
            self.speed.hear(place_of(float(values[0])))
        elif address == "/gesture/state":
            self.state = str(values[0])
            self._show()
        else:
            return False
        return True

    def tick(self) -> None:
        """Let go back what the host did not confirm."""
        self.loop.tick()
        self.speed.tick()

    def press(self, down: bool) -> None:
        """Begin to record by a press, or end it by letting go, or by the press after a short one."""
        if down and self._latched:
            self._latched = False
            self._end()
        elif down and self._pressed_at is None:
            self._pressed_at = self._clock()
            if self.playing:
                # What is heard of it must not be recorded with it.
                self.say.emit("/gesture/end", (self.name,))
            self.say.emit("/gesture/record", (self.name,))
            self.following.emit("record")
        elif not down and self._pressed_at is not None:
            held, self._pressed_at = self._clock() - self._pressed_at, None
            if held < TAP:
                self._latched = True
            else:
                self._end()

    def toggle(self) -> None:
        """Play the gesture, or stop it; while it is recorded, end that and play it."""
        if self._latched or self.recording:
            self._latched = False
            self._end()
        elif self.playing:
            self.say.emit("/gesture/end", (self.name,))
        else:
            self.say.emit("/gesture/play", (self.name,))

    def choose(self, name: str) -> None:
        """Be about the gesture called `name` from now on; one that is no name changes nothing."""
        if NAME.fullmatch(name) and not name.endswith((" ", ".")):
            if name != self.name:
                self.chosen.emit()
            self.name = name
            self.chooser.setText(name)
            self._show()

    def _end(self) -> None:
        self.say.emit("/gesture/end", (self.name,))
        self.say.emit("/gesture/loop", (1,))
        self.say.emit("/gesture/play", (self.name,))

    def _show(self) -> None:
        self.record.light(self.recording)
        self.record.setText("STOP" if self.recording and self._latched else "RECORD")
        self.play.light(self.playing)
        self.play.setText("STOP" if self.playing else "PLAY")
        self.following.emit("record" if self.recording else "play" if self.playing else "")

    def _offer(self) -> None:
        menu = QtWidgets.QMenu(self)
        menu.setFont(font(18 * self._unit))
        menu.setStyleSheet(
            f"QMenu {{ background: {RAISED.name()}; color: {TEXT.name()}; border: 1px solid {LINE.name()}; }}"
            f"QMenu::item {{ padding: {round(6 * self._unit)}px {round(22 * self._unit)}px; }} QMenu::item:selected {{ background: {LINE.name()}; }}")
        for name in dict.fromkeys((self.name, *self.names)):
            action = menu.addAction(name)
            action.triggered.connect(lambda _=False, name=name: self.choose(name))
        menu.addSeparator()
        fresh = next(f"{FIRST} {number}" for number in range(2, 1000) if f"{FIRST} {number}" not in (*self.names, self.name))
        menu.addAction(f"new: {fresh}").triggered.connect(lambda: self.choose(fresh))
        menu.popup(self.chooser.mapToGlobal(QtCore.QPoint(0, self.chooser.height())))
