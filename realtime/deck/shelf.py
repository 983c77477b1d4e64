"""Stems of the deck's file as far as they have been made, from the cache into memory, where they are about to be played."""

from __future__ import annotations

import time
from collections.abc import Iterable

import numpy as np

from realtime.deck.cache import OVERLAP, SEGMENT, Damaged, Entry
from realtime.stemring import MARK

# Seconds between two looks for a segment that was not there.
_LOOK = 0.2


class Shelf:
    """Segments of `entry` of a file of `frames` samples, each sample `columns` wide.

    `take` is for one thread, the decoder's; `rows` for any.
    """

    def __init__(self, entry: Entry, columns: int) -> None:
        self.entry, self.columns = entry, columns
        self._held: dict[int, np.ndarray] = {}
        self._looked: dict[int, float] = {}

    def rows(self, start: int, out: np.ndarray, frames: int) -> None:
        """Fill `out` [n, columns + 1] from sample `start` on: stems and, where they are not there, a mark."""
        done = 0
        while done < len(out):
            at = start + done
            if at < 0 or at >= frames:
                count = min(len(out) - done, -at) if at < 0 else len(out) - done
                out[done : done + count] = 0
                done += count
                continue
            segment, place = divmod(at, SEGMENT)
            count = min(len(out) - done, SEGMENT - place, frames - at)
            self._copy(segment, place, out[done : done + count])
            done += count

    def take(self, wanted: Iterable[int]) -> bool:
        """Hold the segments `wanted` and no others; read one that is missing, and return whether there was any.

        Raises Damaged for one that is not what was written; it is dropped.
        """
        wanted = list(wanted)
        for segment in [each for each in self._held if each not in wanted]:
            del self._held[segment]
        now = time.monotonic()
        for segment in wanted:
            if segment in self._held or now < self._looked.get(segment, 0.0) + _LOOK:
                continue
            self._looked = {each: when for each, when in self._looked.items() if each in wanted} | {segment: now}
            try:
                sound = self.entry.read(segment)
            except OSError:
                continue
            except Damaged:
                self.entry.drop(segment)
                raise
            if sound.shape[1] == self.columns:
                self._held[segment] = sound
                return True
        return False

    def _copy(self, segment: int, place: int, out: np.ndarray) -> None:
        sound = self._held.get(segment)
        if sound is None:
            blank(out)
            return
        part = sound[place : place + len(out)]
        out[: len(part), :-1] = part
        out[len(part) :] = 0
        out[:, -1] = 0
        before = self._held.get(segment - 1)
        if place < OVERLAP and before is not None:
            # The two may have been made at different times, and differ in what the network remembered.
            old = before[SEGMENT + place : SEGMENT + OVERLAP][: len(part)]
            share = (np.arange(place, place + len(old), dtype=np.float32)[:, None] + 0.5) / OVERLAP
            out[: len(old), :-1] = old + share * (out[: len(old), :-1] - old)


def blank(out: np.ndarray) -> None:
    """Fill `out` [n, columns + 1] with silence that is marked as not made yet."""
    out[:, :-1] = 0
    out[:, -1] = MARK
