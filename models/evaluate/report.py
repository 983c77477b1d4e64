"""Everything one run of the evaluation found, and the JSON document of it."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from models.evaluate.bss import Ratios
from models.evaluate.contestant import Contestant
from models.evaluate.evaluation import Manner, SetFigures, mean_over_stems
from realtime.bench import machine
from realtime.errors import HostError


@dataclass(frozen=True)
class Report:
    """`sets`, the first of which is what was asked for; `manners` by row, none where only SDR was wanted."""

    material: str
    split: str
    seed: int
    contestants: tuple[Contestant, ...]
    sets: tuple[SetFigures, ...]
    manners: dict[str, Manner]
    notes: tuple[str, ...]

    @property
    def first(self) -> SetFigures:
        """The figures of what was asked for."""
        return self.sets[0]

    @property
    def ratios(self) -> bool:
        """Whether museval's ratios were taken."""
        return any(row.bss for row in self.first.rows.values())

    def document(self) -> dict[str, object]:
        """Return the figures as plain data; what is no finite number is None."""
        return _finite(
            {
                "material": self.material,
                "split": self.split,
                "set": self.first.name,
                "count": len(self.first.tracks),
                "equal_loudness": self.first.equal,
                "seed": self.seed,
                "weights": {each.name: each.weights for each in self.contestants},
                "files": {each.name: each.file_hash for each in self.contestants},
                "sdr": {label: row.sdr for label, row in self.first.rows.items()},
                "sets": {each.name: _set(each) for each in self.sets},
                "behaviour": {
                    label: asdict(manner.behaviour) | {"switch": manner.switch and asdict(manner.switch)}
                    for label, manner in self.manners.items()
                },
                "costs": {
                    label: asdict(manner.costs) | {"load": manner.costs.load, "sdr": self.first.rows[label].sdr}
                    for label, manner in self.manners.items()
                    if manner.costs
                },
                "notes": list(self.notes),
                "machine": machine() | {"soundfile": version("soundfile")},
            }
        )


def _set(figures: SetFigures) -> dict[str, object]:
    return {
        "tracks": list(figures.tracks),
        "audio": figures.audio,
        "rows": {
            label: {
                "sdr": row.sdr,
                "sdr_mean": mean_over_stems(row.sdr),
                "v4_sdr": row.frames,
                "v4_sdr_mean": mean_over_stems(row.frames),
                "museval": {stem: asdict(ratios) for stem, ratios in row.bss.items()},
                "sdr_by_track": row.each,
            }
            for label, row in figures.rows.items()
        },
    }


def mean_ratios(bss: dict[str, Ratios]) -> Ratios:
    """Return the means of museval's ratios over the four stems."""
    return Ratios(*(mean_over_stems({s: getattr(r, kind) for s, r in bss.items()}) for kind in Ratios.__annotations__))


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def check_writable(path: Path) -> None:
    """Raise HostError where `path` cannot be written, before there is anything to lose."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise HostError(f"{path.parent} cannot be made ({problem.strerror}); nothing was measured") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise HostError(f"{path} cannot be written; nothing was measured, choose another place")
