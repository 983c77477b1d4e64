"""The deck at a glance, below the pages that are not its own."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.clocktext import clock_text
from gui.palette import DIM, GROUND, TEXT, font
from gui.playposition import PlayPosition
from gui.song import Song
from gui.waveform import WholeSong


class DeckStrip(QtWidgets.QWidget):
    """The whole song, to seek in, and the time that is left."""

    def __init__(self, song: Song, place: PlayPosition) -> None:
        super().__init__()
        self.whole = WholeSong(song, place)
        self.left = _TimeLeft(song, place)
        self._row = QtWidgets.QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self.whole, 1)
        self._row.addWidget(self.left)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self.setFixedHeight(round(48 * unit))
        self._row.setSpacing(round(8 * unit))
        self.whole.rescale(unit)
        self.left.rescale(unit)

    def tick(self) -> None:
        """Go on with the song."""
        if self.isVisible():
            self.whole.tick()
            self.left.tick()


class _TimeLeft(QtWidgets.QWidget):
    """Time left, large, and what has been played below it."""

    def __init__(self, song: Song, place: PlayPosition) -> None:
        super().__init__()
        self._song, self._place = song, place
        self._shown = ("", "")
        self._unit = 1.0
        self.setToolTip("Time left of the file on the deck, and time played.\n/deck/position, /deck/duration")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedWidth(round(112 * unit))

    def tick(self) -> None:
        """Redraw where another time is to be read."""
        now = self._place.now
        shown = ("", "") if self._song.empty else ("−" + clock_text(self._song.duration - now, 0), clock_text(now, 0))
        if shown != self._shown:
            self._shown = shown
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), GROUND)
        unit, right = self._unit, QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.setPen(TEXT)
        painter.setFont(font(26 * unit, bold=True))
        painter.drawText(QtCore.QRectF(0, 0, self.width(), 29 * unit), right, self._shown[0])
        painter.setPen(DIM)
        painter.setFont(font(17 * unit))
        painter.drawText(QtCore.QRectF(0, 28 * unit, self.width(), 20 * unit), right, self._shown[1])
