"""The dialogs that files and plugins are chosen in, and what a file dropped on the window is."""

from __future__ import annotations

from pathlib import Path

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.palette import DIM, FAINT, GROUND, INK, NEUTRAL, PANEL, RAISED, TEXT, font

KINDS = ("flac", "wav", "aiff", "aif", "aifc", "ogg", "oga", "opus", "mp3", "w64", "rf64", "caf", "au")
PLUGINS = (".vst3", ".component")
# Where they are as a rule; the first that is there.
PLUGIN_FOLDERS = ("/Library/Audio/Plug-Ins/VST3", "/usr/lib/vst3", "/usr/local/lib/vst3", "C:/Program Files/Common Files/VST3")
FILTER = f"Sound ({' '.join(f'*.{kind} *.{kind.upper()}' for kind in KINDS)});;All files (*)"


def choose_file(parent: QtWidgets.QWidget, folder: str) -> str:
    """Return the path of a file that the performer chooses, beginning in `folder`, or nothing."""
    dialog = QtWidgets.QFileDialog(parent, "Load a file on the deck", folder or _music(), FILTER)
    dialog.setFileMode(QtWidgets.QFileDialog.FileMode.ExistingFile)
    # Where the system has no dialog of its own, Qt's would be dark on dark.
    dialog.setPalette(_dark())
    chosen = dialog.selectedFiles() if dialog.exec() else []
    return chosen[0] if chosen else ""


def choose_plugin(parent: QtWidgets.QWidget, path: str) -> str:
    """Return the path of a plugin, a file or a bundle, that the performer chooses, beginning beside `path`, or nothing."""
    dialog = PluginDialog(parent, "Put a plugin in the slot", str(Path(path).parent) if path else _plugins())
    return dialog.chosen if dialog.exec() else ""


class PluginDialog(QtWidgets.QFileDialog):
    """A dialog in which a bundle, a folder for the system, is chosen like a file: by a double click, or by Open."""

    def __init__(self, parent: QtWidgets.QWidget | None, title: str, folder: str) -> None:
        super().__init__(parent, title, folder)
        self.chosen = ""
        # The system's own would walk into a bundle.
        self.setOption(QtWidgets.QFileDialog.Option.DontUseNativeDialog)
        self.setFileMode(QtWidgets.QFileDialog.FileMode.ExistingFile)
        self.setPalette(_dark())
        self.directoryEntered.connect(self._enter)

    def accept(self) -> None:
        """Take what is chosen; a folder that is no plugin is walked into."""
        path = next(iter(self.selectedFiles()), "")
        if is_plugin(path):
            self._take(path)
        elif Path(path).is_dir():
            super().accept()

    def _enter(self, folder: str) -> None:
        if is_plugin(folder):
            self._take(folder)

    def _take(self, path: str) -> None:
        self.chosen = path
        self.done(int(QtWidgets.QDialog.DialogCode.Accepted))


def is_plugin(path: str) -> bool:
    """Return whether a file or folder is called as plugins are."""
    return Path(path).suffix.lower() in PLUGINS and Path(path).exists()


def dropped_file(mime: QtCore.QMimeData) -> str:
    """Return the path of the first file of this machine that `mime` holds, or nothing."""
    return next((url.toLocalFile() for url in mime.urls() if url.isLocalFile() and url.toLocalFile()), "")


def _music() -> str:
    places = QtCore.QStandardPaths.StandardLocation
    found = QtCore.QStandardPaths.writableLocation(places.MusicLocation)
    return found if Path(found).is_dir() else QtCore.QStandardPaths.writableLocation(places.HomeLocation)


def _plugins() -> str:
    own = Path.home() / ".vst3"
    return str(next((folder for folder in (own, *map(Path, PLUGIN_FOLDERS)) if folder.is_dir()), Path.home()))


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
