"""Who may talk to the host, and how much a stranger may make it answer."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from functools import lru_cache

from realtime.errors import HostError

# Values a second that one machine gets by subscribing and by patterns, and as many at once. Plain questions are free.
VALUES_PER_SECOND = 10_000.0
_MOST_MACHINES = 256


class AllowList:
    """Addresses and networks that may talk to the host, such as 192.168.1.20 or 192.168.1.0/24; empty means everybody.

    This machine always may. Raises HostError for what is no address.
    """

    def __init__(self, entries: Sequence[str] = ()) -> None:
        try:
            self._networks = tuple(ipaddress.IPv4Network(entry, strict=False) for entry in entries)
        except ValueError as problem:
            raise HostError(
                f"--osc-allow {' '.join(entries)}: {problem}; it takes IPv4 addresses and networks, "
                "such as 192.168.1.20 or 192.168.1.0/24"
            ) from None
        self.allows = lru_cache(1024)(self._allows)

    def _allows(self, host: str) -> bool:
        address = ipaddress.IPv4Address(host)
        return not self._networks or any(address in network for network in self._networks) or is_here(host)


class Allowance:
    """Counts what machines ask for, and how much of it is left to each."""

    def __init__(self, rate: float = VALUES_PER_SECOND) -> None:
        self._rate = rate
        # The machine that spent last stands last.
        self._left: dict[str, tuple[float, float]] = {}

    def spend(self, host: str, values: int, now: float) -> bool:
        """Return whether `host` may have `values` more at time `now`, in seconds on any clock; if so, they are spent."""
        left, since = self._left.pop(host, (self._rate, now))
        left = min(self._rate, left + (now - since) * self._rate)
        granted = values <= left
        while len(self._left) >= _MOST_MACHINES:
            del self._left[next(iter(self._left))]
        self._left[host] = (left - values if granted else left, now)
        return granted


def is_here(host: str) -> bool:
    """Return whether `host` is an address of this machine."""
    if ipaddress.IPv4Address(host).is_loopback:
        return True
    # The way to an address of its own begins, for a machine, at that address. Nothing is sent.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return False
        return probe.getsockname()[0] == host


def is_loopback(host: str) -> bool:
    """Return whether what listens on `host`, an address or a name, hears this machine only."""
    try:
        return ipaddress.IPv4Address(socket.gethostbyname(host)).is_loopback
    except (OSError, ValueError):
        return False
