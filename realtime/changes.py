"""Changes of what runs while music plays: those the user wants, and those that misses make necessary."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass

from realtime.errors import HostError
from realtime.governor import WITHIN, Governor
from realtime.plan import Started, Wish
from realtime.session import Session

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """A sentence for whoever looks."""

    text: str


class Changes:
    """Carries out wishes one after the other on a thread of its own; `told` holds what came of them, in order.

    While `automatic`, the mode is stepped down after repeated misses and up again once there is room.
    """

    def __init__(self, session: Session, automatic: bool = True) -> None:
        self.session, self.automatic = session, automatic
        self.told: queue.SimpleQueue[Started | Notice] = queue.SimpleQueue()
        self._wishes: queue.SimpleQueue[tuple[Wish, str | None]] = queue.SimpleQueue()
        self._open = 0
        self._followed: int | None = None
        self._governor: Governor | None = None
        self.govern({c.mode: c.load for c in session.started.choices})
        threading.Thread(target=self._work, name="changes", daemon=True).start()

    def ask(self, wish: Wish, why: str | None = None) -> None:
        """Have `wish` carried out; `why` is said where it was not the user who asked."""
        self._open += 1
        self._wishes.put((wish, why))

    @property
    def wanted(self) -> str:
        """The latency mode that is wanted, whether it runs or has been stepped down from."""
        return self.session.started.latency_mode if self._governor is None else self._governor.wanted

    def beat(self) -> None:
        """Look at the device's blocks and at the misses; to be called some times a second."""
        device = self.session.device
        if device.changed not in (None, self._followed):
            self._followed = device.changed
            self.ask(Wish(block=device.changed), f"{device.name} has come to take {device.changed} samples at once")
        if not self.automatic or self._open or self._governor is None:
            return
        stream, governor = self.session.stream, self._governor
        step = governor.look(time.monotonic(), stream.hops, stream.misses)
        if step is not None:
            down = governor.costs_less(step)
            why = f"repeated misses within {WITHIN:.0f} s: stepped down" if down else "no misses for a while: stepped up"
            self.ask(Wish(mode=step), f"{why} from {governor.mode} to {step}")

    def govern(self, loads: dict[str, float]) -> None:
        """Take the mode that runs for the wanted one, and `loads` for what the modes take."""
        self._governor = Governor(self.session.started.latency_mode, loads)

    def _work(self) -> None:
        while True:
            wish, why = self._wishes.get()
            try:
                started = self.session.change(wish)
            except HostError as problem:
                if wish.inserts:
                    self.session.plugins.give_up(str(problem))
                self.told.put(Notice(f"{problem}; {self.session.started.latency_mode} goes on."))
                if why is not None:
                    # What is in the way of one step is in the way of the next.
                    self._governor = None
            except Exception as fault:  # noqa: BLE001 - this thread carries out the next wish
                _log.exception("a change failed")
                self.told.put(Notice(f"a change failed ({fault!r}); {self.session.started.latency_mode} goes on."))
            else:
                self.told.put(started)
                for text in ([f"{why}."] if why else []) + list(started.notices):
                    self.told.put(Notice(text))
                if why is None:
                    self.govern({c.mode: c.load for c in started.choices})
                elif self._governor is not None:
                    self._governor.arrived(started.latency_mode)
            self._open -= 1
