"""Best-effort locking of the process's memory, so that no page the sound needs has to be fetched from disk."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

# The flags of mlockall, the same on Linux and the BSDs; on alpha, sparc and powerpc Linux has others.
CURRENT, FUTURE, ON_FAULT = 1, 2, 4
_CAP_IPC_LOCK = 1 << 14
_REFUSED = "memory locking was refused ({})"


def lock_memory() -> str | None:
    """Keep the pages this process has in memory, and those to come where no limit stands against it.

    Returns None, or what was refused, without a full stop. Call it once everything is built: only pages that have been
    used are locked, and none is fetched for it.
    """
    try:
        lock = ctypes.CDLL(None, use_errno=True).mlockall
    except (TypeError, OSError, AttributeError):
        return _REFUSED.format("this system has none for a process")
    limit = _limit()
    flags = CURRENT
    if sys.platform.startswith("linux"):
        flags |= ON_FAULT
    if limit is None:
        # With a limit, memory that is asked for later would be refused once the limit is reached.
        flags |= FUTURE
    if lock(flags) == 0:
        return None
    why = os.strerror(ctypes.get_errno())
    if limit is not None:
        why += f"; the limit is {limit / 2**20:.0f} MB, see ulimit -l"
    return _REFUSED.format(why)


def unlock_memory() -> None:
    """Undo `lock_memory`."""
    try:
        ctypes.CDLL(None).munlockall()
    except (TypeError, OSError, AttributeError):
        pass


def _limit() -> int | None:
    """Return how much may be locked, in bytes; None where that is unlimited."""
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY or _privileged() else soft


def _privileged() -> bool:
    status = Path("/proc/self/status")
    if not status.is_file():
        return False
    capabilities = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("CapEff:")]
    return bool(capabilities and int(capabilities[0], 16) & _CAP_IPC_LOCK)
