"""Music without end for the null device, and how late it comes out of a host in bypass: by its samples, not by its clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from realtime.demo import demo_song

# What is compared, and how far back it is looked for, in samples.
_PART, _REACH = 2048, 1 << 15
_EVERY = 0.25
_SECONDS = 48.0
# In bypass the music comes out as it went in, but for what dry sound that fills a gap is scaled by.
_ALIKE = 0.98

REPORTED, MEASURED, CHECKS, WORDS = 0, 1, 2, 4


class Probe:
    """The wire of a session (realtime/session.py). What it finds stands in `path`, int64 [WORDS], for other processes.

    `MEASURED` is the delay in samples, -1 where what comes out is not what went in: it is separated, or on its way
    from one delay to another. `REPORTED` is what `reported()` was at that time, `CHECKS` counts.
    """

    def __init__(self, path: Path, rate: int, reported: Callable[[], int]) -> None:
        self._reported = reported
        self._words = np.memmap(path, np.int64, "w+", shape=(WORDS,))
        self._music = demo_song(_SECONDS, rate).mixture.astype(np.float32)
        self._sent = self._got = 0
        self._heard = np.zeros((_PART, self._music.shape[1]), np.float32)
        self._every = round(_EVERY * rate)
        self._due = self._every

    def read(self, count: int) -> np.ndarray:
        """Return the next samples, from the beginning again at the end."""
        rows = self._at(self._sent, count)
        self._sent += count
        return rows

    def write(self, block: np.ndarray) -> None:
        """Take what comes out; now and then see how late it is."""
        rows = block[-_PART:]
        self._heard = np.concatenate([self._heard[len(rows) :], rows])
        self._got += len(block)
        if self._got >= self._due:
            self._due = self._got + self._every
            reported = self._reported()
            self._words[REPORTED], self._words[MEASURED] = reported, self._delay(reported)
            self._words[CHECKS] += 1

    def _at(self, start: int, count: int) -> np.ndarray:
        return self._music[(start + np.arange(count)) % len(self._music)]

    def _delay(self, reported: int) -> int:
        heard = self._heard[:, 0]
        power = float(np.vdot(heard, heard))
        if self._got < _REACH or power < 1e-6:
            return -1
        # Where it is expected, first: most of the time it is there.
        for delay in (reported, *self._likely(heard)):
            sent = self._at(self._got - delay - _PART, _PART)[:, 0]
            likeness = float(np.vdot(sent, heard)) / np.sqrt(power * max(1e-12, float(np.vdot(sent, sent))))
            if likeness > _ALIKE and np.abs(sent - heard).max() < 0.1 * np.abs(heard).max() + 1e-4:
                return delay
        return -1

    def _likely(self, heard: np.ndarray) -> tuple[int, ...]:
        """Return the delay at which what was sent is most like what is heard."""
        sent = self._at(self._got - _REACH, _REACH)[:, 0]
        size = 2 * _REACH
        likeness = np.fft.irfft(np.fft.rfft(sent, size) * np.fft.rfft(heard, size).conj(), size)[: _REACH - _PART + 1]
        powers = np.cumsum(np.concatenate([[0.0], sent.astype(np.float64) ** 2]))
        likeness = likeness / np.sqrt(np.maximum(powers[_PART:] - powers[:-_PART], 1e-9))
        return (_REACH - _PART - int(likeness.argmax()),)
