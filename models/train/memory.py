"""glibc keeps the memory of large tensors instead of giving it back and taking it again at every step.

Every page given back is cleared when it comes again, which took half the time of a training step. glibc reads
its settings when a process starts, so the command starts itself anew, once, with them.
"""

from __future__ import annotations

import os
import platform
import sys

SETTINGS = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TOP_PAD_": "268435456",
}


def keep_memory() -> None:
    """Replace this process by the same command with `SETTINGS` in its environment; elsewhere than on glibc, return."""
    missing = {name: value for name, value in SETTINGS.items() if name not in os.environ}
    if not missing or not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | missing)
