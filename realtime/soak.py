"""A long run that is changed all the time: what is missed, whether memory grows, whether the delay stays what is reported.

The host runs as `run_live.py` starts it, on the null device. Every few seconds the latency mode, the run, the separator or the
device's block changes, and the condition all the time; a client floods the OSC server with what fits and with what does
not. After every change the host is put in bypass for a moment, and the delay is measured by its samples (realtime/probe.py).
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from realtime.bench.child import Child
from realtime.bench.computer import machine
from realtime.bench.control import Schedule, keep_schedule
from realtime.defaults import mode_name
from realtime.errors import HostError
from realtime.flood import flood
from realtime.host import Host, OscAddress
from realtime.library import list_separators
from realtime.metadata import Metadata
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.probe import Delays
from realtime.separator import Separator

BLOCKS = (128, 256, 512)
# Seconds between changes, and that a change may take.
_PACE, _PATIENCE = (1.0, 4.0), 30.0
# What is missed within so many seconds of a change belongs to it.
_CHANGING = 1.0
_SETTLED = 5
# Seconds until the control keeps its schedule.
_STARTING = 5.0


@dataclass(frozen=True)
class Request:
    """What to run: `minutes` of `path`, with changes drawn from `seed`; `rate` messages a second are sent meanwhile."""

    path: Path
    minutes: float = 30.0
    seed: int = 0
    rate: int = 1000
    json: Path | None = None


@dataclass
class Minute:
    """What there was to see at the end of a minute; `steady` are misses further than a second from any change."""

    minute: int
    hops: int
    misses: int
    steady: int
    engine_mb: float | None
    control_mb: float | None


@dataclass
class Found:
    """All that a soak has found. `delays` maps what ran to the delays it reported, in samples, `calm` to its hops and misses away
    from changes."""

    minutes: list[Minute] = field(default_factory=list)
    changes: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    delays: dict[str, list[int]] = field(default_factory=dict)
    calm: dict[str, list[int]] = field(default_factory=dict)
    measured: int = 0
    wrong: list[str] = field(default_factory=list)
    unheard: int = 0
    messages: int = 0

    def growth(self) -> tuple[float | None, float | None]:
        """Return by how much engine and control have grown since minute 5, or the first there is, as shares."""
        first, last = self.minutes[min(_SETTLED, len(self.minutes)) - 1], self.minutes[-1]
        pairs = (first.engine_mb, last.engine_mb), (first.control_mb, last.control_mb)
        return tuple(None if a is None or b is None else b / a - 1 for a, b in pairs)


def soak(request: Request) -> int:
    """Run `request` and print what was found; return 0 where delays are as reported, 1 otherwise."""
    if request.minutes <= 0:
        raise HostError(f"--minutes {request.minutes:g}: a soak lasts longer than nothing")
    console = Console()
    separator = Separator.load(request.path)
    with tempfile.TemporaryDirectory() as folder:
        found, lateness = _run(request, separator, Path(folder) / "probe", console)
    # The shortest reserve there is in it, a block.
    reserve = min(BLOCKS) / separator.metadata.sample_rates[0]
    missed = int((lateness > reserve).sum())
    _print(request, found, (missed, len(lateness), 1000 * reserve), console)
    if request.json is not None:
        document = asdict(found) | {"seed": request.seed, "misses_control": missed, "machine": machine()}
        request.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if found.wrong or found.unheard else 0


def _run(request: Request, separator: Separator, path: Path, console: Console) -> tuple[Found, np.ndarray]:
    meta = separator.metadata
    mode = mode_name(separator, None)
    plan = Plan(request.path, Mix(()), mode, device="null", block=512, probe=path, automatic=False)
    host = Host(plan, OscAddress(port=0))
    found = Found()
    try:
        with Child(keep_schedule) as control, Child(flood, host.server.port, request.rate, request.seed) as client:
            period = meta.modes[mode].hop / meta.sample_rates[0]
            # Not before the process is there, which would have the machine blamed for its start.
            hops = max(1, round((60 * request.minutes - _STARTING) / period))
            control.send(Schedule(time.monotonic() + _STARTING, period, period, hops))
            client.receive()
            _drive(request, host, meta, path, found, console)
            client.send(None)
            found.messages = client.receive()
            lateness = control.receive()
    finally:
        ended = host.stop()
    if ended.failure:
        raise HostError(ended.failure)
    return found, lateness


def _drive(request: Request, host: Host, meta: Metadata, path: Path, found: Found, console: Console) -> None:
    draw = random.Random(request.seed)
    while host.engine.telemetry() is None or host.engine.telemetry().clock is None:
        time.sleep(0.05)
    delays = Delays(path, host.started.rate)
    models = _alike(meta)
    watch = _Watch(host, found, console)
    end = time.monotonic() + 60 * request.minutes
    while time.monotonic() < end:
        if host.engine.wait(0):
            raise HostError("the host ended before its time")
        _wait(draw.uniform(*_PACE), watch.look)
        wish = _wish(draw, host, models)
        watch.changing = True
        _change(host, wish, found, watch.look)
        _measure(host, delays, found, watch.look)
        watch.changing = False
    watch.look(last=True)


def _alike(meta: Metadata) -> list[str]:
    """Return the names of separators with the same stems, this one's included, that neither look ahead nor are slow to load."""
    names = []
    for name, path in list_separators().items():
        try:
            other = Separator.load(path).metadata
        except HostError:
            continue
        if other.stems == meta.stems and not other.lookahead and other.sample_rates == meta.sample_rates:
            names.append(name)
    return names


