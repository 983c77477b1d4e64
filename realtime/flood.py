"""A client that means no good: OSC messages as fast as asked for, right ones, wrong ones, and what is no OSC at all."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

from realtime.packets import encode

_GLIDES = (0.0, 5.0, 30.0, 300.0)


def packet(draw: random.Random) -> bytes:
    """Return the next packet: three of four change the sound, none the bypass or what runs."""
    kind = draw.randrange(8)
    if kind < 3:
        return encode("/condition", "ffff", [draw.random() for _ in range(4)])
    if kind < 5:
        return encode(f"/stem/{draw.choice(('vocals', 'drums', 'bass', 'other'))}/gain", "f", [draw.random()])
    if kind == 5:
        return encode("/glide", "f", [draw.choice(_GLIDES)])
    if kind == 6:
        return encode(draw.choice(("/condition", "/stem/drums/gain", "/nothing")), "s", ["x" * draw.randrange(200)])
    return draw.randbytes(draw.randrange(400))


def flood(pipe, port: int, rate: int, seed: int, make: Callable[[random.Random], bytes] = packet) -> None:
    """Send `rate` packets a second to `port` of this machine until `pipe` says something; send back how many there were.

    Before the first it sends back that it begins.
    """
    pipe.send(True)
    draw, sent, begun = random.Random(seed), 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        while not pipe.poll(0.005):
            due = int((time.monotonic() - begun) * rate)
            while sent < due:
                try:
                    client.sendto(make(draw), ("127.0.0.1", port))
                except OSError:
                    pass
                sent += 1
    pipe.recv()
    pipe.send(sent)
