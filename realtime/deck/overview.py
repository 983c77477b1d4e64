"""The whole file at a glance: a peak for each column of a picture, found little by little while the deck plays."""

from __future__ import annotations

import math

import numpy as np

from realtime.deck.material import Material
from realtime.devices.file import CHUNK, clean, open_audio, read_audio
from realtime.errors import HostError

COLUMNS = 1000
# Columns of the fine picture for each of the coarse one; a datagram of all of them is one that every system sends.
FINE = 8


class Overview:
    """Looks through the file of `material`, a step at a time, by a reader of its own.

    `fine` holds a byte each: the peak of its share of the file, 0 to 255 for silence to full scale; `columns` the same of
    a `FINE`th as many.
    """

    def __init__(self, material: Material) -> None:
        self._peaks = np.zeros(COLUMNS * FINE, np.uint8)
        self._at = 0
        self.complete = False
        try:
            self._file, self._path = open_audio(material.path), material.path
        except HostError:
            self.complete = True

    @property
    def columns(self) -> bytes:
        """What has been found so far, 0 beyond."""
        return self._peaks.reshape(COLUMNS, FINE).max(axis=1).tobytes()

    @property
    def fine(self) -> bytes:
        """The same in `FINE` times as many columns."""
        return self._peaks.tobytes()

    def step(self) -> None:
        """Look at the next second or so; where the file fails, the rest stays 0."""
        if self.complete:
            return
        try:
            rows = clean(read_audio(self._file, self._path, CHUNK))[0]
        except HostError:
            rows = np.zeros((0, 1), np.float32)
        if not len(rows):
            self.close()
            return
        peaks = np.abs(rows).max(axis=1)
        # A file that lasts longer than it announced ends in the last column.
        share = len(self._peaks) / max(1, self._file.frames)
        first = min(len(self._peaks) - 1, math.floor(self._at * share))
        for column in range(first, min(len(self._peaks) - 1, math.floor((self._at + len(rows) - 1) * share)) + 1):
            start, end = math.ceil(column / share) - self._at, math.ceil((column + 1) / share) - self._at
            part = peaks[max(0, start) : max(1, end) if column < len(self._peaks) - 1 else None]
            if len(part):
                self._peaks[column] = max(self._peaks[column], round(255 * min(1.0, float(part.max()))))
        self._at += len(rows)

    def close(self) -> None:
        """Let go of the file."""
        if not self.complete:
            self._file.close()
        self.complete = True
