"""What the window knows of the file on the deck."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pyqtgraph.Qt import QtGui

from gui.palette import GROUND, WELL, mixed

CUES = 8
PLACES = 1000
# The quietest file that fills the height is this loud.
QUIET = 0.2
UNKNOWN = QtGui.QColor("#6E7A86")


@dataclass
class Song:
    """A file: `cues`, `loop` and `duration` in seconds, an unset cue None. `version` counts what changes its picture."""

    title: str = ""
    duration: float = 0.0
    cues: list[float | None] = field(default_factory=lambda: [None] * CUES)
    loop: tuple[float, float] = (0.0, 0.0)
    looping: bool = False
    colours: list[QtGui.QColor] = field(default_factory=list)
    heard: list[bool] = field(default_factory=list)
    version: int = 0
    peaks: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    fine: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    activity: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def see_peaks(self, columns: bytes, fine: bool = False) -> None:
        """Take peaks from start to end, a byte each, 255 for full scale."""
        found = np.frombuffer(columns, np.uint8).astype(np.float32) / 255.0
        if fine:
            self.fine = found
        else:
            self.peaks = found
        self.version += 1

    def see_activity(self, levels: bytes) -> None:
        """Take the level of each stem at `PLACES` places, place after place; one that does not fit the stems is no activity."""
        stems = len(self.colours)
        fits = stems and len(levels) == PLACES * stems
        self.activity = np.frombuffer(levels, np.uint8).reshape(PLACES, stems).astype(np.float32) if fits else np.zeros((0, 0), np.float32)
        self.version += 1

    def colour(self, colours: Sequence[QtGui.QColor]) -> None:
        """Draw stems in `colours`."""
        self.colours, self.heard = list(colours), [True] * len(colours)
        if self.activity.shape[1] != len(colours):
            self.activity = np.zeros((0, 0), np.float32)
        self.version += 1

    def hear(self, heard: Sequence[bool]) -> None:
        """Draw the stems that are not `heard` dark."""
        if len(heard) == len(self.colours) and list(heard) != self.heard:
            self.heard = list(heard)
            self.version += 1

    @property
    def empty(self) -> bool:
        """Whether there is no file."""
        return self.duration <= 0.0

    def picture(self, start: float, end: float, width: int, height: int) -> QtGui.QImage:
        """Return the file from `start` to `end` seconds, `width` x `height` pixels, mirrored about the middle.

        The height is the peak; its parts are the stems' shares of the activity there, the first stem in the middle. Where no
        activity is known it is grey, and outside the file dark.
        """
        first, last = start / max(1e-9, self.duration), end / max(1e-9, self.duration)
        heights, shares = self._heights(first, last, width), self._shares(first, last, width)
        half = (height + 1) // 2
        distance = (np.arange(half, dtype=np.float32) + 0.5) / half
        total = shares.sum(axis=1)
        edges = np.cumsum(shares, axis=1) / np.maximum(total, 1e-9)[:, None] * heights[:, None]
        stems = shares.shape[1]
        # Which stem's part each pixel is in; `stems` is beyond the last, and stems + 1 what is not known.
        part = np.zeros((half, width), np.uint8)
        for stem in range(stems):
            part += distance[:, None] > edges[None, :, stem]
        unknown = total <= 0.0
        part[:, unknown] = np.where(distance[:, None] > heights[None, unknown], stems, stems + 1)
        colours = [c if heard else mixed(c, GROUND, 0.3) for c, heard in zip(self.colours[:stems], self.heard, strict=False)]
        table = np.array([c.rgb() for c in (*colours, WELL, UNKNOWN)], np.uint32)
        pixels = table[np.concatenate((part[::-1], part))[:height]]
        return QtGui.QImage(pixels.tobytes(), width, height, 4 * width, QtGui.QImage.Format.Format_RGB32).copy()

    def _heights(self, first: float, last: float, count: int) -> np.ndarray:
        source = self.fine if len(self.fine) else self.peaks
        if not len(source):
            return np.zeros(count, np.float32)
        found = _stretched(source[:, None], first, last, count, np.maximum)[:, 0]
        return found / max(QUIET, float(source.max()))

    def _shares(self, first: float, last: float, count: int) -> np.ndarray:
        if not self.activity.size:
            return np.zeros((count, 0), np.float32)
        return _stretched(self.activity, first, last, count, np.add)


def _stretched(rows: np.ndarray, first: float, last: float, count: int, join: np.ufunc) -> np.ndarray:
    """Return `count` rows for the stretch from `first` to `last` of `rows` (0 to 1 is all), 0 outside: joined, or interpolated."""
    size = len(rows)
    edges = np.linspace(first, last, count + 1) * size
    centres = 0.5 * (edges[1:] + edges[:-1])
    if (last - first) * size < count:
        places = np.arange(size)
        found = np.stack([np.interp(centres - 0.5, places, column) for column in rows.T], axis=1)
    else:
        low = np.clip(np.floor(edges[:-1]), 0, size - 1).astype(int)
        high = np.clip(np.ceil(edges[1:]), low + 1, size).astype(int)
        padded = np.concatenate((rows, np.zeros_like(rows[:1])))
        found = join.reduceat(padded, np.stack((low, high), axis=1).ravel(), axis=0)[::2]
    found[(centres < 0) | (centres > size)] = 0.0
    return found.astype(np.float32)


def loop_of(start: float, end: float) -> tuple[float, float] | None:
    """Return the stretch from `start` to `end`, or None where that is none."""
    return (start, end) if math.isfinite(start) and math.isfinite(end) and end > start >= 0.0 else None
