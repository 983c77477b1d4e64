"""A spectrogram that runs through from right to left."""

from __future__ import annotations

import math

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import DIM, GROUND, TEXT, WELL, font, heat_table

SECONDS = 10.0
BANDS = 128
LOW_HZ, HIGH_HZ = 30.0, 20000.0
MARKS_HZ = ((100, "100"), (1000, "1k"), (10000, "10k"))
# A spectrum stands for at most this long; what is missing beyond it is drawn as missing.
REACH = 0.25
UNSEEN = (500, 192)


class Spectrogram(QtWidgets.QWidget):
    """The last ten seconds of spectra of 128 bytes (log-spaced bands, 30 Hz to 20 kHz, 0..255 for -90..0 dBFS).

    The picture is kept at screen resolution as a ring of columns: a new spectrum paints only its own
    columns, and a frame is two copies of memory. The horizontal axis is time, not spectra, so lost or
    dropped spectra do not bend it. With a `colour`, loudness runs from black through it to white.
    """

    def __init__(self, title: str, colour: QtGui.QColor | None = None) -> None:
        super().__init__()
        self._title = title
        self._colour = TEXT if colour is None else colour
        self._note = ""
        self._unit = 1.0
        self._table = heat_table(colour)
        # On a page that has not been seen, the past is kept at this size.
        self._ring = QtGui.QImage(*UNSEEN, QtGui.QImage.Format.Format_RGB32)
        self._ring.fill(WELL)
        self._head = 0
        self._fresh: bytes | None = None
        self._drawn_at: float | None = None
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def show_note(self, note: str) -> None:
        """Write `note` in the middle, where there is nothing to see."""
        if note != self._note:
            self._note = note
            self.update()

    def hear(self, bands: bytes) -> None:
        """Take a spectrum; only the newest before each tick is drawn. One of another length is ignored."""
        if len(bands) == BANDS:
            self._fresh = bytes(bands)

    def tick(self, now: float) -> None:
        """Draw what came since the last tick; `now` is in seconds."""
        if self._fresh is None or self._ring.isNull():
            return
        rate = self._ring.width() / SECONDS
        since = 1.0 / rate if self._drawn_at is None else now - self._drawn_at
        columns = int(since * rate)
        if columns < 1:
            return
        self._drawn_at = now - (since - columns / rate)
        columns = min(columns, self._ring.width())
        own = min(columns, max(1, int(REACH * rate)))
        self._paint_columns(None, columns - own)
        self._paint_columns(self._fresh, own)
        self._fresh = None
        self.update()

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(round(120 * self._unit), round(60 * self._unit))

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        self.sharpen()

    def sharpen(self) -> None:
        """Keep the picture at the resolution of the screen from now on."""
        size = (QtCore.QSizeF(self.size()) * self.devicePixelRatioF()).toSize()
        if size == self._ring.size():
            return
        grown = QtGui.QImage(size, QtGui.QImage.Format.Format_RGB32)
        grown.fill(WELL)
        if not self._ring.isNull() and not grown.isNull():
            painter = QtGui.QPainter(grown)
            self._paint_ring(painter, QtCore.QRectF(grown.rect()))
            painter.end()
        self._ring, self._head = grown, 0

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        self._paint_ring(painter, QtCore.QRectF(self.rect()))
        unit = self._unit
        painter.setFont(font(14 * unit))
        for hertz, label in MARKS_HZ:
            y = self.height() * (1.0 - math.log(hertz / LOW_HZ) / math.log(HIGH_HZ / LOW_HZ))
            painter.fillRect(QtCore.QRectF(0, y, 8 * unit, max(1.0, unit)), DIM)
            self._write(painter, QtCore.QPointF(12 * unit, y + 5 * unit), label, DIM)
        painter.setFont(font(20 * unit, bold=True))
        metrics = painter.fontMetrics()
        at = QtCore.QPointF(self.width() - metrics.horizontalAdvance(self._title) - 10 * unit, 24 * unit)
        self._write(painter, at, self._title, self._colour)
        if self._note:
            painter.setFont(font(16 * unit))
            painter.setPen(DIM)
            painter.drawText(self.rect(), QtCore.Qt.AlignmentFlag.AlignCenter, self._note)

    @staticmethod
    def _write(painter: QtGui.QPainter, at: QtCore.QPointF, text: str, colour: QtGui.QColor) -> None:
        painter.setPen(GROUND)
        painter.drawText(at + QtCore.QPointF(1.5, 1.5), text)
        painter.setPen(colour)
        painter.drawText(at, text)

    def _paint_columns(self, bands: bytes | None, columns: int) -> None:
        if columns < 1:
            return
        width, height = self._ring.width(), self._ring.height()
        painter = QtGui.QPainter(self._ring)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        pixels = b"" if bands is None else b"".join(self._table[value] for value in reversed(bands))
        strip = QtGui.QImage(pixels, 1, BANDS, 4, QtGui.QImage.Format.Format_RGB32) if bands is not None else None
        while columns > 0:
            part = min(columns, width - self._head)
            target = QtCore.QRectF(self._head, 0, part, height)
            if strip is None:
                painter.fillRect(target, WELL)
            else:
                painter.drawImage(target, strip, QtCore.QRectF(0, 0, 1, BANDS))
            self._head = (self._head + part) % width
            columns -= part
        painter.end()

    def _paint_ring(self, painter: QtGui.QPainter, target: QtCore.QRectF) -> None:
        width, height = self._ring.width(), self._ring.height()
        old = width - self._head
        split = target.left() + target.width() * old / max(1, width)
        left = QtCore.QRectF(target.left(), target.top(), split - target.left(), target.height())
        right = QtCore.QRectF(split, target.top(), target.right() - split, target.height())
        painter.drawImage(left, self._ring, QtCore.QRectF(self._head, 0, old, height))
        if self._head:
            painter.drawImage(right, self._ring, QtCore.QRectF(0, 0, self._head, height))
