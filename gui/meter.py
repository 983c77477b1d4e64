"""A level meter: rms as a bar, peak above it, and the highest peak held for a while."""

from __future__ import annotations

import math

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import DIM, FAINT, LINE, PANEL, TEXT, WARNING, WELL, fitted_font, mixed

FLOOR_DB = -60.0
HOLD = 1.5
FALL_DB = 24.0
CLIP_HOLD = 3.0


def level(linear: float) -> float:
    """Return the height 0..1 on the meter of a `linear` amplitude: -60 dBFS or less is 0, 0 dBFS is 1."""
    if not math.isfinite(linear) or linear <= 0.0:
        return 0.0
    return min(1.0, max(0.0, 1.0 - 20.0 * math.log10(linear) / FLOOR_DB))


class Meter(QtWidgets.QWidget):
    """A vertical meter from -60 to 0 dBFS. `available` False hatches it: nothing is measured, which is not silence.

    A short `caption` stands below."""

    def __init__(self, colour: QtGui.QColor, caption: str = "") -> None:
        super().__init__()
        self.available = self.lit = True
        self.peak = self.rms = self.held = 0.0
        self._colour = colour
        self._caption = caption
        self._unit = 1.0
        self._held_at = self._clipped_at = -math.inf
        self._fresh = (0.0, 0.0)
        self._last = 0.0
        self._note = ""
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedWidth(round(22 * unit))
        self.update()

    def hide_level(self, note: str) -> None:
        """Show that there is nothing to measure; `note` is written on the meter. An empty note measures again."""
        self.available = not note
        self._note = note
        self.hear(0.0, 0.0)
        self.update()

    def light(self, lit: bool) -> None:
        """Draw in colour, or grey because it cannot be heard."""
        if lit != self.lit:
            self.lit = lit
            self.update()

    def hear(self, peak: float, rms: float) -> None:
        """Take a linear peak and rms."""
        self._fresh = (level(peak), level(rms))
        if peak >= 1.0:
            self._clipped_at = self._last

    def tick(self, now: float) -> None:
        """Move to the newest level; `now` is in seconds."""
        fall = FALL_DB / -FLOOR_DB * max(0.0, now - self._last)
        self._last = now
        before = (self.peak, self.rms, self.held)
        self.peak = max(self._fresh[0], self.peak - 1.5 * fall)
        self.rms = max(self._fresh[1], self.rms - 1.5 * fall)
        if self.peak >= self.held:
            self.held, self._held_at = self.peak, now
        elif now - self._held_at > HOLD:
            self.held = max(self.peak, self.held - fall)
        if before != (self.peak, self.rms, self.held) or 0.0 <= now - self._clipped_at - CLIP_HOLD < 0.2:
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), PANEL)
        unit = self._unit
        well = QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit)
        if self._caption:
            painter.setPen(DIM)
            painter.setFont(fitted_font(self._caption, well.width(), 12 * unit, bold=True, least=8 * unit))
            foot = QtCore.QRectF(0, self.height() - 15 * unit, self.width(), 15 * unit)
            painter.drawText(foot, QtCore.Qt.AlignmentFlag.AlignCenter, self._caption)
            well.setBottom(foot.top())
        painter.fillRect(well, WELL)
        if not self.available:
            self._paint_unavailable(painter, well)
            return
        cap = 6 * unit
        bar = well.adjusted(2 * unit, cap + 2 * unit, -2 * unit, -2 * unit)
        colour = self._colour if self.lit else FAINT
        self._fill(painter, bar, self.peak, mixed(colour, WELL, 0.45))
        self._fill(painter, bar, self.rms, colour)
        painter.setPen(QtGui.QPen(WELL, max(1.0, unit)))
        for db in (-6, -12, -18, -24, -36, -48):
            y = bar.bottom() - bar.height() * (1.0 - db / FLOOR_DB)
            painter.drawLine(QtCore.QPointF(bar.left(), y), QtCore.QPointF(bar.right(), y))
        if self.held > 0.0:
            y = bar.bottom() - bar.height() * self.held
            painter.fillRect(QtCore.QRectF(bar.left(), y, bar.width(), 2.5 * unit), TEXT)
        clipped = self._last - self._clipped_at < CLIP_HOLD
        painter.fillRect(QtCore.QRectF(bar.left(), well.top() + unit, bar.width(), cap - unit), WARNING if clipped else LINE)

    @staticmethod
    def _fill(painter: QtGui.QPainter, bar: QtCore.QRectF, height: float, colour: QtGui.QColor) -> None:
        top = bar.bottom() - bar.height() * height
        painter.fillRect(QtCore.QRectF(bar.left(), top, bar.width(), bar.bottom() - top), colour)

    def _paint_unavailable(self, painter: QtGui.QPainter, well: QtCore.QRectF) -> None:
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setClipRect(well)
        painter.setPen(QtGui.QPen(LINE, 1.5 * self._unit))
        step = 9 * self._unit
        y = well.top()
        while y < well.bottom() + well.width():
            painter.drawLine(QtCore.QPointF(well.left(), y), QtCore.QPointF(well.right(), y - well.width()))
            y += step
        painter.translate(well.center())
        painter.rotate(-90)
        words = fitted_font(self._note, well.height() - 8 * self._unit, 14 * self._unit)
        size = QtGui.QFontMetricsF(words).size(0, self._note)
        box = QtCore.QRectF(-size.width() / 2 - 5 * self._unit, -well.width() / 2, size.width() + 10 * self._unit, well.width())
        painter.fillRect(box, WELL)
        painter.setFont(words)
        painter.setPen(DIM if self.isEnabled() else FAINT)
        painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignCenter, self._note)
