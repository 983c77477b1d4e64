"""MIDI clock: a grid out of 24 ticks a beat, with start, stop, continue and song position."""

from __future__ import annotations

from collections import deque

from realtime.tempo.grid import Grid

TICKS = 24
# Ticks that the grid is fitted to: two beats smooth what arrives unevenly, and follow a tempo that changes.
KEPT = 48
# Ticks before there is a grid.
FEWEST = 12
# Without a tick for so long, in seconds, the clock has gone: the slowest tempo's ticks come every eighth of a second.
GONE = 0.5


class MidiClock:
    """What a MIDI clock says. Times are in seconds, positions in beats (quarter notes) since the song's start.

    A clock that has neither been started nor stopped runs from its first tick.
    """

    def __init__(self) -> None:
        self.running = True
        # The tick to come is the song's tick number...
        self._next = 0
        # Number and time of each tick kept.
        self._ticks: deque[tuple[int, float]] = deque(maxlen=KEPT)

    def tick(self, time: float) -> None:
        """Take a tick (0xF8)."""
        if self._ticks and not 0 <= time - self._ticks[-1][1] <= GONE:
            self._ticks.clear()
        if self.running:
            self._ticks.append((self._next, time))
            self._next += 1
        else:
            # The tempo goes on while the song stands: all ticks seen move back by one.
            moved = [(number - 1, at) for number, at in self._ticks]
            self._ticks.clear()
            self._ticks.extend((*moved, (self._next - 1, time)))

    def start(self) -> None:
        """Take a start (0xFA): the tick to come is beat 0."""
        self._go_to(0)
        self.running = True

    def resume(self) -> None:
        """Take a continue (0xFB): the song goes on from where it stands."""
        self.running = True

    def stop(self) -> None:
        """Take a stop (0xFC)."""
        self.running = False

    def locate(self, sixteenths: int) -> None:
        """Take a song position (0xF2): the tick to come is this sixteenth."""
        self._go_to(sixteenths * TICKS // 4)

    def grid(self, now: float) -> Grid | None:
        """Return the grid as of `now`; None while the song stands, the clock is gone, or too little of it was heard."""
        ticks = self._ticks
        if not self.running or len(ticks) < FEWEST or now - ticks[-1][1] > GONE:
            return None
        count = len(ticks)
        number = sum(n for n, _ in ticks) / count
        time = sum(t for _, t in ticks) / count
        spread = sum((n - number) ** 2 for n, _ in ticks)
        seconds = sum((n - number) * (t - time) for n, t in ticks) / spread
        return Grid(number / TICKS, time, 60 / (TICKS * seconds)) if seconds > 0 else None

    def _go_to(self, tick: int) -> None:
        moved = [(number + tick - self._next, at) for number, at in self._ticks]
        self._next = tick
        self._ticks.clear()
        self._ticks.extend(moved)
