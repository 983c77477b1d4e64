"""The whole host on the null device with noise for an input, so that what an OSC message does can be heard to the sample."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile

from realtime.errors import HostError
from realtime.host import Host, OscAddress
from realtime.mix import Mix
from realtime.plan import Plan, Started
from realtime.separator import Separator

_PATIENCE = 20.0
T = TypeVar("T")


def play_noise(
    path: Path, mode: str, run: str, block: int | None, seconds: float, during: Callable[[Host], T]
) -> tuple[np.ndarray, Started, T]:
    """Play while `during` runs, at most `seconds`; return what was heard, float32 [samples, 2], what ran, and what `during` returned.

    `during` is called once sound has come through. Raises HostError where none does.
    """
    meta = Separator.load(path).metadata
    rate = meta.sample_rates[0]
    with tempfile.TemporaryDirectory() as folder:
        source, heard = Path(folder) / "noise.wav", Path(folder) / "heard.wav"
        noise = np.random.default_rng(0).uniform(-0.25, 0.25, (round(rate * (_PATIENCE + seconds)), 2))
        soundfile.write(source, noise.astype(np.float32), rate, "PCM_16")
        mix = Mix((1.0,) * len(meta.stems))
        plan = Plan(path, mix, mode, run, device="null", block=block, source=str(source), record=heard, automatic=False)
        host = Host(plan, OscAddress("127.0.0.1", 0))
        try:
            _await_sound(host)
            result = during(host)
        finally:
            ended = host.stop()
        if ended.failure:
            raise HostError(ended.failure)
        sound, _ = soundfile.read(heard, dtype="float32", always_2d=True)
    return sound, host.engine.started, result


def _await_sound(host: Host) -> None:
    started = host.engine.started
    settled = started.latency.inside / started.rate + 0.5
    begun = time.monotonic()
    while (now := host.engine.position(time.time())) is None or now < settled * started.rate:
        if time.monotonic() - begun > _PATIENCE or host.engine.wait(0):
            raise HostError("the host did not begin to play, so no OSC message was sent")
        time.sleep(0.02)
