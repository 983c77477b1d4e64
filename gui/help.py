"""The overlay that lists the keys."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.keys import HELP
from gui.overlay import Overlay
from gui.palette import DIM, NEUTRAL, TEXT, fitted_font, font

LONGEST = 16


class Help(Overlay):
    """Covers its parent with the table of keys until it is hidden; a click hides it."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[tuple[str, str], ...] = HELP

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        unit = self._unit
        # Two columns where one would be too small to read.
        columns = 1 if len(self.rows) <= LONGEST else 2
        each = -(-len(self.rows) // columns)
        line = min(40 * unit, (self.height() - 16 * unit) / (each + 1.9))
        size = QtCore.QSizeF((960 if columns == 1 else 1250) * unit, (each + 1.9) * line)
        board = QtCore.QRectF(QtCore.QPointF((self.width() - size.width()) / 2, (self.height() - size.height()) / 2), size)
        painter = self.begin(board)
        vertical = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.setPen(TEXT)
        painter.setFont(font(26 * unit, bold=True))
        head = QtCore.QRectF(board.left() + 32 * unit, board.top() + 0.25 * line, board.width(), line)
        painter.drawText(head, vertical, "Keys")
        painter.setPen(DIM)
        painter.setFont(font(16 * unit))
        painter.drawText(head.adjusted(90 * unit, 0, 0, 0), vertical, "tooltips say each control's OSC address")
        wide, first = (board.width() - 44 * unit) / columns, (300 if columns == 1 else 196) * unit
        size_of = min(22 * unit, 0.6 * line)
        for number, (keys, what) in enumerate(self.rows):
            left, top = board.left() + 32 * unit + number // each * wide, board.top() + (1.4 + number % each) * line
            painter.setPen(NEUTRAL)
            painter.setFont(fitted_font(keys, first - 12 * unit, size_of, bold=True))
            painter.drawText(QtCore.QRectF(left, top, first, line), vertical, keys)
            painter.setPen(TEXT)
            painter.setFont(fitted_font(what, wide - first - 20 * unit, size_of))
            painter.drawText(QtCore.QRectF(left + first, top, wide - first, line), vertical, what)
