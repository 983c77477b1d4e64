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
from realtime.engine import Engine
from realtime.latency import Latency
from realtime.meters import Meter, SpectrumView
from realtime.mix import Mix
from realtime.priority import raise_priority
from realtime.separator import flush_denormals
from realtime.telemetry import Telemetry

# Work is counted in bins 2 % wide from 1 us up, so that percentiles of a whole night cost nothing.
_BIN = np.log(1.02)
_BINS = 900


class WorkCounts:
    """How long hops took: percentiles to 2 %, the maximum exactly."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one hop."""
        self._counts[min(_BINS - 1, max(0, int(np.log(max(seconds, 1e-6) * 1e6) / _BIN)))] += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, share: float) -> float:
        """Return the time in seconds within which `share` (0..1) of the hops were done; 0 before the first."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        index = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return min(self.longest, float(np.exp((index + 1) * _BIN)) * 1e-6)

    def reset(self) -> None:
        """Count anew."""
        self._counts.fill(0)
        self.longest = 0.0


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
        self._meters = {name: Meter() for name in ("input", "output", *(engine.names if engine.run == "stems" else ()))}
        self._spectra = {name: SpectrumView(rate) for name in ("input", "output")}
        self._clock: tuple[int, float] | None = None
        self._origin = self._last_origin = math.inf
        self._origin_due = 0.0
        self._stop, self._ready = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._snapshot: Telemetry | None = None
        self._snapshot_due = 0.0
        self.failure: BaseException | None = None
        # Called with the engine after every hop that was separated; must copy what it keeps, and be quick.
        self.tap: Callable[[Engine], object] | None = None

    # The link.

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand over a mix; `at` is a stream position at the device's rate."""
        scale = self.engine.rate / self.rate
        self.engine.schedule.submit(mix, None if at is None else round(at * scale))

    def position(self, wall: float) -> int | None:
        """Return which input sample stands at wall-clock time `wall`; None before sound runs."""
        return None if self._snapshot is None else self._snapshot.position_at(wall)

    def telemetry(self) -> Telemetry | None:
        """Return the latest snapshot; None before the first hop."""
        return self._snapshot

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
        self._take_snapshot()

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
            if self.tap is not None:
                self.tap(self.engine)
        self._look(block, mixed)
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

    def _look(self, block: np.ndarray, mixed: bool) -> None:
        engine = self.engine
        # What is read ahead is shown when it is heard.
        ahead = self.latency.ahead
        if mixed or not ahead:
            self._meters["input"].add(engine.dry if ahead else block)
            self._spectra["input"].add(engine.dry if ahead else block)
        if mixed:
            self._meters["output"].add(engine.master)
            self._spectra["output"].add(engine.master)
            if engine.run == "stems":
                for name, stem in zip(engine.names, engine.stems, strict=True):
                    self._meters[name].add(stem)
        now = time.monotonic()
        if now >= self._snapshot_due:
            self._snapshot_due = now + 1 / 30
            self._take_snapshot()

    def _take_snapshot(self) -> None:
        self._snapshot = Telemetry(
            hops=self.hops,
            misses=self.misses,
            xruns=self.bridge.counts().xruns,
            position=max(0, self._read - self.latency.read_ahead),
            latency=self.latency,
            rate=self.rate,
            hop=self.chain.hop,
            block=self.block,
            work_ms=tuple(1000 * self.work.percentile(p) for p in (0.5, 0.99, 0.999)) + (1000 * self.work.longest,),
            deadline_ms=1000 * self.latency.reserve / self.rate,
            load=self.work.percentile(0.5) * self.rate / self.chain.hop,
            meters={name: meter.read() for name, meter in self._meters.items()},
            spectra={name: view.read() for name, view in self._spectra.items()},
            attention=self._attention(),
            clock=self._clock,
        )

    def _attention(self) -> dict[str, tuple[float, ...]]:
        engine, weights = self.engine, self.engine.attention
        if weights is None:
            return {}
        names = engine.names if engine.run == "stems" else ("",)
        return {name: tuple(row.ravel().tolist()) for name, row in zip(names, weights, strict=True)}
