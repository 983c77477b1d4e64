"""The page of choices that change what runs while the music plays: latency mode, run, separator, block."""

from __future__ import annotations

from dataclasses import dataclass

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Button, Latch
from gui.palette import CAUTION, DIM, GROUND, INK, LINE, NEUTRAL, RAISED, TEXT, fitted_font, font, mixed

RUNS = {"single": "one pass under the condition", "stems": "every stem by itself, mixed by its gain"}
BLOCKS = (64, 128, 256, 512, 1024, 2048)
MODE_HELP = {
    "safe": "the longest time to compute", "low": "half of it", "lower": "less still", "extreme": "as little as it gets",
}


@dataclass
class Prediction:
    """What the host tells of a latency mode: added delay in ms, load as a share, quality in dB; None where it is silent."""

    mode: str
    offered: bool = False
    delay: float | None = None
    load: float | None = None
    quality: float | None = None

    @property
    def cells(self) -> tuple[str, str, str]:
        """Delay, load and quality as a person reads them; a dash for what is not told."""
        return (
            "–" if self.delay is None else f"{self.delay:.1f} ms",
            "–" if self.load is None else f"{100 * self.load:.0f} %",
            "–" if self.quality is None else f"{self.quality:.1f} dB",
        )


class ModeButton(Button):
    """A row of the table of modes: its name and what the host predicts of it."""

    def __init__(self, prediction: Prediction) -> None:
        super().__init__(prediction.mode, NEUTRAL)
        self.prediction = prediction
        self.asked = False

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        label, unit = self.text(), self._unit
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        frame = QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit)
        fill = self._colour if self.lit else RAISED
        if self.isDown():
            fill = mixed(fill, GROUND, 0.75)
        painter.setPen(_frame_pen(self, self.asked, unit))
        painter.setBrush(fill)
        painter.drawRoundedRect(frame, 7 * unit, 7 * unit)
        ink = INK if self.lit else TEXT
        painter.setPen(ink)
        for text, (left, right), bold in zip((label, *self.prediction.cells), columns(frame.width()), (True, False, False, False), strict=True):
            box = QtCore.QRectF(frame.left() + left, frame.top(), right - left, frame.height())
            side = QtCore.Qt.AlignmentFlag.AlignLeft if bold else QtCore.Qt.AlignmentFlag.AlignRight
            painter.setFont(fitted_font(text, box.width(), 19 * unit, bold=bold))
            painter.drawText(box, side | QtCore.Qt.AlignmentFlag.AlignVCenter, text)


class ChoiceButton(Button):
    """A button that is lit for what runs, and framed from the press until the host has carried it out."""

    def __init__(self, label: str) -> None:
        super().__init__(label, NEUTRAL, pixels=18)
        self.asked = False

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        super().paintEvent(event)
        if self.asked:
            painter = QtGui.QPainter(self)
            painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
            painter.setPen(_frame_pen(self, True, self._unit))
            unit = self._unit
            painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit), 7 * unit, 7 * unit)


class Caption(QtWidgets.QWidget):
    """A dim line of text, or the heads of columns: `cells` are spread like those of the table of modes."""

    def __init__(self, *cells: str) -> None:
        super().__init__()
        self.cells = cells
        self._unit = 1.0

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(20 * unit))
        self.update()

    def show_cells(self, *cells: str) -> None:
        """Write other `cells`."""
        if cells != self.cells:
            self.cells = cells
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setPen(DIM)
        painter.setFont(font(15 * self._unit))
        if len(self.cells) == 1:
            painter.setFont(fitted_font(self.cells[0], self.width() - 2 * self._unit, 15 * self._unit))
            painter.drawText(self.rect(), QtCore.Qt.AlignmentFlag.AlignVCenter, self.cells[0])
            return
        for index, (text, (left, right)) in enumerate(zip(self.cells, columns(self.width()), strict=True)):
            box = QtCore.QRectF(left, 0, right - left, self.height())
            side = QtCore.Qt.AlignmentFlag.AlignRight if index else QtCore.Qt.AlignmentFlag.AlignLeft
            painter.drawText(box, side | QtCore.Qt.AlignmentFlag.AlignVCenter, text)


