"""A hot cue's button."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui

from gui.button import Button
from gui.clocktext import clock_text
from gui.palette import CUE_COLOURS, DIM, FAINT, GROUND, INK, fitted_font, font, mixed


class CueButton(Button):
    """Hot cue `number`, 1 to 8: filled with its colour and its time where it is set, an outline where not.

    It acts when it is pressed. `set`, `jumped` and `cleared` fire for a press on an empty one, or with Shift; on one that
    is set; and with the right button.
    """

    set = QtCore.Signal(int)
    jumped = QtCore.Signal(int)
    cleared = QtCore.Signal(int)

    def __init__(self, number: int) -> None:
        super().__init__(str(number), CUE_COLOURS[number - 1])
        self.number = number
        self.at: float | None = None
        self.setAccessibleName(f"hot cue {number}")
        base = f"/deck/cue/{number}"
        self.setToolTip(
            f"Hot cue {number}: sets it to what is heard now, or jumps there where it is set. Shift sets it anew, the right "
            f"button clears it. Key Ctrl+{number}, or {number} on the number pad; with Shift, sets it anew.\n"
            f"{base}, {base}/set, {base}/clear")

    def hear(self, at: float | None) -> None:
        """Take where the cue is, in seconds; None where it is not set."""
        if at != self.at:
            self.at = at
            self.light(at is not None)
            self.update()

    def act(self, anew: bool = False) -> None:
        """Do what a press does, with Shift where `anew`."""
        (self.set if anew or self.at is None else self.jumped).emit(self.number)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        super().mousePressEvent(event)
        if event.button() == QtCore.Qt.MouseButton.LeftButton:
            self.act(bool(event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier))
        elif event.button() == QtCore.Qt.MouseButton.RightButton and self.at is not None:
            self.cleared.emit(self.number)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        unit = self._unit
        painter, frame = self._begin(mixed(self._colour, GROUND, 0.55), 0.7)
        centre = QtCore.Qt.AlignmentFlag.AlignCenter
        upper = QtCore.QRectF(frame.left(), frame.top() + 2 * unit, frame.width(), 0.56 * frame.height())
        lower = QtCore.QRectF(frame.left(), upper.bottom() - 2 * unit, frame.width(), frame.bottom() - upper.bottom())
        painter.setPen(INK if self.lit else self._colour)
        painter.setFont(font(24 * unit, bold=True))
        painter.drawText(upper, centre, str(self.number))
        words = "set" if self.at is None else clock_text(self.at)
        painter.setPen(INK if self.lit else DIM if self.isEnabled() else FAINT)
        painter.setFont(fitted_font(words, frame.width() - 8 * unit, 15 * unit, bold=self.lit))
        painter.drawText(lower, centre, words)
