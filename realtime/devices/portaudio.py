"""Sound cards, through PortAudio: every host API the library was built with."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from types import ModuleType

import numpy as np

from realtime.bridge import Bridge
from realtime.devices.pulse import RATES, Pulse
from realtime.errors import DeviceError, HostError

# A device that has called back nothing for this long is gone, whatever its host API says.
SILENT_SECONDS = 2.0
CLOSING_SECONDS = 2.0

Choice = int | str | None
Lockstep = Callable[[np.ndarray, np.ndarray, int], object]


def list_devices() -> str:
    """Return the sound devices as text, by host API. Raises HostError where PortAudio is missing."""
    return _listing(_sounddevice())


class PortAudioDevice:
    """A full-duplex float32 stream.

    `device` is an index, part of a name, None for the system's default, or (input, output) of
    these. `rate` None is the output device's own. `block` None lets the device choose and vary.
    `channels` is a number or (in, out); an input that has fewer is taken as it is. Raises DeviceError
    where the device, the rate or the channels are not to be had, HostError where the library is missing.
    """

    def __init__(
        self,
        device: Choice | tuple[Choice, Choice] = None,
        rate: int | None = None,
        block: int | None = 512,
        channels: int | tuple[int, int] = 2,
    ) -> None:
        self._sd = _sounddevice()
        wanted = device if isinstance(device, (tuple, list)) else (device, device)
        source, sink = (self._find(choice, kind) for choice, kind in zip(wanted, ("input", "output"), strict=True))
        self._devices = source["index"], sink["index"]
        # Names that find the devices again, whose indices change when others come and go.
        self.where = self._identity(source), self._identity(sink)
        self.name = source["name"] if source["index"] == sink["index"] else f"{source['name']} -> {sink['name']}"
        wanted_in, wanted_out = (channels, channels) if isinstance(channels, int) else channels
        self.in_channels = min(wanted_in, source["max_input_channels"])
        self.out_channels = wanted_out
        if wanted_out > sink["max_output_channels"]:
            raise DeviceError(
                f"{sink['name']} has {sink['max_output_channels']} output channels, not {wanted_out}; "
                f"choose another device.\n{_listing(self._sd)}"
            )
        self.rate = int(rate or sink["default_samplerate"])
        self.block = block or None
        self._latency = source["default_low_input_latency"], sink["default_low_output_latency"]
        if not self._accepts(self.rate):
            rates = ", ".join(str(each) for each in RATES if self._accepts(each)) or "no common rate"
            raise DeviceError(
                f"{self.name} refuses {self.rate} Hz with {self.in_channels} in and {self.out_channels} out; "
                f"it accepts {rates}."
            )
        self._stream = None
        self._bridge: Bridge | None = None
        self._error: str | None = None
        self._lost: str | None = None
        self._pulse = Pulse(self.rate, self.block)
        self._calls = 0
        self._seen = 0, 0.0

    @property
    def input_latency(self) -> int:
        """What the device reports, in samples: its default until started, 0 where it reports nonsense."""
        return _samples(self._latency[0], self.rate)

    @property
    def output_latency(self) -> int:
        """What the device reports, in samples: its default until started, 0 where it reports nonsense."""
        return _samples(self._latency[1], self.rate)

    def start(self, bridge: Bridge) -> None:
        """Open and start the stream. Raises DeviceError where the device refuses, ValueError for other channels."""
        if (bridge.in_channels, bridge.out_channels) != (self.in_channels, self.out_channels):
            raise ValueError("the bridge and the device differ in channels")
        pointers = bridge.callback_pointers
        if pointers is None:

            def callback(block_in, block_out, frames, moment, status) -> None:
                late = status.input_underflow or status.input_overflow
                late = late or status.output_underflow or status.output_overflow
                bridge.process(block_in, block_out, int(late))

            self._open(bridge, callback=callback, wrap_callback="array")
        else:
            from _sounddevice import ffi

            function, user_data = (ffi.cast("void*", address) for address in pointers)
            self._open(bridge, callback=function, userdata=user_data)

    def start_lockstep(self, callback: Lockstep) -> None:
        """Start with `callback(block_in, block_out, frames)`, which may wait: never live, only freewheeling."""

        def lockstep(block_in, block_out, frames, moment, status) -> None:
            self._calls += 1
            try:
                callback(block_in.copy(), block_out, frames)
            except Exception as problem:
                block_out[:] = 0
                self._error = f"the engine failed in lockstep ({problem}); the stream has stopped."
                raise self._sd.CallbackAbort from problem

        self._open(None, callback=lockstep, wrap_callback="array")

    def stop(self) -> None:
        """Stop and close the stream; afterwards it may be started again, unless it had failed."""
        failed = self.error is not None
        stream, self._stream = self._stream, None
        bridge, self._bridge = self._bridge, None
        if stream is None:
            return
        _close(stream, bridge, failed)

    def active(self) -> bool:
        """Return whether the stream runs."""
        return self._stream is not None and self._stream.active

    @property
    def error(self) -> str | None:
        """A sentence once the device has stopped by itself; to be asked now and then while running."""
        if self._error is None and (lost := self.lost) is not None:
            return f"{lost}, and start again."
        return self._error

    @property
    def lost(self) -> str | None:
        """What has become of a device that has gone or has changed; to be asked now and then while running."""
        if self._stream is None or self._error is not None or self._lost is not None:
            return self._lost
        check = "check its cable, or the sound server"
        if not self._stream.active:
            self._lost = f"{self.name} has stopped; {check}"
            return self._lost
        calls, now = self._callbacks(), time.monotonic()
        if calls != self._seen[0]:
            self._seen = calls, now
        elif now - self._seen[1] > SILENT_SECONDS:
            self._lost = f"{self.name} has delivered nothing for {now - self._seen[1]:.0f} s; {check}"
        if self._bridge is not None:
            self._pulse.look(self._bridge.available(), self._bridge.counts().xruns, now)
            if self._pulse.rate != self.rate:
                self._lost = f"{self.name} now runs at {self._pulse.rate} Hz, no longer at {self.rate}"
        return self._lost

    @property
    def changed(self) -> int | None:
        """How many samples the device takes at once, where they are more than `block`; `lost` looks at it."""
        return self._pulse.block if self._pulse.block != self.block else None

    def _callbacks(self) -> int:
        return self._calls if self._bridge is None else self._bridge.counts().callbacks

    def _open(self, bridge: Bridge | None, **callback) -> None:
        if self._stream is not None:
            raise ValueError("the device is running already")
        self._error = self._lost = stream = None
        try:
            # The base class takes a C function and its user data; made for libraries that extend sounddevice.
            stream = self._sd._StreamBase(
                kind="duplex",
                samplerate=self.rate,
                blocksize=self.block or 0,
                device=self._devices,
                channels=(self.in_channels, self.out_channels),
                dtype="float32",
                latency="low",
                **callback,
            )
            stream.start()
        except self._sd.PortAudioError as problem:
            if stream is not None:
                _close(stream, bridge, failed=True)
            raise DeviceError(
                f"{self.name} does not open at {self.rate} Hz, blocks of {self.block or 'any size'} ({problem}); "
                f"close other programs that use it, or choose another.\n{_listing(self._sd)}"
            ) from None
        self._bridge = bridge
        self._pulse = Pulse(self.rate, self.block)
        self._seen = self._callbacks(), time.monotonic()
        self._latency = stream.latency
        # Last: whoever looks must not take a stream that is about to start for one that has stopped.
        self._stream = stream

    def _find(self, choice: Choice, kind: str) -> dict:
        if isinstance(choice, str) and choice.strip().isdigit():
            choice = int(choice)
        try:
            info = self._sd.query_devices(choice, kind)
        except (ValueError, self._sd.PortAudioError) as problem:
            if choice is None:
                what = f"there is no {kind} device"
            else:
                what = f"{choice!r} names no {kind} device, or more than one ({str(problem).splitlines()[0]})"
            raise DeviceError(f"{what}; choose one of these:\n{_listing(self._sd)}") from None
        if info[f"max_{kind}_channels"] < 1:
            raise DeviceError(f"{info['name']} has no {kind}; choose one of these:\n{_listing(self._sd)}")
        return info

    def _identity(self, info: dict) -> str:
        api = self._sd.query_hostapis(info["hostapi"])["name"]
        # ALSA numbers cards as they come; words that are found in a row do for sounddevice.
        name, numbered = re.subn(r" \(hw:\d+,\d+\)", "", info["name"])
        return f"{name} {api}" if numbered else f"{name}, {api}"

    def _accepts(self, rate: int) -> bool:
        source, sink = self._devices
        try:
            self._sd.check_input_settings(source, self.in_channels, "float32", samplerate=rate)
            self._sd.check_output_settings(sink, self.out_channels, "float32", samplerate=rate)
        except self._sd.PortAudioError:
            return False
        return True


def look_again() -> None:
    """Have PortAudio look for devices and servers anew; no stream may be open, nor any server be gone that was found.

    A host API whose server went while it was connected waits for it for ever here.
    """
    sd = _sounddevice()
    sd._terminate()
    sd._initialize()


def _close(stream, bridge: Bridge | None, failed: bool) -> None:
    def close(_kept: Bridge | None) -> None:
        try:
            stream.stop()
        except _sounddevice().PortAudioError:
            pass  # a device that is gone cannot be stopped, only closed
        finally:
            stream.close(ignore_errors=True)

    if failed:
        # A host API whose server is gone may wait for it for ever, and may use the bridge until then.
        closing = threading.Thread(target=close, args=(bridge,), daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)
    else:
        close(bridge)


def _samples(seconds: float, rate: int) -> int:
    # Over JACK, PortAudio subtracts a period from 0 in unsigned arithmetic.
    return round(seconds * rate) if 0 <= seconds < 60 else 0


def _sounddevice() -> ModuleType:
    # Late, because the import starts PortAudio, which looks for servers and devices there and then.
    try:
        import sounddevice
    except ImportError:
        raise HostError("the Python package sounddevice is missing; install it with: pip install sounddevice") from None
    except OSError as problem:
        raise HostError(
            f"the PortAudio library is missing ({problem}); on Debian and Ubuntu install it with: "
            "apt install libportaudio2 (on macOS and Windows the sounddevice package brings it)."
        ) from None
    return sounddevice


def _listing(sd: ModuleType) -> str:
    devices = sd.query_devices()
    if not len(devices):
        return "PortAudio finds no sound devices."
    default_in, default_out = sd.default.device
    lines = []
    for api in sd.query_hostapis():
        if not api["devices"]:
            continue
        lines.append(api["name"])
        for index in api["devices"]:
            info = devices[index]
            marks = [word for word, at in (("default input", default_in), ("default output", default_out)) if at == index]
            lines.append(
                f"  {index:3d}  {info['name']}: {info['max_input_channels']} in, {info['max_output_channels']} out, "
                f"{info['default_samplerate']:.0f} Hz{', ' + ', '.join(marks) if marks else ''}"
            )
    return "\n".join(lines)
