"""Everything one bench found, and the JSON document of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from realtime.bench.contest import Result
from realtime.bench.figures import Measured
from realtime.bench.flooded import FloodFigures
from realtime.bench.osc import OscFigures
from realtime.bench.tagged import TagFigures
from realtime.bench.windowed import WindowFigures


@dataclass(frozen=True)
class Refused:
    """A mode and run that could not be measured, and why, in a sentence."""

    mode: str
    run: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What one bench found on `machine`: `notes` are sentences on what is missing, `begun` is the time in UTC."""

    separator: str
    begun: str
    measured: tuple[Measured, ...]
    refused: tuple[Refused, ...]
    osc: OscFigures | None
    tagged: TagFigures | None
    flood: FloodFigures | None
    contest: tuple[Result, ...]
    notes: tuple[str, ...]
    machine: Mapping[str, object]
    window: WindowFigures | None = None

    @property
    def holds(self) -> bool:
        """Whether every mode could run and has the delay that is reported; misses are figures, not failures."""
        return not self.refused and all(each.figures.agrees for each in self.measured)

    def document(self) -> dict[str, object]:
        """Return what `--json` writes, without the courses of the runs."""
        return {
            "separator": self.separator,
            "begun": self.begun,
            "modes": [asdict(each.figures) for each in self.measured],
            "refused": [asdict(each) for each in self.refused],
            "osc": None if self.osc is None else asdict(self.osc),
            "tagged": None if self.tagged is None else asdict(self.tagged),
            "flood": None if self.flood is None else asdict(self.flood),
            "window": None if self.window is None else asdict(self.window),
            "peers": [asdict(each) for each in self.contest],
            "notes": list(self.notes),
            "machine": dict(self.machine),
        }
