"""The computer that figures depend on, and the memory a process takes of it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import numpy as np

from realtime.grants import try_grants


def machine() -> dict[str, object]:
    """Return what figures depend on: processor, system and versions."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": _runtime(),
        "granted": try_grants().text,
    }


def _runtime() -> str:
    import onnxruntime

    return onnxruntime.__version__


def peak_memory() -> int | None:
    """Return the most memory this process has had resident so far, in bytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():
        # getrusage would count what the parent held when it started this process.
        lines = [line.split() for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(lines[0][1]) if lines else None
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
