"""The grid of beats: which beat it is at a time, and when a beat is."""

from __future__ import annotations

import math
from dataclasses import dataclass

# A boundary this near, in beats, is the one that is being asked from: what rounding leaves of it is no boundary to come.
_SAME = 1e-6


@dataclass(frozen=True)
class Grid:
    """Beat `beat` is at time `time`, in seconds, and `bpm` beats follow in a minute. Beat 0 begins a bar and a phrase."""

    beat: float
    time: float
    bpm: float

    def beat_at(self, time: float) -> float:
        """Return which beat it is at `time`, with its fraction."""
        return self.beat + (time - self.time) * self.bpm / 60

    def time_of(self, beat: float) -> float:
        """Return when `beat` is."""
        return self.time + (beat - self.beat) * 60 / self.bpm

    def next(self, time: float, every: int) -> float:
        """Return the next beat after `time` that is a multiple of `every`."""
        return float(every * (math.floor(self.beat_at(time) / every + _SAME) + 1))

    def at_tempo(self, bpm: float, time: float) -> Grid:
        """Return the grid that goes on at `bpm` from `time`, where the beat stays what it is."""
        return Grid(self.beat_at(time), time, bpm)
