"""The status line: what the sound costs, in large type, and whether the host is there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.history import History
from gui.notices import Notices
from gui.palette import CAUTION, DIM, FAINT, GOOD, INK, LINE, PANEL, TEXT, WARNING, fitted_font, font

RISING = 5.0
LOG_SHOWN = 8
REFRESH = 0.25
BUSY, TOO_BUSY = 0.5, 0.8
LARGE, SMALL, LEAST = 31.0, 25.0, 20.0
HISTORY = 330.0
TWO_LINES = 15.5
SECOND = "/model, /mode, /run, /device, /device/state, /rate, /block, /notice, /error"


@dataclass(frozen=True)
class Word:
    """A piece of the line: `text`, large and bold or small, in a `colour`, on a filled ground where `alarm`."""

    text: str
    large: bool
    colour: QtGui.QColor
    alarm: bool = False

    def width(self, metrics: dict[bool, QtGui.QFontMetricsF]) -> float:
        """Return the width in pixels, of a ground's margins too."""
        return metrics[self.large].horizontalAdvance(self.text) + (metrics[False].averageCharWidth() if self.alarm else 0.0)


class Status(QtWidgets.QWidget):
    """Two lines that are always there: measured numbers with the connection, then what runs, or what went wrong.

    `clock` gives seconds. Numbers that move all the time are redrawn four times a second, so that they can be read.
    """

    def __init__(self, target: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._target = target
        self._clock = clock
        self._unit = 1.0
        self._heard: dict[str, tuple] = {}
        self._answering: bool | None = None
        self._rose_at = -math.inf
        self.notices = Notices(clock)
        self._said = ""
        self._spots: list[tuple[QtCore.QRectF, str]] = []
        self._drawn_at = -math.inf
        self.history = History(clock)
        self.history.setParent(self)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(92 * unit))
        self.history.rescale(unit)
        self._place()
        self.update()

    def hear(self, address: str, values: tuple) -> bool:
        """Take a message of the host if it is the status line's; return whether it was."""
        if address == "/error":
            self.tell(": ".join(str(value) for value in values), error=True)
            return True
        if address == "/notice":
            # What was said before this window looked is old, and every subscription brings the last one again.
            before, self._said = self._said, str(values[0]) if values else ""
            if self._answering and self._said and self._said != before:
                self.tell(self._said)
            return True
        if address not in TAKEN:
            return False
        values = tuple(TAKEN[address](value) for value in values)
        if not values or any(isinstance(value, float) and not math.isfinite(value) for value in values):
            return True
        if address == "/telemetry/misses" and values[0] > self._heard.get(address, values)[0]:
            self._rose_at = self._clock()
            self.update()
        self._heard[address] = values
        if isinstance(values[0], int | float):
            self.history.hear(address, values[0])
        return True

    def tell(self, sentence: str, error: bool = False) -> None:
        """Show `sentence` in its turn, of the host or of the window itself."""
        self.notices.tell(sentence, error)
        self.update()

    def show_answering(self, answering: bool) -> None:
        """Show that the host answers, or that it has stopped."""
        self._answering = answering
        self.update()

    def tick(self) -> None:
        """Redraw when it is time."""
        now = self._clock()
        if now - self._drawn_at >= REFRESH:
            self._drawn_at = now
            self.update()
            self.history.update()

    @property
    def text(self) -> str:
        """All that is shown, as plain text."""
        cells = [" ".join(word.text for word in words) for words, _ in self._numbers()]
        return "  ".join([*cells, self._link()[0], self._second()[0]])

    def event(self, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.ToolTip:
            tips = [tip for box, tip in self._spots if box.contains(QtCore.QPointF(event.pos()))]
            QtWidgets.QToolTip.showText(event.globalPos(), tips[0] if tips else "", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        painter.fillRect(self.rect(), PANEL)
        painter.fillRect(QtCore.QRectF(0, self.height() - unit, self.width(), unit), LINE)
        self._spots = []
        edge = 16 * unit
        link = self._paint_link(painter, edge)
        self._paint_numbers(painter, edge, link - 20 * unit)
        self._paint_second(painter, edge)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _place(self) -> None:
        unit = self._unit
        width = round(HISTORY * unit)
        self.history.setGeometry(self.width() - width - round(16 * unit), round(55 * unit), width, round(32 * unit))

    def _value(self, address: str) -> float | int | str | None:
        values = self._heard.get(address)
        return values[0] if values else None

    def _numbers(self) -> list[tuple[list[Word], str]]:
        fresh = TEXT if self._answering else FAINT
        samples, ms = self._value("/telemetry/latency"), self._value("/telemetry/latency/ms")
        load, deadline = self._value("/telemetry/load"), self._value("/telemetry/deadline")
        misses, work = self._value("/telemetry/misses"), self._heard.get("/telemetry/work", ())
        p99 = work[1] if len(work) > 1 else None
        rising = self._clock() - self._rose_at < RISING

        def worse(value: float | None, caution: float, warning: float) -> QtGui.QColor:
            if value is None or not self._answering or value < caution:
                return fresh
            return CAUTION if value < warning else WARNING

        late = worse(None if p99 is None or not deadline else p99 / deadline, TOO_BUSY, 1.0)
        split = self._value("/telemetry/latency/split") or "/telemetry/latency"
        four = " / ".join(f"{value:.2f}" for value in work) + " ms" if work else ""
        return [
            ([Word("latency", False, DIM), Word(_shown(ms, "{:.1f} ms"), True, fresh), Word(_shown(samples, "{} samples"), False, DIM)],
             f"Added latency: {split}"),
            ([Word("load", False, DIM), Word(_shown(load, "{:.0%}").replace("%", " %"), True, worse(load, BUSY, TOO_BUSY))],
             "Median work of a hop over its duration\n/telemetry/load"),
            ([Word("misses", False, DIM), Word(_shown(misses, "{}"), True, INK if rising else fresh, alarm=rising)],
             (f"Hops not ready in time, and dropouts the device reports: {_shown(self._value('/telemetry/xruns'), '{}')}\n"
             "/telemetry/misses, /telemetry/xruns")),
            ([Word("p99", False, DIM), Word(_shown(p99, "{:.1f}"), True, late),
              Word(_shown(deadline, "of {:.1f} ms"), False, DIM)],
             (f"Work of a hop, p50 / p99 / p99.9 / max: {four}\nDeadline: {_shown(deadline, '{:.2f} ms')}\n"
             "/telemetry/work, /telemetry/deadline")),
        ]

    def _link(self) -> tuple[str, QtGui.QColor]:
        if self._answering is None:
            return "connecting", CAUTION
        return ("connected", GOOD) if self._answering else ("no answer", WARNING)

    def _second(self) -> tuple[str, QtGui.QColor | None]:
        """Return the second line and, if it is a warning, its ground."""
        if self._answering is None:
            return f"connecting to the host at {self._target}", None
        if not self._answering:
            return f"host not answering at {self._target}, trying again", WARNING
        said = self.notices.shown
        if said is not None and said.error:
            return said.text, CAUTION
        state = self._value("/device/state") or ""
        if state.startswith("waiting"):
            return state, WARNING
        if said is not None:
            return said.text, CAUTION
        rate, block = self._value("/rate"), self._value("/block")
        device = " ".join(filter(None, (
            self._value("/device"), rate and f"{rate / 1000:g} kHz", block and f"block {block}")))
        parts = (self._value("/model"), self._value("/mode"), self._value("/run"), device)
        return "   ·   ".join(part for part in parts if part), None

    def _paint_numbers(self, painter: QtGui.QPainter, left: float, right: float) -> None:
        unit = self._unit
        cells = self._numbers()
        shrink = 1.0
        gap = 30 * unit
        while True:
            fonts = {large: font(max(LEAST * 0.8, (LARGE if large else SMALL) * shrink) * unit, large) for large in (True, False)}
            metrics = {large: QtGui.QFontMetricsF(made) for large, made in fonts.items()}
            inner = 8 * unit * shrink
            widths = [sum(word.width(metrics) for word in words) + inner * (len(words) - 1) for words, _ in cells]
            if sum(widths) + gap * shrink * (len(cells) - 1) <= right - left or shrink < 0.6:
                break
            shrink -= 0.05
        x, base = left, 42 * unit
        for (words, tip), width in zip(cells, widths, strict=True):
            self._spots.append((QtCore.QRectF(x, 0, width, 54 * unit), tip))
            for word in words:
                advance = word.width(metrics)
                margin = 0.5 * (advance - metrics[word.large].horizontalAdvance(word.text))
                if word.alarm:
                    painter.setPen(QtCore.Qt.PenStyle.NoPen)
                    painter.setBrush(WARNING)
                    ground = QtCore.QRectF(x, 11 * unit, advance, 40 * unit)
                    painter.drawRoundedRect(ground, 6 * unit, 6 * unit)
                painter.setPen(word.colour)
                painter.setFont(fonts[word.large])
                painter.drawText(QtCore.QPointF(x + margin, base), word.text)
                x += advance + inner
            x += gap * shrink - inner

    def _paint_link(self, painter: QtGui.QPainter, edge: float) -> float:
        unit = self._unit
        words, colour = self._link()
        painter.setFont(font(SMALL * unit))
        metrics = QtGui.QFontMetricsF(painter.font())
        x = self.width() - edge - metrics.horizontalAdvance(words)
        painter.setPen(colour)
        painter.drawText(QtCore.QPointF(x, 42 * unit), words)
        dot = QtCore.QRectF(x - 26 * unit, 26 * unit, 15 * unit, 15 * unit)
        painter.setPen(QtGui.QPen(colour, 2.5 * unit))
        painter.setBrush(colour if self._answering else QtCore.Qt.BrushStyle.NoBrush)
        painter.drawEllipse(dot)
        self._spots.append((QtCore.QRectF(dot.left(), 0, self.width() - dot.left(), 54 * unit), f"Host at {self._target}"))
        return dot.left()

    def _paint_second(self, painter: QtGui.QPainter, edge: float) -> None:
        unit = self._unit
        words, ground = self._second()
        line = QtCore.QRectF(0, 53 * unit, self.width(), 38 * unit)
        if ground is not None:
            painter.fillRect(line, ground)
        painter.setPen(TEXT if ground is None else INK)
        inside = line.adjusted(edge, 0, -2 * edge - HISTORY * unit, 0)
        painter.setFont(fitted_font(words, inside.width(), SMALL * unit, ground is WARNING, least=LEAST * unit))
        if painter.fontMetrics().horizontalAdvance(words) > inside.width():
            # A long sentence is read in two lines rather than half.
            painter.setFont(font(TWO_LINES * unit, ground is WARNING))
            words = _two_lines(words, QtGui.QFontMetricsF(painter.font()), inside.width())
        painter.drawText(inside, QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.TextFlag.TextWordWrap, words)
        if more := self.notices.waiting if ground is CAUTION else 0:
            painter.setFont(font(15 * unit, bold=True))
            count = QtCore.QRectF(inside.right(), line.top(), edge, line.height())
            painter.drawText(count, QtCore.Qt.AlignmentFlag.AlignCenter, f"+{more}")
        log = "\n".join(said.line for said in list(self.notices.log)[-LOG_SHOWN:])
        self._spots.append((line, "\n".join(filter(None, (self._second()[0], log and f"Said last (key N lists them):\n{log}", SECOND)))))


def _two_lines(words: str, metrics: QtGui.QFontMetricsF, width: float) -> str:
    """Return `words` cut, with a mark, to what two lines of `width` hold; the tooltip and the list have all of it."""
    kept = words.split(" ")
    shown = words
    while len(kept) > 1 and metrics.boundingRect(
        QtCore.QRectF(0, 0, width, 1e6), int(QtCore.Qt.TextFlag.TextWordWrap), shown).height() > 2.5 * metrics.lineSpacing():
        kept.pop()
        shown = f"{' '.join(kept)} …"
    return shown


def _shown(value: float | str | None, pattern: str) -> str:
    return "–" if value is None else pattern.format(value)


TAKEN: dict[str, Callable] = {
    "/model": str, "/mode": str, "/run": str, "/device": str, "/device/state": str, "/rate": int, "/block": int,
    "/telemetry/latency": int, "/telemetry/latency/ms": float, "/telemetry/latency/split": str,
    "/telemetry/load": float, "/telemetry/work": float, "/telemetry/deadline": float,
    "/telemetry/misses": int, "/telemetry/xruns": int,
}
