"""The page of the performer's own mixes, and what the crossfader fades between."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Button
from gui.crossfade import A_COLOUR, B_COLOUR, CURVES, Crossfader, crossfaded
from gui.mixes import Mix, Shelf
from gui.palette import DIM, LINE, NEUTRAL, PANEL, TEXT, WARNING, font

NOW = "now"
HINT = "No mix is stored yet. STORE keeps the one that sounds now."


class MixPage(QtWidgets.QWidget):
    """The list of a `shelf`, with buttons for all that can be done to it.

    `present` returns the linear gain of each stem as it sounds now. `played(gains)` fires with name -> linear gain when
    a mix is to be heard, recalled or faded to. `crossfader` stands wherever the window puts it.
    """

    played = QtCore.Signal(object)

    def __init__(self, shelf: Shelf, present: Callable[[], Mapping[str, float]]) -> None:
        super().__init__()
        self.shelf = shelf
        self.crossfader = Crossfader()
        self.curve = CURVES[0]
        self.ends: list[Mix | None] = [None, None]
        self.list = MixList(self._marks)
        self.buttons = {
            "RECALL": self._button("RECALL", NEUTRAL, self.recall, "Hear the chosen mix; so does a double click on it.\n/condition"),
            "STORE": self._button("STORE", NEUTRAL, self.store, "Keep the mix that sounds now.\nKey Ctrl+S."),
            "SET A": self._button("SET A", A_COLOUR, lambda: self.set_end(0), self._end_help("A")),
            "SET B": self._button("SET B", B_COLOUR, lambda: self.set_end(1), self._end_help("B")),
            "RENAME": self._button("RENAME", NEUTRAL, self.rename, "Call the chosen mix something else."),
            "▲": self._button("▲", NEUTRAL, lambda: self.shift(-1), "Move the chosen mix up; or drag it."),
            "▼": self._button("▼", NEUTRAL, lambda: self.shift(1), "Move the chosen mix down; or drag it."),
            "DELETE": self._button("DELETE", WARNING, self.delete, "Forget the chosen mix; press again to be sure."),
        }
        self.curves = {
            curve: self._button(curve.upper(), NEUTRAL, lambda c=curve: self.bend(c), f"The crossfader's curve: {curve}.")
            for curve in CURVES
        }
        self._present = present
        self._unit = 1.0
        self._build()
        self._fill(-1)
        self.bend(self.curve)

    def _build(self) -> None:
        self.list.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.list.setDragDropMode(QtWidgets.QAbstractItemView.DragDropMode.InternalMove)
        self.list.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self.list.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setToolTip("Your mixes. Shift+1 to Shift+9 recall the first nine; a double click recalls any.\n/condition")
        self.list.itemDoubleClicked.connect(lambda item: self.recall())
        self.list.itemChanged.connect(lambda item: self._renamed(self.list.row(item), item.text()))
        self.list.currentRowChanged.connect(lambda row: self._unsure())
        self.list.model().rowsMoved.connect(lambda _p, start, _e, _d, row: self._dragged(start, row))
        self.list.itemDelegate().closeEditor.connect(lambda *_: self.window().setFocus())
        self.crossfader.moved.connect(self._fade)
        rows = [QtWidgets.QHBoxLayout() for _ in range(3)]
        names = list(self.buttons)
        for row, group in zip(rows, (names[:4], names[4:], list(CURVES)), strict=True):
            for name in group:
                row.addWidget(self.buttons.get(name) or self.curves[name], 2 if name in "▲▼" else 3)
        self._rows = rows
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.list, 1)
        for row in rows:
            self._column.addLayout(row)

    @property
    def chosen(self) -> int | None:
        """The place of the mix that is chosen in the list; None where none is."""
        row = self.list.currentRow()
        return row if 0 <= row < len(self.shelf.mixes) else None

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        self._column.setSpacing(round(6 * unit))
        for row in self._rows:
            row.setSpacing(round(4 * unit))
        for button in (*self.buttons.values(), *self.curves.values()):
            button.rescale(unit)
            button.setFixedHeight(round(36 * unit))
        self.crossfader.rescale(unit)
        self.list.setFont(font(22 * unit, bold=True))
        self.list.setStyleSheet(
            f"QListWidget {{ background: {PANEL.name()}; color: {TEXT.name()}; border: {max(1, round(unit))}px solid {LINE.name()};"
            f" border-radius: {round(8 * unit)}px; outline: 0; }}"
            f"QListWidget::item {{ padding: {round(5 * unit)}px {round(8 * unit)}px; }}"
            f"QListWidget::item:selected {{ background: {LINE.name()}; color: {TEXT.name()}; }}"
            f"QLineEdit {{ background: {TEXT.name()}; color: {PANEL.name()}; }}")

    def store(self) -> None:
        """Keep what sounds now, and choose it."""
        gains = self._present()
        if gains:
            self._fill(self.shelf.store(gains))

    def recall(self, index: int | None = None) -> None:
        """Hear mix `index`, or the chosen one."""
        index = self.chosen if index is None else index
        if index is not None and 0 <= index < len(self.shelf.mixes):
            self.list.setCurrentRow(index)
            self.played.emit(self.shelf.mixes[index].gains)

    def rename(self, name: str | None = None) -> None:
        """Call the chosen mix `name`, or let the performer type it."""
        if (index := self.chosen) is None:
            return
        if name is None:
            self.list.editItem(self.list.item(index))
        else:
            self._renamed(index, name)

    def shift(self, by: int) -> None:
        """Move the chosen mix down by so many places."""
        if (index := self.chosen) is not None:
            self._fill(self.shelf.move(index, index + by))

    def delete(self) -> None:
        """Ask, and at the second press forget the chosen mix."""
        if (index := self.chosen) is None:
            return
        button = self.buttons["DELETE"]
        if not button.lit:
            button.setText("SURE?")
            button.light(True)
            return
        self.shelf.delete(index)
        self._fill(min(index, len(self.shelf.mixes) - 1))

    def set_end(self, end: int) -> None:
        """Put the chosen mix on `end` of the crossfader, 0 or 1; where none is chosen, what sounds now."""
        index = self.chosen
        gains = {} if index is not None else self._present()
        if index is not None:
            self.ends[end] = self.shelf.mixes[index]
        elif gains:
            self.ends[end] = Mix(NOW, dict(gains))
        self._name_ends()

    def bend(self, curve: str) -> None:
        """Let the crossfader follow `curve`, from the next time it is moved."""
        self.curve = curve
        for name, button in self.curves.items():
            button.light(name == curve)

    def _fade(self, x: float) -> None:
        a, b = self.ends
        if a is not None and b is not None:
            stems = list(dict.fromkeys((*a.gains, *b.gains)))
            self.played.emit(dict(zip(stems, crossfaded(a.gains, b.gains, stems, x, self.curve), strict=True)))

    def _fill(self, choose: int) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        for mix in self.shelf.mixes:
            item = QtWidgets.QListWidgetItem(mix.name)
            item.setFlags(item.flags() | QtCore.Qt.ItemFlag.ItemIsEditable)
            self.list.addItem(item)
        self.list.setCurrentRow(choose)
        self.list.blockSignals(False)
        self._unsure()

    def _renamed(self, index: int, name: str) -> None:
        before = self.shelf.mixes[index]
        self.shelf.rename(index, name)
        self.ends = [self.shelf.mixes[index] if end is before else end for end in self.ends]
        self._name_ends()
        self._fill(index)

    def _dragged(self, start: int, row: int) -> None:
        # Qt counts the place before the mix is taken from where it was.
        self.shelf.move(start, row - 1 if row > start else row)
        self._unsure()

    def _unsure(self) -> None:
        self.buttons["DELETE"].setText("DELETE")
        self.buttons["DELETE"].light(False)

    def _name_ends(self) -> None:
        self.crossfader.name(*("" if end is None else end.name for end in self.ends))
        self.list.viewport().update()

    def _marks(self, row: int) -> list[tuple[str, QtGui.QColor]]:
        mix = self.shelf.mixes[row] if row < len(self.shelf.mixes) else None
        ends = [(letter, colour) for letter, colour, end in zip("BA", (B_COLOUR, A_COLOUR), reversed(self.ends), strict=True)
                if end is not None and end is mix]
        return [(f"⇧{row + 1}" if row < 9 else "", DIM), *ends]

    @staticmethod
    def _end_help(letter: str) -> str:
        return f"Put the chosen mix on {letter} of the crossfader; where none is chosen, the mix that sounds now."

    @staticmethod
    def _button(label: str, colour: QtGui.QColor, act: Callable[[], object], help: str) -> Button:
        button = Button(label, colour, pixels=16)
        button.setToolTip(help)
        button.clicked.connect(lambda: act())
        return button


class MixList(QtWidgets.QListWidget):
    """A list that says what to do while it is empty, and writes `marks(row)`, texts in colours, at the right of each row."""

    def __init__(self, marks: Callable[[int], list[tuple[str, QtGui.QColor]]]) -> None:
        super().__init__()
        self._marks = marks

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QtGui.QPainter(self.viewport())
        if not self.count():
            painter.setPen(DIM)
            painter.drawText(self.viewport().rect(), QtCore.Qt.AlignmentFlag.AlignCenter | QtCore.Qt.TextFlag.TextWordWrap, HINT)
            return
        height = painter.fontMetrics().height()
        for row in range(self.count()):
            box = QtCore.QRectF(self.visualItemRect(self.item(row)))
            for place, (text, colour) in enumerate(self._marks(row)):
                painter.setPen(colour)
                painter.drawText(box.adjusted(0, 0, -(0.4 + 1.8 * place) * height, 0),
                                 QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.AlignmentFlag.AlignRight, text)
