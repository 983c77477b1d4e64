"""The chain that is to take over from the one that plays: made beside it, and brought up on what was played last."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime.chain import Native, Resampled, Stretch, chain_for
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.latency import Latency
from realtime.seam import Result
from realtime.separator import flush_denormals

if TYPE_CHECKING:
    from realtime.stream import Stream

# How much of the past a network is given to find into the music, in seconds.
PAST = 1.5
# Its last results are kept, for those that are due when it takes over; in samples.
_KEPT = 1 << 14
# How much faster than the music a chain catches up with it, where it can; and at full speed from how few quanta on.
_SPEED, _NEAR = 3.0, 4
# Quanta of a chain that catches up with the input, as many times as there are in the past.
_PATIENCE = 8


@dataclass(frozen=True)
class Successor:
    """`chain` has taken in what came before position `read`; `stretches` are copies of its last results."""

    chain: Native | Resampled
    latency: Latency
    read: int
    stretches: tuple[Stretch, ...]
    # The same as the engine gave it, for the taps.
    results: tuple[Result, ...] = ()


def successor(stream: Stream, engine: Engine, latency: Latency) -> Successor:
    """Return `engine`, made for the mix that `stream` has now, brought up to where the stream is.

    To be called on a thread of its own, while the stream plays; hand the result to `Stream.succeed`. Raises HostError
    where the engine is too slow ever to catch up, or where the stream has no room for its latency.
    """
    flush_denormals()
    bridge, rate = stream.bridge, stream.rate
    past = min(round(PAST * rate), len(bridge) // 2)
    # On whole steps, so that they end where device blocks do.
    base = max(0, bridge.available() - past) // engine.step * engine.step
    chain = chain_for(engine, rate, base)
    if not bridge.fits(latency.inside, chain.hop, len(chain.tail_weights)):
        raise HostError(
            f"{engine.separator.metadata.name} needs {latency.inside / rate:.1f} s of sound on its way, for which this "
            "run has no room; stop, and start with it"
        )
    stream.tell_mixes(chain)
    feed = stream.feed_for(chain)
    read, kept, stretches, results = base, 0, deque(), deque()
    from_base = round(base * engine.rate / rate)
    for _ in range(_PATIENCE * max(1, past // chain.quantum)):
        if bridge.available() - read < 2 * chain.quantum:
            return Successor(chain, latency, read, tuple(stretches), tuple(results))
        block = feed.take(read)
        if block is None:
            break
        read += chain.quantum
        begun = time.perf_counter()
        before = chain.valid_from
        found = chain.feed(block)
        if found and chain.valid_from == before:
            results.append(Result(from_base + engine.start, engine.master.copy(), engine.stems.copy()))
            if engine.step * len(results) > _KEPT + engine.step:
                results.popleft()
        for stretch in found:
            stretches.append(stretch.copy())
            kept += len(stretch.block)
        while stretches and kept - len(stretches[0].block) > _KEPT:
            kept -= len(stretches.popleft().block)
        # The interpreter belongs to what plays: no faster than is needed to catch up.
        if bridge.available() - read > _NEAR * chain.quantum:
            time.sleep(max(0.0, chain.quantum / rate / _SPEED - (time.perf_counter() - begun)))
    raise HostError(f"{engine.separator.metadata.name} did not catch up with the music; nothing was changed")
