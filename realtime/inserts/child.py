"""A process of its own for the plugins of one target: what one of them does to it, the music does not notice.

It is started with one argument, a JSON object (see `Keeper`), and reports in lines of JSON on what was its standard
output. Bytes on its standard input stir it; their end is its end.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import select
import sys
import threading
import time
from multiprocessing import resource_tracker

# It takes seconds to load, and more to compile, and there is no other thread here to hand anything to: see Line.
sys.modules["numba"] = None

import numpy as np  # noqa: E402

from realtime.errors import HostError  # noqa: E402
from realtime.inserts.insert import PARAMETERS  # noqa: E402
from realtime.inserts.line import Line  # noqa: E402
from realtime.inserts.port import LOUDEST  # noqa: E402
from realtime.priority import raise_priority  # noqa: E402
from realtime.segment import Segment  # noqa: E402
from realtime.separator import flush_denormals  # noqa: E402

# How often it looks by itself, in seconds, and how often texts of parameters are told.
_LOOK, _TELL = 0.001, 0.05
# Over how many samples a slot goes over into its bypass and back.
_GLIDE = 1024


class _Slot:
    """An effect, and the sound beside it for the bypass, as late as the effect is."""

    def __init__(self, effect, channels: int, bypass: bool) -> None:
        self.effect = effect
        self._beside = np.zeros((0, channels), np.float32)
        self._share = 0.0 if bypass else 1.0
        self.bypass = bypass

    def process(self, block: np.ndarray) -> np.ndarray | None:
        """Return what has become of `block`; None where the effect failed on it, and has begun afresh."""
        try:
            sound = np.asarray(self.effect.process(block), np.float32)
            with np.errstate(all="ignore"):
                fine = sound.shape[1] == block.shape[1] and (not len(sound) or np.abs(sound).max() <= LOUDEST)
        except Exception:  # noqa: BLE001 - what it is good for shows in the next block
            fine = False
        if not fine:
            self.reset()
            return None
        beside = np.concatenate([self._beside, block])
        plain, self._beside = beside[: len(sound)], beside[len(sound) :]
        target = 0.0 if self.bypass else 1.0
        if self._share == target:
            return plain if self.bypass else sound
        steps = np.arange(1, len(sound) + 1) / _GLIDE
        share = np.clip(self._share + (steps if target else -steps), 0, 1).astype(np.float32)
        self._share = float(share[-1]) if len(share) else self._share
        return plain + share[:, None] * (sound - plain)

    def reset(self) -> None:
        """Forget the past."""
        self._beside = self._beside[:0]
        try:
            self.effect.reset()
        except Exception:  # noqa: BLE001 - as above
            pass


class _Chain:
    """The slots of one target, between the two ends of `line`."""

    def __init__(self, line: Line, slots: dict[int, _Slot], step: int, channels: int) -> None:
        self._line, self.slots, self._step = line, slots, step
        self._in = np.zeros((step, channels), np.float32)
        self._none = np.full((step, channels), np.nan, np.float32)
        self._read = self._written = None
        self._set = np.full_like(line.values, np.nan)
        # Slots of which the parameters have changed since they were told.
        self.turned: set[int] = set()

    def turn(self) -> None:
        """Set what is to be set."""
        values = self._line.values.copy()
        for slot, parameter in np.argwhere((values != self._set) & ~np.isnan(values)).tolist():
            if (there := self.slots.get(slot)) is not None and parameter < len(there.effect.parameters):
                there.effect.set(parameter, float(values[slot, parameter]))
                self.turned.add(slot)
        self._set = values
        for slot, there in self.slots.items():
            there.bypass = bool(self._line.bypass[slot])

    def run(self) -> None:
        """Process what has come."""
        line, step = self._line, self._step
        if self._read is None:
            if line.begun is None:
                return
            self._read = self._written = line.begun
        while line.sent - self._read >= step:
            if not line.take(self._read, self._in):
                # Too far behind: it begins again with the newest, and what lies between never comes.
                self._begin_again(line.sent - step)
                continue
            self._read += step
            sound: np.ndarray | None = self._in
            for slot in self.slots.values():
                sound = slot.process(sound)
                if sound is None:
                    break
            if sound is None:
                self._begin_again(self._read)
            elif len(sound):
                line.give(self._written, sound)
                self._written += len(sound)

    def _begin_again(self, position: int) -> None:
        for slot in self.slots.values():
            slot.reset()
        self._written = max(self._written, position - self._line.capacity // 2)
        while self._written < position:
            part = self._none[: position - self._written]
            self._line.give(self._written, part)
            self._written += len(part)
        self._read = position


def _told(slot: _Slot) -> list:
    return [list(parameter) for parameter in slot.effect.parameters[:PARAMETERS]]


def _watch_end() -> None:
    """End with the standard input, where that cannot be waited for together with time."""
    while os.read(0, 4096):
        pass
    os._exit(0)


def main(argument: str) -> None:
    """Run what `argument` says until the standard input ends."""
    plan = json.loads(argument)
    # Plugins may print what they like; the reports keep their own way.
    way = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    if not plan.get("loud"):
        os.dup2(nothing, 2)

    def report(**fields: object) -> None:
        way.write(json.dumps(fields) + "\n")

    # The other side made the memory, and takes its name away.
    resource_tracker.register = lambda name, kind: None
    channels, step = plan["channels"], plan["step"]
    segment = Segment(plan["memory"])
    line = Line(channels, plan["capacity"], segment.buf)
    report(attached=True)
    # By a thread that needs no interpreter, which a plugin may not give back.
    faulthandler.dump_traceback_later(plan["stuck"], exit=True)
    alive = time.monotonic()
    opener = importlib.import_module(plan["opener"])
    slots: dict[int, _Slot] = {}
    for slot, path in plan["paths"]:
        report(loading=slot)
        try:
            slots[slot] = _Slot(opener.open_effect(path, plan["rate"], channels, step), channels, bool(line.bypass[slot]))
        except HostError as problem:
            report(failed=slot, why=str(problem))
        except Exception as problem:  # noqa: BLE001 - plugins fail in any way
            report(failed=slot, why=f"{path} failed to load ({problem!r})")
    chain = _Chain(line, slots, step, channels)
    chain.turn()
    chain.turned.clear()
    latency = sum(slot.effect.latency for slot in slots.values())
    report(ready=True, latency=latency, slots={index: _told(slot) for index, slot in slots.items()})
    if not slots:
        return
    flush_denormals()
    raise_priority(plan["priority"])
    selectable = os.name == "posix"
    if not selectable:
        threading.Thread(target=_watch_end, daemon=True).start()
    told = 0.0
    while True:
        if selectable:
            ready = select.select([0], [], [], _TELL)[0]
            if ready and not os.read(0, 4096):
                os._exit(0)
        else:
            time.sleep(_LOOK)
        chain.turn()
        chain.run()
        if time.monotonic() > alive + plan["stuck"] / 4:
            faulthandler.dump_traceback_later(plan["stuck"], exit=True)
            alive = time.monotonic()
        if chain.turned and time.monotonic() >= told:
            told = time.monotonic() + _TELL
            report(turned={index: _told(slots[index]) for index in chain.turned})
            chain.turned.clear()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BrokenPipeError:
        pass
    # Plugins may hold threads that never end.
    os._exit(0)
