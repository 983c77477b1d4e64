"""The announcement on zeroconf (Bonjour, DNS-SD): how a controller finds the host without being told its address."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from ipaddress import ip_address

import ifaddr
from zeroconf import Error, IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from realtime.datagrams import Address

OSCQUERY, OSC = "_oscjson._tcp.local.", "_osc._udp.local."
# Bytes of one part of a DNS name, less what a second host of the same name gets behind it.
_LONGEST_NAME = 60


def host_name() -> str:
    """Return the name that a person sees in a controller's list of hosts."""
    return f"LaSAFT Live on {_machine()}"[:_LONGEST_NAME]


def addresses_to_announce(host: str) -> list[str]:
    """Return the addresses that a server bound to `host` (IPv4) is reached at, which are the interfaces to speak on.

    Loopback is spoken to only where nothing else hears the server: on it, only this machine does.
    """
    if host != "0.0.0.0":
        return [host]
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4]
    return [address for address in found if not ip_address(address).is_loopback] or ["127.0.0.1"]


class Announcement:
    """Announces an OSC server at `osc` and an OSCQuery server at `http` as `name`, another where it is taken."""

    def __init__(self, name: str, osc: Address, http: Address) -> None:
        self.name = name
        self._osc, self._http = osc, http
        self._zeroconf: AsyncZeroconf | None = None

    async def begin(self, tell: Callable[[str], object]) -> None:
        """Make it known, which takes a second or two; `tell` hears where that cannot be done."""
        try:
            self._zeroconf = AsyncZeroconf(addresses_to_announce(self._http[0]), ip_version=IPVersion.V4Only)
            await self._register(OSCQUERY, self._http)
            await self._register(OSC, self._osc)
        except (OSError, Error, TimeoutError) as problem:
            tell(
                f"controllers cannot find this host by themselves ({problem or type(problem).__name__}); "
                f"give them the address http://{self._http[0]}:{self._http[1]}"
            )

    async def end(self) -> None:
        """Take it back, and say so to whoever listens."""
        if self._zeroconf is not None:
            try:
                await self._zeroconf.async_close()
            except (OSError, Error, TimeoutError):  # it lapses by itself
                pass

    async def _register(self, kind: str, server: Address) -> None:
        info = AsyncServiceInfo(
            kind,
            f"{self.name}.{kind}",
            port=server[1],
            parsed_addresses=addresses_to_announce(server[0]),
            # A name of its own: the machine's may be announced already, with other addresses.
            server=f"{_machine()}-lasaft-{self._osc[1]}.local.",
        )
        await (await self._zeroconf.async_register_service(info, allow_name_change=True))
        self.name = info.name.removesuffix(f".{kind}")


def _machine() -> str:
    """Return the name of this machine, made of what any DNS name may hold."""
    plain = re.sub("[^A-Za-z0-9-]+", "-", socket.gethostname().partition(".")[0]).strip("-")
    return plain[:40] or "this-machine"
