"""MIDI ports of this machine, through RtMidi."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from realtime.errors import HostError

CLIENT = "LaSAFT Live"
# Before a port's name: JACK's ports, where ALSA's are the usual ones.
_JACK = "jack:"
_MOST_READ = 512
# JACK's clients are not told by RtMidi that the server has gone, and still see its ports: a message to ourselves, and
# the longest it may be without one, in seconds. What stands still for so long is looked for again.
_PULSE, _PULSES, _SILENT = 0xFE, 1.0, 5.0


class Connection(Protocol):
    """A controller that is there. Its methods are quick, and for one thread."""

    name: str

    def read(self) -> list[tuple[list[int], float]]:
        """Return the messages that came, each with the seconds since the one before it. Raises OSError where it has gone."""

    def send(self, message: Sequence[int]) -> None:
        """Send one message; a controller without an input hears nothing. Raises OSError where it has gone."""

    def close(self) -> None:
        """Let go of it, whether it is still there or not."""


class Ports(Protocol):
    """The ports of a machine."""

    def inputs(self) -> list[str]:
        """Return the names of what can be listened to."""

    def outputs(self) -> list[str]:
        """Return the names of what can be sent to."""

    def open(self, name: str) -> Connection:
        """Return the connection to the input `name` and the output that belongs to it. Raises OSError where it has gone."""

    def reset(self) -> None:
        """Let go of everything that is not a connection."""


class RtPorts:
    """The ports of ALSA, CoreMIDI or Windows; JACK's where `jack`, or where Linux has no ALSA sequencer.

    They are polled, not called back: JACK would call from its own thread, which the sound waits for.
    Raises HostError where the package is not installed.
    """

    def __init__(self, jack: bool = False) -> None:
        try:
            import rtmidi
        except ImportError:
            raise HostError("MIDI needs the midi extra: pip install -e '.[midi]'") from None
        self._rtmidi = rtmidi
        if jack or (sys.platform == "linux" and not Path("/dev/snd/seq").exists()):
            self._api = rtmidi.API_UNIX_JACK
            if self._api not in rtmidi.get_compiled_api():
                raise HostError("this RtMidi knows no JACK, and there is no ALSA sequencer; there is no MIDI here")
            _hush_jack()
        else:
            self._api = rtmidi.API_UNSPECIFIED
        self._in = self._out = None

    def inputs(self) -> list[str]:
        try:
            if self._in is None:
                self._in = self._rtmidi.MidiIn(self._api, name=CLIENT)
            return [name for name in self._in.get_ports() if not name.startswith(CLIENT)]
        except (self._rtmidi.RtMidiError, RuntimeError):
            return []

    def outputs(self) -> list[str]:
        try:
            if self._out is None:
                self._out = self._rtmidi.MidiOut(self._api, name=CLIENT)
            return [name for name in self._out.get_ports() if not name.startswith(CLIENT)]
        except (self._rtmidi.RtMidiError, RuntimeError):
            return []

    def open(self, name: str) -> Connection:
        return _RtConnection(self._rtmidi, self._api, name)

    def reset(self) -> None:
        for side in (self._in, self._out):
            if side is not None:
                side.delete()
        self._in = self._out = None


def ports_of(names: Sequence[str]) -> tuple[Ports, list[str]]:
    """Return where the ports called `names` are to be looked for, and the names without what says so."""
    jack = [name.startswith(_JACK) for name in names]
    if any(jack) and not all(jack):
        raise HostError(f"ports of JACK ({_JACK}...) and others cannot be used at once; choose either")
    return RtPorts(any(jack)), [name.removeprefix(_JACK) for name in names]


def partner(name: str, outputs: Sequence[str]) -> str | None:
    """Return which of `outputs` belongs to the controller whose input port is `name`, None where it has none.

    It has the same name, or the same name up to the colon, which in JACK and ALSA ends that of the device.
    """
    if name in outputs:
        return name
    device = name.rpartition(":")[0] if name.count(":") == 1 else name.partition(":")[0]
    # JACK renames the second client of a name: "Knobs-01".
    base = device[:-3] if device[-3:-2] == "-" and device[-2:].isdigit() else device
    for wanted in dict.fromkeys((device, base)):
        for output in outputs:
            if wanted and output.startswith(f"{wanted}:"):
                return output
    return None


class _RtConnection:
    def __init__(self, rtmidi, api: int, name: str) -> None:
        self._error = rtmidi.RtMidiError
        self.name = name
        self._in = self._out = self._pulse = None
        self._beat = self._heard = time.monotonic()
        self._carried = 0.0
        jack = api == rtmidi.API_UNIX_JACK
        try:
            self._out = rtmidi.MidiOut(api, name=CLIENT)
            outputs = self._out.get_ports()
            self._in = rtmidi.MidiIn(api, name=CLIENT)
            self._in.open_port(self._in.get_ports().index(name), "in")
            self._in.ignore_types(sysex=True, timing=False, active_sense=not jack)
            if jack:
                self._pulse = rtmidi.MidiOut(api, name=CLIENT)
                ports = self._pulse.get_ports()
                own = next(port for port in ports if port.startswith(CLIENT) and port not in outputs)
                self._pulse.open_port(ports.index(own), "pulse")
            self.shown_on = partner(name, outputs)
            if self.shown_on is not None:
                self._out.open_port(outputs.index(self.shown_on), "out")
        except (self._error, RuntimeError, ValueError, StopIteration) as problem:
            self.close()
            raise OSError(f"the MIDI port {name} cannot be opened: {problem}") from None

    def read(self) -> list[tuple[list[int], float]]:
        messages = []
        while len(messages) < _MOST_READ and (message := self._in.get_message()) is not None:
            data, later = message
            if data[0] == _PULSE:
                self._carried += later
                self._heard = time.monotonic()
            else:
                messages.append((data, later + self._carried))
                self._carried = 0.0
        if self._pulse is not None and (now := time.monotonic()) >= self._beat:
            # However long this thread itself stood still, the next pulse is waited for.
            if self._beat - self._heard > _SILENT:
                raise OSError(f"{self.name} stands still")
            self._beat = now + _PULSES
            self._pulse.send_message([_PULSE])
        return messages

    def send(self, message: Sequence[int]) -> None:
        if self.shown_on is None:
            return
        try:
            self._out.send_message(message)
        except (self._error, RuntimeError, ValueError) as problem:
            raise OSError(f"{self.name} cannot be sent to: {problem}") from None

    def close(self) -> None:
        for side in (self._pulse, self._in, self._out):
            if side is not None:
                with suppress(self._error, RuntimeError):
                    side.close_port()
                side.delete()
        self._in = self._out = self._pulse = None


def _hush_jack() -> None:
    """Have the JACK library say nothing where there is no server: one is looked for again and again."""
    with suppress(OSError, AttributeError):
        loaded = {row.partition("/")[2] for row in Path("/proc/self/maps").read_text().splitlines()}
        for path in (path for path in loaded if "libjack" in path and ".so" in path):
            library = ctypes.CDLL("/" + path)
            # Something in C, without Python's lock, that takes a text and does nothing with it.
            nothing = ctypes.CDLL(None).strlen
            library.jack_set_error_function(nothing)
            library.jack_set_info_function(nothing)
