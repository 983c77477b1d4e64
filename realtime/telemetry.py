"""What the engine tells the outside about one stretch of its run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

from realtime.control import Value
from realtime.latency import Latency

LARGEST_INT = 2**31 - 1


@dataclass(frozen=True)
class Telemetry:
    """A snapshot of a running engine.

    `position` counts input samples since the start, at `rate` Hz, without what is read ahead. `hop` is
    what one call of the separator finishes, in samples; `hops` and `misses` count those. `work_ms` is p50,
    p99, p99.9 and max of the time a hop took; a hop not ready after `deadline_ms` is a miss. `load` is the
    median work over the hop's duration. `meters` maps "input", "output" and, in stems, each stem to
    (peak, rms), linear. `spectra` maps the same names to 128 bytes, log-spaced bands from
    30 Hz to 20 kHz, 0 = -90 dBFS or less, 255 = 0 dBFS. `attention` maps each stem, in single "", to how much
    the separator's layers take of each latent source, latents changing fastest. `clock` pairs an input position with the
    wall-clock time, seconds since 1970, at which its sample was taken in.
    """

    hops: int
    misses: int
    xruns: int
    position: int
    latency: Latency
    rate: int
    hop: int
    block: int
    work_ms: tuple[float, float, float, float]
    deadline_ms: float
    load: float
    meters: dict[str, tuple[float, float]] = field(default_factory=dict)
    spectra: dict[str, bytes] = field(default_factory=dict)
    attention: dict[str, tuple[float, ...]] = field(default_factory=dict)
    clock: tuple[int, float] | None = None

    def after(self, before: Self | None) -> Self:
        """Return this with what was counted `before`, in a run that this one goes on from."""
        if before is None:
            return self
        sums = {name: getattr(self, name) + getattr(before, name) for name in ("hops", "misses", "xruns")}
        return replace(self, **sums)

    def standing_still(self) -> Self:
        """Return the same counts while there is no sound: meters at zero, and no clock."""
        meters = dict.fromkeys(self.meters, (0.0, 0.0))
        return replace(self, load=0.0, meters=meters, spectra={}, attention={}, clock=None)

    def position_at(self, wall: float) -> int | None:
        """Return which input sample stands at wall-clock time `wall`; None before sound runs."""
        return None if self.clock is None else round(self.clock[0] + (wall - self.clock[1]) * self.rate)


def telemetry_values(snapshot: Telemetry, late: int) -> dict[str, tuple[Value, ...]]:
    """Return address -> value for `snapshot`; `late` counts bundles that came after their time."""
    delay = snapshot.latency
    counts = {"hops": snapshot.hops, "misses": snapshot.misses, "xruns": snapshot.xruns, "late": late}
    values: dict[str, tuple[Value, ...]] = {
        "/telemetry/latency": (delay.added,),
        "/telemetry/latency/ms": (1000 * delay.added / snapshot.rate,),
        "/telemetry/latency/split": (delay.text(snapshot.rate),),
        "/telemetry/load": (snapshot.load,),
        "/telemetry/work": tuple(snapshot.work_ms),
        "/telemetry/deadline": (snapshot.deadline_ms,),
        "/telemetry/position": (snapshot.position / snapshot.rate,),
    }
    values |= {f"/telemetry/{name}": (min(count, LARGEST_INT),) for name, count in counts.items()}
    values |= {f"/telemetry/meter/{name}": tuple(pair) for name, pair in snapshot.meters.items()}
    values |= {f"/telemetry/spectrum/{name}": (data,) for name, data in snapshot.spectra.items()}
    for name, weights in snapshot.attention.items():
        values[f"/telemetry/attention/{name}" if name else "/telemetry/attention"] = weights
    return values
