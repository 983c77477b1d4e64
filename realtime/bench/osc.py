"""From an OSC message to the first sample that is changed by it, through the whole host.

The host runs as `run_live.py` starts it: its OSC server on the loopback, its engine in a process of its own, noise on the null
device, and what is heard is recorded. A client sends /condition, all ones and all zeros in turns, at times that have
nothing to do with the hops, with /glide 0, so that sound turns to exact silence, and back, between two samples.

Let p be the stream position at the time of sendto, n the place in the recording of the first sample that is changed, and B the
device's block: the delay is n + B - p samples, because a device can play a block no sooner than it has it, when the input of the
same block has been taken in. What a sound card's converters add comes on top.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.bench.figures import percentile
from realtime.bench.noise import play_noise
from realtime.errors import HostError
from realtime.host import Host
from realtime.packets import encode

# So many zeros in a row are silence.
_SILENCE = 32


@dataclass(frozen=True)
class OscFigures:
    """Delays from message to first changed sample; `delays_samples` has one for each of the `messages` that was `heard`."""

    mode: str
    run: str
    messages: int
    heard: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    p50_samples: int
    p99_samples: int
    reserve_samples: int
    block: int
    hop: int
    rate: int
    delays_samples: tuple[int, ...]


def delays(sound: np.ndarray, sent: Sequence[tuple[int, bool]]) -> list[int | None]:
    """Return for each message in how many samples it was heard in `sound` [samples, channels].

    A message is the position at which it was sent, and whether it asked for silence. None where the sound was already so, or
    never came to be so: its neighbours are then not to be told apart.
    """
    sounding = sound.any(axis=1)
    zeros = np.pad(np.cumsum(~sounding), (1, 0))
    silent = (zeros[_SILENCE:] - zeros[:-_SILENCE]) == _SILENCE
    ends = [position for position, _ in sent[1:]] + [len(silent)]
    found: list[int | None] = []
    for (position, wanted), end in zip(sent, ends, strict=True):
        state = (silent if wanted else sounding)[position : min(end, len(silent))]
        found.append(int(np.argmax(state)) if state.any() and not state[0] else None)
    return found


def measure_osc(
    path: Path, mode: str, run: str, block: int | None, messages: int, show: Callable[[int], object]
) -> OscFigures:
    """Return the delays of `messages` messages; `show` hears how many are sent. Raises HostError where there are none."""
    random = np.random.default_rng(0)
    sound, started, sent = play_noise(
        path, mode, run, block, _time_for(messages), lambda host: _send(host, messages, random, show)
    )
    rate = started.rate
    found = np.array([delay + started.block for delay in delays(sound, sent) if delay is not None])
    if not len(found):
        raise HostError(f"none of {messages} OSC messages was heard in '{mode}', '{run}', so there is no delay to tell")
    p50, p99 = (round(percentile(found, share)) for share in (0.5, 0.99))
    return OscFigures(
        mode=started.latency_mode,
        run=started.run,
        messages=len(sent),
        heard=len(found),
        p50_ms=1000 * p50 / rate,
        p99_ms=1000 * p99 / rate,
        max_ms=1000 * int(found.max()) / rate,
        p50_samples=p50,
        p99_samples=p99,
        reserve_samples=started.latency.reserve,
        block=started.block,
        hop=started.hop,
        rate=started.rate,
        delays_samples=tuple(found.tolist()),
    )


def _time_for(messages: int) -> float:
    """Return how long it may take to send `messages`, in seconds; fewer are sent where each takes too long."""
    return max(20.0, 2.0 * messages)


def _send(
    host: Host, messages: int, random: np.random.Generator, show: Callable[[int], object]
) -> list[tuple[int, bool]]:
    """Send the messages; return the stream position of each, and whether it asked for silence."""
    started = host.engine.started
    stems = len(started.stems)
    # Until one is heard surely, and the sound it waits for has come out.
    gap = 0.1 + 3 * (started.latency.reserve + started.hop) / started.rate
    messages = min(messages, max(2, int(_time_for(messages) / (gap + 0.05))))
    sent: list[tuple[int, bool]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", host.server.port))
        client.send(encode("/glide", "f", (0.0,)))
        for number in range(messages):
            time.sleep(gap + random.uniform(0, 0.05))
            silence = number % 2 == 0
            packet = encode("/condition", "f" * stems, (0.0 if silence else 1.0,) * stems)
            position = host.engine.position(time.time())
            client.send(packet)
            sent.append((position, silence))
            show(number + 1)
    time.sleep(gap)
    return sent
