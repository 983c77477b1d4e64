"""How long a call of an engine takes on this machine."""

from __future__ import annotations

import threading
import time

import numpy as np

from realtime.engine import Engine
from realtime.priority import raise_priority

# The pause between calls, at most, in seconds; longer ones cost time and hardly slow down the next call any more.
PAUSE = 0.004

# How long work is measured at most, in seconds, if it takes that long for as many calls.
MEASURED, LEAST_CALLS = 4.0, 5


def measure_work(engine: Engine, hops: int = 200, playing: bool = False) -> tuple[float, float]:
    """Return the median and the p99.9 of the time a call takes, in seconds, on noise; leaves `engine` unfit for use.

    `hops` of the STFT are measured, or as many as there is time for; while music is `playing`, out of its way, at ordinary priority.
    """
    noise = np.random.default_rng(0).standard_normal((engine.step, engine.channels)).astype(np.float32) * 0.1
    frames = engine.step // engine.mode.hop
    period = engine.step / engine.rate
    times: list[float] = []

    def measure() -> None:
        # At the priority it will run at; a thread of its own, because priority is not easily given back.
        if not playing:
            raise_priority()
        for i in range(-max(1, 20 // frames), max(LEAST_CALLS, hops // frames)):
            begun = time.perf_counter()
            engine.process(noise)
            took = time.perf_counter() - begun
            if i >= 0:
                times.append(took)
            # A pause, as live: a core that has slept works at half its speed for a while, and on cold caches.
            time.sleep(max(0.0005, min(PAUSE, period - took)))
            if len(times) >= LEAST_CALLS and sum(times) > MEASURED:
                break

    thread = threading.Thread(target=measure, name="measurement")
    thread.start()
    thread.join()
    median, slow = float(np.median(times)), float(np.quantile(times, 0.999))
    # Few calls do not show how slow one in a thousand is.
    return median, slow if len(times) >= hops else max(slow, 1.5 * median)
