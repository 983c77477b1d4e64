"""A player and a recorder on a JACK server, with the host between them as a user would start it.

`jack_peers.py --seconds 60` runs all of it in real time and prints misses, xruns and what is left of
the output after the offline result has been taken from it. The tests import `jack_host` and `play_through`.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from realtime.engine import Engine
from realtime.mix import Mix
from realtime.packets import decode, encode
from realtime.separator import Separator
from tests.hearing import RATE, level

PERIOD = 512
MODE = "low"
PATIENCE = 60.0
# Silent periods before the song.
LEAD = 64
# Periods recorded behind the song's end.
TRAIL = 16


class Host:
    """`run_live.py` in a process of its own, told and asked over OSC; its output is read as it comes."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.environment = dict(environment or os.environ)
        command = [sys.executable, "run_live.py", "--no-window", "--osc-port", str(self.port), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            # Wide, so that no line of the report is broken.
            env=self.environment | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that put the tests in the background may have taken Ctrl-C from its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self._texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._texts]
        for reader in self._readers:
            reader.start()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))

    def _read(self, name: str) -> None:
        self._texts[name].extend(iter(getattr(self.process, name).readline, ""))

    @property
    def stdout(self) -> str:
        return "".join(self._texts["stdout"])

    @property
    def stderr(self) -> str:
        return "".join(self._texts["stderr"])

    def tell(self, address: str, tags: str = "", *values: object) -> None:
        """Send one message."""
        self._socket.sendto(encode(address, tags, values), ("127.0.0.1", self.port))

    def ask(self, address: str) -> tuple:
        """Return the value at `address`; asks until the host is up and has one."""
        limit = time.monotonic() + PATIENCE
        self._socket.settimeout(0.2)
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                self.tell("/get", "s", address)
                while (message := decode(self._socket.recv(65536))[0][1]).address != address:
                    if message.address == "/error":
                        time.sleep(0.05)
                        break
                else:
                    return message.values
            except OSError:  # nobody listens yet
                time.sleep(0.05)
        raise AssertionError(f"the host has no {address}:\n{self.stdout}\n{self.stderr}")

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until the host has ended by itself; return its exit status."""
        status = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(5)
        return status

    def stop(self) -> int:
        """End the host with Ctrl-C; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.wait(20)
        finally:
            self.close()

    def close(self) -> None:
        """Make sure that nothing is left."""
        self._socket.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def host(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Host]:
    """Run the host; it is gone afterwards, whatever happens."""
    running = Host(arguments, environment)
    try:
        yield running
    finally:
        running.close()


