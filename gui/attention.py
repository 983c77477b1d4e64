"""Attention: how much a stem, or the whole condition, takes of each latent source."""

from __future__ import annotations

import math

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import DIM, FAINT, LINE, PANEL, WELL, font, mixed


class Attention(QtWidgets.QWidget):
    """A row of bars, one for each latent source: its mean share over the layers and, paler, its largest.

    Hidden until shares have been heard. A `title` is written before them.
    """

    def __init__(self, whose: str, address: str, colour: QtGui.QColor, height: float, title: str = "") -> None:
        super().__init__()
        self.address = address
        self.shares: list[tuple[float, float]] = []
        self._whose = whose
        self._colour = colour
        self._height = height
        self._title = title
        self._layers = self._latents = 0
        self._lit = True
        self._unit = 1.0
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.hide()

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(self._height * unit))
        self.update()

    def expect(self, layers: int, latents: int) -> None:
        """Take it that shares come for `layers` of `latents` sources each."""
        self._layers, self._latents = layers, latents
        kinds = f"each of {latents} latent sources" + (
            f"; paler: the most in any of {layers} layers" if layers > 1 else ""
        )
        self.setToolTip(f"How much {self._whose} takes of {kinds}.\n{self.address}")

    def hear(self, shares: tuple) -> None:
        """Take shares 0..1, latent sources changing fastest; as many as were expected, or they are ignored."""
        if not shares or len(shares) != self._layers * self._latents or not all(map(math.isfinite, shares)):
            return
        columns = [[min(1.0, max(0.0, share)) for share in shares[i :: self._latents]] for i in range(self._latents)]
        now = [(sum(column) / len(column), max(column)) for column in columns]
        if now != self.shares:
            self.shares = now
            self.update()
        if self.isHidden():
            self.show()

    def light(self, lit: bool) -> None:
        """Draw in colour, or grey because it cannot be heard."""
        if lit != self._lit:
            self._lit = lit
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), PANEL)
        unit, left = self._unit, 0.0
        if self._title:
            painter.setFont(font(18 * unit))
            painter.setPen(DIM)
            left = painter.fontMetrics().horizontalAdvance(self._title) + 18 * unit
            box = QtCore.QRectF(8 * unit, 0, left, self.height())
            painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignVCenter, self._title)
        colour = self._colour if self._lit else FAINT
        gap = 3 * unit
        width = (self.width() - left + gap) / max(1, len(self.shares))
        for index, (mean, most) in enumerate(self.shares):
            well = QtCore.QRectF(left + index * width, 0, width - gap, self.height())
            painter.fillRect(well, WELL)
            for share, shade in ((most, mixed(colour, WELL, 0.45)), (mean, colour)):
                painter.fillRect(well.adjusted(0, (1.0 - share) * well.height(), 0, 0), shade)
            painter.fillRect(
                well.adjusted(0, well.height() - unit, 0, 0), LINE if mean * well.height() < unit else colour
            )
