"""A running stream: the inference thread between a bridge and a chain, and its counts."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections.abc import Callable

import numpy as np

from realtime.bridge import Bridge
from realtime.chain import Native, Resampled
from realtime.latency import Latency
from realtime.mix import Mix
from realtime.priority import raise_priority
from realtime.separator import flush_denormals
from realtime.taps import SEEN, Description, Layout, Taps, capacity_for
from realtime.telemetry import Telemetry
from realtime.view import View
from realtime.work import WorkCounts


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
        engine = chain.engine
        self.engine, self.chain, self.latency, self.rate, self.block = engine, chain, latency, rate, block
        ins, outs = channels or (engine.channels, engine.channels)
        self.bridge = Bridge(latency.inside, chain.rise, chain.tail_weights, ins, outs, max(block, chain.hop))
        self.work = WorkCounts()
        self.hops = self.misses = 0
        self._chunk = np.zeros((chain.quantum, ins), np.float32)
        self._wide = np.zeros((chain.quantum, engine.channels), np.float32)
        self._out_channels = outs
        self._read = 0
        # Further behind than this, hops are left out: late sound is of no use, and the delay must not grow.
        # It costs what is on its way through the look-ahead as well.
        self._limit = latency.reserve + 4 * max(chain.hop, block) + latency.lookahead
        capacity = capacity_for(SEEN, max(rate, engine.rate), engine.step)
        self.use(Taps(Layout(engine.channels, capacity, max(Layout.stems, engine.streams))))
        self._clock: tuple[int, float] | None = None
        self._origin = self._last_origin = math.inf
        self._origin_due = 0.0
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    # The link.

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand over a mix; `at` is a stream position at the device's rate."""
        scale = self.engine.rate / self.rate
        self.engine.schedule.submit(mix, None if at is None else round(at * scale))

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
        """Tell the taps what runs: at the start, and on the inference thread whenever the chain or the latency is another."""
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
            rows = read(min(left, self.block))
            block = np.zeros((min(left, self.block), self.bridge.in_channels), np.float32)
            block[: len(rows)] = rows
            self.bridge.flush -= len(block) - len(rows)
            self.bridge.process(block, np.zeros((len(block), self.bridge.out_channels), np.float32))
            left -= len(block)
            while self.advance():
                pass

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
            raise_priority()
            gc.collect()
            gc.freeze()
            self._ready.set()
            while not self._stop.is_set():
                if not self.advance():
                    self._wait()
        except BaseException as failure:  # noqa: BLE001 - the sound goes on dry; the host reports it
            self.failure = failure

    def _wait(self) -> None:
        missing = self._read + self.chain.quantum - self.bridge.available()
        time.sleep(min(0.02, max(0.0002, (missing - self.block) / self.rate)))

    def advance(self) -> bool:
        """Process one quantum if it has arrived; return whether it had."""
        quantum, bridge = self.chain.quantum, self.bridge
        have = bridge.available()
        self._track(have)
        if have < self._read + quantum:
            return False
        late = have - self._read > self._limit
        whole = bridge.read(self._read, quantum, self._chunk)
        if not whole:
            self._chunk.fill(0)
        self._read += quantum
        block = self._chunk
        np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        if block.shape[1] != self._wide.shape[1]:
            self._wide[:] = block[:, [c % block.shape[1] for c in range(self._wide.shape[1])]]
            block = self._wide
        if late:
            left_out = self.chain.skip(block)
            self.hops += left_out
            self.misses += left_out
            self._count()
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
        return True

    def _publish(self, stretch) -> None:
        bridge, block, start = self.bridge, stretch.block, stretch.start
        if self.chain.valid_from > bridge.published:
            bridge.skip_to(self.chain.valid_from)
        if len(block) and start + len(block) > 0 and max(start, 0) < max(bridge.published, bridge.played()):
            self.misses += 1
        if start < bridge.published:
            block = block[bridge.published - start :]
        tail = stretch.tail
        outs = self._out_channels
        if block.shape[1] != outs:
            block, tail = (
                np.ascontiguousarray(part[:, [c % part.shape[1] for c in range(outs)]]) for part in (block, tail)
            )
        if start + len(stretch.block) > bridge.published or not len(stretch.block):
            bridge.publish(block, tail, stretch.fill_gain)

    def _track(self, have: int) -> None:
        """Follow the wall-clock time of position 0, as the least lateness seen in the last second or two."""
        now = time.time()
        have -= self.latency.read_ahead
        if have <= 0:
            return
        origin = now - have / self.rate
        self._origin = min(self._origin, origin)
        if now >= self._origin_due:
            # Two windows in turn: a clock that drifts is followed, and one late look does not count.
            self._last_origin, self._origin, self._origin_due = self._origin, origin, now + 1
        self._clock = (0, min(self._origin, self._last_origin))

    def _tap(self, block: np.ndarray, mixed: bool) -> None:
        engine, taps = self.engine, self.taps
        # What is read ahead is shown when it is heard.
        if not self.latency.ahead:
            taps.input.write(self._read - len(block), taps.generation, block)
        elif mixed:
            taps.input.write(engine.start, taps.generation, engine.dry)
        if mixed:
            taps.output.write(
                engine.start, taps.generation, engine.master, engine.stems if engine.run == "stems" else None
            )
        self._count()

    def _count(self) -> None:
        self.taps.count(
            self.hops,
            self.misses,
            self.bridge.counts().xruns,
            max(0, self._read - self.latency.read_ahead),
            None if self._clock is None else self._clock[1],
            self.work,
            self.engine.attention,
        )
