"""The card of a first start: sound with one click where nothing is heard yet."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Button
from gui.palette import CAUTION, DIM, GOOD, LINE, NEUTRAL, PANEL, TEXT, fitted_font, font

# An input with no peak above this, linear, for so many seconds, feeds nothing.
SILENT, PATIENCE = 0.001, 2.0
# What was asked for takes no longer, or it goes wrong, in seconds.
LONGEST = 60.0


class Welcome(QtWidgets.QWidget):
    """A card over the pages while a host plays an input that nothing feeds, or nowhere at all, until it is put away.

    It comes once: whoever has heard something, or has put it away, is not asked again. `say(address, *values)` fires with
    the values as a tuple. `clock` gives seconds.
    """

    say = QtCore.Signal(str, object)
    wanted = QtCore.Signal()

    def __init__(self, parent: QtWidgets.QWidget, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(parent)
        self.demo = Button("PLAY THE DEMO SONG", GOOD, pixels=30)
        self.other = Button("", NEUTRAL, pixels=19)
        self.devices = Button("OTHER DEVICES", NEUTRAL, pixels=19)
        self.over = False
        self._clock = clock
        self._heard: dict[str, str] = {}
        self._silent_since: float | None = None
        self._asked_at: float | None = None
        self._said = ""
        self._unit = 1.0
        for button in (self.demo, self.other, self.devices):
            button.setParent(self)
        self.demo.light(True)
        self.demo.setToolTip("The demo song is separated and played, round and round, until another source is chosen.\n/source demo")
        self.devices.setToolTip("Choose another sound device on the page DEVICE.\n/device/select")
        self.demo.clicked.connect(self._play_demo)
        self.other.clicked.connect(self._act)
        self.devices.clicked.connect(self._turn)
        self.hide()

    @property
    def unheard(self) -> bool:
        """Whether the host found no sound device, and nobody wanted it so."""
        return self._heard.get("/device") == "null" and self._heard.get("/device/wanted", "null") == ""

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel, over the parent's middle."""
        self._unit = unit
        whole = self.parentWidget().rect()
        width, height = min(whole.width(), round(640 * unit)), round(330 * unit)
        self.setGeometry((whole.width() - width) // 2, (whole.height() - height) // 2, width, height)
        edge, gap = round(30 * unit), round(10 * unit)
        inner = width - 2 * edge
        self.demo.setGeometry(edge, round(122 * unit), inner, round(92 * unit))
        half = (inner - gap) // 2
        self.other.setGeometry(edge, round(226 * unit), half, round(50 * unit))
        self.devices.setGeometry(edge + half + gap, round(226 * unit), inner - half - gap, round(50 * unit))
        for button in (self.demo, self.other, self.devices):
            button.rescale(unit)
        self.update()

    def hear(self, address: str, values: tuple) -> None:
        """Take a message of the host; those that are none of this card's are ignored."""
        if address in ("/device", "/device/wanted", "/device/state", "/source"):
            self._heard[address] = str(values[0])
            if self._asked_at is not None and address == "/source" and values[0] == "demo":
                self.put_away()
        elif address == "/telemetry/meter/input":
            if float(values[0]) > SILENT:
                self._silent_since = None
                if self._heard.get("/source") == "input":
                    self.put_away()
            elif self._silent_since is None:
                self._silent_since = self._clock()
        elif address in ("/notice", "/error") and self._asked_at is not None:
            words = str(values[-1])
            if words and words != self._said and self._clock() - self._asked_at > 0.5:
                self._said, self._asked_at = words, None
                self._show()

    def tick(self) -> None:
        """Come, or go, when it is time."""
        if self._asked_at is not None and self._clock() - self._asked_at > LONGEST:
            self._asked_at = None
            self._show()
        if self.over:
            return
        silent = self._silent_since is not None and self._clock() - self._silent_since >= PATIENCE
        wanted = self.unheard or (silent and self._heard.get("/source") == "input" and "/device/wanted" in self._heard)
        if wanted != self.isVisible():
            self._show()
            self.setVisible(wanted)
            self.raise_()

    def put_away(self) -> None:
        """Hide it, for good."""
        self.over = True
        self.hide()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        event.accept()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        painter.setPen(QtGui.QPen(LINE, 2 * unit))
        painter.setBrush(PANEL)
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit), 14 * unit, 14 * unit)
        device = self._heard.get("/device", "")
        head = "No sound device was found" if self.unheard else "Nothing comes in yet"
        below = ("The host runs on the clock alone; nothing can be heard." if self.unheard
                 else f"The input of {device} is silent.")
        centre = QtCore.Qt.AlignmentFlag.AlignCenter
        painter.setPen(TEXT)
        painter.setFont(font(30 * unit, bold=True))
        painter.drawText(QtCore.QRectF(0, 22 * unit, self.width(), 48 * unit), centre, head)
        painter.setPen(DIM)
        box = QtCore.QRectF(30 * unit, 68 * unit, self.width() - 60 * unit, 40 * unit)
        painter.setFont(fitted_font(below, box.width(), 20 * unit))
        painter.drawText(box, centre, below)
        foot = QtCore.QRectF(30 * unit, 280 * unit, self.width() - 60 * unit, 42 * unit)
        words = self._said or f"{'' if self.unheard else 'or connect something to the input; '}Esc puts this away"
        if self._said:
            painter.setPen(CAUTION)
        painter.setFont(font(15 * unit))
        painter.drawText(foot, centre | QtCore.Qt.TextFlag.TextWordWrap, words)

    def _show(self) -> None:
        waits = self._asked_at is not None
        device = self._heard.get("/device", "")
        self.demo.setText("ONE MOMENT…" if waits else "LOOK FOR A DEVICE" if self.unheard else "PLAY THE DEMO SONG")
        self.demo.setToolTip(
            "Look whether there is a sound device by now, and go on with it.\n/device/select" if self.unheard else
            "The demo song is separated and played, round and round, until another source is chosen.\n/source demo")
        self.other.setText("GO ON UNHEARD" if self.unheard else f"USE INPUT OF {device}")
        self.other.setToolTip("Put this away, and go on with what runs.\n/source")
        self.demo.setEnabled(not waits)
        self.update()

    def _play_demo(self) -> None:
        self._asked_at, self._said = self._clock(), ""
        self._show()
        if self.unheard:
            self.say.emit("/device/select", ())
        else:
            self.say.emit("/source", ("demo",))

    def _act(self) -> None:
        self.put_away()

    def _turn(self) -> None:
        self.put_away()
        self.wanted.emit()
