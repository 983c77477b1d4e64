"""A paced run: one mode and run of a separator on the null device, in real time, with the condition changing.

Deadlines are absolute: the device's blocks come and go by the clock (`realtime.bench.card`), so that a late hop leaves those of
the following ones where they were. The first second is discarded. The control (`realtime.bench.control`) keeps the same schedule.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import soundfile

from realtime.bench.arithmetic import count_macs
from realtime.bench.bare import with_bare
from realtime.bench.card import Card
from realtime.bench.change import measure_click
from realtime.bench.child import Child
from realtime.bench.computer import peak_memory
from realtime.bench.control import Schedule, keep_schedule
from realtime.bench.delay import measure_delay
from realtime.bench.figures import Course, Figures, Measured, percentile
from realtime.bench.task import Task
from realtime.defaults import mode_of
from realtime.engineprocess import SWITCH_INTERVAL
from realtime.errors import HostError
from realtime.memory import lock_memory
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.presets import presets_for
from realtime.separator import Separator
from realtime.session import Session
from realtime.stream import Stream, WorkCounts

SECONDS = 60.0
WARM_UP = 1.0
# How long before its first hop the control is told of it, in seconds: half of the warm-up.
_NOTICE = 0.5
_POLL = 0.1


class Record(WorkCounts):
    """Work of a stream's hops, each kept with the time it was done at and the misses so far."""

    def __init__(self, stream: Stream, hops: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._stream, self._clock, self._rows, self._count = stream, clock, np.zeros((hops, 3)), 0

    def add(self, seconds: float) -> None:
        """Keep one hop; those that there is no room for are only counted."""
        super().add(seconds)
        if self._count < len(self._rows):
            self._rows[self._count] = self._clock(), seconds, self._stream.misses
            self._count += 1

    def course(self, begun: float, misses_before: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return when each hop was done, how long it took, and when one was missed, all in seconds, since `begun`.

        A hop that was left out is seen when the next one is done.
        """
        at, took, misses = self._rows[: self._count].T
        more = np.diff(misses, prepend=misses_before).astype(int)
        return at - begun, took.copy(), np.repeat(at - begun, np.maximum(more, 0))


def measure(task: Task) -> Iterator[int | Schedule | Measured]:
    """Yield the control's schedule, how many hops are done now and then, and at last what was measured.

    The control's own figures are zero in it. Raises HostError where the separator cannot run.
    """
    separator = Separator.load(task.separator)
    mixes = [Mix(gains) for gains in presets_for(separator.metadata.stems).values()]
    plan = Plan(
        task.separator,
        mixes[0],
        task.mode,
        task.run,
        device="null",
        block=task.block,
        reserve=task.reserve,
        source=str(task.music),
    )
    session = Session(plan)
    mode, stream, started = mode_of(separator, task.mode), session.stream, session.started
    rate, block, latency = started.rate, started.block, started.latency
    music, _ = soundfile.read(task.music, dtype="float32", always_2d=True)
    period, reserve = stream.engine.step / stream.engine.rate, latency.reserve / rate
    hops = task.hops or round(SECONDS / period)
    card = session.device = Card(music, rate, block, calls=round(1.2 * (hops * period + 10) * rate / block))
    stream.engine.ends_at = None

    def run_until(end: int) -> Iterator[int]:
        changed, changes = time.monotonic(), 0
        while stream.hops < end:
            if session.over:
                raise HostError(session.failure or "the null device stopped early")
            # Seldom: whoever looks takes the interpreter from the hops.
            time.sleep(min(_POLL, max(0.005, (end - stream.hops) * period)))
            if time.monotonic() - changed > 1:
                changed, changes = time.monotonic(), changes + 1
                stream.submit(mixes[changes % len(mixes)], None)
            yield stream.hops

    session.start()
    try:
        before = stream.hops
        notice, first = (before + max(2, round(seconds / period)) for seconds in (WARM_UP - _NOTICE, WARM_UP))
        yield from (0 for _ in run_until(notice))
        begin = _arrival(stream, first + 1)
        yield Schedule(begin, period, reserve, hops)
        yield from (0 for _ in run_until(first))
        record = Record(stream, hops)
        hops_before, misses_before = stream.hops, stream.misses
        stream.work = record
        yield from (done - hops_before for done in run_until(hops_before + hops))
        counted, misses = stream.hops - hops_before, stream.misses - misses_before
    finally:
        session.stop()
    at, took, missed = record.course(begin, misses_before)
    if not len(took):
        raise HostError(
            f"not one of {counted} hops was begun in time, so there is nothing to tell; choose a longer mode"
        )
    memory = peak_memory()
    median = percentile(took, 0.5)
    misses_card = None
    if stream.engine.rate == rate and not latency.read_ahead:
        ends = stream.engine.step * np.arange(hops_before + 1, hops_before + counted + 1)
        misses_card = left_no_time(card.late, ends, block, latency.reserve // block, median, rate)
    macs = count_macs(separator, stream.engine.streams)
    click = measure_click(separator, mode, task.run, rate=stream.engine.rate)
    figures = Figures(
        mode=task.mode,
        run=started.run,
        block=block,
        hop=stream.engine.step,
        hops=counted,
        latency_ms=1000 * latency.added / rate,
        deadline_ms=1000 * reserve,
        p50_ms=1000 * median,
        p99_ms=1000 * percentile(took, 0.99),
        p999_ms=1000 * percentile(took, 0.999),
        max_ms=1000 * float(took.max()),
        load=median / period,
        misses=misses,
        misses_control=0,
        misses_card=misses_card,
        control_p99_ms=0.0,
        control_max_ms=0.0,
        delay_reported_samples=latency.added,
        delay_measured_samples=measure_delay(mode, latency, block, rate, stream.engine.rate),
        click_db=click.db,
        click_change=click.change,
        memory_mb=None if memory is None else memory / 1e6,
        mmacs=macs / 1e6,
        gmacs_per_second=macs / median / 1e9,
    )
    split = tuple((cause, samples) for cause, samples in latency.causes.items() if samples)
    yield Measured(figures, Course(at, 1000 * took, missed, np.zeros(0), split, rate, 1000 * period))


def left_no_time(late: np.ndarray, ends: np.ndarray, block: int, blocks: int, work: float, rate: int) -> int | None:
    """Return for how many hops the device left less than `work` seconds: it was late to bring them, then in time to play them.

    `late` [calls] is by how much each of its blocks came late, in seconds; the input of the hops is complete at `ends`, and
    is played so many `blocks` later. None where that is not known.
    """
    came = -(-ends // block) - 1
    came = came[came + blocks < len(late)]
    left = blocks * block / rate - late[came] + late[came + blocks]
    # The last ones may not have been played before the end.
    known = ~np.isnan(left)
    return int((left[known] < work).sum()) if known.any() else None


def _arrival(stream: Stream, hop: int) -> float:
    """Return when the input of the `hop`th hop is complete, on the monotonic clock."""
    while (snapshot := stream.telemetry()) is None or snapshot.clock is None:
        if stream.failure is not None:
            raise HostError(f"the engine failed ({stream.failure!r})")
        time.sleep(0.01)
    position, wall = snapshot.clock
    needed = hop * stream.engine.step / stream.engine.rate - (stream.latency.read_ahead + position) / stream.rate
    return wall + needed + time.monotonic() - time.time()


def with_control(measured: Measured, schedule: Schedule, late: np.ndarray) -> Measured:
    """Return `measured` with the figures of the control, which woke `late` [hops] seconds after its times."""
    missed = late > schedule.reserve
    figures = replace(
        measured.figures,
        misses_control=int(missed.sum()),
        control_p99_ms=1000 * percentile(late, 0.99),
        control_max_ms=1000 * float(late.max()),
    )
    times = schedule.period * np.arange(len(late)) + late
    return Measured(figures, replace(measured.course, control=times[missed]))


def _send_measured(pipe, task: Task) -> None:
    sys.setswitchinterval(SWITCH_INTERVAL)
    messages = measure(task)
    pipe.send(next(messages))
    # As live, when all is built; what that disturbs is discarded with the warm-up.
    lock_memory()
    for message in messages:
        pipe.send(message)


def measure_paced(task: Task, show: Callable[[int], object]) -> Measured:
    """Return what `task` gives, measured in a process of its own as the live host's engine runs, beside the control.

    `show` hears how many hops are done. Raises HostError where the separator cannot run.
    """
    schedule = None
    with Child(_send_measured, task) as hops, Child(keep_schedule) as control:
        while not isinstance(message := hops.receive(), Measured):
            if isinstance(message, Schedule):
                schedule = message
                control.send(schedule)
            else:
                show(message)
        measured = with_control(message, schedule, control.receive())
    if not task.bare:
        return measured
    return Measured(with_bare(measured.figures, task, schedule), measured.course)
