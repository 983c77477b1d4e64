"""What stands in a slot of a stem or of the master, what is turned on it, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from realtime.errors import HostError

MASTER = "master"
# Slots of a target, one after the other, and parameters of a plugin that can be reached.
SLOTS, PARAMETERS = 2, 24


@dataclass(frozen=True)
class Insert:
    """The plugin at `path` in `slot`, from 1, of `target`; `values` are (parameter from 1, value 0..1) that were set."""

    target: str
    slot: int
    path: str
    bypass: bool = False
    values: tuple[tuple[int, float], ...] = ()

    @property
    def place(self) -> tuple[str, int]:
        """Target and slot."""
        return self.target, self.slot


@dataclass(frozen=True)
class Place:
    """An order: have the plugin at `path` in this slot; "" for none."""

    target: str
    slot: int
    path: str


@dataclass(frozen=True)
class Turn:
    """An order: set `parameter`, from 1, to `value`, 0..1; parameter 0 is the bypass."""

    target: str
    slot: int
    parameter: int
    value: float


@dataclass(frozen=True)
class Parameter:
    """A parameter as the plugin tells it: `value` 0..1, `text` with its unit."""

    name: str
    value: float
    text: str


@dataclass(frozen=True)
class SlotNews:
    """How a slot stands: `off`, `loading`, `running`, `waiting: ` or `failed: ` and why; `misses` are its target's."""

    target: str
    slot: int
    path: str
    state: str
    misses: int = 0
    parameters: tuple[Parameter, ...] = ()


def targets(stems: Sequence[str]) -> tuple[str, ...]:
    """Return what inserts can be on: the master, and the stems that are not called so."""
    return (MASTER, *(stem for stem in stems if stem != MASTER))


def parse_inserts(texts: Sequence[str], stems: Sequence[str]) -> tuple[Insert, ...]:
    """Return what `TARGET=PATH` texts stand for, each target's in the order given. Raises HostError for what cannot be."""
    found: list[Insert] = []
    for text in texts:
        target, equals, path = text.partition("=")
        if not equals or not path:
            raise HostError(f"--insert {text}: it takes a target and a plugin, as in vocals=/usr/lib/vst3/ZamCompX2.vst3")
        if target not in targets(stems):
            raise HostError(f"--insert {text}: a plugin can be on one of {', '.join(targets(stems))}, not on {target!r}")
        slot = 1 + sum(insert.target == target for insert in found)
        if slot > SLOTS:
            raise HostError(f"--insert {text}: {target} has {SLOTS} slots, and both are taken")
        found.append(Insert(target, slot, path))
    return tuple(found)
