"""The host: the engine's process, control state, OSC, and the views, from start to end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.changes import Notice
from realtime.control import Value
from realtime.demo import SHOW
from realtime.infos import infos
from realtime.library import find_separator, list_separators
from realtime.osc import OscServer
from realtime.outputs import watch_outputs
from realtime.plan import Plan, Started, Wish
from realtime.remote import Automatic, DeviceState, Ended, RemoteEngine
from realtime.separator import Separator
from realtime.state import ControlState

if TYPE_CHECKING:
    from realtime.oscquery.server import OscQueryServer


@dataclass(frozen=True)
class OscAddress:
    """Where the OSC server listens, and whom to: `allow` names addresses and networks, none for all who reach it."""

    host: str = "127.0.0.1"
    port: int = 9000
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class Discovery:
    """That controllers find the host and its controls: OSCQuery on TCP `port`, announced on zeroconf.

    None takes the port after OSC's, or any free one where that is taken.
    """

    port: int | None = None


class Host:
    """Starts everything `plan` says; with `show`, the demo song plays through its script of presets.

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
        discovery: Discovery | None = None,
    ) -> None:
        self._plan = plan
        separator = Separator.load(plan.separator)
        # The port first: a second host must fail before it touches the sound.
        link = _LateLink(lambda: self.state)
        meta = separator.metadata
        models = sorted({*list_separators(), meta.name})
        self.state = ControlState(meta.stems, link, attends=separator.attends, models=models, outputs=plan.outputs)
        if preset is not None:
            self.state.set("/preset", preset)
        self.server = OscServer(self.state, osc.host, osc.port, allow=osc.allow)
        given = self.state.mix
        watch_outputs(self.state, lambda sentence: self._hear(Notice(sentence)))
        try:
            self.query = None if discovery is None else self._open_query(discovery)
        except BaseException:
            self.server.close()
            raise
        try:
            self.engine = RemoteEngine(replace(plan, mix=given), say, self._hear, lambda: self.state.mix)
        except BaseException:
            self._close_servers()
            raise
        link.engine = self.engine
        # What was asked for during the start has gone nowhere; and more may come while it is handed on.
        while given != (now := self.state.mix):
            self.engine.submit(now, None)
            given = now
        started = self.engine.started
        self._hear(started)
        self._hear(self.engine.device_state)
        self.state.set_info("/mode/auto", int(plan.automatic))
        presets = self.state.value("/presets") or ()
        demo = started.device == "null" and plan.source in (None, "demo")
        self._show = [(seconds, name) for seconds, name in SHOW if show and demo and name in presets]

    @property
    def started(self) -> Started:
        """What runs now, or ran until the device went."""
        return self.engine.started

    def _hear(self, news: Started | Notice | DeviceState) -> None:
        if isinstance(news, DeviceState):
            self.state.set_info("/device/state", news.text)
            return
        if isinstance(news, Notice):
            self.state.set_info("/notice", news.text)
            return
        for address, value in infos(news, self._plan).items():
            self.state.set_info(address, value)

    def tick(self) -> None:
        """Play the demo's script of presets as far as the music has come."""
        snapshot = self.engine.telemetry()
        if snapshot is None:
            return
        while self._show and snapshot.position >= self._show[0][0] * snapshot.rate:
            self.state.set("/preset", self._show.pop(0)[1])

    def stop(self) -> Ended:
        """Stop the sound and the server; return how the run ended."""
        ended = self.engine.stop()
        self._close_servers()
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

    def _close_servers(self) -> None:
        if self.query is not None:
            self.query.close()
        self.server.close()


class _LateLink:
    """Stands for the engine until it runs."""

    def __init__(self, state: Callable[[], ControlState]) -> None:
        self.engine: RemoteEngine | None = None
        self._state = state

    def change(self, address: str, value: Value) -> None:
        if address == "/mode/auto":
            self._state().set_info(address, value)
            wish = Automatic(bool(value))
        elif address == "/model":
            wish = Wish(separator=find_separator(value))
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
    return subprocess.Popen(command, cwd=Path(__file__).resolve().parents[1])
