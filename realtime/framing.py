"""How OSC packets follow each other in a stream: each behind its size (OSC 1.0), or between END bytes (OSC 1.1, SLIP).

Which of the two it is shows in the first byte: a size begins with 0, SLIP with END or, where it leaves that out, with the
packet itself.
"""

from __future__ import annotations

import struct
from typing import Protocol

from realtime.errors import HostError
from realtime.packets import LARGEST_PACKET

END, ESC, ESC_END, ESC_ESC = b"\xc0", b"\xdb", b"\xdc", b"\xdd"


class Framing(Protocol):
    """Takes a stream apart, and puts packets into one."""

    def feed(self, received: bytes) -> list[bytes]:
        """Return the packets that are complete with `received`. Raises HostError where the stream makes no sense any more."""

    def wrap(self, packet: bytes) -> bytes:
        """Return `packet` as it stands in the stream."""


def framing_for(first: bytes) -> Framing:
    """Return the framing of a stream that begins with `first`, not empty. Raises HostError where it is neither."""
    if first[:1] == b"\0":
        return SizePrefixed()
    if first[:1] in (END, b"/", b"#"):
        return Slip()
    raise HostError("this is no OSC stream: it begins neither with a packet's size nor with SLIP's END")


class SizePrefixed:
    """OSC 1.0: four bytes of size, big-endian, then the packet."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        self._rest += received
        packets, at = [], 0
        while len(self._rest) - at >= 4:
            (size,) = struct.unpack_from(">i", self._rest, at)
            if not 0 <= size <= LARGEST_PACKET:
                raise HostError(f"a packet of {size} bytes was announced; at most {LARGEST_PACKET} are taken")
            if len(self._rest) - at - 4 < size:
                break
            packets.append(bytes(self._rest[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._rest[:at]
        return packets

    def wrap(self, packet: bytes) -> bytes:
        return struct.pack(">i", len(packet)) + packet


class Slip:
    """OSC 1.1: packets between END bytes (RFC 1055), sent with one at both ends."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        *frames, rest = received.split(END)
        packets = []
        for frame in frames:
            packets.append(self._whole(frame))
            self._rest.clear()
        self._rest += rest
        if len(self._rest) > 2 * LARGEST_PACKET:
            raise HostError(f"a packet does not end; at most {LARGEST_PACKET} bytes are taken")
        return [packet for packet in packets if packet]

    def _whole(self, frame: bytes) -> bytes:
        self._rest += frame
        packet = bytes(self._rest).replace(ESC + ESC_END, END).replace(ESC + ESC_ESC, ESC)
        if len(packet) > LARGEST_PACKET:
            raise HostError(f"a packet of {len(packet)} bytes came; at most {LARGEST_PACKET} are taken")
        return packet

    def wrap(self, packet: bytes) -> bytes:
        return END + packet.replace(ESC, ESC + ESC_ESC).replace(END, ESC + ESC_END) + END
