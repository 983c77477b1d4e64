"""The inserts of one engine: two stages, the stems before they are mixed, and the master after.

Each stage lets all its sound wait for what comes back from its plugins, so that everything stays aligned: the stems,
processed or not, the remainder and the dry sound by D1, all of these and the master by D2 as well. A stage without a
plugin takes no time. A stage takes so many whole steps that plugins have TIME between two of them, FADE samples on
which the sound can fade where they are late, and the longest latency that plugins of the stage report.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime.inserts.insert import MASTER
from realtime.inserts.line import History
from realtime.inserts.port import FADE, Port

# What plugins have for a step at least, from when it is handed over until it is wanted, in seconds.
TIME = 0.008
# How long a chain that takes over may wait for its plugins in all, in seconds.
GRACE = 0.03


def transit(step: int, rest: int, rate: float, block: float) -> int:
    """Return how long a stage takes beside its plugins' latency, in samples.

    `step` goes in at a time, `rest` are the samples of an overlap-add tail, `block` those of the device's blocks.
    """
    # Steps that are finished in one block follow each other at once.
    uneven = block - math.gcd(round(block), step)
    steps = max(1, math.ceil(rest / step), math.ceil((TIME * rate + uneven) / step - 1e-9))
    return steps * step + FADE


@dataclass(frozen=True)
class Delays:
    """The delay of the stage of the `stems` and of that of the `master`, in samples at the separator's rate."""

    stems: int = 0
    master: int = 0

    @property
    def whole(self) -> int:
        """Both together."""
        return self.stems + self.master


def delays_for(latencies: dict[str, int], step: int, rest: int, rate: float, block: float) -> Delays:
    """Return the delays for plugins of these `latencies`, by target; arguments as in `transit`."""
    each = transit(step, rest, rate, block)
    stems = [latency for target, latency in latencies.items() if target != MASTER]
    return Delays(each + max(stems) if stems else 0, each + latencies[MASTER] if MASTER in latencies else 0)


class StemStage:
    """Lets the stems `names` through `ports`, by name, and all of them wait by `delay`; see Engine for the arrays."""

    def __init__(
        self, names: Sequence[str], ports: dict[str, Port], delay: int, step: int, weights: np.ndarray, channels: int
    ) -> None:
        self.delay = delay
        self._step, rest = step, len(weights)
        self._ports = [(index, ports[name]) for index, name in enumerate(names) if name in ports]
        self._history = History(len(names), delay + 2 * step + rest, channels)
        self._weights = weights.astype(np.float32)[:, None]
        # Beside what goes on: the stems as they were separated, and the tails behind both.
        self.separated = np.zeros((len(names), step, channels), np.float32)
        self.separated_tails = np.zeros((len(names), rest, channels), np.float32)

    def run(self, start: int, stems: np.ndarray, tails: np.ndarray) -> None:
        """Take `stems` [streams, step, channels], separated at `start`; leave in them those of `delay` samples before, processed."""
        for index, port in self._ports:
            port.send(start, stems[index])
        self._history.write(start, stems)
        at = start - self.delay
        self._history.read(at, self.separated)
        self._history.read(at + self._step, self.separated_tails)
        stems[:] = self.separated
        tails[:] = self.separated_tails
        for index, port in self._ports:
            port.take(at, stems[index], tails[index])
        tails *= self._weights
        self.separated_tails *= self._weights

    def settle(self, start: int, tails: np.ndarray) -> bool:
        """Have `tails`, behind what was left of `start` on, as processed as they can be by now; return whether all is."""
        self._history.read(start + self._step, tails)
        done = [port.settle(start + self._step, tails[index]) for index, port in self._ports]
        tails *= self._weights
        return all(done)


class MasterStage:
    """Lets the master through `port`, and with it everything that is to leave wait by `delay`."""

    def __init__(self, port: Port, delay: int, step: int, weights: np.ndarray, streams: int, channels: int) -> None:
        self.delay = delay
        self._port, self._step = port, step
        # The master, the stems, and the stems as they were separated.
        self._streams = streams
        capacity = delay + 2 * step + len(weights)
        self._master = History(1, capacity, channels)
        self._stems, self._separated = (History(streams, capacity, channels) for _ in range(2))
        self._weights = weights.astype(np.float32)[:, None]

    def run(
        self,
        start: int,
        given: tuple[np.ndarray, np.ndarray, np.ndarray],
        left: tuple[np.ndarray, np.ndarray, np.ndarray],
        tails: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Take master, stems and separated stems `given` at `start`; leave those of `delay` samples before in `left`, and in `tails`."""
        histories = self._master, self._stems, self._separated
        self._port.send(start, given[0])
        at = start - self.delay
        for history, new, old, tail in zip(histories, given, left, tails, strict=True):
            history.write(start, new.reshape(-1, *new.shape[-2:]))
            history.read(at, old.reshape(-1, *old.shape[-2:]))
            history.read(at + self._step, tail.reshape(-1, *tail.shape[-2:]))
        self._port.take(at, left[0], tails[0])
        for tail in tails:
            tail *= self._weights

    def settle(self, start: int, tail: np.ndarray) -> bool:
        """Have the master's `tail`, behind what was left of `start` on, as processed as it can be by now; return whether all is."""
        self._master.read(start + self._step, tail[None])
        done = self._port.settle(start + self._step, tail)
        tail *= self._weights
        return done


class Rack:
    """The ports of one engine, by target, and its `delays`. Whoever made the engine closes what is behind them."""

    def __init__(self, ports: dict[str, Port], delays: Delays) -> None:
        self.ports, self.delays = ports, delays

    def wait_for(self, seconds: float) -> None:
        """Let the engine wait so long in all for each target's plugins; 0 on the inference thread."""
        for port in self.ports.values():
            port.patience = seconds

    def take_over(self) -> None:
        """Count from here on, and let the hops that have piled up find their plugins."""
        for port in self.ports.values():
            port.patience, port.misses = GRACE, 0
