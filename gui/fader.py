"""A long vertical fader for one normalised value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.echo import Echo
from gui.law import UNITY, gain_text, percent_text, position
from gui.palette import DIM, FAINT, GROUND, LINE, PANEL, TEXT, WELL, font, mixed

Marks = Sequence[tuple[float, str]]

GAIN_MARKS: Marks = tuple((position(db), f"{db:+d}".replace("-", "−") if db else "0") for db in (6, 3, 0, -6, -12, -24)) + ((0.0, "off"),)
AMOUNT_MARKS: Marks = tuple((percent / 100, str(percent)) for percent in (100, 75, 50, 25, 0))

WHEEL_STEP = 0.0125
KEY_STEP = 0.02
FINE = 0.2


class Fader(QtWidgets.QWidget):
    """A fader over 0..1 whose cap never jumps: pressing anywhere takes hold of it, dragging moves it.

    With shift it moves five times finer; a double click puts it at `home`; wheel and arrow keys step.
    `moved(float)` fires for every move by hand, and for nothing else. `text` is what a person reads.
    """

    moved = QtCore.Signal(float)
    shown = QtCore.Signal()

    def __init__(self, colour: QtGui.QColor, marks: Marks, home: float, reader: Callable[[float], str]) -> None:
        super().__init__()
        self.echo = Echo(home)
        self.lit = True
        self._colour = colour
        self._marks = marks
        self._home = home
        self._reader = reader
        self._text = reader(home)
        self._unit = 1.0
        self._from = 0.0
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setCursor(QtCore.Qt.CursorShape.SizeVerCursor)

    @classmethod
    def gain(cls, colour: QtGui.QColor) -> Fader:
        """Return a fader for a gain under the protocol's law."""
        return cls(colour, GAIN_MARKS, UNITY, gain_text)

    @classmethod
    def amount(cls, colour: QtGui.QColor) -> Fader:
        """Return a fader for an amount in percent."""
        return cls(colour, AMOUNT_MARKS, 1.0, percent_text)

    @property
    def value(self) -> float:
        """The value shown."""
        return self.echo.value

    @property
    def text(self) -> str:
        """The value as a person reads it: the host's own words where it sent some."""
        return self._text

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def light(self, lit: bool) -> None:
        """Draw in colour, or grey because it cannot be heard."""
        if lit != self.lit:
            self.lit = lit
            self.update()

    def hear(self, value: float) -> None:
        """Take the host's value, unless a hand holds the fader."""
        if math.isfinite(value) and self.echo.hear(min(1.0, max(0.0, value))):
            self._show()

    def hear_text(self, text: str) -> None:
        """Take the host's words for the value."""
        if self.echo.following and text != self._text:
            self._text = text
            self.shown.emit()

    def tick(self) -> None:
        """Go to the host's value if it did not confirm in time."""
        if self.echo.tick():
            self._show()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.echo.grab()
            self._from = event.position().y()
            self.update()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.echo.held:
            y = event.position().y()
            self._step((self._from - y) / self._travel() * self._fineness(event))
            self._from = y

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.echo.held and event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.echo.release()
            self.update()

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self._put(self._home)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        turn = event.angleDelta().y() or event.angleDelta().x()
        self._put(self.value + turn / 120.0 * WHEEL_STEP * self._fineness(event))

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        step = KEY_STEP * self._fineness(event)
        keys = QtCore.Qt.Key
        targets = {keys.Key_Up: self.value + step, keys.Key_Down: self.value - step, keys.Key_Home: self._home}
        if event.key() in targets:
            self._put(targets[event.key()])
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(round(50 * self._unit), round(120 * self._unit))

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), PANEL)
        unit = self._unit
        colour = self._colour if self.lit else FAINT
        slot = self._slot()
        y, centre = self._y(self.value), slot.center().x()
        painter.setPen(QtGui.QPen(LINE, unit))
        painter.setBrush(WELL)
        painter.drawRoundedRect(slot, slot.width() / 2, slot.width() / 2)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(mixed(colour, WELL, 0.85))
        filled = QtCore.QRectF(slot.left(), y, slot.width(), slot.bottom() - y)
        painter.drawRoundedRect(filled, slot.width() / 2, slot.width() / 2)
        painter.setFont(font(14 * unit))
        labelled = self._is_labelled()
        for at, label in self._marks:
            level = self._y(at)
            home = at == self._home
            painter.setPen(QtGui.QPen(TEXT if home else FAINT, (2.0 if home else 1.2) * unit))
            painter.drawLine(QtCore.QPointF(centre - 31 * unit, level), QtCore.QPointF(centre - 25 * unit, level))
            if not labelled:
                continue
            painter.setPen(TEXT if home else DIM)
            box = QtCore.QRectF(0, level - 10 * unit, centre - 34 * unit, 20 * unit)
            painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter, label)
        self._paint_cap(painter, centre, y, colour)

    def _paint_cap(self, painter: QtGui.QPainter, x: float, y: float, colour: QtGui.QColor) -> None:
        unit = self._unit
        cap = QtCore.QRectF(x - 22 * unit, y - 16 * unit, 44 * unit, 32 * unit)
        body = QtGui.QLinearGradient(cap.topLeft(), cap.bottomLeft())
        body.setColorAt(0.0, QtGui.QColor("#5A6673"))
        body.setColorAt(0.48, QtGui.QColor("#39434E"))
        body.setColorAt(1.0, QtGui.QColor("#232A32"))
        active = self.echo.held or self.hasFocus()
        painter.setPen(QtGui.QPen(TEXT if active else GROUND, (2.0 if active else 1.5) * unit))
        painter.setBrush(body)
        painter.drawRoundedRect(cap, 5 * unit, 5 * unit)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(mixed(colour, TEXT, 0.8) if self.lit else DIM)
        painter.drawRect(QtCore.QRectF(cap.left() + 4 * unit, y - 1.75 * unit, cap.width() - 8 * unit, 3.5 * unit))

    def _slot(self) -> QtCore.QRectF:
        unit = self._unit
        shift = 18 if self._is_labelled() else 4
        x = min(0.5 * self.width() + shift * unit, self.width() - 24 * unit)
        return QtCore.QRectF(x - 4 * unit, 18 * unit, 8 * unit, self.height() - 36 * unit)

    def _is_labelled(self) -> bool:
        return self.width() >= 88 * self._unit

    def _travel(self) -> float:
        return max(1.0, self._slot().height())

    def _y(self, value: float) -> float:
        return self._slot().bottom() - value * self._travel()

    @staticmethod
    def _fineness(event: QtGui.QInputEvent) -> float:
        return FINE if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier else 1.0

    def _step(self, by: float) -> None:
        self.echo.move(min(1.0, max(0.0, self.value + by)))
        self._show()
        self.moved.emit(self.value)

    def _put(self, value: float) -> None:
        self.echo.grab()
        self._step(value - self.value)
        self.echo.release()

    def _show(self) -> None:
        self._text = self._reader(self.value)
        self.shown.emit()
        self.update()
