"""An engine at the device's rate: blocks of device samples in, addressed stretches of output out.

A chain may begin in the midst of a stream: its engine counts from `base`, a position of the stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from realtime.engine import Engine
from realtime.latency import Latency, latency_for
from realtime.mix import Mix
from realtime.resample import Resampler

# What the resampler's uneven chunks may add to the lateness seen in a few seconds, in samples.
_MARGIN = 32

# Samples held back behind a resampler, on which the sound can fade where the next ones do not come.
_TAIL = 64


@dataclass
class Stretch:
    """Output from device position `start` on: `block` [n, channels], `tail` behind it, `fills` [channels] for a gap."""

    start: int
    block: np.ndarray
    tail: np.ndarray
    fills: np.ndarray

    def copy(self) -> Stretch:
        """Return one that stays as it is."""
        return Stretch(self.start, self.block.copy(), self.tail.copy(), self.fills.copy())


class Native:
    """The device runs at the separator's rate: a step in, a step out.

    `hop` is what one call of the separator finishes, `rise` a hop of the STFT, in samples.
    """

    def __init__(self, engine: Engine, base: int = 0) -> None:
        self.engine, self.base = engine, base
        self.quantum = self.hop = engine.step
        self.rise = engine.mode.hop
        self.tail_weights = engine.weights
        # Where complete output begins again after a hop was left out.
        self.valid_from = 0
        self._stretch = Stretch(0, engine.out, engine.out_tail, engine.fills)

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand a mix to the engine; `at` is a position of the stream, None at once."""
        self.engine.schedule.submit(mix, None if at is None else at - self.base)

    @property
    def finishes(self) -> int:
        """The position up to which the sound is finished with the next step."""
        return self.base + self.engine.start + 2 * self.engine.step

    def feed(self, block: np.ndarray) -> tuple[Stretch, ...]:
        """Take `block` [quantum, engine.inputs]; return the stretches it finishes, valid until the next call.

        What lies before `valid_from` in them is not to be played.
        """
        engine = self.engine
        if not engine.process(block):
            self.valid_from = self.base + engine.end
        self._stretch.start = self.base + engine.start
        return (self._stretch,)

    def skip(self, block: np.ndarray) -> int:
        """Take `block` without separating it; return how many hops were left out."""
        self.engine.push(block)
        self.engine.drop()
        self.valid_from = self.base + self.engine.end
        return 1

    def latency(self, block: int | None, reserve: int) -> Latency:
        """Return the added latency on device blocks of `block` samples (None: varying)."""
        meta = self.engine.separator.metadata
        plain = latency_for(self.engine.mode, block, reserve, meta.frames, meta.lookahead)
        return replace(plain, inserts=self.engine.delays.whole)

    def settle(self) -> bool:
        """Have the tail of the last stretch as finished as it can be by now; return whether nothing is missing in it."""
        return self.engine.settle()

    def behind(self) -> Stretch:
        """Return nothing but the tail of the last stretch, as it is now."""
        engine = self.engine
        return Stretch(self.base + engine.start + engine.step, engine.out[:0], engine.out_tail, engine.fills)


