"""Buttons that are read from across a stage: filled when on, an outline when off."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.echo import Echo
from gui.palette import DIM, GROUND, INK, LINE, RAISED, TEXT, fitted_font, font, mixed


class Button(QtWidgets.QAbstractButton):
    """A push button with a `label`, a small `hint` of its key, and a `lit` state that others set.

    It takes no keyboard focus: every button has its own key, and a focused one would swallow the space bar.
    """

    def __init__(self, label: str, colour: QtGui.QColor, hint: str = "", pixels: float = 20.0) -> None:
        super().__init__()
        self.lit = False
        self._colour = colour
        self._hint = hint
        self._pixels = pixels
        self._unit = 1.0
        self.setText(label)
        self.setAccessibleName(label)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Expanding)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def light(self, lit: bool) -> None:
        """Fill the button or empty it."""
        if lit != self.lit:
            self.lit = lit
            self.update()

    def sizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(10, 10)

    def _begin(self, edge: QtGui.QColor, pressed: float) -> tuple[QtGui.QPainter, QtCore.QRectF]:
        """Return a painter that has drawn the button's face, and where: within `edge` unlit, at `pressed` of its light when down."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        frame = QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit)
        fill = self._colour if self.lit else RAISED
        if self.isDown():
            fill = mixed(fill, GROUND, pressed)
        elif self.underMouse():
            fill = mixed(fill, TEXT, 0.92)
        painter.setPen(QtGui.QPen(self._colour if self.lit else edge, 1.5 * unit))
        painter.setBrush(fill)
        painter.drawRoundedRect(frame, 7 * unit, 7 * unit)
        return painter, frame

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        unit = self._unit
        painter, frame = self._begin(LINE, 0.75)
        painter.setPen(INK if self.lit else TEXT)
        # In a low button the hint stands beside the label, in a tall one above it, in a small one nowhere.
        tall, wide = frame.height() > 46 * unit, frame.width() > 150 * unit
        margin = (54 if self._hint and wide and not tall else 14) * unit
        painter.setFont(fitted_font(self.text(), frame.width() - margin, self._pixels * unit, bold=True))
        below = frame.adjusted(0, 9 * unit if self._hint and tall and not wide else 0, 0, 0)
        painter.drawText(below, QtCore.Qt.AlignmentFlag.AlignCenter, self.text())
        if self._hint and (tall or wide):
            painter.setPen(mixed(INK, self._colour, 0.75) if self.lit else DIM)
            painter.setFont(font(12 * unit))
            corner = QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignTop
            painter.drawText(frame.adjusted(0, 3 * unit, -7 * unit, 0), corner, self._hint)


class Latch(Button):
    """A button that stays: `switched(bool)` fires when a hand switches it; the host has the last word on its state."""

    switched = QtCore.Signal(bool)

    def __init__(self, label: str, colour: QtGui.QColor, hint: str = "", pixels: float = 20.0) -> None:
        super().__init__(label, colour, hint, pixels)
        self._echo = Echo(0)
        self.clicked.connect(self.flip)

    def flip(self) -> None:
        """Switch to the other state, as a hand would."""
        self.switch(not self.lit)

    def switch(self, on: bool) -> None:
        """Switch by hand."""
        self._echo.put(int(on))
        self.light(on)
        self.switched.emit(on)

    def hear(self, on: bool) -> None:
        """Take the host's word."""
        self._echo.hear(int(on))
        self.light(bool(self._echo.value))

    def tick(self) -> None:
        """Go back to the host's state if it did not confirm in time."""
        if self._echo.tick():
            self.light(bool(self._echo.value))