def columns(width: float) -> list[tuple[float, float]]:
    """Return left and right edges of name, delay, load and quality in a row `width` wide."""
    edges = (0.03, 0.27, 0.53, 0.72, 0.97)
    return [(edges[i] * width, edges[i + 1] * width) for i in range(4)]


def _frame_pen(button: Button, asked: bool, unit: float) -> QtGui.QPen:
    if asked:
        return QtGui.QPen(CAUTION, 3 * unit, QtCore.Qt.PenStyle.DashLine)
    return QtGui.QPen(button._colour if button.lit else LINE, 1.5 * unit)


class Choosers(QtWidgets.QWidget):
    """The choices, what runs lit, what was asked for and does not run yet framed.

    `say(address, value)` fires for what a hand chooses. The host answers by the value itself, by /notice, or by
    /error, which stands below until the next one.
    """

    say = QtCore.Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.modes: dict[str, ModeButton] = {}
        self.runs = {run: self._choice("/run", run, run, f"{run}: {what}.") for run, what in RUNS.items()}
        self.blocks = {
            size: self._choice("/block", size, str(size), f"The device asks for {size} samples at once.") for size in BLOCKS
        }
        self.models: dict[str, ChoiceButton] = {}
        self.auto = Latch("AUTO STEP", NEUTRAL, pixels=18)
        self.auto.setToolTip("Steps to a mode that costs less after repeated misses, and back.\n/mode/auto")
        self.auto.switched.connect(lambda on: self.say.emit("/mode/auto", int(on)))
        self.answer = QtWidgets.QLabel()
        self._captions = {
            "mode": Caption("mode", "delay", "load", "quality"), "run": Caption("run"), "model": Caption("separator"),
            "block": Caption("block"),
        }
        self._predictions: dict[str, Prediction] = {}
        self._now: dict[str, object] = {}
        self._asked: dict[str, object] = {}
        self._notice = ""
        self._rate = 0
        self._unit = 1.0
        self._build()

    def _build(self) -> None:
        self.answer.setWordWrap(True)
        self.answer.setAlignment(QtCore.Qt.AlignmentFlag.AlignTop | QtCore.Qt.AlignmentFlag.AlignLeft)
        self.answer.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Ignored)
        self.answer.setToolTip("What the host last said of it.\n/notice, /error")
        self._rows = QtWidgets.QVBoxLayout()
        self._models = QtWidgets.QGridLayout()
        run, block = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        for button in (*self.runs.values(), self.auto):
            run.addWidget(button, 1)
        for button in self.blocks.values():
            block.addWidget(button, 1)
        self._lines = (run, block, self._models, self._rows)
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        for name, layout in (("mode", self._rows), ("run", run), ("model", self._models), ("block", block)):
            self._column.addWidget(self._captions[name])
            self._column.addLayout(layout)
        self._column.addWidget(self.answer, 1)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        for layout in self._lines:
            layout.setSpacing(round(4 * unit))
        self._column.setSpacing(round(3 * unit))
        for caption in self._captions.values():
            caption.rescale(unit)
        for button in (*self.modes.values(), *self.runs.values(), self.auto, *self.models.values(), *self.blocks.values()):
            self._scale(button)
        self.answer.setFont(font(16 * unit))
        colours = self.answer.palette()
        colours.setColor(QtGui.QPalette.ColorRole.WindowText, TEXT)
        self.answer.setPalette(colours)

    def hear(self, address: str, values: tuple) -> None:
        """Take a message of the host; those that are none of this page's are ignored."""
        parts = address.split("/")
        if len(parts) == 4 and parts[1] == "mode" and parts[3] in ("offered", "delay", "load", "quality"):
            self._predict(parts[2], parts[3], values[0])
        elif address == "/models":
            self._offer([str(value) for value in values])
        elif address in ("/mode", "/run", "/model", "/block"):
            self._run(address, int(values[0]) if address == "/block" else str(values[0]))
        elif address == "/mode/auto":
            self.auto.hear(bool(values[0]))
        elif address == "/rate":
            self._rate = int(values[0])
            self._show_block()
        elif address == "/notice" and any(values) and str(values[0]) != self._notice:
            # It comes again with every subscription.
            self._notice = str(values[0])
            self._tell(self._notice)
        elif address == "/error" and len(values) > 1 and str(values[0]) in self._asked:
            del self._asked[str(values[0])]
            self._tell(str(values[1]))

    def tick(self) -> None:
        """Let a switch go back that the host did not confirm."""
        self.auto.tick()

    def _predict(self, mode: str, end: str, value: float) -> None:
        prediction = self._predictions.setdefault(mode, Prediction(mode))
        setattr(prediction, end, bool(value) if end == "offered" else float(value))
        if prediction.offered and mode not in self.modes:
            button = ModeButton(prediction)
            button.setToolTip(
                f"Latency mode {mode}: {MODE_HELP.get(mode, 'as the separator has it')}. Predicted on this machine: "
                f"added delay, load, and quality where it is known.\n/mode {mode}"
            )
            button.clicked.connect(lambda: self._ask("/mode", mode))
            self.modes[mode] = button
            self._rows.insertWidget([m for m in self._predictions if m in self.modes].index(mode), button)
            self._scale(button)
            self._show()
        elif not prediction.offered and mode in self.modes:
            self.modes.pop(mode).deleteLater()
        elif mode in self.modes:
            self.modes[mode].update()

    def _offer(self, names: list[str]) -> None:
        if names == list(self.models):
            return
        for button in self.models.values():
            self._models.removeWidget(button)
            button.deleteLater()
        self.models = {}
        across = 2 if len(names) <= 4 else 3
        for index, name in enumerate(names):
            self.models[name] = self._choice(
                "/model", name, name, f"Separator {name}: takes over while the music plays, where it has the same stems.")
            self._models.addWidget(self.models[name], index // across, index % across)
            self._scale(self.models[name])
        self._show()

    def _choice(self, address: str, value: object, label: str, help: str) -> ChoiceButton:
        button = ChoiceButton(label)
        button.setToolTip(f"{help}\n{address} {value}")
        button.clicked.connect(lambda: self._ask(address, value))
        return button

    def _ask(self, address: str, value: object) -> None:
        if self._now.get(address) != value:
            self._asked[address] = value
        else:
            self._asked.pop(address, None)
        self._show()
        self.say.emit(address, value)

    def _run(self, address: str, value: object) -> None:
        self._now[address] = value
        if self._asked.get(address) == value:
            del self._asked[address]
        self._show()

    def _tell(self, words: str) -> None:
        # Whatever it says, the host has dealt with what was asked.
        self._asked.clear()
        self.answer.setText(words)
        self._show()

    def _show(self) -> None:
        groups: tuple[tuple[str, dict], ...] = (
            ("/mode", self.modes), ("/run", self.runs), ("/model", self.models), ("/block", self.blocks))
        for address, buttons in groups:
            for value, button in buttons.items():
                button.light(self._now.get(address) == value)
                button.asked = self._asked.get(address) == value
                button.update()
        self._show_block()

    def _show_block(self) -> None:
        block = self._now.get("/block")
        each = f" = {1000 * block / self._rate:.1f} ms" if block and self._rate else ""
        self._captions["block"].show_cells(f"block of the device: {block} samples{each}" if block else "block of the device")

    def _scale(self, button: Button) -> None:
        button.rescale(self._unit)
        button.setFixedHeight(round(34 * self._unit))
