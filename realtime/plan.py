"""What to run, what to run instead, and what runs: plain descriptions that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from realtime.choice import Choice
from realtime.deck.orders import Setup
from realtime.grants import Grants
from realtime.inserts.insert import Insert
from realtime.latency import Latency
from realtime.mix import Mix
from realtime.outputs import WIDTH


@dataclass(frozen=True)
class Plan:
    """What to run. `device` is a name or index, or (input, output) of these, "null" for none, None for the default with
    the null device to fall back on.

    `source` is a file to play instead of the device's input, "demo" for the demo song, None for the
    device's own input. `record` takes what is heard, `stems` the stems (null device only).
    """

    separator: Path
    mix: Mix
    latency: str | None = None
    run: Literal["single", "stems"] | None = None
    device: str | int | tuple[str | None, str | None] | None = None
    rate: int | None = None
    block: int | None = None
    # The reserve is at least so many seconds, however quick the separator.
    reserve: float = 0.0
    channels: int = 2
    # What leaves on each pair of output channels at the start, see realtime/outputs.py; none is the master on `channels`.
    outputs: tuple[str, ...] = ()
    source: str | None = None
    record: Path | None = None
    stems: Path | None = None
    # What computes the network, by its name in realtime/providers.py; the CPU where that cannot be had.
    provider: str = "cpu"
    # Puts the null device to the test; what is found stands in this file, see realtime/probe.py.
    probe: Path | None = None
    # Whether the system is asked for real-time priority and locked memory.
    realtime: bool = True
    # Whether the mode is stepped down after repeated misses, and up again.
    automatic: bool = True
    # The callback computes the hops itself and may be late: for freewheeling and tests, never live.
    lockstep: bool = False
    # What a run that goes on takes from the one before: work by separator, mode and run, and seconds of the source gone by.
    works: tuple[tuple[tuple[Path, str, str], tuple[float, float]], ...] = ()
    begin: float = 0.0
    # A deck as the source, in place of `source`, and what is on it.
    deck: Setup | None = None
    # Whether stems may come beside its sound, see realtime/deck/preparer.py.
    prepared: bool = False
    # Whether a demo song that has been played out begins anew, for ever.
    again: bool = False
    # Plugins at the start, on stems and on the master.
    inserts: tuple[Insert, ...] = ()
    # Whether there are slots for them at all.
    slots: bool = False

    @property
    def lines(self) -> int | tuple[int, int]:
        """Channels of the device: as many each way, or (in, out)."""
        return (self.channels, WIDTH * len(self.outputs)) if self.outputs else self.channels


@dataclass(frozen=True)
class Wish:
    """What is to run instead while the music plays: None leaves as it is."""

    separator: Path | None = None
    mode: str | None = None
    run: Literal["single", "stems"] | None = None
    block: int | None = None
    # Whether the inserts that were ordered are to run.
    inserts: bool = False

    @staticmethod
    def since(before: Plan, now: Plan) -> Wish:
        """Return what has a run of `before` run like one of `now`."""
        return Wish(
            separator=now.separator if now.separator != before.separator else None,
            mode=now.latency if now.latency != before.latency else None,
            run=now.run if now.run != before.run else None,
        )


@dataclass(frozen=True)
class Started:
    """What runs now, for display: names, sizes, latency and its prediction."""

    separator: str
    stems: tuple[str, ...]
    latency_mode: str
    run: str
    device: str
    rate: int
    block: int
    latency: Latency
    device_latency: tuple[int, int]
    hop: int
    work_ms: tuple[float, float]
    notices: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    # What the operating system granted and refused; None where nothing was asked for.
    grants: Grants | None = None
    # Sample rate at which the separator works; 0 where it is not known.
    engine_rate: int = 0

    @property
    def latency_text(self) -> str:
        """Return the split of the added latency in one line."""
        return f"{self.latency.text(self.rate)} (device: {self.device_latency[0]} in, {self.device_latency[1]} out)"
