"""The page of output pairs: what leaves on each, how loud, and what the headphones hear."""

from __future__ import annotations

from collections.abc import Sequence

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Latch
from gui.choosers import Caption
from gui.echo import SETTLE
from gui.law import UNITY, gain_text
from gui.palette import DIM, FAINT, GROUND, LINE, NEUTRAL, PANEL, SOLO, TEXT, WELL, fitted_font, font, mixed
from gui.slider import Slider

PRE = ":pre"
HEADS = {"none": "off"}
# Heights in design pixels: of the lowest row and the highest, and of all that is above and below the rows.
LOW, HIGH, BESIDE = 28, 36, 88 + 2 * 20 + 40 + 4 * 6


class Cell(QtWidgets.QAbstractButton):
    """A crosspoint of a pair and a source: a disc where the source leaves there, a ring where it is taken before its fader."""

    def __init__(self, colour: QtGui.QColor) -> None:
        super().__init__()
        self.state = ""
        self._colour = colour
        self._unit = 1.0
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Ignored)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def show_state(self, state: str) -> None:
        """Show that nothing leaves here, "", or the source, "post", or what it is before its fader, "pre"."""
        if state != self.state:
            self.state = state
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        frame = QtCore.QRectF(self.rect()).adjusted(1.5 * unit, 1.5 * unit, -1.5 * unit, -1.5 * unit)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(mixed(self._colour, WELL, 0.3) if self.underMouse() else mixed(self._colour, WELL, 0.13))
        painter.drawRoundedRect(frame, 4 * unit, 4 * unit)
        size = min(frame.width(), frame.height()) * 0.34
        if self.state == "post":
            painter.setBrush(self._colour)
            painter.drawEllipse(frame.center(), size, size)
        elif self.state == "pre":
            painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
            painter.setPen(QtGui.QPen(self._colour, 3.5 * unit))
            painter.drawEllipse(frame.center(), size - 1.5 * unit, size - 1.5 * unit)
        else:
            painter.setBrush(mixed(FAINT, GROUND, 0.6))
            painter.drawEllipse(frame.center(), 2 * unit, 2 * unit)


class Heads(QtWidgets.QWidget):
    """The names of the columns, written upwards, each in its colour."""

    def __init__(self, names: Sequence[str], colours: Sequence[QtGui.QColor], spans: Sequence[QtWidgets.QWidget]) -> None:
        super().__init__()
        self._names, self._colours, self._spans = list(names), list(colours), list(spans)
        self._unit = 1.0

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(88 * unit))
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        for name, colour, span in zip(self._names, self._colours, self._spans, strict=True):
            at = span.mapTo(self.parentWidget(), QtCore.QPoint(0, 0)).x() - self.x() + span.width() / 2
            painter.save()
            painter.translate(at, self.height() - 6 * unit)
            painter.rotate(-90)
            painter.setPen(colour)
            painter.setFont(fitted_font(name, self.height() - 8 * unit, 17 * unit, bold=True))
            painter.drawText(QtCore.QRectF(0, -12 * unit, self.height(), 24 * unit), QtCore.Qt.AlignmentFlag.AlignVCenter, name)
            painter.restore()


