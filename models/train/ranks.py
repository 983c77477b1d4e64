"""Which of the processes of a training this one is, before Lightning knows."""

from __future__ import annotations

import os

_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def first() -> bool:
    """Whether this is the process that prepares, tells and writes; it is where a launcher has named no rank."""
    return all(os.environ.get(name, "0") == "0" for name in _RANKS)
