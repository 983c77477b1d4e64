"""A scene: what runs and how every control stands, as text that a person reads and edits."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_config_dir

from realtime.control import Control, Refused, shown
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.separator import Separator
from realtime.state import Message
from realtime.tape import make_folder
from realtime.toml import bare, literal
from realtime.wholewrite import write_whole

VERSION = 1
SUFFIX = ".toml"
HEAD = "# A scene of LaSAFT Live. docs/scenes.md says what may stand here; what is not known is kept.\n"
# What ends with the moment, or is done rather than set; and the deck, which plays on whatever is called up.
NOT_KEPT = frozenset(
    ("/record", "/midi/learn", "/source")
    + ("/deck/play", "/deck/loop", "/deck/loop/on", "/deck/fade", "/deck/hq", "/deck/tempo")
)
# Controls that say what runs, by their key in the table `run`.
RUNS = {"model": "/model", "mode": "/mode", "run": "/run", "block": "/block"}
_LARGEST = 1_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,63}")
_KNOWN = ("version", "run", "controls")


def config_folder() -> Path:
    """Return where settings are kept on this platform; it may not exist yet."""
    return Path(user_config_dir("lasaft-live", appauthor=False))


def is_name(name: object) -> bool:
    """Return whether a scene may be called `name`: it is a file's name everywhere, and leads out of no folder."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and not name.endswith((" ", "."))


def names_in(folder: Path) -> tuple[str, ...]:
    """Return the names of the scenes in `folder`, sorted."""
    return tuple(sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if is_name(path.stem)))


@dataclass(frozen=True)
class Scene:
    """What a file says, unchecked: `run` of what runs, `controls` by address; `problems` are sentences on its own form."""

    title: str
    run: Mapping[str, object] = field(default_factory=dict)
    controls: Mapping[str, object] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def messages(self, controls: Mapping[str, Control]) -> tuple[tuple[Message, ...], tuple[str, ...]]:
        """Return what to set, in the order in which it holds together, and a sentence for each value that is left out."""
        found, problems, unknown = [], [], []
        for address, value in self.controls.items():
            control = controls.get(address)
            if control is None:
                unknown.append(address)
            elif control.kind not in ("setting", "choice") or address in NOT_KEPT:
                problems.append(f"{self.title}, {address}: that is not for a scene; it is left out")
            else:
                try:
                    found.append(Message(address, control.accept(value if isinstance(value, list) else [value])))
                except Refused as refusal:
                    problems.append(f"{self.title}, {str(refusal).removesuffix('; nothing was changed')}; it is left out")
        if unknown:
            more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
            problems.append(f"{self.title}: there is no {', '.join(unknown[:5])}{more} here; left out, and kept in the file")
        # These set every stem: what is said of a stem holds all the same.
        first = ("/condition", "/preset")
        found.sort(key=lambda message: first.index(message.address) if message.address in first else len(first))
        return tuple(found), tuple(problems)


@dataclass(frozen=True)
class Wanted:
    """What a scene wants to run, checked: None where it says nothing, or nothing that can be."""

    model: str | None = None
    mode: str | None = None
    run: str | None = None
    block: int | None = None
    device: str | int | None = None


def wanted(scene: Scene, model: str) -> tuple[Wanted, tuple[str, ...]]:
    """Return what `scene` wants to run, `model` where it names none, and a sentence for each value that is left out."""
    problems: list[str] = []

    def refuse(key: str, allowed: str) -> None:
        problems.append(f"{scene.title}, {key} is {allowed}, not {shown(scene.run[key])}; it is left out")

    found: dict[str, object] = {}
    try:
        if (name := scene.run.get("model")) is not None:
            find_separator(name)
            found["model"] = model = name
    except (HostError, TypeError) as problem:
        problems.append(f"{scene.title}, model: {problem}; it is left out")
    meta = Separator.load(find_separator(model)).metadata
    for key, allowed in (("mode", tuple(meta.modes)), ("run", meta.runs)):
        if (value := scene.run.get(key)) in allowed:
            found[key] = value
        elif value is not None:
            refuse(key, f"one of {', '.join(allowed)} with {meta.name}")
    if (block := scene.run.get("block")) is not None:
        if type(block) is int and (block == 0 or 32 <= block <= 4096):
            found["block"] = block
        else:
            refuse("block", "32 to 4096 samples")
    if (device := scene.run.get("device")) is not None:
        if type(device) in (str, int):
            found["device"] = device
        else:
            refuse("device", "a name or an index")
    return Wanted(**found), tuple(problems)


def read_scene(path: Path, title: str) -> Scene:
    """Return what the file at `path` says. Raises HostError where it cannot be read as TOML."""
    document = _document(path)
    problems = []
    version = document.get("version", VERSION)
    if type(version) is not int or version < 1:
        problems.append(f"{title}, version is a whole number from 1, not {shown(version)}; it is read as {VERSION}")
    elif version > VERSION:
        problems.append(f"{title} was made by a later version ({version}, here {VERSION}): what is known here is loaded")
    tables = {}
    for key in ("run", "controls"):
        tables[key] = document.get(key, {})
        if not isinstance(tables[key], dict):
            problems.append(f"{title}, {key} is a table, not {shown(tables[key])}; it is left out")
            tables[key] = {}
    return Scene(title, tables["run"], tables["controls"], tuple(problems))


def write_scene(path: Path, run: Mapping[str, object], controls: Mapping[str, object]) -> None:
    """Write a scene to `path`, all at once; what else a file there says is kept.

    Raises HostError where that cannot be done, or where the file there is no TOML.
    """
    before = _document(path) if path.exists() else {}
    version = before.get("version")
    tables = {}
    for key, new in (("run", run), ("controls", controls)):
        old = before.get(key)
        tables[key] = {**(old if isinstance(old, dict) else {}), **new}
    lines = [f"version = {max(VERSION, version) if type(version) is int else VERSION}"]
    others = {key: value for key, value in before.items() if key not in _KNOWN}
    lines += [f"{bare(key)} = {literal(value)}" for key, value in others.items() if not isinstance(value, dict)]
    tables |= {key: value for key, value in others.items() if isinstance(value, dict)}
    for key, table in tables.items():
        lines += ["", f"[{bare(key)}]", *(f"{bare(name)} = {literal(value)}" for name, value in table.items())]
    make_folder(path.parent)
    try:
        write_whole(path, HEAD + "\n".join(lines) + "\n")
    except OSError as problem:
        raise HostError(f"{path} cannot be written ({problem.strerror}); what was there is as it was") from None


def _document(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > _LARGEST:
            raise HostError(f"{path} is no scene: it is larger than {_LARGEST // 1000} kB; repair or delete it")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as problem:
        raise HostError(f"{path} cannot be read ({problem.strerror})") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as problem:
        raise HostError(f"{path} is not TOML ({problem}); repair or delete it") from None
