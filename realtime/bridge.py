"""The bridge between the device callback and the inference thread.

Sound is addressed by position: input samples since the stream started. The sample taken in at
position p is played `latency` samples later, whatever happens in between; where another latency is
asked for, the sound at the one takes over from that at the other. The callback side is
`process` (or the compiled `callback_pointers`); everything else belongs to the inference thread.
One callback, one inference thread, no locks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime.atomics import NOTICE, load_acquire, load_after_reads, njit, store_release
from realtime.callback import (
    ADDRESSES,
    CALLBACKS,
    ENDS,
    FADING,
    GAP_SAMPLES,
    GAPS,
    HOP,
    IN_CAPACITY,
    IN_CHANNELS,
    IN_HEAD,
    LARGEST_BLOCK,
    LATENCY,
    LEVEL,
    LOUD,
    MIX,
    OUT_CAPACITY,
    OUT_CHANNELS,
    OUT_POSITION,
    SEQUENCE,
    SLOTS,
    STATE,
    TAIL,
    TAIL_ENDS,
    TAIL_STARTS,
    USER_DATA,
    WANTED_LATENCY,
    WEIGHT,
    WHOLE,
    WORDS,
    XRUNS,
    exchange,
    stream_callback,
)
from realtime.ring import fill_ring, read_ring, write_ring

MINIMUM_CAPACITY = 1 << 17


@dataclass(frozen=True)
class Counts:
    """What the callback has counted so far; `gap_samples` and `largest_block` in samples."""

    callbacks: int
    xruns: int
    gaps: int
    gap_samples: int
    largest_block: int


class Bridge:
    """Rings and counters for one stream.

    `latency`: added latency in samples. `hop`: samples over which wet sound returns after a gap.
    `tail_weights` [tail]: how much of each sample behind the published end the overlap-add tail
    holds, falling from nearly 1 to nearly 0. `block`: largest expected block, a hint for the size
    of the rings. `room` is the longest tail there may be later. Raises ValueError for sizes that make no stream.
    """

    def __init__(
        self,
        latency: int,
        hop: int,
        tail_weights: np.ndarray,
        in_channels: int = 2,
        out_channels: int = 2,
        block: int = 0,
        room: int = 0,
    ) -> None:
        weights = np.asarray(tail_weights, dtype=np.float32)
        if latency < 0 or hop < 1 or in_channels < 1 or out_channels < 1 or weights.ndim != 1:
            raise ValueError("a bridge needs latency >= 0, hop >= 1, at least one channel each way, and weights [tail]")
        self.latency = latency
        # How much follows the end of the input until the last of it has been played.
        self.flush = latency
        self.in_channels, self.out_channels = in_channels, out_channels
        tail = max(room, len(weights))
        self.notice: str | None = NOTICE
        capacity = max(MINIMUM_CAPACITY, 1 << (4 * (latency + block + hop + tail) - 1).bit_length())
        self._room = capacity // 4 - block
        self._words = np.zeros(WORDS, np.int64)
        self._words[[LATENCY, WANTED_LATENCY, OUT_POSITION]] = latency, latency, -latency
        self._words[LOUD] = 1
        self._state = np.zeros(STATE + out_channels)
        self._state[[MIX, WEIGHT, LEVEL]] = 1
        # Filled, not only reserved: the callback must not be the first to touch a page.
        self._in_ring = np.full((capacity, in_channels), 0, np.float32)
        self._out_ring = np.full((capacity, out_channels), 0, np.float32)
        self._weight_ring = np.full(capacity, 0, np.float32)
        self._tails = np.full((SLOTS, tail, out_channels), 0, np.float32)
        self._slot_weights = np.full((SLOTS, tail), 0, np.float32)
        self._fills = np.zeros((SLOTS, out_channels))
        self.shape(hop, weights)
        self._arrays = (
            self._words,
            self._state,
            self._in_ring,
            self._out_ring,
            self._weight_ring,
            self._tails,
            self._fills,
            self._slot_weights,
        )
        self._user = np.zeros(USER_DATA, np.int64)
        self._user[[IN_CHANNELS, OUT_CHANNELS, IN_CAPACITY, OUT_CAPACITY, TAIL]] = (
            in_channels,
            out_channels,
            capacity,
            capacity,
            tail,
        )
        self._user[ADDRESSES : ADDRESSES + len(self._arrays)] = [a.ctypes.data for a in self._arrays]
        self._end = self._whole = self._tail_start = self._tail_end = self._sequence = 0
        if njit:  # compile now, not in the first callback
            empty = np.empty((0, in_channels), np.float32), np.empty((0, out_channels), np.float32)
            exchange(*empty, 0, *self._arrays)
            self._words[CALLBACKS] = 0
            stream_callback()
            load_after_reads(self._words, IN_HEAD)

    def __len__(self) -> int:
        """How many samples of input the ring holds."""
        return len(self._in_ring)

    # Callback side.

    @property
    def callback_pointers(self) -> tuple[int, int] | None:
        """Addresses of the compiled PaStreamCallback and its user data; None where numba is missing.

        The bridge must outlive the stream they are given to.
        """
        callback = stream_callback()
        return None if callback is None else (callback.address, self._user.ctypes.data)

    def process(self, block_in: np.ndarray, block_out: np.ndarray, flags: int = 0) -> None:
        """Take `block_in` float32 [n, in_channels]; fill `block_out` float32 [n, out_channels].

        Both contiguous and writable. `flags` are PortAudio's status flags.
        """
        exchange(block_in, block_out, flags, *self._arrays)

    # Inference side.

    def shape(self, hop: int, tail_weights: np.ndarray) -> None:
        """Let what is published from now on have `tail_weights`, and wet sound return over `hop` samples.

        Raises ValueError for a longer tail than there is room for.
        """
        if len(tail_weights) > self._tails.shape[1]:
            raise ValueError(f"a tail of {len(tail_weights)} samples, where there is room for {self._tails.shape[1]}")
        # Weight 1 means whole, so a tail stays below it.
        below = np.nextafter(np.float32(1), np.float32(0))
        self._weights = np.clip(np.asarray(tail_weights, np.float32), 0, below)
        self._words[HOP] = self.hop = hop

    def fits(self, latency: int, hop: int, tail: int) -> bool:
        """Return whether the rings are long enough for such a stream."""
        return latency + hop + tail <= self._room and tail <= self._tails.shape[1]

    def change_latency(self, latency: int) -> None:
        """Have what comes in from the next block on played `latency` samples later, after a fade."""
        self.flush += latency - self.latency
        self.latency = latency
        store_release(self._words, WANTED_LATENCY, latency)

    @property
    def settled(self) -> bool:
        """Whether the latency asked for is the one that is heard, and no fade is under way."""
        return load_acquire(self._words, LATENCY) == self.latency and load_acquire(self._words, FADING) == 0

    def tail(self) -> tuple[int, np.ndarray, np.ndarray]:
        """Return the position, the samples [n, out_channels] and the weights [n] of the tail last published, as copies."""
        slot, size = self._sequence % SLOTS, self._tail_end - self._tail_start
        return self._tail_start, self._tails[slot, :size].copy(), self._slot_weights[slot, :size].copy()

    def available(self) -> int:
        """Return the position up to which input has arrived."""
        return load_acquire(self._words, IN_HEAD)

    def played(self) -> int:
        """Return the next position to be played; negative in the first `latency` samples."""
        return load_acquire(self._words, OUT_POSITION)

    @property
    def published(self) -> int:
        """The position up to which output has been published: where the next block goes."""
        return self._end

    def read(self, start: int, count: int, out: np.ndarray) -> bool:
        """Copy input [start, start + count) into `out` [count, in_channels]; silence before 0.

        Returns False, with `out` undefined, if the input has been overwritten meanwhile. Raises
        ValueError for input that has not arrived, or more than half the ring.
        """
        capacity = len(self._in_ring)
        if start + count > self.available() or count > capacity // 2:
            raise ValueError(f"input up to {start + count} has not arrived, or {count} samples are too many at once")
        silent = min(count, max(0, -start))
        out[:silent] = 0
        read_ring(self._in_ring, start + silent, out[silent:count])
        # The callback may be an eighth of the ring beyond the head it shows, twice at most.
        return load_after_reads(self._words, IN_HEAD) - max(start, 0) <= capacity - capacity // 4

    def publish(self, block: np.ndarray, tail: np.ndarray, fill_gain: float | np.ndarray) -> None:
        """Publish `block` [n, out_channels], the wet samples from `published` on, n >= 0.

        `tail` [up to tail, out_channels] is what overlap-add already holds behind them, weighted as
        `tail_weights` say; `fill_gain` the linear gain, one or [out_channels], at which dry sound fills a gap.
        """
        write_ring(self._out_ring, self._end, block)
        fill_ring(self._weight_ring, self._end, len(block), 1)
        self._end += len(block)
        self._tail_start, self._tail_end = self._end, self._end + len(tail)
        self._hand_over(tail, self._weights[: len(tail)], fill_gain)

    def skip_to(self, position: int) -> None:
        """Go on at `position` >= `published`: what lies between is a gap. Raises ValueError otherwise."""
        if position < self._end:
            raise ValueError(f"cannot skip back from {self._end} to {position}")
        slot = self._sequence % SLOTS
        tail = self._tails[slot, : self._tail_end - self._tail_start]
        # The skipped stretch goes into the ring, so that a sound still playing can fade on its tail.
        count = min(position - self._end, len(self._out_ring) // 2)
        start = position - count
        wet = np.zeros((count, self.out_channels), np.float32)
        weight = np.zeros(count, np.float32)
        left = tail[start - self._tail_start :][:count]
        wet[: len(left)] = left
        weight[: len(left)] = self._slot_weights[slot, start - self._tail_start :][: len(left)]
        write_ring(self._out_ring, start, wet)
        write_ring(self._weight_ring, start, weight)
        self._end = self._whole = position
        self._hand_over(tail, self._slot_weights[slot, : len(tail)], self._fills[slot])

    def _hand_over(self, tail: np.ndarray, weights: np.ndarray, fill_gain: float | np.ndarray) -> None:
        self._sequence += 1
        slot = self._sequence % SLOTS
        self._tails[slot, : len(tail)] = tail
        self._slot_weights[slot, : len(weights)] = weights
        self._fills[slot] = fill_gain
        self._words[ENDS + slot] = self._end
        self._words[TAIL_STARTS + slot] = self._tail_start
        self._words[TAIL_ENDS + slot] = self._tail_end
        self._words[WHOLE + slot] = self._whole
        store_release(self._words, SEQUENCE, self._sequence)

    # Any thread.

    def fade(self, loud: bool) -> None:
        """Let everything fade out, or in again, within FADE samples: around a stop of the device."""
        store_release(self._words, LOUD, int(loud))

    @property
    def silent(self) -> bool:
        """Whether it has faded out."""
        return self._words[LOUD] == 0 and self._state[LEVEL] == 0

    @property
    def xruns(self) -> int:
        """The xruns that the callback has counted so far."""
        return int(self._words[XRUNS])

    def counts(self) -> Counts:
        """Return what the callback has counted so far."""
        words = self._words
        fields = (CALLBACKS, XRUNS, GAPS, GAP_SAMPLES, LARGEST_BLOCK)
        return Counts(*(int(words[field]) for field in fields))
