"""The load of the last minute, and when something was missed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import CAUTION, DIM, GOOD, LINE, TEXT, WARNING, WELL, font

SPAN = 60.0
SLOT = 0.5
TOP = 1.0
BUSY, TOO_BUSY = 0.5, 0.8


class History(QtWidgets.QWidget):
    """A strip of the last minute: a bar for each half second of load, a full red one where hops were missed.

    `clock` gives seconds. Time without telemetry stays empty.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        # Of each half second: its number, the largest load, and how much was missed in it.
        self.slots: deque[tuple[int, float, int]] = deque(maxlen=round(SPAN / SLOT))
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._unit = 1.0
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setToolTip("Load of the last minute; red and full height: hops missed or blocks lost.\n"
                        "/telemetry/load, /telemetry/misses, /telemetry/xruns")

    @property
    def missed(self) -> int:
        """How many hops were missed and blocks lost in the last minute."""
        now = int(self._clock() / SLOT)
        return sum(missed for at, _, missed in self.slots if now - at < SPAN / SLOT)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def hear(self, address: str, value: float) -> None:
        """Take a load, or a count of misses or of lost blocks, which only counts where it grows."""
        if not math.isfinite(value):
            return
        if address == "/telemetry/load":
            self._add(value, 0)
        elif address in ("/telemetry/misses", "/telemetry/xruns"):
            before = self._counts.get(address, value)
            self._counts[address] = int(value)
            if value > before:
                self._add(0.0, int(value - before))

    def _add(self, load: float, missed: int) -> None:
        at = int(self._clock() / SLOT)
        if self.slots and self.slots[-1][0] == at:
            _, highest, sum_ = self.slots.pop()
            load, missed = max(load, highest), missed + sum_
        self.slots.append((at, load, missed))

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), WELL)
        unit, width, height = self._unit, self.width(), self.height()
        wide = width * SLOT / SPAN
        now = int(self._clock() / SLOT)
        for at, load, missed in self.slots:
            if not 0 <= now - at < SPAN / SLOT:
                continue
            tall = height if missed else max(unit, height * min(TOP, load) / TOP)
            colour = WARNING if missed or load >= TOO_BUSY else CAUTION if load >= BUSY else GOOD
            painter.fillRect(QtCore.QRectF(width - (now - at + 1) * wide, height - tall, max(1.0, wide - unit), tall), colour)
        painter.fillRect(QtCore.QRectF(0, height * (1 - TOO_BUSY / TOP), width, max(1.0, unit)), LINE)
        painter.setFont(font(13 * unit))
        words = f"60 s   {self.missed} missed" if self.missed else "load, 60 s"
        # Bars of full height would strike the words through.
        painter.fillRect(QtCore.QRectF(0, 0, painter.fontMetrics().horizontalAdvance(words) + 10 * unit, 17 * unit), WELL)
        painter.setPen(TEXT if self.missed else DIM)
        painter.drawText(QtCore.QRectF(5 * unit, 0, width, 17 * unit), QtCore.Qt.AlignmentFlag.AlignVCenter, words)
