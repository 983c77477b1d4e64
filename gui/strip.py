"""Channel strips: one for each stem, and the plain ones for the remainder and the wet amount."""

from __future__ import annotations

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.attention import Attention
from gui.button import Latch
from gui.fader import Fader
from gui.keys import MUTE_KEYS, SOLO_KEYS
from gui.meter import Meter
from gui.palette import DIM, INK, LINE, MUTE, NEUTRAL, PANEL, SOLO, TEXT, fitted_font, mixed

FADER_HELP = "Drag to move, shift for fine, double click for {home}, wheel or arrow keys to step."
# In a strip narrower than this, in design pixels, a long name is cut.
NARROW, SHORT = 80, {"remainder": "rest"}
NO_METER = "no meter in single"
NO_METER_HELP = "Run as single, the separator makes one sound for all stems: there is no level of each stem to show."


class Plate(QtWidgets.QWidget):
    """The head of a strip: a large name and the fader's read-out, filled with colour while it can be heard."""

    def __init__(self, name: str, colour: QtGui.QColor, reading: str) -> None:
        super().__init__()
        self.name = name
        self.reading = reading
        self.note = ""
        self.lit = True
        self._colour = colour
        self._unit = 1.0
        self.setAccessibleName(name)

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.setFixedHeight(round(84 * unit))
        self.update()

    def show_state(self, reading: str, lit: bool, note: str) -> None:
        """Show the read-out and whether the strip is heard; `note` says why it is not."""
        if (reading, lit, note) != (self.reading, self.lit, self.note):
            self.reading, self.lit, self.note = reading, lit, note
            self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        frame = QtCore.QRectF(0, 0, self.width(), 42 * unit)
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(self._colour if self.lit else mixed(self._colour, PANEL, 0.16))
        painter.drawRoundedRect(frame, 7 * unit, 7 * unit)
        painter.setPen(INK if self.lit else mixed(self._colour, PANEL, 0.7))
        centre = QtCore.Qt.AlignmentFlag.AlignCenter
        # What can be read from afar says more than the whole word.
        name = SHORT.get(self.name, self.name) if frame.width() < NARROW * unit else self.name
        painter.setFont(fitted_font(name, frame.width() - 12 * unit, 30 * unit, bold=True))
        painter.drawText(frame, centre, name)
        painter.setPen(TEXT if self.lit else DIM)
        words = (self.note or self.reading).replace("-", "−")
        painter.setFont(fitted_font(words, frame.width(), 25 * unit, bold=True))
        painter.drawText(QtCore.QRectF(0, 46 * unit, self.width(), 36 * unit), centre, words)


class Strip(QtWidgets.QWidget):
    """A named fader on a panel. `say(address, value)` fires for each thing a hand does.

    `address` is the OSC address the fader drives.
    """

    say = QtCore.Signal(str, object)

    def __init__(self, name: str, address: str, fader: Fader, colour: QtGui.QColor, help: str) -> None:
        super().__init__()
        self.name = name
        self.fader = fader
        self.plate = Plate(name, colour, fader.text)
        self.dimmed = False
        self._unit = 1.0
        self._address = address
        home = "0 dB" if fader.text.endswith("dB") else "100 %"
        fader.setToolTip(f"{help}\n{FADER_HELP.format(home=home)}\n{address}")
        fader.setAccessibleName(f"{name} level")
        fader.moved.connect(lambda value: self.say.emit(address, float(value)))
        fader.shown.connect(self.refresh)
        self._column = QtWidgets.QVBoxLayout(self)
        self._row = QtWidgets.QHBoxLayout()
        self._row.addWidget(fader, 1)
        self._column.addWidget(self.plate)
        self._column.addLayout(self._row, 1)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        edge = round(8 * unit)
        self._column.setContentsMargins(edge, edge, edge, edge)
        self._column.setSpacing(round(6 * unit))
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(round(4 * unit))
        self.plate.rescale(unit)
        self.fader.rescale(unit)
        self.update()

    def dim(self, dimmed: bool) -> None:
        """Show that nothing here is heard, because of the bypass."""
        self.dimmed = dimmed
        self.refresh()

    def hear(self, address: str, values: tuple) -> bool:
        """Take a message of the host if it is this strip's; return whether it was."""
        if address == self._address:
            self.fader.hear(float(values[0]))
        elif address == f"{self._address}/str":
            self.fader.hear_text(str(values[0]))
        else:
            return False
        return True

    def tick(self, now: float) -> None:
        """Let time pass; `now` is in seconds."""
        self.fader.tick()

    def refresh(self) -> None:
        """Show the present state."""
        self.plate.show_state(self.fader.text, not self.dimmed and self.fader.value > 0.0, "")
        self.fader.light(not self.dimmed)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        unit = self._unit
        painter.setPen(QtGui.QPen(mixed(LINE, PANEL, 0.6), unit))
        painter.setBrush(PANEL)
        painter.drawRoundedRect(QtCore.QRectF(self.rect()).adjusted(unit, unit, -unit, -unit), 10 * unit, 10 * unit)


