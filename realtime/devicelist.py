"""The sound devices at hand, looked for in a process of its own.

PortAudio sees what has come only when it is started anew, and may wait for ever for a server that has gone: neither is to
happen to control or to the process that plays. `python -m realtime.devicelist` prints the list; it imports little.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from realtime.errors import HostError

LONGEST_LOOK = 15.0
LARGEST = 12000
# How PortAudio calls itself on a JACK server, where this host is to be seen as well.
OWN = re.compile(r"PortAudio(-\d+)?$")


def look(command: Sequence[str] = (sys.executable, "-m", "realtime.devicelist")) -> str:
    """Return the devices at hand as JSON: a list of objects, the usual input and output marked, see `described`.

    It takes a second or so. Raises HostError where they cannot be told.
    """
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, timeout=LONGEST_LOOK,
            check=False, stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise HostError(f"the sound devices could not be looked for ({problem})") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise HostError(f"the sound devices could not be looked for ({reason})")
    try:
        entries = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise HostError("the sound devices could not be looked for (what was found cannot be read)") from None
    # What does not go into a datagram is left out.
    while len(text := json.dumps(entries)) > LARGEST:
        entries.pop()
    return text


def described(devices: Sequence[dict], apis: Sequence[dict], default: Sequence[int]) -> list[dict]:
    """Return what a user chooses by of each of PortAudio's `devices`.

    `name` is unmistakable, `in` and `out` are channels, `rate` is in Hz, `in_ms` and `out_ms` are what the device says it
    delays by at the least; `usual` names the ends, of in and out, for which it is the system's own choice.
    """
    entries = []
    for index, device in enumerate(devices):
        if OWN.match(device["name"]):
            continue
        usual = [end for end, at in zip(("in", "out"), default, strict=True) if at == index]
        entries.append(
            {
                "name": f"{device['name']}, {apis[device['hostapi']]['name']}",
                "in": device["max_input_channels"],
                "out": device["max_output_channels"],
                "rate": round(device["default_samplerate"]),
                "in_ms": _milliseconds(device["default_low_input_latency"]),
                "out_ms": _milliseconds(device["default_low_output_latency"]),
                "usual": usual,
            }
        )
    # The usual ones first, or the one that is wanted may be beyond the datagram's end.
    return sorted(entries, key=lambda entry: not entry["usual"])


def _milliseconds(seconds: float) -> float:
    # Over JACK, PortAudio subtracts a period from 0 in unsigned arithmetic.
    return round(1000 * seconds, 1) if 0 <= seconds < 60 else 0.0


def _main() -> int:
    try:
        import sounddevice
    except (ImportError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(json.dumps(described(sounddevice.query_devices(), sounddevice.query_hostapis(), sounddevice.default.device)))
    return 0


if __name__ == "__main__":
    sys.exit(_main())
