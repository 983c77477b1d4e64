"""Packets that are wrong, of every kind there is, from a seed; and a client that sends them to a running host.

`python -m realtime.fuzz --port 9000 --packets 100000` does so by hand, and then sees whether the host still answers.
"""

from __future__ import annotations

import argparse
import math
import random
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from realtime.framing import END, SizePrefixed, Slip
from realtime.packets import DEEPEST, LARGEST_PACKET, encode

# What a datagram can hold.
_LARGEST = 65507
_PATIENCE = 5.0
_PROBE = "/glide"
_RIGHT = (
    encode("/wet", "f", (0.5,)),
    encode("/condition", "ffff", (1.0, 0.0, 0.5, 0.25)),
    encode("/preset", "s", ("all",)),
    encode("/stem/vocals/mute", "i", (1,)),
    encode("/subscribe", "is", (9001, "/stem")),
)
_ADDRESSES = ("/wet", "/condition", "/glide", "/preset", "/stem/vocals/gain", "/bypass", "/subscribe", "/get", "/mode")
_NOT_FINITE = (math.nan, math.inf, -math.inf)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (4 - len(data) % 4)


def _bundle(*elements: bytes, tag: int = 1) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", tag) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


def _truncated(draw: random.Random) -> bytes:
    packet = draw.choice(_RIGHT[:4])
    # Not to the bare address of a request, which would be right.
    return packet[: draw.randrange(len(packet))]


def _flipped(draw: random.Random) -> bytes:
    packet = bytearray(encode("/nothing", "sf", ("x" * draw.randrange(9), draw.random())))
    for _ in range(draw.randrange(1, 7)):
        packet[draw.randrange(len(packet))] = draw.randrange(256)
    return bytes(packet)


def _noise(draw: random.Random) -> bytes:
    return draw.choice((b"", b"/", b"#bundle\0", b"/wet\0\0\0\0,")) + draw.randbytes(draw.randrange(300))


def _wrong_types(draw: random.Random) -> bytes:
    values = [draw.choice((b"blob", b"x", "text", "?*[{")) for _ in range(draw.randrange(1, 6))]
    tags = "".join("b" if isinstance(value, bytes) else "s" for value in values)
    return encode(draw.choice(("/wet", "/condition", "/bypass", "/ping", "/rate", "/telemetry/load")), tags, values)


def _unknown_types(draw: random.Random) -> bytes:
    tags = bytes(draw.choice(b"fis[]NItcrmS\xff") for _ in range(draw.randrange(1, 40))) + draw.choice((b"I", b"[", b"\xff"))
    return _padded(draw.choice(_ADDRESSES).encode()) + _padded(b"," + tags) + draw.randbytes(4 * draw.randrange(40))


def _not_finite(draw: random.Random) -> bytes:
    values = [draw.random() for _ in range(4)]
    values[draw.randrange(4)] = draw.choice(_NOT_FINITE)
    if draw.random() < 0.5:
        return encode("/condition", "ffff", values)
    return encode(draw.choice(("/wet", "/glide", "/stem/drums/gain")), "f", (draw.choice(_NOT_FINITE),))


def _out_of_range(draw: random.Random) -> bytes:
    number = draw.choice((-1, 1)) * 10.0 ** draw.randrange(4, 38)
    whole = struct.pack(">q", draw.choice((-(2**63), 2**63 - 1, 2**40)))
    return draw.choice((encode("/wet", "f", (number,)), b"/bypass\0,h\0\0" + whole, b"/subscribe\0\0,h\0\0" + whole))


def _huge_blob(draw: random.Random) -> bytes:
    blob = bytes(draw.randrange(_LARGEST - 64))
    return encode(draw.choice(("/wet", "/nothing", "/preset")), "b", (blob,))


def _lying_blob(draw: random.Random) -> bytes:
    size = draw.choice((-1, -(2**31), 2**31 - 1, 60_000, 9))
    return b"/wet\0\0\0\0,b\0\0" + struct.pack(">i", size) + draw.randbytes(8)


