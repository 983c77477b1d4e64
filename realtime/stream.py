"""A running stream: the inference thread between a bridge and a chain, and its counts."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable

import numpy as np

from realtime.bridge import Bridge
from realtime.chain import Native, Resampled, Stretch
from realtime.finite import all_finite
from realtime.latency import Latency
from realtime.mix import Mix, Schedule
from realtime.priority import PRIORITY, raise_priority
from realtime.seam import Result, Seam
from realtime.separator import flush_denormals
from realtime.stemring import StemRing
from realtime.successor import Successor
from realtime.taps import SEEN, Description, Layout, Taps, capacity_for
from realtime.telemetry import Telemetry
from realtime.view import View
from realtime.work import WorkCounts

# The longest overlap-add tail of a chain that may take over, in samples.
_ROOM = 8192

# In seconds: how long before its next step is expected the inference thread begins to look for it, how often, and how seldom.
_EARLY, _LOOK, _SELDOM = 0.0003, 0.0001, 0.0005

# How often plugins are waited for where another chain takes over, a look each.
_UNSETTLED = 50


class Feed:
    """Input of `bridge` as a chain wants it: a quantum at a time, finite, in as many channels as its engine has.

    The stems that travel beside it, if any, follow in further columns.
    """

    def __init__(self, bridge: Bridge, chain: Native | Resampled, stems: StemRing | None = None) -> None:
        self._bridge, self._stems = bridge, stems
        self._chunk = np.zeros((chain.quantum, bridge.in_channels), np.float32)
        self._bits = self._chunk.reshape(-1).view(np.int32)
        channels = chain.engine.channels
        self._channels, inputs = channels, chain.engine.inputs
        self._wide = None if inputs == bridge.in_channels else np.zeros((chain.quantum, inputs), np.float32)
        self._places = [c % bridge.in_channels for c in range(channels)]

    def take(self, start: int) -> np.ndarray | None:
        """Return the quantum from position `start` on, good until the next call; None where it is overwritten."""
        block = self._chunk
        if not self._bridge.read(start, len(block), block):
            return None
        if not all_finite(self._bits):
            np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        if self._wide is None:
            return block
        self._wide[:, : self._channels] = block[:, self._places]
        if self._stems is not None:
            self._stems.read(start, self._wide[:, self._channels :])
        return self._wide

    def silence(self) -> np.ndarray:
        """Return a quantum of zeros."""
        block = self._chunk if self._wide is None else self._wide
        block.fill(0)
        return block


class Stream:
    """Runs `chain` on what arrives at `bridge`; the link that control talks to.

    `latency` is what `chain.latency` gave for the device's block. Misses are counted by hop, which is
    what one call of the separator finishes: a result that was not there when its first sample was due,
    or whose network gave no finite numbers.

    A source that is read ahead gives its first samples to `prime`, and the rest to the device: positions
    count from its start, and the clock says which one would go in now were there no look-ahead.
    """

    def __init__(
        self,
        chain: Native | Resampled,
        latency: Latency,
        rate: int,
        block: int,
        channels: tuple[int, int] | None = None,
    ) -> None:
        self.rate, self.block = rate, block
        ins, outs = channels or (chain.engine.channels, chain.engine.channels)
        self.bridge = Bridge(latency.inside, chain.rise, chain.tail_weights, ins, outs, max(block, chain.hop), _ROOM)
        # Beside the input, what has been made of it beforehand; for whoever gives the input.
        self.stems: StemRing | None = None
        if chain.engine.inputs > chain.engine.channels:
            self.stems = StemRing(len(self.bridge), len(chain.engine.names), chain.engine.channels)
        self.work = WorkCounts()
        self.hops = self.misses = 0
        self._out_channels = outs
        self._mixes = Schedule()
        self._chains: tuple[Native | Resampled, ...] = ()
        self._mixing = threading.Lock()
        # Results before this position are not missed: another chain has published them.
        self._own_from = 0
        self._successor: Successor | None = None
        # The latency that whoever makes itself ready to take over needs.
        self._needed = 0
        # Up to where all that came in has been worked through.
        self._done = 0
        # Where the taps go over from the engine before, and up to where they have been written.
        self._seam: Seam | None = None
        self._tapped = 0
        self._blend: tuple[int, np.ndarray, np.ndarray] | None = None
        # How often a chain that is to go has been asked for a tail that its plugins have finished.
        self._unsettled = 0
        self._install(chain, latency, 0)
        engine = chain.engine
        capacity = capacity_for(SEEN, max(rate, engine.rate), engine.step)
        self.use(Taps(Layout(engine.channels, capacity, max(Layout.stems, len(engine.names)))))
        self._clock: tuple[int, float] | None = None
        # On the monotonic clock: when position 0 went in, and what that is found from.
        self._begun = 0.0
        self._origin = self._last_origin = math.inf
        self._origin_due = 0.0
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None
        # What the inference thread asks the system for, None for nothing; and what was refused, once it runs.
        self.priority: int | None = PRIORITY
        self.priority_refused: str | None = None

    # The link.

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand over a mix; `at` is a stream position at the device's rate."""
        with self._mixing:
            self._mixes.submit(mix, at)
            self._mixes.since(self._read)
            for chain in self._chains:
                chain.submit(mix, at)

    def position(self, wall: float) -> int | None:
        """Return which input sample stands at wall-clock time `wall`; None before sound runs."""
        clock = self._clock
        return None if clock is None else round(clock[0] + (wall - clock[1]) * self.rate)

    def telemetry(self) -> Telemetry | None:
        """Return what the taps tell now; None before the first hop. The engine's process itself never asks."""
        return self._view.telemetry()

    # The taps.

    def use(self, taps: Taps) -> None:
        """Write into `taps` from now on; before the stream starts."""
        self.taps = taps
        self._view = View(taps)
        self.describe()

    def describe(self) -> None:
        """Tell the taps what runs: at the start, and whenever the chain, the latency or the block is another."""
        engine, stems = self.engine, self.engine.run == "stems"
        self.taps.describe(
            Description(
                names=engine.names if stems else (),
                attends=engine.names if stems else ("",),
                rate=self.rate,
                engine_rate=engine.rate,
                hop=self.chain.hop,
                block=self.block,
                latency=self.latency,
            )
        )

    # The source.

    def prime(self, read: Callable[[int], np.ndarray]) -> None:
        """Take from `read(n)`, float32 [n, channels] or less at its end, what is read ahead; before the device starts.

        As fast as it goes; nothing of it is due yet.
        """
        left = self.latency.read_ahead
        while left:
            count = min(left, self.block)
            self.take(read, count)
            left -= count
            while self.advance():
                pass

    def take(self, read: Callable[[int], np.ndarray], count: int) -> np.ndarray:
        """Take `count` samples from `read(n)`, as in `prime`, in place of the device; return what it would have played."""
        rows = read(count)
        block = np.zeros((count, self.bridge.in_channels), np.float32)
        block[: len(rows)] = rows
        self.bridge.flush -= count - len(rows)
        out = np.zeros((count, self.bridge.out_channels), np.float32)
        self.bridge.process(block, out)
        return out

    # Another chain.

    @property
    def mix(self) -> Mix | None:
        """The mix that holds now; None where none has been handed over."""
        with self._mixing:
            held = [mix for at, mix in self._mixes.since(self._read) if at is None]
        return held[0] if held else None

    def feed_for(self, chain: Native | Resampled) -> Feed:
        """Return the input as `chain` wants it."""
        return Feed(self.bridge, chain, self.stems)

    def tell_mixes(self, chain: Native | Resampled) -> None:
        """Let `chain` have every mix that still matters, and those to come."""
        with self._mixing:
            for at, mix in self._mixes.since(self._read):
                chain.submit(mix, at)
            self._chains = (self.chain, chain)

    def make_room(self, latency: int) -> None:
        """Have the sound as late as one that is to take over needs it, or, with 0, no later than what plays does; see `has_room`."""
        self._needed = latency

    @property
    def has_room(self) -> bool:
        """Whether the sound is late enough for what `make_room` was last told."""
        return self.bridge.settled and self.bridge.latency >= self._needed

    def succeed(self, successor: Successor) -> None:
        """Let it take over as soon as that is heard by nobody; `succeeded` says when."""
        self._successor = successor

    @property
    def idle(self) -> bool:
        """Whether all that came in has been worked through."""
        return self.bridge.available() < self._done + self.chain.quantum

    def change_block(self, block: int, latency: Latency) -> None:
        """Count on blocks of `block` samples from now on, at `latency`; for a device that stands still meanwhile."""
        self.block, self.latency = block, latency
        self.describe()
        self._set_limit()
        self.bridge.change_latency(latency.inside)

    @property
    def succeeded(self) -> bool:
        """Whether what was last given to `succeed` has taken over, and is heard at its own latency."""
        return self._successor is None and self.bridge.settled and self.bridge.latency == self.latency.inside

    def _install(self, chain: Native | Resampled, latency: Latency, read: int) -> None:
        self.chain, self.engine, self.latency = chain, chain.engine, latency
        self._chains = (chain,)
        self._feed = self.feed_for(chain)
        self._read = self._done = read
        self._needed = 0
        self._set_limit()

    def _set_limit(self) -> None:
        """Say when hops are left out: late sound is of no use, and the delay must not grow."""
        latency = self.latency
        self._limit = latency.reserve + 4 * max(self.chain.hop, self.block) + latency.lookahead
        # As soon as nothing of a hop would be heard any more, or those behind it are late for its sake; but not where that
        # costs what is on its way through a look-ahead or plugins as well.
        self._hasty = not latency.lookahead and not latency.inserts

    def _hand_over(self) -> None:
        """Let the successor take over, once the sound is late enough for it."""
        following, bridge = self._successor, self.bridge
        if not bridge.settled:
            return
        if following.latency.inside > bridge.latency:
            bridge.change_latency(following.latency.inside)
            return
        if bridge.published == self.chain.base + self.engine.start + self.engine.step and self.engine.rack is not None:
            # What fades out under the other is what plugins have made of it, once they have.
            if not self.chain.settle() and self._unsettled < _UNSETTLED:
                self._unsettled += 1
                return
            if isinstance(self.chain, Native):
                self._publish(self.chain.behind())
        self._unsettled = 0
        # Two separators differ: the one fades out on its overlap-add tail, under which the other comes in.
        self._blend, self._own_from = bridge.tail(), bridge.published
        engine = following.chain.engine
        engine.follow(self.engine)
        if engine.rack is not None:
            engine.rack.take_over()
        alike = (self.engine.run, self.engine.names, self.engine.channels) == (engine.run, engine.names, engine.channels)
        self._seam = Seam(self._tapped, self.engine, alike)
        bridge.shape(following.chain.rise, following.chain.tail_weights)
        self._install(following.chain, following.latency, following.read)
        self.describe()
        for stretch in following.stretches:
            if stretch.start + len(stretch.block) > bridge.published:
                self._publish(stretch)
        for result in following.results:
            if result.start + len(result.master) > self._tapped:
                self._tap_result(result)
        self._successor = None

    def _blended(self, start: int, block: np.ndarray) -> np.ndarray:
        at, tail, weights = self._blend
        first, last = max(start, at), min(start + len(block), at + len(tail))
        if start >= at + len(tail):
            self._blend = None
        if first >= last:
            return block
        block = block.copy()
        part, place = block[first - start : last - start], slice(first - at, last - at)
        part *= 1 - weights[place, None]
        part += tail[place]
        return block

    # The thread.

    def start(self) -> None:
        """Start the inference thread and wait until it listens."""
        self.taps.touch()
        self._thread = threading.Thread(target=self._guarded, name="inference", daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def lockstep(self, block_in: np.ndarray, block_out: np.ndarray, frames: int) -> None:
        """Device callback that computes its hops before it returns, however long that takes; needs no `start`."""
        out = np.zeros((frames, self.bridge.out_channels), np.float32)
        self.bridge.process(np.ascontiguousarray(block_in), out)
        block_out[:] = out
        while self.advance():
            pass

    def stop(self) -> None:
        """Stop the inference thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._count()

    def _guarded(self) -> None:
        try:
            flush_denormals()
            self.priority_refused = raise_priority(self.priority)
            gc.collect()
            gc.freeze()
            self._ready.set()
            while not self._stop.is_set():
                if not self.advance():
                    self._wait()
        except BaseException as failure:  # noqa: BLE001 - the sound goes on dry; the host reports it
            self.failure = failure

    def _wait(self) -> None:
        # Looking often costs more than it finds: on a machine that is shared, whoever never rests is made to. What is overdue
        # comes with a longer block, or from a device that stands still, and is looked for the less often the longer that lasts.
        due = self._begun + (self._read + self.chain.quantum - self.latency.read_ahead) / self.rate - _EARLY
        left = due - time.monotonic()
        time.sleep(min(0.02, left) if left > _LOOK else min(_SELDOM, max(_LOOK, -left / 8)))

    def advance(self) -> bool:
        """Process one quantum if it has arrived; return whether it had."""
        if self._successor is not None:
            self._hand_over()
        quantum, bridge = self.chain.quantum, self.bridge
        have = bridge.available()
        self._track(have)
        if have < self._read + quantum:
            wanted = max(self.latency.inside, self._needed)
            if wanted != bridge.latency and self._successor is None and bridge.settled:
                # Later, as one that is to take over needs it; or it has caught up, and what it gives is there sooner.
                bridge.change_latency(wanted)
            return False
        late = have - self._read > self._limit or (
            self._hasty and self._own_from < self.chain.finishes <= bridge.played()
        )
        block = self._feed.take(self._read)
        if block is None:
            block = self._feed.silence()
        self._read += quantum
        if late:
            left_out = self.chain.skip(block)
            self.hops += left_out
            self.misses += left_out
            # The mixture stays whole.
            self._tap(block, False)
            self._done = self._read
            return True
        begun = time.perf_counter()
        before = self.chain.valid_from
        stretches = self.chain.feed(block)
        for stretch in stretches:
            self._publish(stretch)
        took = time.perf_counter() - begun
        self.hops += len(stretches)
        mixed = bool(stretches) and self.chain.valid_from == before
        if mixed:
            self.work.add(took)
        self._tap(block, mixed)
        self._done = self._read
        return True

    def _publish(self, stretch: Stretch) -> None:
        bridge, block, start = self.bridge, stretch.block, stretch.start
        if self.chain.valid_from > bridge.published:
            bridge.skip_to(self.chain.valid_from)
        if start + len(block) > self._own_from and max(start, self._own_from) < max(bridge.published, bridge.played()):
            self.misses += bool(len(block))
        if self._blend is not None:
            block = self._blended(start, block)
        if start < bridge.published:
            block = block[bridge.published - start :]
        tail, fills = stretch.tail, stretch.fills
        outs = self._out_channels
        if block.shape[1] != outs:
            places = [c % block.shape[1] for c in range(outs)]
            block, tail = (np.ascontiguousarray(part[:, places]) for part in (block, tail))
            fills = fills[places]
        if start + len(stretch.block) > bridge.published or not len(stretch.block):
            bridge.publish(block, tail, fills)

    def _track(self, have: int) -> None:
        """Follow the time of position 0, as the least lateness seen in the last second or two."""
        now = time.monotonic()
        have -= self.latency.read_ahead
        if have <= 0:
            return
        origin = now - have / self.rate
        self._origin = min(self._origin, origin)
        if now >= self._origin_due:
            # Two windows in turn: a clock that drifts is followed, and one late look does not count.
            self._last_origin, self._origin, self._origin_due = self._origin, origin, now + 1
        self._begun = min(self._origin, self._last_origin)
        # Whoever sends time tags has the clock on the wall, which may be set meanwhile.
        self._clock = (0, self._begun + time.time() - now)

    def _tap(self, block: np.ndarray, mixed: bool) -> None:
        engine, taps = self.engine, self.taps
        start = round(self.chain.base * engine.rate / self.rate) + engine.start
        # What is read ahead is shown when it is heard.
        if not self.latency.ahead:
            taps.input.write(self._read - len(block), taps.generation, block[:, : engine.channels])
        elif mixed:
            taps.input.write(start, taps.generation, engine.dry)
        if mixed:
            self._tap_result(Result(start, engine.master, engine.stems))
        self._count()

    def _tap_result(self, result: Result) -> None:
        if self._seam is not None:
            if result.start >= self._seam.end:
                self._seam = None
            elif result.start + len(result.master) > self._seam.at:
                result = self._seam.over(result)
        self._tapped = max(self._tapped, result.start + len(result.master))
        self.taps.output.write(
            result.start, self.taps.generation, result.master, result.stems if self.engine.run == "stems" else None
        )

    def _count(self) -> None:
        self.taps.count(
            self.hops,
            self.misses,
            self.bridge.xruns,
            max(0, self._read - self.latency.read_ahead),
            None if self._clock is None else self._clock[1],
            self.work,
            self.engine.attention,
        )
