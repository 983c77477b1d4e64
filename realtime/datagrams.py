"""OSC over UDP: one socket, and what the network says of those who no longer listen.

Linux tells an unconnected socket which peer's port was found closed once it is asked to (IP_RECVERR). Elsewhere nothing is
told, or not of whom, and a peer that has gone is sent to until its lease, if it has one, is over.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

from realtime.errors import HostError
from realtime.packets import LARGEST_PACKET

Address = tuple[str, int]

_LINUX = sys.platform.startswith("linux")
# From linux/in.h and linux/errqueue.h; Python names them from 3.14 on.
_IP_RECVERR, _MSG_ERRQUEUE, _ORIGIN_ICMP = 11, 0x2000, 2
_MOST_REPORTS = 64
# What was found out about others is reported in place of sending, once each.
_TRIES = 3


class Datagrams:
    """A UDP socket on `host`:`port`; port 0 takes any free one. Nothing waits. Raises HostError where it cannot be had."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        except OSError:  # a smaller buffer only loses messages earlier in a flood
            pass
        try:
            if _LINUX:
                self.socket.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        except OSError:  # then closed ports are not told of
            pass
        try:
            self.socket.bind((host, port))
        except (OSError, OverflowError, UnicodeError) as error:
            self.socket.close()
            raise refusal("UDP", host, port, error) from error
        self.host, self.port = self.socket.getsockname()[:2]

    def close(self) -> None:
        """Free the port."""
        self.socket.close()

    def receive(self) -> tuple[bytes, Address] | None:
        """Return the next packet and its sender; None where none waits."""
        for _ in range(_MOST_REPORTS):
            try:
                packet, sender = self.socket.recvfrom(LARGEST_PACKET)
            except BlockingIOError:
                return None
            except OSError:  # an earlier receiver is gone, which this is not the place to tell
                continue
            return packet, sender[:2]
        return None

    def send(self, packet: bytes, peer: Address) -> None:
        """Send `packet`; where that is not possible, it is lost."""
        for _ in range(_TRIES):
            try:
                self.socket.sendto(packet, peer)
            except ConnectionRefusedError:
                continue
            except OSError:  # full, gone or unreachable: its loss, and nobody else's
                pass
            return

    def closed(self) -> set[Address]:
        """Return the peers whose ports were found closed since this was last asked."""
        found: set[Address] = set()
        for _ in range(_MOST_REPORTS if _LINUX else 0):
            try:
                _, notes, _, peer = self.socket.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, data in notes:
                if level == socket.IPPROTO_IP and kind == _IP_RECVERR and len(data) >= 5:
                    number, origin = struct.unpack_from("=IB", data)
                    # A network that is down may come back; a closed port is a program that has ended.
                    if number == errno.ECONNREFUSED and origin == _ORIGIN_ICMP:
                        found.add(peer[:2])
        return found


def refusal(transport: str, host: str, port: int, error: Exception) -> HostError:
    """Return in a sentence why `port` cannot be had, as `error` says."""
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return HostError(
            f"{transport} port {port} on {host} is taken, perhaps by another copy that still runs; "
            "stop it or choose another port with --osc-port"
        )
    return HostError(
        f"OSC cannot listen on {host}, {transport} port {port} ({error}); "
        "use an address of this machine and a port from 0 to 65535, such as --osc-port 9001"
    )
