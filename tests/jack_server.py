"""A JACK server without hardware, for tests of the real PortAudio path."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes.util import find_library
from importlib.util import find_spec


def jack_missing() -> str | None:
    """Return why no JACK test can run here, or None."""
    if shutil.which("jackd") is None or shutil.which("jack_wait") is None:
        return "jackd is not installed"
    if find_library("portaudio") is None:
        return "the PortAudio library is not installed"
    if find_spec("jack") is None or find_spec("sounddevice") is None:
        return "the Python packages JACK-Client and sounddevice are not installed"
    return None


@contextmanager
def jack_server(
    rate: int = 44100,
    period: int = 512,
    again: dict[str, str] | None = None,
    playback: int = 2,
    options: Sequence[str] = ("-S",),
) -> Iterator[dict[str, str]]:
    """Run a dummy server with `playback` channels to play to, synchronous unless `options` say otherwise.

    Yields the environment in which clients find it.

    `again` is such an environment, of a server that has gone and whose clients look for it.

    Clients belong in processes of their own: PortAudio looks for the server when it is imported,
    and aborts when the server goes before it does (call `sounddevice._terminate()` first).
    """
    environment = again or os.environ | {
        "JACK_DEFAULT_SERVER": f"test-{uuid.uuid4().hex[:12]}",
        "JACK_NO_START_SERVER": "1",
        "JACK_NO_AUDIO_RESERVATION": "1",
    }
    name = environment["JACK_DEFAULT_SERVER"]
    command = ["jackd", "-R", "-P70", *options, "-n", name, "-d", "dummy", "-r", str(rate), "-p", str(period)]
    command += ["-P", str(playback)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        subprocess.run(["jack_wait", "-w", "-t", "10"], env=environment, check=True, capture_output=True)
        yield environment
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
