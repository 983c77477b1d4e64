"""What the engine's process and the control process say to each other of a run, beside plans and wishes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from realtime.plan import Plan
from realtime.tape import Recording
from realtime.taps import Layout
from realtime.telemetry import Telemetry


@dataclass(frozen=True)
class Automatic:
    """Whether the mode is stepped down and up by itself."""

    on: bool


@dataclass(frozen=True)
class Ended:
    """The run is over: the last telemetry, files written, and what went wrong if anything did."""

    telemetry: Telemetry | None = None
    files: tuple[Path, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Lost:
    """The device has gone, as `reason` says without a full stop; `plan` goes on with it once it is back."""

    reason: str
    plan: Plan


@dataclass(frozen=True)
class Waiting:
    """Why the device is still waited for, without a full stop."""

    reason: str


@dataclass(frozen=True)
class Found:
    """The device is back; a mix to go on with is asked for."""


@dataclass(frozen=True)
class DeviceState:
    """`playing`, or `waiting: ` and why, while the device is gone."""

    text: str = "playing"


PLAYING = DeviceState()


@dataclass(frozen=True)
class Shared:
    """The memory is there, and what to record from it."""

    layout: Layout
    recording: Recording | None
