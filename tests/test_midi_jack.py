"""A controller on a JACK server without hardware, and the whole host: learnt, moved, shown, pulled out and put back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.jack_peers import ROOT, Host, host
from tests.jack_server import jack_missing, jack_server

PATIENCE = 20.0


def missing() -> str | None:
    """Return why there is no MIDI over JACK here, or None."""
    if (why := jack_missing()) is not None:
        return why
    if find_spec("rtmidi") is None:
        return "the Python package python-rtmidi is not installed"
    import rtmidi

    return None if rtmidi.API_UNIX_JACK in rtmidi.get_compiled_api() else "this RtMidi knows no JACK"


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

# A process of its own: a JACK client does not outlive its server well. A line in is a message out, in hexadecimal;
# a message in is a line out.
CONTROLLER = """
import sys, threading, time, rtmidi
coming = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name="Knobs")
going = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="Knobs")
coming.open_virtual_port("in")
going.open_virtual_port("out")
coming.ignore_types(False, False, False)

def show():
    while True:
        while message := coming.get_message():
            print(bytes(message[0]).hex(), flush=True)
        time.sleep(0.002)

threading.Thread(target=show, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    going.send_message(list(bytes.fromhex(line)))
coming.delete()
going.delete()
"""


class Knobs:
    """A virtual controller."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        os.set_blocking(process.stdout.fileno(), False)
        self.told: list[str] = []

    def send(self, *messages: str) -> None:
        self._process.stdin.write("".join(f"{message}\n" for message in messages))
        self._process.stdin.flush()

    def hears(self, message: str) -> bool:
        while line := self._process.stdout.readline():
            self.told.append(line.strip())
        return message in self.told


@contextmanager
def knobs(environment: dict[str, str]) -> Iterator[Knobs]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    process = subprocess.Popen([sys.executable, "-c", CONTROLLER], env=environment, cwd=ROOT, **pipes)
    try:
        assert process.stdout.readline() == "ready\n"
        yield Knobs(process)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(running: Host, address: str, fits) -> tuple:
    limit = time.monotonic() + PATIENCE
    while not fits(values := running.ask(address)):
        assert time.monotonic() < limit, (address, values, running.stderr)
        time.sleep(0.02)
    return values


def shown(controller: Knobs, message: str) -> None:
    limit = time.monotonic() + PATIENCE
    while not controller.hears(message):
        assert time.monotonic() < limit, controller.told
        time.sleep(0.01)


def test_a_knob_is_learnt_moved_shown_pulled_out_and_put_back(identity, tmp_path):
    gain = "/stem/all/gain"
    settings = {"XDG_CONFIG_HOME": str(tmp_path)}
    with (
        jack_server() as environment,
        host(
            "--device", "null", "--input", "demo", "--model", str(identity), "--preset", "all", "--midi", "knobs",
            environment=environment | settings,
        ) as running,
    ):
        with knobs(environment) as controller:
            until(running, "/midi/state", lambda v: "Knobs" in v[0] and "waiting" not in v[0])
            running.tell("/midi/learn", "s", gain)
            until(running, "/midi/learn", lambda v: v == (gain,))
            controller.send(*[f"b0{half}" for v in (90, 91, 92) for half in (f"07{v:02x}", f"27{v:02x}")])
            assert until(running, "/midi/map", lambda v: v[0]) == (f"cc14 7, channel 1 -> {gain}",)
            # 0.75 is shown: 12287 of 16383.
            shown(controller, "b0075f")
            shown(controller, "b0277f")
            # Not where the value is: nothing moves. Then past it.
            controller.send("b00720", "b02700")
            time.sleep(0.1)
            assert running.ask(gain) == (0.75,)
            controller.send("b0077f", "b0277f")
            until(running, gain, lambda v: v == (1.0,))
            # Another sets it, and the fader follows.
            running.tell(gain, "f", 0.0)
            controller.told.clear()
            shown(controller, "b00700")
        until(running, "/midi/state", lambda v: v[0] == "waiting for knobs")
        with knobs(environment) as controller:
            until(running, "/midi/state", lambda v: "waiting" not in v[0])
            controller.send("b00700", "b02700", "b00740", "b02700")
            until(running, gain, lambda v: v[0] == pytest.approx(8192 / 16383))
        assert running.stop() == 0, running.stderr
    assert "Traceback" not in running.stderr + running.stdout
    assert running.stdout.count("looked for again") == 1
    text = next(Path(tmp_path).rglob("midi.toml")).read_text()
    assert f'[[map]]\ncontrol = "{gain}"\nfrom = "cc14"\nnumber = 7\nchannel = 1\n' in text
