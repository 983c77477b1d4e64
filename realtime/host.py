"""The host: the engine's process, control state, OSC, and the views, from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.changes import Notice
from realtime.control import Refused, Value
from realtime.deck.orders import NO_DECK, DeckNews, Order, Peaks
from realtime.deck.preparer import ADDRESSES as HQ
from realtime.deck.preparer import HighQuality, Preparer
from realtime.demo import SHOW
from realtime.devicechoice import ADDRESSES as DEVICES
from realtime.devicechoice import DeviceChoice
from realtime.enginemessages import Automatic, DeviceState, Ended
from realtime.errors import HostError
from realtime.gesturefile import find_gesture, read_gesture
from realtime.gestures import ADDRESSES, Gestures
from realtime.infos import infos
from realtime.inserts.controls import InsertControls
from realtime.inserts.insert import Place, SlotNews, Turn
from realtime.interrupts import interrupts_held
from realtime.latency import MODE_NAMES
from realtime.library import find_separator, list_separators
from realtime.midi import surface
from realtime.midi.map import default_path, read_map
from realtime.midi.ports import ports_of
from realtime.midi.surface import Surface
from realtime.move import Moved
from realtime.osc import OscServer
from realtime.outputs import watch_outputs
from realtime.plan import Plan, Started, Wish
from realtime.recorder import ADDRESSES as RECORDING
from realtime.recorder import Recorder
from realtime.remote import RemoteEngine
from realtime.scene import Scene
from realtime.scenes import ADDRESSES as SCENES
from realtime.scenes import Scenes
from realtime.separator import Separator
from realtime.state import Change, Check, ControlState, Message
from realtime.tape import check_folder
from realtime.tempo import tempo
from realtime.tempo.tempo import Tempo

if TYPE_CHECKING:
    from realtime.oscquery.server import OscQueryServer


@dataclass(frozen=True)
class OscAddress:
    """Where the OSC server listens, and whom to: `allow` names addresses and networks, none for all who reach it."""

    host: str = "127.0.0.1"
    port: int = 9000
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class MidiPorts:
    """Parts of the names of the controllers' ports, and the file of their map; None for the usual one."""

    names: tuple[str, ...] = ()
    map: Path | None = None


@dataclass(frozen=True)
class Discovery:
    """That controllers find the host and its controls: OSCQuery on TCP `port`, announced on zeroconf.

    None takes the port after OSC's, or any free one where that is taken.
    """

    port: int | None = None