class StemStrip(Strip):
    """A stem's strip: fader, meter, solo and mute. `number` from 1 says which keys are its."""

    switched = QtCore.Signal()

    def __init__(self, stem: str, number: int, colour: QtGui.QColor) -> None:
        base = f"/stem/{stem}"
        super().__init__(stem, f"{base}/gain", Fader.gain(colour), colour, f"Level of {stem}.")
        self.meter = Meter(colour)
        self.solo = Latch("SOLO", SOLO, SOLO_KEYS[number - 1 : number])
        self.mute = Latch("MUTE", MUTE, MUTE_KEYS[number - 1 : number])
        self.silenced = False
        self._stem = stem
        self._holding = False
        solo_key, mute_key = SOLO_KEYS[number - 1 : number], MUTE_KEYS[number - 1 : number]
        for latch, word, keys in (
            (self.solo, "solo", f" Key Shift+{solo_key}; {solo_key} for as long as it is held." if solo_key else ""),
            (self.mute, "mute", f" Key {mute_key}." if mute_key else ""),
        ):
            latch.setToolTip(f"{word.capitalize()} {stem}: stays until pressed again.{keys}\n{base}/{word}")
            latch.setAccessibleName(f"{word} {stem}")
            latch.switched.connect(lambda on, word=word: self._switch(f"{base}/{word}", on))
        self.meter.setToolTip(f"Level of {stem}.\n/telemetry/meter/{stem}")
        self.attention = Attention(stem, f"/telemetry/attention/{stem}", colour, height=20)
        self._row.addWidget(self.meter)
        self._column.addWidget(self.attention)
        self._column.addWidget(self.solo)
        self._column.addWidget(self.mute)

    def rescale(self, unit: float) -> None:
        super().rescale(unit)
        self.meter.rescale(unit)
        self.attention.rescale(unit)
        for latch in (self.solo, self.mute):
            latch.rescale(unit)
            latch.setFixedHeight(round(50 * unit))

    def hear(self, address: str, values: tuple) -> bool:
        if super().hear(address, values):
            return True
        if address == f"/stem/{self._stem}/solo":
            self.solo.hear(bool(values[0]))
        elif address == f"/stem/{self._stem}/mute":
            self.mute.hear(bool(values[0]))
        elif address == f"/telemetry/meter/{self._stem}":
            self.meter.hear(float(values[0]), float(values[1]))
            return True
        elif address == self.attention.address:
            self.attention.hear(values)
            return True
        else:
            return False
        self.switched.emit()
        return True

    def tick(self, now: float) -> None:
        super().tick(now)
        before = self.solo.lit, self.mute.lit
        self.solo.tick()
        self.mute.tick()
        self.meter.tick(now)
        if before != (self.solo.lit, self.mute.lit):
            self.switched.emit()

    def hold_solo(self, held: bool) -> None:
        """Solo while `held`, by a key; nothing changes where the solo stays on anyway."""
        if held and not self.solo.lit:
            self._holding = True
            self.solo.switch(True)
        elif not held and self._holding:
            self._holding = False
            self.solo.switch(False)

    def silence(self, silenced: bool) -> None:
        """Show that other stems' solos keep this one silent."""
        self.silenced = silenced
        self.refresh()

    def show_run(self, single: bool) -> None:
        """Hatch the meter in `single`, where no level of one stem exists."""
        if single == self.meter.available:
            self.meter.hide_level(NO_METER if single else "")
            self.meter.setToolTip(NO_METER_HELP if single else f"Level of {self._stem}.\n/telemetry/meter/{self._stem}")
            self.attention.hide()

    @property
    def sounding(self) -> bool:
        """Whether this stem is heard."""
        return not (self.dimmed or self.silenced or self.mute.lit) and self.fader.value > 0.0

    def refresh(self) -> None:
        note = "MUTED" if self.mute.lit else ""
        self.plate.show_state(self.fader.text, self.sounding, note)
        open_ = not (self.dimmed or self.silenced or self.mute.lit)
        self.fader.light(open_)
        # Measured before the fader: bright only where it is heard.
        self.meter.light(self.sounding)
        self.attention.light(open_)

    def _switch(self, address: str, on: bool) -> None:
        self.switched.emit()
        self.say.emit(address, int(on))


def remainder_strip() -> Strip:
    """Return the strip of the remainder: the mixture minus what was taken out of it."""
    words = "Level of the remainder: what is left of the mixture when the stems are taken out."
    return Strip("remainder", "/remainder/gain", Fader.gain(NEUTRAL), NEUTRAL, words)


def wet_strip() -> Strip:
    """Return the strip of the wet amount."""
    return Strip("wet", "/wet", Fader.amount(NEUTRAL), NEUTRAL, "Separated sound against the untouched mixture.")
