"""Contenders that take turns on one core, each in a process of its own with one thread.

Turns, because a machine that is slow for a while is then slow for all of them. Within a turn hop follows hop without a pause, so a
contender is at its quickest: what it does beside other work, the paced run tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from realtime.bench.child import Child
from realtime.bench.figures import percentile
from realtime.errors import HostError

WARM_UP = 5


@dataclass(frozen=True)
class Entrant:
    """What a contender says of itself: `stems` it gives, samples per `hop` at `rate`; `step` computes one hop.

    `hop` 0 is for work that has no sound to keep up with. `macs` are multiply-accumulates per hop, None if not counted.
    """

    name: str
    step: Callable[[], object]
    stems: int = 0
    hop: int = 0
    rate: int = 44100
    macs: int | None = None


@dataclass(frozen=True)
class Result:
    """Times of one contender per hop; `late` counts hops that took longer than a hop lasts, `load` is p50 of that."""

    name: str
    stems: int
    hop: int
    hops: int
    period_ms: float | None
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    load: float | None
    late: int | None
    gmacs_per_second: float | None


@dataclass(frozen=True)
class Refusal:
    """Why a contender did not take part, in a sentence."""

    reason: str


def the_core() -> int | None:
    """Return the core that contenders share; None where a process cannot choose its core."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else None


def _compete(pipe, enter: Callable[..., Entrant], arguments: tuple, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    entrant = enter(*arguments)
    for _ in range(WARM_UP):
        entrant.step()
    pipe.send((entrant.name, entrant.stems, entrant.hop, entrant.rate, entrant.macs))
    while True:
        pipe.send(turn(entrant.step, pipe.recv()))


def turn(step: Callable[[], object], hops: int, clock: Callable[[], float] = time.perf_counter) -> np.ndarray:
    """Return how long each of `hops` steps took, in seconds."""
    times = np.zeros(hops + 1)
    times[0] = clock()
    for hop in range(hops):
        step()
        times[hop + 1] = clock()
    return np.diff(times)


def result_of(name: str, stems: int, hop: int, rate: int, macs: int | None, times: np.ndarray) -> Result:
    """Return the figures of `times`, in seconds."""
    median = percentile(times, 0.5)
    period = hop / rate if hop else None
    return Result(
        name=name,
        stems=stems,
        hop=hop,
        hops=len(times),
        period_ms=1000 * period if period else None,
        p50_ms=1000 * median,
        p99_ms=1000 * percentile(times, 0.99),
        p999_ms=1000 * percentile(times, 0.999),
        max_ms=1000 * float(times.max()),
        load=median / period if period else None,
        late=int((times > period).sum()) if period else None,
        gmacs_per_second=None if macs is None else macs / median / 1e9,
    )


Entry = tuple[Callable[..., Entrant], tuple]
"""A function of a module that makes an Entrant, and its arguments."""


def contest(entries: Sequence[Entry], rounds: int, hops: int, show: Callable[[int], object]) -> list[Result | Refusal]:
    """Return for every entry how it did in `rounds` turns of `hops` hops; `show` hears how many rounds are over."""
    core = the_core()
    children: list[Child | None] = [Child(_compete, enter, arguments, core) for enter, arguments in entries]
    try:
        said: list[tuple | Refusal] = []
        for index, child in enumerate(children):
            try:
                said.append(child.receive())
            except HostError as problem:
                said.append(Refusal(str(problem)))
                child.close()
                children[index] = None
        times: list[list[np.ndarray]] = [[] for _ in children]
        for number in range(rounds):
            for child, taken in zip(children, times, strict=True):
                if child is not None:
                    child.send(hops)
                    taken.append(child.receive())
            show(number + 1)
    finally:
        for child in children:
            if child is not None:
                child.close()
    return [
        each if isinstance(each, Refusal) else result_of(*each, np.concatenate(taken))
        for each, taken in zip(said, times, strict=True)
    ]