class Host:
    """Starts everything `plan` says; with `show`, the demo song plays through its script of presets.

    `gestures`, names or files, play from where the sound begins. What goes in and out is recorded to a folder in
    `record_to`. It begins as `scene` says, but for what runs, which is in `plan`; with `keep_last`, how it stands is kept
    for the next start. Files on the deck are prepared as `hq` says.
    `say` hears what a start takes its time for; `discovery` None keeps the host to itself. Raises HostError with what is
    wrong and allowed.
    """

    def __init__(
        self,
        plan: Plan,
        osc: OscAddress = OscAddress(),
        preset: str | None = None,
        show: bool = False,
        say: Callable[[str], object] = lambda sentence: None,
        midi: MidiPorts = MidiPorts(),
        gestures: Sequence[str] = (),
        discovery: Discovery | None = None,
        record_to: Path | None = None,
        scene: Scene | None = None,
        keep_last: bool = False,
        hq: HighQuality | None = None,
    ) -> None:
        self._plan = plan = replace(plan, prepared=plan.deck is not None and hq is not None)
        self._hq, self.preparer = hq, None
        self.scenes: Scenes | None = None
        self.gestures: Gestures | None = None
        self.tempo: Tempo | None = None
        self.recorder: Recorder | None = None
        self.server: OscServer | None = None
        self.query: OscQueryServer | None = None
        self.engine: RemoteEngine | None = None
        self.surface: Surface | None = None
        try:
            self._begin(osc, preset, show, say, midi, gestures, discovery, record_to, scene, keep_last)
        except BaseException:
            self._close()
            raise

    def _begin(
        self,
        osc: OscAddress,
        preset: str | None,
        show: bool,
        say: Callable[[str], object],
        midi: MidiPorts,
        gestures: Sequence[str],
        discovery: Discovery | None,
        record_to: Path | None,
        scene: Scene | None,
        keep_last: bool,
    ) -> None:
        plan = self._plan
        if record_to is not None:
            record_to = record_to.expanduser().absolute()
            check_folder(record_to)
        separator = Separator.load(plan.separator)
        # The port first: a second host must fail before it touches the sound.
        link = _LateLink(lambda: self.state)
        meta = separator.metadata
        models = sorted({*list_separators(), meta.name})
        self._link = link
        link.deck = plan.deck is not None
        self._deck_told: dict[str, object] = {}
        self._deck_refused = 0
        self.state = ControlState(
            meta.stems, link, attends=separator.attends, models=models, outputs=plan.outputs, inserts=plan.slots
        )
        self.inserts = InsertControls(self.state, link.order)
        self.inserts.begin(plan.inserts)
        link.serve(self.inserts.addresses, self.inserts.change, self.inserts.check)
        self.scenes = Scenes(self.state, plan, lambda text: self._hear(Notice(text)))
        self.state.checks |= link.checks()
        link.serve(SCENES, self.scenes.change, self.scenes.check)
        left_out = () if scene is None else self.scenes.apply(scene, choices=False)
        if preset is not None:
            self.state.set("/preset", preset)
        paths = [find_gesture(name) for name in gestures]
        read = [read_gesture(path, self.state) for path in paths]
        for each in read:
            # The sound begins with it, rather than going there.
            self.state.apply([Change(each.gesture.opening(self.state))])
        self.tempo = Tempo(self.state.clock, self.state.set_info)
        self.state.quantiser = self.tempo.quantiser()
        link.serve(tempo.ADDRESSES, self.tempo.change, self.tempo.check)
        self.gestures = Gestures(
            self.state, lambda text: self.state.set_info("/notice", text), quantiser=self.tempo.quantiser()
        )
        link.serve(ADDRESSES, self.gestures.ask, self.gestures.check)
        self.recorder = Recorder(self.state, lambda: None if link.engine is None else link.engine.taps)
        link.serve(RECORDING, self.recorder.change, self.recorder.check)
        self._devices = DeviceChoice(
            lambda move: link.engine is not None and link.engine.move(move), self.state.set_info,
            free=lambda: link.engine is not None and not link.engine.moving,
        )
        link.serve(DEVICES, self._devices.change, self._devices.check)
        # Before the port: what is wrong with the map or the package ends the start.
        midi_map = read_map(midi.map or default_path(), self.state.controls, midi.map is not None) if midi.names else None
        midi_ports = ports_of(midi.names) if midi.names else None
        waited_for = () if midi_ports is None else surface.waited_for(*midi_ports)
        self.server = OscServer(self.state, osc.host, osc.port, allow=osc.allow)
        given = self.state.mix
        watch_outputs(self.state, lambda sentence: self._hear(Notice(sentence)))
        self.query = None if discovery is None else self._open_query(discovery)
        if plan.prepared:
            self.preparer = Preparer(
                self._hq, plan.separator, tuple(meta.stems), plan.channels,
                lambda order: link.change(order.address, order.values), self.state.set_info, lambda text: self._hear(Notice(text)),
            )
            link.serve(HQ, self.preparer.change, lambda message, before: None)
        self.engine = RemoteEngine(replace(plan, mix=given), say, self._hear, lambda: self.state.mix)
        link.engine = self.engine
        self.gestures.start()
        if midi_map is not None and midi_ports is not None:
            path = midi.map or default_path()
            self.surface = Surface(self.state, *midi_ports, path, midi_map, self.tempo.hear)
            link.serve(surface.ADDRESSES, self.surface.change, self.surface.check)
        # What was asked for during the start has gone nowhere; and more may come while it is handed on.
        while given != (now := self.state.mix):
            self.engine.submit(now, None)
            given = now
        started = self.engine.started
        self._hear(started)
        broken = tuple(notice for each in read for notice in each.notices)
        self.notices = (*started.notices, *(midi_map.problems if midi_map is not None else ()), *waited_for, *broken)
        self._hear(self.engine.device_state)
        self.state.set_info("/mode/auto", int(plan.automatic))
        if scene is not None:
            left_out += self.scenes.choose(scene, running=False)
            if not plan.automatic:
                # --hold goes before what the scene says.
                self.state.set("/mode/auto", 0)
        self.notices += left_out
        if record_to is not None:
            self.state.set_info("/record/folder", str(record_to))
            self.recorder.check(Message("/record", (1,)), ())
            self.recorder.start(whole=True)
        for path, each in zip(paths, read, strict=True):
            self.gestures.play_with_sound(path.stem, each.gesture)
        presets = self.state.value("/presets") or ()
        demo = started.device == "null" and plan.source in (None, "demo") and plan.deck is None
        self._show = [(seconds, name) for seconds, name in SHOW if show and demo and name in presets]
        # A start that fails is nothing to go back to.
        self.scenes.keep_last = keep_last

    @property
    def started(self) -> Started:
        """What runs now, or ran until the device went."""
        return self.engine.started

    def _hear(self, news: Started | Notice | DeviceState | DeckNews | Peaks | Moved | SlotNews) -> None:
        if isinstance(news, SlotNews):
            self.inserts.hear(news)
            return
        if isinstance(news, Moved):
            self._plan = news.plan
            self.scenes.use(news.plan)
            self._link.deck = news.plan.deck is not None
            if not self._link.deck and self._deck_told:
                self.state.set_info("/deck/state", "off")
                self.state.set_info("/deck/play", 0)
                if self.preparer is not None:
                    self.preparer.hear(NO_DECK)
            self._deck_told = {}
            return
        if isinstance(news, DeviceState):
            self.state.set_info("/device/state", news.text)
            return
        if isinstance(news, Peaks):
            self.state.set_info("/deck/overview", news.columns)
            self.state.set_info("/deck/overview/fine", news.fine)
            return
        if isinstance(news, DeckNews):
            if self.preparer is not None:
                self.preparer.hear(news)
            told = news.values()
            if news.refused != self._deck_refused:
                # The table holds what was asked for.
                self._deck_told, self._deck_refused = {}, news.refused
            for address, value in told.items():
                if self._deck_told.get(address) != value:
                    self.state.set_info(address, value)
            self._deck_told = told
            return
        if isinstance(news, Notice):
            self.state.set_info("/notice", news.text)
            return
        for address, value in infos(news, self._plan).items():
            self.state.set_info(address, value)

    def tick(self) -> None:
        """Play the demo's script of presets as far as the music has come."""
        self.tempo.beat()
        snapshot = self.engine.telemetry()
        if snapshot is None:
            return
        while self._show and snapshot.position >= self._show[0][0] * snapshot.rate:
            self.state.set("/preset", self._show.pop(0)[1])

    def stop(self) -> Ended:
        """Stop the sound and the server; return how the run ended."""
        return self._close()

    def _close(self) -> Ended | None:
        """Close what has been opened, so far as a start came."""
        # What plays and what is recorded ends with the sound, and what is kept is how all stood then.
        if self.gestures is not None:
            self.gestures.close()
        ended = None if self.engine is None else self.engine.stop()
        for part in (self.preparer, self.recorder, self.scenes, self.surface, self.query, self.server, self.tempo):
            if part is not None:
                part.close()
        return ended

    def _open_query(self, discovery: Discovery) -> OscQueryServer | None:
        try:
            from realtime.oscquery.server import OscQueryServer
        except ImportError as problem:
            self._hear(
                Notice(
                    f"controllers cannot find this host by themselves ({problem}): pip install 'lasaft-live[oscquery]', "
                    "or --no-oscquery to go without"
                )
            )
            return None
        return OscQueryServer(
            self.state, self.server, discovery.port, tell=lambda sentence: self._hear(Notice(sentence))
        )


