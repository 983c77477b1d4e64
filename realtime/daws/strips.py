"""The bridge between a host and a DAW that numbers its tracks: a track named like a stem is that stem.

Its fader is the stem's gain and its mute the stem's mute, both ways; a track called remainder has the remainder's gain.
Solo stays with the DAW, where it silences other tracks.
"""

from __future__ import annotations

import math
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from realtime import gainlaw
from realtime.control import Value
from realtime.daws.ends import End
from realtime.daws.surface import surface_for
from realtime.errors import HostError
from realtime.packets import decode, encode

Peer = tuple[str, int]

# Seconds between two signs of life that are asked for, and after which silence means that a program is gone.
AGAIN = 1.0
GONE = 4.0
MOST_TRACKS = 1024
# Packets of one program that are handled before the other's turn.
BATCH = 256
SILENCE_DB = -150.0
# Counts up as long as a host runs, and from nought when it was started anew.
_HOPS = "/telemetry/hops"


@dataclass(frozen=True)
class Outgoing:
    """A message to the DAW."""

    address: str
    tags: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Said:
    """What the DAW says of track `track`: its name, its gain (0..1, by our law) or whether it is muted."""

    track: int
    what: str
    value: str | float


class Dialect(Protocol):
    """How one DAW speaks OSC."""

    name: str
    # Whether it is never silent for long while it runs.
    beats: bool

    def hello(self) -> Sequence[Outgoing]:
        """Return what makes the DAW say everything it knows."""

    def understood(self, address: str, values: Sequence[object]) -> Said | None:
        """Return what a message of the DAW says of a track; None where it is about something else."""

    def gain(self, track: int, value: float) -> Outgoing:
        """Return what moves a fader to `value`, 0..1 by our law."""

    def mute(self, track: int, value: float) -> Outgoing:
        """Return what mutes (1) or opens (0) a track."""


def gain_of(decibels: float) -> float:
    """Return the normalised gain, 0..1, of `decibels`; more than +6 dB gives 1, NaN gives NaN."""
    if math.isnan(decibels):
        return decibels
    return 0.0 if decibels <= SILENCE_DB else gainlaw.from_linear(10 ** (min(decibels, gainlaw.TOP_DB) / 20))


def decibels_of(gain: float, silence: float) -> float:
    """Return the decibels of a normalised `gain`; `silence` for none."""
    linear = gainlaw.to_linear(gain)
    return silence if linear <= 0 else max(silence, 20 * math.log10(linear))


class Line:
    """A UDP socket for one program at `peer`; packets of others, and what is no OSC, are dropped.

    `port` is where the program sends to, 0 where it answers the sender. Raises HostError where the port is taken.
    """

    def __init__(self, peer: Peer, port: int = 0) -> None:
        try:
            self._peer = (socket.gethostbyname(peer[0]), peer[1])
        except OSError as error:
            raise HostError(f"there is no machine {peer[0]!r} ({error}); give a name or an address of one") from error
        here = "127.0.0.1" if ip_address(self._peer[0]).is_loopback else "0.0.0.0"
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        try:
            self.socket.bind((here, port))
        except OSError as error:
            self.socket.close()
            raise HostError(f"UDP port {port} cannot be had ({error}); choose another one") from error
        self.heard = 0.0
        self.asked = 0.0

    def send(self, address: str, tags: str, values: Sequence[Value]) -> None:
        """Send one message, or lose it."""
        try:
            self.socket.sendto(encode(address, tags, values), self._peer)
        except OSError:  # full, or nobody there: asked again soon
            pass

    def messages(self, now: float) -> Iterator[tuple[str, tuple[object, ...]]]:
        """Return the messages that have come."""
        for _ in range(BATCH):
            try:
                packet, sender = self.socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:  # some systems report here that an earlier receiver is gone
                continue
            if sender[0] != self._peer[0]:
                continue
            try:
                found = decode(packet)
            except HostError:
                continue
            self.heard = now
            yield from ((message.address, message.values) for _, message in found)


