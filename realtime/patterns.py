"""OSC address patterns: ? * [a-c] [!x] {one,two} of OSC 1.0, and // of OSC 1.1, which stands for any number of levels."""

from __future__ import annotations

import re

from realtime.errors import HostError

WILD = frozenset("?*[{")
LONGEST = 200
# Bounds what a stranger can make one look at the table cost.
MOST_WILDCARDS = 16

_TOKENS = re.compile(r"//+|\*+|\?|\[[^\]/]*\]|\{[^}/]*\}|(?:[^/*?\[{]|/(?!/))+|.", re.DOTALL)


class Pattern:
    """An address pattern; plain addresses are patterns too, that match themselves.

    Matching goes over the address once for every part, never back. Raises HostError for a bracket that is not closed
    and for patterns that are too long.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise HostError(f"a pattern has at most {LONGEST} characters, not {len(text)}")
        self.text = text
        self._parts = _TOKENS.findall(text)
        wild = sum(part[0] in WILD or part.startswith("//") for part in self._parts)
        if wild > MOST_WILDCARDS:
            raise HostError(f"a pattern has at most {MOST_WILDCARDS} wildcards, not {wild}")
        for bracket, closing in (("[", "]"), ("{", "}")):
            if bracket in self._parts:
                raise HostError(f"the pattern {text[:80]!r} opens a {bracket} that no {closing} closes")
        self.plain = wild == 0

    def matches(self, address: str) -> bool:
        """Return whether the pattern stands for exactly `address`."""
        return len(address) in self._ends(address)

    def holds(self, address: str) -> bool:
        """Return whether the pattern stands for `address` or for something that it lies below; an empty one holds all."""
        return any(end == len(address) or address[end] == "/" for end in self._ends(address))

    def _ends(self, address: str) -> set[int]:
        """Return up to where in `address` the whole pattern can reach."""
        ends = {0}
        for part in self._parts:
            if not ends:
                break
            ends = {end for start in ends for end in _reach(part, address, start)}
        return ends


def _reach(part: str, address: str, start: int) -> range | list[int]:
    if part.startswith("//"):
        if not address.startswith("/", start):
            return []
        return [at + 1 for at in range(start, len(address)) if address[at] == "/"]
    if part[0] == "*":
        end = address.find("/", start)
        return range(start, (len(address) if end < 0 else end) + 1)
    if part[0] == "{":
        return [start + len(word) for word in part[1:-1].split(",") if address.startswith(word, start)]
    if part == "?" or (part[0] == "[" and len(part) > 1):
        inside = start < len(address) and address[start] != "/"
        return [start + 1] if inside and (part == "?" or _among(part[1:-1], address[start])) else []
    return [start + len(part)] if address.startswith(part, start) else []


def _among(characters: str, one: str) -> bool:
    others = characters.startswith("!")
    characters = characters[others:]
    found = False
    while characters:
        # A minus at either end is a minus.
        if len(characters) > 2 and characters[1] == "-":
            found |= characters[0] <= one <= characters[2]
            characters = characters[3:]
        else:
            found |= characters[0] == one
            characters = characters[1:]
    return found != others
