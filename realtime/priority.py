"""Best-effort real-time priority for the calling thread."""

from __future__ import annotations

import os

# Above ordinary threads, below what a sound server gives its own.
PRIORITY = 20


def raise_priority(level: int | None = PRIORITY) -> str | None:
    """Ask the system to run this thread before ordinary ones, at real-time priority `level`; None leaves it as it is.

    Returns None, or what was refused, without a full stop.
    """
    if level is None:
        return None
    if not hasattr(os, "sched_setscheduler"):
        return "this system gives a Python thread no real-time priority"
    try:
        # 0 is the calling thread, not the process.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(level))
    except OSError as problem:
        return f"real-time priority was refused ({problem.strerror})"
    return None
