"""An engine at the device's rate: blocks of device samples in, addressed stretches of output out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realtime.engine import Engine
from realtime.latency import Latency, Mode, latency_for
from realtime.resample import Resampler

# What the resampler's uneven chunks may add to the lateness seen in a few seconds, in samples.
_MARGIN = 32


@dataclass
class Stretch:
    """Output from device position `start` on: `block` [n, channels], `tail` behind it, `fill_gain` for a gap."""

    start: int
    block: np.ndarray
    tail: np.ndarray
    fill_gain: float


class Native:
    """The device runs at the separator's rate: a hop in, a hop out."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.quantum = self.hop = engine.mode.hop
        self.tail_weights = engine.weights
        # Where complete output begins again after a hop was left out.
        self.valid_from = 0
        self._stretch = Stretch(0, engine.master, engine.tail, 0.0)

    def feed(self, block: np.ndarray) -> tuple[Stretch, ...]:
        """Take `block` [quantum, channels]; return the stretches it finishes, valid until the next call.

        What lies before `valid_from` in them is not to be played.
        """
        engine = self.engine
        if not engine.process(block):
            self.valid_from = engine.end
        self._stretch.start, self._stretch.fill_gain = engine.start, engine.fill_gain
        return (self._stretch,)

    def skip(self, block: np.ndarray) -> int:
        """Take `block` without separating it; return how many hops were left out."""
        self.engine.push(block)
        self.engine.drop()
        self.valid_from = self.engine.end
        return 1

    def latency(self, block: int | None, reserve: int) -> Latency:
        """Return the added latency on device blocks of `block` samples (None: varying)."""
        return latency_for(self.engine.mode, block, reserve)


class Resampled:
    """The device runs at another rate: soxr to the separator's rate and back."""

    def __init__(self, engine: Engine, device_rate: int) -> None:
        self.engine, self.device_rate = engine, device_rate
        self.quantum = 64
        self.factor = device_rate / engine.rate
        self.hop = round(engine.mode.hop * self.factor)
        self.tail_weights = np.zeros(0)
        self.valid_from = 0
        self._down = Resampler(device_rate, int(engine.rate), engine.channels)
        self._up = Resampler(int(engine.rate), device_rate, engine.channels)
        self._waiting = np.zeros((0, engine.channels), np.float32)
        self._position = _start(engine.mode, int(engine.rate), device_rate, self._up, engine.channels)

    def _advance(self, block: np.ndarray, separate: bool) -> tuple[Stretch, ...]:
        engine, hop = self.engine, self.engine.mode.hop
        self._waiting = np.concatenate([self._waiting, self._down.push(block)])
        stretches = []
        while len(self._waiting) >= hop:
            part, self._waiting = self._waiting[:hop], self._waiting[hop:]
            if separate and engine.process(part):
                master = engine.master
            else:
                if not separate:
                    engine.push(part)
                    engine.drop()
                master = np.zeros_like(engine.master)
                # The resampler smears what is missing; a quarter of a hop covers its kernel.
                self.valid_from = math.ceil((engine.end + hop // 4) * self.factor)
            out = self._up.push(master)
            stretches.append(Stretch(self._position, out, out[:0], engine.fill_gain))
            self._position += len(out)
        return tuple(stretches)

    def feed(self, block: np.ndarray) -> tuple[Stretch, ...]:
        """Take `block` [quantum, channels]; return the stretches it finishes."""
        return self._advance(block, separate=True)

    def skip(self, block: np.ndarray) -> int:
        """Take `block` without separating it; return how many hops were left out."""
        return len(self._advance(block, separate=False))

    def latency(self, block: int | None, reserve: int) -> Latency:
        """Return the added latency; the resamplers' part is measured on silence."""
        mode, step = self.engine.mode, block or 16
        late = _lateness(mode, int(self.engine.rate), self.device_rate, step, self.quantum) + _MARGIN
        window = round((mode.synthesis - mode.hop) * self.factor)
        adaptation = round((mode.hop - 1) * self.factor)
        return Latency(window, adaptation, reserve, late - window - adaptation)


def _start(mode: Mode, rate: int, device_rate: int, up: Resampler, channels: int) -> int:
    """Return the device position at which the output of `up` begins once it is fed with hops."""
    # Output starts before position 0; silence ahead of it lands its start on a whole device sample.
    early = mode.synthesis - mode.hop
    silence = -early % (rate // math.gcd(rate, device_rate))
    return -round((early + silence) * device_rate / rate) + len(up.push(np.zeros((silence, channels), np.float32)))


def _lateness(mode: Mode, rate: int, device_rate: int, block: int, quantum: int) -> int:
    """Return by how many samples finished output trails the input at worst, on blocks of `block` samples."""
    down, up = Resampler(device_rate, rate, 1), Resampler(rate, device_rate, 1)
    taken = read = waiting = worst = 0
    end = _start(mode, rate, device_rate, up, 1)
    silence = np.zeros((quantum, 1), np.float32)
    hop = np.zeros((mode.hop, 1), np.float32)
    while taken < 4 * device_rate:
        # Before the block is taken, what is finished must reach to what it will play.
        taken += block
        while read + quantum <= taken:
            read += quantum
            waiting += len(down.push(silence))
            while waiting >= mode.hop:
                waiting -= mode.hop
                end += len(up.push(hop))
        worst = max(worst, taken - end)
    return worst


def chain_for(engine: Engine, device_rate: int) -> Native | Resampled:
    """Return the chain that runs `engine` on a device of `device_rate` Hz."""
    return Native(engine) if device_rate == engine.rate else Resampled(engine, device_rate)
