"""The dialog that a file is chosen in, and what a file dropped on the window is."""

from __future__ import annotations

from pathlib import Path

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import DIM, FAINT, GROUND, INK, NEUTRAL, PANEL, RAISED, TEXT, font

KINDS = ("flac", "wav", "aiff", "aif", "aifc", "ogg", "oga", "opus", "mp3", "w64", "rf64", "caf", "au")
FILTER = f"Sound ({' '.join(f'*.{kind} *.{kind.upper()}' for kind in KINDS)});;All files (*)"


def choose_file(parent: QtWidgets.QWidget, folder: str) -> str:
    """Return the path of a file that the performer chooses, beginning in `folder`, or nothing."""
    dialog = QtWidgets.QFileDialog(parent, "Load a file on the deck", folder or _music(), FILTER)
    dialog.setFileMode(QtWidgets.QFileDialog.FileMode.ExistingFile)
    # Where the system has no dialog of its own, Qt's would be dark on dark.
    dialog.setPalette(_dark())
    chosen = dialog.selectedFiles() if dialog.exec() else []
    return chosen[0] if chosen else ""


def dropped_file(mime: QtCore.QMimeData) -> str:
    """Return the path of the first file of this machine that `mime` holds, or nothing."""
    return next((url.toLocalFile() for url in mime.urls() if url.isLocalFile() and url.toLocalFile()), "")


def _music() -> str:
    places = QtCore.QStandardPaths.StandardLocation
    found = QtCore.QStandardPaths.writableLocation(places.MusicLocation)
    return found if Path(found).is_dir() else QtCore.QStandardPaths.writableLocation(places.HomeLocation)


def _dark() -> QtGui.QPalette:
    made, role = QtGui.QPalette(), QtGui.QPalette.ColorRole
    for where, colour in (
        (role.Window, PANEL), (role.WindowText, TEXT), (role.Base, GROUND), (role.AlternateBase, PANEL), (role.Text, TEXT),
        (role.Button, RAISED), (role.ButtonText, TEXT), (role.Highlight, NEUTRAL), (role.HighlightedText, INK),
        (role.PlaceholderText, DIM), (role.ToolTipBase, RAISED), (role.ToolTipText, TEXT), (role.Light, FAINT), (role.Dark, GROUND),
    ):
        made.setColor(where, colour)
    made.setColor(QtGui.QPalette.ColorGroup.Disabled, role.ButtonText, FAINT)
    return made


class DropVeil(QtWidgets.QWidget):
    """Covers its parent while a file is dragged over it, and says what dropping it does."""

    def __init__(self, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self._unit = 1.0
        self._words = ""
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel, over the whole parent."""
        self._unit = unit
        self.setGeometry(self.parentWidget().rect())

    def show_words(self, words: str) -> None:
        """Cover the parent, and say `words`."""
        self._words = words
        self.setGeometry(self.parentWidget().rect())
        self.show()
        self.raise_()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        veil = QtGui.QColor(GROUND)
        veil.setAlpha(190)
        painter.fillRect(self.rect(), veil)
        unit = self._unit
        painter.setPen(QtGui.QPen(TEXT, 4 * unit, QtCore.Qt.PenStyle.DashLine))
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(20 * unit, 20 * unit, -20 * unit, -20 * unit), 16 * unit, 16 * unit)
        painter.setFont(font(44 * unit, bold=True))
        painter.drawText(self.rect(), QtCore.Qt.AlignmentFlag.AlignCenter, self._words)
