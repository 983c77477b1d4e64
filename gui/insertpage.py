"""The page of inserts: the plugins on the master and on each stem, passed by, turned, put in and taken out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Button, Latch
from gui.filechooser import choose_plugin
from gui.law import percent_text
from gui.palette import CAUTION, DIM, GOOD, GROUND, LINE, NEUTRAL, PANEL, WARNING, font
from gui.slider import Slider

ADDRESS = re.compile(r"/insert/([^/]+)/(?:(misses)|(\d+)/(plugin|bypass|state|param/(\d+)(?:/(name|str))?))")
NUMBER = re.compile(r"-?\d+\.\d+")
# More than the protocol tells of.
MOST_SLOTS, MOST_PARAMETERS = 8, 64
BESIDE = 260
HOW = "Drag sideways, shift for fine, double click for what it was at first."


def _short(number: float) -> str:
    """Return `number` with four digits, or with all those before the point."""
    places = max(0, 3 - len(str(int(abs(number)))) + (abs(number) < 1.0))
    return f"{number:.{places}f}".rstrip("0").rstrip(".") if places else f"{number:.0f}"


@dataclass
class Knob:
    """A parameter as the host tells it: `value` 0..1, None before it is told."""

    name: str = ""
    value: float | None = None
    text: str = ""


@dataclass
class Slot:
    """What stands in a slot."""

    path: str = ""
    bypass: bool = False
    state: str = "off"
    knobs: dict[int, Knob] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the plugin's file is called, without its ending."""
        return PureWindowsPath(self.path).stem

    @property
    def turned(self) -> tuple[int, ...]:
        """The parameters that can be turned."""
        return tuple(number for number, knob in sorted(self.knobs.items()) if knob.name and knob.value is not None)


class KnobSlider(Slider):
    """A slider that shows what the plugin says of its value."""

    words = ""

    @property
    def text(self) -> str:
        return (self.words if self.echo.following else "") or self._reader(self.value)

    def say_words(self, words: str) -> None:
        """Write `words`, their numbers with as many digits as are read at a glance."""
        self.words = NUMBER.sub(lambda found: _short(float(found[0])), words)
        self.update()


