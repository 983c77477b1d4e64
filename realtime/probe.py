"""Music without end for the null device, and how late it comes out of a host in bypass: by its samples, not by its clock.

What comes out is looked at in another process, for the thread that stands for a sound card has no time for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from realtime.atomics import load_acquire, load_after_reads, store_release
from realtime.demo import demo_song
from realtime.devices.file import endless

# What is compared, and how far back it is looked for, in samples.
_PART, _REACH = 2048, 1 << 15
_EVERY = 0.25
_SECONDS = 48.0
# In bypass the music comes out as it went in, but for what dry sound that fills a gap is scaled by.
_ALIKE = 0.98

# Layout of the file: int64 words, then what was heard last, float32 [_PART], of the first channel.
_BEGUN, _DONE, _REPORTED, _GOT, _WORDS = 0, 1, 2, 3, 4
_SIZE = 8 * _WORDS + 4 * _PART


def _music(rate: int) -> np.ndarray:
    return demo_song(_SECONDS, rate).mixture.astype(np.float32)


class Probe:
    """The wire of a session (realtime/session.py). What it hears stands in `path`, beside what `reported()` was, for `Delays`."""

    def __init__(self, path: Path, rate: int, reported: Callable[[], int]) -> None:
        self._reported = reported
        self._words, self._shown = _mapped(path, "w+")
        # The next samples, from the beginning again at the end.
        self.read = endless(_music(rate))
        self._got = 0
        self._heard = np.zeros(_PART, np.float32)
        self._every = round(_EVERY * rate)
        self._due = self._every

    def write(self, block: np.ndarray) -> None:
        """Take what comes out; show it now and then."""
        rows = block[-_PART:, 0]
        self._heard[: _PART - len(rows)] = self._heard[len(rows) :]
        self._heard[_PART - len(rows) :] = rows
        self._got += len(block)
        if self._got >= self._due:
            self._due = self._got + self._every
            words, count = self._words, int(self._words[_DONE]) + 1
            store_release(words, _BEGUN, count)
            words[_REPORTED], words[_GOT] = self._reported(), self._got
            self._shown[:] = self._heard
            store_release(words, _DONE, count)


@dataclass(frozen=True)
class Delay:
    """`reported` and `measured` samples; None where what comes out is not what went in: it is separated, or between two delays."""

    reported: int
    measured: int | None


class Delays:
    """Measures what the `Probe` of another process shows in `path`, at `rate`."""

    def __init__(self, path: Path, rate: int) -> None:
        self._words, self._shown = _mapped(path, "r+")
        self._music = _music(rate)[:, 0]
        self._seen = 0

    def skip(self) -> None:
        """Leave out what is shown by now."""
        self._seen = load_acquire(self._words, _BEGUN)

    def next(self) -> Delay | None:
        """Return the delay of what has been shown since the last call; None where nothing has."""
        count = load_acquire(self._words, _DONE)
        if count <= self._seen:
            return None
        reported, got, heard = int(self._words[_REPORTED]), int(self._words[_GOT]), self._shown.copy()
        if load_after_reads(self._words, _BEGUN) != count:
            return None
        self._seen = count
        return Delay(reported, self._delay(reported, got, heard))

    def _delay(self, reported: int, got: int, heard: np.ndarray) -> int | None:
        power = float(np.vdot(heard, heard))
        if got < _REACH or power < 1e-6:
            return None
        # Where it is expected, first: most of the time it is there.
        for find in (lambda: reported, lambda: self._likely(got, heard)):
            delay = find()
            sent = self._sent(got - delay - _PART, _PART)
            likeness = float(np.vdot(sent, heard)) / np.sqrt(power * max(1e-12, float(np.vdot(sent, sent))))
            if likeness > _ALIKE and np.abs(sent - heard).max() < 0.1 * np.abs(heard).max() + 1e-4:
                return delay
        return None

    def _sent(self, start: int, count: int) -> np.ndarray:
        return self._music.take(range(start, start + count), mode="wrap")

    def _likely(self, got: int, heard: np.ndarray) -> int:
        """Return the delay at which what was sent is most like what is heard."""
        sent = self._sent(got - _REACH, _REACH)
        size = 2 * _REACH
        likeness = np.fft.irfft(np.fft.rfft(sent, size) * np.fft.rfft(heard, size).conj(), size)[: _REACH - _PART + 1]
        powers = np.cumsum(np.concatenate([[0.0], sent.astype(np.float64) ** 2]))
        likeness = likeness / np.sqrt(np.maximum(powers[_PART:] - powers[:-_PART], 1e-9))
        return _REACH - _PART - int(likeness.argmax())


def _mapped(path: Path, mode: str) -> tuple[np.ndarray, np.ndarray]:
    # A plain array, for which what loads and stores words is compiled already.
    data = np.asarray(np.memmap(path, np.uint8, mode, shape=(_SIZE,)))
    return data[: 8 * _WORDS].view(np.int64), data[8 * _WORDS :].view(np.float32)
