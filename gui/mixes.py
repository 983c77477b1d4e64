"""The performer's own presets: mixes in a file that a person can read and change."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from platformdirs import user_config_path

LOUDEST = 2.0
LONGEST_NAME = 40


@dataclass(frozen=True)
class Mix:
    """A `name` and the linear gain of each stem, 0..2. `rest` holds what else the file says of it, kept as it was."""

    name: str
    gains: Mapping[str, float]
    rest: Mapping[str, object] = field(default_factory=dict)


def mixes_file() -> Path:
    """Return where this user's mixes are kept."""
    return user_config_path("lasaft-live", appauthor=False) / "mixes.json"


class Shelf:
    """The mixes in `path`, in their order; every change is written at once, whole or not at all.

    What cannot be read is left out and named in a sentence to `tell`; a file that is no list of mixes at all is kept under
    another name before a new one takes its place. Keys that this version does not know are kept.
    """

    def __init__(self, path: Path, tell: Callable[[str], object] = lambda sentence: None) -> None:
        self.path = path
        self.mixes: list[Mix] = []
        self._tell = tell
        self._rest: dict[str, object] = {}
        # Entries of the file that are no mixes, kept for whoever can read them.
        self._strange: list[object] = []
        self._load()

    def store(self, gains: Mapping[str, float]) -> int:
        """Add a mix of `gains` under a name of its own; return its place."""
        names = {mix.name for mix in self.mixes}
        number = next(n for n in range(1, len(names) + 2) if f"mix {n}" not in names)
        self.mixes.append(Mix(f"mix {number}", dict(gains)))
        self._save()
        return len(self.mixes) - 1

    def rename(self, index: int, name: str) -> None:
        """Call mix `index` something else; an empty name changes nothing, and a long one is cut."""
        name = " ".join(name.split())[:LONGEST_NAME]
        if name and name != self.mixes[index].name:
            self.mixes[index] = replace(self.mixes[index], name=name)
            self._save()

    def move(self, index: int, to: int) -> int:
        """Put mix `index` at place `to`, or the nearest there is; return it."""
        to = min(len(self.mixes) - 1, max(0, to))
        if to != index:
            self.mixes.insert(to, self.mixes.pop(index))
            self._save()
        return to

    def delete(self, index: int) -> None:
        """Forget mix `index`."""
        del self.mixes[index]
        self._save()

    def _load(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as problem:
            self._set_aside(str(problem))
            return
        try:
            found = json.loads(text)
            entries = found["mixes"]
            if not isinstance(entries, list):
                raise TypeError("mixes is not a list")
        except (ValueError, TypeError, KeyError, RecursionError) as problem:
            self._set_aside(f"{problem!r:.80}")
            return
        self._rest = {key: value for key, value in found.items() if key != "mixes"}
        for number, entry in enumerate(entries, 1):
            try:
                self.mixes.append(_mix_of(entry))
            except (ValueError, TypeError, KeyError, AttributeError) as problem:
                self._strange.append(entry)
                self._tell(f"{self.path.name}: mix {number} cannot be used ({problem}); it stays in the file, the others are here")

    def _set_aside(self, why: str) -> None:
        aside = self.path.with_suffix(".unreadable")
        try:
            os.replace(self.path, aside)
            kept = f"it is kept as {aside.name}, and a new one is begun"
        except OSError:
            kept = "it is left as it is"
        self._tell(f"{self.path} is no list of mixes ({why}); {kept}")

    def _save(self) -> None:
        entries = [{**mix.rest, "name": mix.name, "gains": {s: round(g, 4) for s, g in mix.gains.items()}} for mix in self.mixes]
        text = json.dumps({**self._rest, "mixes": [*entries, *self._strange]}, indent=2, ensure_ascii=False) + "\n"
        fresh = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, self.path)
        except OSError as problem:
            self._tell(f"the mixes cannot be written to {self.path} ({problem.strerror}); they are kept until the window closes")


def _mix_of(entry: dict) -> Mix:
    name, gains = entry["name"], entry["gains"]
    if not isinstance(name, str) or not name.strip():
        raise ValueError("its name is no text")
    kept = {}
    for stem, gain in gains.items():
        if isinstance(gain, bool) or not isinstance(gain, int | float) or not math.isfinite(gain) or not 0.0 <= gain <= LOUDEST:
            raise ValueError(f"the gain of {stem} is {gain!r:.20}, not a number from 0 to {LOUDEST:g}")
        kept[stem] = float(gain)
    if not kept:
        raise ValueError("it has no gains")
    rest = {key: value for key, value in entry.items() if key not in ("name", "gains")}
    return Mix(" ".join(name.split())[:LONGEST_NAME], kept, rest)
