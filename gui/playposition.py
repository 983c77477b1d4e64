"""Where a deck's play head is between two messages of the host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# Further from what was expected than this, in seconds, the host has jumped; nearer, its clock is followed softly.
JUMP = 0.25
SOFTNESS = 0.12
SETTLE = 0.4


class PlayPosition:
    """A place in a file, in seconds, that runs on by itself while the deck plays; `clock` gives seconds.

    What the host says pulls it softly, so that the jitter of messages is not seen, or moves it at once where it is far
    off. A place that a hand has put stands until the host is near it, or for `SETTLE` seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.duration = 0.0
        self.loop: tuple[float, float] | None = None
        self.held = False
        self._clock = clock
        self._place = 0.0
        self._since = clock()
        self._playing = False
        self._speed = 1.0
        self._trust_from = -math.inf

    @property
    def now(self) -> float:
        """Seconds from the start of the file that are heard now."""
        if not self._playing or self.held:
            return self._place
        return self._bounded(self._place + self._speed * (self._clock() - self._since))

    @property
    def running(self) -> bool:
        """Whether it moves by itself."""
        return self._playing and not self.held

    def run(self, playing: bool) -> None:
        """Begin to move, or stop."""
        self._rest_at(self.now)
        self._playing = playing

    def speed(self, speed: float) -> None:
        """Move at `speed` seconds of the file a second."""
        self._rest_at(self.now)
        self._speed = speed

    def put(self, place: float, held: bool = False) -> None:
        """Move to `place` by hand, and stay there for as long as it is `held`."""
        self.held = held
        self._rest_at(min(max(0.0, place), self.duration))
        self._trust_from = self._clock() + SETTLE

    def hear(self, place: float) -> None:
        """Take the host's word."""
        if self.held:
            return
        error = place - self.now
        if self.loop is not None and (length := self.loop[1] - self.loop[0]) > 0.0 and abs(error) > length / 2 and self._inside(place):
            # One of the two has come round before the other.
            error = math.remainder(error, length)
        if abs(error) > JUMP or not self._playing:
            if self._clock() >= self._trust_from:
                self._rest_at(place)
            return
        self._trust_from = -math.inf
        self._rest_at(self.now + SOFTNESS * error)

    def _inside(self, place: float) -> bool:
        return all(self.loop[0] <= each <= self.loop[1] for each in (place, self.now))

    def _rest_at(self, place: float) -> None:
        self._place, self._since = place, self._clock()

    def _bounded(self, place: float) -> float:
        if self.loop is not None and self.loop[0] < self.loop[1] and self._place <= self.loop[1] < place:
            start, end = self.loop
            place = start + (place - start) % (end - start)
        return min(max(0.0, place), self.duration)
