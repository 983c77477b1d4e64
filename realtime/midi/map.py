"""The MIDI map: a readable file of entries, which keeps what it does not understand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from platformdirs import user_config_dir

from realtime.control import Control, Refused, shown
from realtime.errors import HostError
from realtime.midi.entry import ACTIONS, Entry, action_for, gradual, mappable, needs_value
from realtime.midi.source import ENCODINGS, KINDS, Source
from realtime.toml import bare, literal
from realtime.wholewrite import write_whole

HEADING = """\
# LaSAFT Live: what moves what over MIDI. docs/control/midi.md says what may stand here.
# Learning changes the entry that is learnt; the rest of the file stays as it is.
"""
# A larger file is no map.
LARGEST = 1 << 20
MOST_ENTRIES = 1000
_HEADER = re.compile(r"^\s*\[{1,2}[\w .\"'-]+\]{1,2}\s*(#.*)?$")
_ENTRY = re.compile(r"^\s*\[\[\s*map\s*\]\]\s*(#.*)?$")
_PLACE = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")
_NUMBERED = [kind for kind in KINDS if kind != "bend"]


def default_path() -> Path:
    """Return the file of the map that is used where none is named; it may not exist yet."""
    return Path(user_config_dir("lasaft-live", appauthor=False)) / "midi.toml"


@dataclass(frozen=True)
class Block:
    """A stretch of the file: an entry's, or one that is kept as it is."""

    text: str
    entry: Entry | None = None


@dataclass(frozen=True)
class MidiMap:
    """The blocks of a map's file in their order; `problems` says, a sentence each, which entries are left out and why."""

    blocks: tuple[Block, ...] = (Block(HEADING),)
    problems: tuple[str, ...] = field(default=(), compare=False)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries that hold."""
        return tuple(block.entry for block in self.blocks if block.entry is not None)

    @property
    def text(self) -> str:
        """The whole file."""
        return "".join(block.text for block in self.blocks)

    def learnt(self, entry: Entry) -> MidiMap:
        """Return the map with `entry`, which takes the place of what its control, and what its knob, had.

        Of an entry of the same control the ends, the file's own keys and the like are kept.
        """
        blocks: list[Block] = []
        placed = False
        for block in self.blocks:
            old = block.entry
            if old is not None and (old.control, old.value) == (entry.control, entry.value) and not placed:
                kept = replace(old, source=entry.source, action=entry.action)
                blocks.append(Block(entry_text(kept) + _gap(block.text), kept))
                placed = True
            elif old is None or not (
                old.source.same_place(entry.source) or (old.control, old.value) == (entry.control, entry.value)
            ):
                blocks.append(block)
        if not placed:
            if blocks and not blocks[-1].text.endswith("\n\n"):
                last = blocks[-1]
                blocks[-1] = replace(last, text=last.text.rstrip("\n") + "\n\n")
            blocks.append(Block(entry_text(entry), entry))
        return replace(self, blocks=tuple(blocks))

    def without(self, control: str | None) -> MidiMap:
        """Return the map without what moves `control`; None leaves no entry."""
        gone = [b for b in self.blocks if b.entry is not None and control in (None, b.entry.control)]
        return replace(self, blocks=tuple(block for block in self.blocks if block not in gone))


def read_map(path: Path, controls: Mapping[str, Control], must: bool = False) -> MidiMap:
    """Return the map in the file at `path`; an empty one where there is none, unless there `must` be one.

    Raises HostError where it cannot be read at all; what is wrong with single entries is in its `problems`.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise HostError(f"the MIDI map {path} is larger than a megabyte: that is no map")
        return parse_map(data.decode(), path.name, controls)
    except FileNotFoundError:
        if must:
            raise HostError(f"there is no MIDI map {path}: name one that there is, or leave --midi-map out") from None
        return MidiMap()
    except IsADirectoryError:
        raise HostError(f"{path} is a folder: name the MIDI map's file in it") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise HostError(f"the MIDI map {path} cannot be read: {problem}") from None


