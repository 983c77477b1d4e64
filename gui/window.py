"""The window: strips, presets, spectrograms and status of one host."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.attention import Attention
from gui.button import Button, Latch
from gui.choosers import Choosers
from gui.client import Client
from gui.deckpage import DeckPage
from gui.devicepage import DevicePage
from gui.filechooser import DropVeil, dropped_file
from gui.gesturebar import GestureBar
from gui.help import Help
from gui.insertpage import InsertPage
from gui.keys import DECK_HELP, HELP, MUTE_KEYS, SOLO_KEYS, Keys, digit, page_key, page_of, place
from gui.law import UNITY, linear, position
from gui.meter import Meter
from gui.midihints import MidiHints
from gui.mixes import Shelf, mixes_file
from gui.mixpage import MixPage
from gui.morph import MorphPad
from gui.noticelog import NoticeLog
from gui.outputpage import OutputPage
from gui.pages import Pages
from gui.palette import DIM, GROUND, NEUTRAL, RAISED, TEXT, WARNING, font, stem_colours
from gui.recordpage import RED, RecordPage
from gui.spectrogram import Spectrogram
from gui.status import Status
from gui.strip import StemStrip, remainder_strip, wet_strip
from gui.welcome import Welcome

FRAME = 1000 // 30
DESIGN = (1280.0, 720.0)
LEAST = (1024, 640)
ROW = 5
STRIPS_SHARE, EXTRA_SHARE, VIEWS_SHARE = 16, 5, 8
# With a deck, which needs room.
DECK_VIEWS_SHARE = 18

PAGES = (
    ("VIEW", "Spectra of what comes in and of what goes out."), ("STEMS", "Spectra of each stem."),
    ("MORPH", "A dot that moves the condition between the instruments."), ("MIXES", "Your own mixes, and the ends of the crossfader."),
    ("SETUP", "Latency mode, run, separator and block, with what they cost."),
    ("DEVICE", "The sound device, and what is played."), ("REC", "Recording to disk; red while it records."),
    ("OUT", "What leaves on each output pair, and the headphone cue."),
)
NO_ENDS = "the crossfader fades between two mixes: put one on each end, with SET A and SET B on the page MIXES"
MORPH, DEVICE, REC, OUT = 2, 5, 6, 7


class Window(QtWidgets.QWidget):
    """The whole window over one `client`. It shows what the host says, and says what hands do.

    The performer's own mixes are kept in the file `mixes`.
    """

    def __init__(self, client: Client, mixes: Path | None = None) -> None:
        super().__init__()
        self.client = client
        self.strips: list[StemStrip] = []
        self.presets: list[Button] = []
        self.remainder = remainder_strip()
        self.wet = wet_strip()
        self.status = Status(client.name)
        self.bypass = Latch("BYPASS", WARNING, "B, space, Esc", pixels=26)
        self.spectrograms = {"input": Spectrogram("IN"), "output": Spectrogram("OUT")}
        self.attention = Attention("the condition", "/telemetry/attention", NEUTRAL, height=26, title="attention")
        self.meters = {"input": Meter(NEUTRAL, "IN"), "output": Meter(NEUTRAL, "OUT")}
        self.waterfalls: dict[str, Spectrogram] = {}
        self.deck = DeckPage()
        self.morph = MorphPad()
        self.choosers = Choosers()
        self.gesture = GestureBar()
        self.device = DevicePage()
        self.record = RecordPage(client.target[0].startswith("127."))
        self.outputs = OutputPage()
        self.inserts = InsertPage(client.target[0].startswith("127."))
        self.hints = MidiHints(lambda address: str(client.values.get(address, ("",))[0]), self)
        self.mixes = MixPage(Shelf(mixes_file() if mixes is None else mixes, self.status.tell), self._present)
        self.pages = Pages(page_key)
        self.help = Help(self)
        self.log = NoticeLog(self, self.status.notices)
        self.welcome = Welcome(self)
        self._preset = ""
        self._momentary = False
        self._handle: QtGui.QWindow | None = None
        self._unit = 1.0
        # Whether the page of the deck is turned to when a deck is first heard of.
        self.deck_first = True
        self._veil = DropVeil(self)
        self._build()
        client.received.connect(self._hear)
        client.answering.connect(self._show_answering)
        self._frame = QtCore.QTimer(self)
        self._frame.timeout.connect(self._tick)
        self._frame.start(FRAME)

    def _build(self) -> None:
        self.setWindowTitle("LaSAFT Live")
        self.setMinimumSize(*LEAST)
        self.setAutoFillBackground(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setAcceptDrops(True)
        colours = QtGui.QPalette()
        colours.setColor(QtGui.QPalette.ColorRole.Window, GROUND)
        colours.setColor(QtGui.QPalette.ColorRole.ToolTipBase, RAISED)
        colours.setColor(QtGui.QPalette.ColorRole.ToolTipText, TEXT)
        self.setPalette(colours)
        QtWidgets.QToolTip.setPalette(colours)
        self.bypass.setToolTip("Hear the untouched mixture, as late as the separated one.\nKey B; hold space for a moment of it; Esc is panic: on at once."
                               "\n/bypass")
        for where, meter in self.meters.items():
            meter.setToolTip(f"Level of the {where}.\n/telemetry/meter/{where}")
            self.spectrograms[where].setToolTip(f"Spectrum of the {where}, ten seconds.\n/telemetry/spectrum/{where}")
        self.bypass.switched.connect(self._bypass_by_hand)
        for strip in (self.remainder, self.wet):
            strip.say.connect(self._say)
        self._stems_row = QtWidgets.QHBoxLayout()
        view, stems = QtWidgets.QWidget(), QtWidgets.QWidget()
        self._view_column, self._stem_column = QtWidgets.QVBoxLayout(view), QtWidgets.QVBoxLayout(stems)
        for column in (self._view_column, self._stem_column):
            column.setContentsMargins(0, 0, 0, 0)
        for spectrogram in self.spectrograms.values():
            self._view_column.addWidget(spectrogram, 1)
        self._morph_page = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(self._morph_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.morph, 1)
        column.addWidget(self.gesture)
        pages = (view, stems, self._morph_page, self.mixes, self.choosers, self.device, self.record, self.outputs)
        for (name, words), page in zip(PAGES, pages, strict=True):
            self.pages.add(name, page, words)
        self.pages.offer(OUT, False)
        self.outputs.opened.connect(self._open_outputs)
        for page in (self.device, self.gesture, self.welcome):
            page.say.connect(lambda address, values: self.client.send(address, *values))
        for page in (self.record, self.outputs, self.inserts, self.hints):
            page.say.connect(self._say)
        self.record.going.connect(lambda words: self.pages.tabs[REC].alarm(RED if words else None, words))
        self.gesture.following.connect(self.morph.trace.follow)
        self.gesture.chosen.connect(self.morph.trace.forget)
        self.welcome.wanted.connect(lambda: self.pages.turn(DEVICE))
        self.morph.moved.connect(lambda gains: self.client.send("/condition", *gains))
        self.choosers.say.connect(self._say)
        self.mixes.played.connect(self._play)
        self.mixes.crossfader.empty.connect(lambda: self.status.tell(NO_ENDS))
        self.deck_page = len(self.pages.tabs)
        self.pages.add("DECK", self.deck, "A file that is played, looped and jumped in.")
        self.pages.offer(self.deck_page, False)
        self.insert_page = len(self.pages.tabs)
        self.pages.add("INSERTS", self.inserts, "Plugins on stems and master.")
        self.pages.offer(self.insert_page, False)
        self.inserts.opened.connect(self._open_inserts)
        self.deck.say.connect(lambda address, values: self.client.send(address, *values))
        self.deck.there.connect(self._show_deck)
        self._views = QtWidgets.QGridLayout()
        self._views.addWidget(self.pages, 0, 0, 2, 1)
        for row, meter in enumerate(self.meters.values()):
            self._views.addWidget(meter, row, 1)
            self._views.setRowStretch(row, 1)
        self._views.addWidget(self.attention, 2, 0, 1, 2)
        self._views.addWidget(self.deck.strip, 3, 0, 1, 2)
        self.deck.strip.hide()
        self.pages.turned.connect(lambda page: self._show_strip())
        self._hands = QtWidgets.QVBoxLayout()
        self._hands.addWidget(self.mixes.crossfader, 1)
        self._hands.addWidget(self.bypass, 1)
        self._preset_rows = QtWidgets.QGridLayout()
        self._body = QtWidgets.QWidget()
        self._grid = QtWidgets.QGridLayout(self._body)
        self._grid.addLayout(self._stems_row, 0, 0)
        self._grid.addLayout(self._views, 0, 1)
        self._grid.addLayout(self._preset_rows, 1, 0)
        self._grid.addLayout(self._hands, 1, 1)
        self._grid.setColumnStretch(0, STRIPS_SHARE)
        self._grid.setColumnStretch(1, VIEWS_SHARE)
        self._grid.setRowStretch(0, 1)
        self._waiting = Waiting(self.client.name)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.status)
        column.addWidget(self._waiting, 1)
        column.addWidget(self._body, 1)
        self._body.hide()
        self.hints.watch(self)

    def _rebuild_strips(self, stems: Sequence[str]) -> None:
        for strip in self.strips:
            strip.deleteLater()
        while self._stems_row.count():
            self._stems_row.takeAt(0)
        colours = stem_colours(stems)
        self.strips = [StemStrip(stem, i, colours[stem]) for i, stem in enumerate(stems, 1)]
        for strip in self.strips:
            strip.say.connect(self._say)
            strip.switched.connect(self._show_audible)
            self._stems_row.addWidget(strip, 5)
        self._grid.setColumnStretch(0, STRIPS_SHARE + EXTRA_SHARE * max(0, len(stems) - 4))
        self._stems_row.addWidget(self.remainder, 4)
        self._stems_row.addWidget(self.wet, 4)
        self._rebuild_stem_views(stems, [colours[stem] for stem in stems])
        self._waiting.hide()
        self._body.show()
        self._rescale()
        self.setFocus()
        for address, values in list(self.client.values.items()):
            if address.startswith(("/stem/", "/run", "/attention", "/condition")):
                self._hear(address, values)
        self._show_audible()

    def _rebuild_stem_views(self, stems: Sequence[str], colours: Sequence[QtGui.QColor]) -> None:
        self.deck.expect(colours)
        for waterfall in self.waterfalls.values():
            self._stem_column.removeWidget(waterfall)
            waterfall.deleteLater()
        self.waterfalls = {stem: Spectrogram(stem, colour) for stem, colour in zip(stems, colours, strict=True)}
        for stem, waterfall in self.waterfalls.items():
            waterfall.setToolTip(f"Spectrum of {stem}, ten seconds.\n/telemetry/spectrum/{stem}")
            self._stem_column.addWidget(waterfall, 1)
        self.morph.expect(tuple(stems), list(colours))
        self.outputs.expect(stems, list(colours))
        self.inserts.expect(stems, list(colours))
        self.hints.watch(self)

    def _rebuild_presets(self, names: Sequence[str]) -> None:
        for button in self.presets:
            self._preset_rows.removeWidget(button)
            button.deleteLater()
        self.presets = []
        across = len(names) if len(names) <= ROW else math.ceil(len(names) / 2)
        for i, name in enumerate(names, 1):
            button = Button(name, NEUTRAL, str(i) if i <= 9 else "", pixels=22)
            keys = f" Key {i};" if i <= 9 else ""
            button.setToolTip(f"Preset {name}.{keys} P and shift+P step through the presets.\n/preset {name}")
            button.clicked.connect(lambda _=False, name=name: self._choose(name))
            button.light(name == self._preset)
            button.rescale(self._unit)
            self.presets.append(button)
            self._preset_rows.addWidget(button, (i - 1) // across, (i - 1) % across)
        self.hints.watch(self._body)

    def _open_outputs(self) -> None:
        self.pages.offer(OUT, True)
        self.hints.watch(self.outputs)

    def _open_inserts(self) -> None:
        self.pages.offer(self.insert_page, True)
        self.hints.watch(self.inserts)

    def _hear(self, address: str, values: tuple) -> None:
        # A message that does not fit the protocol is no reason to stop showing those that do.
        try:
            self._take(address, values)
        except (TypeError, ValueError, LookupError, OverflowError):
            return

    def _take(self, address: str, values: tuple) -> None:
        for part in (self.choosers, self.device, self.record, self.outputs, self.inserts, self.gesture, self.welcome):
            part.hear(address, values)
        if self.status.hear(address, values):
            if address == "/run":
                self._show_run()
        elif address == "/stems":
            if values and [strip.name for strip in self.strips] != list(values):
                self._rebuild_strips([str(value) for value in values])
        elif address == "/presets":
            if [button.text() for button in self.presets] != list(values):
                self._rebuild_presets([str(value) for value in values])
        elif address == "/preset":
            self._show_preset(str(values[0]) if values else "")
        elif address == "/bypass":
            self.bypass.hear(bool(values[0]))
            self._show_audible()
        elif address.startswith("/telemetry/spectrum/"):
            name = address.removeprefix("/telemetry/spectrum/")
            (self.spectrograms.get(name) or self.waterfalls[name]).hear(values[0])
        elif address.startswith("/deck/"):
            self.deck.hear(address, values)
        elif address == "/condition":
            self.morph.hear(values)
        elif address == "/attention":
            for attention in (self.attention, *(strip.attention for strip in self.strips)):
                attention.expect(*(int(value) for value in values))
        elif address == self.attention.address:
            self.attention.hear(values)
        elif address in ("/telemetry/meter/input", "/telemetry/meter/output"):
            self.meters[address.rpartition("/")[2]].hear(float(values[0]), float(values[1]))
        else:
            any(strip.hear(address, values) for strip in (*self.strips, self.remainder, self.wet))

    def _say(self, address: str, value: float | str) -> None:
        self.client.send(address, value)

    def _present(self) -> dict[str, float]:
        soloed = any(strip.solo.lit for strip in self.strips)
        silent = [strip.mute.lit or (soloed and not strip.solo.lit) for strip in self.strips]
        return {s.name: 0.0 if off else linear(s.fader.value) for s, off in zip(self.strips, silent, strict=True)}

    def _play(self, gains: Mapping[str, float]) -> None:
        if not set(gains) & {strip.name for strip in self.strips}:
            self.status.tell(f"this mix is for {', '.join(gains)}, and none of them is here; nothing was changed")
            return
        wanted = [gains.get(strip.name, 0.0) for strip in self.strips]
        messages: list[tuple[str, Sequence[float]]] = [("/condition", [min(1.0, gain) for gain in wanted])]
        for strip, gain in zip(self.strips, wanted, strict=True):
            if gain > 1.0:
                messages.append((f"/stem/{strip.name}/gain", [max(UNITY, position(20.0 * math.log10(gain)))]))
        self.client.send_together(messages)

    def _choose(self, name: str) -> None:
        self._show_preset(name)
        self.client.send("/preset", name)

    def _show_preset(self, name: str) -> None:
        self._preset = name
        for button in self.presets:
            button.light(button.text() == name)

    def _bypass_by_hand(self, on: bool) -> None:
        self._show_audible()
        self.client.send("/bypass", int(on))

    def _show_run(self) -> None:
        single = self.client.values.get("/run", ("",))[0] == "single"
        for strip in self.strips:
            strip.show_run(single)
        for waterfall in self.waterfalls.values():
            waterfall.show_note("no stems in single" if single else "")
        if not single:
            self.attention.hide()

    def _show_audible(self) -> None:
        soloed = any(strip.solo.lit for strip in self.strips)
        for strip in self.strips:
            strip.silence(soloed and not strip.solo.lit)
        for strip in (*self.strips, self.remainder, self.wet):
            strip.dim(self.bypass.lit)
        self.deck.show_audible([self.bypass.lit or strip.sounding for strip in self.strips])

    def _show_strip(self) -> None:
        self.deck.strip.setVisible(self.deck.present and self.pages.page != self.deck_page)

    def _show_deck(self, there: bool) -> None:
        self.pages.offer(self.deck_page, there)
        if there and self.deck_first:
            self.deck_first = False
            self.pages.turn(self.deck_page)
        self._show_strip()
        self._grid.setColumnStretch(1, DECK_VIEWS_SHARE if there else VIEWS_SHARE)
        self.help.rows = (*HELP, (page_key(self.deck_page), "page of the deck"), *DECK_HELP) if there else HELP

    def _show_answering(self, answering: bool) -> None:
        self.status.show_answering(answering)
        if not answering:
            for meter in (*self.meters.values(), *(strip.meter for strip in self.strips)):
                meter.hear(0.0, 0.0)
            # Another separator may come back, which tells none.
            for attention in (self.attention, *(strip.attention for strip in self.strips)):
                attention.hide()

    def _tick(self) -> None:
        now = time.monotonic()
        for part in (self.bypass, self.status, self.morph, self.gesture, self.choosers, self.record, self.outputs, self.inserts, self.welcome):
            part.tick()
        for part in (*self.strips, self.remainder, self.wet, *self.meters.values(), *self.spectrograms.values(),
                     *self.waterfalls.values()):
            part.tick(now)
        self.deck.tick()

    def _rescale(self) -> None:
        self._unit = unit = min(self.width() / DESIGN[0], self.height() / DESIGN[1])
        for part in (self.deck, self._veil):
            part.rescale(unit)
        edge, gap = round(14 * unit), round(10 * unit)
        self._grid.setContentsMargins(edge, edge, edge, edge)
        self._grid.setSpacing(gap)
        self._views.setVerticalSpacing(gap)
        self._views.setHorizontalSpacing(round(6 * unit))
        for layout in (self._view_column, self._stem_column, self._hands):
            layout.setSpacing(round(6 * unit))
        self._stems_row.setSpacing(gap)
        self._preset_rows.setSpacing(round(6 * unit))
        self._grid.setRowMinimumHeight(1, round(94 * unit))
        QtWidgets.QToolTip.setFont(font(16 * unit))
        for part in (self.status, self._waiting, self.bypass, self.attention, *self.strips, self.remainder, self.wet, *self.presets,
                     *self.meters.values(), *self.spectrograms.values(), *self.waterfalls.values(), self.pages, self.morph, self.choosers,
                     self.mixes, self.help, self.gesture, self.device, self.record, self.outputs, self.inserts, self.hints, self.log, self.welcome):
            part.rescale(unit)

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        super().resizeEvent(event)
        self._rescale()

    def dragEnterEvent(self, event: QtGui.QDragEnterEvent) -> None:
        if path := dropped_file(event.mimeData()):
            event.acceptProposedAction()
            self._veil.show_words(f"Load {Path(path).name}" if self.deck.present else "This host has no deck")

    def dragLeaveEvent(self, event: QtGui.QDragLeaveEvent) -> None:
        self._veil.hide()

    def dropEvent(self, event: QtGui.QDropEvent) -> None:
        self._veil.hide()
        path = dropped_file(event.mimeData())
        if not path:
            return
        event.acceptProposedAction()
        if self.deck.present:
            self.deck.load_file(path)
        else:
            self.status.tell("this host has no deck to put a file on: start it with run_live.py --deck; nothing was changed")

    def showEvent(self, event: QtGui.QShowEvent) -> None:
        super().showEvent(event)
        handle = self.windowHandle()
        if handle is not None and handle is not self._handle:
            self._handle = handle
            handle.screenChanged.connect(self.fit)
        self.fit(self.screen())

    def fit(self, screen: QtGui.QScreen | None) -> None:
        """Fit on `screen`: one that is scaled up may have less room than the window usually wants."""
        if screen is None or QtGui.QGuiApplication.platformName() == "offscreen":
            return
        room = screen.availableSize()
        self.setMinimumSize(min(LEAST[0], room.width()), min(LEAST[1], room.height()))
        if not self.isFullScreen() and not self.isMaximized():
            self.resize(self.size().boundedTo(room))
        for spectrogram in (*self.spectrograms.values(), *self.waterfalls.values()):
            spectrogram.sharpen()
        self._rescale()

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        self._frame.stop()
        self.client.close()
        super().closeEvent(event)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        if event.isAutoRepeat():
            return
        if not (self.help.isHidden() and self.log.isHidden()):
            self.help.hide()
            self.log.hide()
            return
        shift = bool(event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier)
        key, number = event.key(), digit(event)
        solo, mute = self._strip_on(event, SOLO_KEYS), self._strip_on(event, MUTE_KEYS)
        if self.deck.present and self.deck.key(event):
            return
        if event.modifiers() == QtCore.Qt.KeyboardModifier.ControlModifier and key == Keys.Key_S:
            self.mixes.store()
        elif event.modifiers() == QtCore.Qt.KeyboardModifier.ControlModifier and key == Keys.Key_R:
            self.record.button.flip()
        elif event.modifiers() & (QtCore.Qt.KeyboardModifier.ControlModifier | QtCore.Qt.KeyboardModifier.AltModifier
                                  | QtCore.Qt.KeyboardModifier.MetaModifier):
            super().keyPressEvent(event)
        elif key == Keys.Key_Escape and self.welcome.isVisible():
            self.welcome.put_away()
        elif key == Keys.Key_Escape:
            self._panic()
        elif key == Keys.Key_C:
            self.gesture.press(True)
        elif key == Keys.Key_V:
            self.gesture.toggle()
        elif key == Keys.Key_N:
            self.log.toggle()
        elif key in (Keys.Key_Question, Keys.Key_F1):
            self.help.toggle()
        elif number == 0:
            self._clear()
        elif number is not None and shift:
            self.mixes.recall(number - 1)
        elif number is not None and number <= len(self.presets):
            self._choose(self.presets[number - 1].text())
        elif solo is not None and shift:
            solo.solo.flip()
        elif solo is not None:
            solo.hold_solo(True)
        elif mute is not None:
            mute.mute.flip()
        elif key in (Keys.Key_Z, Keys.Key_X):
            self.mixes.crossfader.put(float(key == Keys.Key_X))
        elif key == Keys.Key_B:
            self.bypass.flip()
        elif key == Keys.Key_Space and not self.bypass.lit:
            self._momentary = True
            self.bypass.switch(True)
        elif key == Keys.Key_P and self.presets:
            names = [button.text() for button in self.presets]
            here = names.index(self._preset) if self._preset in names else -1 if not shift else 0
            self._choose(names[(here + (-1 if shift else 1)) % len(names)])
        elif (page := page_of(key)) is not None:
            self.pages.turn(page)
            (self.morph if page == MORPH else self).setFocus()
        elif key == Keys.Key_F11:
            self.setWindowState(self.windowState() ^ QtCore.Qt.WindowState.WindowFullScreen)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QtGui.QKeyEvent) -> None:
        if event.isAutoRepeat():
            return
        if event.key() == Keys.Key_Space:
            self._end_momentary()
        elif event.key() == Keys.Key_C:
            self.gesture.press(False)
        elif (strip := self._strip_on(event, SOLO_KEYS)) is not None:
            strip.hold_solo(False)

    def _strip_on(self, event: QtGui.QKeyEvent, letters: str) -> StemStrip | None:
        index = place(event, letters)
        return self.strips[index] if index is not None and index < len(self.strips) else None

    def _panic(self) -> None:
        self._momentary = False
        self.bypass.switch(True)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        if event.type() == QtCore.QEvent.Type.ActivationChange and not self.isActiveWindow():
            # A key that is let go in another window is never heard of here.
            self._end_momentary()
            for strip in self.strips:
                strip.hold_solo(False)
        super().changeEvent(event)

    def _end_momentary(self) -> None:
        if self._momentary:
            self._momentary = False
            self.bypass.switch(False)

    def _clear(self) -> None:
        for strip in self.strips:
            for latch in (strip.solo, strip.mute):
                # Those too that are not lit: what is on its way here from a slow host may light them yet.
                latch.switch(False)


class Waiting(QtWidgets.QWidget):
    """What stands in the window before a host has been heard."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target
        self._unit = 1.0

    def rescale(self, unit: float) -> None:
        """Draw at `unit` screen pixels per design pixel."""
        self._unit = unit
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        unit = self._unit
        middle = QtCore.QRectF(0, self.height() / 2 - 60 * unit, self.width(), 60 * unit)
        centre = QtCore.Qt.AlignmentFlag.AlignCenter
        painter.setPen(TEXT)
        painter.setFont(font(36 * unit, bold=True))
        painter.drawText(middle, centre, f"Waiting for the host at {self._target}")
        painter.setPen(DIM)
        painter.setFont(font(24 * unit))
        painter.drawText(middle.translated(0, 64 * unit), centre, "Start it with  python run_live.py")


