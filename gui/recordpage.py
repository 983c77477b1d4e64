"""The page of recording: a button that is red while it records, and what the next take holds."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Latch
from gui.choosers import Caption, ChoiceButton
from gui.clocktext import clock_text
from gui.echo import Echo
from gui.palette import CAUTION, DIM, INK, LINE, NEUTRAL, PANEL, TEXT, WARNING, fitted_font, font, mixed

RED = QtGui.QColor("#FF3B3B")
KINDS = {
    "mixture": "the input, as late as everything else", "master": "the mix", "stems": "each stem by itself, in the run stems",
}
FORMATS = {
    "wav": "WAV of 32-bit floats: whole whatever happens.", "flac": "FLAC of 24 bits, made of WAV once the take has ended.",
}
# Files are opened on the host's disk before it says that it records.
PATIENCE = 2.0
USUAL = "usual: in the music folder"


class RecordButton(Latch):
    """The big button: a ring that fills red, and the running time."""

    def __init__(self) -> None:
        super().__init__("RECORD", RED, "Ctrl+R", pixels=34)
        self._echo = Echo(0, settle=PATIENCE)
        self.words = ""

    def show_words(self, words: str) -> None:
        """Write `words` beside the dot."""
        if words != self.words:
            self.words = words
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        frame = QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit)
        fill = RED if self.lit else mixed(RED, PANEL, 0.16 if self.underMouse() else 0.08)
        painter.setPen(QtGui.QPen(RED, 2 * unit))
        painter.setBrush(mixed(fill, PANEL, 0.75) if self.isDown() else fill)
        painter.drawRoundedRect(frame, 10 * unit, 10 * unit)
        ink = INK if self.lit else TEXT
        words = self.words or self.text()
        painter.setFont(fitted_font(words, frame.width() - 130 * unit, self._pixels * unit, bold=True))
        wide = painter.fontMetrics().horizontalAdvance(words)
        size = 15 * unit
        left = frame.center().x() - (wide + 3 * size) / 2
        painter.setBrush(ink if self.lit else RED)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        dot = QtCore.QPointF(left + size, frame.center().y())
        # A square stops, a disc begins.
        if self.lit:
            painter.drawRoundedRect(QtCore.QRectF(dot.x() - size * 0.8, dot.y() - size * 0.8, 1.6 * size, 1.6 * size), 3 * unit, 3 * unit)
        else:
            painter.drawEllipse(dot, size, size)
        painter.setPen(ink)
        painter.drawText(QtCore.QRectF(left + 3 * size, frame.top(), wide + 4 * unit, frame.height()), QtCore.Qt.AlignmentFlag.AlignVCenter, words)
        painter.setPen(INK if self.lit else DIM)
        painter.setFont(font(13 * unit))
        painter.drawText(frame.adjusted(0, 5 * unit, -9 * unit, 0), QtCore.Qt.AlignmentFlag.AlignRight | QtCore.Qt.AlignmentFlag.AlignTop, self._hint)


class RecordPage(QtWidgets.QWidget):
    """What is recorded. `say(address, value)` fires for what a hand does; `going(words)` where it begins, goes on and ends,
    the words empty then. `local` says that the host's disks are this machine's."""

    say = QtCore.Signal(str, object)
    going = QtCore.Signal(str)

    def __init__(self, local: bool = True) -> None:
        super().__init__()
        self.button = RecordButton()
        self.state = QtWidgets.QLabel("off")
        self.kinds = {kind: Latch(kind.upper(), NEUTRAL, pixels=18) for kind in KINDS}
        self.formats = {form: ChoiceButton(form.upper()) for form in FORMATS}
        self.folder = QtWidgets.QLineEdit()
        self.browse = ChoiceButton("CHOOSE…")
        self.take = QtWidgets.QLabel()
        self._captions = [Caption("the next take holds"), Caption("files of the next take"), Caption("takes go to"), Caption("last take")]
        self._values: dict[str, object] = {}
        self._told = ""
        self._unit = 1.0
        self._build(local)

    def _build(self, local: bool) -> None:
        self.button.setToolTip("Record from now on, into a folder of its own; once more ends the take. Key Ctrl+R.\n/record")
        self.button.setAccessibleName("record")
        self.button.switched.connect(lambda on: self.say.emit("/record", int(on)))
        for kind, latch in self.kinds.items():
            latch.setToolTip(f"The next take holds {KINDS[kind]}.\n/record/{kind}")
            latch.switched.connect(lambda on, kind=kind: self.say.emit(f"/record/{kind}", int(on)))
        for form, button in self.formats.items():
            button.setToolTip(f"{FORMATS[form]}\n/record/format {form}")
            button.clicked.connect(lambda _=False, form=form: self.say.emit("/record/format", form))
        self.folder.setToolTip("Where takes go, on the host's machine: a whole path, or one from ~; empty is the usual folder. "
                               "Enter sends it.\n/record/folder")
        self.folder.setPlaceholderText(USUAL)
        self.folder.setFocusPolicy(QtCore.Qt.FocusPolicy.ClickFocus)
        self.folder.returnPressed.connect(self._send_folder)
        self.folder.editingFinished.connect(self._leave_folder)
        self.browse.setToolTip("Choose the folder.\n/record/folder")
        self.browse.setVisible(local)
        self.browse.clicked.connect(lambda: self._choose_folder())
        self.state.setToolTip("What the recorder does, and what the disk was too slow for.\n/record/state, /record/lost")
        self.take.setToolTip("The folder of the take.\n/record/take")
        self.take.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        self.take.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        for label in (self.state, self.take):
            label.setWordWrap(True)
            label.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Ignored)
            label.setAlignment(QtCore.Qt.AlignmentFlag.AlignTop | QtCore.Qt.AlignmentFlag.AlignLeft)
        rows = [QtWidgets.QHBoxLayout() for _ in range(3)]
        for latch in self.kinds.values():
            rows[0].addWidget(latch, 1)
        for button in self.formats.values():
            rows[1].addWidget(button, 1)
        rows[2].addWidget(self.folder, 3)
        rows[2].addWidget(self.browse, 1)
        self._rows = rows
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.button, 3)
        self._column.addWidget(self.state, 2)
        for caption, row in zip(self._captions, rows, strict=False):
            self._column.addWidget(caption)
            self._column.addLayout(row)
        self._column.addWidget(self._captions[-1])
        self._column.addWidget(self.take, 2)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        self._column.setSpacing(round(4 * unit))
        for row in self._rows:
            row.setSpacing(round(4 * unit))
        self.button.rescale(unit)
        self.button.setMaximumHeight(round(130 * unit))
        for caption in self._captions:
            caption.rescale(unit)
        for button in (*self.kinds.values(), *self.formats.values(), self.browse):
            button.rescale(unit)
            button.setFixedHeight(round(40 * unit))
        self.state.setFont(font(20 * unit, bold=True))
        self.take.setFont(font(16 * unit))
        self.folder.setFont(font(16 * unit))
        self.folder.setFixedHeight(round(38 * unit))
        self.folder.setStyleSheet(
            f"QLineEdit {{ background: {PANEL.name()}; color: {TEXT.name()}; border: {max(1, round(unit))}px solid {LINE.name()};"
            f" border-radius: {round(7 * unit)}px; padding: 0 {round(8 * unit)}px; }} QLineEdit:focus {{ border-color: {TEXT.name()}; }}")
        self._show()

    def hear(self, address: str, values: tuple) -> bool:
        """Take a message of the host if it is this page's; return whether it was."""
        if address == "/record":
            self.button.hear(bool(values[0]))
        elif address.startswith("/record/") and address.removeprefix("/record/") in KINDS:
            self.kinds[address.removeprefix("/record/")].hear(bool(values[0]))
        elif address == "/record/format":
            for form, button in self.formats.items():
                button.light(form == str(values[0]))
        elif address == "/record/folder":
            if not self.folder.hasFocus():
                self.folder.setText(str(values[0]))
            self._values[address] = str(values[0])
        elif address in ("/record/seconds", "/record/lost"):
            self._values[address] = float(values[0])
        elif address in ("/record/state", "/record/take"):
            self._values[address] = str(values[0])
        else:
            return False
        self._show()
        return True

    def tick(self) -> None:
        """Let go back what the host did not confirm."""
        for latch in (self.button, *self.kinds.values()):
            latch.tick()

    def _show(self) -> None:
        state = str(self._values.get("/record/state", "off"))
        seconds, lost = float(self._values.get("/record/seconds", 0.0)), float(self._values.get("/record/lost", 0.0))
        recording, finishing = state == "recording", state == "finishing"
        time = clock_text(seconds, 0)
        self.button.show_words(time if recording else f"FINISHING  {time}" if finishing else "RECORD")
        words = {"off": "ready", "recording": "recording", "finishing": "the files are being finished"}.get(state, state)
        if lost > 0.0:
            words += f" · {lost:.1f} s lost: the disk is too slow"
        colours = self.state.palette()
        bad = lost > 0.0 or state.startswith("stopped")
        colours.setColor(QtGui.QPalette.ColorRole.WindowText, WARNING if bad else CAUTION if finishing else RED if recording else DIM)
        self.state.setPalette(colours)
        self.state.setText(words)
        colours.setColor(QtGui.QPalette.ColorRole.WindowText, TEXT)
        self.take.setPalette(colours)
        # A path breaks where its folders do.
        self.take.setText(str(self._values.get("/record/take", "")).replace("/", "/\u200b") or "none yet")
        told = f"● {time}" if recording else "● …" if finishing else ""
        if told != self._told:
            self._told = told
            self.going.emit(told)

    def _send_folder(self) -> None:
        self.say.emit("/record/folder", self.folder.text().strip())
        self.folder.clearFocus()
        self.window().setFocus()

    def _leave_folder(self) -> None:
        # What was typed and not sent is not what holds.
        if not self.folder.hasFocus() and self.folder.text().strip() != self._values.get("/record/folder", ""):
            QtCore.QTimer.singleShot(1000, self, lambda: self.folder.hasFocus() or self.folder.setText(
                str(self._values.get("/record/folder", ""))))

    def _choose_folder(self) -> None:
        chosen = QtWidgets.QFileDialog.getExistingDirectory(self.window(), "Folder for takes", self.folder.text())
        if chosen:
            self.folder.setText(chosen)
            self._send_folder()
