"""How evenly time-tagged automation lands: bundles whose tags are evenly spaced, and the samples at which they are heard.

The tags are wall-clock times, which the host maps to its stream as well as it can track the one by the other (its residual,
/telemetry/tags/residual). Landings that were perfect would lie on a line through their tags, whose slope is the stream's rate
by this clock. What is left around the line is the jitter.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.bench.noise import play_noise
from realtime.bench.osc import delays
from realtime.errors import HostError
from realtime.host import Host
from realtime.packets import encode

# Seconds from tag to tag, and from sending to the tag: more than the host needs to hand it to the engine.
_EVERY, _AHEAD = 0.2, 0.3
_SECONDS_1900_TO_1970 = 2_208_988_800


@dataclass(frozen=True)
class TagFigures:
    """Landings of the `heard` of `messages` bundles around a line through their tags; `residual_ms` is what the host reports."""

    mode: str
    run: str
    messages: int
    heard: int
    late: int
    jitter_rms_ms: float
    jitter_max_ms: float
    residual_ms: float | None
    drift_ppm: float


def measure_tags(
    path: Path, mode: str, run: str, block: int | None, messages: int, show: Callable[[int], object]
) -> TagFigures:
    """Return how evenly `messages` bundles landed; `show` hears how many are sent. Raises HostError where too few were heard."""
    seconds = messages * _EVERY + 10
    sound, started, (dues, positions, late, residual) = play_noise(
        path, mode, run, block, seconds, lambda host: _send(host, messages, show)
    )
    # Sought from half a distance before the sample that is meant.
    early = round(_EVERY / 2 * started.rate)
    sent = [(position - early, number % 2 == 0) for number, position in enumerate(positions)]
    found = [(due, at + delay) for due, (at, _), delay in zip(dues, sent, delays(sound, sent), strict=True) if delay]
    if len(found) < 3:
        raise HostError(f"only {len(found)} of {messages} time-tagged OSC messages were heard in '{mode}', '{run}'")
    times, places = np.array(found).T
    slope, start = np.polyfit(times - times[0], places, 1)
    off = (places - start - slope * (times - times[0])) / started.rate
    return TagFigures(
        mode=started.latency_mode,
        run=started.run,
        messages=messages,
        heard=len(found),
        late=late,
        jitter_rms_ms=1000 * float(np.sqrt(np.mean(off**2))),
        jitter_max_ms=1000 * float(np.abs(off).max()),
        residual_ms=residual,
        drift_ppm=1e6 * float(slope / started.rate - 1),
    )


def _send(host: Host, messages: int, show: Callable[[int], object]) -> tuple[list[float], list[int], int, float | None]:
    """Return the tags, the stream positions they mean, how many came late, and the host's residual in ms."""
    stems = len(host.engine.started.stems)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", host.server.port))
        client.send(encode("/glide", "f", (0.0,)))
        # So that the host has a residual to tell.
        time.sleep(3)
        begin = time.time() + 2 * _AHEAD
        dues = [begin + _EVERY * number for number in range(messages)]
        positions = []
        for number, due in enumerate(dues):
            time.sleep(max(0.0, due - _AHEAD - time.time()))
            message = encode("/condition", "f" * stems, (float(number % 2),) * stems)
            client.send(bundle(due, message))
            positions.append(host.engine.position(due))
            show(number + 1)
        time.sleep(_AHEAD + 1)
    told = host.server.telemetry()
    (residual,) = told.get("/telemetry/tags/residual", (None,))
    return dues, positions, told["/telemetry/late"][0], residual


def bundle(due: float, message: bytes) -> bytes:
    """Return an OSC bundle of one message, due at wall-clock time `due`, in seconds since 1970."""
    tag = round((due + _SECONDS_1900_TO_1970) * 2**32)
    return struct.pack(">8sQi", b"#bundle\0", tag, len(message)) + message