class Pair(QtCore.QObject):
    """One output pair: a row of crosspoints and a level. `say(address, value)` fires for what a hand does."""

    say = QtCore.Signal(str, object)

    def __init__(
        self, number: int, names: Sequence[str], colours: Sequence[QtGui.QColor], has_pre: set[str], parent: QtCore.QObject,
    ) -> None:
        super().__init__(parent)
        self.number, self.source = number, ""
        self.label = QtWidgets.QLabel(f"{2 * number - 1}–{2 * number}")
        self.label.setToolTip(f"Output pair {number}: channels {2 * number - 1} and {2 * number} of the device.\n/output/{number}/source")
        self.cells = {name: Cell(colour) for name, colour in zip(names, colours, strict=True)}
        self.gain = Slider(UNITY, gain_text)
        self.gain.setToolTip(f"Level of pair {number}. Drag sideways, shift for fine, double click for 0 dB.\n/output/{number}/gain")
        self.gain.moved.connect(lambda value: self.say.emit(f"/output/{number}/gain", float(value)))
        self._has_pre = has_pre
        self._address = f"/output/{number}/source"
        self._colours = dict(zip(names, colours, strict=True))
        # What was chosen by hand stands until the host has had the time to answer.
        self._heard = ""
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(lambda: self._show(self._heard))
        for name, cell in self.cells.items():
            more = " Once more: before its fader, and back." if name in has_pre else ""
            cell.setToolTip(f"{name} leaves on pair {number}.{more}\n{self._address} {name}")
            cell.clicked.connect(lambda _=False, name=name: self.choose(name))

    def choose(self, name: str) -> None:
        """Have `name` leave here, as by hand; where it does already, before its fader, and back."""
        source = name + PRE if name in self._has_pre and self.source == name else name
        self._show(source)
        self._timer.start(round(1000 * SETTLE))
        self.say.emit(self._address, source)

    def hear(self, source: str) -> None:
        """Take the host's word for what leaves here."""
        self._heard = source
        if not self._timer.isActive() or source == self.source:
            self._timer.stop()
            self._show(source)

    def _show(self, source: str) -> None:
        self.source = source
        for name, cell in self.cells.items():
            cell.show_state("post" if source == name else "pre" if source == name + PRE else "")
        self.gain.tint(self._colours.get(source.removesuffix(PRE), NEUTRAL))


