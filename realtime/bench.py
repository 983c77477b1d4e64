"""Latency, load and misses of a separator on this machine, in every mode and run it offers.

Each mode and run plays on the null device, in a process of its own as the live host's engine does.
Beside it a thread that does nothing keeps the same schedule: what it misses, the machine missed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from realtime.chain import chain_for
from realtime.demo import demo_song
from realtime.devices.file import reader
from realtime.devices.null import NullDevice
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.latency import Latency, Mode
from realtime.library import find_separator
from realtime.mix import Mix
from realtime.presets import presets_for
from realtime.separator import Separator
from realtime.session import Plan, Session, mode_of
from realtime.stream import Stream

SECONDS = 60.0
WARM_UP = 1.0
_POLL = 0.1
_LOOP_SECONDS = 8.0


@dataclass(frozen=True)
class Task:
    """One measurement: `music` is a stereo file that is played over and over, `hops` 0 stands for a minute of them.

    A hop is what one call of the separator finishes.
    """

    separator: Path
    music: Path
    mode: str
    run: Literal["single", "stems"]
    hops: int = 0


@dataclass(frozen=True)
class Figures:
    """What one mode and run gave. `delay_measured_samples` is None where the click met a gap."""

    mode: str
    run: str
    block: int
    hop: int
    hops: int
    latency_ms: float
    deadline_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    load: float
    misses: int
    misses_control: int
    delay_reported_samples: int
    delay_measured_samples: int | None


class Idler:
    """A thread that wakes at every hop, does nothing, and counts how often it woke later than `reserve` seconds."""

    def __init__(self, period: float, reserve: float) -> None:
        self._period, self._reserve = period, reserve
        self.misses = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="idler", daemon=True)

    def start(self) -> None:
        """Start waking."""
        self._thread.start()

    def stop(self) -> int:
        """Stop; return how often it was late."""
        self._stop.set()
        self._thread.join()
        return self.misses

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            due += self._period
            time.sleep(max(0.0, due - time.monotonic()))
            self.misses += time.monotonic() - due > self._reserve


def identity_engine(mode: Mode, rate: float) -> Engine:
    """Return an engine of two channels at `rate` Hz in `mode` that changes nothing."""
    return Engine(Separator.load(find_separator("identity")), mode, 2, "single", Mix((1.0,)), rate)


def measure_delay(mode: Mode, latency: Latency, block: int, rate: int, engine_rate: float) -> int | None:
    """Return by how many samples a click comes out late; None if it met a gap.

    It goes through the identity separator, chain, stream and bridge, computed in lockstep.
    """
    stream = Stream(chain_for(identity_engine(mode, engine_rate), rate), latency, rate, block)
    # Neither at the start of a hop nor of a block, and late enough to meet a running stream.
    at = 8 * (mode.hop + block) + 37
    sound = np.zeros((-(-(at + latency.inside + 4 * mode.synthesis) // block) * block, 2), np.float32)
    sound[at] = 0.5
    read = reader(sound)
    stream.prime(read)
    heard = np.empty((len(sound) - latency.read_ahead, 2), np.float32)
    for start in range(0, len(heard), block):
        stream.lockstep(read(block), heard[start : start + block], block)
    # A gap is filled with the dry sound at the right place, which would prove nothing.
    if stream.misses or stream.bridge.counts().gaps:
        return None
    return int(np.argmax(np.abs(heard).max(axis=1))) - at


def measure(task: Task) -> Iterator[int | Figures]:
    """Yield how many hops are done now and then, and the figures at last. Raises HostError where it cannot run."""
    separator = Separator.load(task.separator)
    mixes = [Mix(gains) for gains in presets_for(separator.metadata.stems).values()]
    session = Session(Plan(task.separator, mixes[0], task.mode, task.run, device="null", source=str(task.music)))
    mode, stream, started = mode_of(separator, task.mode), session.stream, session.started
    rate, block, latency = started.rate, started.block, started.latency
    music, _ = soundfile.read(task.music, dtype="float32", always_2d=True)
    session.device = NullDevice(_looped(music), rate, block, music.shape[1])
    stream.engine.ends_at = None
    period = stream.engine.step / stream.engine.rate
    hops = task.hops or round(SECONDS / period)
    warm_up = min(hops, round(WARM_UP / period))

    def run_until(end: int) -> Iterator[int]:
        changed, changes = time.monotonic(), 0
        while stream.hops < end:
            if session.over:
                raise HostError(session.failure or "the null device stopped early")
            time.sleep(_POLL if end - stream.hops > 50 else 0.01)
            if time.monotonic() - changed > 1:
                changed, changes = time.monotonic(), changes + 1
                stream.submit(mixes[changes % len(mixes)], None)
            yield stream.hops

    session.start()
    try:
        yield from (0 for _ in run_until(warm_up))
        idler = Idler(period, latency.reserve / rate)
        idler.start()
        stream.work.reset()
        hops_before, misses_before = stream.hops, stream.misses
        yield from (done - hops_before for done in run_until(hops_before + hops))
        misses_control = idler.stop()
        counted, misses, work = stream.hops - hops_before, stream.misses - misses_before, stream.work
        times = [1000 * work.percentile(share) for share in (0.5, 0.99, 0.999)] + [1000 * work.longest]
    finally:
        session.stop()
    yield Figures(
        mode=task.mode,
        run=started.run,
        block=block,
        hop=stream.engine.step,
        hops=counted,
        latency_ms=1000 * latency.added / rate,
        deadline_ms=1000 * latency.reserve / rate,
        p50_ms=times[0],
        p99_ms=times[1],
        p999_ms=times[2],
        max_ms=times[3],
        load=times[0] / (1000 * period),
        misses=misses,
        misses_control=misses_control,
        delay_reported_samples=latency.added,
        delay_measured_samples=measure_delay(mode, latency, block, rate, stream.engine.rate),
    )


def _looped(audio: np.ndarray) -> Callable[[int], np.ndarray]:
    position = 0

    def read(n: int) -> np.ndarray:
        nonlocal position
        rows = audio[(position + np.arange(n)) % len(audio)]
        position = (position + n) % len(audio)
        return rows

    return read


def _serve(task: Task, pipe) -> None:
    # Ctrl-C reaches the whole group; this process goes with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for message in measure(task):
            pipe.send(message)
    except HostError as problem:
        pipe.send(str(problem))


def _measured(task: Task, show: Callable[[int], object]) -> Figures:
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(task, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            message = pipe.recv()
            if isinstance(message, Figures):
                return message
            if isinstance(message, str):
                raise HostError(message)
            show(message)
    except EOFError:
        raise HostError("the process that measured it ended unexpectedly") from None
    finally:
        pipe.close()
        process.join(5)


def machine() -> dict[str, object]:
    """Return what figures depend on: processor, system and versions."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": _runtime(),
    }


