"""What covers the window for a moment: a veil, and a board to read from."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import GROUND, LINE, PANEL


class Overlay(QtWidgets.QWidget):
    """Covers its parent until it is hidden; a click hides it."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self._unit = 1.0
        self.hide()

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel, over the whole parent."""
        self._unit = unit
        self.setGeometry(self.parentWidget().rect())
        self.update()

    def toggle(self) -> None:
        """Show it, or hide it."""
        self.setVisible(self.isHidden())
        self.raise_()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        self.hide()

    def begin(self, board: QtCore.QRectF) -> QtGui.QPainter:
        """Return a painter that has drawn the veil, and on it the `board`."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        veil = QtGui.QColor(GROUND)
        veil.setAlpha(215)
        painter.fillRect(self.rect(), veil)
        unit = self._unit
        painter.setPen(QtGui.QPen(LINE, 2 * unit))
        painter.setBrush(PANEL)
        painter.drawRoundedRect(board, 12 * unit, 12 * unit)
        return painter
