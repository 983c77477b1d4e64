"""A device without hardware: blocks from a function, paced by the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from realtime.bridge import Bridge
from realtime.priority import raise_priority

# How long the last block is waited for, in seconds.
_LONGEST = 0.2


class NullDevice:
    """Feeds what `source` yields through a bridge at the pace of `rate`, and hands the result to `sink`.

    `source(n)` returns float32 [n, in_channels], or fewer rows at its end; then silence follows
    until every sample has come out again: `sink` gets as many samples as came in, plus the bridge's
    `flush`, the added latency. `sink(block)` must copy what it keeps. `channels` is a number, or (in, out). A block
    that is late does not move the deadlines of the following ones.
    """

    input_latency = 0
    output_latency = 0
    lost = None
    changed = None

    def __init__(
        self,
        source: Callable[[int], np.ndarray],
        rate: int,
        block: int,
        channels: int | tuple[int, int] = 2,
        sink: Callable[[np.ndarray], object] | None = None,
    ) -> None:
        self.name = "null"
        self.rate = rate
        self.block = block
        self.in_channels, self.out_channels = (channels, channels) if isinstance(channels, int) else channels
        self.error: str | None = None
        # Above the inference thread's; None to ask for none.
        self.priority: int | None = 25
        self._source, self._sink = source, sink
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, bridge: Bridge) -> None:
        """Start the thread. Raises ValueError where the channels of `bridge` differ, or on a second start."""
        if (bridge.in_channels, bridge.out_channels) != (self.in_channels, self.out_channels):
            raise ValueError("the bridge and the device differ in channels")
        if self._thread is not None:
            raise ValueError("a null device starts once")
        self._thread = threading.Thread(target=self._run, args=(bridge,), name="null device", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait until the last block is done."""
        self._stop.set()
        self.wait()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the source is played out, at most `timeout` seconds; return whether it is."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self.active()

    def active(self) -> bool:
        """Return whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self, bridge: Bridge) -> None:
        # It stands for a sound card, whose callback would not wait for ordinary threads either.
        raise_priority(self.priority)
        try:
            self._play(bridge)
        except Exception as problem:  # noqa: BLE001 - a run that ends says why
            self.error = f"the source or the sink of the null device failed ({problem!r}); the stream has stopped."

    def _play(self, bridge: Bridge) -> None:
        block_in = np.zeros((self.block, self.in_channels), np.float32)
        block_out = np.zeros((self.block, self.out_channels), np.float32)
        begun = time.monotonic()
        done = 0
        end = None
        while not self._stop.is_set() and (end is None or done < end):
            if end is None:
                rows = self._source(self.block)
                block_in[: len(rows)] = rows
                block_in[len(rows) :] = 0
                if len(rows) < self.block:
                    end = done + len(rows) + bridge.flush
            else:
                block_in[:] = 0
            # A block exists once its last sample has been heard. So does the last: earlier, what came before it would not be done.
            due = begun + (done + self.block) / self.rate
            if self._stop.wait(max(0.0, due - time.monotonic())):
                time.sleep(min(_LONGEST, max(0.0, due - time.monotonic())))
            bridge.process(block_in, block_out)
            done += self.block
            if self._sink is not None:
                surplus = 0 if end is None else max(0, done - end)
                self._sink(block_out[: self.block - surplus])
