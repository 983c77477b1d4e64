"""The tempo of a host: its source, its bars, and what settings wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from realtime.control import Refused, Value
from realtime.errors import HostError
from realtime.tempo.grid import Grid
from realtime.tempo.link import LinkClock, check_link
from realtime.tempo.midiclock import MidiClock
from realtime.tempo.quantiser import Message, Quantiser
from realtime.tempo.tap import Tap

ADDRESSES = ("/quantise", "/tempo/bpm", "/tempo/tap", "/tempo/beats", "/tempo/bars", "/tempo/source")
SLOWEST, FASTEST = 20.0, 400.0
# A followed tempo is told when it has moved so far, in beats per minute.
_TOLD = 0.1
# How long the end waits for a Link that has not begun yet, in seconds.
_LONGEST_BEGIN = 2.0


class Tempo:
    """Carries out the tempo's choices. `clock` returns seconds since 1970; `tell` sets what an address reads.

    The internal grid runs from construction at 120 beats a minute. Methods may be called from any thread; `tell` is
    never called by one that holds the tempo's lock.
    """

    def __init__(self, clock: Callable[[], float], tell: Callable[[str, Value], object]) -> None:
        self._clock, self._tell = clock, tell
        self._lock = threading.Lock()
        self._internal = Grid(0.0, clock(), 120.0)
        self._tap = Tap()
        self._midi = MidiClock()
        self._link: LinkClock | None = None
        # What the beat comes from, and what it was asked to come from: Link takes a while to begin.
        self._source = self._wanted = "internal"
        self._beginning: threading.Thread | None = None
        self._quantise, self._beats, self._bars = "off", 4, 4
        self._told = 120.0

    def quantiser(self) -> Quantiser:
        """Return one more place for what waits for a boundary of this tempo."""
        return Quantiser(self.grid, self.every)

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Raise Refused where one of ADDRESSES cannot be carried out, once those `before` have been."""
        address, values = message.address, message.values
        source = next((m.values[0] for m in reversed(before) if m.address == "/tempo/source"), self._wanted)
        if address == "/tempo/source" and values[0] == "link":
            try:
                check_link()
            except HostError as problem:
                raise Refused(address, f"{problem}; nothing was changed") from None
        elif address == "/tempo/tap" and source != "internal":
            raise Refused(address, f"the beat comes from {source}; set /tempo/source to internal to tap it; nothing was changed")
        elif address == "/tempo/bpm" and source == "midi":
            raise Refused(
                address, "the tempo is that of the MIDI clock; set /tempo/source to internal to choose it; nothing was changed"
            )

    def change(self, address: str, value: Value) -> None:
        """Carry out one of ADDRESSES. It returns at once: Link takes over as soon as it has begun."""
        now = self._clock()
        if address == "/quantise":
            self._quantise = str(value)
        elif address == "/tempo/beats":
            self._beats = int(value)
        elif address == "/tempo/bars":
            self._bars = int(value)
        elif address == "/tempo/source":
            self._choose(str(value))
            return
        elif address == "/tempo/tap":
            self._tapped(now)
            return
        elif address == "/tempo/bpm":
            self._set_tempo(float(value), now)
            return
        self._tell(address, value)

    def grid(self, now: float) -> Grid | None:
        """Return the grid of the source, as of `now`; None while it stands still."""
        with self._lock:
            return self._now(now)

    def every(self) -> int | None:
        """Return how many beats lie between two boundaries; None where settings do not wait."""
        return {"beat": 1, "bar": self._beats, "phrase": self._beats * self._bars}.get(self._quantise)

    def hear(self, status: int, data: int, time: float) -> None:
        """Take a MIDI message of the clock, its `status` 0xF2, 0xF8, 0xFA, 0xFB or 0xFC; `data` is a song position."""
        with self._lock:
            clock = self._midi
            if status == 0xF8:
                clock.tick(time)
            elif status == 0xFA:
                clock.start()
            elif status == 0xFB:
                clock.resume()
            elif status == 0xFC:
                clock.stop()
            elif status == 0xF2:
                clock.locate(data)

    def beat(self) -> None:
        """Tell the tempo where a followed source has changed it; to be called some times a second."""
        if self._source != "internal" and (grid := self.grid(self._clock())) is not None:
            self._tell_bpm(grid.bpm)

    def close(self) -> None:
        """Leave the session of Link, if there is one."""
        with self._lock:
            self._wanted, beginning = "internal", self._beginning
        if beginning is not None:
            beginning.join(_LONGEST_BEGIN)
        if self._link is not None:
            self._link.close()

    def _now(self, now: float) -> Grid | None:
        if self._source == "midi":
            return self._midi.grid(now)
        return self._internal if self._link is None else self._link.grid(self._beats * self._bars)

    def _choose(self, source: str) -> None:
        with self._lock:
            self._wanted = source
            begins = source == "link" and self._source != "link" and self._beginning is None
            if begins:
                # It opens sockets and threads, and loads a library the first time; nobody is to wait for that.
                self._beginning = threading.Thread(target=self._begin_link, name="link", daemon=True)
        if begins:
            self._beginning.start()
        elif source != "link":
            self._take_over(source, None)

    def _begin_link(self) -> None:
        try:
            link = LinkClock(self._told, self._clock)
        except Exception as problem:  # noqa: BLE001 - a library of others; what it says is told
            with self._lock:
                self._beginning, self._wanted = None, self._source
            self._tell("/notice", f"Ableton Link cannot be had ({problem}); the beat still comes from {self._source}.")
            return
        self._take_over("link", link)

    def _take_over(self, source: str, link: LinkClock | None) -> None:
        with self._lock:
            if link is not None:
                self._beginning = None
            left = link
            # Something else may have been asked for while Link began.
            if source == self._wanted:
                if source == "internal":
                    # The beat goes on as it was.
                    self._internal = self._now(self._clock()) or self._internal
                left, self._link, self._source = self._link, link, source
        if left is not None:
            left.close()
        told = None
        while told != self._source:
            told = self._source
            self._tell("/tempo/source", told)

    def _tapped(self, now: float) -> None:
        with self._lock:
            grid = self._tap.tap(now)
            # One tap alone keeps the tempo, and begins a bar.
            grid = grid or Grid(0.0, now, self._internal.bpm)
            self._internal = replace(grid, bpm=min(FASTEST, max(SLOWEST, grid.bpm)))
            bpm = self._internal.bpm
        self._tell_bpm(bpm)

    def _set_tempo(self, bpm: float, now: float) -> None:
        with self._lock:
            if self._link is not None:
                self._link.set_tempo(bpm)
            else:
                self._internal = self._internal.at_tempo(bpm, now)
        self._told = bpm
        self._tell("/tempo/bpm", bpm)

    def _tell_bpm(self, bpm: float) -> None:
        if abs(bpm - self._told) >= _TOLD:
            self._told = bpm
            self._tell("/tempo/bpm", min(FASTEST, max(SLOWEST, round(bpm, 2))))