def free_port() -> int:
    """Return a UDP port nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass(frozen=True)
class Take:
    """What the recorder heard, and what the host said of it.

    `sound` [samples, channels of the host] begins at the period in which the song's first sample was sent, so
    that its index is the delay plus the song's. `added` is the latency the host reports, `misses` and `xruns` what
    it counted meanwhile. `clock` [periods, 2] pairs indices at which periods began with the wall-clock
    times at which the player was called.
    """

    sound: np.ndarray
    added: int
    clock: np.ndarray
    misses: int
    xruns: int
    notes: dict = field(default_factory=dict)

    def index_at(self, wall: float, over: float = 2.0) -> float:
        """Return the index whose period began at wall-clock time `wall`, by the best clock of `over` seconds before."""
        # Whoever is called and looks at a clock is late, never early.
        known = self._before(wall, over)
        return float((known[:, 0] - RATE * known[:, 1]).max() + RATE * wall)

    def _before(self, wall: float, over: float) -> np.ndarray:
        return self.clock[(self.clock[:, 1] <= wall) & (self.clock[:, 1] > wall - over)]

    def clock_moved(self) -> float:
        """Return by how many samples the best clocks of quarters of a second differ: the fault of a server kept waiting."""
        ends = np.arange(self.clock[0, 1], self.clock[-1, 1], 0.25)
        best = [self.index_at(end, 0.25) - RATE * end for end in ends if len(self._before(end, 0.25))]
        return max(best) - min(best)


@contextmanager
def jack_host(separator: Path, environment: dict[str, str], *arguments: str) -> Iterator[Host]:
    """Run the host on the JACK server of `environment`."""
    chosen = ("--device", "system", "--block", str(PERIOD), "--model", str(separator), "--latency", MODE)
    with host(*chosen, *arguments, environment=environment) as running:
        running.ask("/telemetry/latency")
        yield running


def play_through(
    running: Host, song: np.ndarray, folder: Path, freewheel: bool = False, during: Callable[[], dict] = dict
) -> Take:
    """Play `song` [samples, 2] through a host on JACK and record it; `during` is called while it plays."""
    np.save(folder / "song.npy", song.astype(np.float32))
    before = [running.ask(f"/telemetry/{count}")[0] for count in ("misses", "xruns")]
    command = [sys.executable, str(Path(__file__)), "--song", str(folder / "song.npy"), "--take", str(folder / "take.npz")]
    command += ["--freewheel"] * freewheel
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    peers = subprocess.Popen(command, env=running.environment, **pipes)
    try:
        noted = during() if peers.stdout.readline() else {}
        _, problems = peers.communicate(timeout=len(song) / RATE + PATIENCE)
    finally:
        peers.kill()
        peers.wait()
    assert peers.returncode == 0, problems + running.stderr
    # Counts are taken 30 times a second.
    time.sleep(0.1)
    counts = [running.ask(f"/telemetry/{count}")[0] for count in ("misses", "xruns")]
    misses, xruns = np.subtract(counts, before).tolist()
    heard = np.load(folder / "take.npz")
    return Take(heard["sound"], running.ask("/telemetry/latency")[0], heard["clock"], misses, xruns, noted)


def reference(separator: Path, song: np.ndarray, mix: Mix, run: str = "stems", silent: int = LEAD) -> np.ndarray:
    """Return what the engine makes of `song` [samples, 2] under `mix`, aligned with it, after `silent` hops of silence.

    How many there were makes no difference to a network that settles in silence.
    """
    loaded = Separator.load(separator)
    mode = loaded.metadata.modes[MODE]
    engine = Engine(loaded, mode, song.shape[1], run, mix)
    padding = -(len(song) + mode.synthesis) % mode.hop + mode.synthesis
    sound = np.concatenate([np.zeros((silent * mode.hop, 2)), song, np.zeros((padding, 2))]).astype(np.float32)
    parts = []
    for start in range(0, len(sound), mode.hop):
        assert engine.process(sound[start : start + mode.hop])
        parts.append(engine.master.copy())
    early = mode.synthesis - mode.hop
    return np.concatenate(parts)[early + silent * mode.hop :][: len(song)]


def silence_before(separator: Path, song: np.ndarray, heard: np.ndarray, mix: Mix, run: str, most: int = 1500) -> int:
    """Return after how many hops of silence, at most `most`, `song` would begin to sound most like `heard`.

    Only the host knows how long it ran before the song, and a network need not settle in silence.
    """
    loaded = Separator.load(separator)
    mode = loaded.metadata.modes[MODE]
    engine = Engine(loaded, mode, song.shape[1], run, mix)
    (lane,) = engine._lanes
    runner, states, best = lane.runner, [], (np.inf, 0)
    nothing = np.zeros((mode.hop, 2), np.float32)
    for _ in range(most):
        states.append((runner._call, [[place.copy() for place in places] for places in runner._states]))
        engine.process(nothing)
    # The first hops, and of these what they have finished.
    hops, early = 8, mode.synthesis - mode.hop
    for silent in range(loaded.metadata.n_fft // mode.hop, most):
        engine.reset()
        for _ in range(loaded.metadata.n_fft // mode.hop):
            engine.push(nothing)
        runner._call, known = states[silent]
        for places, values in zip(runner._states, known, strict=True):
            for place, value in zip(places, values, strict=True):
                place[:] = value
        parts = []
        for at in range(0, hops * mode.hop, mode.hop):
            engine.process(song[at : at + mode.hop])
            parts.append(engine.master.copy())
        made = np.concatenate(parts)[early:]
        best = min(best, (float(np.square(made - heard[: len(made)]).sum()), silent))
    return best[1]


# The process of the two clients.


def play_and_record(song_file: Path, take_file: Path, freewheel: bool) -> None:
    """Take the host's ports from the sound card, play the song into it and save what it gives."""
    import jack

    song = np.load(song_file)
    total = len(song) + TRAIL * PERIOD
    player, recorder = jack.Client("player"), jack.Client("recorder")
    assert player.blocksize == PERIOD
    sends = [player.outports.register(f"out_{c}") for c in (1, 2)]
    count = len(player.get_ports("PortAudio", is_audio=True, is_output=True))
    takes = [recorder.inports.register(f"in_{c + 1}") for c in range(count)]
    sound = np.zeros((total, count), np.float32)
    go = threading.Event()
    done = threading.Event()
    state: dict[str, int | None] = {"first": None}
    clock: list[tuple[int, float]] = []
    problems: list[str] = []

    @player.set_process_callback
    def play(frames: int) -> None:
        now = player.last_frame_time
        if go.is_set() and state["first"] is None:
            state["first"] = now + LEAD * PERIOD
        first = state["first"]
        block = np.zeros((frames, 2), np.float32)
        if first is not None:
            at = now - first
            clock.append((at, time.time()))
            if at > -frames:
                rows = song[max(0, at) : max(0, at + frames)]
                block[: len(rows)] = rows
                if at % PERIOD:
                    problems.append(f"a period began at {at}")
        for c, port in enumerate(sends):
            port.get_array()[:] = block[:, c]

    @recorder.set_process_callback
    def record(frames: int) -> None:
        first, now = state["first"], recorder.last_frame_time
        if first is None or now < first:
            return
        at = now - first
        if at >= total:
            done.set()
            return
        rows = sound[at : at + frames]
        for c, port in enumerate(takes):
            rows[:, c] = port.get_array()[: len(rows)]

    with player, recorder:
        ins = player.get_ports("PortAudio", is_audio=True, is_input=True)
        outs = player.get_ports("PortAudio", is_audio=True, is_output=True)
        assert len(ins) == 2 and len(outs) % 2 == 0, (ins, outs)
        for port in (*ins, *outs):
            for other in player.get_all_connections(port):
                player.disconnect(*((other, port) if port in ins else (port, other)))
        for own, theirs in zip(sends, ins, strict=True):
            player.connect(own, theirs)
        for own, theirs in zip(takes, outs, strict=True):
            player.connect(theirs, own)
        if freewheel:
            player.set_freewheel(True)
        go.set()
        while state["first"] is None:
            time.sleep(0.001)
        print("playing", flush=True)
        in_time = done.wait(total / RATE + PATIENCE)
        if freewheel:
            player.set_freewheel(False)
    assert in_time, "the song was not played to its end"
    assert not problems, problems[0]
    np.savez(take_file, sound=sound, clock=np.array(clock))


