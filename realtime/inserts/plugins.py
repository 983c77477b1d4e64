"""The inserts of a session: what is wanted in each slot, what runs there, and what is told of it."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

from realtime.inserts.insert import MASTER, Insert, Place, SlotNews, Turn
from realtime.inserts.keeper import Keeper, Setup
from realtime.inserts.port import Port
from realtime.inserts.rack import Delays, Rack, delays_for

# How long a chain that catches up with the music may wait for its plugins in all, in seconds: no longer than it can make up for.
CATCHING_UP = 0.5

Keepers = dict[str, Keeper]


class Plugins:
    """Begins with `inserts` wanted. `said` holds sentences for the user; any thread may give orders and ask for news."""

    def __init__(self, inserts: tuple[Insert, ...] = (), priority: int | None = None) -> None:
        self._lock = threading.Lock()
        self._wanted = {insert.place: insert for insert in inserts}
        self._failed: dict[tuple[str, int], tuple[str, str]] = {}
        self._slots = set(self._wanted)
        self._priority = priority
        self.keepers: Keepers = {}
        # What the keepers were opened for, and those that may follow them.
        self._opened: dict[tuple[str, int], str] = {}
        self._opening: dict[tuple[str, int], str] = {}
        self._ports: dict[str, Port] = {}
        # Misses of chains that are gone, by target.
        self._missed: dict[str, int] = {}
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def wanted(self) -> tuple[Insert, ...]:
        """What is wanted, with what was turned on it."""
        with self._lock:
            return tuple(self._wanted.values())

    @property
    def stale(self) -> bool:
        """Whether something else is wanted than runs."""
        return {insert.place: insert.path for insert in self.wanted} != self._opened

    def order(self, order: Place | Turn) -> None:
        """Take an order. A `Place` is carried out by whoever then finds it `stale`."""
        place = order.target, order.slot
        with self._lock:
            self._slots.add(place)
            if isinstance(order, Place):
                keeper, there = self.keepers.get(order.target), self._wanted.get(place)
                fails = keeper is not None and keeper.trouble is not None
                if there is not None and there.path == order.path and not fails:
                    return
                self._failed.pop(place, None)
                self._wanted.pop(place, None)
                if order.path:
                    self._wanted[place] = Insert(*place, order.path)
                # What was given up is tried again.
                if fails:
                    self._opened.pop(place, None)
                return
            if (insert := self._wanted.get(place)) is None:
                return
            if order.parameter == 0:
                insert = Insert(*place, insert.path, bool(order.value), insert.values)
            else:
                values = tuple(sorted({**dict(insert.values), order.parameter: order.value}.items()))
                insert = Insert(*place, insert.path, insert.bypass, values)
            self._wanted[place] = insert
            # What is turned on a plugin that is still loaded is not for the one that plays in its place until then.
            keeper = self.keepers.get(order.target) if self._opened.get(place) == insert.path else None
        if keeper is not None:
            keeper.turn(order.slot, order.parameter, order.value)

    def follow(self, before: tuple[Insert, ...], now: tuple[Insert, ...]) -> None:
        """Give the orders that made `now` of `before` elsewhere."""
        was = {insert.place: insert for insert in before}
        for insert in now:
            there = was.pop(insert.place, None)
            if there is None or there.path != insert.path:
                self.order(Place(*insert.place, insert.path))
            if there != insert:
                for parameter, value in ((0, float(insert.bypass)), *insert.values):
                    self.order(Turn(*insert.place, parameter, value))
        for place in was:
            self.order(Place(*place, ""))

    def open(self, stems: tuple[str, ...], rate: float, channels: int, step: int) -> Keepers:
        """Start what is wanted on the master and on `stems`, as far as it works, and return it by target.

        It takes its time. What does not work is no longer wanted, and said.
        """
        keepers: Keepers = {}
        # What is ordered from here on is for the next time.
        wanted = sorted(self.wanted, key=lambda insert: insert.slot)
        self._opening = {insert.place: insert.path for insert in wanted}
        try:
            for target in dict.fromkeys((MASTER, *stems)):
                inserts = [insert for insert in wanted if insert.target == target]
                if not inserts:
                    continue
                keeper = Keeper(Setup(rate, channels, step, self._priority), inserts, self.said.put)
                if keeper.load():
                    keepers[target] = keeper
                for slot, why in keeper.failed.items():
                    self._drop((target, slot), why)
        except BaseException:
            close(keepers)
            raise
        return keepers

    def _drop(self, place: tuple[str, int], why: str) -> None:
        path = self._opening.pop(place, None)
        with self._lock:
            if (insert := self._wanted.get(place)) is not None and insert.path == path:
                del self._wanted[place]
                self._failed[place] = insert.path, why
        self.said.put(f"insert {place[1]} of {place[0]}: {why}; the music goes on without it.")

    def rack(self, keepers: Keepers, step: int, rest: int, rate: float, channels: int, block: float) -> Rack | None:
        """Return the rack of `keepers` for an engine of these sizes, see `rack.transit`; None for none."""
        if not keepers:
            return None
        ports = {
            target: Port(keeper.line, keeper.wake, step, rest, channels) for target, keeper in keepers.items()
        }
        return Rack(ports, delays(keepers, step, rest, rate, block))

    def take_over(self, keepers: Keepers, rack: Rack | None) -> None:
        """Let `keepers` be those that play, and end those before."""
        with self._lock:
            before, self.keepers = self.keepers, keepers
            for target, port in self._ports.items():
                self._missed[target] = self._missed.get(target, 0) + port.misses
            self._ports = {} if rack is None else dict(rack.ports)
            # And not what is wanted by now, which may be something else.
            opened = self._opened = dict(self._opening)
            newest = tuple(self._wanted.values())
        for insert in newest:
            # What was turned while they were started.
            if opened.get(insert.place) == insert.path and (keeper := keepers.get(insert.target)) is not None:
                keeper.turn(insert.slot, 0, insert.bypass)
                for parameter, value in insert.values:
                    keeper.turn(insert.slot, parameter, value)
        close(before)

    def give_up(self, why: str) -> None:
        """Want no more than runs, because more cannot be."""
        with self._lock:
            for place, insert in list(self._wanted.items()):
                if self._opened.get(place) != insert.path:
                    del self._wanted[place]
                    self._failed[place] = insert.path, why
            self._opened = {place: path for place, path in self._opened.items() if place in self._wanted}

    def beat(self) -> None:
        """Count as missed only what plugins that run should have given; some times a second."""
        for target, keeper in list(self.keepers.items()):
            if (port := self._ports.get(target)) is not None:
                port.expected = keeper.trouble is None

    def news(self) -> tuple[SlotNews, ...]:
        """Return how each slot stands that has ever had anything."""
        with self._lock:
            return tuple(self._tell(*place) for place in sorted(self._slots))

    def _tell(self, target: str, slot: int) -> SlotNews:
        place, keeper, port = (target, slot), self.keepers.get(target), self._ports.get(target)
        misses = self._missed.get(target, 0) + (0 if port is None else port.misses)
        if (insert := self._wanted.get(place)) is None:
            path, why = self._failed.get(place, ("", ""))
            return SlotNews(target, slot, path, f"failed: {why}" if why else "off", misses)
        if self._opened.get(place) != insert.path:
            return SlotNews(target, slot, insert.path, "loading", misses)
        if keeper is None:
            return SlotNews(target, slot, insert.path, "waiting: in single there are no stems by themselves", misses)
        state = "running" if keeper.trouble is None else f"failed: {Path(insert.path).name} {keeper.trouble}"
        return SlotNews(target, slot, insert.path, state, misses, keeper.parameters.get(slot, ()))

    def close(self) -> None:
        """End all plugins."""
        close(self.keepers)


def close(keepers: Keepers) -> None:
    """End the plugins of `keepers`."""
    for keeper in keepers.values():
        keeper.close()


def delays(keepers: Keepers, step: int, rest: int, rate: float, block: float) -> Delays:
    """Return what an engine of these sizes delays for `keepers`."""
    return delays_for({target: keeper.latency for target, keeper in keepers.items()}, step, rest, rate, block)
