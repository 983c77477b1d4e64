"""OSC packets: messages and bundles, from bytes and to them.

python-osc encodes and decodes messages. Its bundles are not used: an element of negative size makes them loop for ever.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import OscMessageBuilder

from realtime.control import Value
from realtime.errors import HostError
from realtime.state import Message

DEEPEST = 8
LARGEST_PACKET = 65536

_BUNDLE = b"#bundle\x00"
_SIZES = {"i": 4, "f": 4, "h": 8, "d": 8, "T": 0, "F": 0}
_SECONDS_1900_TO_1970 = 2_208_988_800


def encode(address: str, tags: str, values: Sequence[Value]) -> bytes:
    """Return the OSC packet of one message; `tags` holds the type of each value, of f, i, s and b."""
    if b"" in values:
        # OSC has empty blobs, and python-osc does not: what stands behind address and tags is put together value by value.
        each = (b"\0" * 4 if value == b"" else encode("/", tag, (value,))[8:] for tag, value in zip(tags, values, strict=True))
        return b"".join((_text(address), _text("," + tags), *each))
    builder = OscMessageBuilder(address)
    for tag, value in zip(tags, values, strict=True):
        # A file's name may hold what is no text; whoever listens must hear of the rest all the same.
        builder.add_arg(value.encode(errors="replace").decode() if tag == "s" and not value.isascii() else value, tag)
    return builder.build().dgram


def _text(text: str) -> bytes:
    raw = text.encode()
    return raw.ljust(_padded(len(raw)), b"\0")


def decode(packet: bytes) -> list[tuple[float | None, Message]]:
    """Return the messages of `packet` in its order, each with its due time in seconds since 1970 or None.

    An element of a bundle is due when the bundle around it is, or later. Raises HostError where
    any part of the packet is not what OSC 1.0 says, or nests too deeply.
    """
    found: list[tuple[float | None, Message]] = []
    _decode(packet, None, 0, found)
    return found


def _decode(packet: bytes, due: float | None, depth: int, found: list[tuple[float | None, Message]]) -> None:
    if not packet.startswith(_BUNDLE):
        found.append((due, _message(packet)))
        return
    if depth >= DEEPEST:
        raise HostError(f"a packet may nest at most {DEEPEST} bundles")
    if len(packet) < 16:
        raise HostError("a bundle ends before its time tag does")
    due = _later(due, _seconds(packet))
    at = 16
    while at < len(packet):
        size = struct.unpack_from(">i", packet, at)[0] if at + 4 <= len(packet) else -1
        if not 0 < size <= len(packet) - at - 4:
            raise HostError("a bundle's element does not have the size it says")
        _decode(packet[at + 4 : at + 4 + size], due, depth + 1, found)
        at += 4 + size


def _later(outer: float | None, inner: float | None) -> float | None:
    return inner if outer is None else outer if inner is None else max(outer, inner)


def _seconds(packet: bytes) -> float | None:
    (tag,) = struct.unpack_from(">Q", packet, 8)
    if tag <= 1:  # "immediately", and what clients without a clock send
        return None
    # NTP time starts over in 2036; its top bit tells the eras apart (RFC 4330, section 3).
    return tag / 2**32 - _SECONDS_1900_TO_1970 + (0 if tag >> 63 else 2**32)


def _message(packet: bytes) -> Message:
    try:
        address_size = _padded(packet.index(0))
        tags_end = packet.index(0, address_size) if address_size < len(packet) else address_size
        tags = packet[address_size + 1 : tags_end].decode("ascii")
        if unknown := set(tags) - set(_SIZES) - {"s", "b"}:
            raise HostError(f"an argument of type {min(unknown)!r} fits no control; allowed are i f s b h d T F")
        message = OscMessage(packet)
        # python-osc fills up numbers that are cut short and leaves negative blob sizes alone.
        size = address_size + (_padded(tags_end - address_size) if address_size < len(packet) else 0)
        for tag, value in zip(tags, message.params, strict=True):
            size += _SIZES[tag] if tag in _SIZES else _text_size(value) if tag == "s" else 4 + -(-len(value) // 4) * 4
    except (ParseError, ValueError, IndexError, struct.error) as error:
        if isinstance(error, HostError):
            raise
        raise HostError("a packet is not an OSC message") from error
    if size != len(packet) or not message.address.startswith("/"):
        raise HostError("a packet is not an OSC message: it is cut short, or more follows its arguments")
    return Message(message.address, tuple(message.params))


def _padded(length: int) -> int:
    return (length // 4 + 1) * 4


def _text_size(text: str) -> int:
    return _padded(len(text.encode()))
