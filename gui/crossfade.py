"""A fader between two mixes, and the curves it may follow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import (
    DIM,
    FAINT,
    GROUND,
    LINE,
    NEUTRAL,
    PANEL,
    RAISED,
    SKY,
    TEXT,
    WELL,
    YELLOW,
    fitted_font,
    font,
    mixed,
)

CURVES = ("linear", "equal power", "cut")
STEP, FINE = 0.05, 0.2
A_COLOUR, B_COLOUR = QtGui.QColor(YELLOW), QtGui.QColor(SKY)
HELP = (
    "Fades between mixes A and B, which the page MIXES chooses.\nDrag, wheel or arrow keys, Shift for fine, double click "
    "for the other side.\nKey Z all A, X all B.\n/condition"
)


def crossfaded(a: Mapping[str, float], b: Mapping[str, float], stems: Sequence[str], x: float, curve: str) -> tuple[float, ...]:
    """Return the linear gain of each of `stems` at `x`, 0 (all `a`) to 1 (all `b`), along `curve`.

    linear: (1 - x) a + x b. equal power: sqrt((a cos t)^2 + (b sin t)^2) with t = x pi/2: a stem in both keeps its level,
    one that goes as another comes keeps the power of the sum. cut: a below the middle, b from there on. A stem that
    a mix does not name is silent in it. Raises ValueError for another curve.
    """
    if curve not in CURVES:
        raise ValueError(f"a curve is one of {', '.join(CURVES)}, not {curve!r}")
    gains = []
    for stem in stems:
        one, two = a.get(stem, 0.0), b.get(stem, 0.0)
        if curve == "linear":
            gains.append((1.0 - x) * one + x * two)
        elif curve == "cut":
            gains.append(one if x < 0.5 else two)
        else:
            turn = 0.5 * math.pi * x
            gains.append(math.hypot(one * math.cos(turn), two * math.sin(turn)))
    return tuple(gains)


class Crossfader(QtWidgets.QWidget):
    """A horizontal fader between two named ends: `moved(float)` fires with 0..1 for each move by hand.

    `ready` False draws it grey: an end has no mix yet, and it does not move; `empty()` fires where a hand tries to.
    """

    moved = QtCore.Signal(float)
    empty = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self.value = 0.0
        self.names = ("", "")
        self._held = False
        self._from = 0.0
        self._unit = 1.0
        self.setToolTip(HELP)
        self.setAccessibleName("crossfader")
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.ClickFocus)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Expanding)

    @property
    def ready(self) -> bool:
        """Whether both ends have a mix."""
        return all(self.names)

    def name(self, a: str, b: str) -> None:
        """Name the ends; an empty name is an end without a mix."""
        self.names = (a, b)
        self.update()

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def put(self, value: float) -> None:
        """Move to `value`, limited to 0..1, by hand."""
        if self.ready:
            self.value = min(1.0, max(0.0, value))
            self.update()
            self.moved.emit(self.value)
        elif not self._held:
            self.empty.emit()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == QtCore.Qt.MouseButton.LeftButton:
            self._held = True
            self._from = event.position().x()
            if not self.ready:
                self.empty.emit()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._held:
            x = event.position().x()
            self.put(self.value + (x - self._from) / max(1.0, self._slot().width()) * self._fineness(event))
            self._from = x

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        self._held = False

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self.put(0.0 if self.value >= 0.5 else 1.0)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        turn = event.angleDelta().y() or event.angleDelta().x()
        self.put(self.value + turn / 120.0 * STEP * self._fineness(event))

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        keys, step = QtCore.Qt.Key, STEP * self._fineness(event)
        targets = {keys.Key_Left: self.value - step, keys.Key_Right: self.value + step}
        if event.key() in targets:
            self.put(targets[event.key()])
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit, slot, height = self._unit, self._slot(), self.height()
        painter.setPen(QtGui.QPen(mixed(LINE, PANEL, 0.6), unit))
        painter.setBrush(PANEL)
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit), 8 * unit, 8 * unit)
        side = slot.left() - 28 * unit
        for index, (letter, colour) in enumerate((("A", A_COLOUR), ("B", B_COLOUR))):
            left = 8 * unit if index == 0 else self.width() - 8 * unit - side
            box = QtCore.QRectF(left, 0, side, height)
            lit = self.ready and (self.value < 1.0 if index == 0 else self.value > 0.0)
            where = QtCore.Qt.AlignmentFlag.AlignVCenter | (
                QtCore.Qt.AlignmentFlag.AlignLeft if index == 0 else QtCore.Qt.AlignmentFlag.AlignRight)
            painter.setPen(colour if lit else FAINT)
            painter.setFont(font(22 * unit, bold=True))
            painter.drawText(box, where, letter)
            inner = box.adjusted(24 * unit, 0, 0, 0) if index == 0 else box.adjusted(0, 0, -24 * unit, 0)
            words = self.names[index] or "empty"
            painter.setPen(TEXT if lit else DIM)
            painter.setFont(fitted_font(words, inner.width(), 17 * unit, bold=lit))
            painter.drawText(inner, where, painter.fontMetrics().elidedText(
                words, QtCore.Qt.TextElideMode.ElideRight, int(inner.width()) + 1))
        painter.setPen(QtGui.QPen(LINE, unit))
        painter.setBrush(WELL)
        painter.drawRoundedRect(slot, slot.height() / 2, slot.height() / 2)
        x = slot.left() + self.value * slot.width()
        cap = QtCore.QRectF(x - 10 * unit, 5 * unit, 20 * unit, height - 10 * unit)
        painter.setPen(QtGui.QPen(TEXT if self._held or self.hasFocus() else GROUND, 1.5 * unit))
        painter.setBrush(mixed(NEUTRAL, RAISED, 0.35) if self.ready else RAISED)
        painter.drawRoundedRect(cap, 4 * unit, 4 * unit)
        painter.fillRect(QtCore.QRectF(x - 1.5 * unit, cap.top() + 4 * unit, 3 * unit, cap.height() - 8 * unit),
                         mixed(B_COLOUR, A_COLOUR, self.value) if self.ready else FAINT)

    def _slot(self) -> QtCore.QRectF:
        side, unit = 0.31 * self.width(), self._unit
        return QtCore.QRectF(side, self.height() / 2 - 4 * unit, self.width() - 2 * side, 8 * unit)

    @staticmethod
    def _fineness(event: QtGui.QInputEvent) -> float:
        return FINE if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier else 1.0
