"""The table of controls: every OSC address of the host, declared once.

The server validates and answers from this table, and the documentation is printed from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from realtime import gainlaw
from realtime.errors import HostError
from realtime.latency import MODE_NAMES
from realtime.presets import presets_for

Value = float | int | str | bytes
Kind = Literal["setting", "choice", "action", "text", "info", "request", "reply", "telemetry"]

_ACCESS = {"setting": "both", "choice": "both", "action": "write", "request": "write"}
_NOUNS = {"f": "number", "i": "whole number", "s": "text", "b": "blob"}
# Characters that OSC gives a meaning of their own in an address.
_RESERVED = set(" #*,/?[]{}")
_LONGEST_ECHO = 80


class Refused(HostError):
    """A message that does not fit. `address` is the one it was sent to; the text says what is allowed."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(reason)
        self.address = address


def shown(value: object) -> str:
    """Return `value` as a refusal quotes it, short."""
    if isinstance(value, bytes):
        return f"a blob of {len(value)} bytes"
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "..."


def percent(x: float) -> str:
    """Return normalised `x`, 0..1, as a person reads it: "50 %"."""
    return f"{100 * x:.0f} %"


@dataclass(frozen=True)
class Control:
    """One address of the host.

    A `setting` holds as soon as it is set; a `choice` once the host has carried it out, and reads what runs until then;
    an `action` is carried out by the host, and leaves no value.
    `tags` holds an OSC type tag per argument, of f, i, s and b. `range` (inclusive) bounds every
    number, `choices` every text. With `optional`, any argument may be left out. `default` is the
    value at the start where there is one. `text` turns a normalised value into its display twin.
    """

    address: str
    kind: Kind
    tags: str
    description: str
    range: tuple[float, float] | None = None
    unit: str = ""
    default: tuple[Value, ...] | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False
    text: Callable[[float], str] | None = None

    @property
    def access(self) -> Literal["read", "write", "both"]:
        """Who may use it: `read` is sent by the host, `write` is sent to it, `both` is a value to set and get."""
        return _ACCESS.get(self.kind, "read")

    @property
    def toggle(self) -> bool:
        """True for a switch: 0 or 1."""
        return self.tags == "i" and self.range == (0, 1)

    @property
    def usage(self) -> str:
        """What the arguments must be, as the end of "<address> takes ..."."""
        if not self.tags:
            return "no arguments"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.toggle:
            return "0 or 1 (or true or false)"
        bounds = f" from {self.range[0]:g} to {self.range[1]:g}" if self.range else ""
        if len(self.tags) > 1 and len(set(self.tags)) == 1:
            return f"{len(self.tags)} {_NOUNS[self.tags[0]]}s" + (f", each{bounds}" if bounds else "")
        parts = [f"a {_NOUNS[tag]}" + (bounds if tag in "fi" else "") for tag in self.tags]
        left_out = ", each of which may be left out" if len(parts) > 1 else ", which may be left out"
        return " and ".join(parts) + (left_out if self.optional else "")

    def accept(self, values: Sequence[object]) -> tuple[Value | None, ...]:
        """Return `values` as they are kept, None for an optional one left out.

        Whole numbers pass as numbers, and true and false as a toggle's 1 and 0. Raises Refused for
        a wrong count, type or range, and for NaN and infinity.
        """
        rest = list(values)
        kept: list[Value | None] = []
        for tag in self.tags:
            if rest and (value := self._converted(tag, rest[0])) is not None:
                kept.append(value)
                del rest[0]
            elif self.optional:
                kept.append(None)
            else:
                raise self._refusal(values)
        if rest:
            raise self._refusal(values)
        return tuple(kept)

    def _converted(self, tag: str, value: object) -> Value | None:
        if isinstance(value, bool):
            return int(value) if self.toggle else None
        if tag == "s":
            fits = isinstance(value, str) and (not self.choices or value in self.choices)
            return value if fits else None
        if tag == "b":
            return value if isinstance(value, bytes) else None
        if not isinstance(value, int if tag == "i" else int | float) or not -math.inf < value < math.inf:
            return None
        if self.range and not self.range[0] <= value <= self.range[1]:
            return None
        return value if tag == "i" else float(value)

    def _refusal(self, values: Sequence[object]) -> Refused:
        got = ", ".join(shown(value) for value in values[:8]) + (", ..." if len(values) > 8 else "")
        return Refused(self.address, f"{self.address} takes {self.usage}, not {got or 'nothing'}; nothing was changed")


