"""What on a controller moves something: a knob, a fader, an encoder, a key, a program."""

from __future__ import annotations

from dataclasses import dataclass

# The highest number of each kind, where it has numbers.
KINDS = {"cc": 127, "cc14": 31, "nrpn": 16383, "relative": 127, "note": 127, "program": 127, "bend": 0}
ENCODINGS = ("twos-complement", "offset", "sign-magnitude")


@dataclass(frozen=True)
class Source:
    """A knob or key. `channel` counts from 1; None is any.

    `kind` is one of KINDS: a controller of 7 bits, one of 14 (`number` is the upper half's, the lower is 32 above),
    a non-registered parameter of 14 bits, an endless encoder, a note, a program, or the pitch bend. `number` is None
    for any program. `encoding` is how an encoder tells its steps.
    """

    kind: str
    number: int | None = 0
    channel: int | None = None
    encoding: str | None = None

    @property
    def text(self) -> str:
        """What a person reads: "cc 7, channel 1"."""
        number = "" if self.kind == "bend" else " any" if self.number is None else f" {self.number}"
        encoding = f" ({self.encoding})" if self.encoding else ""
        return f"{self.kind}{number}{encoding}, {'any channel' if self.channel is None else f'channel {self.channel}'}"

    def same_place(self, other: Source) -> bool:
        """Return whether both mean the same knob or key, however it is read."""
        if self.channel != other.channel and None not in (self.channel, other.channel):
            return False
        if self.kind == other.kind == "program" and None in (self.number, other.number):
            return self.number == other.number
        return bool(_places(self) & _places(other))

    def shown(self, position: float) -> list[list[int]]:
        """Return the messages that show `position`, 0..1, on this knob, its ring of lights, or below this key."""
        channel = (self.channel or 1) - 1
        seven, fourteen = round(127 * position), round(16383 * position)
        number = self.number or 0
        control = 0xB0 | channel
        if self.kind in ("cc", "relative"):
            return [[control, number, seven]]
        if self.kind == "cc14":
            return [[control, number, fourteen >> 7], [control, number + 32, fourteen & 127]]
        if self.kind == "nrpn":
            pairs = [(99, number >> 7), (98, number & 127), (6, fourteen >> 7), (38, fourteen & 127)]
            return [[control, *pair] for pair in pairs]
        if self.kind == "note":
            return [[0x90 | channel, number, seven]]
        if self.kind == "bend":
            return [[0xE0 | channel, fourteen & 127, fourteen >> 7]]
        return []


def steps(value: int, encoding: str) -> int:
    """Return the steps, up or down, that an encoder's 7 bit `value` says."""
    if encoding == "twos-complement":
        return value - 128 if value > 64 else value
    if encoding == "offset":
        return value - 64
    return 64 - value if value > 64 else value % 64


def _places(source: Source) -> set[tuple[str, int | None]]:
    if source.kind in ("cc", "relative"):
        return {("cc", source.number)}
    if source.kind == "cc14":
        return {("cc", source.number), ("cc", source.number + 32)}
    return {(source.kind, source.number)}
