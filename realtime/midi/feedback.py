"""Feedback: what a controller's lights and motor faders are told, and when."""

from __future__ import annotations

from collections.abc import Callable

from realtime.midi.entry import Entry

# Between two rounds, in seconds, and knobs in a round: a cable carries a thousand messages a second.
INTERVAL = 1 / 30
BURST = 12
# So long after the last move of a fader, in seconds, it is taken to be under a hand.
QUIET = 0.3

Messages = list[list[int]]


class Feedback:
    """What is still to be shown. A knob under a hand is told nothing: a motor must not work against it."""

    def __init__(self) -> None:
        self._pending: dict[Entry, None] = {}
        self._moved: dict[Entry, float] = {}
        # What the controller shows: what it was told, or says itself.
        self._shows: dict[Entry, Messages] = {}
        self._next = 0.0

    def changed(self, entry: Entry) -> None:
        """Note that what `entry` shows may have changed."""
        if entry.feedback:
            self._pending.setdefault(entry)

    def touched(self, entry: Entry, position: float | None, now: float) -> None:
        """Note that its knob was moved to `position` at `now`, in seconds; None for a key, or an encoder without a place."""
        if not entry.feedback:
            return
        self._pending.setdefault(entry)
        if position is None:
            # A key may have switched its own light.
            self._shows.pop(entry, None)
        else:
            self._moved[entry] = now
            self._shows[entry] = entry.source.shown(position)

    def forget(self) -> None:
        """Note that nothing is known of what the controller shows."""
        self._shows.clear()
        self._moved.clear()

    def take(self, now: float, position_of: Callable[[Entry], float | None]) -> Messages:
        """Return what is to be sent at `now`; `position_of` returns what an entry's knob should show, None for nothing."""
        if now < self._next or not self._pending:
            return []
        sent: Messages = []
        count = 0
        for entry in list(self._pending):
            if now < self._moved.get(entry, -QUIET) + QUIET:
                continue
            if count >= BURST:
                break
            del self._pending[entry]
            self._moved.pop(entry, None)
            position = position_of(entry)
            messages = [] if position is None else entry.source.shown(position)
            if messages and messages != self._shows.get(entry):
                self._shows[entry] = messages
                sent += messages
                count += 1
        if sent:
            self._next = now + INTERVAL
        return sent