class Bridge:
    """Keeps a host's stems and the DAW's tracks of their names the same.

    Where they differ when both are there, the DAW's are taken: they belong to a song. `say` is told in sentences what
    is joined to what.
    """

    def __init__(self, host: Line, daw: Line, dialect: Dialect, say: Callable[[str], object] = print) -> None:
        self._host, self._daw, self._dialect, self._say = host, daw, dialect, say
        self._stems: tuple[str, ...] = ()
        # By the name of a track in small letters: what a track of that name has, and its address.
        self._addresses: dict[str, dict[str, str]] = {}
        # By address: what the host shows and what the DAW shows.
        self._ends: dict[str, tuple[End, End]] = {}
        # By number: what the DAW said of its tracks.
        self._tracks: dict[int, dict[str, str | float]] = {}
        self._joined: dict[str, int] = {}
        self._hops = 0
        self._begun = time.monotonic()
        self._reported = ""

    def run(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Carry messages while `goes_on`."""
        with selectors.DefaultSelector() as selector:
            for line in (self._host, self._daw):
                selector.register(line.socket, selectors.EVENT_READ)
            while goes_on():
                selector.select(0.1)
                self.turn(time.monotonic())

    def turn(self, now: float) -> None:
        """Handle what has come, and ask for what has not."""
        self._let_go(now)
        for address, values in self._host.messages(now):
            if address == "/stems":
                self._take_stems(tuple(str(name) for name in values), now)
            elif address == _HOPS and values and isinstance(values[0], int):
                self._host_lives(values[0])
            elif address in self._ends and len(values) == 1 and isinstance(values[0], int | float):
                self._host_says(address, float(values[0]), now)
        for address, values in self._daw.messages(now):
            said = self._dialect.understood(address, values)
            if said is not None and 0 < said.track <= MOST_TRACKS:
                self._daw_says(said, now)
        self._say_belated(now)
        self._ask(now)
        self._report(now)

    def _let_go(self, now: float) -> None:
        """Forget what a program said that is gone: it may come back with other values."""
        if self._host.heard and now - self._host.heard > GONE:
            self._host.heard = 0.0
            self._forget_host()
        if self._daw.heard and self._dialect.beats and now - self._daw.heard > GONE:
            self._daw.heard = 0.0
            self._tracks.clear()
            self._join(now)

    def _ask(self, now: float) -> None:
        if now - self._host.asked >= AGAIN:
            self._host.asked = now
            if self._host.heard and self._stems:
                # To subscribe again would bring values back that are older than what is on its way.
                self._host.send("/get", "s", (_HOPS,))
            else:
                self._subscribe()
        if now - self._daw.asked >= AGAIN and not self._daw.heard:
            self._daw.asked = now
            for message in self._dialect.hello():
                self._daw.send(message.address, message.tags, message.values)

    def _take_stems(self, stems: tuple[str, ...], now: float) -> None:
        if stems == self._stems:
            return
        self._stems = stems
        self._addresses = {}
        for strip in surface_for(stems).strips:
            own = self._addresses[strip.name.lower()] = {"gain": strip.gain.address}
            if strip.mute:
                own["mute"] = strip.mute.address
        self._ends = {address: (End(), End()) for own in self._addresses.values() for address in own.values()}
        self._joined = {}
        self._join(now)
        # What came before the names of the stems was not understood.
        self._subscribe()

    def _subscribe(self) -> None:
        for prefix in ("/stems", "/stem", "/remainder"):
            self._host.send("/subscribe", "s", (prefix,))

    def _host_lives(self, hops: int) -> None:
        if hops < self._hops:
            self._forget_host()
            self._subscribe()
        self._hops = hops

    def _forget_host(self) -> None:
        for host, _ in self._ends.values():
            host.forget()

    def _join(self, now: float) -> None:
        """Find the track of each name; of several, the first."""
        joined: dict[str, int] = {}
        for track in sorted(self._tracks):
            name = str(self._tracks[track].get("name", "")).strip().lower()
            if name in self._addresses:
                joined.setdefault(name, track)
        for name, own in self._addresses.items():
            if joined.get(name) == self._joined.get(name):
                continue
            for address in own.values():
                self._ends[address][1].forget()
        before, self._joined = self._joined, joined
        for name, track in joined.items():
            if before.get(name) != track:
                for what, value in self._tracks[track].items():
                    self._daw_shows(name, what, value, now)

    def _daw_says(self, said: Said, now: float) -> None:
        track = self._tracks.setdefault(said.track, {})
        renamed = said.what == "name" and track.get("name") != said.value
        track[said.what] = said.value
        if renamed:
            self._join(now)
            return
        for name, number in self._joined.items():
            if number == said.track:
                self._daw_shows(name, said.what, said.value, now)

    def _daw_shows(self, name: str, what: str, value: str | float, now: float) -> None:
        address = self._addresses[name].get(what)
        if address is None or math.isnan(float(value)):
            return
        if self._ends[address][1].says(float(value), now):
            self._pass_to_host(address, now)

    def _host_says(self, address: str, value: float, now: float) -> None:
        host, daw = self._ends[address]
        first = host.value is None
        if not host.says(value, now):
            return
        if not first:
            self._pass_to_daw(address, now)
        elif daw.value is not None:
            self._pass_to_host(address, now)

    def _say_belated(self, now: float) -> None:
        for address, (host, daw) in self._ends.items():
            if host.belated(now):
                self._pass_to_daw(address, now)
            if daw.belated(now):
                self._pass_to_host(address, now)

    def _pass_to_host(self, address: str, now: float) -> None:
        host, daw = self._ends[address]
        # A host that has not said anything yet is not there: it is told as soon as it is.
        if host.value is not None and not host.has(daw.value):
            self._tell_host(address, daw.value, now)

    def _pass_to_daw(self, address: str, now: float) -> None:
        host, daw = self._ends[address]
        if daw.value is None or daw.has(host.value):
            return
        daw.told(host.value, now)
        name, what = next((n, w) for n, own in self._addresses.items() for w, a in own.items() if a == address)
        make = self._dialect.mute if what == "mute" else self._dialect.gain
        message = make(self._joined[name], host.value)
        self._daw.send(message.address, message.tags, message.values)

    def _tell_host(self, address: str, value: float, now: float) -> None:
        host, _ = self._ends[address]
        host.told(value, now)
        if address.endswith("/mute"):
            self._host.send(address, "i", (round(value),))
        else:
            self._host.send(address, "f", (value,))

    def _report(self, now: float) -> None:
        if now < self._begun + AGAIN:
            return
        name = self._dialect.name
        if not self._host.heard or not self._stems:
            text = "no host answers; start run_live.py, or say where it is with --host"
        elif not self._daw.heard:
            text = f"{name} does not answer; its OSC must be on (docs/daws has a page about it)"
        else:
            there = ", ".join(self._joined) or "none"
            missing = ", ".join(n for n in self._addresses if n not in self._joined) or "none"
            text = f"joined to tracks of {name}: {there}; without a track of its name: {missing}"
        if text != self._reported:
            self._reported = text
            self._say(text)
