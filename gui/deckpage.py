"""The page of the deck: a file that is loaded, played, looped and jumped in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from gui.button import Button, Latch
from gui.cuebutton import CueButton
from gui.deckhead import DeckHead
from gui.deckstrip import DeckStrip
from gui.filechooser import choose_file
from gui.keys import Keys, digit
from gui.palette import BLUE, GOOD, NEUTRAL
from gui.playposition import PlayPosition
from gui.song import CUES, Song, loop_of
from gui.tempofader import STEP, TempoFader
from gui.waveform import ZOOM, NearPart, ReadyBar, WholeSong

FRAME = 1000 // 50
SEEK, FINE_SEEK = 5.0, 0.5
WAVE_HELP = (
    "{what} Shift and drag draws a loop; its corners move its ends; a cue's flag jumps there. Colours: what each stem does there; grey: "
    "not known yet.{more}\n/deck/seek, /deck/loop, /deck/overview, /deck/activity"
)


class Press(Latch):
    """A latch that acts when it is pressed, not when it is let go: a beat does not wait for the finger."""

    def __init__(self, label: str, colour: QtGui.QColor, hint: str = "", pixels: float = 20.0) -> None:
        super().__init__(label, colour, hint, pixels)
        self.clicked.disconnect(self.flip)
        self.pressed.connect(self.flip)


class DeckPage(QtWidgets.QWidget):
    """The deck, once the host has told that it has one: `there(bool)` fires when it comes or goes. `strip` stands below other pages.

    `say(address, values)` fires for what a hand does, with a tuple of what is to be sent.
    """

    say = QtCore.Signal(str, object)
    there = QtCore.Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.present = False
        self.song, self.place = Song(), PlayPosition()
        self.head = DeckHead(self.song, self.place)
        self.near, self.whole = NearPart(self.song, self.place), WholeSong(self.song, self.place)
        self.ready = ReadyBar()
        self.strip = DeckStrip(self.song, self.place)
        self.play = Press("PLAY", QtGui.QColor(GOOD), "Enter", pixels=24)
        self.loop_in = self._button("IN", "comma", "Sets the loop's start to what is heard now. Key comma.\n/deck/loop/in", "/deck/loop/in")
        self.loop_out = self._button("OUT", "period", "Sets the loop's end to what is heard now, and loops. Key period.\n/deck/loop/out", "/deck/loop/out")
        self.loop = Press("LOOP", NEUTRAL, "M", pixels=20)
        self.hq = Press("HQ", QtGui.QColor(BLUE), "Ctrl+H", pixels=20)
        self.load = Button("LOAD", NEUTRAL, "Ctrl+O", pixels=20)
        self.cues = [CueButton(number) for number in range(1, CUES + 1)]
        self.tempo = TempoFader()
        self._hq: dict[str, object] = {}
        self._activity = b""
        self._folder = ""
        self._unit = 1.0
        self._build()

    def _build(self) -> None:
        self.near.setToolTip(WAVE_HELP.format(
            what="What is near the play head. Click to go there, drag to pull the song along.", more=" Wheel, ↑ and ↓ show less or more."))
        for wave in (self.whole, self.strip.whole):
            wave.setToolTip(WAVE_HELP.format(what="The whole song. Click or drag to go there.", more=""))
        self.play.setToolTip("Plays, or pauses; where the file has ended, from its start. Key Enter.\n/deck/play")
        self.loop.setToolTip("Loops between the loop's ends, or plays on. Key M.\n/deck/loop/on")
        self.hq.setToolTip("The best separator works ahead through the file, and its stems are heard as they become ready. Key Ctrl+H.\n/deck/hq")
        self.load.setToolTip("Puts a file on the deck; one dropped on the window does the same. Key Ctrl+O.\n/deck/load")
        self.ready.setToolTip("How far the background pass has come, and how fast it is.\n/deck/hq/ready, /deck/hq/state, /deck/hq/speed")
        self.play.switched.connect(lambda on: self._tell("/deck/play", int(on)))
        self.loop.switched.connect(lambda on: self._tell("/deck/loop/on", int(on)))
        self.hq.switched.connect(lambda on: self._tell("/deck/hq", int(on)))
        self.load.clicked.connect(lambda: self.choose())
        self.tempo.moved.connect(lambda tempo: self._tell("/deck/tempo", tempo))
        for wave in (self.near, self.whole, self.strip.whole):
            wave.sought.connect(self._seek)
            wave.looped.connect(lambda start, end: self._tell("/deck/loop", start, end))
            wave.cued.connect(lambda number: self._tell(f"/deck/cue/{number}"))
        for cue in self.cues:
            cue.set.connect(lambda number: self._tell(f"/deck/cue/{number}/set"))
            cue.jumped.connect(lambda number: self._tell(f"/deck/cue/{number}"))
            cue.cleared.connect(lambda number: self._tell(f"/deck/cue/{number}/clear"))
        self._buttons, self._cues = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        for button, share in ((self.play, 5), (self.loop_in, 3), (self.loop_out, 3), (self.loop, 4), (self.hq, 3), (self.load, 4)):
            self._buttons.addWidget(button, share)
        for cue in self.cues:
            self._cues.addWidget(cue, 1)
        self._song = QtWidgets.QVBoxLayout()
        self._song.addWidget(self.whole, 1)
        self._song.addWidget(self.ready)
        self._column = QtWidgets.QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.head)
        self._column.addWidget(self.near, 9)
        self._column.addLayout(self._song, 5)
        self._column.addLayout(self._buttons)
        self._column.addLayout(self._cues)
        self._column.addWidget(self.tempo)
        # What the host may not have.
        for part in (self.tempo, self.hq, self.ready):
            part.hide()
        self._frame = QtCore.QTimer(self)
        self._frame.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._frame.timeout.connect(self.tick)

    def rescale(self, unit: float) -> None:
        """Lay out at `unit` screen pixels per design pixel."""
        self._unit = unit
        self._column.setSpacing(round(6 * unit))
        self._song.setSpacing(round(2 * unit))
        for row in (self._buttons, self._cues):
            row.setSpacing(round(5 * unit))
        for part in (self.head, self.near, self.whole, self.ready, self.tempo, self.strip):
            part.rescale(unit)
        for button in (self.play, self.loop_in, self.loop_out, self.loop, self.hq, self.load, *self.cues):
            button.rescale(unit)
            button.setFixedHeight(round(50 * unit))

    def expect(self, colours: Sequence[QtGui.QColor]) -> None:
        """Draw stems in `colours`."""
        self.song.colour(colours)
        self.song.see_activity(self._activity)

    def show_audible(self, heard: Sequence[bool]) -> None:
        """Draw stems that are not `heard` dark."""
        self.song.hear(heard)

    def hear(self, address: str, values: tuple) -> None:
        """Take a message of the host from below /deck; what the page does not know is ignored."""
        parts = address.split("/")[2:]
        if len(parts) == 3 and parts[0] == "cue" and parts[2] == "at":
            self._hear_cue(int(parts[1]), float(values[0]))
        elif parts[0] == "hq":
            self._hear_hq("/".join(parts[1:]), values[0])
        elif (take := self._takers().get("/".join(parts))) is not None:
            take(*values)

    def tick(self) -> None:
        """Go on with the song, and send what a hand has moved."""
        for part in (self.play, self.loop, self.hq, self.tempo, self.head, self.near, self.whole, self.strip):
            part.tick()
        smooth = self.isVisible() and self.place.running
        if smooth != self._frame.isActive():
            self._frame.start(FRAME) if smooth else self._frame.stop()

    def key(self, event: QtGui.QKeyEvent) -> bool:
        """Do what the key of `event` does on the deck; return whether it does anything there."""
        key, modifiers = event.key(), event.modifiers()
        shift = bool(modifiers & QtCore.Qt.KeyboardModifier.ShiftModifier)
        control = bool(modifiers & QtCore.Qt.KeyboardModifier.ControlModifier)
        pad = bool(modifiers & QtCore.Qt.KeyboardModifier.KeypadModifier)
        number = digit(event)
        if modifiers & (QtCore.Qt.KeyboardModifier.AltModifier | QtCore.Qt.KeyboardModifier.MetaModifier):
            return False
        if (control or pad) and number is not None and 1 <= number <= CUES:
            self.cues[number - 1].act(anew=shift)
        elif control and key == Keys.Key_O:
            self.choose()
        elif control and key == Keys.Key_H and not self.hq.isHidden():
            self.hq.flip()
        elif control:
            return False
        elif key in (Keys.Key_Return, Keys.Key_Enter):
            self.play.flip()
        elif key == Keys.Key_Comma:
            self._tell("/deck/loop/in")
        elif key == Keys.Key_Period:
            self._tell("/deck/loop/out")
        elif key == Keys.Key_M:
            self.loop.flip()
        elif key in (Keys.Key_Left, Keys.Key_Right) and not self.song.empty:
            way = -1 if key == Keys.Key_Left else 1
            self._seek(self.place.now + way * (FINE_SEEK if shift else SEEK), True)
        elif key in (Keys.Key_Up, Keys.Key_Down):
            self.near.zoom(1 / ZOOM if key == Keys.Key_Up else ZOOM)
        elif not self.tempo.isHidden() and key in (Keys.Key_Plus, Keys.Key_Equal, Keys.Key_Minus, Keys.Key_Underscore):
            self.tempo.step(-STEP if key in (Keys.Key_Minus, Keys.Key_Underscore) else STEP)
        elif not self.tempo.isHidden() and key == Keys.Key_Backspace:
            self.tempo.put(1.0)
        else:
            return False
        return True

    def choose(self) -> None:
        """Let the performer choose a file, and load it."""
        path = choose_file(self.window(), self._folder)
        if path:
            self.load_file(path)

    def load_file(self, path: str) -> None:
        """Put the file at `path` on the deck."""
        self._folder = str(Path(path).parent)
        self._tell("/deck/load", path)

    def _takers(self) -> dict[str, Callable]:
        return {
            "state": self._hear_state, "title": self._hear_title, "duration": self._hear_duration, "position": self._hear_position,
            "play": lambda on: self.play.hear(bool(on)), "loop": self._hear_loop, "loop/on": self._hear_looping,
            "overview": lambda columns: self.song.see_peaks(columns), "overview/fine": lambda columns: self.song.see_peaks(columns, fine=True),
            "activity": self._hear_activity, "tempo": self._hear_tempo,
        }

    def _hear_state(self, state: str) -> None:
        self.head.state = str(state)
        present = self.head.state != "off"
        self.place.run(self.head.state == "playing")
        self.play.setText("PAUSE" if self.head.state == "playing" else "PLAY")
        if present != self.present:
            self.present = present
            self.there.emit(present)

    def _hear_title(self, title: str) -> None:
        self.song.title = str(title)

    def _hear_duration(self, duration: float) -> None:
        if math.isfinite(duration) and duration != self.song.duration:
            self.song.duration = self.place.duration = max(0.0, float(duration))
            self.song.version += 1

    def _hear_position(self, position: float) -> None:
        if math.isfinite(position):
            self.place.hear(float(position))

    def _hear_cue(self, number: int, at: float) -> None:
        if 1 <= number <= CUES and math.isfinite(at):
            found = at if at >= 0.0 else None
            self.cues[number - 1].hear(found)
            if self.song.cues[number - 1] != found:
                self.song.cues[number - 1] = found
                self._redraw()

    def _hear_loop(self, start: float, end: float) -> None:
        self.song.loop = (float(start), float(end))
        self._follow_loop()

    def _hear_looping(self, on: int) -> None:
        self.loop.hear(bool(on))
        self.song.looping = bool(on)
        self._follow_loop()

    def _follow_loop(self) -> None:
        self.place.loop = loop_of(*self.song.loop) if self.song.looping else None
        self._redraw()

    def _hear_activity(self, levels: bytes) -> None:
        if levels != self._activity:
            self._activity = bytes(levels)
            self.song.see_activity(self._activity)

    def _hear_tempo(self, tempo: float) -> None:
        if math.isfinite(tempo) and tempo > 0.0:
            self.tempo.show()
            self.tempo.hear(float(tempo))
            self.place.speed(float(tempo))

    def _hear_hq(self, part: str, value: object) -> None:
        if part == "":
            self.hq.hear(bool(value))
        elif part not in ("state", "ready", "speed"):
            return
        self._hq[part] = value
        self.hq.show()
        self.ready.show()
        self.ready.show_ready(float(self._hq.get("ready", 0.0)), hq_text(self._hq))

    def _redraw(self) -> None:
        for wave in (self.near, self.whole, self.strip.whole):
            wave.update()

    def _seek(self, seconds: float, last: bool) -> None:
        if last:
            self.place.put(seconds)
            seconds = self.place.now
        self._tell("/deck/seek", float(seconds))

    def _tell(self, address: str, *values: float | str) -> None:
        self.say.emit(address, values)

    def _button(self, label: str, hint: str, help: str, address: str) -> Button:
        button = Button(label, NEUTRAL, hint, pixels=20)
        button.setToolTip(help)
        button.pressed.connect(lambda: self._tell(address))
        return button


def hq_text(parts: dict[str, object]) -> str:
    """Return what is said of the background pass: how much is ready, how fast, and its own words."""
    said = []
    if parts.get("state") == "off" and not parts.get("ready"):
        return "high quality: off"
    if "ready" in parts:
        said.append(f"high quality {100 * float(parts['ready']):.0f} %")
    if float(parts.get("speed", 0.0)) > 0.0:
        said.append(f"{float(parts['speed']):.1f} times real time")
    if parts.get("state"):
        said.append(str(parts["state"]))
    return "   ·   ".join(said)
