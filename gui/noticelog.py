"""The overlay that lists what was said last."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.notices import Notices
from gui.overlay import Overlay
from gui.palette import CAUTION, DIM, TEXT, font

MOST = 14


class NoticeLog(Overlay):
    """Covers its parent with the last sentences of `notices`, the newest first, until it is hidden; a click hides it."""

    def __init__(self, parent: QtWidgets.QWidget, notices: Notices) -> None:
        super().__init__(parent)
        self._notices = notices

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        unit = self._unit
        board = QtCore.QRectF(60 * unit, 60 * unit, self.width() - 120 * unit, self.height() - 120 * unit)
        painter = self.begin(board)
        inner = board.adjusted(32 * unit, 14 * unit, -32 * unit, -14 * unit)
        painter.setPen(TEXT)
        painter.setFont(font(26 * unit, bold=True))
        painter.drawText(QtCore.QRectF(inner.left(), inner.top(), inner.width(), 44 * unit), QtCore.Qt.AlignmentFlag.AlignVCenter, "Said last")
        top = inner.top() + 52 * unit
        entries = list(self._notices.log)[-MOST:][::-1]
        if not entries:
            painter.setPen(DIM)
            painter.setFont(font(20 * unit))
            painter.drawText(QtCore.QRectF(inner.left(), top, inner.width(), 40 * unit), QtCore.Qt.AlignmentFlag.AlignVCenter,
                             "Nothing was said yet.")
        flags = QtCore.Qt.TextFlag.TextWordWrap | QtCore.Qt.AlignmentFlag.AlignTop
        for said in entries:
            moment, _, words = said.line.partition("  ")
            painter.setFont(font(18 * unit))
            room = QtCore.QRectF(inner.left() + 110 * unit, top, inner.width() - 110 * unit, inner.bottom() - top)
            tall = painter.boundingRect(room, flags, words).height()
            if top + tall > inner.bottom():
                break
            painter.setPen(DIM)
            painter.drawText(QtCore.QRectF(inner.left(), top, 104 * unit, tall), moment)
            painter.setPen(CAUTION if said.error else TEXT)
            painter.drawText(room, flags, words)
            top += tall + 8 * unit
