"""Ctrl-C, and what else ends a whole group of processes: kept from those that cannot take it yet, or are not to."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_MASKS = hasattr(signal, "pthread_sigmask")
# Ctrl-C, the end of a service or a session, and the closing of the terminal.
_ENDS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def interrupts_held(ends: bool = False) -> Iterator[None]:
    """Hold Ctrl-C back meanwhile, here and, until `let_interrupts_in`, in processes that are started meanwhile.

    While they import, it would end them with a traceback. With `ends`, all that ends a group of processes is held back. Where
    there are no signal masks (Windows) nothing is held.
    """
    if not _MASKS:
        yield
        return
    # Its first start, which multiprocessing would make of itself, opens the mask again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS if ends else {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_interrupts_in() -> None:
    """Have what was held back reach this process, which is ready for it."""
    if _MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


def leave_ends_to_parent() -> None:
    """Ignore all that ends a group of processes, from now on: the process that started this one ends it."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    let_interrupts_in()


def ignore_reminders() -> None:
    """Ignore what asks this process once more to end, now that it does; a second Ctrl-C is still heard.

    A terminal that closes says so twice, and the system may, while files are finished.
    """
    for number in _ENDS:
        if number != signal.SIGINT:
            signal.signal(number, signal.SIG_IGN)