def _runtime() -> str:
    import onnxruntime

    return onnxruntime.__version__


def _table(rows: list[Figures]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column()
    for row in rows:
        agrees = row.delay_measured_samples == row.delay_reported_samples
        table.add_column(f"{row.mode}\n{row.run}", justify="right", style=None if agrees else "bold red")
    lines = {
        "block": [str(row.block) for row in rows],
        "hops": [str(row.hops) for row in rows],
        "latency ms": [f"{row.latency_ms:.1f}" for row in rows],
        "deadline ms": [f"{row.deadline_ms:.1f}" for row in rows],
        "work p50 ms": [f"{row.p50_ms:.2f}" for row in rows],
        "p99 ms": [f"{row.p99_ms:.2f}" for row in rows],
        "p99.9 ms": [f"{row.p999_ms:.2f}" for row in rows],
        "max ms": [f"{row.max_ms:.2f}" for row in rows],
        "load": [f"{100 * row.load:.0f} %" for row in rows],
        "misses": [str(row.misses) for row in rows],
        "control misses": [str(row.misses_control) for row in rows],
        "delay": [str(row.delay_reported_samples) for row in rows],
        "measured": ["gap" if row.delay_measured_samples is None else str(row.delay_measured_samples) for row in rows],
    }
    for label, cells in lines.items():
        table.add_row(label, *cells)
    return table


def bench(path: Path, hops: int, json_path: Path | None) -> int:
    """Measure the separator at `path` for `hops` hops per mode and run (0: a minute each), and print a table.

    Returns 1 where a mode could not run or a delay is not what is reported; misses are figures, not failures.
    Writes {"separator", "modes", "refused", "machine"} to `json_path`. Raises HostError for what makes no bench.
    """
    if hops < 0:
        raise HostError(f"--hops {hops}: a count of hops is 1 or more, or 0 for a minute")
    meta = Separator.load(path).metadata
    rows: list[Figures] = []
    refused: list[dict[str, str]] = []
    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console, transient=True) as progress:
        music = Path(folder) / "music.wav"
        soundfile.write(music, demo_song(_LOOP_SECONDS, meta.sample_rates[0]).mixture, meta.sample_rates[0], "FLOAT")
        for name, mode in meta.modes.items():
            for run in meta.runs:
                per_minute = round(SECONDS * meta.sample_rates[0] / (meta.frames * mode.hop))
                bar = progress.add_task(f"{name} {run}", total=hops or per_minute)
                try:
                    task = Task(path, music, name, run, hops)
                    rows.append(_measured(task, lambda done, bar=bar: progress.update(bar, completed=done)))
                except HostError as problem:
                    refused.append({"mode": name, "run": run, "reason": str(problem)})
                progress.remove_task(bar)
    if rows:
        console.print(f"{meta.name} on {machine()['cpu']}")
        console.print(_table(rows))
        console.print("control misses: by a thread that does nothing on the same schedule, so the machine's own.")
        console.print("delay, measured: in samples; as reported, and of a click through the identity separator.")
    for each in refused:
        console.print(f"{each['mode']} {each['run']}: {each['reason']}")
    if json_path is not None:
        document = {"separator": meta.name, "modes": [asdict(row) for row in rows], "refused": refused, "machine": machine()}
        try:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            json_path.write_text(json.dumps(document, indent=1) + "\n")
        except OSError as problem:
            raise HostError(f"{json_path} cannot be written ({problem.strerror}); choose another place with --json") from None
        console.print(f"wrote {json_path}", soft_wrap=True)
    return 1 if refused or any(row.delay_measured_samples != row.delay_reported_samples for row in rows) else 0
