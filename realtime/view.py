"""Telemetry made from a stream's taps, by whoever looks, in the stream's process or another."""

from __future__ import annotations

import threading
import time

import numpy as np

from realtime.meters import Meter, SpectrumView
from realtime.taps import Counts, Description, Taps
from realtime.telemetry import Telemetry
from realtime.track import TrackReader

# Meters and spectra are as old as this at most when somebody asks, and hold that long, in seconds.
INTERVAL = 1 / 30


class View:
    """Looks at `taps`; any thread may ask."""

    def __init__(self, taps: Taps, interval: float = INTERVAL) -> None:
        self._taps: Taps | None = taps
        self._input, self._output = TrackReader(taps.input), TrackReader(taps.output)
        self._interval = interval
        self._lock = threading.Lock()
        self._generation = 0
        self._meters: dict[str, Meter] = {}
        self._spectra: dict[str, SpectrumView] = {}
        self._levels: dict[str, tuple[float, float]] = {}
        self._bands: dict[str, bytes] = {}
        self._due = -1.0
        self._last: Telemetry | None = None
        self._stale_at = -1.0

    def telemetry(self) -> Telemetry | None:
        """Return the counts as they are now, and levels and spectra since they were last shown; None before the first hop."""
        with self._lock:
            return self._look()

    def position(self, wall: float) -> int | None:
        """Return which input sample stands at wall-clock time `wall`; None before sound runs.

        Made to be asked often: the clock it goes by may be as old as the levels.
        """
        if time.monotonic() >= self._stale_at:
            self.telemetry()
        return None if self._last is None else self._last.position_at(wall)

    def close(self) -> None:
        """Look a last time, and let go of the memory."""
        with self._lock:
            self._look()
            self._taps = self._input = self._output = None

    def _look(self) -> Telemetry | None:
        now = time.monotonic()
        self._stale_at = now + self._interval
        counts = None if self._taps is None else self._taps.counts()
        description = None if counts is None else self._taps.description(counts.generation)
        if description is None:
            return self._last
        if counts.generation != self._generation:
            self._arrange(counts.generation, description)
        if now >= self._due:
            self._due = now + self._interval
            self._listen()
        self._last = self._told(counts, description)
        return self._last

    def _arrange(self, generation: int, description: Description) -> None:
        self._generation = generation
        rates = {"input": description.engine_rate if description.latency.ahead else description.rate}
        rates["output"] = description.engine_rate
        kept = self._taps.layout.stems
        self._meters = {name: Meter() for name in (*rates, *description.names[:kept])}
        self._spectra = {name: SpectrumView(rates.get(name, description.engine_rate)) for name in self._meters}
        self._due = -1.0

    def _listen(self) -> None:
        for reader, names in ((self._input, ("input",)), (self._output, list(self._meters)[1:])):
            for stretch in reader.read():
                if stretch.generation != self._generation:
                    continue
                for name, sound in zip(names, stretch.sound, strict=False):
                    self._spectra[name].add(sound)
                    self._meters[name].add(sound)
        self._levels = {name: meter.read() for name, meter in self._meters.items()}
        self._bands = {name: spectrum.read() for name, spectrum in self._spectra.items()}

    def _told(self, counts: Counts, description: Description) -> Telemetry:
        work, rate = counts.work, description.rate
        rows = counts.attention.reshape(len(description.attends), -1) if counts.attention.size else np.zeros((0, 0))
        return Telemetry(
            hops=counts.hops,
            misses=counts.misses,
            xruns=counts.xruns,
            position=counts.position,
            latency=description.latency,
            rate=rate,
            hop=description.hop,
            block=description.block,
            work_ms=tuple(1000 * work.percentile(p) for p in (0.5, 0.99, 0.999)) + (1000 * work.longest,),
            deadline_ms=1000 * description.latency.reserve / rate,
            load=work.percentile(0.5) * rate / description.hop,
            meters=self._levels,
            spectra=self._bands,
            attention={name: tuple(row.tolist()) for name, row in zip(description.attends, rows, strict=False)},
            clock=None if counts.origin is None else (0, counts.origin),
        )
