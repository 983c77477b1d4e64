"""Pages that share one place, a row of tabs above them."""

from __future__ import annotations

from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtWidgets

from gui.tab import Tab

# Tabs of a row.
ACROSS = 5


class Pages(QtWidgets.QWidget):
    """Named widgets of which one is seen; `turned(int)` fires when another one is; `key` names the key of each, from 0."""

    turned = QtCore.Signal(int)

    def __init__(self, key: Callable[[int], str]) -> None:
        super().__init__()
        self.tabs: list[Tab] = []
        self._key = key
        # Pages that there is nothing to see on.
        self._left_out: set[int] = set()
        self._unit = 1.0
        self._grid = QtWidgets.QGridLayout()
        self._stack = QtWidgets.QStackedLayout()
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._grid)
        self._column.addLayout(self._stack, 1)

    @property
    def page(self) -> int:
        """The page that is seen, from 0."""
        return self._stack.currentIndex()

    def add(self, name: str, widget: QtWidgets.QWidget, help: str) -> None:
        """Add a page."""
        index = len(self.tabs)
        tab = Tab(name)
        tab.setToolTip(f"{help}\nKey {self._key(index)}.")
        tab.clicked.connect(lambda: self.turn(index))
        tab.light(index == 0)
        self.tabs.append(tab)
        self._place()
        self._stack.addWidget(widget)

    def offer(self, index: int, offered: bool) -> None:
        """Show the tab of page `index`, or hide it because there is nothing to see there."""
        if (index in self._left_out) != offered:
            return
        self._left_out ^= {index}
        self.tabs[index].setVisible(offered)
        self._place()
        if not offered and index == self.page:
            self.turn(0)

    def _place(self) -> None:
        for tab in self.tabs:
            self._grid.removeWidget(tab)
        offered = [tab for index, tab in enumerate(self.tabs) if index not in self._left_out]
        # Two rows of about the same length rather than one of names that nobody can read.
        across = len(offered) if len(offered) <= ACROSS else -(-len(offered) // 2)
        for number, tab in enumerate(offered):
            self._grid.addWidget(tab, number // across, number % across)
        for column in range(self._grid.columnCount()):
            self._grid.setColumnStretch(column, int(column < across))

    def turn(self, index: int) -> None:
        """Show page `index`; nothing happens where there is none."""
        if not 0 <= index < len(self.tabs) or index in self._left_out:
            return
        self._stack.setCurrentIndex(index)
        for number, tab in enumerate(self.tabs):
            tab.light(number == index)
        self.turned.emit(index)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        self._grid.setSpacing(round(4 * unit))
        self._column.setSpacing(round(8 * unit))
        for tab in self.tabs:
            tab.rescale(unit)
            tab.setFixedHeight(round((32 if len(self.tabs) > ACROSS else 36) * unit))
