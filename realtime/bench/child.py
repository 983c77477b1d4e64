"""A child process that works on one thing and tells of it, message by message."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from realtime.errors import HostError

# What linear algebra libraries read when they are loaded.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class _Problem:
    text: str


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ |= dict.fromkeys(_THREADS, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(work: Callable, pipe, arguments: tuple) -> None:
    # Ctrl-C reaches the whole group; this process goes with its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        work(pipe, *arguments)
    except HostError as problem:
        pipe.send(_Problem(str(problem)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # nobody wants to know any more


class Child:
    """Runs `work(pipe, *arguments)`, a function of a module, in a process of its own until `close`.

    Matrix products in it take one thread. Its HostErrors are raised here, by `receive`.
    """

    def __init__(self, work: Callable, *arguments: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(work, theirs, arguments), daemon=True)
        with _one_thread():
            self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: object) -> None:
        """Send `message`. Raises HostError where the process is gone."""
        try:
            self._pipe.send(message)
        except OSError:
            raise HostError("the process that measured ended unexpectedly") from None

    def receive(self) -> object:
        """Wait for the next message and return it. Raises HostError with what went wrong there."""
        try:
            message = self._pipe.recv()
        except (EOFError, OSError):
            raise HostError("the process that measured ended unexpectedly") from None
        if isinstance(message, _Problem):
            raise HostError(message.text)
        return message

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(2)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
