"""One entry of a MIDI map: what moves which control, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from realtime.control import Control, Value
from realtime.midi.source import Source

# value: the knob's place, an encoder's steps, or a key's velocity, is the control's.
# follow: a switch is on while a button is. latch: each press turns a switch over.
# hold: while a key is down the control has a value, and then has what it had before.
# set: each press gives the control a value, or carries an action out.
ACTIONS = ("value", "follow", "latch", "hold", "set")


@dataclass(frozen=True)
class Entry:
    """What `source` does to the control at address `control`, one of ACTIONS.

    `value` is what set and hold give it. The ends of a knob mean `low` and `high`, of the control's range taken as
    0..1; a step of an encoder is `step` of it. With `takeover` a knob must come to where the value is; with
    `feedback` the value is shown on the controller. `extra` are the file's keys that mean nothing here.
    """

    control: str
    source: Source
    action: str
    value: Value | None = None
    low: float = 0.0
    high: float = 1.0
    step: float = 0.01
    takeover: bool = True
    feedback: bool = True
    extra: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """What a person reads: "cc 7, channel 1 -> /stem/vocals/gain"."""
        how = "" if self.action in ("value", "set") else f" ({self.action})"
        value = "" if self.value is None else f" {self.value}"
        return f"{self.source.text} -> {self.control}{value}{how}"


def mappable(control: Control) -> str | None:
    """Return why nothing on a controller can move `control`, or None."""
    if control.kind not in ("setting", "choice", "action"):
        return f"{control.address} is not a control to set"
    if control.address.startswith("/midi/"):
        return f"{control.address} is about MIDI itself"
    if len(control.tags) > 1:
        return f"{control.address} takes several values at once, and a knob has one"
    return None


def gradual(control: Control) -> bool:
    """Return whether `control` has places between two ends for a knob to take: a range, or a list to choose from."""
    return control.kind != "action" and bool(control.choices or (control.range and control.tags in ("f", "i")))


def needs_value(control: Control) -> bool:
    """Return whether a press must say which value it gives `control`: it has no places, and is more than a word to act."""
    return not gradual(control) and bool(control.tags) and not (control.kind == "action" and control.optional)


def action_for(control: Control, source: Source, value: Value | None) -> str:
    """Return the usual action of `source` on `control`, where it is given `value` or none."""
    if value is not None or control.kind == "action" or (control.tags == "s" and source.kind == "note"):
        return "set"
    if control.toggle:
        if source.kind == "note":
            return "hold" if control.address.endswith("/solo") else "latch"
        return "follow"
    return "value"


def position_of(control: Control, value: Value) -> float:
    """Return where `value` lies between the ends of `control`, 0..1."""
    if control.choices:
        last = len(control.choices) - 1
        return control.choices.index(value) / last if last and value in control.choices else 0.0
    low, high = control.range or (0, 1)
    return (value - low) / (high - low)


def value_at(control: Control, position: float) -> Value:
    """Return the value of `control` at `position`, 0..1, between its ends."""
    if control.choices:
        return control.choices[min(len(control.choices) - 1, int(position * len(control.choices)))]
    low, high = control.range or (0, 1)
    value = low + (high - low) * position
    return round(value) if control.tags == "i" else min(float(high), max(float(low), value))