def check_stems(stems: Sequence[str]) -> None:
    """Raise HostError unless `stems` are distinct names that can stand in an OSC address."""
    for stem in stems:
        if not stem or not stem.isascii() or not stem.isprintable() or _RESERVED & set(stem):
            raise HostError(
                f"the stem name {stem!r} cannot be part of an OSC address: use printable ASCII without spaces "
                "and without # * , / ? [ ] { }"
            )
        if stem in ("input", "output"):
            raise HostError(f"a stem cannot be called {stem!r}: that name is taken by a meter")
    if not stems or len(set(stems)) < len(stems):
        raise HostError(f"a separator needs at least one stem and each name once, not {list(stems)}")


def controls_for(
    stems: Sequence[str], attends: tuple[int, int] | None = None, models: Sequence[str] = ()
) -> dict[str, Control]:
    """Return the table for `stems`, by address, in the order of the documentation.

    `attends` are the layers and latent sources of the separator's attention; None where it tells none. `models` are
    the names of the separators to choose from.
    Raises HostError where a stem's name cannot be part of an address.
    """
    check_stems(stems)
    presets = tuple(presets_for(stems))
    count = len(stems)
    fader = {"range": (0, 1), "unit": "0.75 = 0 dB", "text": gainlaw.to_text}
    switch = {"tags": "i", "range": (0, 1), "default": (0,)}
    table = [
        Control(
            "/condition", "setting", "f" * count, f"linear gain of {', '.join(stems)}; clears mute and solo",
            range=(0, 1), unit="linear", default=(1.0,) * count,
        ),
    ]
    for stem in stems:
        table += [
            Control(f"/stem/{stem}/gain", "setting", "f", f"gain of {stem}", default=(gainlaw.UNITY,), **fader),
            Control(f"/stem/{stem}/mute", "setting", description=f"silences {stem}, soloed or not", **switch),
            Control(f"/stem/{stem}/solo", "setting", description="silences every stem that is not soloed", **switch),
        ]
    table += [
        Control("/remainder/gain", "setting", "f", "gain of the mixture minus what was taken", default=(0.0,), **fader),
        Control(
            "/preset", "setting", "s", "sets all gains, clears mute and solo; reads empty once they are changed",
            default=("all",), choices=presets,
        ),
        Control("/glide", "setting", "f", "time a change takes", range=(0, 5000), unit="ms", default=(30.0,)),
        Control("/bypass", "setting", description="lets the mixture through, aligned", **switch),
        Control("/wet", "setting", "f", "share of separated sound", range=(0, 1), default=(1.0,), text=percent),
        Control(
            "/model", "choice" if models else "info", "s", "the separator; one with the same stems takes over while music plays",
            choices=tuple(models),
        ),
        Control("/mode", "choice", "s", "latency mode, of those the separator has", choices=MODE_NAMES),
        Control(
            "/mode/auto", "choice", description="steps to a mode that costs less after repeated misses, and back",
            tags="i", range=(0, 1), default=(1,),
        ),
        Control("/run", "choice", "s", "how the condition is run", choices=("single", "stems")),
        Control("/notice", "info", "s", "what the host last had to say", default=("",)),
        Control("/stems", "info", "s" * count, "names of the stems", default=tuple(stems)),
        Control("/presets", "info", "s" * len(presets), "names of the presets", default=presets),
        Control("/device", "info", "s", "the audio device"),
        Control("/device/state", "info", "s", "playing, or waiting: and why, while the device is gone"),
        Control("/rate", "info", "i", "sample rate of the device", unit="Hz"),
        Control("/block", "choice", "i", "frames the device asks for at once", range=(32, 4096), unit="samples"),
        Control(
            "/midi/learn", "choice", "s", "the control that the next knob, fader, key or button shall move; empty: none",
            default=("",),
        ),
        Control("/midi/unlearn", "action", "s", "takes a control off what moves it; `all` takes all off"),
        Control("/midi/state", "info", "s", "the controller: off, its name, or what it waits for", default=("off",)),
        Control("/midi/map", "info", "s", "what moves what over MIDI, a line each", default=("",)),
        Control(
            "/quantise", "choice", "s", "what settings wait for; those with a time tag of their own never wait",
            default=("off",), choices=("off", "beat", "bar", "phrase"),
        ),
        Control("/tempo/bpm", "choice", "f", "tempo", range=(20, 400), unit="bpm", default=(120.0,)),
        Control("/tempo/tap", "action", "", "a beat, tapped; the first of a row begins a bar"),
        Control("/tempo/beats", "choice", "i", "beats of a bar", range=(1, 32), default=(4,)),
        Control("/tempo/bars", "choice", "i", "bars of a phrase", range=(1, 64), default=(4,)),
        Control(
            "/tempo/source", "choice", "s", "where the beat comes from", default=("internal",),
            choices=("internal", "midi", "link"),
        ),
        Control(
            "/subscribe", "request", "is", "values below a prefix now, then changes, at a port (default: the sender's)",
            range=(1, 65535), optional=True,
        ),
        Control(
            "/unsubscribe", "request", "i", "ends what /subscribe began", range=(1, 65535), optional=True,
        ),
        Control("/get", "request", "s", "asks for the value of an address, sent back from that address"),
        Control("/ping", "request", "", "asks for /pong"),
        Control("/pong", "reply", "", "answers /ping"),
        Control("/error", "reply", "ss", "a refused message: its address and the reason"),
        Control("/telemetry/latency", "telemetry", "i", "added latency", unit="samples"),
        Control("/telemetry/latency/ms", "telemetry", "f", "added latency", unit="ms"),
        Control("/telemetry/latency/split", "telemetry", "s", "added latency, split by cause"),
        Control("/telemetry/load", "telemetry", "f", "median work over the duration of a hop"),
        Control("/telemetry/work", "telemetry", "ffff", "work per hop: p50, p99, p99.9, max", unit="ms"),
        Control("/telemetry/deadline", "telemetry", "f", "time a hop may take", unit="ms"),
        Control("/telemetry/hops", "telemetry", "i", "hops since the start"),
        Control("/telemetry/misses", "telemetry", "i", "hops that were not ready in time"),
        Control("/telemetry/xruns", "telemetry", "i", "blocks that the device lost"),
        Control("/telemetry/late", "telemetry", "i", "bundles that arrived after the time on their tag"),
    ]
    table += [
        Control(f"/telemetry/meter/{name}", "telemetry", "ff", f"peak and RMS of {name}{note}", unit="linear")
        for name, note in [("input", ""), ("output", ""), *((stem, ", in stems only") for stem in stems)]
    ]
    table += [
        Control(f"/telemetry/spectrum/{name}", "telemetry", "b", "a byte per band, 30 Hz to 20 kHz, of -90 to 0 dBFS")
        for name in ("input", "output")
    ]
    if attends is not None:
        layers, latents = attends
        table.append(
            Control("/attention", "info", "ii", "layers that attend to latent sources, and sources of each", default=attends)
        )
        table += [
            Control(
                f"/telemetry/attention{end}", "telemetry", "f" * layers * latents,
                f"share of each latent source, layer after layer, {note}",
            )
            for end, note in [("", "in single only"), *((f"/{stem}", f"for {stem}, in stems only") for stem in stems)]
        ]
    by_address: dict[str, Control] = {}
    for control in table:
        by_address[control.address] = control
        if control.text:
            twin = Control(twin_of(control.address), "text", "s", f"{control.address} as a person reads it")
            by_address[twin.address] = twin
    return by_address


def twin_of(address: str) -> str:
    """Return the address of the display twin of `address`."""
    return f"{address}/str"


def below(prefix: str, address: str) -> bool:
    """Return whether `address` is `prefix` or lies below it; an empty prefix and "/" hold everything."""
    prefix = prefix.rstrip("/")
    return not prefix or address == prefix or address.startswith(prefix + "/")


def table_text(stems: Sequence[str], attends: tuple[int, int] | None = None) -> str:
    """Return the table of `controls_for` in columns, for a person to read."""
    rows = [("address", "types", "access", "range", "unit", "default", "description")]
    for control in controls_for(stems, attends).values():
        types = "".join(f"[{tag}]" for tag in control.tags) if control.optional else control.tags
        bounds = f"{control.range[0]:g}..{control.range[1]:g}" if control.range else ""
        default = " ".join(str(v) for v in control.default) if control.kind == "setting" else ""
        description = control.description
        if control.choices:
            description += f" ({', '.join(control.choices)})"
        if len(types) > 8:
            types = f"{types[0]}*{len(types)}"
        rows.append((control.address, types or "-", control.access, bounds, control.unit, default, description))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
