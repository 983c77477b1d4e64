"""The chain that is to take over from the one that plays: made beside it, and brought up on what was played last."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from realtime.chain import Stretch, chain_for
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


class Successor:
    """`engine` at `latency`, made for the mix that `stream` has now; on a thread of its own, while the stream plays.

    `chain` has taken in what came before position `read`; `stretches` are copies of its last results, `results` the same as the
    engine gave it, for the taps. Raises HostError where the stream has no room for its latency.
    """

    def __init__(self, stream: Stream, engine: Engine, latency: Latency) -> None:
        flush_denormals()
        self._bridge, self._rate = bridge, rate = stream.bridge, stream.rate
        self._past = past = min(round(PAST * rate), len(bridge) // 2)
        # On whole steps, so that they end where device blocks do.
        base = max(0, bridge.available() - past) // engine.step * engine.step
        self.latency, self.read = latency, base
        self.chain = chain = chain_for(engine, rate, base)
        if not bridge.fits(latency.inside, chain.hop, len(chain.tail_weights)):
            raise HostError(
                f"{engine.separator.metadata.name} needs {latency.inside / rate:.1f} s of sound on its way, for which this "
                "run has no room; stop, and start with it"
            )
        stream.tell_mixes(chain)
        self._feed = stream.feed_for(chain)
        self._from_base, self._kept = round(base * engine.rate / rate), 0
        self.stretches: deque[Stretch] = deque()
        self.results: deque[Result] = deque()

    @property
    def behind(self) -> int:
        """Samples of the input that it has not taken."""
        return self._bridge.available() - self.read

    def catch_up(self) -> None:
        """Take the input up to where the stream is; raise HostError where the engine is too slow ever to get there."""
        chain = self.chain
        for _ in range(_PATIENCE * max(1, self._past // chain.quantum)):
            if self.behind < 2 * chain.quantum:
                return
            begun = time.perf_counter()
            if not self._take():
                break
            # The interpreter belongs to what plays: no faster than is needed to catch up.
            if self.behind > _NEAR * chain.quantum:
                time.sleep(max(0.0, chain.quantum / self._rate / _SPEED - (time.perf_counter() - begun)))
        raise HostError(f"{chain.engine.separator.metadata.name} did not catch up with the music; nothing was changed")

    def keep_up(self) -> None:
        """Take what has come in since, so that nothing is left to do for whoever takes it over."""
        for _ in range(_PATIENCE):
            if self.behind < self.chain.quantum or not self._take():
                return

    def _take(self) -> bool:
        chain, engine = self.chain, self.chain.engine
        block = self._feed.take(self.read)
        if block is None:
            return False
        self.read += chain.quantum
        before = chain.valid_from
        found = chain.feed(block)
        if found and chain.valid_from == before:
            self.results.append(Result(self._from_base + engine.start, engine.master.copy(), engine.stems.copy()))
            if engine.step * len(self.results) > _KEPT + engine.step:
                self.results.popleft()
        for stretch in found:
            self.stretches.append(stretch.copy())
            self._kept += len(stretch.block)
        while self.stretches and self._kept - len(self.stretches[0].block) > _KEPT:
            self._kept -= len(self.stretches.popleft().block)
        return True


def successor(stream: Stream, engine: Engine, latency: Latency) -> Successor:
    """Return a successor that has caught up with `stream`, to be given to `Stream.succeed`; raise HostError where it cannot."""
    following = Successor(stream, engine, latency)
    following.catch_up()
    return following
