"""Gestures as text: a line for each change, in files that a performer reads and edits.

    # seconds    address               values
    0            /preset               all
    8.5          /preset               "no drums"
    12..16       /stem/vocals/gain     0        # in a straight line from 12 s to 16 s
    1:04         /stem/vocals/mute     1
    length 70                                   # where it comes round
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from platformdirs import user_data_dir

from realtime.control import Control, Refused
from realtime.errors import HostError
from realtime.gesture import MOST_POINTS, Gesture, Point, narrow
from realtime.state import ControlState, Message
from realtime.tape import make_folder
from realtime.wholewrite import write_whole

SUFFIX = ".gesture"
LONGEST = 24 * 3600.0
_LARGEST = 16_000_000
_TIME = re.compile(r"(?:(\d{1,4}):(?=[0-5]?\d(?:\.|$)))?(\d{1,6}(?:\.\d*)?|\.\d+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,63}")
_SHOWN = 5


@dataclass(frozen=True)
class Read:
    """A gesture, and a sentence for each line of its file that was left out."""

    gesture: Gesture
    problems: tuple[str, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """What was left out, for a person to read: the first of it in full."""
        more = len(self.problems) - _SHOWN
        shown = tuple(f"{problem}." for problem in self.problems[:_SHOWN])
        return (*shown, f"And {more} more lines.") if more > 0 else shown


class _Wrong(Exception):
    """What is wrong in a line: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")


def user_folder() -> Path:
    """Return the folder for the user's gestures; it may not exist yet."""
    return Path(user_data_dir("lasaft-live", appauthor=False)) / "gestures"


def is_name(name: object) -> bool:
    """Return whether a gesture may be called `name`: it is a file's name everywhere, and leads out of no folder."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and not name.endswith((" ", "."))


def check_name(name: str) -> None:
    """Raise HostError unless a gesture may be called `name`."""
    if not is_name(name):
        raise HostError(
            f"a gesture cannot be called {name[:80]!r}: use up to 64 letters, digits, spaces and . _ + -, "
            "with a letter or digit in front; nothing is recorded"
        )


def names_in(folder: Path) -> tuple[str, ...]:
    """Return the names of the gestures in `folder`, sorted."""
    return tuple(sorted(path.stem for path in folder.glob(f"*{SUFFIX}") if is_name(path.stem)))


def find_gesture(name: str | Path, folder: Path | None = None) -> Path:
    """Return the file that `name`, a path or the name of a gesture in `folder`, stands for. Raises HostError."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise HostError(f"{path} is a folder: name a gesture's file in it")
    folder = folder or user_folder()
    if str(name) in names_in(folder):
        return folder / f"{name}{SUFFIX}"
    known = ", ".join(names_in(folder)) or "none yet"
    raise HostError(f"there is no gesture '{str(name)[:80]}': name a file, or one of those in {folder} ({known})")


