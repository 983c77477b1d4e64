"""The page of the sound device and of what is played: chosen while the music plays, with the delay to expect."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Button
from gui.choosers import Caption, ChoiceButton
from gui.palette import CAUTION, DIM, GROUND, LINE, NEUTRAL, PANEL, RAISED, TEXT, font, mixed

SOURCES = {
    "input": ("INPUT", "The device's own input is separated."),
    "demo": ("DEMO SONG", "The demo song is played, round and round."),
    "deck": ("DECK", "A deck of files is played."),
}
ENDS = (("in", "input"), ("out", "output"))


@dataclass(frozen=True)
class Device:
    """A device as the host describes it: channels and delay in ms of each end, "in" and "out", and its rate in Hz."""

    name: str
    channels: dict[str, int]
    delay: dict[str, float]
    rate: int
    usual: tuple[str, ...] = field(default=())

    @property
    def title(self) -> str:
        """The name without its host API."""
        return self.name.rpartition(", ")[0] or self.name

    @property
    def api(self) -> str:
        """The host API alone."""
        return self.name.rpartition(", ")[2]


def devices_of(text: str) -> list[Device]:
    """Return the devices that the host's JSON lists; entries that do not fit are left out. Raises ValueError for no list."""
    entries = json.loads(text) if text else []
    if not isinstance(entries, list):
        raise ValueError("the devices are no list")
    found = []
    for entry in entries:
        try:
            delay = {end: float(entry[f"{end}_ms"]) for end, _ in ENDS}
            channels = {end: int(entry[end]) for end, _ in ENDS}
            usual = tuple(str(end) for end in entry.get("usual", ()))
            if all(map(math.isfinite, delay.values())):
                found.append(Device(str(entry["name"]), channels, delay, int(entry["rate"]), usual))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            continue
    return found