# By hand.


def report(seconds: float, model: str, run: str, freewheel: bool) -> None:
    """Play the demo song for `seconds` through JACK and print how it went."""
    from realtime.demo import demo_song
    from realtime.library import find_separator
    from tests.jack_server import jack_missing, jack_server

    if missing := jack_missing():
        raise SystemExit(missing)
    song = np.resize(demo_song().mixture, (round(seconds * RATE), 2))
    separator = find_separator(model)
    mix = Mix((1.0,) * len(Separator.load(separator).metadata.stems))
    with (
        tempfile.TemporaryDirectory() as folder,
        jack_server(RATE, PERIOD) as environment,
        jack_host(separator, environment, "--run", run, *["--lockstep"] * freewheel) as running,
    ):
        take = play_through(running, song, Path(folder), freewheel)
        running.stop()
    heard = take.sound[take.added + PERIOD :][: len(song)]
    silent = silence_before(separator, song, heard, mix, run)
    wanted = reference(separator, song, mix, run, silent)
    periods = [slice(at, at + PERIOD) for at in range(0, len(song), PERIOD)]
    wrong = sum(np.abs(heard[period] - wanted[period]).max() > 1e-5 for period in periods)
    how = "freewheeling" if freewheel else "in real time"
    print(f"{seconds:g} s of {model} ({run}), {how}, in blocks of {PERIOD}")
    print(f"added latency {take.added} samples, PortAudio over JACK {PERIOD} more; misses {take.misses}, xruns {take.xruns}")
    print(f"periods that differ from the offline result by more than 1e-5: {wrong} of {len(periods)}")
    print(f"residual against the offline result: {level(heard - wanted, wanted):.1f} dB, at most {np.abs(heard - wanted).max():.2g}")
    print(running.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to play (default: 60)")
    parser.add_argument("--model", default="lasaft-live", help="separator (default: lasaft-live)")
    parser.add_argument("--run", default="stems", choices=("single", "stems"))
    parser.add_argument("--freewheel", action="store_true", help="as fast as it goes, the host in lockstep")
    for option in ("--song", "--take"):
        parser.add_argument(option, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.song is None:
        report(options.seconds, options.model, options.run, options.freewheel)
    else:
        play_and_record(options.song, options.take, options.freewheel)


if __name__ == "__main__":
    main()
