"""The control: a thread that does nothing, on the schedule of the hops. What it misses, the machine missed.

It wakes when a hop's input has arrived and would be done at once; waking later than the reserve is a miss. It runs at the
same time as the hops it stands beside, because a machine's disturbances come and go; at the same priority; and in a
process of its own, because in the one that is measured it would wait for the interpreter, and blame the machine for our Python.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from realtime.priority import raise_priority


@dataclass(frozen=True)
class Schedule:
    """`hops` hops, the first of which arrives at `begin` (monotonic clock), every `period` seconds; due `reserve` later."""

    begin: float
    period: float
    reserve: float
    hops: int


def lateness(
    schedule: Schedule,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    work: Callable[[], object] = lambda: None,
) -> np.ndarray:
    """Keep `schedule`, doing nothing, or `work`; return how late after its wake each was done, in seconds, float64 [hops].

    A late wake leaves the deadlines of the following ones where they were.
    """
    late = np.zeros(schedule.hops)
    for hop in range(schedule.hops):
        due = schedule.begin + hop * schedule.period
        if (wait := due - clock()) > 0:
            sleep(wait)
        work()
        late[hop] = clock() - due
    return late


def keep_schedule(pipe) -> None:
    """Receive a schedule from `pipe`, keep it, and send how late each wake was."""
    raise_priority()
    pipe.send(lateness(pipe.recv()))


def keep_schedules(pipe) -> None:
    """Send that it is there; then keep one schedule after the other, as `keep_schedule` does."""
    pipe.send(True)
    while True:
        keep_schedule(pipe)
