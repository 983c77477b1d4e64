"""Waveforms of the file on the deck: the whole song, and what is near the play head."""

from __future__ import annotations

from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.clocktext import clock_text
from gui.palette import CUE_COLOURS, DIM, GOOD, GROUND, INK, LINE, RAISED, TEXT, WELL, fitted_font, font
from gui.playposition import PlayPosition
from gui.song import Song, loop_of

SPAN, SHORTEST_SPAN, LONGEST_SPAN = 12.0, 2.0, 120.0
ZOOM = 1.25
# Columns of a piece of the near view, which is drawn once and then moved.
PIECE = 256
# A loop that is drawn by hand is at least so long, in design pixels.
LEAST_DRAG = 5.0
STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600)


class Waveform(QtWidgets.QWidget):
    """A picture of `song` with its cues, loop and the play head of `place`; the seconds that it shows are `span`.

    `sought(float, bool)` fires with seconds while a hand moves the play head, True where it lets go; `looped(start, end)`
    with a loop that a hand draws (with Shift) or whose end it moves; `cued(int)` when a cue's flag is clicked, from 1.
    What comes quicker than `tick` is left out, but for the last.
    """

    sought = QtCore.Signal(float, bool)
    looped = QtCore.Signal(float, float)
    cued = QtCore.Signal(int)

    def __init__(self, song: Song, place: PlayPosition) -> None:
        super().__init__()
        self.song, self.place = song, place
        self.drawn: tuple[float, float] | None = None
        self._unit = 1.0
        self._grab: Callable[[QtCore.QPointF], None] | None = None
        self._pressed = QtCore.QPointF()
        self._moved = False
        self._fresh: float | None = None
        self._fresh_loop = False
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Expanding)
        self.setMouseTracking(True)

    @property
    def span(self) -> tuple[float, float]:
        """The seconds at the left and at the right edge."""
        raise NotImplementedError

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def x_of(self, seconds: float) -> float:
        """Return where `seconds` are drawn."""
        start, end = self.span
        return (seconds - start) / max(1e-9, end - start) * self.width()

    def seconds_at(self, x: float) -> float:
        """Return the seconds that are drawn at `x`, limited to the file."""
        start, end = self.span
        return min(max(0.0, start + x / max(1, self.width()) * (end - start)), self.song.duration)

    def tick(self) -> None:
        """Say what a hand did since the last tick."""
        if self._fresh is not None:
            self.sought.emit(self._fresh, False)
            self._fresh = None
        if self._fresh_loop and self.drawn is not None:
            self._fresh_loop = False
            self.looped.emit(*self.drawn)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.button() != QtCore.Qt.MouseButton.LeftButton or self.song.empty:
            return
        at = event.position()
        self._pressed, self._moved = at, False
        if (cue := self._flag_at(at)) is not None:
            self.cued.emit(cue)
        elif (edge := self._edge_at(at)) is not None:
            fixed = self.song.loop[1 - edge]
            self._grab = lambda point: self._draw_loop(fixed, self.seconds_at(point.x()))
        elif event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier:
            fixed = self.seconds_at(at.x())
            self._grab = lambda point: self._draw_loop(fixed, self.seconds_at(point.x()))
        else:
            self._take_hold(at)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        at = event.position()
        if self._grab is None:
            self._show_cursor(at, event.modifiers())
            return
        self._moved = self._moved or abs(at.x() - self._pressed.x()) >= LEAST_DRAG * self._unit
        if self._moved:
            self._grab(at)

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._grab is None or event.button() != QtCore.Qt.MouseButton.LeftButton:
            return
        self._grab = None
        if self.drawn is not None:
            self.looped.emit(*self.drawn)
        self._fresh_loop, self.drawn = False, None
        if self.place.held:
            self._let_go(event.position())
            self._fresh = None
        self.update()

    def _take_hold(self, at: QtCore.QPointF) -> None:
        raise NotImplementedError

    def _let_go(self, at: QtCore.QPointF) -> None:
        self.place.put(self.place.now)
        self.sought.emit(self.place.now, True)

    def _seek(self, seconds: float) -> None:
        self.place.put(seconds, held=True)
        self._fresh = self.place.now
        self.update()

    def _draw_loop(self, fixed: float, seconds: float) -> None:
        start, end = sorted((fixed, seconds))
        if self.x_of(end) - self.x_of(start) >= LEAST_DRAG * self._unit:
            self.drawn, self._fresh_loop = (start, end), True
            self.update()

    def _edge_at(self, at: QtCore.QPointF) -> int | None:
        loop = loop_of(*self.song.loop)
        if loop is None or at.y() < self.height() - self._handle() - 4 * self._unit:
            return None
        distances = [abs(at.x() - self.x_of(edge)) for edge in loop]
        nearest = distances.index(min(distances))
        return nearest if distances[nearest] <= 12 * self._unit else None

    def _flag_at(self, at: QtCore.QPointF) -> int | None:
        for number, seconds in reversed(list(enumerate(self.song.cues, 1))):
            if seconds is not None and self._flag(seconds).contains(at):
                return number
        return None

    def _flag(self, seconds: float) -> QtCore.QRectF:
        size = self._flag_size()
        x = self.x_of(seconds)
        # At the end of the file it hangs to the left, so as to be read.
        left = x - size if x + size > self.width() and x <= self.width() else x
        return QtCore.QRectF(left, 0, size, size)

    def _flag_size(self) -> float:
        return 19 * self._unit

    def _handle(self) -> float:
        return min(16 * self._unit, self.height() / 5)

    def _show_cursor(self, at: QtCore.QPointF, modifiers: QtCore.Qt.KeyboardModifier) -> None:
        shapes = QtCore.Qt.CursorShape
        if self.song.empty:
            shape = shapes.ArrowCursor
        elif self._flag_at(at) is not None:
            shape = shapes.PointingHandCursor
        elif self._edge_at(at) is not None:
            shape = shapes.SizeHorCursor
        elif modifiers & QtCore.Qt.KeyboardModifier.ShiftModifier:
            shape = shapes.CrossCursor
        else:
            shape = self._idle_cursor()
        self.setCursor(shape)

    def _idle_cursor(self) -> QtCore.Qt.CursorShape:
        return QtCore.Qt.CursorShape.PointingHandCursor

    # Drawing.

    def _paint_marks(self, painter: QtGui.QPainter) -> None:
        """Draw loop, cues, times and play head over the picture."""
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        loop, on = self.drawn or loop_of(*self.song.loop), self.song.looping or self.drawn is not None
        if loop is not None:
            self._paint_ground(painter, loop, on)
        self._paint_cues(painter)
        self._paint_scale(painter)
        if loop is not None:
            self._paint_loop(painter, loop, on)
        elif self.song.loop[0] > 0.0:
            # A start that has no end yet.
            self._paint_edge(painter, self.x_of(self.song.loop[0]), 1, DIM)
        self._paint_head(painter)

    def _paint_cues(self, painter: QtGui.QPainter) -> None:
        unit, height = self._unit, self.height()
        for number, (seconds, colour) in enumerate(zip(self.song.cues, CUE_COLOURS, strict=True), 1):
            if seconds is None or not -self._flag_size() <= (x := self.x_of(seconds)) <= self.width() + 1:
                continue
            painter.fillRect(QtCore.QRectF(x - 2.5 * unit, 0, 5 * unit, height), INK)
            painter.fillRect(QtCore.QRectF(x - 1.5 * unit, 0, 3 * unit, height), colour)
            flag = self._flag(seconds)
            painter.fillRect(flag.adjusted(-unit, 0, unit, unit), INK)
            painter.fillRect(flag, colour)
            painter.setPen(INK)
            painter.setFont(font(0.84 * flag.height(), bold=True))
            painter.drawText(flag, QtCore.Qt.AlignmentFlag.AlignCenter, str(number))

    def _paint_head(self, painter: QtGui.QPainter) -> None:
        unit, height = self._unit, self.height()
        x = self.x_of(self.place.now)
        painter.fillRect(QtCore.QRectF(x - 2.5 * unit, 0, 5 * unit, height), INK)
        painter.fillRect(QtCore.QRectF(x - 1.25 * unit, 0, 2.5 * unit, height), TEXT)
        painter.setPen(QtGui.QPen(INK, unit))
        painter.setBrush(TEXT)
        size = 7 * unit
        for y, way in ((0.0, 1), (float(height), -1)):
            tip = [QtCore.QPointF(x - size, y), QtCore.QPointF(x + size, y), QtCore.QPointF(x, y + way * 1.3 * size)]
            painter.drawPolygon(QtGui.QPolygonF(tip))

    def _paint_ground(self, painter: QtGui.QPainter, loop: tuple[float, float], on: bool) -> None:
        left, right = (self.x_of(edge) for edge in loop)
        colour = QtGui.QColor(TEXT)
        colour.setAlpha(38 if on else 16)
        painter.fillRect(QtCore.QRectF(left, 0, right - left, self.height()), colour)

    def _paint_loop(self, painter: QtGui.QPainter, loop: tuple[float, float], on: bool) -> None:
        unit, height = self._unit, self.height()
        left, right = (self.x_of(edge) for edge in loop)
        colour = TEXT if on else DIM
        if on:
            for y in (0.0, height - 3 * unit):
                painter.fillRect(QtCore.QRectF(left, y, right - left, 3 * unit), colour)
        for x, way in ((left, 1), (right, -1)):
            self._paint_edge(painter, x, way, colour)
        words = f"LOOP {loop[1] - loop[0]:.2f} s" if on else f"loop {loop[1] - loop[0]:.2f} s off"
        painter.setFont(font(14 * unit, bold=True))
        wide = painter.fontMetrics().horizontalAdvance(words) + 12 * unit
        # At its right end, away from the play head.
        x = min(right, self.width()) - wide - 20 * unit
        if x >= max(left, 0.0) + 20 * unit:
            box = QtCore.QRectF(x, height - 23 * unit, wide, 18 * unit)
            painter.setPen(QtCore.Qt.PenStyle.NoPen)
            painter.setBrush(INK)
            painter.drawRoundedRect(box, 3 * unit, 3 * unit)
            painter.setPen(colour)
            painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignCenter, words)

    def _paint_edge(self, painter: QtGui.QPainter, x: float, way: int, colour: QtGui.QColor) -> None:
        unit, height, size = self._unit, self.height(), self._handle()
        painter.fillRect(QtCore.QRectF(x - 1.5 * unit, 0, 3 * unit, height), INK)
        painter.fillRect(QtCore.QRectF(x - unit, 0, 2 * unit, height), colour)
        painter.setPen(QtGui.QPen(INK, unit))
        painter.setBrush(colour)
        painter.drawPolygon(QtGui.QPolygonF([
            QtCore.QPointF(x, height - size), QtCore.QPointF(x + way * size, height), QtCore.QPointF(x, height)]))

    def _paint_scale(self, painter: QtGui.QPainter) -> None:
        """Draw times at round places."""
        unit, (start, end) = self._unit, self.span
        least = (end - start) / max(1, self.width()) * 92 * unit
        step = next((each for each in STEPS if each >= least), STEPS[-1])
        painter.setFont(font(13 * unit))
        base, wide = self.height() - 4 * unit, painter.fontMetrics().horizontalAdvance("0:00") / 4
        veil = QtGui.QColor(GROUND)
        veil.setAlpha(150)
        at = step * int(max(0.0, start) / step)
        while at <= min(end, self.song.duration):
            x = self.x_of(at)
            painter.fillRect(QtCore.QRectF(x, self.height() - 7 * unit, max(1.0, unit), 7 * unit), DIM)
            text = clock_text(at, 1 if step < 1 else 0)
            painter.fillRect(QtCore.QRectF(x + 2 * unit, self.height() - 16 * unit, wide * len(text) + 4 * unit, 16 * unit), veil)
            painter.setPen(TEXT)
            painter.drawText(QtCore.QPointF(x + 4 * unit, base), text)
            at += step


