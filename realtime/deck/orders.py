"""What is asked of a deck, how it is set up, and what it says of itself: plain descriptions that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass

CUES = 8
# The longest cross-fade at a jump, and the usual one, in milliseconds.
LONGEST_FADE, FADE = 50.0, 5.0
SLOWEST, FASTEST = 0.5, 2.0


@dataclass(frozen=True)
class Order:
    """One message to the deck, as the table of controls has it: `values` are those that were given."""

    address: str
    values: tuple[float | int | str, ...] = ()


@dataclass(frozen=True)
class Setup:
    """What is on a deck at the start: times in seconds. No `path` is an empty deck."""

    path: str | None = None
    at: float = 0.0
    playing: bool = True
    loop: tuple[float, float] = (0.0, 0.0)
    looping: bool = False
    cues: tuple[float | None, ...] = (None,) * CUES
    fade: float = FADE
    tempo: float = 1.0

    def orders_since(self, before: Setup) -> tuple[Order, ...]:
        """Return what has a deck that stood as `before` stand like this, with a file on it."""
        found: list[tuple[str, tuple[float | int | str, ...]]] = []
        if loads := self.path != before.path:
            before = Setup(self.path, playing=before.playing, fade=before.fade, tempo=before.tempo)
            found.append(("load", (self.path,)))
        for number, (cue, was) in enumerate(zip(self.cues, before.cues, strict=True), 1):
            if cue != was:
                found.append((f"cue/{number}/clear", ()) if cue is None else (f"cue/{number}/set", (cue,)))
        if (self.loop, self.looping) != (before.loop, before.looping) and self.loop[0] < self.loop[1]:
            found += [("loop", self.loop), ("loop/on", (int(self.looping),))]
        if self.fade != before.fade:
            found.append(("fade", (self.fade,)))
        if self.tempo != before.tempo:
            found.append(("tempo", (self.tempo,)))
        found.append(("seek", (self.at,)))
        if loads or self.playing != before.playing:
            found.append(("play", (int(self.playing),)))
        return tuple(Order(f"/deck/{name}", values) for name, values in found)


@dataclass(frozen=True)
class Peaks:
    """The file at a glance: a byte a column, in few columns and in many, see `realtime.deck.overview`."""

    columns: bytes
    fine: bytes = b""


@dataclass(frozen=True)
class DeckNews:
    """How the deck stands: `position` is what is heard now, in seconds, as are the other times; `fade` in milliseconds.

    `refused` counts the orders that were not carried out: what they asked for is not how it stands.
    """

    state: str
    title: str
    playing: bool
    position: float
    duration: float
    loop: tuple[float, float]
    looping: bool
    cues: tuple[float | None, ...]
    fade: float
    # The file itself, what tells its contents from others, the folder of the cache its stems are taken from, and at what rate.
    path: str = ""
    contents: str = ""
    stems: str = ""
    rate: int = 0
    tempo: float = 1.0
    refused: int = 0

    def values(self) -> dict[str, object]:
        """Return address -> value for the table of controls; a cue that is not set stands at -1."""
        return {
            "/deck/state": self.state,
            "/deck/title": self.title,
            "/deck/play": int(self.playing),
            "/deck/position": self.position,
            "/deck/duration": self.duration,
            "/deck/loop": self.loop,
            "/deck/loop/on": int(self.looping),
            "/deck/fade": self.fade,
            "/deck/tempo": self.tempo,
        } | {f"/deck/cue/{number}/at": -1.0 if at is None else at for number, at in enumerate(self.cues, 1)}


# How a deck stands that is not there.
NO_DECK = DeckNews("off", "", False, 0.0, 0.0, (0.0, 0.0), False, (None,) * CUES, FADE)