class _LateLink:
    """Stands for the engine until it runs."""

    def __init__(self, state: Callable[[], ControlState]) -> None:
        self.engine: RemoteEngine | None = None
        # By address, what carries out the choices and actions that are not the engine's.
        self.carries_out: dict[str, Callable[[str, Value | None], object]] = {}
        self._state = state
        self.deck = False
        # The separator that was asked for last, which may not run yet.
        self._wanted: str | None = None

    def serve(self, addresses: Iterable[str], change: Callable[[str, Value | None], object], check: Check) -> None:
        """Have what is sent to `addresses` checked and carried out by a part of the host."""
        self.carries_out |= dict.fromkeys(addresses, change)
        self._state().checks |= dict.fromkeys(addresses, check)

    def checks(self) -> dict[str, Check]:
        """Return by address what refuses beforehand what this link and the engine carry out."""
        table = self._state().controls
        deck = {address: self._check_deck for address in table if address.startswith("/deck/")} | dict.fromkeys(HQ, _no_hq)
        return deck | {"/model": self._check_model, "/mode": self._check_mode} | dict.fromkeys(surface.ADDRESSES, _no_midi)

    def _check_deck(self, message: Message, before: Sequence[Message]) -> None:
        if not self.deck:
            raise Refused(message.address, "this run has no deck: start the host with --deck; nothing was changed")

    def _check_model(self, message: Message, before: Sequence[Message]) -> None:
        try:
            find_separator(message.values[0])
        except HostError as problem:
            raise Refused(message.address, f"{problem}; nothing was changed") from None

    def _check_mode(self, message: Message, before: Sequence[Message]) -> None:
        state, (mode,) = self._state(), message.values
        coming = self._wanted not in (None, *(state.value("/model") or ())) or any(m.address == "/model" for m in before)
        if not coming and state.value(f"/mode/{mode}/offered") == (0,):
            offered = ", ".join(name for name in MODE_NAMES if state.value(f"/mode/{name}/offered") == (1,))
            raise Refused(message.address, f"the separator has no mode {mode}, but {offered}; nothing was changed")

    def order(self, order: Place | Turn) -> None:
        """Hand an order for plugins to the engine."""
        if self.engine is not None:
            self.engine.change(order)

    def change(self, address: str, value: Value | tuple[Value, ...] | None) -> None:
        if address in self.carries_out:
            self.carries_out[address](address, value)
            return
        if address.startswith("/deck/"):
            given = value if isinstance(value, tuple) else () if value in ("", None) else (value,)
            if self.engine is not None:
                self.engine.change(Order(address, given))
            return
        if address == "/mode/auto":
            self._state().set_info(address, value)
            wish = Automatic(bool(value))
        elif address == "/model":
            wish, self._wanted = Wish(separator=find_separator(value)), value
        else:
            wish = Wish(**{address.removeprefix("/"): value})
        if self.engine is not None:
            self.engine.change(wish)

    def submit(self, mix, at) -> None:
        if self.engine is not None:
            self.engine.submit(mix, at)

    def position(self, wall: float):
        return self.engine.position(wall) if self.engine is not None else None

    def telemetry(self):
        return self.engine.telemetry() if self.engine is not None else None


def _no_hq(message: Message, before: Sequence[Message]) -> None:
    raise Refused(message.address, "this run prepares nothing: start the host with --deck; nothing was changed")


def _no_midi(message: Message, before: Sequence[Message]) -> None:
    raise Refused(message.address, "MIDI is off: start the host with --midi PORT (`run_live.py midi` lists the ports)")


def has_display() -> bool:
    """Return whether a window could be shown here."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_window(osc: OscAddress) -> subprocess.Popen:
    """Start the window, a process that knows only the OSC address."""
    command = [
        sys.executable,
        "-m",
        "gui",
        "--host",
        "127.0.0.1" if osc.host == "0.0.0.0" else osc.host,
        "--port",
        str(osc.port),
    ]
    with interrupts_held():
        return subprocess.Popen(command, cwd=Path(__file__).resolve().parents[1])