def write_map(path: Path, midi_map: MidiMap) -> None:
    """Write the file at `path`, all or nothing. Raises HostError where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, midi_map.text)
    except OSError as problem:
        raise HostError(f"the MIDI map {path} cannot be written: {problem}; it holds until the host ends") from None


def parse_map(text: str, name: str, controls: Mapping[str, Control]) -> MidiMap:
    """Return the map of `text`; an entry that is wrong is named with `name`, line and field, and left out."""
    blocks, problems = [], []
    count = 0
    for line, part in _parts(text):
        entry = None
        is_entry = _ENTRY.match(part.split("\n", 1)[0]) is not None
        try:
            table = tomllib.loads(part)
            if is_entry:
                count += 1
                if count > MOST_ENTRIES:
                    raise _Wrong("map", f"a map has at most {MOST_ENTRIES} entries")
                entry = _entry(table["map"][0], controls)
            elif "map" in table:
                problems.append(f"{name}, line {line}, map: an entry begins with [[map]]; {_LEFT_OUT[True]}")
        except tomllib.TOMLDecodeError as problem:
            at, what = _syntax(str(problem), part)
            key = _key(part.split("\n")[at])
            problems.append(f"{name}, line {line + at}{f', {key}' if key else ''}: {what}; {_LEFT_OUT[is_entry]}")
        except _Wrong as wrong:
            at = next((n for n, row in enumerate(part.split("\n")) if _key(row) == wrong.key), 0)
            problems.append(f"{name}, line {line + at}, {wrong.key}: {wrong}; {_LEFT_OUT[True]}")
        blocks.append(Block(part, entry))
    return MidiMap(tuple(blocks), tuple(problems))


def entry_text(entry: Entry) -> str:
    """Return the lines of the file that mean `entry`."""
    source = entry.source
    fields = {
        "control": entry.control,
        "from": source.kind,
        "number": None if source.kind == "bend" else source.number,
        "channel": source.channel,
        "encoding": source.encoding,
        "action": entry.action,
        "value": entry.value,
    }
    plain = Entry(entry.control, source, entry.action)
    fields |= {
        name: getattr(entry, name)
        for name in ("low", "high", "step", "takeover", "feedback")
        if getattr(entry, name) != getattr(plain, name)
    }
    rows = [f"{name} = {literal(value)}" for name, value in fields.items() if value is not None]
    rows += [f"{bare(name)} = {literal(value)}" for name, value in entry.extra.items()]
    return "\n".join(["[[map]]", *rows]) + "\n"


class _Wrong(Exception):
    """`key` of an entry does not fit."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


_LEFT_OUT = {True: "this entry is left out, and the rest holds", False: "these lines mean nothing, and the rest holds"}


def _parts(text: str) -> list[tuple[int, str]]:
    """Return the stretches of `text` from one table's header to the next, each with the number of its first line."""
    parts: list[tuple[int, list[str]]] = [(1, [])]
    for number, row in enumerate(text.splitlines(keepends=True), 1):
        if _HEADER.match(row):
            parts.append((number, []))
        parts[-1][1].append(row)
    return [(number, "".join(rows)) for number, rows in parts if rows]