def _wish(draw: random.Random, host: Host, models: list[str]) -> tuple[str, object]:
    started = host.started
    kinds: dict[str, list] = {
        "/mode": [choice.mode for choice in started.choices if choice.mode != started.latency_mode and choice.load < 0.5],
        "/run": [run for run in ("single", "stems") if run != started.run],
        "/block": [block for block in BLOCKS if block != started.block],
        "/model": [name for name in models if name != started.separator],
    }
    kind = draw.choice([kind for kind, values in kinds.items() if values])
    return kind, draw.choice(kinds[kind])


def _change(host: Host, wish: tuple[str, object], found: Found, look: Callable[[], object]) -> None:
    address, value = wish
    found.changes[address] = found.changes.get(address, 0) + 1
    host.state.set_info("/notice", "")
    host.state.set(address, value)
    due = time.monotonic() + _PATIENCE
    while host.state.value(address) != (value,):
        notice = host.state.value("/notice")[0]
        if notice or time.monotonic() > due:
            found.refused.append(f"{address} {value}: {notice or 'nothing happened'}")
            return
        _wait(0.02, look)


def _measure(host: Host, delays: Delays, found: Found, look: Callable[[], object]) -> None:
    started = host.started
    name = f"{started.separator} {started.latency_mode} {started.run} {started.block}"
    reported = started.latency.inside
    known = found.delays.setdefault(name, [])
    if reported not in known:
        known.append(reported)
    host.state.set("/bypass", 1)
    delays.skip()
    due, wrong = time.monotonic() + _PATIENCE, None
    # The first that are seen may be of what was separated before.
    while time.monotonic() < due:
        _wait(0.02, look)
        delay = delays.next()
        if delay is None:
            continue
        if delay.measured == delay.reported == reported:
            found.measured += 1
            break
        wrong = None
        if delay.measured is not None:
            wrong = f"{name}: {delay.reported} samples reported, {delay.measured} measured"
    else:
        if wrong:
            found.wrong.append(wrong)
        else:
            found.unheard += 1
    host.state.set("/bypass", 0)


def _wait(seconds: float, look: Callable[[], object]) -> None:
    due = time.monotonic() + seconds
    while (left := due - time.monotonic()) > 0:
        look()
        time.sleep(min(0.05, left))


class _Watch:
    """Counts misses near changes and far from them, and keeps a row a minute."""

    def __init__(self, host: Host, found: Found, console: Console) -> None:
        self.changing = False
        self._host, self._found, self._console = host, found, console
        self._begun = time.monotonic()
        self._calm = 0.0
        snapshot = host.engine.telemetry()
        self._hops, self._misses = snapshot.hops, snapshot.misses
        self._first, self._steady = (snapshot.hops, snapshot.misses), 0

    def look(self, last: bool = False) -> None:
        now, snapshot = time.monotonic(), self._host.engine.telemetry()
        if self.changing:
            self._calm = now + _CHANGING
        if now > self._calm:
            self._steady += snapshot.misses - self._misses
            started = self._host.started
            counts = self._found.calm.setdefault(f"{started.separator} {started.latency_mode} {started.run}", [0, 0])
            counts[0] += snapshot.hops - self._hops
            counts[1] += snapshot.misses - self._misses
        self._hops, self._misses = snapshot.hops, snapshot.misses
        minute = int((now - self._begun) / 60)
        if minute > len(self._found.minutes) or last:
            row = Minute(
                max(1, round((now - self._begun) / 60) if last else minute),
                snapshot.hops - self._first[0],
                snapshot.misses - self._first[1],
                self._steady,
                resident(self._host.engine.pid),
                resident(None),
            )
            self._found.minutes.append(row)
            self._console.print(_line(row), highlight=False, soft_wrap=True)


def resident(pid: int | None) -> float | None:
    """Return the resident memory of process `pid` (None: this one) in MB; None where the system does not tell."""
    status = Path(f"/proc/{pid or 'self'}/status")
    if not status.is_file():
        return None
    lines = [line.split() for line in status.read_text().splitlines() if line.startswith("VmRSS:")]
    return int(lines[0][1]) * 1024 / 1e6 if lines else None


def _line(row: Minute) -> str:
    memory = "" if row.engine_mb is None else f"   memory: engine {row.engine_mb:.1f} MB, control {row.control_mb:.1f} MB"
    return f"{row.minute:4d} min   {row.hops} hops, {row.misses} misses, {row.steady} of them away from changes{memory}"


def _print(request: Request, found: Found, machine_share: tuple[int, int, float], console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True, markup=False)

    last = found.minutes[-1]
    asked = ", ".join(f"{count} of {address}" for address, count in sorted(found.changes.items()))
    say(f"{sum(found.changes.values())} changes ({asked}), {len(found.refused)} of them refused; seed {request.seed}")
    for text in found.refused:
        say(f"  refused: {text}")
    say(f"{found.messages} messages from a client that floods")
    say(f"misses: {last.misses} of {last.hops} hops, {last.steady} of them away from changes, as below")
    missed, calls, reserve = machine_share
    say(f"the machine's share: {missed} of {calls} calls of a thread that does nothing came more than {reserve:.1f} ms late, the shortest reserve")
    for name, (hops, misses) in sorted(found.calm.items()):
        say(f"  {name}: {misses} of {hops} hops")
    for name, grown in zip(("engine", "control"), found.growth(), strict=True):
        if grown is not None:
            say(f"memory of the {name}'s process: {100 * grown:+.1f} % since minute {min(_SETTLED, len(found.minutes))}")
    changed = [f"{name}: {delays}" for name, delays in found.delays.items() if len(delays) > 1]
    say(f"delay: measured {found.measured} times as reported, {len(found.wrong)} times otherwise, {found.unheard} times not to be seen")
    for text in found.wrong + changed:
        say(f"  {text}")
