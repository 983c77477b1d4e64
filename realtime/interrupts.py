"""Ctrl-C, which reaches every process of the terminal: kept from those that cannot take it yet."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_MASKS = hasattr(signal, "pthread_sigmask")


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back meanwhile, here and, until `let_interrupts_in`, in processes that are started meanwhile.

    While they import, it would end them with a traceback. Where there are no signal masks (Windows) nothing is held.
    """
    if not _MASKS:
        yield
        return
    # Its first start, which multiprocessing would make of itself, opens the mask again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_interrupts_in() -> None:
    """Have Ctrl-C reach this process, which is ready for it."""
    if _MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
