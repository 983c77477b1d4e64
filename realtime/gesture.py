"""A gesture: timed changes of the controls, played from its start at any speed, once or round and round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from realtime.control import Value
from realtime.state import ControlState, Message

# Seconds between the steps in which a control moves along a line.
STEP = 0.02
SLOWEST, FASTEST = 0.1, 10.0
# A gesture that lasts less than this, in seconds, does not come round.
SHORTEST_ROUND = 0.05
MOST_POINTS = 100_000

Values = dict[str, tuple[Value, ...]]


@dataclass(frozen=True)
class Point:
    """At `time`, seconds from the start, `message` happens; with `since`, its numbers go there in a line from then on."""

    time: float
    message: Message
    since: float | None = None

    @property
    def begins(self) -> float:
        """When it begins to act, in seconds."""
        return self.time if self.since is None else self.since


@dataclass(frozen=True)
class Gesture:
    """`points` in the order in which they begin; a round of `length` seconds holds them all."""

    points: tuple[Point, ...]
    length: float

    def opening(self, state: ControlState) -> tuple[Message, ...]:
        """Return what happens at its very start."""
        time, messages = next(self.changes(state, state.values), (0.0, ()))
        return messages if time == 0 else ()

    def changes(self, state: ControlState, values: Values, speed: float = 1.0) -> Iterator[tuple[float, tuple[Message, ...]]]:
        """Yield what happens and when, in seconds from the start at `speed`, where it starts from `values`.

        A line starts from where the gesture itself has left its control, and moves in steps of `STEP`, the last
        of them exact; it ends early where a later point sets the same control. `values` keeps up with what was yielded.
        `state` says what messages mean, and is not changed.
        """
        lines: dict[str, _Line] = {}
        points = list(self.points)
        index = 0
        while index < len(points) or lines:
            times = [line.next / speed for line in lines.values()]
            if index < len(points):
                times.append(points[index].begins / speed)
            now = min(times)
            messages: list[Message] = []
            while index < len(points) and points[index].begins / speed <= now:
                point, index = points[index], index + 1
                reach = {element.address for element in state.elements(point.message)}
                lines = {address: line for address, line in lines.items() if not line.reach & reach}
                if point.since is None or point.time <= point.since:
                    messages.append(point.message)
                    values |= state.after(values, (point.message,))
                else:
                    address = point.message.address
                    start, goal = np.array(values[address], float), np.array(point.message.values, float)
                    lines[address] = _Line(point.since, point.time, start, goal, STEP * speed, frozenset(reach))
            for address, line in list(lines.items()):
                if line.next / speed <= now:
                    messages.append(Message(address, line.step()))
                    values |= state.after(values, messages[-1:])
                    if line.over:
                        del lines[address]
            if messages:
                yield now, tuple(messages)


class _Line:
    """A line from `start` to `goal`, from `since` until `time` in seconds, every `step`; `reach` is what it sets."""

    def __init__(
        self, since: float, time: float, start: np.ndarray, goal: np.ndarray, step: float, reach: frozenset[str]
    ) -> None:
        self.reach, self.over = reach, False
        self._since, self._time, self._start, self._goal, self._step = since, time, start, goal, step
        self._count = 1

    @property
    def next(self) -> float:
        """When the next step is due."""
        return min(self._time, self._since + self._count * self._step)

    def step(self) -> tuple[float, ...]:
        """Return the values of the next step, and go on to the one after it."""
        at = self.next
        self._count += 1
        self.over = at >= self._time
        if self.over:
            return tuple(self._goal.tolist())
        share = (at - self._since) / (self._time - self._since)
        return tuple((self._start + share * (self._goal - self._start)).tolist())


def narrow(message: Message) -> Message:
    """Return `message` with its numbers as OSC carries them, in 32 bits: they are written in a few digits, and read back."""
    return Message(message.address, tuple(float(np.float32(v)) if isinstance(v, float) else v for v in message.values))
