"""What the performer wants now, when it shall hold, and the ramps that take the sound there."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mix:
    """What the engine mixes from some sample on.

    `gains` is linear per stem, after mute and solo, 0..1.995; `wet` is 0..1, 0 in bypass;
    `remainder` is the linear gain of the mixture minus what was taken; `glide` is in seconds. `routes` is the matrix
    of the output pairs, see realtime/outputs.py; without one they stay as they are.
    """

    gains: tuple[float, ...]
    wet: float = 1.0
    remainder: float = 0.0
    glide: float = 0.03
    routes: tuple[tuple[float, ...], ...] = ()


class Schedule:
    """Waiting mixes in the order of their positions; filled from any thread, emptied by the engine's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: tuple[tuple[int | None, Mix], ...] = ()

    def submit(self, mix: Mix, at: int | None = None) -> None:
        """Let `mix` hold from stream position `at` on, in samples; None is at once.

        It takes the place of every mix that waits for `at` or later; None that of all that wait.
        """
        with self._lock:
            kept = () if at is None else tuple(w for w in self._waiting if w[0] is None or w[0] < at)
            self._waiting = (*kept, (at, mix))

    def since(self, position: int) -> tuple[tuple[int | None, Mix], ...]:
        """Forget what `position` has made obsolete; return the mix that holds there, as of now, and what comes later."""
        with self._lock:
            held = [mix for at, mix in self._waiting if at is None or at <= position]
            later = tuple((at, mix) for at, mix in self._waiting if at is not None and at > position)
            self._waiting = (*((None, mix) for mix in held[-1:]), *later)
            return self._waiting

    def take_all(self) -> tuple[tuple[int | None, Mix], ...]:
        """Remove and return everything."""
        with self._lock:
            due, self._waiting = self._waiting, ()
            return due

    def take(self, before: int) -> tuple[tuple[int | None, Mix], ...]:
        """Remove and return what is due before stream position `before`. Never waits: a busy schedule yields nothing."""
        if not self._waiting or not self._lock.acquire(blocking=False):
            return ()
        try:
            count = sum(at is None or at < before for at, _ in self._waiting)
            due, self._waiting = self._waiting[:count], self._waiting[count:]
            return due
        finally:
            self._lock.release()


class Ramps:
    """Values that move in straight lines, block by block."""

    def __init__(self, values: np.ndarray, block: int) -> None:
        self.now = np.array(values, np.float64)
        self._target = self.now.copy()
        self._left = 0
        self._steps = np.arange(1, block + 1, dtype=np.float64)
        # The course of the values over the block just rendered, float32 [values, block].
        self.course = np.repeat(self.now[:, None], block, axis=1).astype(np.float32)
        # Whether nothing moved in it.
        self.steady = True

    def aim(self, target: np.ndarray, samples: int) -> None:
        """Move to `target` [values] within `samples`, from here on."""
        self._target[:] = target
        self._left = max(1, int(samples))

    def follow(self, other: Ramps) -> None:
        """Go on where `other` is, to where it goes."""
        self.now[:], self._target[:], self._left = other.now, other._target, other._left
        self.course[:] = self.now[:, None]

    def run(self, start: int, end: int) -> None:
        """Render samples `start`..`end` of the block into `course`."""
        moving = min(end - start, self._left)
        if moving > 0:
            slope = (self._target - self.now) / self._left
            path = self.now[:, None] + slope[:, None] * self._steps[:moving]
            self.course[:, start : start + moving] = path
            self._left -= moving
            self.now[:] = self._target if self._left == 0 else path[:, -1]
            self.course[:, start + moving : end] = self.now[:, None]
            self.steady = False
        elif not self.steady or start > 0:
            self.course[:, start:end] = self.now[:, None]
            self.steady = start == 0
