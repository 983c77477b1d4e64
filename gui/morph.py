"""The morph pad: a dot between instruments that moves the condition continuously."""

from __future__ import annotations

import math

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.echo import Echo
from gui.palette import DIM, FAINT, GROUND, INK, LINE, PANEL, TEXT, WELL, fitted_font, font, mixed
from gui.polygon import CENTRE, corners_for, gains_at, inside, point_of, shares_at
from gui.trace import Trace

HELP = (
    "Drag the dot between the instruments: a corner is that one alone, the centre all of them, between them a blend "
    "(double click). Arrow keys move it, Shift finely, Home to the centre. Clears mute and solo.\n"
    "A hollow dot: the mix is none of the pad's, and this the nearest.\n/condition"
)
STEP, FINE = 0.05, 0.2
# Gains further than this from those of the nearest point are shown as not on the pad.
NEAR = 0.03
GRAIN = 40


class MorphPad(QtWidgets.QWidget):
    """A pad with a stem at each corner of a square, or on a circle where there are not four.

    `moved(gains)` fires with linear gains, 0..1 and the largest 1, for each move by hand; gui.polygon has the law. What
    else moves the condition is told by `hear`: the dot follows, hollow where the gains are not any point's.
    """

    moved = QtCore.Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.stems: tuple[str, ...] = ()
        self.gains: tuple[float, ...] = ()
        self.exact = True
        self._told: tuple[float, ...] = ()
        self._colours: list[QtGui.QColor] = []
        self._corners = corners_for(1)
        self._axes = (Echo(0.5), Echo(0.5))
        self._ground = QtGui.QImage()
        self.trace = Trace()
        self._unit = 1.0
        self.setToolTip(HELP)
        self.setAccessibleName("morph pad")
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.ClickFocus)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)

    @property
    def point(self) -> tuple[float, float]:
        """Where the dot is, in 0..1 from the left and from the top."""
        return self._axes[0].value, self._axes[1].value

    def expect(self, stems: tuple[str, ...], colours: list[QtGui.QColor]) -> None:
        """Stand for `stems` in their `colours`, clockwise from the upper left or the top."""
        self.stems, self._colours = stems, colours
        self._corners = corners_for(len(stems))
        self.gains = self._told = (1.0,) * len(stems)
        self.exact = True
        self._axes = (Echo(0.5), Echo(0.5))
        self._ground = _blend(self._corners, colours)
        self.update()

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def hear(self, gains: tuple) -> None:
        """Take the host's condition: a linear gain per stem. Ignored while the dot is held, or where it does not fit."""
        if len(gains) != len(self.stems) or not gains or not all(math.isfinite(gain) for gain in gains):
            return
        gains = self._told = tuple(min(1.0, max(0.0, float(gain))) for gain in gains)
        point = point_of(gains, self._corners)
        for echo, value in zip(self._axes, self.point if point is None else point, strict=True):
            echo.hear(value)
        if all(echo.following for echo in self._axes):
            self._show(gains)

    def tick(self) -> None:
        """Go to the host's condition if it did not confirm in time."""
        if any([echo.tick() for echo in self._axes]):
            self._show(self._told)
        if self.trace.kind:
            self.trace.add(self.point)
            self.update()

    def put(self, point: tuple[float, float]) -> None:
        """Move the dot by hand, to the nearest place on the pad, in one go."""
        for echo in self._axes:
            echo.grab()
        self._move(point)
        self._release()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() == QtCore.Qt.MouseButton.LeftButton and self.stems:
            for echo in self._axes:
                echo.grab()
            self._move(self._point_at(event.position()))

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._axes[0].held:
            self._move(self._point_at(event.position()))

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._axes[0].held and event.button() == QtCore.Qt.MouseButton.LeftButton:
            self._release()

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        if self.stems:
            self.put(CENTRE)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        keys = QtCore.Qt.Key
        step = STEP * (FINE if event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier else 1.0)
        ways = {keys.Key_Left: (-step, 0.0), keys.Key_Right: (step, 0.0), keys.Key_Up: (0.0, -step), keys.Key_Down: (0.0, step)}
        if event.key() in ways and self.stems:
            (x, y), (dx, dy) = self.point, ways[event.key()]
            self.put((x + dx, y + dy))
        elif event.key() == keys.Key_Home and self.stems:
            self.put(CENTRE)
        else:
            super().keyPressEvent(event)

    def spot(self, point: tuple[float, float]) -> QtCore.QPointF:
        """Return where `point`, in 0..1, is drawn."""
        field = self._field()
        return QtCore.QPointF(field.left() + point[0] * field.width(), field.top() + point[1] * field.height())

    def minimumSizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(round(200 * self._unit), round(200 * self._unit))

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), GROUND)
        if not self.stems:
            return
        self._paint_field(painter)
        for index in range(len(self.stems)):
            self._paint_plate(painter, index)
        self.trace.paint(painter, self.spot, self._unit)
        self._paint_dot(painter)

    def _field(self) -> QtCore.QRectF:
        unit = self._unit
        return QtCore.QRectF(self.rect()).adjusted(20 * unit, 54 * unit, -20 * unit, -54 * unit)

    def _point_at(self, position: QtCore.QPointF) -> tuple[float, float]:
        field = self._field()
        return (position.x() - field.left()) / max(1.0, field.width()), (position.y() - field.top()) / max(1.0, field.height())

    def _move(self, point: tuple[float, float]) -> None:
        for echo, value in zip(self._axes, inside(point, self._corners), strict=True):
            echo.move(value)
        gains = gains_at(self.point, self._corners)
        self._show(gains)
        self.moved.emit(gains)

    def _release(self) -> None:
        for echo in self._axes:
            echo.release()
        self.update()

    def _show(self, gains: tuple[float, ...]) -> None:
        # The ratios make the point; a quieter blend is the same point.
        largest = max(gains)
        own = gains_at(self.point, self._corners)
        self.gains = gains
        self.exact = largest > 0.0 and all(abs(g / largest - o) < NEAR for g, o in zip(gains, own, strict=True))
        self.update()

    def _paint_field(self, painter: QtGui.QPainter) -> None:
        unit, field = self._unit, self._field()
        shape = QtGui.QPainterPath()
        if len(self._corners) > 2:
            shape.addPolygon(QtGui.QPolygonF([self.spot(corner) for corner in self._corners]))
            shape.closeSubpath()
        else:
            middle = field.center().y()
            shape.addRoundedRect(QtCore.QRectF(field.left(), middle - 30 * unit, field.width(), 60 * unit), 8 * unit, 8 * unit)
        painter.fillPath(shape, WELL)
        painter.save()
        painter.setClipPath(shape)
        painter.drawImage(field, self._ground)
        painter.restore()
        painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        painter.setPen(QtGui.QPen(LINE, 1.5 * unit))
        painter.drawPath(shape)
        centre = self.spot(CENTRE)
        painter.setPen(QtGui.QPen(FAINT, 1.5 * unit))
        for dx, dy in ((7 * unit, 0.0), (0.0, 7 * unit)):
            painter.drawLine(centre - QtCore.QPointF(dx, dy), centre + QtCore.QPointF(dx, dy))

    def _paint_plate(self, painter: QtGui.QPainter, index: int) -> None:
        unit, gain, colour = self._unit, self.gains[index], self._colours[index]
        at = self.spot(self._corners[index])
        width = min(150 * unit, self.width() / 2 - 4 * unit)
        above = self._corners[index][1] <= 0.5
        top = at.y() - (48 if above else -14) * unit
        left = min(max(0.0, at.x() - width / 2), self.width() - width)
        plate = QtCore.QRectF(left, top, width, 34 * unit)
        heard = gain > 0.005
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(mixed(colour, PANEL, 0.16))
        painter.drawRoundedRect(plate, 6 * unit, 6 * unit)
        # The plate is filled as far as the stem is heard.
        painter.save()
        painter.setClipRect(QtCore.QRectF(plate.left(), plate.top(), plate.width() * gain, plate.height()))
        painter.setBrush(mixed(colour, PANEL, 0.55))
        painter.drawRoundedRect(plate, 6 * unit, 6 * unit)
        painter.restore()
        share = f"{100 * gain:.0f}"
        inner = plate.adjusted(9 * unit, 0, -9 * unit, 0)
        painter.setPen(TEXT if heard else DIM)
        painter.setFont(font(20 * unit, bold=True))
        room = painter.fontMetrics().horizontalAdvance("100") + 8 * unit
        painter.drawText(inner, QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignVCenter, share)
        painter.setFont(fitted_font(self.stems[index], inner.width() - room, 22 * unit, bold=True))
        painter.drawText(inner, QtCore.Qt.AlignmentFlag.AlignLeft | QtCore.Qt.AlignmentFlag.AlignVCenter, self.stems[index])

    def _paint_dot(self, painter: QtGui.QPainter) -> None:
        unit, at = self._unit, self.spot(self.point)
        for gain, corner, colour in zip(self.gains, self._corners, self._colours, strict=True):
            if gain > 0.005:
                painter.setPen(QtGui.QPen(colour, (1.0 + 5.0 * gain) * unit))
                painter.drawLine(at, self.spot(corner))
        focused = self._axes[0].held or self.hasFocus()
        size = (19 if focused else 16) * unit
        painter.setPen(QtGui.QPen(INK, 9 * unit))
        painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
        painter.drawEllipse(at, size, size)
        painter.setPen(QtGui.QPen(TEXT, 5 * unit))
        painter.setBrush(TEXT if self.exact else INK)
        painter.drawEllipse(at, size, size)


def _blend(corners: tuple[tuple[float, float], ...], colours: list[QtGui.QColor]) -> QtGui.QImage:
    """Return a small picture of the pad, each place in the mixed colours of what is heard there."""
    picture = QtGui.QImage(GRAIN, GRAIN, QtGui.QImage.Format.Format_RGB32)
    parts = [colour.getRgb()[:3] for colour in colours]
    for y in range(GRAIN):
        for x in range(GRAIN):
            point = inside((x / (GRAIN - 1), y / (GRAIN - 1)), corners)
            shares = shares_at(point, corners)
            mean = [sum(share * part[i] for share, part in zip(shares, parts, strict=True)) for i in range(3)]
            picture.setPixel(x, y, mixed(QtGui.QColor(*map(round, mean)), WELL, 0.42).rgb())
    return picture