class Resampled:
    """The device runs at another rate: soxr to the separator's rate and back; `hop` and `rise` as in Native."""

    def __init__(self, engine: Engine, device_rate: int, base: int = 0) -> None:
        self.engine, self.device_rate, self.base = engine, device_rate, base
        self.quantum = 64
        self.factor = device_rate / engine.rate
        self.hop = round(engine.step * self.factor)
        self.rise = round(engine.mode.hop * self.factor)
        self.tail_weights = np.cos(0.5 * np.pi * (np.arange(_TAIL) + 0.5) / _TAIL) ** 2
        self.valid_from = 0
        self._down = Resampler(device_rate, int(engine.rate), engine.inputs)
        outs = engine.out.shape[1]
        self._up = Resampler(int(engine.rate), device_rate, outs)
        self._waiting = np.zeros((0, engine.inputs), np.float32)
        self._held = np.zeros((0, outs), np.float32)
        self._weights = self.tail_weights.astype(np.float32)[:, None]
        self._position = base + _start(engine, device_rate, self._up, outs)

    def submit(self, mix: Mix, at: int | None) -> None:
        """Hand a mix to the engine; `at` is a position of the stream, None at once."""
        self.engine.schedule.submit(mix, None if at is None else round((at - self.base) / self.factor))

    def _advance(self, block: np.ndarray, separate: bool) -> tuple[Stretch, ...]:
        engine, step = self.engine, self.engine.step
        self._waiting = np.concatenate([self._waiting, self._down.push(block)])
        stretches = []
        while len(self._waiting) >= step:
            part, self._waiting = self._waiting[:step], self._waiting[step:]
            if separate and engine.process(part):
                out = engine.out
            else:
                if not separate:
                    engine.push(part)
                    engine.drop()
                out = np.zeros_like(engine.out)
                # The resampler smears what is missing; a quarter of a hop covers its kernel.
                self.valid_from = self.base + math.ceil((engine.end + engine.mode.hop // 4) * self.factor)
            sound = np.concatenate([self._held, self._up.push(out)])
            count = max(0, len(sound) - _TAIL)
            self._held = tail = sound[count:]
            fading = tail * self._weights[: len(tail)]
            stretches.append(Stretch(self._position, sound[:count], fading, engine.fills.copy()))
            self._position += count
        return tuple(stretches)

    @property
    def finishes(self) -> int:
        """The position up to which the sound is finished with the next step."""
        return self._position + self.hop

    def feed(self, block: np.ndarray) -> tuple[Stretch, ...]:
        """Take `block` [quantum, engine.inputs]; return the stretches it finishes."""
        return self._advance(block, separate=True)

    def skip(self, block: np.ndarray) -> int:
        """Take `block` without separating it; return how many hops were left out."""
        return len(self._advance(block, separate=False))

    def latency(self, block: int | None, reserve: int) -> Latency:
        """Return the added latency; the resamplers' part is measured on silence."""
        engine, mode = self.engine, self.engine.mode
        late = _lateness(engine, self.device_rate, block or 16, self.quantum) + _MARGIN + _TAIL
        inserts = round(engine.delays.whole * self.factor)
        window = round((mode.synthesis - mode.hop) * self.factor)
        adaptation = round((engine.step - 1) * self.factor)
        lookahead = round(engine.lookahead * self.factor)
        return Latency(window, adaptation, reserve, late - window - adaptation - lookahead - inserts, lookahead, inserts=inserts)

    def settle(self) -> bool:
        """Return True: what is held back of the sound is its tail."""
        self.engine.settle()
        return True


def _start(engine: Engine, device_rate: int, up: Resampler, channels: int) -> int:
    """Return the device position at which the output of `up` begins once it is fed with steps."""
    # Output starts before position 0; silence ahead of it lands its start on a whole device sample.
    early, rate = engine.mode.synthesis - engine.mode.hop + engine.lookahead + engine.delays.whole, int(engine.rate)
    silence = -early % (rate // math.gcd(rate, device_rate))
    return -round((early + silence) * device_rate / rate) + len(up.push(np.zeros((silence, channels), np.float32)))


def _lateness(engine: Engine, device_rate: int, block: int, quantum: int) -> int:
    """Return by how many samples finished output trails the input at worst, on blocks of `block` samples."""
    rate = int(engine.rate)
    down, up = Resampler(device_rate, rate, 1), Resampler(rate, device_rate, 1)
    taken = read = waiting = worst = 0
    end = _start(engine, device_rate, up, 1)
    silence = np.zeros((quantum, 1), np.float32)
    step = np.zeros((engine.step, 1), np.float32)
    while taken < max(4 * device_rate, 8 * engine.step):
        # Before the block is taken, what is finished must reach to what it will play.
        taken += block
        while read + quantum <= taken:
            read += quantum
            waiting += len(down.push(silence))
            while waiting >= engine.step:
                waiting -= engine.step
                end += len(up.push(step))
        worst = max(worst, taken - end)
    return worst


def chain_for(engine: Engine, device_rate: int, base: int = 0) -> Native | Resampled:
    """Return the chain that runs `engine` on a device of `device_rate` Hz, from position `base` of the stream on."""
    return Native(engine, base) if device_rate == engine.rate else Resampled(engine, device_rate, base)