class WholeSong(Waveform):
    """The song from start to end: a click or drag moves the play head."""

    def __init__(self, song: Song, place: PlayPosition) -> None:
        super().__init__(song, place)
        self._picture = QtGui.QImage()
        self._key: tuple = ()
        self._shown = -1.0

    @property
    def span(self) -> tuple[float, float]:
        return 0.0, max(1e-3, self.song.duration)

    def tick(self) -> None:
        """Say what a hand did, and move the play head where it has moved by a pixel."""
        super().tick()
        x = round(self.x_of(self.place.now) * self.devicePixelRatioF())
        if (x, self.song.version) != self._shown:
            self._shown = (x, self.song.version)
            self.update()

    def _take_hold(self, at: QtCore.QPointF) -> None:
        self._grab = lambda point: self._seek(self.seconds_at(point.x()))
        self._seek(self.seconds_at(at.x()))
        self.tick()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        if self.song.empty:
            painter.fillRect(self.rect(), WELL)
            return
        size = (QtCore.QSizeF(self.size()) * self.devicePixelRatioF()).toSize()
        key = (size, self.song.version)
        if key != self._key:
            self._key, self._picture = key, self.song.picture(*self.span, max(1, size.width()), max(1, size.height()))
        painter.drawImage(QtCore.QRectF(self.rect()), self._picture)
        veil = QtGui.QColor(GROUND)
        veil.setAlpha(120)
        painter.fillRect(QtCore.QRectF(0, 0, self.x_of(self.place.now), self.height()), veil)
        self._paint_marks(painter)


