"""What a flood of OSC messages costs the sound: hops missed while it lasts, beside those of quiet spells of the same run.

The host runs as `run_live.py` starts it. Its OSC server gets RATE messages a second on the loopback, right ones, wrong ones and
no messages at all (realtime/flood.py), in every other spell.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from realtime.bench.child import Child
from realtime.errors import HostError
from realtime.flood import flood, packet
from realtime.host import Host, OscAddress
from realtime.mix import Mix
from realtime.plan import Plan

RATE = 10_000
SPELLS = 4
_SETTLE, _PATIENCE = 1.0, 20.0


@dataclass(frozen=True)
class FloodFigures:
    """Hops and misses of the quiet spells and of the flooded ones; `messages` were sent in these, `rate` a second asked for."""

    mode: str
    run: str
    rate: int
    messages: int
    seconds: float
    hops_quiet: int
    misses_quiet: int
    hops_flooded: int
    misses_flooded: int


def measure_flood(
    path: Path,
    mode: str,
    run: str,
    block: int | None,
    seconds: float,
    show: Callable[[int], object],
    rate: int = RATE,
    make: Callable[[random.Random], bytes] = packet,
    look: Callable[[Host], object] = lambda host: None,
) -> FloodFigures:
    """Return what SPELLS spells of `seconds` each show, in turns quiet and flooded; `show` hears how many are over.

    `make` draws the packets of which the flood is made; `look` sees the host after every spell.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(path, Mix(()), mode, run, device="null", block=block, probe=Path(folder) / "probe", automatic=False)
        host = Host(plan, OscAddress("127.0.0.1", 0))
        counts, messages = {False: [0, 0], True: [0, 0]}, 0
        try:
            begun = time.monotonic()
            while host.engine.telemetry() is None:
                if time.monotonic() - begun > _PATIENCE or host.engine.wait(0.05):
                    raise HostError("the host did not begin to play, so it was not flooded")
            for number in range(SPELLS):
                flooded = number % 2 == 1
                with Child(flood, host.server.port, rate if flooded else 0, number, make) as client:
                    client.receive()
                    time.sleep(_SETTLE)
                    before = host.engine.telemetry()
                    time.sleep(seconds)
                    after = host.engine.telemetry()
                    client.send(None)
                    messages += client.receive()
                counts[flooded][0] += after.hops - before.hops
                counts[flooded][1] += after.misses - before.misses
                look(host)
                show(number + 1)
        finally:
            ended = host.stop()
    if ended.failure:
        raise HostError(ended.failure)
    started = host.started
    return FloodFigures(
        started.latency_mode, started.run, rate, messages, seconds, *counts[False], *counts[True]
    )
