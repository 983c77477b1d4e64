"""The separators that are measured: files, names, and published checkpoints, which become files first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from models.data.corpus import RATE, STEMS
from realtime.errors import HostError
from realtime.library import find_separator, list_separators
from realtime.separator import Separator

CHECKPOINTS = (".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class Contestant:
    """A separator under the name it has in the tables; `file_hash` is the SHA-256 of its file."""

    name: str
    separator: Separator
    file_hash: str

    @property
    def weights(self) -> str:
        """The SHA-256 of the parameters, as the file states it."""
        return self.separator.metadata.weights


def contestant(given: str, workshop: Path) -> Contestant:
    """Return the separator that `given` names: a known one, a file, or a checkpoint, which is exported to `workshop`.

    Raises HostError where there is none, and where it gives stems or needs a rate that there is no music for.
    """
    path = Path(given).expanduser()
    if path.suffix in CHECKPOINTS:
        try:
            from models.checkpoint import import_checkpoint
        except ImportError as problem:
            raise HostError(f"a checkpoint needs the train extra ({problem}): pip install -e '.[train]'") from None
        path = import_checkpoint(path, path.stem, workshop)
    else:
        path = find_separator(given)
    separator = Separator.load(path)
    meta = separator.metadata
    if unknown := sorted(set(meta.stems) - set(STEMS)):
        raise HostError(
            f"separator '{given}' gives '{unknown[0]}', and the corpus has only {', '.join(STEMS)} to compare with"
        )
    if meta.sample_rates[0] != RATE:
        raise HostError(f"separator '{given}' runs at {meta.sample_rates[0]} Hz, and the music is at {RATE} Hz")
    return Contestant(meta.name, separator, hashlib.sha256(path.read_bytes()).hexdigest())


def all_at_hand(workshop: Path) -> tuple[list[Contestant], list[str]]:
    """Return every shipped and user's separator that can be measured, and a sentence on each that cannot."""
    found, notes = [], []
    for name, path in list_separators().items():
        try:
            found.append(contestant(name, workshop))
        except HostError as problem:
            notes.append(f"left out: {problem}".replace(str(path), path.name))
    return found, notes


def told_apart(contestants: Iterable[Contestant]) -> list[Contestant]:
    """Return the contestants, each once, those of one name with a part of their file's hash behind it."""
    each = {contestant.file_hash: contestant for contestant in contestants}.values()
    names = [contestant.name for contestant in each]
    return [c if names.count(c.name) == 1 else replace(c, name=f"{c.name} {c.file_hash[:6]}") for c in each]