class NearPart(Waveform):
    """What is near the play head, which stands in the middle: dragging pulls the song past it, a click goes there.

    The wheel shows more of the song or less.
    """

    def __init__(self, song: Song, place: PlayPosition) -> None:
        super().__init__(song, place)
        self.seconds = SPAN
        self._pieces: dict[int, QtGui.QImage] = {}
        self._key: tuple = ()
        self._held_at = 0.0
        self._shown: tuple = ()

    @property
    def span(self) -> tuple[float, float]:
        now = self.place.now
        return now - self.seconds / 2, now + self.seconds / 2

    def zoom(self, factor: float) -> None:
        """Show `factor` times as many seconds."""
        self.seconds = min(LONGEST_SPAN, max(SHORTEST_SPAN, self.seconds * factor))
        self.update()

    def tick(self) -> None:
        """Say what a hand did, and go on with the song."""
        super().tick()
        shown = (self.place.now, self.song.version)
        if shown != self._shown:
            self._shown = shown
            self.update()

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        turn = event.angleDelta().y() or event.angleDelta().x()
        self.zoom(ZOOM ** (-turn / 120.0))

    def _take_hold(self, at: QtCore.QPointF) -> None:
        self._held_at = self.place.now
        each = self.seconds / max(1, self.width())
        self.place.put(self._held_at, held=True)
        self._grab = lambda point: self._seek(self._held_at - (point.x() - self._pressed.x()) * each)

    def _let_go(self, at: QtCore.QPointF) -> None:
        if not self._moved:
            self.place.put(self.seconds_at(at.x()))
        super()._let_go(at)

    def _idle_cursor(self) -> QtCore.Qt.CursorShape:
        return QtCore.Qt.CursorShape.OpenHandCursor

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), WELL)
        if self.song.empty:
            return
        self._paint_pieces(painter)
        # The centre line, where a silent stretch shows nothing else.
        painter.fillRect(QtCore.QRectF(0, self.height() / 2, self.width(), max(1.0, self._unit)), LINE)
        self._paint_marks(painter)

    def _paint_pieces(self, painter: QtGui.QPainter) -> None:
        ratio = self.devicePixelRatioF()
        height, width = round(self.height() * ratio), self.width() * ratio
        key = (height, width, self.seconds, self.song.version)
        each = self.seconds / max(1.0, width)
        left = round(self.span[0] / each)
        if key != self._key:
            self._key, self._pieces = key, {}
        first, last = left // PIECE, int(left + width) // PIECE
        for index in range(first, last + 1):
            if index not in self._pieces:
                self._pieces[index] = self.song.picture(index * PIECE * each, (index + 1) * PIECE * each, PIECE, max(1, height))
            at = QtCore.QRectF((index * PIECE - left) / ratio, 0, PIECE / ratio, self.height())
            painter.drawImage(at, self._pieces[index])
        if len(self._pieces) > 3 * (last - first + 1):
            self._pieces = {index: piece for index, piece in self._pieces.items() if first <= index <= last}


class ReadyBar(QtWidgets.QWidget):
    """A bar along the song: how far the background pass has come, 0..1, and in `text` what is to be said of it."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = 0.0
        self.text = ""
        self._unit = 1.0
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(22 * unit))
        self.update()

    def show_ready(self, ready: float, text: str) -> None:
        """Show how much is ready, and say `text`."""
        ready = min(1.0, max(0.0, ready))
        if (ready, text) != (self.ready, self.text):
            self.ready, self.text = ready, text
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        unit, box = self._unit, QtCore.QRectF(self.rect())
        done = QtCore.QRectF(0, 0, self.ready * self.width(), self.height())
        painter.setFont(fitted_font(self.text, box.width() - 16 * unit, 16 * unit, least=11 * unit))
        for part, ground, ink in ((box, RAISED, TEXT), (done, GOOD, INK)):
            painter.setClipRect(part)
            painter.fillRect(part, ground)
            painter.setPen(ink)
            painter.drawText(box.adjusted(8 * unit, 0, -8 * unit, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self.text)
