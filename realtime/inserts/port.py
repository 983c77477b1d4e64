"""Where an engine's sound leaves for plugins and comes back: processed where it is there in time, else as it was."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from realtime.inserts.line import Line

# Samples by which what comes back must be ahead, so that there is something to fade out on where the rest is missing.
FADE = 128
# What is louder than this, linear, is no sound: 36 dB above full scale.
LOUDEST = 64.0
# How often somebody who may wait looks again, in seconds.
_LOOK = 0.0002


class Port:
    """One target of an engine. `line` returns the memory to its plugins now, None while there is none; `wake` stirs them.

    `patience` is how many seconds in all may be waited for them: none on the inference thread, but a little where a
    chain takes over; while it lasts nothing is missed. `misses` counts steps that did not come back whole and in time.
    """

    def __init__(self, line: Callable[[], Line | None], wake: Callable[[], object], step: int, rest: int, channels: int) -> None:
        self._line, self._wake = line, wake
        self.patience = 0.0
        self.misses = 0
        self.expected = True
        self._first: int | None = None
        self._step, self._rest = step, rest
        self._share = 0.0
        self._wet = np.zeros((step + max(rest, FADE), channels), np.float32)
        self._level = np.zeros_like(self._wet)
        self._steps = (np.arange(1, step + 1, dtype=np.float32) / step)[:, None]
        self._fall = (1 - np.arange(1, FADE + 1, dtype=np.float32) / (FADE + 1))[:, None]

    def send(self, start: int, block: np.ndarray) -> None:
        """Hand over `block` [step, channels] at position `start`."""
        line = self._line()
        if self._first is None:
            self._first = start
        if line is not None:
            line.send(start, block)
            self._wake()

    def take(self, start: int, sound: np.ndarray, tail: np.ndarray) -> None:
        """Turn `sound` [step, channels] at `start`, and the `tail` [rest, channels] behind it, into what the plugins made of it."""
        there = self._there(start)
        if there < self._step + FADE:
            # The rest of what there is fades out; a sound that never came in has nothing to fade.
            count = min(there, FADE) if self._share else 0
            if count:
                wet = self._wet[:count]
                wet -= sound[:count]
                wet *= self._share * self._fall[FADE - count :]
                sound[:count] += wet
            self._share = 0.0
            # What was never handed over is not missed.
            self.misses += self.expected and start >= self._first
            return
        wet = self._wet[: self._step]
        if self._share < 1:
            wet -= sound
            wet *= self._share + (1 - self._share) * self._steps
            sound += wet
            self._share = 1.0
        else:
            sound[:] = wet
        self.follow(tail, there - self._step)

    def settle(self, start: int, tail: np.ndarray) -> bool:
        """Let `tail`, what follows the step that was taken last, at `start`, be as processed as it can be by now; return whether all is."""
        if not self._share:
            return True
        there = self._there(start - self._step)
        if there >= self._step + FADE:
            self.follow(tail, there - self._step)
        return there >= self._step + self._rest

    def follow(self, tail: np.ndarray, there: int) -> None:
        """Replace as much of `tail` as is there; the end of what is fades."""
        count = min(there, len(tail))
        wet = self._wet[self._step : self._step + count]
        if count < len(tail):
            end = wet[-FADE:]
            plain = tail[count - len(end) : count]
            end -= plain
            end *= self._fall[FADE - len(end) :]
            end += plain
        tail[:count] = wet

    def _there(self, start: int) -> int:
        """Fill `_wet` from position `start` on; return how much of it is sound."""
        line = self._line()
        if line is None:
            return 0
        wanted = self._step + FADE
        there = line.receive(start, self._wet)
        # Of a process that has ended nothing comes, however long it is waited for.
        while there < wanted and self.patience > 0 and self._line() is line:
            begun = time.monotonic()
            time.sleep(_LOOK)
            self.patience -= time.monotonic() - begun
            there = line.receive(start, self._wet)
        if not self._fine(there):
            # Of what was looked at a step ago there is enough to fade on.
            there = FADE if there >= FADE and self._fine(FADE) else 0
        return there

    def _fine(self, count: int) -> bool:
        level = self._level[:count]
        np.abs(self._wet[:count], out=level)
        # NaN is no less than anything.
        return not count or bool(level.max() <= LOUDEST)
