"""Memory that two processes share, and that goes with the last of them, however they end."""

from __future__ import annotations

import os
import secrets
from multiprocessing.shared_memory import SharedMemory

from realtime.errors import HostError


class Segment(SharedMemory):
    """Shared memory whose name is taken away as soon as both sides have it.

    From then on it belongs to the processes that use it, and a process that is killed leaves nothing
    behind. Until then both sides know the name, and each takes it away when it sees the other gone.
    """

    @staticmethod
    def new_name() -> str:
        """Return a name that no other segment has; macOS takes 31 characters at most."""
        return f"lasaft-{secrets.token_hex(8)}"

    @classmethod
    def create(cls, name: str, size: int) -> Segment:
        """Return `size` bytes of zeros under `name`. Raises HostError where there is no room for them."""
        try:
            segment = cls(name, create=True, size=size)
            try:
                # A page that cannot be had when it is touched would end the process.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(segment._fd, 0, size)
            except OSError:
                segment.unlink()
                raise
        except OSError as problem:
            raise HostError(
                f"there is no room for {size / 1e6:.0f} MB of shared memory ({problem.strerror}); make room in /dev/shm, "
                "in a container with --shm-size, and start again"
            ) from None
        return segment

    @classmethod
    def take(cls, name: str) -> Segment:
        """Return the segment that the other side made under `name`, and take the name away. Raises OSError without it."""
        segment = cls(name)
        segment.unlink()
        return segment

    @classmethod
    def remove(cls, name: str) -> None:
        """Take `name` away, if it is still there."""
        try:
            cls.take(name).close()
        except OSError:
            pass

    def __del__(self) -> None:
        try:
            self.close()
        except (OSError, BufferError):
            pass  # arrays still lie in it; it goes with the last of them
