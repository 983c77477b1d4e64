"""A control's value between its two owners: the hand that moves it and the host that has the last word."""

from __future__ import annotations

import time
from collections.abc import Callable

SETTLE = 0.3
NEAR = 1e-4


class Echo:
    """A value that follows the host, except while a hand holds it.

    While held, what the host says is only remembered: it is the past, and would tug at the hand.
    After release the same holds until the host repeats the last value sent, or for `settle`
    seconds at most; then the host's word counts, so a refused change goes back by itself.
    """

    def __init__(self, value: float = 0.0, settle: float = SETTLE, clock: Callable[[], float] = time.monotonic) -> None:
        self.value = value
        self.held = False
        self._settle = settle
        self._clock = clock
        self._until: float | None = None
        self._said: float | None = None

    @property
    def following(self) -> bool:
        """True when what the host says is shown at once."""
        return not self.held and self._until is None

    def grab(self) -> None:
        """Take the value in hand."""
        self.held = True
        self._said = None

    def move(self, value: float) -> None:
        """Set the value by hand."""
        self.value = value

    def release(self) -> None:
        """Let go, and wait for the host to confirm."""
        self.held = False
        self._until = self._clock() + self._settle
        if self._said is not None and abs(self._said - self.value) < NEAR:
            self._until = None

    def put(self, value: float) -> None:
        """Set the value by hand in one go."""
        self.grab()
        self.move(value)
        self.release()

    def hear(self, value: float) -> bool:
        """Take the host's word; return True if the shown value changed."""
        if not self.following:
            self._said = value
            if self.held or abs(value - self.value) >= NEAR:
                return False
            self._until = None
        changed = value != self.value
        self.value = value
        return changed

    def tick(self) -> bool:
        """Stop waiting when the time is up; return True if the shown value changed."""
        if self._until is None or self.held or self._clock() < self._until:
            return False
        self._until = None
        return self._said is not None and self.hear(self._said)
