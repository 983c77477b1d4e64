"""What the window costs the sound: misses and work of the hops while it is open and busy, beside those of stretches of the same run
without it.

The host runs as `run_live.py` starts it, the condition moves all the time, and in every other stretch the window is open on the
page that draws most: a spectrum of each stem. Where there is no display it draws all the same, to memory (Qt's platform
"offscreen"). In every stretch a thread that does nothing keeps the schedule of the hops (`realtime.bench.control`).
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from realtime.bench.child import Child
from realtime.bench.control import Schedule, keep_schedules
from realtime.errors import HostError
from realtime.flood import flood
from realtime.host import Host, OscAddress, has_display
from realtime.mix import Mix
from realtime.packets import encode
from realtime.plan import Plan
from realtime.taps import Counts
from realtime.work import BINS, WorkCounts

STRETCHES = 6
# Moves of the condition a second.
MOVES = 30
_SETTLE, _PATIENCE = 2.0, 120.0


@dataclass(frozen=True)
class Stretches:
    """All stretches of a kind: hops, misses, and how often the control would have missed.

    Work is told to 2 %; `load` is its median over the duration of a hop. `engine_cpu`, `control_cpu` and `window_cpu` are what
    the three processes took of a core, None where the system does not tell, or there was no window.
    """

    hops: int
    misses: int
    misses_control: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    load: float
    engine_cpu: float | None
    control_cpu: float | None
    window_cpu: float | None


@dataclass(frozen=True)
class WindowFigures:
    """Half of `stretches` stretches of `seconds` each with the window `open` on `page`, drawn by Qt's `platform`; half `closed`."""

    mode: str
    run: str
    platform: str
    page: str
    stretches: int
    seconds: float
    closed: Stretches
    open: Stretches


@dataclass
class Sums:
    """What stretches of one kind add up to; times in seconds."""

    seconds: float = 0.0
    hops: int = 0
    misses: int = 0
    misses_control: int = 0
    work: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    cpu: dict[str, float | None] = field(default_factory=dict)

    def add(self, before: Counts, after: Counts, late: np.ndarray, reserve: float, seconds: float, cpu: dict[str, float | None]) -> None:
        """Add a stretch of `seconds` from `before` to `after`, in which the control woke `late`, and processes took `cpu`."""
        self.seconds += seconds
        self.hops += after.hops - before.hops
        self.misses += after.misses - before.misses
        self.misses_control += int((late > reserve).sum())
        self.work += after.work.counts - before.work.counts
        for name, took in cpu.items():
            so_far = self.cpu.get(name, 0.0)
            self.cpu[name] = None if took is None or so_far is None else so_far + took

    def figures(self, period: float) -> Stretches:
        """Return the figures, where a hop lasts `period` seconds."""
        work = WorkCounts()
        work.counts, work.longest = self.work, math.inf
        p50, p99, p999 = (work.percentile(share) for share in (0.5, 0.99, 0.999))
        took = {name: None if cpu is None else cpu / max(1e-9, self.seconds) for name, cpu in self.cpu.items()}
        return Stretches(
            self.hops, self.misses, self.misses_control, 1000 * p50, 1000 * p99, 1000 * p999, p50 / period,
            took.get("engine"), took.get("control"), took.get("window"),
        )


def measure_window(
    path: Path, mode: str, run: str, block: int | None, seconds: float, show: Callable[[int], object]
) -> WindowFigures:
    """Return what STRETCHES stretches of `seconds` each show, in turns without the window and with it.

    `show` hears how many are over. Raises HostError where the host does not play or the window does not open.
    """
    page = "stems" if run == "stems" else "view"
    platform = os.environ.get("QT_QPA_PLATFORM") or ("" if has_display() else "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(path, Mix(()), mode, run, device="null", block=block, probe=Path(folder) / "probe", automatic=False)
        host = Host(plan, OscAddress("127.0.0.1", 0))
        sums = {False: Sums(), True: Sums()}
        try:
            started = host.started
            period, reserve = started.hop / started.rate, started.latency.reserve / started.rate
            _await(lambda: host.engine.telemetry() is not None, host, "the host did not begin to play")
            move = partial(movement, stems=len(started.stems))
            with Child(flood, host.server.port, MOVES, 0, move) as mover, Child(keep_schedules) as control:
                mover.receive(), control.receive()
                for number in range(STRETCHES):
                    opened = number % 2 == 1
                    with _window(host, page, platform if opened else None) as window:
                        processes = {"engine": host.engine.pid, "control": os.getpid()} | ({} if window is None else {"window": window})
                        time.sleep(_SETTLE)
                        control.send(Schedule(time.monotonic(), period, reserve, max(1, int(seconds / period))))
                        begun, before, cpu = time.monotonic(), _counts(host), {name: cpu_seconds(pid) for name, pid in processes.items()}
                        if host.engine.wait(seconds):
                            raise HostError("the host ended while the window was measured")
                        after, lasted = _counts(host), time.monotonic() - begun
                        took = {name: _since(cpu[name], cpu_seconds(pid)) for name, pid in processes.items()}
                        sums[opened].add(before, after, control.receive(), reserve, lasted, took)
                    show(number + 1)
        finally:
            ended = host.stop()
    if ended.failure:
        raise HostError(ended.failure)
    closed, open_ = (sums[opened].figures(period) for opened in (False, True))
    return WindowFigures(started.latency_mode, started.run, platform or "display", page, STRETCHES, seconds, closed, open_)


def movement(draw: random.Random, stems: int) -> bytes:
    """Return a message that moves the condition of `stems` stems."""
    return encode("/condition", "f" * stems, [draw.random() for _ in range(stems)])


def cpu_seconds(pid: int) -> float | None:
    """Return the processor time that process `pid` has taken, all its threads; None where the system does not tell."""
    try:
        # The name before them, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return None


def _since(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


@contextmanager
def _window(host: Host, page: str, platform: str | None) -> Iterator[int | None]:
    """Open the window on `page`, and wait until it listens; yield its process id. With `platform` None there is none."""
    if platform is None:
        yield None
        return
    command = [sys.executable, "-m", "gui", "--port", str(host.server.port), "--page", page]
    with tempfile.TemporaryFile("w+") as complaints:
        window = subprocess.Popen(
            command,
            cwd=Path(__file__).resolve().parents[2],
            env=os.environ | ({"QT_QPA_PLATFORM": platform} if platform else {}),
            stderr=complaints,
        )

        def listens() -> bool:
            if window.poll() is not None:
                complaints.seek(0)
                said = complaints.read().strip().splitlines()
                raise HostError(f"the window did not open: {said[-1] if said else 'it said nothing'}")
            return _listeners(host) > 0

        try:
            _await(listens, host, "the window did not listen")
            yield window.pid
        finally:
            window.kill()
            window.wait()
        # Whoever still listens costs what the window did.
        _await(lambda: not _listeners(host), host, "the window was still listened for when it had gone")


def _listeners(host: Host) -> int:
    return host.server.telemetry()["/telemetry/subscribers"][0]


def _await(condition: Callable[[], bool], host: Host, otherwise: str) -> None:
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > _PATIENCE or host.engine.wait(0.05):
            raise HostError(f"{otherwise}, so what the window costs was not measured")


def _counts(host: Host) -> Counts:
    while (counts := host.engine.taps.counts()) is None:
        time.sleep(0.001)
    return counts