def read_gesture(path: Path, state: ControlState) -> Read:
    """Return the gesture in the file at `path`, for the controls of `state`; a line that does not fit is left out.

    Raises HostError where the file cannot be read as text.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise HostError(f"{path} is no gesture: it is larger than {_LARGEST / 1e6:.0f} MB; nothing is played")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as problem:
        raise HostError(f"{path} cannot be read ({problem.strerror}); nothing is played") from None
    except UnicodeDecodeError:
        raise HostError(f"{path} is no gesture: it is not text; nothing is played") from None
    points, problems, length = [], [], None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if words := _words(line):
                if words[0] == "length":
                    length = _length(words[1:])
                elif len(points) == MOST_POINTS:
                    raise _Wrong("time", f"a gesture has at most {MOST_POINTS} changes")
                else:
                    points.append(_point(words, state))
        except _Wrong as wrong:
            problems.append(f"{path.name}, line {number}, {wrong}; the line is left out")
    if problems and not points:
        what = problems[0].removesuffix("; the line is left out")
        raise HostError(f"{path} is no gesture: nothing in it is a change of a control ({what}); nothing is played")
    last = max((point.time for point in points), default=0.0)
    if length is not None and length < last:
        problems.append(f"{path.name}, length: {_seconds(length)} s end before its last change; it lasts {_seconds(last)} s")
    points.sort(key=lambda point: point.begins)
    return Read(Gesture(tuple(points), max(last, length or 0.0)), tuple(problems))


def write_gesture(gesture: Gesture, path: Path, state: ControlState) -> None:
    """Write `gesture` to `path`, with its folder; a file that is there is kept beside it, with `~` at its end.

    Raises HostError where that cannot be done.
    """
    wide = max((len(point.message.address) for point in gesture.points), default=0)
    lines = ["# A gesture for LaSAFT Live: seconds from its start, address, values."]
    for point in gesture.points:
        time = _seconds(point.time) if point.since is None else f"{_seconds(point.since)}..{_seconds(point.time)}"
        tags = state.controls[point.message.address].tags
        values = " ".join(_written(tag, value) for tag, value in zip(tags, point.message.values, strict=True))
        lines.append(f"{time:<12} {point.message.address:<{wide}}  {values}")
    lines.append(f"length {_seconds(gesture.length)}")
    make_folder(path.parent)
    try:
        write_whole(path, "\n".join(lines) + "\n", keep=path.with_name(path.name + "~"))
    except OSError as problem:
        raise HostError(f"{path} cannot be written ({problem.strerror}); the gesture is not kept") from None


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        raise _Wrong("values", "a quotation mark is not closed") from None


def _time(word: str, field: str = "time") -> float:
    match = _TIME.fullmatch(word)
    if match is None:
        raise _Wrong(field, f"seconds, such as 12.5 or 1:04.25, not {word[:40]!r}")
    time = 60 * int(match[1] or 0) + float(match[2])
    if time > LONGEST:
        raise _Wrong(field, f"at most {LONGEST:.0f} seconds, not {word[:40]}")
    return round(time, 6)


def _length(words: Sequence[str]) -> float:
    if len(words) != 1:
        raise _Wrong("length", f"one time in seconds, not {len(words)} words")
    return _time(words[0], "length")


def _point(words: list[str], state: ControlState) -> Point:
    since, dots, time = words[0].partition("..")
    begin, end = _time(since), _time(time) if dots else None
    if end is not None and end < begin:
        raise _Wrong("time", f"a line ends after it begins, not {words[0][:40]!r}")
    if len(words) < 2:
        raise _Wrong("address", "it is missing")
    control = _control(words[1], state)
    if end is not None and set(control.tags) != {"f"}:
        raise _Wrong("time", f"{control.address} cannot go in a line; give it one time")
    values = [_value(tag, word) for tag, word in zip(control.tags, words[2:], strict=False)] + words[2 + len(control.tags) :]
    try:
        message = narrow(Message(control.address, control.accept(values)))
    except Refused as refusal:
        raise _Wrong("values", str(refusal).removesuffix("; nothing was changed")) from None
    return Point(begin, message) if end is None else Point(end, message, begin)


def _control(address: str, state: ControlState) -> Control:
    """Return the control at `address` if a gesture may set it."""
    try:
        control = state.control(address)
    except Refused as refusal:
        raise _Wrong("address", str(refusal).removesuffix("; nothing was changed")) from None
    if control.kind != "setting":
        raise _Wrong("address", f"{address} is not a setting that holds as soon as it is set; a gesture leaves it alone")
    return control


def _value(tag: str, word: str) -> object:
    try:
        return float(word) if tag == "f" else int(word) if tag == "i" else word
    except ValueError:
        return word


def _seconds(time: float) -> str:
    return f"{time:.6f}".rstrip("0").rstrip(".") if math.isfinite(time) else "0"


def _written(tag: str, value: object) -> str:
    if tag == "s":
        return shlex.quote(str(value))
    return str(np.float32(value)).removesuffix(".0") if tag == "f" else str(value)
