"""Which addresses have changed since somebody last looked: noted on any thread, taken on one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Set


class Changed:
    """What `note` was given since the last `take`; `wake` is called, on the thread that notes, for the first of it."""

    def __init__(self, wake: Callable[[], object] = lambda: None) -> None:
        self._wake = wake
        self._addresses: set[str] = set()
        self._lock = threading.Lock()

    def note(self, addresses: Set[str]) -> None:
        """Add `addresses`; it returns at once, as whoever watches a state must."""
        with self._lock:
            first = not self._addresses
            self._addresses |= addresses
        if first:
            self._wake()

    def take(self) -> set[str]:
        """Return all of it, and begin anew."""
        if not self._addresses:
            return set()
        with self._lock:
            taken, self._addresses = self._addresses, set()
        return taken
