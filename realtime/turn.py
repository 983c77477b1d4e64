"""One turn of something that plays by itself, and what a performer's hand takes out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

# How far, in seconds, the clock that tracks the stream may be from a gesture's own count: its residual, and less than
# the time by which changes go to the engine ahead. Beyond it clocks have drifted apart, or another stream has begun.
_STRAY = 0.05


@dataclass
class Anchor:
    """Where in the stream a gesture begins: its wall-clock time `begin`, and the position there, once that is known.

    Positions are counted from here, so that changes of a gesture are as many samples apart as it says, whatever
    the tracking of the stream's clock does meanwhile.
    """

    begin: float
    position: int | None = None

    def place(self, due: float, tracked: int, rate: float) -> int:
        """Return the position for what is due at `due`, which the clock says is `tracked`, at `rate` Hz."""
        away = round((due - self.begin) * rate)
        if self.position is None or abs(self.position + away - tracked) > _STRAY * rate:
            self.position = tracked - away
        return self.position + away


@dataclass(eq=False)
class Turn:
    """One turn of a gesture, from `begin` to `end` in seconds since 1970; all its turns count from one `anchor`.

    Its changes wait with all others; `stop` and `take` make those that are due later do nothing. A control that is
    taken stays so until the turn is over. Whoever holds the lock of the control state may call them.
    """

    begin: float
    end: float
    anchor: Anchor
    stopped: float = math.inf
    taken: dict[str, float] = field(default_factory=dict)

    def stop(self, when: float) -> None:
        """Let nothing of it happen from `when` on."""
        self.stopped = min(self.stopped, when)

    def take(self, addresses: Iterable[str], when: float) -> None:
        """Take `addresses` out of it from `when` on, where it plays then."""
        if self.begin <= when < self.end:
            # Replaced, never changed: whoever schedules what is left of it looks through it without the lock.
            self.taken = self.taken | {address: min(when, self.taken.get(address, when)) for address in addresses}

    def moves(self, address: str, due: float) -> bool:
        """Return whether it still moves `address` at `due`."""
        return due < self.stopped and due < self.taken.get(address, math.inf)
