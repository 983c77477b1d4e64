"""The table of controls: every OSC address of the host, declared once.

The server validates and answers from this table, and the documentation is printed from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from realtime import gainlaw
from realtime.deck.orders import CUES, FADE, FASTEST, LONGEST_FADE, SLOWEST
from realtime.errors import HostError
from realtime.inserts.table import insert_controls
from realtime.latency import MODE_NAMES
from realtime.outputs import check_outputs, cues, sources
from realtime.presets import presets_for

Value = float | int | str | bytes
Kind = Literal["setting", "choice", "action", "text", "info", "request", "reply", "telemetry"]

_ACCESS = {"setting": "both", "choice": "both", "action": "write", "request": "write"}
_NOUNS = {"f": "number", "i": "whole number", "s": "text", "b": "blob"}
# Characters that OSC gives a meaning of their own in an address.
_RESERVED = set(" #*,/?[]{}")
_LONGEST_ECHO = 80
_LARGEST = sys.float_info.max


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
    # Bounds of each argument, where they differ; None for one that has none.
    ranges: tuple[tuple[float, float] | None, ...] = ()

    def bounds(self, index: int) -> tuple[float, float] | None:
        """Return what bounds the number that is argument `index`, both ends included; None where nothing does."""
        return self.ranges[index] if self.ranges else self.range

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
        each = [self.bounds(index) if tag in "fi" else None for index, tag in enumerate(self.tags)]
        bounds = [f" from {pair[0]:g} to {pair[1]:g}" if pair else "" for pair in each]
        if len(self.tags) > 1 and len(set(self.tags)) == 1:
            return f"{len(self.tags)} {_NOUNS[self.tags[0]]}s" + (f", each{bounds[0]}" if bounds[0] else "")
        parts = [f"a {_NOUNS[tag]}{text}" for tag, text in zip(self.tags, bounds, strict=True)]
        left_out = ", each of which may be left out" if len(parts) > 1 else ", which may be left out"
        return " and ".join(parts) + (left_out if self.optional else "")

    def accept(self, values: Sequence[object]) -> tuple[Value | None, ...]:
        """Return `values` as they are kept, None for an optional one left out, which its type tells.

        Whole numbers pass as numbers, and true and false as a toggle's 1 and 0. Raises Refused for
        a wrong count, type or range, and for NaN and infinity.
        """
        rest = list(values)
        kept: list[Value | None] = []
        for index, tag in enumerate(self.tags):
            if rest and (value := self._converted(tag, rest[0])) is not None:
                if isinstance(value, int | float) and not self._within(index, value):
                    raise self._refusal(values)
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
        if not isinstance(value, int if tag == "i" else int | float) or not -_LARGEST <= value <= _LARGEST:
            return None
        return value if tag == "i" else float(value)

    def _within(self, index: int, value: float) -> bool:
        bounds = self.bounds(index)
        return bounds is None or bounds[0] <= value <= bounds[1]

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
    stems: Sequence[str],
    attends: tuple[int, int] | None = None,
    models: Sequence[str] = (),
    outputs: Sequence[str] = (),
    inserts: bool = False,
) -> dict[str, Control]:
    """Return the table for `stems`, by address, in the order of the documentation.

    `attends` are the layers and latent sources of the separator's attention; None where it tells none. `models` are
    the names of the separators to choose from, `outputs` what each output pair has at the start, where there are pairs;
    `inserts`: there are slots for plugins.
    Raises HostError where a stem's name cannot be part of an address, or an output is none that can be.
    """
    check_stems(stems)
    check_outputs(outputs, stems)
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
        *(
            Control(f"/mode/{mode}/{end}", "info", tag, f"{note} {mode}", unit=unit, range=(0, 1) if tag == "i" else None)
            for mode in MODE_NAMES
            for end, tag, unit, note in (
                ("offered", "i", "", "whether the separator has"),
                ("delay", "f", "ms", "predicted added latency in"),
                ("load", "f", "", "predicted load (median work over the duration of a hop) in"),
                ("quality", "f", "dB", "mean SDR on the test songs, where it is known, in"),
            )
        ),
        Control("/run", "choice", "s", "how the condition is run", choices=("single", "stems")),
        Control("/gesture/play", "action", "s", "plays a recorded gesture from its start, in place of itself"),
        Control("/gesture/record", "action", "s", "records every change of a setting as a gesture of this name"),
        Control("/gesture/end", "action", "s", "ends the gesture of this name: a recording of it is kept, it plays no more"),
        Control("/gesture/stop", "action", "", "ends all gestures, and keeps what was recorded"),
        Control(
            "/gesture/loop", "choice", description="gestures come round from now on", tags="i", range=(0, 1), default=(0,),
        ),
        Control(
            "/gesture/speed", "choice", "f", "how fast gestures go from their next start on", range=(0.1, 10), default=(1.0,)
        ),
        Control("/gesture/names", "info", "s", "names of the gestures at hand, between commas", default=("",)),
        Control("/gesture/state", "info", "s", "what is recorded and played, between commas", default=("",)),
        Control(
            "/record", "choice", description="records from now on, to a folder of its own; 0 ends the take", tags="i",
            range=(0, 1), default=(0,),
        ),
        *(
            Control(f"/record/{kind}", "choice", description=f"the next take holds {what}", tags="i", range=(0, 1), default=(1,))
            for kind, what in (
                ("mixture", "the input, aligned"), ("master", "the mix"), ("stems", "each stem, where they run as stems"),
            )
        ),
        Control(
            "/record/folder", "choice", "s", "where takes go, a whole path; empty: LaSAFT Live in the user's music folder",
            default=("",),
        ),
        Control(
            "/record/format", "choice", "s", "files of the next take; FLAC is made of WAV once the take has ended",
            default=("wav",), choices=("wav", "flac"),
        ),
        Control("/record/state", "info", "s", "off, recording, finishing, or stopped: and why", default=("off",)),
        Control("/record/seconds", "info", "f", "length of the take so far", unit="s", default=(0.0,)),
        Control("/record/lost", "info", "f", "what of it the disk was too slow for; silent there", unit="s", default=(0.0,)),
        Control("/record/take", "info", "s", "folder of the take", default=("",)),
        Control("/scene/save", "action", "s", "saves all settings, and what runs, as a scene of this name"),
        Control("/scene/load", "action", "s", "sets all that the scene of this name says"),
        Control("/scene/delete", "action", "s", "deletes the scene of this name"),
        Control("/scene/names", "info", "s", "names of the scenes at hand, between commas", default=("",)),
        Control("/notice", "info", "s", "what the host last had to say", default=("",)),
        Control("/stems", "info", "s" * count, "names of the stems", default=tuple(stems)),
        Control("/presets", "info", "s" * len(presets), "names of the presets", default=presets),
        *([Control("/models", "info", "s" * len(models), "names of the separators", default=tuple(models))] if models else []),
        Control("/device", "info", "s", "the audio device"),
        Control("/device/state", "info", "s", "playing, or waiting: and why, while the device is gone"),
        Control("/rate", "info", "i", "sample rate of the device", unit="Hz"),
        Control("/block", "choice", "i", "frames the device asks for at once", range=(32, 4096), unit="samples"),
        Control("/device/latency", "info", "ii", "what the device says it delays by, in and out", unit="samples"),
        Control("/hop", "info", "i", "what one call of the separator finishes", unit="samples"),
        Control("/model/rate", "info", "i", "sample rate at which the separator works", unit="Hz"),
        Control(
            "/source", "choice", "s", "what is played: input (the device's own), demo (round and round) or deck; reads a file's "
            "name where one was given at the start",
        ),
        Control(
            "/device/select", "action", "ss", "goes on with this input and output, by name; one name is for both, none is the "
            "usual one, null is none", optional=True,
        ),
        Control("/device/look", "action", "", "looks which sound devices there are"),
        Control(
            "/device/list", "info", "s", "the devices found by the last look, as JSON: name, in and out (channels), rate, in_ms "
            "and out_ms (their own delay), usual (ends for which it is the system's choice)", default=("",),
        ),
        Control("/device/wanted", "info", "s", "the device that was asked for; empty: the usual one", default=("",)),
        Control("/grants", "info", "s", "what the system granted and refused: real-time priority, locked memory"),
        Control(
            "/midi/learn", "choice", "s", "the control that the next knob, fader, key or button shall move; empty: none",
            default=("",),
        ),
        Control("/midi/unlearn", "action", "s", "takes a control off what moves it; `all` takes all off"),
        Control("/midi/state", "info", "s", "the controller: off, its name, or what it waits for", default=("off",)),
        Control("/midi/map", "info", "s", "what moves what over MIDI, a line each", default=("",)),
        Control(
            "/quantise", "choice", "s", "what settings and gestures wait for; those with a time tag of their own never wait",
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
        *_deck(),
        Control(
            "/subscribe", "request", "isff",
            "values now, then changes: to a UDP port (default: back to the sender); of an address or pattern, and all below it; "
            "at most so many times a second (0: at once); until the peer was silent for so many seconds (default: for good)",
            ranges=((1, 65535), None, (0, 1000), (1, 3600)), optional=True,
        ),
        Control(
            "/unsubscribe", "request", "i", "ends what /subscribe began", range=(1, 65535), optional=True,
        ),
        Control("/get", "request", "s", "asks for the values of an address or pattern, sent back from their addresses"),
        Control("/ping", "request", "", "asks for /pong"),
        Control("/pong", "reply", "", "answers /ping"),
        Control("/heartbeat", "reply", "i", "sent to each subscriber once a second: 1, 2, 3, ..."),
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
        Control("/telemetry/position", "telemetry", "f", "sound taken in since the start", unit="s"),
        Control(
            "/telemetry/tags/residual", "telemetry", "f", "jitter of the clock by which time tags become samples, RMS over 10 s",
            unit="ms",
        ),
        Control("/telemetry/tags/drift", "telemetry", "f", "by how much stream time falls behind the wall clock", unit="ppm"),
        Control("/telemetry/tags/waiting", "telemetry", "i", "messages that wait for the time on their tag"),
        Control("/telemetry/subscribers", "telemetry", "i", "subscribers now"),
        Control("/telemetry/connections", "telemetry", "i", "TCP connections now"),
        Control("/telemetry/dropped", "telemetry", "i", "subscribers that were dropped: gone, too slow, or silent beyond their lease"),
        Control("/telemetry/refused", "telemetry", "i", "packets and connections left unanswered: of peers that are not allowed, or one connection too many"),
    ]
    table += [
        Control(f"/telemetry/meter/{name}", "telemetry", "ff", f"peak and RMS of {name}{note}", unit="linear")
        for name, note in [("input", ""), ("output", ""), *((stem, ", in stems only") for stem in stems)]
    ]
    table += [
        Control(f"/telemetry/spectrum/{name}", "telemetry", "b", f"a byte per band, 30 Hz to 20 kHz, of -90 to 0 dBFS{note}")
        for name, note in [("input", ""), ("output", ""), *((stem, ", in stems only") for stem in stems)]
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
    for number, source in enumerate(outputs, 1):
        table += [
            Control(
                f"/output/{number}/source", "setting", "s", f"what leaves on output pair {number}; stems need the run stems",
                default=(source,), choices=sources(stems),
            ),
            Control(
                f"/output/{number}/gain", "setting", "f", f"level of output pair {number}", default=(gainlaw.UNITY,), **fader
            ),
        ]
    if outputs:
        table += [
            Control(
                address, "setting", description=f"adds {name} to the cue, which is the master where nothing is cued", **switch
            )
            for name, address in cues(stems).items()
        ]
    if inserts:
        table += insert_controls(stems, Control)
    by_address: dict[str, Control] = {}
    for control in table:
        by_address[control.address] = control
        if control.text:
            twin = Control(twin_of(control.address), "text", "s", f"{control.address} as a person reads it")
            by_address[twin.address] = twin
    return by_address


def _deck() -> tuple[Control, ...]:
    """Return the controls of the deck."""
    longest = 1e6
    seconds, samples = {"range": (0, longest), "unit": "s"}, {"range": (0, 2**31 - 1), "unit": "samples"}
    return (
        Control("/deck/load", "action", "s", "puts a file on the deck; where one plays, it plays instead"),
        Control("/deck/play", "choice", "i", "plays, or pauses; from the start where it had ended", range=(0, 1), default=(0,)),
        Control("/deck/seek", "action", "f", "goes there", **seconds),
        Control("/deck/seek/samples", "action", "i", "goes there, by samples of the device", **samples),
        Control("/deck/loop", "choice", "ff", "loops from the one to before the other", default=(0.0, 0.0), **seconds),
        Control("/deck/loop/samples", "action", "ii", "loops from the one to before the other, by samples of the device", **samples),
        Control("/deck/loop/in", "action", "", "sets the loop's start to what is heard now"),
        Control("/deck/loop/out", "action", "", "sets the loop's end to what is heard now, and loops"),
        Control("/deck/loop/on", "choice", "i", "loops, or plays on", range=(0, 1), default=(0,)),
        Control(
            "/deck/fade", "choice", "f", "length of the cross-fade before a jump or a loop comes round; 0: none",
            range=(0, LONGEST_FADE), unit="ms", default=(FADE,),
        ),
        Control(
            "/deck/tempo", "choice", "f", "how fast the file plays, at its own pitch; 1: as it is",
            range=(SLOWEST, FASTEST), default=(1.0,),
        ),
        *(
            control
            for cue in range(1, CUES + 1)
            for control in (
                Control(f"/deck/cue/{cue}", "action", "", f"jumps to hot cue {cue}, and plays"),
                Control(
                    f"/deck/cue/{cue}/set", "action", "f", f"sets hot cue {cue} there; without a time, to what is heard now",
                    optional=True, **seconds,
                ),
                Control(f"/deck/cue/{cue}/clear", "action", "", f"forgets hot cue {cue}"),
                Control(f"/deck/cue/{cue}/at", "info", "f", f"where hot cue {cue} is; -1: not set", unit="s", default=(-1.0,)),
            )
        ),
        Control("/deck/position", "info", "f", "what is heard of the file now", unit="s", default=(0.0,)),
        Control("/deck/duration", "info", "f", "length of the file", unit="s", default=(0.0,)),
        Control("/deck/overview", "info", "b", "peaks of the file from start to end, a byte a column, 255 for full scale"),
        Control("/deck/overview/fine", "info", "b", "the same in eight times as many columns"),
        Control("/deck/title", "info", "s", "name of the file", default=("",)),
        Control(
            "/deck/state", "info", "s", "off, empty, loading, playing, paused, ended, or failed: and why", default=("off",)
        ),
        Control(
            "/deck/hq", "choice", "i", "prepares the whole file in the background, and plays what is ready", range=(0, 1),
            default=(0,),
        ),
        Control("/deck/hq/state", "info", "s", "off, or by what it is prepared, and how that goes", default=("off",)),
        Control("/deck/hq/ready", "info", "f", "how much of the file is prepared", range=(0, 1), default=(0.0,)),
        Control("/deck/hq/speed", "info", "f", "how fast it is prepared, 1 as fast as it plays; 0 where that is not known", default=(0.0,)),
        Control(
            "/deck/activity", "info", "b",
            "level of each stem at each of 1000 places from start to end, a byte each, place by place; 0 where it is not known",
        ),
    )


def twin_of(address: str) -> str:
    """Return the address of the display twin of `address`."""
    return f"{address}/str"


def below(prefix: str, address: str) -> bool:
    """Return whether `address` is `prefix` or lies below it; an empty prefix and "/" hold everything."""
    prefix = prefix.rstrip("/")
    return not prefix or address == prefix or address.startswith(prefix + "/")


def table_text(
    stems: Sequence[str],
    attends: tuple[int, int] | None = None,
    markdown: bool = False,
    outputs: Sequence[str] = (),
    models: Sequence[str] = (),
    inserts: bool = False,
) -> str:
    """Return the table of `controls_for` in columns, for a person to read, or as a table in Markdown."""
    rows = [("address", "types", "access", "range", "unit", "default", "description")]
    for control in controls_for(stems, attends, models, outputs, inserts).values():
        types = "".join(f"[{tag}]" for tag in control.tags) if control.optional else control.tags
        pairs = control.ranges or (control.range,)
        bounds = " ".join(f"{pair[0]:g}..{pair[1]:g}" for pair in pairs if pair)
        default = " ".join(str(v) for v in control.default) if control.kind == "setting" else ""
        description = control.description
        if control.choices:
            description += f" ({', '.join(control.choices)})"
        if len(types) > 8 and len(set(types)) == 1:
            types = f"{types[0]}*{len(types)}"
        rows.append((control.address, types or "-", control.access, bounds, control.unit, default, description))
    if markdown:
        rows[1:] = [(f"`{row[0]}`", *(cell.replace("|", "\\|").replace("*", "\\*") for cell in row[1:])) for row in rows[1:]]
        rows.insert(1, ("---",) * len(rows[0]))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
