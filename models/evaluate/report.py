"""Everything one run of the evaluation found, and the JSON document of it, from which it can be read again."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from models.evaluate.behaviour import Behaviour, Switch
from models.evaluate.bss import Ratios
from models.evaluate.cache import code_hash, versions
from models.evaluate.costs import Costs
from models.evaluate.evaluation import Manner, RowFigures, SetFigures, mean_over_stems
from realtime.bench import machine
from realtime.errors import HostError

DIGITS = 4
"""Decimals of the figures in a document: a ten-thousandth of a dB is nothing, and documents are to be committed."""


@dataclass(frozen=True)
class Source:
    """Where rows come from: the `name` of a separator, and the SHA-256 of its `weights` and of its `file`."""

    name: str
    weights: str
    file: str


@dataclass(frozen=True)
class Report:
    """What one run found.

    `command` is its command line, paths cut down to names; `rows` tells for the label of every separator's row the name
    of its source, `delays` its added delay in ms; `sets`, the first of which is what was asked for; `manners` by row,
    measured on the tracks `manners_on`, none where only SDR was wanted; `code` is the SHA-256 of what measured, on
    `machine`.
    """

    command: str
    material: str
    split: str
    seed: int
    sources: tuple[Source, ...]
    rows: dict[str, str]
    delays: dict[str, float]
    sets: tuple[SetFigures, ...]
    manners: dict[str, Manner]
    manners_on: tuple[str, ...]
    notes: tuple[str, ...]
    machine: dict[str, object]
    code: str

    @property
    def first(self) -> SetFigures:
        """The figures of what was asked for."""
        return self.sets[0]

    @property
    def ratios(self) -> bool:
        """Whether museval's ratios were taken."""
        return any(row.bss for row in self.first.rows.values())

    def document(self) -> dict[str, object]:
        """Return the figures as plain data, rounded; what is no finite number is None."""
        sources = {each.name: each for each in self.sources}
        return _rounded(
            {
                "command": self.command,
                "material": self.material,
                "split": self.split,
                "set": self.first.name,
                "count": len(self.first.tracks),
                "equal_loudness": self.first.equal,
                "seed": self.seed,
                "weights": {each.name: each.weights for each in self.sources},
                "files": {each.name: each.file for each in self.sources},
                "rows": {
                    label: {"separator": name, "weights": sources[name].weights, "delay_ms": self.delays[label]}
                    for label, name in self.rows.items()
                },
                "sdr": {label: row.sdr for label, row in self.first.rows.items()},
                "sets": {each.name: _set(each) for each in self.sets},
                "behaviour": {
                    label: asdict(manner.behaviour) | {"switch": manner.switch and asdict(manner.switch)}
                    for label, manner in self.manners.items()
                },
                "behaviour_on": list(self.manners_on),
                "costs": {
                    label: asdict(manner.costs) | {"load": Costs(**_rounded(asdict(manner.costs))).load}
                    for label, manner in self.manners.items()
                    if manner.costs
                },
                "notes": list(self.notes),
                "machine": self.machine,
                "code": self.code,
            }
        )


def _set(figures: SetFigures) -> dict[str, object]:
    return {
        "tracks": list(figures.tracks),
        "equal_loudness": figures.equal,
        "audio": figures.audio,
        "rows": {
            label: {
                "sdr": row.sdr,
                "sdr_mean": _mean(row.sdr),
                "v4_sdr": row.frames,
                "v4_sdr_mean": _mean(row.frames),
                "museval": {stem: asdict(ratios) for stem, ratios in row.bss.items()},
                "sdr_by_track": row.each,
            }
            for label, row in figures.rows.items()
        },
    }


def _mean(values: dict[str, float]) -> float:
    """Return the mean of the values as the document has them, so that one read again makes the same document."""
    return mean_over_stems({stem: round(value, DIGITS) for stem, value in values.items()})


def text_of(document: dict[str, object]) -> str:
    """Return `document` as JSON, what holds no further lists or objects on one line: short, and good to compare."""
    return _lines(document, "") + "\n"


def _lines(value: object, indent: str) -> str:
    inner = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inner, list) or not any(isinstance(each, dict | list) for each in inner):
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + " "
    heads = (
        [json.dumps(key, ensure_ascii=False) + ": " for key in value] if isinstance(value, dict) else [""] * len(inner)
    )
    parts = ",\n".join(f"{deeper}{head}{_lines(each, deeper)}" for head, each in zip(heads, inner, strict=True))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{parts}\n{indent}{closing}"


def read_report(path: Path) -> Report:
    """Return the report whose document is at `path`. Raises HostError where there is none."""
    try:
        found = _numbers(json.loads(path.read_text(encoding="utf-8")))
        sources = tuple(Source(name, weights, found["files"][name]) for name, weights in found["weights"].items())
        manners = {}
        for label, each in found["behaviour"].items():
            switch = each.pop("switch")
            costs = {key: value for key, value in found["costs"].get(label, {}).items() if key != "load"}
            manners[label] = Manner(Behaviour(**each), switch and Switch(**switch), Costs(**costs) if costs else None)
        return Report(
            command=found["command"],
            material=found["material"],
            split=found["split"],
            seed=found["seed"],
            sources=sources,
            rows={label: row["separator"] for label, row in found["rows"].items()},
            delays={label: row["delay_ms"] for label, row in found["rows"].items()},
            sets=tuple(_read_set(name, each) for name, each in found["sets"].items()),
            manners=manners,
            manners_on=tuple(found["behaviour_on"]),
            notes=tuple(found["notes"]),
            machine=found["machine"],
            code=found["code"],
        )
    except OSError as problem:
        raise HostError(f"figures {path} cannot be read ({problem.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise HostError(f"{path} holds no figures; write them with python -m models.evaluate --json FILE") from None


def _read_set(name: str, found: dict) -> SetFigures:
    rows = {
        label: RowFigures(
            sdr=row["sdr"],
            frames=row["v4_sdr"],
            bss={stem: Ratios(**ratios) for stem, ratios in row["museval"].items()},
            each=row["sdr_by_track"],
        )
        for label, row in found["rows"].items()
    }
    return SetFigures(name, found["equal_loudness"], tuple(found["tracks"]), found["audio"], rows)


def _numbers(value: object) -> object:
    """Return `value` with NaN for every None among numbers; `switch`, which may be None as a whole, stays so."""
    if isinstance(value, dict):
        return {key: each if key == "switch" and each is None else _numbers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    return math.nan if value is None else value


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value


def mean_ratios(bss: dict[str, Ratios]) -> Ratios:
    """Return the means of museval's ratios over the four stems."""
    return Ratios(*(mean_over_stems({s: getattr(r, kind) for s, r in bss.items()}) for kind in Ratios.__annotations__))


def command_of(arguments: Sequence[str]) -> str:
    """Return the command line with these arguments, every path in it cut down to its last name."""
    words = ["python", "-m", "models.evaluate"]
    for argument in arguments:
        option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        words.append(option + equals + (PurePath(value).name or value))
    return " ".join(f"'{word}'" if " " in word else word for word in words)


def measured_by() -> dict[str, object]:
    """Return what measured: {"machine", "code"}, for a Report."""
    # Of the system its kind: the build of a kernel changes no figure.
    system = f"{platform.system()} {platform.machine()}"
    return {"machine": machine() | {"system": system} | versions(), "code": code_hash()}


def check_writable(path: Path) -> None:
    """Raise HostError where `path` cannot be written, before there is anything to lose."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise HostError(f"{path.parent} cannot be made ({problem.strerror}); nothing was measured") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise HostError(f"{path} cannot be written; nothing was measured, choose another place")
