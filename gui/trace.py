"""The way that a dot has gone, drawn behind it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtGui

from gui.palette import TEXT
from gui.recordpage import RED

MOST = 4000
# Points nearer than this, in 0..1, are one.
NEAR = 0.002
# How long the bright end lasts, in seconds.
BRIGHT = 1.2
# How much is seen of a gesture whose recording was not seen, in seconds.
SEEN = 12.0


class Trace:
    """Points of a recording or a playing gesture, `kind` "record" or "play"; none are taken while it is "".

    A gesture that was seen while it was recorded keeps its way while it is played; of any other, the last seconds are
    seen. `clock` gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.way: deque[tuple[float, float]] = deque(maxlen=MOST)
        self.recent: deque[tuple[float, tuple[float, float]]] = deque(maxlen=MOST)
        self.kind = ""
        self._clock = clock

    def follow(self, kind: str) -> None:
        """Begin or end; a new recording forgets the way before."""
        if kind == "record" and self.kind != "record":
            self.way.clear()
            self.recent.clear()
        self.kind = kind

    def forget(self) -> None:
        """Forget the way: another gesture is meant."""
        self.way.clear()
        self.recent.clear()

    def add(self, point: tuple[float, float]) -> None:
        """Take where the dot is now."""
        now = self._clock()
        while self.recent and now - self.recent[0][0] > SEEN:
            self.recent.popleft()
        if not self.kind:
            return
        if self.recent:
            _, last = self.recent[-1]
            if max(abs(point[0] - last[0]), abs(point[1] - last[1])) < NEAR:
                return
        self.recent.append((now, point))
        if self.kind == "record":
            self.way.append(point)

    def paint(self, painter: QtGui.QPainter, spot: Callable[[tuple[float, float]], QtCore.QPointF], unit: float) -> None:
        """Draw the way, its last second bright; nothing while there is no gesture."""
        if not self.kind:
            return
        now = self._clock()
        colour = RED if self.kind == "record" else TEXT
        painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        fresh = [point for at, point in self.recent if now - at < BRIGHT]
        whole = list(self.way) or [point for _, point in self.recent]
        for points, width, alpha in ((whole, 3.0, 100), (fresh, 4.5, 220)):
            if len(points) < 2:
                continue
            shade = QtGui.QColor(colour)
            shade.setAlpha(alpha)
            painter.setPen(QtGui.QPen(shade, width * unit, QtCore.Qt.PenStyle.SolidLine, QtCore.Qt.PenCapStyle.RoundCap,
                                      QtCore.Qt.PenJoinStyle.RoundJoin))
            painter.drawPolyline(QtGui.QPolygonF([spot(point) for point in points]))
