"""What moves a control over MIDI, said in its tooltip, and learnt or forgotten from its menu."""

from __future__ import annotations

import re
from collections.abc import Callable

from pyqtgraph.Qt import QtCore, QtWidgets

from gui.palette import LINE, RAISED, TEXT, font

# The last line of a tooltip names what the control sends: an address, and a value behind it where it is always the same.
ADDRESS = re.compile(r"/[!-~]+( .+)?")
# What only tells, or takes no single value, cannot be moved by a knob.
UNMAPPED = ("/telemetry/", "/midi/", "/device", "/condition", "/notice", "/gesture/names", "/gesture/state", "/record/state", "/record/take",
            "/record/folder", "/scene/names")


def address_of(tip: str) -> str | None:
    """Return the address, with its value if one is named, at the end of a tooltip; None where there is none, or several."""
    last = tip.rpartition("\n")[2].strip()
    return last if ADDRESS.fullmatch(last) and ", /" not in last else None


def moved_by(address: str, midi_map: str) -> list[str]:
    """Return what moves `address`, by the host's map: a line each, "cc 7, channel 1 -> /stem/vocals/gain"."""
    found = []
    for line in midi_map.splitlines():
        what, _, control = line.partition(" -> ")
        control = re.sub(r" \((?:value|follow|latch|hold|set)\)$", "", control)
        if control == address or (" " not in address and control.partition(" ")[0] == address):
            found.append(what if control == address else f"{what}: {control.partition(' ')[2]}")
    return found


class MidiHints(QtCore.QObject):
    """Watches the widgets of a window whose tooltips end with an address. `say(address, value)` fires for a choice in a menu."""

    say = QtCore.Signal(str, object)

    def __init__(self, value: Callable[[str], str], parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._value = value
        self._unit = 1.0
        self.menu: QtWidgets.QMenu | None = None

    def rescale(self, unit: float) -> None:
        """Write menus at `unit` screen pixels per design pixel."""
        self._unit = unit

    def watch(self, root: QtWidgets.QWidget) -> None:
        """Watch all of `root`'s widgets that have a tooltip; those that are watched already are not watched twice."""
        for widget in root.findChildren(QtWidgets.QWidget):
            if widget.toolTip():
                widget.removeEventFilter(self)
                widget.installEventFilter(self)

    @property
    def on(self) -> bool:
        """Whether the host has a controller, or waits for one."""
        return self._value("/midi/state") not in ("", "off")

    def tip(self, tip: str) -> str:
        """Return a tooltip with what moves its control over MIDI."""
        address = address_of(tip)
        if address is None or not self.on or address.startswith(UNMAPPED):
            return tip
        learning = self._value("/midi/learn") == address
        moved = "; ".join(moved_by(address, self._value("/midi/map"))) or "nothing yet; right click to learn"
        return f"{tip}\nMIDI: {'waits for a knob or key' if learning else moved}"

    def eventFilter(self, widget: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.ToolTip and isinstance(widget, QtWidgets.QWidget):
            words = self.tip(widget.toolTip())
            if words != widget.toolTip():
                QtWidgets.QToolTip.showText(event.globalPos(), words, widget)
                return True
        elif event.type() == QtCore.QEvent.Type.ContextMenu and isinstance(widget, QtWidgets.QWidget):
            address = address_of(widget.toolTip())
            if address is not None and not address.startswith(UNMAPPED):
                self.offer(address, event.globalPos())
                return True
        return super().eventFilter(widget, event)

    def offer(self, address: str, at: QtCore.QPoint) -> None:
        """Show the menu of the control at `address`."""
        parent = self.parent()
        self.menu = menu = QtWidgets.QMenu(parent if isinstance(parent, QtWidgets.QWidget) else None)
        menu.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose, False)
        menu.setFont(font(18 * self._unit))
        pad = round(6 * self._unit)
        menu.setStyleSheet(
            f"QMenu {{ background: {RAISED.name()}; color: {TEXT.name()}; border: 1px solid {LINE.name()}; }}"
            f"QMenu::item {{ padding: {pad}px {3 * pad}px; }} QMenu::item:selected {{ background: {LINE.name()}; }}"
            "QMenu::item:disabled { color: #9CA9B6; }")
        menu.addAction(address).setEnabled(False)
        if not self.on:
            menu.addAction("MIDI is off: start the host with --midi PORT").setEnabled(False)
        elif self._value("/midi/learn") == address:
            menu.addAction("Stop learning").triggered.connect(lambda: self.say.emit("/midi/learn", ""))
        else:
            moved = moved_by(address, self._value("/midi/map"))
            for line in moved:
                menu.addAction(f"moved by {line}").setEnabled(False)
            menu.addAction("Learn MIDI").triggered.connect(lambda: self.say.emit("/midi/learn", address))
            forget = menu.addAction("Forget")
            forget.setEnabled(bool(moved))
            forget.triggered.connect(lambda: self.say.emit("/midi/unlearn", address.partition(" ")[0]))
        menu.popup(at)