class DevicePage(QtWidgets.QWidget):
    """Source, input and output; what plays is marked, and what is chosen is used at the press of USE.

    `say(address, *values)` fires for what a hand does, with the values as a tuple. The host answers by /device, /notice or /error.
    """

    say = QtCore.Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.devices: list[Device] = []
        self.sources = {name: ChoiceButton(label) for name, (label, _) in SOURCES.items()}
        self.lists = {end: DeviceList(end) for end, _ in ENDS}
        self.use = Button("USE", NEUTRAL, pixels=18)
        self.usual = Button("USUAL", NEUTRAL, pixels=18)
        self.none = Button("NONE", NEUTRAL, pixels=18)
        self.look = Button("LOOK AGAIN", NEUTRAL, pixels=18)
        self.prediction = Caption("")
        self.answer = QtWidgets.QLabel()
        self._captions = {"source": Caption("what is played"), **{end: Caption(word) for end, word in ENDS}}
        self._heard: dict[str, tuple] = {}
        self._notice = ""
        self._asked = self._asked_source = ""
        self._looked = self._found = False
        self._build()

    def _build(self) -> None:
        for name, button in self.sources.items():
            button.setToolTip(f"{SOURCES[name][1]}\n/source {name}")
            button.clicked.connect(lambda _=False, name=name: self._choose_source(name))
        for end, word in ENDS:
            self.lists[end].setToolTip(
                f"The {word}s at hand; a double click uses one at once. What plays is marked.\n/device/list, /device/select")
            self.lists[end].itemDoubleClicked.connect(lambda _: self._use())
            self.lists[end].currentRowChanged.connect(lambda _, end=end: self._pick(end))
        self.use.setToolTip("Go on with the chosen input and output. What plays now is kept until the other is ready, and where it "
                            "refuses.\n/device/select")
        self.usual.setToolTip("Go on with what the system takes for the usual device.\n/device/select")
        self.none.setToolTip("Go on without a sound device: on the clock alone, unheard.\n/device/select null")
        self.look.setToolTip("Look which devices there are by now.\n/device/look")
        self.use.clicked.connect(lambda: self._use())
        self.usual.clicked.connect(lambda: self._select())
        self.none.clicked.connect(lambda: self._select("null"))
        self.look.clicked.connect(lambda: self.say.emit("/device/look", ()))
        self.answer.setWordWrap(True)
        self.answer.setAlignment(QtCore.Qt.AlignmentFlag.AlignTop | QtCore.Qt.AlignmentFlag.AlignLeft)
        self.answer.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self.answer.setToolTip("What the host last said of it.\n/notice, /error")
        source, act = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        for button in self.sources.values():
            source.addWidget(button, 1)
        for button, share in ((self.use, 4), (self.usual, 4), (self.none, 4), (self.look, 5)):
            act.addWidget(button, share)
        self._lines = (source, act)
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self._captions["source"])
        self._column.addLayout(source)
        for end, _ in ENDS:
            self._column.addWidget(self._captions[end])
            self._column.addWidget(self.lists[end], 1)
        self._column.addWidget(self.prediction)
        self._column.addLayout(act)
        self._column.addWidget(self.answer)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._column.setSpacing(round(3 * unit))
        for line in self._lines:
            line.setSpacing(round(4 * unit))
        for caption in (*self._captions.values(), self.prediction):
            caption.rescale(unit)
        for button in (*self.sources.values(), self.use, self.usual, self.none, self.look):
            button.rescale(unit)
            button.setFixedHeight(round(34 * unit))
        for each in self.lists.values():
            each.rescale(unit)
        self.answer.setFont(font(16 * unit))
        self.answer.setFixedHeight(round(44 * unit))
        colours = self.answer.palette()
        colours.setColor(QtGui.QPalette.ColorRole.WindowText, TEXT)
        self.answer.setPalette(colours)

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        super().showEvent(event)
        if not self._looked:
            self._looked = True
            self.say.emit("/device/look", ())

    def hear(self, address: str, values: tuple) -> None:
        """Take a message of the host; those that are none of this page's are ignored."""
        if address == "/device/list":
            self.devices, self._found = devices_of(str(values[0])), bool(values[0])
            for end, each in self.lists.items():
                each.fill([device for device in self.devices if device.channels[end] > 0])
            self._mark()
        elif address in ("/device", "/source", "/telemetry/latency/ms", "/telemetry/load", "/rate"):
            # Every subscription brings what is known already.
            changed = self._heard.get(address) != values
            self._heard[address] = values
            if address == "/device":
                self._asked = "" if changed else self._asked
                self._mark()
            if address == "/source":
                self._asked_source = "" if changed else self._asked_source
                self._show_source()
            self._predict()
        elif address == "/notice" and any(values) and str(values[0]) != self._notice:
            # It comes again with every subscription.
            self._notice = str(values[0])
            self._tell(self._notice)
        elif address == "/error" and len(values) > 1 and str(values[0]) in ("/device/select", "/source", "/device/look"):
            self._tell(str(values[1]))

    @property
    def playing(self) -> dict[str, str]:
        """The names of the input and the output that play, as far as the host tells."""
        name = str(self._heard.get("/device", ("",))[0])
        first, arrow, second = name.partition(" -> ")
        return {"in": first, "out": second if arrow else first}

    def _mark(self) -> None:
        for end, name in self.playing.items():
            self.lists[end].mark(name)
        waits = bool(self._asked)
        for each in self.lists.values():
            each.ask(waits)
        self._predict()

    def _show_source(self) -> None:
        source = str(self._heard.get("/source", ("",))[0])
        for name, button in self.sources.items():
            button.light(name == source)
            button.asked = name == self._asked_source
            button.update()
        known = source in SOURCES or not source
        self._captions["source"].show_cells("what is played" if known else f"what is played: {source.rpartition('/')[2]}")

    def _pick(self, end: str) -> None:
        # A device that has both ends is meant with both, as a rule.
        chosen, other = self.lists[end].chosen, "in" if end == "out" else "out"
        if chosen is not None and chosen.channels[other] > 0 and self.lists[other].chosen is not chosen:
            self.lists[other].choose(chosen)
        self._predict()

    def _predict(self) -> None:
        added = self._heard.get("/telemetry/latency/ms", (None,))[0]
        load = self._heard.get("/telemetry/load", (None,))[0]
        ends = [self.lists[end].chosen or self.lists[end].playing for end, _ in ENDS]
        if added is None or not all(ends):
            self.prediction.show_cells("choose an input and an output" if self.devices else "no sound device is at hand" if self._found
                                       else "looking for devices…")
            return
        delays = [device.delay[end] for device, (end, _) in zip(ends, ENDS, strict=True)]
        words = f"about {added + sum(delays):.0f} ms: {added:.1f} added, {delays[0]:.1f} in, {delays[1]:.1f} out"
        words += f" · load {100 * load:.0f} %" if load is not None else ""
        self.prediction.show_cells(words)

    def _choose_source(self, name: str) -> None:
        self._asked_source = name if self._heard.get("/source", ("",))[0] != name else ""
        self._show_source()
        self.say.emit("/source", (name,))

    def _use(self) -> None:
        names = [chosen.name for chosen in (self.lists[end].chosen for end, _ in ENDS) if chosen is not None]
        if names:
            self._select(*(names if len(set(names)) > 1 else names[:1]))

    def _select(self, *names: str) -> None:
        self._asked = names[0] if names else "usual"
        self._mark()
        self._tell("")
        self.say.emit("/device/select", names)

    def _tell(self, words: str) -> None:
        self.answer.setText(words)
        if words:
            # Whatever it says, the host has dealt with what was asked.
            self._asked = self._asked_source = ""
            self._mark()
            self._show_source()


