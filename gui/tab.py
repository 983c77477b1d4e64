"""A tab of the pages: filled where its page is seen, and in another colour while something goes on there."""

from __future__ import annotations

from pyqtgraph.Qt import QtGui

from gui.button import Button
from gui.palette import NEUTRAL


class Tab(Button):
    """A button called `name`; `alarm` fills it with a colour and writes something else on it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, NEUTRAL, pixels=17)
        self.name = name
        self._alarm: QtGui.QColor | None = None
        self._chosen = False

    def light(self, lit: bool) -> None:
        """Show that the page is seen, or is not."""
        self._chosen = lit
        super().light(lit or self._alarm is not None)

    def alarm(self, colour: QtGui.QColor | None, words: str = "") -> None:
        """Fill with `colour` and show `words`; None ends that."""
        text = words or self.name
        if (colour, text) != (self._alarm, self.text()):
            self._alarm = colour
            self._colour = NEUTRAL if colour is None else colour
            self.setText(text)
            self.light(self._chosen)
            self.update()