class OutputPage(QtWidgets.QWidget):
    """The matrix of the output pairs that the host tells of, and the cue. `say(address, value)` fires for what a hand does."""

    say = QtCore.Signal(str, object)
    opened = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[Pair] = []
        self.cues: dict[str, Latch] = {}
        self._stems: list[str] = []
        self._colours: dict[str, QtGui.QColor] = {}
        self._count = 0
        self._stale = False
        self._values: dict[str, tuple] = {}
        self._heads: Heads | None = None
        self._unit = 1.0
        self._body: QtWidgets.QWidget | None = None
        self._note = Caption("● after the fader     ○ before it: click once more")
        self._cue_note = Caption("cue: the master where none is lit")
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    def expect(self, stems: Sequence[str], colours: Sequence[QtGui.QColor]) -> None:
        """Stand for `stems` in their `colours`."""
        self._stems, self._colours = list(stems), dict(zip(stems, colours, strict=True))
        self._stale = self._count > 0

    def hear(self, address: str, values: tuple) -> bool:
        """Take a message of the host if it is this page's; return whether it was."""
        parts = address.split("/")
        if len(parts) == 4 and parts[1] == "output" and parts[2].isdigit() and parts[3] in ("source", "gain"):
            self._values[address] = values
            number = int(parts[2])
            if number > self._count and number <= 64:
                # The others are told as well, one after the other.
                self._count, self._stale = number, True
            self._show(address, values)
        elif address == "/cue/dry" or (len(parts) == 4 and parts[1] == "stem" and parts[3] == "cue"):
            self._values[address] = values
            self._show(address, values)
        else:
            return False
        return True

    def tick(self) -> None:
        """Show what has come, and let go back what the host did not confirm."""
        if self._stale and self._stems:
            self._stale = False
            self._rebuild()
            self.opened.emit()
        for pair in self.pairs:
            pair.gain.tick()
        for latch in self.cues.values():
            latch.tick()

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        if self._body is None:
            return
        self._column.setSpacing(round(6 * unit))
        self._grid.setHorizontalSpacing(round(1 * unit))
        self._grid.setVerticalSpacing(round(2 * unit))
        self._cue_row.setSpacing(round(4 * unit))
        self._heads.rescale(unit)
        for caption in (self._note, self._cue_note):
            caption.rescale(unit)
        for pair in self.pairs:
            pair.label.setFont(font(15 * unit, bold=True))
            pair.label.setFixedWidth(round(44 * unit))
            pair.gain.rescale(unit)
            for cell in pair.cells.values():
                cell.rescale(unit)
        for latch in self.cues.values():
            latch.rescale(unit)
            latch.setFixedHeight(round(40 * unit))
        self._stretch()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stretch()

    def _stretch(self) -> None:
        """Make the rows as high as lets all be seen, within what can be hit and is not clumsy; beyond that they scroll."""
        if self._body is None:
            return
        unit = self._unit
        room = self.height() - BESIDE * unit
        tall = round(min(HIGH * unit, max(LOW * unit, room / len(self.pairs) - 2 * unit)))
        for pair in self.pairs:
            for part in (pair.gain, *pair.cells.values()):
                part.setFixedHeight(tall)

    def _columns(self) -> tuple[list[str], list[QtGui.QColor]]:
        stems = self._stems
        names = ["master", *stems, "remainder", "dry", "cue", "none"]
        colours = [TEXT, *(self._colours[stem] for stem in stems), NEUTRAL, NEUTRAL, SOLO, DIM]
        return names, colours

    def _rebuild(self) -> None:
        while self._column.count():
            item = self._column.takeAt(0)
            if item.widget() not in (None, self._note, self._cue_note):
                item.widget().deleteLater()
        names, colours = self._columns()
        has_pre = {*self._stems, "remainder"}
        # What belongs to a pair goes with the body that shows it.
        self._body = QtWidgets.QWidget()
        self.pairs = [Pair(number, names, colours, has_pre, self._body) for number in range(1, self._count + 1)]
        self._grid = QtWidgets.QGridLayout(self._body)
        self._grid.setContentsMargins(0, 0, 0, 0)
        ink = QtGui.QPalette()
        ink.setColor(QtGui.QPalette.ColorRole.WindowText, TEXT)
        for row, pair in enumerate(self.pairs):
            pair.say.connect(self.say)
            pair.label.setPalette(ink)
            self._grid.addWidget(pair.label, row, 0)
            for column, cell in enumerate(pair.cells.values(), 1):
                self._grid.addWidget(cell, row, column)
            self._grid.addWidget(pair.gain, row, len(names) + 1)
        for column in range(1, len(names) + 1):
            self._grid.setColumnStretch(column, 3)
        self._grid.setColumnStretch(len(names) + 1, 11)
        self._grid.setRowStretch(len(self.pairs), 1)
        self._heads = Heads([HEADS.get(name, name) for name in names], colours, list(self.pairs[0].cells.values()))
        scroll = QtWidgets.QScrollArea()
        scroll.setWidget(self._body)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setStyleSheet(
            f"QScrollArea, QScrollArea > QWidget > QWidget {{ background: {GROUND.name()}; }}"
            f"QScrollBar:vertical {{ width: 8px; background: {PANEL.name()}; }} QScrollBar::handle {{ background: {LINE.name()}; }}"
            "QScrollBar::add-line, QScrollBar::sub-line { height: 0; }")
        self.cues = {stem: self._cue(stem, f"/stem/{stem}/cue", self._colours[stem]) for stem in self._stems}
        self.cues["dry"] = self._cue("dry", "/cue/dry", NEUTRAL)
        row = QtWidgets.QWidget()
        self._cue_row = QtWidgets.QHBoxLayout(row)
        self._cue_row.setContentsMargins(0, 0, 0, 0)
        for latch in self.cues.values():
            self._cue_row.addWidget(latch, 1)
        self._column.addWidget(self._heads)
        self._column.addWidget(scroll, 1)
        for widget in (self._note, self._cue_note, row):
            self._column.addWidget(widget)
        self.rescale(self._unit)
        for address, values in list(self._values.items()):
            self._show(address, values)

    def _cue(self, name: str, address: str, colour: QtGui.QColor) -> Latch:
        latch = Latch(name, colour, pixels=17)
        what = "the mixture" if name == "dry" else name
        latch.setToolTip(f"Cue {what}: adds it to what the headphones hear, before its fader.\n{address}")
        latch.setAccessibleName(f"cue {name}")
        latch.switched.connect(lambda on: self.say.emit(address, int(on)))
        return latch

    def _show(self, address: str, values: tuple) -> None:
        parts = address.split("/")
        if parts[1] == "output":
            if int(parts[2]) <= len(self.pairs):
                pair = self.pairs[int(parts[2]) - 1]
                if parts[3] == "source":
                    pair.hear(str(values[0]))
                else:
                    pair.gain.hear(float(values[0]))
        elif (latch := self.cues.get("dry" if parts[1] == "cue" else parts[2])) is not None:
            latch.hear(bool(values[0]))
