"""What the host and the window have to say, one sentence after the other, and what was said last."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# A sentence stands so long where nothing else is to be said, and so long at least where something is, in seconds.
SHOWN, LEAST = 7.0, 3.0
# Of more sentences that wait, the oldest go to the log unseen.
MOST_WAITING = 5
KEPT = 30


@dataclass(frozen=True)
class Said:
    """A sentence, whether it is an error, and by the wall clock when it came; `times` in a row."""

    text: str
    error: bool
    at: float
    times: int = 1

    @property
    def line(self) -> str:
        """The sentence with its time of day."""
        again = f"  (×{self.times})" if self.times > 1 else ""  # noqa: RUF001
        return f"{time.strftime('%H:%M:%S', time.localtime(self.at))}  {self.text}{again}"


class Notices:
    """A queue of sentences of which one is shown; `log` has them all, the newest last. Clocks give seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.log: deque[Said] = deque(maxlen=KEPT)
        self._clock, self._wall = clock, wall
        self._waiting: deque[Said] = deque(maxlen=MOST_WAITING)
        self._shown: Said | None = None
        self._since = 0.0

    def tell(self, text: str, error: bool = False) -> None:
        """Have `text` shown in its turn; what was said last is not said twice, but counted."""
        if self.log and (self.log[-1].text, self.log[-1].error) == (text, error):
            last = self.log[-1]
            self.log[-1] = said = Said(text, error, self._wall(), last.times + 1)
            if self._waiting:
                self._waiting[-1] = said
            else:
                # It stands anew, also where it had gone.
                self._shown, self._since = said, self._clock()
            return
        said = Said(text, error, self._wall())
        self.log.append(said)
        self._waiting.append(said)

    @property
    def shown(self) -> Said | None:
        """What is to be read now."""
        now = self._clock()
        lasts = LEAST if self._waiting else SHOWN
        if self._shown is None or now - self._since >= lasts:
            self._shown = self._waiting.popleft() if self._waiting else None
            self._since = now
        return self._shown

    @property
    def waiting(self) -> int:
        """How many more wait to be read."""
        return len(self._waiting)
