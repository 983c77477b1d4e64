"""Two programs that show the same value: what one says is passed on to the other, and an echo is not."""

from __future__ import annotations

from collections import deque

# Values of a fader, 0..1, that count as one: both ends keep float32, and some keep decibels.
CLOSE = 2e-4
# Seconds within which an end says back what it was told, if it does.
PATIENCE = 0.5
MOST_UNANSWERED = 256


class End:
    """What one program last said of a value, or was told, and what it was told and has not said back.

    Programs say every change to everybody, also to the one who told them, and later than that one told the next: passed
    on, such an echo would pull a moving fader back. So would what was on its way when the program was told something:
    it is kept until the echo has come, and is news only if none does.
    """

    def __init__(self) -> None:
        self.value: float | None = None
        self._unanswered: deque[tuple[float, float]] = deque(maxlen=MOST_UNANSWERED)
        self._doubtful: float | None = None

    def says(self, value: float, now: float) -> bool:
        """Take note of what the program says at `now`, in seconds; return whether it is news."""
        self._let_go(now)
        for index, (_, told) in enumerate(self._unanswered):
            if abs(told - value) <= CLOSE:
                # Programs thin out what they say: what was told before will not be said any more.
                for _ in range(index + 1):
                    self._unanswered.popleft()
                self._doubtful = None
                return False
        if self._unanswered:
            self._doubtful = value
            return False
        return self._takes(value)

    def belated(self, now: float) -> bool:
        """Return whether what the program said before turns out to be news at `now`: no echo came after it."""
        if self._doubtful is None:
            return False
        self._let_go(now)
        if self._unanswered:
            return False
        value, self._doubtful = self._doubtful, None
        return self._takes(value)

    def told(self, value: float, now: float) -> None:
        """Take note of what the program is told at `now`."""
        self.value = value
        self._unanswered.append((now, value))

    def has(self, value: float) -> bool:
        """Return whether the program is known to show `value`."""
        return self.value is not None and abs(self.value - value) <= CLOSE

    def forget(self) -> None:
        """Forget everything: the program was started anew."""
        self.value = self._doubtful = None
        self._unanswered.clear()

    def _takes(self, value: float) -> bool:
        if self.has(value):
            return False
        self.value = value
        return True

    def _let_go(self, now: float) -> None:
        while self._unanswered and now - self._unanswered[0][0] > PATIENCE:
            self._unanswered.popleft()
