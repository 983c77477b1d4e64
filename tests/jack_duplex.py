"""Player -> PortAudioDevice -> recorder on a running JACK server; prints what came out as JSON.

A process of its own: `jack_duplex.py dry|echo|lockstep`. The player sends numbered samples.

dry: freewheeling, and nothing publishes, so the compiled callback alone plays dry sound at unit gain.
echo: in real time, and a thread publishes what it reads.
lockstep: freewheeling, and the callback waits for the echo.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import jack
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from realtime.bridge import Bridge
from realtime.devices.portaudio import PortAudioDevice, list_devices

LATENCY = 1000
LENGTH = 40000
SCALE = 2.0**-16  # sample k has the value k * SCALE, exactly
DEADLINE = 20.0


def echo(bridge: Bridge, buffer: np.ndarray, weights: np.ndarray) -> None:
    """Publish all the input that has arrived, but for a tail of it."""
    count = bridge.available() - bridge.published - len(weights)
    if count > 0 and bridge.read(bridge.published, count + len(weights), buffer[: count + len(weights)]):
        bridge.publish(buffer[:count], buffer[count : count + len(weights)] * weights[:, None], 1.0)


def main(kind: str) -> None:
    player, recorder = jack.Client("player"), jack.Client("recorder")
    sends = [player.outports.register(f"out_{c}") for c in (1, 2)]
    takes = [recorder.inports.register(f"in_{c}") for c in (1, 2)]
    state = {"sent": None, "go": False}
    recorded: list[tuple[int, np.ndarray]] = []

    @player.set_process_callback
    def play(frames: int) -> None:
        if state["go"] and state["sent"] is None:
            state["sent"] = player.last_frame_time
        first = 0 if state["sent"] is None else player.last_frame_time - state["sent"] + 1
        for c, port in enumerate(sends):
            numbers = (np.arange(first, first + frames) + c * LENGTH) * SCALE
            port.get_array()[:] = numbers if first else 0

    @recorder.set_process_callback
    def record(frames: int) -> None:
        if state["sent"] is not None:
            recorded.append((recorder.last_frame_time, np.stack([port.get_array().copy() for port in takes], 1)))

    with player, recorder:
        device = PortAudioDevice(("player", "recorder"), rate=44100, block=player.blocksize)
        # With a hop of 1 the fill gain is there at once.
        weights = np.linspace(1, 0, 66, dtype=np.float32)[1:-1]
        bridge = Bridge(LATENCY, 1 if kind == "dry" else 256, weights, block=player.blocksize)
        bridge.publish(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), 1.0)
        buffer = np.zeros((1 << 16, 2), np.float32)
        running = threading.Event()
        running.set()

        def infer() -> None:
            while running.is_set():
                echo(bridge, buffer, weights)
                time.sleep(0.001)

        def wait(block_in: np.ndarray, block_out: np.ndarray, frames: int) -> None:
            bridge.process(block_in, block_out)
            echo(bridge, buffer, weights)

        thread = threading.Thread(target=infer)
        if kind == "echo":
            thread.start()
        if kind == "lockstep":
            device.start_lockstep(wait)
        else:
            device.start(bridge)
        if kind != "echo":
            player.set_freewheel(True)
        state["go"] = True
        limit = time.monotonic() + DEADLINE
        while sum(len(block) for _, block in recorded) < LENGTH and time.monotonic() < limit:
            time.sleep(0.01)
        taken = list(recorded)
        if kind != "echo":
            player.set_freewheel(False)
        error = device.error
        device.stop()
        running.clear()
        if kind == "echo":
            thread.join()
        listing = list_devices()

    frames = np.concatenate([start - state["sent"] + np.arange(len(block)) for start, block in taken])
    sound = np.concatenate([block for _, block in taken])
    left = np.rint(sound[:, 0] / SCALE).astype(int)
    right = np.rint(sound[:, 1] / SCALE).astype(int)
    heard = (left > 0) & (right == left + LENGTH)
    delays = (frames - (left - 1))[heard]
    delay = int(np.median(delays)) if len(delays) else None
    print(
        json.dumps(
            {
                "frames": len(frames),
                "heard": int(heard.sum()),
                "delay": delay,
                "at_delay": int((delays == delay).sum()),
                "exact": bool(np.array_equal(sound[heard] / SCALE, np.rint(sound[heard] / SCALE))),
                "callbacks": bridge.counts().callbacks,
                "latencies": [device.input_latency, device.output_latency],
                "error": error,
                "devices": listing,
            }
        ),
        flush=True,
    )
    # PortAudio aborts where the server goes first.
    import sounddevice

    sounddevice._terminate()


if __name__ == "__main__":
    main(sys.argv[-1])
