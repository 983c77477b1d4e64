"""Pure Data, SuperCollider and Ardour themselves change what a host does, and hear of it."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from realtime import gainlaw
from realtime.daws.files import files_for
from realtime.library import SHIPPED
from tests.ardour import ardour, ardour_missing, make_session
from tests.jack_peers import ROOT, Host, decode, encode, free_port, host
from tests.jack_server import jack_missing, jack_server

PATIENCE = 30.0


@pytest.fixture(scope="module")
def separator(request) -> Path:
    shipped = SHIPPED / "lasaft-live-light.onnx"
    return shipped if shipped.is_file() else request.getfixturevalue("four_stems")


@contextmanager
def playing(separator: Path, made: Callable[[], object] = lambda: None) -> Iterator[Host]:
    """Run a host on no device, with default settings; what `made` does is done while it starts."""
    with host("--device", "null", "--input", "demo", "--model", str(separator)) as running:
        made()
        running.ask("/stems")
        yield running
        assert "Traceback" not in running.stderr


def write_files(running: Host, folder: Path) -> None:
    for name, text in files_for(running.ask("/stems"), running.port).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def until(condition: Callable[[], object], what: Callable[[], str]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, what()
        time.sleep(0.02)


def reads(running: Host, address: str, *values: object) -> None:
    """Wait until the host's value of `address` is `values`."""
    wanted = tuple(pytest.approx(value, abs=1e-3) if isinstance(value, float) else value for value in values)
    until(lambda: running.ask(address) == wanted, lambda: f"{address} is {running.ask(address)}, not {values}")


class Program:
    """A process whose output is read as it comes."""

    def __init__(self, *command: str, **options: object) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=lambda: self._lines.extend(iter(self.process.stdout.readline, "")), daemon=True)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def says(self, line: str) -> None:
        """Wait until the program has printed `line`."""
        until(
            lambda: line in self.output.splitlines(),
            lambda: f"{self.process.args[0]} did not print {line!r}, but:\n{self.output}",
        )


# Pure Data.

_LISTENER = """\
#N canvas 0 0 400 300 12;
#X obj 10 10 r lasaft-feedback;
#X obj 10 40 print received;
#X connect 0 0 1 0;
"""


def test_the_pd_patch_moves_the_host_and_shows_what_moves_it(separator, tmp_path):
    if shutil.which("pd") is None:
        pytest.skip("Pure Data (pd, in Debian's package puredata-core) is not installed")
    with playing(separator) as running:
        write_files(running, tmp_path)
        (tmp_path / "listener.pd").write_text(_LISTENER)
        moves = ["/stem/vocals/gain 0.5", "/stem/drums/mute 1", "/wet 0.4"]
        command = ["pd", "-nogui", "-noaudio", "-nomidi", "-stderr", "-noprefs"]
        command += ["-open", str(tmp_path / "listener.pd"), "-open", str(tmp_path / "LaSAFT-Live.pd")]
        with Program(*command, *(part for move in moves for part in ("-send", move))) as pd:
            # What the host received of Pd.
            reads(running, "/stem/vocals/gain", 0.5)
            reads(running, "/stem/drums/mute", 1)
            reads(running, "/wet", 0.4)
            # What Pd received of the host: that, and what others do.
            pd.says("received: stem vocals gain str -7.0\\ dB")
            running.tell("/stem/bass/gain", "f", 0.25)
            pd.says("received: stem bass gain 0.25")
            running.tell("/preset", "s", "no drums")
            pd.says("received: preset no\\ drums")
            pd.says("received: stem drums mute 0")
            assert "error" not in pd.output, pd.output
        # The faders it moved by that sent nothing back.
        assert running.ask("/preset") == ("no drums",)


# SuperCollider.

