"""One turn of something that plays by itself, and what a performer's hand takes out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Turn:
    """One turn of a gesture, from `begin` to `end` in seconds since 1970.

    Its changes wait with all others; `stop` and `take` make those that are due later do nothing. A control that is
    taken stays so until the turn is over. Whoever holds the lock of the control state may call them.
    """

    begin: float
    end: float
    stopped: float = math.inf
    taken: dict[str, float] = field(default_factory=dict)

    def stop(self, when: float) -> None:
        """Let nothing of it happen from `when` on."""
        self.stopped = min(self.stopped, when)

    def take(self, addresses: Iterable[str], when: float) -> None:
        """Take `addresses` out of it from `when` on, where it plays then."""
        if self.begin <= when < self.end:
            self.taken |= {address: min(when, self.taken.get(address, when)) for address in addresses}

    def moves(self, address: str, due: float) -> bool:
        """Return whether it still moves `address` at `due`."""
        return due < self.stopped and due < self.taken.get(address, math.inf)
