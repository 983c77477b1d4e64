"""Keeps the process of one target's plugins: starts it, sees it stall or die, and starts it again so many times."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime.errors import HostError
from realtime.inserts.insert import Insert, Parameter
from realtime.inserts.line import Line
from realtime.segment import Segment

# Where effects come from; tests have their own.
OPENER = "realtime.inserts.effects"
# Seconds that plugins may take to load, and without giving back anything of what they were sent.
LOADING, STALL = 30.0, 1.0
# After so long in a plugin, in seconds, its process ends itself: where nobody is left who would end it.
STUCK = 40.0
# How often a process that died or stalled is started again.
RESTARTS = 3
# Samples that a line holds each way; the engine is never further ahead of a plugin, but for one that has stalled.
_CAPACITY = 1 << 16
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Setup:
    """What the plugins work on: `rate` in Hz, `channels`, blocks of `step` samples; `priority` as in realtime.priority."""

    rate: float
    channels: int
    step: int
    priority: int | None = None


class _Life:
    """One process, and the memory shared with it."""

    def __init__(self, setup: Setup, inserts: Sequence[Insert]) -> None:
        name = Segment.new_name()
        self.segment = Segment.create(name, Line.size(setup.channels, _CAPACITY))
        self.line = Line(setup.channels, _CAPACITY, self.segment.buf)
        self.line.clear()
        for insert in inserts:
            self.line.bypass[insert.slot - 1] = insert.bypass
            for parameter, value in insert.values:
                self.line.values[insert.slot - 1, parameter - 1] = value
        plan = {
            "memory": name,
            "capacity": _CAPACITY,
            "channels": setup.channels,
            "step": setup.step,
            "rate": setup.rate,
            "priority": setup.priority,
            "opener": OPENER,
            "stuck": STUCK,
            "paths": [(insert.slot - 1, insert.path) for insert in inserts],
        }
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "realtime.inserts.child", json.dumps(plan)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                # Ctrl-C is for the host, which ends with its sound.
                start_new_session=True,
            )
        except OSError as problem:
            self.segment.unlink()
            raise HostError(f"no process for plugins can be started ({problem.strerror})") from None
        self._stdin = self.process.stdin.fileno()
        self._unlinked = False
        # Where a full pipe would be waited for, it looks by itself.
        self._stirs = os.name == "posix"
        if self._stirs:
            os.set_blocking(self._stdin, False)

    def wake(self) -> None:
        if self._stirs:
            try:
                os.write(self._stdin, b"\n")
            except OSError:
                pass  # it has been stirred often enough, or is gone

    def unlink(self) -> None:
        if not self._unlinked:
            self._unlinked = True
            self.segment.unlink()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.unlink()


class Keeper:
    """The plugins of `inserts`, all of one target. `load` first; then `line` and `wake` are for a port.

    `say` hears in a sentence of a process that died or stalled, on a thread of the keeper's own. `failed` holds why, by
    slot from 1, of what could not be loaded; `latency` is in samples.
    """

    def __init__(self, setup: Setup, inserts: Sequence[Insert], say: Callable[[str], object] = lambda text: None) -> None:
        self._setup, self._inserts, self._say = setup, {insert.slot: insert for insert in inserts}, say
        self.target = inserts[0].target
        self.failed: dict[int, str] = {}
        self.latency = 0
        self.parameters: dict[int, tuple[Parameter, ...]] = {}
        self.trouble: str | None = None
        self._life: _Life | None = None
        # The memory as the inference thread sees it.
        self._line: Line | None = None
        self._closed = False
        self._restarts = 0
        self._turning = threading.Lock()

    @property
    def slots(self) -> tuple[int, ...]:
        """The slots whose plugins run."""
        return tuple(self._inserts)

    def line(self) -> Line | None:
        """Return the memory to the plugins; None while they do not run."""
        return self._line

    def wake(self) -> None:
        """Have the plugins look what has come. Never waits."""
        life = self._life
        if life is not None:
            life.wake()

    def load(self) -> bool:
        """Start the process and wait for it; return whether any plugin runs. What does not is in `failed`."""
        while self._inserts:
            life = _Life(self._setup, tuple(self._inserts.values()))
            loading, why = self._await(life)
            if why is None:
                for slot in self.failed:
                    self._inserts.pop(slot, None)
                if not self._inserts:
                    life.kill()
                    return False
                self._begin(life)
                return True
            life.kill()
            # The one it was at has taken the others with it.
            slot = loading if loading in self._inserts else next(iter(self._inserts))
            self.failed[slot] = f"{Path(self._inserts.pop(slot).path).name} {why}"
        return False

    def _await(self, life: _Life) -> tuple[int, str | None]:
        """Return the slot that was loaded last, and what went wrong, None if all went well."""
        loading, late = 0, threading.Event()

        def give_up() -> None:
            late.set()
            life.process.kill()

        timer = threading.Timer(LOADING, give_up)
        timer.daemon = True
        timer.start()
        try:
            for text in life.process.stdout:
                report = json.loads(text)
                life.unlink()
                if "loading" in report:
                    loading = report["loading"] + 1
                elif "failed" in report:
                    self.failed[report["failed"] + 1] = report["why"]
                elif "ready" in report:
                    self.latency = report["latency"]
                    self._take(report["slots"])
                    return loading, None
        finally:
            timer.cancel()
        if late.is_set():
            return loading, f"took more than {LOADING:.0f} s to load"
        return loading, "ended its process while it was loaded"

    def _take(self, slots: dict[str, list]) -> None:
        told = {int(slot) + 1: tuple(Parameter(*each) for each in parameters) for slot, parameters in slots.items()}
        self.parameters = {**self.parameters, **told}

    def _begin(self, life: _Life) -> None:
        with self._turning:
            closed = self._closed
            if not closed:
                self._life, self._line = life, life.line
        if closed:
            life.kill()
            return
        threading.Thread(target=self._follow, args=(life,), name="inserts", daemon=True).start()
        threading.Thread(target=self._watch, args=(life,), name="stalls", daemon=True).start()

    def turn(self, slot: int, parameter: int, value: float) -> None:
        """Set a parameter from 1, or the bypass, 0."""
        with self._turning:
            insert = self._inserts.get(slot)
            if insert is None:
                return
            if parameter == 0:
                self._inserts[slot] = Insert(insert.target, slot, insert.path, bool(value), insert.values)
            else:
                values = tuple(sorted({**dict(insert.values), parameter: value}.items()))
                self._inserts[slot] = Insert(insert.target, slot, insert.path, insert.bypass, values)
            life = self._life
            if life is not None:
                if parameter == 0:
                    life.line.bypass[slot - 1] = int(value)
                else:
                    life.line.values[slot - 1, parameter - 1] = value
                life.wake()

    def close(self) -> None:
        """End the process."""
        with self._turning:
            self._closed, self._line = True, None
            life, self._life = self._life, None
        if life is not None:
            life.kill()

    # Threads of the keeper's own.

    def _watch(self, life: _Life) -> None:
        """End a process that gives nothing back."""
        returned, since, line = life.line.returned, time.monotonic(), life.line
        while not self._closed and life.process.poll() is None:
            time.sleep(STALL / 10)
            now = line.returned
            owes = line.sent - now >= self.latency + self._setup.step
            if now != returned or not owes:
                returned, since = now, time.monotonic()
            elif time.monotonic() - since > STALL:
                self.trouble = f"gave nothing back for {STALL:.0f} s"
                life.process.kill()
                return

    def _follow(self, life: _Life) -> None:
        """Read what the process reports, to its end; then start the next."""
        try:
            for text in life.process.stdout:
                report = json.loads(text)
                if "turned" in report:
                    self._take(report["turned"])
        except ValueError:
            pass  # half a line, of a process that ended
        if self._closed:
            return
        self._line = self._life = None
        life.kill()
        why = self.trouble or f"ended its process ({_how(life.process.returncode)})"
        self.trouble = why
        names = " and ".join(Path(insert.path).name for insert in self._inserts.values())
        if self._restarts == RESTARTS:
            self._say(f"{names} on {self.target} {why} again: it stays without, as its sound was before; take it out, or load it anew.")
            return
        self._restarts += 1
        self._say(f"{names} on {self.target} {why}: it sounds as before the insert, and is started again.")
        before = self.latency
        # It has to be known again what it is that fails.
        try:
            following = _Life(self._setup, tuple(self._inserts.values()))
        except HostError as problem:
            self._say(f"{problem}.")
            return
        failed, self.failed = self.failed, {}
        _, problem = self._await(following)
        fine = problem is None and not self.failed and self.latency == before
        self.failed, self.latency = failed, before
        if not fine or self._closed:
            following.kill()
            if not self._closed:
                self.trouble = problem or "came back another"
                self._say(f"{names} on {self.target} could not be started again; it sounds as before the insert.")
            return
        self.trouble = None
        self._begin(following)


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
