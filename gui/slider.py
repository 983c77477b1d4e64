"""A small horizontal fader that fills up, with its name and its value written in it."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.echo import Echo
from gui.palette import DIM, FAINT, LINE, NEUTRAL, PANEL, TEXT, WELL, fitted_font, mixed

STEP, FINE = 0.02, 0.2


class Slider(QtWidgets.QWidget):
    """A bar over 0..1 that is dragged sideways from wherever it is pressed, finely with shift; a double click goes `home`.

    `reader` makes the value legible. `moved(float)` fires for each move by hand, and for nothing else.
    """

    moved = QtCore.Signal(float)

    def __init__(self, home: float, reader: Callable[[float], str], colour: QtGui.QColor = NEUTRAL, name: str = "") -> None:
        super().__init__()
        self.echo = Echo(home)
        self.name = name
        self._home, self._reader, self._colour = home, reader, colour
        self._unit = 1.0
        self._from = 0.0
        self.setCursor(QtCore.Qt.CursorShape.SizeHorCursor)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Expanding)

    @property
    def value(self) -> float:
        """The value shown, 0..1."""
        return self.echo.value

    @property
    def text(self) -> str:
        """The value as a person reads it."""
        return self._reader(self.value)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def tint(self, colour: QtGui.QColor) -> None:
        """Fill with another colour from now on."""
        self._colour = colour
        self.update()

    def hear(self, value: float) -> None:
        """Take the host's value, unless a hand holds the slider."""
        if math.isfinite(value) and self.echo.hear(min(1.0, max(0.0, value))):
            self.update()

    def tick(self) -> None:
        """Go to the host's value if it did not confirm in time."""
        if self.echo.tick():
            self.update()

    def put(self, value: float) -> None:
        """Move to `value`, limited to 0..1, by hand in one go."""
        self.echo.grab()
        self._step(value - self.value)
        self.echo.release()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.echo.grab()
            self._from = event.position().x()
            self.update()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.echo.held:
            x = event.position().x()
            self._step((x - self._from) / max(1.0, self.width()) * self._fineness(event))
            self._from = x

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.echo.held and event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.echo.release()
            self.update()

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self.put(self._home)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        turn = event.angleDelta().y() or event.angleDelta().x()
        self.put(self.value + turn / 120.0 * STEP * self._fineness(event))
        event.accept()

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        keys, step = QtCore.Qt.Key, STEP * self._fineness(event)
        ways = {keys.Key_Left: -step, keys.Key_Right: step}
        if event.key() in ways:
            self.put(self.value + ways[event.key()])
        elif event.key() == keys.Key_Home:
            self.put(self._home)
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        frame = QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit)
        shape = QtGui.QPainterPath()
        shape.addRoundedRect(frame, 6 * unit, 6 * unit)
        painter.fillPath(shape, WELL)
        painter.save()
        painter.setClipPath(shape)
        # The value is written above the way of the cap, so that neither hides the other.
        rail = QtCore.QRectF(frame.left(), frame.bottom() - 0.26 * frame.height(), frame.width(), 0.26 * frame.height())
        edge = frame.left() + self.value * frame.width()
        painter.fillRect(QtCore.QRectF(frame.left(), frame.top(), edge - frame.left(), frame.height()), mixed(self._colour, PANEL, 0.22))
        painter.fillRect(QtCore.QRectF(rail.left(), rail.top(), edge - rail.left(), rail.height()), mixed(self._colour, PANEL, 0.75))
        home = frame.left() + self._home * frame.width()
        painter.fillRect(QtCore.QRectF(home - 0.75 * unit, rail.top(), 1.5 * unit, rail.height()), FAINT)
        painter.fillRect(QtCore.QRectF(edge - 2 * unit, rail.top() - 2 * unit, 4 * unit, rail.height() + 2 * unit), TEXT)
        painter.restore()
        painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        painter.setPen(QtGui.QPen(TEXT if self.echo.held or self.hasFocus() else LINE, 1.5 * unit))
        painter.drawPath(shape)
        inner = frame.adjusted(9 * unit, 0, -9 * unit, -0.22 * frame.height())
        named = self.name and frame.width() > 130 * unit
        middle = QtCore.Qt.AlignmentFlag.AlignVCenter
        if named:
            painter.setPen(DIM)
            painter.setFont(fitted_font(self.name, 0.45 * inner.width(), 15 * unit))
            painter.drawText(inner, QtCore.Qt.AlignmentFlag.AlignLeft | middle, self.name)
        painter.setPen(TEXT)
        words = self.text.replace("-", "−")
        painter.setFont(fitted_font(words, 0.55 * inner.width() if named else inner.width(), 17 * unit, bold=True))
        side = QtCore.Qt.AlignmentFlag.AlignRight if named else QtCore.Qt.AlignmentFlag.AlignHCenter
        painter.drawText(inner, side | middle, words)

    def _step(self, by: float) -> None:
        self.echo.move(min(1.0, max(0.0, self.value + by)))
        self.update()
        self.moved.emit(self.value)

    @staticmethod
    def _fineness(event: QtGui.QInputEvent) -> float:
        return FINE if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier else 1.0
