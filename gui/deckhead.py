"""What is on the deck, how it stands and how long it goes on, to be read from across a stage."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.clocktext import clock_text
from gui.palette import CAUTION, DIM, GOOD, GROUND, INK, TEXT, WARNING, fitted_font, font
from gui.playposition import PlayPosition
from gui.song import Song

STATES = {
    "playing": ("▶ playing", GOOD), "paused": ("❚❚ paused", CAUTION), "ended": ("■ ended", DIM), "loading": ("… loading", CAUTION),
    "empty": ("empty", DIM),
}
EMPTY = "Drop a file here, or LOAD (Ctrl+O)"


class DeckHead(QtWidgets.QWidget):
    """Title and state, or why it failed, on the left; time played and time left on the right."""

    def __init__(self, song: Song, place: PlayPosition) -> None:
        super().__init__()
        self.state = "empty"
        self.setToolTip("What is on the deck; time played, and time left of the file.\n/deck/title, /deck/state, /deck/position, /deck/duration")
        self._song, self._place = song, place
        self._unit = 1.0
        self._drawn: tuple = ()
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(74 * unit))
        self.update()

    @property
    def title(self) -> str:
        """What stands as the title."""
        return self._song.title or (EMPTY if self.state == "empty" else "")

    @property
    def times(self) -> tuple[str, str]:
        """Time played and time left, as they are shown."""
        if self._song.empty:
            return "–:––", ""
        now = self._place.now
        return clock_text(now), "−" + clock_text(self._song.duration - now)

    @property
    def line(self) -> tuple[str, QtGui.QColor, bool]:
        """What stands below the title, in which colour, and whether as a warning."""
        if self.state.startswith("failed"):
            return self.state, WARNING, True
        return *STATES.get(self.state, (self.state, DIM)), False

    def tick(self) -> None:
        """Redraw where something else is to be read."""
        shown = (self.title, self.times, self.line)
        if shown != self._drawn:
            self._drawn = shown
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), GROUND)
        unit, width = self._unit, self.width()
        left = QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter
        right = QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter
        elapsed, remaining = self.times
        painter.setPen(DIM if self._song.empty else TEXT)
        painter.setFont(font(50 * unit, bold=True))
        wide = painter.fontMetrics().horizontalAdvance("0" * 2 + elapsed[1:]) if elapsed[1:2] == ":" else painter.fontMetrics().horizontalAdvance(elapsed)
        painter.drawText(QtCore.QRectF(width - wide, -4 * unit, wide, 54 * unit), right, elapsed)
        painter.setPen(TEXT)
        painter.setFont(font(25 * unit, bold=True))
        painter.drawText(QtCore.QRectF(width - wide, 44 * unit, wide, 30 * unit), right, remaining)
        room = width - wide - 14 * unit
        painter.setPen(TEXT if self._song.title else DIM)
        painter.setFont(fitted_font(self.title, room, 28 * unit, bold=True, least=20 * unit))
        title = painter.fontMetrics().elidedText(self.title, QtCore.Qt.TextElideMode.ElideMiddle, int(room))
        painter.drawText(QtCore.QRectF(0, 0, room, 38 * unit), left, title)
        words, colour, warns = self.line
        box = QtCore.QRectF(0, 38 * unit, room, 36 * unit)
        if warns:
            painter.setPen(QtCore.Qt.PenStyle.NoPen)
            painter.setBrush(colour)
            painter.drawRoundedRect(box, 5 * unit, 5 * unit)
            box.adjust(8 * unit, 0, -8 * unit, 0)
        painter.setPen(INK if warns else colour)
        painter.setFont(fitted_font(words, box.width(), 22 * unit, bold=warns, least=18 * unit))
        if painter.fontMetrics().horizontalAdvance(words) > box.width():
            # A long sentence is read in two lines rather than half.
            painter.setFont(fitted_font(words, 1.85 * box.width(), 15 * unit, least=8 * unit))
        painter.drawText(box, left | QtCore.Qt.TextFlag.TextWordWrap, words)