def _deep(draw: random.Random) -> bytes:
    packet = draw.choice(_RIGHT)
    for _ in range(draw.choice((DEEPEST + 1, 50, 500, 3000))):
        packet = _bundle(packet)
    return packet


def _lying_bundle(draw: random.Random) -> bytes:
    packet = draw.choice(_RIGHT)
    size = draw.choice((-4, -(2**31), 0, 2**31 - 1, len(packet) + 4, len(packet) - 4))
    return b"#bundle\0" + struct.pack(">Qi", draw.getrandbits(64), size) + packet


def _one_wrong(draw: random.Random) -> bytes:
    elements = [draw.choice(_RIGHT) for _ in range(draw.randrange(1, 40))]
    elements.insert(draw.randrange(len(elements) + 1), encode("/nothing", "f", (0.5,)))
    return _bundle(*elements)


def _far_ahead(draw: random.Random) -> bytes:
    seconds = int(time.time()) + 2_208_988_800 + draw.randrange(2 * 3600, 10**6)
    return _bundle(draw.choice(_RIGHT), tag=(seconds << 32) + draw.getrandbits(32))


def _long_address(draw: random.Random) -> bytes:
    return _padded(b"/" + draw.choice((b"x", b"*", b"/", b"\xff", b"?*")) * draw.randrange(20, 3000)) + b",f\0\0" + bytes(4)


def _hard_pattern(draw: random.Random) -> bytes:
    pattern = draw.choice(("*a" * 30, "/{" * 20, "[!a-" * 9, "//*" * 50, "?*" * 100, "/{" + "a," * 90 + "}"))
    return encode(draw.choice(("/get", "/subscribe", "/wet")), "s", (pattern + "\u00e9",))


_KINDS: dict[str, tuple[Callable[[random.Random], bytes], int]] = {
    "truncated": (_truncated, 8),
    "flipped": (_flipped, 8),
    "noise": (_noise, 8),
    "wrong types": (_wrong_types, 8),
    "unknown types": (_unknown_types, 6),
    "not finite": (_not_finite, 8),
    "out of range": (_out_of_range, 6),
    "huge blob": (_huge_blob, 1),
    "lying blob": (_lying_blob, 6),
    "deep bundle": (_deep, 1),
    "lying bundle": (_lying_bundle, 6),
    "bundle with one wrong": (_one_wrong, 2),
    "far ahead": (_far_ahead, 4),
    "long address": (_long_address, 4),
    "hard pattern": (_hard_pattern, 4),
}
KINDS = tuple(_KINDS)
_MAKERS, _WEIGHTS = zip(*_KINDS.values(), strict=True)


def malformed(draw: random.Random, kind: str | None = None) -> bytes:
    """Return the next wrong packet, of `kind` or any; each is at most a datagram, and none may change anything."""
    make = _KINDS[kind][0] if kind else draw.choices(_MAKERS, _WEIGHTS)[0]
    return make(draw)[:_LARGEST]


def malformed_stream(draw: random.Random) -> tuple[bytes, int]:
    """Return what a client of TCP sends in one go: so many wrong packets, rightly framed for the most part."""
    framing, count = draw.choice((SizePrefixed, Slip))(), draw.randrange(1, 20)
    return _spoilt(draw, b"".join(framing.wrap(malformed(draw)) for _ in range(count))), count


def _spoilt(draw: random.Random, data: bytes) -> bytes:
    match draw.randrange(8):
        case 0:  # out of step
            return data + struct.pack(">i", draw.choice((-1, LARGEST_PACKET + 1, 2**31 - 1))) + draw.randbytes(9)
        case 1:  # in the middle of a packet
            return data[: draw.randrange(len(data) + 1)]
        case 2:
            return draw.choice((b"GET / HTTP/1.1\r\n\r\n", END * 1000, b"\0" * 1000)) + data
        case _:
            return data


@dataclass(frozen=True)
class Outcome:
    """What was sent in `seconds`, what was answered on /error, how many connections the host closed, and whether it still answers."""

    sent: int
    errors: int
    closed: int
    seconds: float
    answers: bool