class InsertPage(QtWidgets.QWidget):
    """The slots that the host tells of, one in full. `say(address, value)` fires for what a hand does, `opened()` when the
    page has been built anew. `local` says that the host's disks are this machine's."""

    say = QtCore.Signal(str, object)
    opened = QtCore.Signal()

    def __init__(self, local: bool = True, choose: Callable[[QtWidgets.QWidget, str], str] = choose_plugin) -> None:
        super().__init__()
        self.slots: dict[tuple[str, int], Slot] = {}
        self.misses: dict[str, int] = {}
        self.chosen: tuple[str, int] | None = None
        self.targets: dict[str, Button] = {}
        self.places: dict[int, Button] = {}
        self.knobs: dict[int, KnobSlider] = {}
        self.bypass = Latch("BYPASS", WARNING, pixels=18)
        self.load = Button("LOAD…", NEUTRAL, pixels=18)
        self.remove = Button("REMOVE", NEUTRAL, pixels=18)
        self.state = QtWidgets.QLabel()
        self._colours: dict[str, QtGui.QColor] = {}
        self._stems: list[str] = []
        self._choose_plugin = choose
        self._stale = False
        # Until a hand has chosen, what has a plugin is shown, whatever comes when.
        self._by_hand = False
        self._built: tuple = ()
        self._said: tuple = ()
        self._unit = 1.0
        self._build(local)

    def _build(self, local: bool) -> None:
        self.bypass.switched.connect(lambda on: self._say("bypass", int(on)))
        self.remove.clicked.connect(lambda: self._say("plugin", ""))
        self.load.clicked.connect(self._load)
        # A path is one of the host's machine.
        self.load.setVisible(local)
        self.state.setWordWrap(True)
        self.state.setAlignment(QtCore.Qt.AlignmentFlag.AlignTop | QtCore.Qt.AlignmentFlag.AlignLeft)
        self._rows = [QtWidgets.QHBoxLayout() for _ in range(3)]
        for button in (self.bypass, self.load, self.remove):
            self._rows[2].addWidget(button, 1)
        self._body = QtWidgets.QWidget()
        self._grid = QtWidgets.QGridLayout(self._body)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setWidget(self._body)
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setStyleSheet(
            f"QScrollArea, QScrollArea > QWidget > QWidget {{ background: {GROUND.name()}; }}"
            f"QScrollBar:vertical {{ width: 8px; background: {PANEL.name()}; }} QScrollBar::handle {{ background: {LINE.name()}; }}"
            "QScrollBar::add-line, QScrollBar::sub-line { height: 0; }")
        column = self._column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._rows[0])
        column.addLayout(self._rows[1])
        column.addLayout(self._rows[2])
        # Below the buttons: a sentence of two lines moves none from under the hand.
        column.addWidget(self.state)
        column.addWidget(self._scroll, 1)

    def expect(self, stems: Sequence[str], colours: Sequence[QtGui.QColor]) -> None:
        """Stand for `stems` in their `colours`."""
        self._stems, self._colours = list(stems), dict(zip(stems, colours, strict=True))
        self._stale = bool(self.slots)

    def hear(self, address: str, values: tuple) -> bool:
        """Take a message of the host if it is this page's; return whether it was."""
        found = ADDRESS.fullmatch(address)
        if found is None:
            return False
        target, misses, number, what, parameter, more = found.groups()
        if misses:
            self.misses[target] = int(values[0])
            self._stale = True
            return True
        if not 1 <= int(number) <= MOST_SLOTS or not 1 <= int(parameter or 1) <= MOST_PARAMETERS:
            return True
        slot = self.slots.setdefault((target, int(number)), Slot())
        if what == "plugin":
            slot.path = str(values[0])
        elif what == "bypass":
            slot.bypass = bool(values[0])
        elif what == "state":
            slot.state = str(values[0])
        else:
            knob = slot.knobs.setdefault(int(parameter), Knob())
            if more == "name":
                knob.name = str(values[0])
            elif more == "str":
                knob.text = str(values[0])
            else:
                knob.value = float(values[0])
        self._stale = True
        return True

    def tick(self) -> None:
        """Show what has come, and let go back what the host did not confirm."""
        if self._stale and self._stems:
            self._stale = False
            self._show()
        self.bypass.tick()
        for slider in self.knobs.values():
            slider.tick()

    def choose(self, target: str, slot: int) -> None:
        """Show this slot in full."""
        if (target, slot) in self.slots:
            self.chosen, self._by_hand = (target, slot), True
            self._show()

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        for layout in (*self._rows, self._column, self._grid):
            layout.setSpacing(round(4 * unit))
        for button in (*self.targets.values(), *self.places.values(), self.bypass, self.load, self.remove):
            button.rescale(unit)
            button.setFixedHeight(round(36 * unit))
        for slider in self.knobs.values():
            slider.rescale(unit)
            slider.setFixedHeight(round(31 * unit))
        self.state.setFont(font(18 * unit, bold=True))
        self._place()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place()

    def _say(self, what: str, value: float | str) -> None:
        if self.chosen is not None:
            self.say.emit(f"/insert/{self.chosen[0]}/{self.chosen[1]}/{what}", value)

    def _load(self) -> None:
        if self.chosen is not None and (path := self._choose_plugin(self, self.slots[self.chosen].path)):
            self._say("plugin", path)

    def _order(self) -> list[str]:
        """Return the targets as the strips stand, then what else there is: the master."""
        there = {target for target, _ in self.slots}
        return [stem for stem in self._stems if stem in there] + sorted(there.difference(self._stems))

    def _show(self) -> None:
        targets = self._order()
        if not targets:
            return
        if not self._by_hand or self.chosen not in self.slots:
            used = [place for place, slot in self.slots.items() if slot.path]
            self.chosen = min(used, key=lambda place: (targets.index(place[0]), place[1]), default=(targets[0], 1))
        target, number = self.chosen
        slot = self.slots.get(self.chosen) or self.slots.setdefault(self.chosen, Slot())
        built = (tuple(targets), self.chosen, slot.path, slot.turned, tuple(sorted(n for t, n in self.slots if t == target)))
        if built != self._built:
            self._built = built
            self._rebuild(targets, slot)
        for name, button in self.targets.items():
            full = any(self.slots[place].path for place in self.slots if place[0] == name)
            button.setText(f"{name} •" if full else name)
            button.light(name == target)
        for at, button in self.places.items():
            button.setText(f"{at}  {self.slots[target, at].name or 'empty'}")
            button.light(at == number)
        self.bypass.hear(slot.bypass)
        for button in (self.bypass, self.remove):
            button.setVisible(bool(slot.path))
        for at, slider in self.knobs.items():
            slider.hear(float(slot.knobs[at].value or 0.0))
            slider.say_words(slot.knobs[at].text)
        self._show_state(slot, self.misses.get(target, 0))

    def _show_state(self, slot: Slot, misses: int) -> None:
        words = slot.state if slot.path else "no plugin here: LOAD puts one in, while the music plays"
        if slot.path and misses:
            words += f"  ·  hops that came back too late: {misses}"
        if slot.path and slot.bypass and slot.state == "running":
            words = f"passed by  ·  {words}"
        colour = DIM if not slot.path else WARNING if slot.state.startswith("failed") else (
            GOOD if slot.state == "running" and not slot.bypass else CAUTION)
        if (words, colour) != self._said:
            self._said = (words, colour)
            self.state.setText(words)
            ink = QtGui.QPalette()
            ink.setColor(QtGui.QPalette.ColorRole.WindowText, colour)
            self.state.setPalette(ink)

    def _rebuild(self, targets: Sequence[str], slot: Slot) -> None:
        for old in (*self.targets.values(), *self.places.values(), *self.knobs.values()):
            old.setParent(None)
            old.deleteLater()
        target, number = self.chosen or ("", 0)
        base = f"/insert/{target}/{number}"
        colour = self._colours.get(target, NEUTRAL)
        self.targets = {name: Button(name, self._colours.get(name, NEUTRAL), pixels=17) for name in targets}
        for name, button in self.targets.items():
            button.setToolTip(f"Plugins on {name}; a dot says that there are some.\n/insert/{name}/1/plugin")
            button.clicked.connect(lambda _=False, name=name: self.choose(name, 1))
            self._rows[0].addWidget(button, 1)
        self.places = {at: Button("", colour, pixels=17) for name, at in sorted(self.slots) if name == target}
        for at, button in self.places.items():
            button.setToolTip(f"Slot {at} of {target}: slots come one after the other, before the stem's fader; the master's last of all."
                              f"\n/insert/{target}/{at}/plugin")
            button.clicked.connect(lambda _=False, at=at: self.choose(target, at))
            self._rows[1].addWidget(button, 1)
        self.bypass.setToolTip(f"Lets the sound past this plugin, as late as through it.\n{base}/bypass")
        self.load.setToolTip(f"Choose a plugin (VST3, on macOS also Audio Units) for this slot, in place of the one in it.\n{base}/plugin")
        self.remove.setToolTip(f"Takes the plugin out. The delay that it made goes with the last one.\n{base}/plugin")
        self.state.setToolTip(f"What becomes of the plugin.\n{base}/state, /insert/{target}/misses")
        self.knobs = {}
        for at in slot.turned:
            knob = slot.knobs[at]
            slider = KnobSlider(float(knob.value or 0.0), percent_text, colour, knob.name)
            slider.setToolTip(f"{knob.name}. {HOW}\n{base}/param/{at}")
            slider.setAccessibleName(knob.name)
            slider.moved.connect(lambda value, at=at: self._say(f"param/{at}", float(value)))
            self.knobs[at] = slider
        self.rescale(self._unit)
        self.opened.emit()

    def _place(self) -> None:
        across = max(1, min(2, int(self.width() / (BESIDE * self._unit))))
        for slider in self.knobs.values():
            self._grid.removeWidget(slider)
        for index, slider in enumerate(self.knobs.values()):
            self._grid.addWidget(slider, index // across, index % across)
        for row in range(self._grid.rowCount()):
            self._grid.setRowStretch(row, 0)
        self._grid.setRowStretch(-(-len(self.knobs) // across), 1)
