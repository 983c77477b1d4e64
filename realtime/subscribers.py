"""Subscribers: who gets which values, how often, and for how long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

MOST_SUBSCRIBERS = 32
MOST_WISHES = 64


@dataclass
class _Pace:
    """What one subscriber gets at one pace: at most every `interval` seconds, 0 for at once."""

    interval: float
    addresses: frozenset[str]
    telemetry: tuple[str, ...]
    waiting: set[str] = field(default_factory=set)
    due: float = 0.0
    telemetry_due: float = 0.0


@dataclass
class _Subscriber:
    """`origin` is who asked; `wishes` maps what was asked for to its addresses and their interval."""

    origin: object
    heard: float
    next_beat: float
    lease: float | None = None
    beats: int = 0
    wishes: dict[str, tuple[frozenset[str], float]] = field(default_factory=dict)
    paces: list[_Pace] = field(default_factory=list)


class Subscribers:
    """All subscribers. A peer is anything hashable; time is in seconds on one clock that does not go back.

    `order` holds the addresses of the table in its order, `telemetry` those that are sent over and over, every
    `interval` seconds at most. Each value goes to a subscriber once, at the fastest pace that it asked for.
    """

    def __init__(self, order: Iterable[str], telemetry: Iterable[str], interval: float, heartbeat: float) -> None:
        self._order = {address: number for number, address in enumerate(order)}
        self._telemetry = frozenset(telemetry)
        self._interval, self._heartbeat = interval, heartbeat
        self._subscribers: dict[object, _Subscriber] = {}
        # Those with a lease, and perhaps some that have gone.
        self._leased: list[object] = []

    def __len__(self) -> int:
        return len(self._subscribers)

    def __contains__(self, peer: object) -> bool:
        return peer in self._subscribers

    def add(
        self, peer: object, origin: object, wish: str, addresses: frozenset[str], interval: float, lease: float | None,
        now: float,
    ) -> object | None:
        """Let `peer` have `addresses`, which `wish` names; return the peer that had to give way, if one had to.

        `lease` is in seconds, None for the one it has, or for good.
        """
        evicted = None
        subscriber = self._subscribers.pop(peer, None)
        if subscriber is None:
            subscriber = _Subscriber(origin, now, now + self._heartbeat)
            if len(self._subscribers) >= MOST_SUBSCRIBERS:
                evicted = next(iter(self._subscribers))
                del self._subscribers[evicted]
        # The one that subscribed last stands last.
        self._subscribers[peer] = subscriber
        subscriber.origin, subscriber.heard = origin, now
        subscriber.lease = lease or subscriber.lease
        self._leased = [each for each, its in self._subscribers.items() if its.lease is not None]
        subscriber.wishes.pop(wish, None)
        while len(subscriber.wishes) >= MOST_WISHES:
            del subscriber.wishes[next(iter(subscriber.wishes))]
        subscriber.wishes[wish] = addresses, interval
        self._arrange(subscriber, now)
        return evicted

    def _arrange(self, subscriber: _Subscriber, now: float) -> None:
        fastest: dict[str, float] = {}
        for addresses, interval in subscriber.wishes.values():
            for address in addresses:
                fastest[address] = min(interval, fastest.get(address, interval))
        waiting = set().union(*(pace.waiting for pace in subscriber.paces))
        before = {pace.interval: pace for pace in subscriber.paces}
        subscriber.paces = []
        for interval in sorted(set(fastest.values())):
            mine = frozenset(address for address, each in fastest.items() if each == interval)
            pace = _Pace(interval, mine, tuple(self._sorted(mine & self._telemetry)), waiting & mine, now + interval)
            pace.telemetry_due = self._next_round(interval, now)
            if interval in before:
                pace.due, pace.telemetry_due = before[interval].due, before[interval].telemetry_due
            subscriber.paces.append(pace)

    def _next_round(self, interval: float, now: float) -> float:
        # At the same times for all, so that one look at the engine serves them all.
        step = max(interval, self._interval)
        return (math.floor(now / step) + 1) * step

    def _sorted(self, addresses: Iterable[str]) -> list[str]:
        return sorted(addresses, key=self._order.__getitem__)

    def drop(self, peer: object) -> bool:
        """Forget `peer`; return whether it was known."""
        return self._subscribers.pop(peer, None) is not None

    def hear(self, sender: object, now: float) -> None:
        """Take in that `sender` said something: what it subscribed to, and what is sent to it, does not lapse."""
        for peer in self._leased:
            subscriber = self._subscribers.get(peer)
            if subscriber is not None and sender in (peer, subscriber.origin):
                subscriber.heard = now

    def lapse(self, now: float) -> dict[object, float]:
        """Forget those that were silent for longer than their lease; return these peers and their leases."""
        lapsed = {
            peer: subscriber.lease
            for peer, subscriber in self._subscribers.items()
            if subscriber.lease is not None and now - subscriber.heard > subscriber.lease
        }
        for peer in lapsed:
            del self._subscribers[peer]
        return lapsed

    def beat(self, now: float) -> Iterator[tuple[object, int]]:
        """Return the peers to which a heart-beat is due, and its number."""
        for peer, subscriber in self._subscribers.items():
            if now >= subscriber.next_beat:
                # Beats that were missed are not made up for.
                subscriber.next_beat += self._heartbeat
                if subscriber.next_beat <= now:
                    subscriber.next_beat = now + self._heartbeat
                subscriber.beats += 1
                yield peer, subscriber.beats

    def take(self, changed: list[str], now: float) -> Iterator[tuple[object, list[str]]]:
        """Return each peer and the addresses whose values it is to be sent now; `changed` are in the order of the table.

        What comes too soon for a pace is kept, and its newest value goes when it is due.
        """
        for peer, subscriber in self._subscribers.items():
            addresses: list[str] = []
            for pace in subscriber.paces:
                hits = [address for address in changed if address in pace.addresses]
                if pace.interval:
                    pace.waiting.update(hits)
                    hits = []
                    if pace.waiting and now >= pace.due:
                        hits = self._sorted(pace.waiting)
                        pace.waiting.clear()
                        pace.due = now + pace.interval
                addresses += hits
                if pace.telemetry and now >= pace.telemetry_due:
                    addresses += pace.telemetry
                    pace.telemetry_due = self._next_round(pace.interval, now)
            if addresses:
                yield peer, addresses

    def wait(self, now: float) -> float:
        """Return for how many seconds nothing becomes due by itself; infinite where nothing waits."""
        times = [pace.due for each in self._subscribers.values() for pace in each.paces if pace.waiting]
        times += [pace.telemetry_due for each in self._subscribers.values() for pace in each.paces if pace.telemetry]
        return max(0.0, min(times, default=float("inf")) - now)