def fuzz(port: int, packets: int, rate: float, seed: int, stream: bool = False, host: str = "127.0.0.1") -> Outcome:
    """Send `packets` wrong packets at `rate` a second to a running host, over TCP where `stream`, and ask it something right."""
    draw, begun = random.Random(seed), time.monotonic()
    sent, errors, closed = (_fuzz_tcp if stream else _fuzz_udp)((host, port), packets, rate, draw)
    return Outcome(sent, errors, closed, time.monotonic() - begun, answers((host, port)))


def answers(host: tuple[str, int]) -> bool:
    """Return whether the host's OSC server answers a good message, over UDP and over TCP."""
    return _answers_udp(host) and _answers_tcp(host)


def _pace(begun: float, sent: int, rate: float) -> None:
    ahead = begun + sent / rate - time.monotonic()
    if ahead > 0.002:
        time.sleep(ahead)


def _fuzz_udp(host: tuple[str, int], packets: int, rate: float, draw: random.Random) -> tuple[int, int, int]:
    begun, errors, sent = time.monotonic(), 0, 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        while sent < packets:
            try:
                client.sendto(malformed(draw), host)
            except OSError:  # full: what is lost was no good
                pass
            sent += 1
            _pace(begun, sent, rate)
            errors += _drain(client)
        time.sleep(0.1)
        errors += _drain(client)
    return sent, errors, 0


def _drain(client: socket.socket) -> int:
    count = 0
    while True:
        try:
            count += client.recv(LARGEST_PACKET).startswith(b"/error")
        except OSError:
            return count


def _fuzz_tcp(host: tuple[str, int], packets: int, rate: float, draw: random.Random) -> tuple[int, int, int]:
    begun, errors, closed, sent = time.monotonic(), 0, 0, 0
    while sent < packets:
        with socket.create_connection(host, _PATIENCE) as client:
            client.settimeout(_PATIENCE)
            data, count = malformed_stream(draw)
            sent += count
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                # The host ends it when it has answered all, or has had enough.
                while received := client.recv(LARGEST_PACKET):
                    errors += received.count(b"/error\0\0")
            except OSError:
                closed += 1
        _pace(begun, sent, rate)
    return sent, errors, closed


def _answers_udp(host: tuple[str, int]) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        due = time.monotonic() + _PATIENCE
        while time.monotonic() < due:
            try:
                client.sendto(encode("/get", "s", (_PROBE,)), host)
                if client.recv(LARGEST_PACKET).startswith(_PROBE.encode()):
                    return True
            except OSError:
                continue
    return False


def _answers_tcp(host: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(host, _PATIENCE) as client:
            client.settimeout(_PATIENCE)
            framing = SizePrefixed()
            client.sendall(framing.wrap(encode("/get", "s", (_PROBE,))))
            while received := client.recv(LARGEST_PACKET):
                if any(packet.startswith(_PROBE.encode()) for packet in framing.feed(received)):
                    return True
    except OSError:
        pass
    return False


def main() -> int:
    """Run by hand; the exit status is 0 where the host still answers."""
    parser = argparse.ArgumentParser(prog="python -m realtime.fuzz", description="Send wrong packets to a running host.")
    parser.add_argument("--port", type=int, default=9000, help="its OSC port (default: 9000)")
    parser.add_argument("--packets", type=int, default=100_000, metavar="N", help="how many (default: 100000)")
    parser.add_argument("--rate", type=float, default=2000.0, metavar="N", help="how many a second (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="chooses them (default: 0)")
    parser.add_argument("--tcp", action="store_true", help="over TCP")
    options = parser.parse_args()
    found = fuzz(options.port, options.packets, options.rate, options.seed, options.tcp)
    print(
        f"{found.sent} wrong packets in {found.seconds:.1f} s, {found.errors} answered on /error, "
        f"{found.closed} connections cut; the host {'answers' if found.answers else 'DOES NOT ANSWER'}"
    )
    return 0 if found.answers else 1


if __name__ == "__main__":
    sys.exit(main())
