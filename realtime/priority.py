"""Best-effort real-time priority for the calling thread."""

from __future__ import annotations

import os


def raise_priority(level: int = 20) -> str | None:
    """Ask the system to run this thread before ordinary ones; return None, or a sentence saying what was refused."""
    if not hasattr(os, "sched_setscheduler"):
        return "this system gives a Python thread no real-time priority; the host runs at the ordinary one."
    try:
        # 0 is the calling thread, not the process.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(level))
    except OSError as problem:
        return f"real-time priority was refused ({problem.strerror}); the host runs at the ordinary one."
    return None
