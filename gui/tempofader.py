"""The deck's tempo, as a horizontal fader."""

from __future__ import annotations

import math

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.echo import Echo
from gui.palette import CAUTION, DIM, FAINT, GROUND, LINE, NEUTRAL, PANEL, RAISED, TEXT, WELL, font, mixed

SLOWEST, FASTEST = 0.5, 2.0
STEP, FINE = 0.01, 0.1
MARKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0)
HELP = (
    "Tempo, at the same pitch. Drag, Shift for fine, wheel or keys + and − to step by 1 %, double click or Backspace for 100 %.\n/deck/tempo"
)


def tempo_text(tempo: float) -> str:
    """Return `tempo` in percent of the file's own."""
    return f"{100 * tempo:.1f} %"


class TempoFader(QtWidgets.QWidget):
    """Half to double speed, the file's own in the middle: `moved(float)` fires for each move by hand."""

    moved = QtCore.Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.echo = Echo(1.0)
        self._unit = 1.0
        self._from = 0.0
        self.setToolTip(HELP)
        self.setAccessibleName("tempo")
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self.setCursor(QtCore.Qt.CursorShape.SizeHorCursor)

    @property
    def value(self) -> float:
        """The tempo shown, 1 for the file's own."""
        return self.echo.value

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(44 * unit))
        self.update()

    def hear(self, tempo: float) -> None:
        """Take the host's word, unless a hand holds the fader."""
        if math.isfinite(tempo) and self.echo.hear(tempo):
            self.update()

    def tick(self) -> None:
        """Go to the host's tempo if it did not confirm in time."""
        if self.echo.tick():
            self.update()

    def step(self, by: float) -> None:
        """Change the tempo by so much, by hand."""
        self.put(self.value + by)

    def put(self, tempo: float) -> None:
        """Set the tempo by hand in one go, limited to what there is."""
        self.echo.grab()
        self._move(tempo)
        self.echo.release()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.echo.grab()
            self._from = event.position().x()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.echo.held:
            x = event.position().x()
            octaves = math.log2(FASTEST / SLOWEST) * (x - self._from) / max(1.0, self._slot().width())
            self._move(self.value * 2.0 ** (octaves * self._fineness(event)))
            self._from = x

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.echo.held and event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.echo.release()
            self.update()

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self.put(1.0)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        turn = event.angleDelta().y() or event.angleDelta().x()
        self.step(turn / 120.0 * STEP * self._fineness(event))

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit, slot, height = self._unit, self._slot(), self.height()
        frame = QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit)
        painter.setPen(QtGui.QPen(mixed(LINE, PANEL, 0.6), unit))
        painter.setBrush(PANEL)
        painter.drawRoundedRect(frame, 8 * unit, 8 * unit)
        vertical = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.setPen(DIM)
        painter.setFont(font(16 * unit))
        painter.drawText(frame.adjusted(10 * unit, 0, 0, 0), vertical, "tempo")
        own = abs(self.value - 1.0) < 5e-4
        painter.setPen(TEXT if own else CAUTION)
        painter.setFont(font(24 * unit, bold=True))
        painter.drawText(frame.adjusted(0, 0, -10 * unit, 0), vertical | QtCore.Qt.AlignmentFlag.AlignRight, tempo_text(self.value))
        for mark in MARKS:
            x, tall = self._x(mark), (13 if mark == 1.0 else 7) * unit
            painter.fillRect(QtCore.QRectF(x - 0.7 * unit, height / 2 - tall, 1.4 * unit, 2 * tall), TEXT if mark == 1.0 else FAINT)
        painter.setPen(QtGui.QPen(LINE, unit))
        painter.setBrush(WELL)
        painter.drawRoundedRect(slot, slot.height() / 2, slot.height() / 2)
        x, middle = self._x(self.value), self._x(1.0)
        if not own:
            painter.fillRect(QtCore.QRectF(min(x, middle), slot.top(), abs(x - middle), slot.height()), CAUTION)
        cap = QtCore.QRectF(x - 10 * unit, 6 * unit, 20 * unit, height - 12 * unit)
        painter.setPen(QtGui.QPen(TEXT if self.echo.held else GROUND, 1.5 * unit))
        painter.setBrush(mixed(NEUTRAL, RAISED, 0.35))
        painter.drawRoundedRect(cap, 4 * unit, 4 * unit)
        painter.fillRect(QtCore.QRectF(x - 1.5 * unit, cap.top() + 4 * unit, 3 * unit, cap.height() - 8 * unit), TEXT if own else CAUTION)

    def _slot(self) -> QtCore.QRectF:
        unit = self._unit
        left, right = 78 * unit, self.width() - 128 * unit
        return QtCore.QRectF(left, self.height() / 2 - 4 * unit, max(1.0, right - left), 8 * unit)

    def _x(self, tempo: float) -> float:
        slot = self._slot()
        return slot.left() + slot.width() * math.log2(tempo / SLOWEST) / math.log2(FASTEST / SLOWEST)

    def _move(self, tempo: float) -> None:
        self.echo.move(min(FASTEST, max(SLOWEST, tempo)))
        self.update()
        self.moved.emit(self.value)

    @staticmethod
    def _fineness(event: QtGui.QInputEvent) -> float:
        return FINE if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier else 1.0