_PLAY = """
"@SCRIPT@".load;
~lasaft.onChange = { |self, address, values| ("received " ++ address ++ values.asCompileString).postln };
fork {
    var wait = { |condition| while { condition.value.not } { 0.01.wait } };
    wait.({ ~lasaft.state['/bypass'].notNil });
    ~lasaft.tell('/stem/vocals/gain', 0.5);
    wait.({ ~lasaft.state['/stem/vocals/gain'] == [0.5] });
    ~lasaft.tell('/preset', "no drums");
    wait.({ ~lasaft.state['/preset'] == ['no drums'] });
    ~lasaft.tellIn(0.4, ['/stem/drums/mute', 1], ['/stem/bass/gain', 0.25]);
    wait.({ ~lasaft.state['/stem/drums/mute'] == [1] });
    ~lasaft.curve('/stem/other/gain', Env([0.75, 0.25], [0.3]));
    wait.({ ~lasaft.state['/stem/other/gain'] == [0.25] });
    "played".postln;
    wait.({ ~lasaft.state['/glide'] == [123.0] });
    ~lasaft.close;
    0.exit;
};
"""


def test_supercollider_moves_the_host_now_and_on_time_and_hears_of_it(separator, tmp_path):
    if shutil.which("sclang") is None:
        pytest.skip("SuperCollider's language (sclang, in Debian's package supercollider-language) is not installed")
    with playing(separator) as running:
        write_files(running, tmp_path)
        (tmp_path / "play.scd").write_text(_PLAY.replace("@SCRIPT@", str(tmp_path / "LaSAFT-Live.scd")))
        # Its help browser asks for a display and, of root, for a sandbox; it is not used.
        quiet = os.environ | {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
        with Program("sclang", "-D", "-u", str(free_port()), str(tmp_path / "play.scd"), env=quiet) as sclang:
            sclang.says("played")
            # What the host received: the preset, then a bundle for later, then an envelope.
            assert running.ask("/stem/vocals/gain") == (0.75,)
            assert running.ask("/stem/drums/mute") == (1,)
            assert running.ask("/stem/bass/gain") == (0.25,)
            assert running.ask("/stem/other/gain") == (0.25,)
            # What SuperCollider received.
            running.tell("/glide", "f", 123.0)
            sclang.says("received /glide[ 123.0 ]")
            assert sclang.process.wait(PATIENCE) == 0
            for line in ("/preset[ 'no drums' ]", "/stem/vocals/gain[ 0.5 ]", "/stem/drums/mute[ 1 ]", "/stem/bass/gain/str[ '-19.1 dB' ]"):
                sclang.says(f"received {line}")
        heard = [line for line in sclang.output.splitlines() if line.startswith("received /stem/other/gain[")]
        values = [float(re.search(r"\[ (\S+) \]", line)[1]) for line in heard]
        # The fade came in steps, downwards; how many of them are told apart depends on how busy the machine is.
        faded = values[values.index(0.75, 1) if 0.75 in values[1:] else 0 :]
        assert faded == sorted(faded, reverse=True) and len(set(faded)) > 3
        assert "ERROR" not in sclang.output


# Ardour.

_SONG = """
for vca in s:vca_manager():create_vca(1, "vocals"):iter() do
  local gain = vca:gain_control()
  gain:alist():add(Temporal.timepos_t(0), 1.0, false, true)
  gain:alist():add(Temporal.timepos_t(44100), 0.25, false, true)
  gain:set_automation_state(ARDOUR.AutoState.Play)
end
for _, name in ipairs({"Drums", "remainder"}) do
  s:new_audio_route(1, 1, nil, 1, name, ARDOUR.PresentationInfo.Flag.AudioBus, ARDOUR.PresentationInfo.max_order)
end
"""


class Surface:
    """Someone else at Ardour's OSC, who sees what its strips do."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self._ardour = ("127.0.0.1", port)

    def __enter__(self) -> Surface:
        self.tell("/set_surface", "iiiiiii", 0, 31, 3, 0, 0, 0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def tell(self, address: str, tags: str = "", *values: object) -> None:
        self._socket.sendto(encode(address, tags, values), self._ardour)

    def rewinds(self) -> None:
        """Stop at the start of the song."""
        limit = time.monotonic() + PATIENCE
        speed = frame = None
        while (speed, frame) != (0, 0):
            assert time.monotonic() < limit, (speed, frame)
            # The one is done before the other is asked for: a stop takes back a change of place that waits for it.
            self.tell("/transport_stop" if speed != 0 else "/goto_start")
            time.sleep(0.05)
            speed, frame = (self._asked(address) for address in ("/transport_speed", "/transport_frame"))

    def _asked(self, address: str) -> object:
        self.tell(address)
        try:
            while (message := decode(self._socket.recv(65536))[0][1]).address != address:
                pass
        except TimeoutError:
            return None
        return message.values[0]

    def hears(self, address: str, strip: int | None, fits: Callable[[object], bool]) -> int:
        """Wait for `address` with a value that fits, of any strip where `strip` is None; return the strip's number."""
        limit = time.monotonic() + PATIENCE
        heard = []
        while time.monotonic() < limit:
            try:
                message = decode(self._socket.recv(65536))[0][1]
            except TimeoutError:
                continue
            if message.address == address:
                heard.append(message.values)
                if strip in (None, message.values[0]) and fits(message.values[1]):
                    return message.values[0]
        raise AssertionError(f"of {address} Ardour said {heard}")


def test_automation_and_faders_of_ardour_move_the_host_and_the_host_moves_ardour(separator, tmp_path):
    if missing := jack_missing() or ardour_missing():
        pytest.skip(missing)
    # A synchronous server throws out a client that is half a second late, as on a busy machine it may be.
    patient = jack_server(options=("-t", "4500"))
    with playing(separator, made=lambda: make_session(tmp_path, _SONG)) as running, patient as environment, ardour(tmp_path, environment) as port:
        peers = ["--host", f"127.0.0.1:{running.port}", "--ardour", f"127.0.0.1:{port}"]
        with (
            Surface(port) as surface,
            Program(sys.executable, "-m", "realtime.daws.ardour", *peers, cwd=ROOT) as bridge,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as subscriber,
        ):
            drums = surface.hears("/strip/name", None, "Drums".__eq__)
            try:
                bridge.says("joined to tracks of Ardour: drums, remainder, vocals; without a track of its name: bass, other")
            except AssertionError:
                if "Ardour does not answer" not in bridge.output:
                    raise
                pytest.skip("Ardour did not come up in time on this machine")
            # The song's values are taken: its remainder is open, the host's was closed.
            reads(running, "/remainder/gain", 0.75)
            # What the host received of Ardour: a fader and a mute that are moved, and automation that is played.
            surface.tell("/strip/gain", "if", drums, -6.0)
            reads(running, "/stem/drums/gain", gainlaw.from_text("-6 dB"))
            surface.tell("/strip/mute", "ii", drums, 1)
            reads(running, "/stem/drums/mute", 1)
            subscriber.settimeout(0.2)
            subscriber.sendto(encode("/subscribe", "s", ("/stem/vocals/gain",)), ("127.0.0.1", running.port))
            # Ardour without a window begins to play by itself.
            surface.rewinds()
            surface.tell("/transport_play")
            faded = faded_to(subscriber, gainlaw.from_linear(0.25))
            assert faded == sorted(faded, reverse=True) and len(faded) > 10, faded
            # What Ardour received of the host.
            running.tell("/stem/drums/gain", "f", gainlaw.from_text("-20 dB"))
            surface.hears("/strip/gain", drums, lambda value: math.isclose(value, -20.0, abs_tol=0.01))
            running.tell("/preset", "s", "drums")
            surface.hears("/strip/gain", drums, lambda value: math.isclose(value, 0.0, abs_tol=0.01))
            surface.hears("/strip/mute", drums, lambda value: value == 0)


def faded_to(subscriber: socket.socket, end: float) -> list[float]:
    """Return the distinct values a subscriber of one fader hears of, from 0 dB until `end`."""
    limit = time.monotonic() + PATIENCE
    heard: list[float] = []
    while time.monotonic() < limit and (not heard or abs(heard[-1] - end) > 1e-3):
        try:
            address, values = decode(subscriber.recv(1000))[0][1]
        except TimeoutError:
            continue
        if address == "/stem/vocals/gain" and (heard or values[0] > 0.7) and values[0] not in heard[-1:]:
            heard.append(values[0])
    return heard
