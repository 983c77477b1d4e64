"""What the operating system grants the engine, and what it refuses."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from realtime.memory import lock_memory, unlock_memory
from realtime.priority import PRIORITY, raise_priority


@dataclass(frozen=True)
class Grants:
    """`priority` is that of the inference thread, None where there is none; the others say what was refused, if it was."""

    priority: int | None = PRIORITY
    priority_refused: str | None = None
    memory_refused: str | None = None

    @property
    def text(self) -> str:
        """All of it in one line."""
        parts = [self.memory_refused or "memory locked"]
        if self.priority is not None:
            parts.insert(0, self.priority_refused or f"real-time priority {self.priority}")
        return ", ".join(parts)


def try_grants() -> Grants:
    """Return what would be granted to this process, and leave it as it was."""
    refused: list[str | None] = []
    # A thread of its own, because priority is not easily given back.
    trial = threading.Thread(target=lambda: refused.append(raise_priority()))
    trial.start()
    trial.join()
    memory_refused = lock_memory()
    unlock_memory()
    return Grants(PRIORITY, refused[0], memory_refused)