def _entry(table: dict, controls: Mapping[str, Control]) -> Entry:
    known = {"control", "from", "number", "channel", "encoding", "action", "value", "low", "high", "step", "takeover", "feedback"}

    def number(key: str, low: float, high: float, default: float | None, whole: bool) -> float | None:
        value = table.get(key, default)
        fits = value is None or (isinstance(value, int if whole else int | float) and not isinstance(value, bool))
        if not fits or (value is not None and not low <= value <= high):
            raise _Wrong(key, f"it is a {'whole ' * whole}number from {low:g} to {high:g}, not {shown(value)}")
        return value

    def word(key: str, allowed: Mapping | tuple, default: str | None = None) -> str | None:
        value = table.get(key, default)
        if value is not None and (not isinstance(value, str) or value not in allowed):
            raise _Wrong(key, f"it is one of {', '.join(allowed)}, not {shown(value)}")
        return value

    def flag(key: str) -> bool:
        value = table.get(key, True)
        if not isinstance(value, bool):
            raise _Wrong(key, f"it is true or false, not {shown(value)}")
        return value

    address = table.get("control")
    if address is None:
        raise _Wrong("control", "an entry needs one, such as \"/stem/vocals/gain\"")
    control = controls.get(address) if isinstance(address, str) else None
    if control is None:
        raise _Wrong("control", f"there is no {shown(address)} here; `run_live.py osc` lists the addresses")
    if (why := mappable(control)) is not None:
        raise _Wrong("control", why)
    kind = word("from", KINDS)
    if kind is None:
        raise _Wrong("from", f"an entry needs one of {', '.join(KINDS)}")
    place = number("number", 0, KINDS[kind], 0 if kind == "bend" else None, True)
    if place is None and kind != "program":
        raise _Wrong("number", f"{kind} needs one, from 0 to {KINDS[kind]}")
    encoding = word("encoding", ENCODINGS)
    if (encoding is None) == (kind == "relative"):
        raise _Wrong("encoding", f"an encoder, and nothing else, needs one of {', '.join(ENCODINGS)}")
    source = Source(kind, place, number("channel", 1, 16, None, True), encoding)
    value = table.get("value")
    if value is not None:
        try:
            (value,) = control.accept((value,))
        except (Refused, ValueError) as refusal:
            raise _Wrong("value", f"{str(refusal).partition(';')[0]}") from None
    action = word("action", ACTIONS, action_for(control, source, value))
    _check(control, source, action, value)
    return Entry(
        address, source, action, value,
        low=number("low", 0, 1, 0.0, False), high=number("high", 0, 1, 1.0, False),
        step=number("step", 1e-5, 1, 0.01, False),
        takeover=flag("takeover"), feedback=flag("feedback"),
        extra={key: content for key, content in table.items() if key not in known},
    )


def _check(control: Control, source: Source, action: str, value: object) -> None:
    """Raise _Wrong where `action` cannot be done by `source` to `control`."""
    presses = source.kind in ("note", "cc", "program")
    if action == "value" and not gradual(control):
        raise _Wrong("action", f"{control.address} has no places between two ends; use set")
    if action == "value" and source.kind == "program" and source.number is not None:
        raise _Wrong("action", "one program has no places between two ends; leave number out, or give a value")
    if action != "value" and not presses:
        raise _Wrong("action", f"{source.kind} is not pressed; it can only be value")
    if action in ("hold", "follow") and source.kind == "program":
        raise _Wrong("action", f"a program change does not end; it cannot {action}")
    if action in ("follow", "latch") and not control.toggle:
        raise _Wrong("action", f"{control.address} is not a switch; use value, set or hold")
    if action == "hold" and control.kind != "setting":
        raise _Wrong("action", f"{control.address} cannot be held")
    whole = (action == "hold" and control.toggle) or (control.kind == "action" and not needs_value(control))
    if action in ("set", "hold") and value is None and not whole:
        raise _Wrong("value", f"{action} needs a value for {control.address}")
    if action not in ("set", "hold") and value is not None:
        raise _Wrong("value", f"{action} takes none")


def _syntax(problem: str, part: str) -> tuple[int, str]:
    """Return on which line of `part`, from 0, tomllib found `problem`, and what it is."""
    found = _PLACE.search(problem)
    rows = part.rstrip("\n").split("\n")
    at = int(found[1]) - 1 if found and found[1] else len(rows) - 1
    return min(at, len(rows) - 1), _PLACE.sub("", problem)


def _key(row: str) -> str:
    found = re.match(r"""^\s*["']?([\w-]+)["']?\s*(=|$)""", row)
    return found[1] if found else ""


def _gap(text: str) -> str:
    """Return the empty lines and the comment below an entry, which introduce the next."""
    rows = text.splitlines(keepends=True)
    count = len(rows)
    while count and (not rows[count - 1].strip() or rows[count - 1].lstrip().startswith("#")):
        count -= 1
    return "".join(rows[count:])
