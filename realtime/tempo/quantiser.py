"""Settings that wait for the next beat, bar or phrase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from realtime.tempo.grid import Grid


class Message(Protocol):
    """An address and its arguments; the state's own."""

    address: str
    values: tuple[object, ...]


class Quantiser:
    """Holds messages back until a boundary of the grid. Not safe between threads: the state's lock guards it.

    `grid` returns the grid at a time in seconds since 1970, None where there is no beat; `every` how many beats lie
    between two boundaries, None for no waiting. What waits follows the grid until it is taken.
    """

    def __init__(self, grid: Callable[[float], Grid | None], every: Callable[[], int | None]) -> None:
        self._grid, self._every = grid, every
        self._boundary: float | None = None
        self._expected = 0.0
        self._step = 1
        # By address, in the order of the last of each: a later message undoes all that an earlier one of its address did.
        self._waiting: dict[str, Message] = {}

    def hold(self, messages: tuple[Message, ...], now: float) -> bool:
        """Keep `messages` for the next boundary; return False where there is nothing to wait for."""
        if not messages or (every := self._every()) is None or (grid := self._grid(now)) is None:
            return False
        if self._boundary is None:
            self._boundary, self._step = grid.next(now, every), every
            self._expected = grid.time_of(self._boundary)
        for message in messages:
            self._waiting.pop(message.address, None)
            self._waiting[message.address] = message
        return True

    def waiting(self) -> tuple[Message, ...]:
        """Return what waits."""
        return tuple(self._waiting.values())

    def give_up(self, address: str | None) -> bool:
        """Forget what waits at `address`, or everything where it is None; return whether there was any."""
        found = bool(self._waiting) if address is None else address in self._waiting
        if address is None:
            self._waiting.clear()
        elif found:
            del self._waiting[address]
        if not self._waiting:
            self._boundary = None
        return found

    def fitted(self, begin: float, seconds: float, now: float) -> float:
        """Return how long `seconds` from `begin` on last where they end on a boundary: as many steps as come nearest, one at least.

        Where nothing waits for boundaries, or there is no beat at `now`, they last as long as they do.
        """
        if (every := self._every()) is None or (grid := self._grid(now)) is None:
            return seconds
        steps = max(1, round(seconds * grid.bpm / 60 / every))
        return grid.time_of(every * (round(grid.beat_at(begin) / every) + steps)) - begin

    def due(self, now: float) -> float | None:
        """Return when what waits is due, as the grid is at `now`; None where nothing waits.

        Where the beat has gone meanwhile, it is due when it last was expected; where it was set back, sooner than that.
        """
        if self._boundary is None:
            return None
        grid = self._grid(now)
        if grid is None:
            return self._expected
        if grid.beat_at(now) < self._boundary:
            # A song that was started over has another boundary next.
            self._boundary = min(self._boundary, grid.next(now, self._step))
        self._expected = grid.time_of(self._boundary)
        return self._expected

    def take(self, now: float, before: float) -> tuple[float, tuple[Message, ...]] | None:
        """Return the time and the messages of what is due until `before`, which then no longer waits; None for nothing."""
        due = self.due(now)
        if due is None or due > before:
            return None
        messages = tuple(self._waiting.values())
        self._waiting, self._boundary = {}, None
        return due, messages