class DeviceList(QtWidgets.QListWidget):
    """The devices that have one `end`, "in" or "out", a line each: the one that plays marked, the chosen one on a ground."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.end = end
        self.devices: list[Device] = []
        self._playing = ""
        self._asked = False
        self._unit = 1.0
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    @property
    def chosen(self) -> Device | None:
        """The device that a hand has chosen."""
        row = self.currentRow()
        return self.devices[row] if 0 <= row < len(self.devices) else None

    @property
    def playing(self) -> Device | None:
        """The device that plays, where it is on the list."""
        return next((device for device in self.devices if self._plays(device)), None)

    def fill(self, devices: list[Device]) -> None:
        """List `devices`; what was chosen stays chosen where it is there still."""
        before = self.chosen
        self.devices = devices
        self.blockSignals(True)
        self.clear()
        for device in devices:
            item = QtWidgets.QListWidgetItem("")
            item.setToolTip(self._help(device))
            self.addItem(item)
        self.blockSignals(False)
        self.choose(next((device for device in devices if before is not None and device.name == before.name), None))

    def choose(self, device: Device | None) -> None:
        """Choose `device`, without a word to anybody."""
        self.blockSignals(True)
        self.setCurrentRow(self.devices.index(device) if device in self.devices else -1)
        self.blockSignals(False)
        self.viewport().update()

    def mark(self, name: str) -> None:
        """Mark the device called `name`, which plays."""
        self._playing = name
        self.viewport().update()

    def ask(self, asked: bool) -> None:
        """Frame the chosen device until the host has carried out the choice."""
        self._asked = asked
        self.viewport().update()

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFont(font(18 * unit))
        self.setStyleSheet(
            f"QListWidget {{ background: {PANEL.name()}; border: {max(1, round(unit))}px solid {LINE.name()};"
            f" border-radius: {round(8 * unit)}px; outline: 0; }}"
            f"QListWidget::item {{ height: {round(30 * unit)}px; }}"
            f"QListWidget::item:selected, QListWidget::item:hover {{ background: {RAISED.name()}; }}"
            f"QScrollBar:vertical {{ width: {round(8 * unit)}px; background: {PANEL.name()}; }}"
            f"QScrollBar::handle {{ background: {LINE.name()}; border-radius: {round(4 * unit)}px; }}"
            "QScrollBar::add-line, QScrollBar::sub-line { height: 0; }")

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QtGui.QPainter(self.viewport())
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit, middle = self._unit, QtCore.Qt.AlignmentFlag.AlignVCenter
        if not self.devices:
            painter.setPen(DIM)
            painter.setFont(font(16 * unit))
            painter.drawText(self.viewport().rect(), QtCore.Qt.AlignmentFlag.AlignCenter,
                             "no input is at hand" if self.end == "in" else "no output is at hand")
            return
        for row, device in enumerate(self.devices):
            box = QtCore.QRectF(self.visualItemRect(self.item(row))).adjusted(10 * unit, 0, -10 * unit, 0)
            if box.bottom() < 0 or box.top() > self.viewport().height():
                continue
            plays, chosen = self._plays(device), row == self.currentRow()
            if plays:
                painter.setPen(QtCore.Qt.PenStyle.NoPen)
                painter.setBrush(TEXT)
                painter.drawEllipse(QtCore.QPointF(box.left() + 5 * unit, box.center().y()), 5 * unit, 5 * unit)
            if chosen:
                painter.setBrush(QtCore.Qt.BrushStyle.NoBrush)
                dash = QtCore.Qt.PenStyle.DashLine if self._asked else QtCore.Qt.PenStyle.SolidLine
                painter.setPen(QtGui.QPen(CAUTION if self._asked else mixed(TEXT, GROUND, 0.5), 2 * unit, dash))
                painter.drawRoundedRect(box.adjusted(-7 * unit, 2 * unit, 7 * unit, -2 * unit), 6 * unit, 6 * unit)
            usual = "usual · " if self.end in device.usual else ""
            api = f"{device.api} · " if len({each.api for each in self.devices}) > 1 else ""
            words = f"{usual}{api}{device.channels[self.end]} ch · {device.rate / 1000:g} kHz · {device.delay[self.end]:.1f} ms"
            painter.setPen(DIM)
            painter.setFont(font(15 * unit))
            wide = painter.fontMetrics().horizontalAdvance(words)
            painter.drawText(box, QtCore.Qt.AlignmentFlag.AlignRight | middle, words)
            painter.setPen(TEXT if plays or chosen else mixed(TEXT, GROUND, 0.82))
            painter.setFont(font(18 * unit, bold=plays))
            room = box.adjusted(18 * unit, 0, -wide - 10 * unit, 0)
            title = painter.fontMetrics().elidedText(device.title, QtCore.Qt.TextElideMode.ElideRight, int(room.width()))
            painter.drawText(room, middle, title)

    def _plays(self, device: Device) -> bool:
        return bool(self._playing) and device.title == self._playing

    def _help(self, device: Device) -> str:
        end = "input" if self.end == "in" else "output"
        return (f"{device.name}: {device.channels[self.end]} channels of {end}, {device.rate} Hz, delays by "
                f"{device.delay[self.end]:.1f} ms by its own account.\n/device/select {device.name}")
