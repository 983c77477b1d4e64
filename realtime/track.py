"""A ring of sound with one writer that never waits, and any number of readers, in memory they share.

Samples are counted as they are written. A position belongs to each: that of the first sample of a
stretch is noted where positions do not go on from the last, so that a reader knows what was left out.
A reader may be in another process; it notices what has been overwritten under its hands, and goes on
behind it. The order of stores and loads is that of `realtime.atomics`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from realtime.atomics import load_acquire, load_after_reads, store_release

# Layout of the words: samples, and stretches, written so far.
_HEAD, _STRETCHES = 0, 1
# int64 words of a track; those of another lie 128 bytes away.
WORDS = 16
# How many stretches are remembered; int64 (samples before it, its position, its generation) for each.
STRETCHES, STRETCH_WORDS = 1024, 3


@dataclass(frozen=True)
class Stretch:
    """`sound` float32 [rows, n, channels], whose first sample has `position`, written in `generation`."""

    position: int
    generation: int
    sound: np.ndarray


class Track:
    """The writer: one thread. `words` int64 [WORDS], `stretches` int64 [STRETCHES, STRETCH_WORDS], all zero.

    `ring` is float32 [rows, capacity, channels]; a reader that is behind by a sixteenth less than that loses nothing.
    """

    def __init__(self, words: np.ndarray, stretches: np.ndarray, ring: np.ndarray) -> None:
        self.words, self.stretches, self.ring = words, stretches, ring
        self._piece = max(1, ring.shape[1] // 32)
        self._count = self._noted = self._next = 0
        self._generation = -1

    def append(self, sound: np.ndarray) -> None:
        """Write `sound` [n, channels] where the last ended; the first is at position 0."""
        self.write(self._next, max(0, self._generation), sound)

    def write(self, position: int, generation: int, first: np.ndarray, rest: np.ndarray | None = None) -> None:
        """Write `first` [n, channels] into row 0 and `rest` [rows, n, channels] into those that follow, as far as there are.

        `position` is that of their first sample.
        """
        if position != self._next or generation != self._generation:
            self.stretches[self._noted % STRETCHES] = self._count, position, generation
            self._noted += 1
            self._generation = generation
            store_release(self.words, _STRETCHES, self._noted)
        length = len(first)
        self._next = position + length
        if length <= self._piece:
            self._copy(first, rest)
            return
        # A reader trusts what lies further from the head than a piece.
        for start in range(0, length, self._piece):
            end = start + self._piece
            self._copy(first[start:end], None if rest is None else rest[:, start:end])

    def _copy(self, first: np.ndarray, rest: np.ndarray | None) -> None:
        ring, length = self.ring, len(first)
        rows, capacity, _ = ring.shape
        at = self._count % capacity
        here = min(length, capacity - at)
        more = 0 if rest is None else min(rows - 1, len(rest))
        ring[0, at : at + here] = first[:here]
        if more:
            ring[1 : 1 + more, at : at + here] = rest[:more, :here]
        if here < length:
            ring[0, : length - here] = first[here:]
            if more:
                ring[1 : 1 + more, : length - here] = rest[:more, here:]
        self._count += length
        store_release(self.words, _HEAD, self._count)


class TrackReader:
    """A reader of `track` from its first sample on; `lost` counts samples that were overwritten before they were read."""

    def __init__(self, track: Track) -> None:
        self._words, self._stretches, self._ring = track.words, track.stretches, track.ring
        capacity = self._ring.shape[1]
        # The writer may be a piece beyond the head it shows, twice at most.
        self._trusted = capacity - capacity // 16
        self._at = 0
        self.lost = 0

    def skip(self, behind: int) -> None:
        """Leave out what was written, but for the last `behind` samples; it does not count as lost."""
        head = load_acquire(self._words, _HEAD)
        self._at = max(self._at, head - min(behind, self._trusted // 2))

    def read(self, most: int | None = None) -> list[Stretch]:
        """Return what was written since the last call, in order; at most `most` samples of it."""
        head = load_acquire(self._words, _HEAD)
        if head - self._at > self._trusted:
            # With room ahead of the writer, or the next samples would be gone before they are copied.
            self._skip_to(head - self._trusted // 2)
        count = head - self._at if most is None else min(head - self._at, most)
        if count <= 0:
            return []
        rows, capacity, channels = self._ring.shape
        sound = np.empty((rows, count, channels), np.float32)
        at = self._at % capacity
        here = min(count, capacity - at)
        sound[:, :here] = self._ring[:, at : at + here]
        sound[:, here:] = self._ring[:, : count - here]
        noted = load_acquire(self._words, _STRETCHES)
        stretches = self._noted_since(noted)
        # Was any of it overwritten meanwhile?
        safe = load_after_reads(self._words, _HEAD) - self._trusted
        overwritten = load_after_reads(self._words, _STRETCHES) - noted + len(stretches) > STRETCHES - 2
        start, end = self._at, self._at + count
        if not stretches or overwritten or safe >= end:
            self._skip_to(end)
            return []
        if safe > start:
            self._skip_to(safe)
        found = []
        bounds = [*(first for first, _, _ in stretches[1:]), end]
        for (first, position, generation), until in zip(stretches, bounds, strict=True):
            begin, until = max(first, self._at), min(until, end)
            if begin < until:
                part = sound[:, begin - start : until - start]
                found.append(Stretch(position + begin - first, generation, part))
        self._at = end
        return found

    def _skip_to(self, count: int) -> None:
        self.lost += count - self._at
        self._at = count

    def _noted_since(self, noted: int) -> list[tuple[int, int, int]]:
        """Return the stretches from the one that holds the next sample on; none where that is forgotten."""
        found: list[tuple[int, int, int]] = []
        for index in range(noted - 1, max(-1, noted - STRETCHES + 1), -1):
            first, position, generation = self._stretches[index % STRETCHES].tolist()
            found.append((first, position, generation))
            if first <= self._at:
                return found[::-1]
        return []
