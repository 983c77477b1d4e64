"""How long a call of an engine takes on this machine."""

from __future__ import annotations

import threading
import time

import numpy as np

from realtime.engine import Engine
from realtime.priority import raise_priority

# A call begins as long after the one before as live, but no longer than this, in seconds: longer ones hardly slow down the next
# call any more.
PACE = 0.012

# How long work is measured at most, in seconds, if it takes that long for as many calls.
MEASURED, LEAST_CALLS = 4.0, 5


def measure_work(engine: Engine, hops: int = 200, playing: bool = False) -> tuple[float, float]:
    """Return the median of the time a call takes, and the p99.9 of that from when it is due to its end, in seconds.

    On noise; leaves `engine` unfit for use. `hops` of the STFT are measured, or as many as there is time for; while music is
    `playing`, out of its way, at ordinary priority.
    """
    noise = np.random.default_rng(0).standard_normal((engine.step, engine.channels)).astype(np.float32) * 0.1
    frames = engine.step // engine.mode.hop
    period = engine.step / engine.rate
    times: list[float] = []
    answers: list[float] = []

    def measure() -> None:
        # At the priority it will run at; a thread of its own, because priority is not easily given back.
        if not playing:
            raise_priority()
        took = 0.0
        for i in range(-max(1, 20 // frames), max(LEAST_CALLS, hops // frames)):
            # A pause, as live: a core that has slept works at half its speed for a while, and on cold caches.
            pause = max(0.0005, min(PACE, period) - took)
            due = time.perf_counter() + pause
            time.sleep(pause)
            begun = time.perf_counter()
            engine.process(noise)
            ended = time.perf_counter()
            took = ended - begun
            if i >= 0:
                times.append(took)
                answers.append(max(took, ended - due))
            if len(times) >= LEAST_CALLS and sum(times) > MEASURED:
                break

    thread = threading.Thread(target=measure, name="measurement")
    thread.start()
    thread.join()
    median, slow = float(np.median(times)), float(np.quantile(answers, 0.999))
    # Few calls do not show how slow one in a thousand is.
    return median, slow if len(times) >= hops else max(slow, 1.5 * median)
