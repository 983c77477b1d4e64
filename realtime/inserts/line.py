"""The memory by which the engine and a process of plugins hand sound to each other.

Sound is addressed by position, as everywhere: what comes back for a position belongs to what went there, however late
a plugin is. The engine writes what goes, the other process what comes back; neither waits for the other.
"""

from __future__ import annotations

import threading

import numpy as np

from realtime.atomics import load_acquire, load_after_reads, store_release
from realtime.inserts.insert import PARAMETERS, SLOTS
from realtime.ring import read_ring, write_ring

# The process of the plugins has no compiled loads and stores; a lock let go and taken again keeps reads and writes in order.
_ORDER = threading.Lock()
# Words: up to where sound has been sent and returned, where it began, and whether it has.
_SENT, _RETURNED, _BEGUN, _OPEN = 0, 8, 16, 24
_WORDS = 64


class Line:
    """`capacity` samples of `channels` each way, in `buffer`, zeros at the start and `size` bytes of them.

    `bypass` [slots] and `values` [slots, parameters], NaN where nothing was set, are written by the engine's side.
    """

    def __init__(self, channels: int, capacity: int, buffer: memoryview) -> None:
        words = np.frombuffer(buffer, np.int64, _WORDS + SLOTS)
        self._words, self.bypass = words[:_WORDS], words[_WORDS:]
        at = words.nbytes
        self.values = np.frombuffer(buffer, np.float64, SLOTS * PARAMETERS, at).reshape(SLOTS, PARAMETERS)
        at += self.values.nbytes
        sound = np.frombuffer(buffer, np.float32, 2 * capacity * channels, at)
        self._going, self._coming = sound.reshape(2, capacity, channels)
        self.capacity = capacity

    @staticmethod
    def size(channels: int, capacity: int) -> int:
        """Return how many bytes a line takes."""
        return 8 * (_WORDS + SLOTS + SLOTS * PARAMETERS) + 8 * capacity * channels

    def clear(self) -> None:
        """Make it ready; by whoever made the memory."""
        self.values.fill(np.nan)
        # What has never been returned must not pass for sound.
        self._coming.fill(np.nan)

    # The engine.

    def send(self, start: int, block: np.ndarray) -> None:
        """Hand over `block` [n, channels] from position `start` on; each begins where the one before ended."""
        if not self._words[_OPEN]:
            self._words[_BEGUN] = self._words[_RETURNED] = start
            store_release(self._words, _OPEN, 1)
        write_ring(self._going, start, block)
        store_release(self._words, _SENT, start + len(block))

    def receive(self, start: int, out: np.ndarray) -> int:
        """Copy what has come back from position `start` on into `out` [n, channels]; return how many samples there are."""
        there = load_acquire(self._words, _RETURNED) - start if self._words[_OPEN] else 0
        count = max(0, min(len(out), there))
        read_ring(self._coming, start, out[:count])
        return count

    @property
    def sent(self) -> int:
        """Up to which position sound has been sent."""
        return load_acquire(self._words, _SENT)

    @property
    def returned(self) -> int:
        """Up to which position sound has come back."""
        return load_acquire(self._words, _RETURNED)

    # The process of the plugins.

    @property
    def begun(self) -> int | None:
        """The first position that was sent; None before."""
        return int(self._words[_BEGUN]) if load_acquire(self._words, _OPEN) else None

    def take(self, start: int, out: np.ndarray) -> bool:
        """Copy what was sent from `start` on, which must be there, into `out`; return False where it is overwritten."""
        _fence()
        read_ring(self._going, start, out)
        _fence()
        return load_after_reads(self._words, _SENT) - start <= self.capacity // 2

    def give(self, start: int, block: np.ndarray) -> None:
        """Return `block` for the positions from `start` on."""
        block = block[-(self.capacity // 2) :] if len(block) > self.capacity // 2 else block
        write_ring(self._coming, start, block)
        _fence()
        store_release(self._words, _RETURNED, start + len(block))


def _fence() -> None:
    for _ in range(2):
        _ORDER.acquire()
        _ORDER.release()


class History:
    """The last `capacity` samples of `rows` sounds of `channels`, by position; zeros before the first."""

    def __init__(self, rows: int, capacity: int, channels: int) -> None:
        self._rings = np.zeros((rows, capacity, channels), np.float32)

    def write(self, start: int, sounds: np.ndarray) -> None:
        """Keep `sounds` [rows, n, channels] from position `start` on."""
        for ring, sound in zip(self._rings, sounds, strict=True):
            write_ring(ring, start, sound)

    def read(self, start: int, out: np.ndarray) -> None:
        """Copy what is kept from `start` on into `out` [rows, n, channels]."""
        for ring, sound in zip(self._rings, out, strict=True):
            read_ring(ring, start, sound)
