"""Whether Python that never stops, in the engine's process, costs the sound card a block.

    python tests/jack_busy.py --seconds 60

runs the shipped separator on a dummy JACK server with blocks of 128 samples, in turns with and without two threads that
count, and prints the xruns that PortAudio and the server counted, and the misses.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from realtime.engine import full_mix
from realtime.engineprocess import SWITCH_INTERVAL
from realtime.library import find_separator
from realtime.plan import Plan
from realtime.separator import Separator
from realtime.session import Session
from tests.jack_server import jack_missing, jack_server

PERIOD = 128
THREADS, TURNS = 2, 6


def run(seconds: float) -> None:
    """Play on the server of this process's environment, and print a line for each turn."""
    import jack

    # As the engine's process does.
    sys.setswitchinterval(SWITCH_INTERVAL)
    path = find_separator("lasaft-live")
    session = Session(Plan(path, full_mix(Separator.load(path).metadata.stems), "low", "stems", "system", block=PERIOD))
    session.start()
    watcher = jack.Client("watcher")
    server = [0]

    @watcher.set_xrun_callback
    def count(_delay: float) -> None:
        server[0] += 1

    def counts() -> tuple[int, int, int, int]:
        stream = session.stream
        found = stream.bridge.counts()
        return found.callbacks, found.xruns, server[0], stream.misses

    with watcher:
        time.sleep(1)
        for turn in range(TURNS):
            busy, stop, before = turn % 2, threading.Event(), counts()
            threads = [threading.Thread(target=_count_until, args=(stop,)) for _ in range(THREADS * busy)]
            for thread in threads:
                thread.start()
            time.sleep(seconds / TURNS)
            stop.set()
            for thread in threads:
                thread.join()
            blocks, xruns, server_xruns, misses = (now - then for now, then in zip(counts(), before, strict=True))
            print(
                f"{'busy' if busy else 'quiet'}: {blocks} blocks, {xruns} xruns ({server_xruns} by the server), "
                f"{misses} misses", flush=True,
            )  # fmt: skip
    session.stop()


def _count_until(stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        run(options.seconds)
        return
    if missing := jack_missing():
        sys.exit(missing)
    with jack_server(period=PERIOD) as environment:
        command = [sys.executable, __file__, "--seconds", str(options.seconds), "--play"]
        sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
