"""Drum patterns, their variations and fills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.arrangements.notes import Note

# General MIDI keys.
KEYS: dict[str, int] = {
    "kick": 36, "kick2": 35, "rim": 37, "snare": 38, "clap": 39, "snare2": 40, "hat": 42, "pedal": 44, "open": 46,
    "tom1": 50, "tom2": 47, "tom3": 43, "tom4": 41, "crash": 49, "crash2": 57, "ride": 51, "bell": 53, "china": 52,
    "splash": 55, "tambourine": 54, "cowbell": 56, "shaker": 70, "cabasa": 69, "conga": 63, "slap": 62, "tumba": 64,
    "bongo": 60, "bongo2": 61, "timbale": 65, "timbale2": 66, "agogo": 67, "agogo2": 68, "claves": 75, "block": 76,
    "guiro": 73, "triangle": 81,
}  # fmt: skip
KITS = {"standard": 0, "room": 8, "power": 16, "electronic": 24, "808": 25, "jazz": 32, "brush": 40, "orchestra": 48}
_LEVEL = {"X": 118, "x": 98, "o": 72, "g": 42}


@dataclass(frozen=True)
class Groove:
    """One or two bars: a lane a drum, a letter a step (X accent, x hit, o soft, g ghost), `steps` to the beat."""

    steps: int
    lanes: dict[str, str]


def _g(text: str, steps: int = 4) -> Groove:
    pairs = (entry.split("=") for entry in text.split())
    return Groove(steps, {name: lane.replace("|", "") for name, lane in pairs})


GROOVES: dict[str, tuple[Groove, ...]] = {
    "rock": (
        _g("kick=X.......X....... snare=....X.......X... hat=x.o.x.o.x.o.x.o."),
        _g("kick=X.....x.X....... snare=....X.......X... hat=x.x.x.x.x.x.x.x."),
        _g("kick=X.x.....X.x..... snare=....X.......X..g ride=x.o.x.o.x.o.x.o."),
        _g("kick=X......xX.x..... snare=....X..g.g..X... hat=X.o.X.o.X.o.X.o."),
        _g("kick=X.x....xX.x..x.. snare=....X.......X... open=x...x...x...x..."),
        _g("kick=x...x...x...x... snare=....X.......X.X. tom3=x.xxx.xxx.xxx.xx"),
    ),
    "pop": (
        _g("kick=X.......X.x..... snare=....X.......X... hat=x.x.x.x.x.x.x.x."),
        _g("kick=X..x..x...x..... snare=....X.......X... hat=o.o.o.o.o.o.o.oo tambourine=....x.......x..."),
        _g("kick=X...x...X...x... clap=....X.......X... hat=..x...x...x...x. shaker=oooooooooooooooo"),
        _g("kick=X..x....X..x.... snare=....X.......X... hat=xoxoxoxoxoxoxoxo"),
        _g("kick=X.....x..xx..... snare=....X.......X... hat=x.x.x.x.x.x.x... open=..............x."),
    ),
    "funk": (
        _g("kick=X.x...x...x..x.. snare=....X..g.g..X..g hat=x.xox.xox.xox.xo"),
        _g("kick=X..x..x.....x... snare=.g..X..g.g.gX.g. hat=xoxoxoxoxoxoxoxo"),
        _g("kick=X.....x.x.x..... snare=....X..X.g..X..x hat=x.x.x.x.x.x.x... open=..............x."),
        _g("kick=X.x.....x.x..x.. snare=..g.X..g.X..g.g. hat=x.x.x.xox.x.x.xo cowbell=x...x...x...x..."),
        _g("kick=x..x..x...x.x... snare=....X..g....X.gg hat=xxxxxxxxxxxxxxxx conga=..o..x.o..o..xx."),
    ),
    "soul": (
        _g("kick=X.....x.x....... snare=....X.......X... hat=x.x.x.x.x.x.x.x. tambourine=x.x.x.x.x.x.x.x."),
        _g("kick=X.......X.x..... snare=X...X...X...X... hat=x.x.x.x.x.x.x.x."),
        _g("kick=X..x....x..x.... rim=....X.......X..o hat=x.o.x.o.x.o.x.o. conga=..xx..xx..xx..xx"),
        _g("kick=X.....o.X....... snare=....x..g....x.g. ride=x.x.x.x.x.x.x.x."),
    ),
    "disco": (
        _g("kick=X...X...X...X... snare=....X.......X... hat=x.o.x.o.x.o.x.o. open=..x...x...x...x."),
        _g("kick=X...X...X...X... clap=....X.......X... hat=xoxoxoxoxoxoxoxo tambourine=..x...x...x...x."),
        _g("kick=X...X...X..xX... snare=....X.......X..g open=..x...x...x...x. conga=x.ox.xo.x.ox.xoo"),
        _g("kick=X...X...X...X... snare=....X.......X... hat=xxx.xxx.xxx.xxx. open=...x...x...x...x cowbell=x.x..x.x.x.x..x."),
    ),
    "house": (
        _g("kick=X...X...X...X... clap=....X.......X... open=..x...x...x...x."),
        _g("kick=X...X...X...X... clap=....X.......X..o open=..x...x...x...x. shaker=oxoxoxoxoxoxoxox"),
        _g("kick=X...X...X...X..o snare=....x..o.o..x... hat=..x...x.o.x...xo conga=...o..x....o.xx."),
        _g("kick=X...X...X...X... clap=....X.......X... ride=..x...x...x...x. rim=...o..o....o..o."),
        _g("kick=X...X...X...X... snare=.......o..o..... hat=oxoxoxoxoxoxoxox tambourine=....x.......x... open=..x...x...x...x."),
    ),
    "techno": (
        _g("kick=X...X...X...X... hat=..x...x...x...x. rim=...o.....o....o."),
        _g("kick=X...X...X...X... open=..x...x...x...x. tom3=......o..o....o. clap=....o.......o..."),
        _g("kick=X...X...X...X... hat=oxoxoxoxoxoxoxox ride=x.x.x.x.x.x.x.x."),
        _g("kick=X...X..xX...X.x. clap=....x.......x... hat=ooxoooxoooxoooxo block=...x..x...x..x.."),
        _g("kick=X..x..X..x..X... open=..x...x...x...x. snare2=..........o....."),
    ),
    "dnb": (
        _g("kick=X.........x..... snare=....X.......X... hat=x.x.x.x.x.x.x.x."),
        _g("kick=X.x.......x..... snare=....X..g.g..X..g hat=x.xxx.xxx.xxx.xx"),
        _g("kick=X.x.......xx.... snare=....X..x.x..X... ride=x.x.x.x.x.x.x.x."),
        _g("kick=X..x......x..... snare=....X..g.xg.X.gg hat=xoxoxoxoxoxoxoxo"),
        _g("kick=X.....x...x..... snare=....X.......X.x. open=..x...x...x...x. shaker=oxoxoxoxoxoxoxox"),
    ),
    "hiphop": (
        _g("kick=X......x.x...... snare=....X.......X... hat=x.x.x.x.x.x.x.x."),
        _g("kick=X.x....x..x..... snare=....X.......X..g hat=x.xox.x.x.xox.x."),
        _g("kick=X..x......x..x.. snare=....X.......X... hat=x.x.x.xxx.x.x.x. rim=..........o....."),
        _g("kick=X.....x...x..... clap=....X.......X... hat=x...x...x...x... shaker=..o...o...o...o."),
        _g("kick=X..x..x..x...... snare=....X.......X... ride=x...x...x...x... open=..............o."),
    ),
    "trap": (
        _g("kick=X......x..x..... clap=........X....... hat=x.x.x.x.x.x.x.x. open=..............x."),
        _g("kick=X.....x......x.. snare=........X....... hat=x.x.xxx.x.x.xxxx"),
        _g("kick=X..x.......x..x. snare=........X.....o. hat=xxxxx.x.xxxxx.xx rim=......x.....x..."),
        _g("kick=X.........x.....|X..x......x..... clap=........X....... hat=x.x.x.x.x.xxx.x.|x.xxx.x.x.x.xxxx"),
    ),
    "reggae": (
        _g("kick=........X....... rim=........X....... hat=x.o.x.o.x.o.x.o."),
        _g("kick=........X....... snare=........X....... hat=..x...x...x...x. open=..............o."),
        _g("kick=X...X...X...X... rim=........X..o.... hat=x.oox.oox.oox.oo"),
        _g("kick=X.......X....... snare=....X.......X... hat=..x...x...x...x. conga=o.....xxo.....xx"),
    ),
    "latin": (
        _g("kick=X..xX..xX..xX..x rim=X..X..X...X..X.. hat=xxxxxxxxxxxxxxxx"),
        _g("kick=x..xx..xx..xx..x rim=x..x..x....x.x.. shaker=xoxoxoxoxoxoxoxo"),
        _g("claves=X..X..X...X.X... conga=o.xo.oxxo.xo.oxx bongo=x.oxx.oxx.oxx.ox cowbell=X.x.X.x.X.x.X.x."),
        _g("claves=..X.X...X..X..X. timbale=x..x..x.x.x..x.x tumba=......x.......xx kick=...x..x....x..x. guiro=X.xxX.xxX.xxX.xx"),
        _g("kick=X...X...X...X... tumba=..xx..xx..xx..xx slap=X.....X.X.....X. agogo=x.x..x.x.x.x..x. snare=...x..x....x..x."),
        _g("kick=X...x...X...x... snare=...x..x....x..x. hat=x.x.x.x.x.x.x.x."),
    ),
    "swing": (
        _g("ride=x..x.xx..x.x pedal=...x.....x.. kick=g..g..g..g.. snare=..........g.", 3),
        _g("ride=x..x.xx..x.x pedal=...x.....x.. snare=.....g..o..g kick=......o.....", 3),
        _g("hat=x..x.xx..x.x pedal=...x.....x.. rim=.........x..", 3),
        _g("snare=x..x.xx..x.x pedal=...x.....x.. kick=o.....o.....", 3),
    ),
    "shuffle": (
        _g("kick=X.....X.x... snare=...X.....X.. hat=x.xx.xx.xx.x", 3),
        _g("kick=X..x.xX..x.. snare=...X.....X.g ride=x.xx.xx.xx.x", 3),
        _g("kick=X....xX..... snare=...X..g..X.. hat=x.ox.ox.ox.o", 3),
    ),
    "metal": (
        _g("kick=XxXxXxXxXxXxXxXx snare=....X.......X... ride=x...x...x...x..."),
        _g("kick=X.xxX.xxX.xxX.xx snare=....X.......X... open=x...x...x...x..."),
        _g("kick=x.x.x.x.x.x.x.x. snare=.x.x.x.x.x.x.x.x crash=x...x...x...x..."),
        _g("kick=X.X.....X.X..x.. snare=....X.......X... china=x...x...x...x..."),
        _g("kick=Xxx.Xxx.Xxx.X.xx snare=........X....... hat=x...x...x...x..."),
    ),
    "country": (
        _g("kick=X...X...X...X... snare=..x...x...x...x. hat=x.x.x.x.x.x.x.x."),
        _g("kick=X.......X....... snare=xoXoxoXoxoXoxoXo"),
        _g("kick=X.......X.x..... snare=....X.......X... ride=x.o.x.o.x.o.x.o. shaker=oooooooooooooooo"),
        _g("kick=X.......X....... rim=....X.......X... hat=x.x.x.x.x.x.x.x."),
    ),
    "ballad": (
        _g("kick=X.......x....... rim=....x.......x... hat=o.o.o.o.o.o.o.o."),
        _g("kick=X.....o.X....... snare=....x.......x... ride=x.o.x.o.x.o.x.o."),
        _g("kick=X.......X.x..... snare=....X.......X... hat=o...o...o...o... shaker=o.g.o.g.o.g.o.g."),
        _g("kick=X....... snare=....x... hat=o.oooo.o"),
    ),
    "waltz": (
        _g("kick=X........... snare=....o...o... hat=x...x...x..."),
        _g("kick=X.....x..... snare=....X...X... ride=x.o.x.o.x.o."),
    ),
    "slow12": (
        _g("kick=X....oX..... snare=...X.....X.. hat=xoxxoxxoxxox", 3),
        _g("kick=X.....x.x... rim=...X.....X.. ride=xooxooxooxoo", 3),
    ),
    "break": (
        _g("kick=X.X.......XX.... snare=....X..g.g..X..g ride=x.x.x.x.x.x.x.x."),
        _g("kick=X.x......xx..... snare=....X..g.g....X. hat=x.x.x.x.x.x.x.x."),
        _g("kick=X..x..X..x...x.. snare=....X..x.g..X..x hat=xoxoxoxoxoxoxoxo"),
        _g("kick=X......x..x..... snare=....X.....x.X... open=x.......x......."),
    ),
    "electro": (
        _g("kick=X.....x...x..... clap=....X.......X... hat=xoxxxoxxxoxxxoxx cowbell=..x..x....x..x.."),
        _g("kick=X...X...X...X... snare=....X.......X... hat=x.x.x.x.x.x.x.x. tom1=............x.x. tom2=..............x."),
        _g("kick=X..x..x...x...x. snare=....X.......X... hat=xxxxxxxxxxxxxxxx"),
        _g("kick=X.......X....... snare2=....X.......X... hat=x.x.x.x.x.x.x.x. clap=....x.......x..."),
    ),
}  # fmt: skip


def varied(rng: np.random.Generator, groove: Groove) -> Groove:
    """Return a groove of its own: kicks moved, ghosts added, the cymbal or a lane exchanged or dropped."""
    lanes = {name: list(lane) for name, lane in groove.lanes.items()}
    for name, lane in lanes.items():
        for i, letter in enumerate(lane):
            if letter == "." and rng.random() < {"kick": 0.035, "snare": 0.02}.get(name, 0.015):
                lane[i] = "o" if name == "kick" else "g"
            elif letter in "xog" and i % (groove.steps * 2) and rng.random() < 0.06:
                lane[i] = "."
    time = [n for n in ("hat", "ride", "open", "shaker") if n in lanes]
    if time and rng.random() < 0.3:
        other = str(rng.choice(["hat", "ride", "open", "shaker", "pedal", "bell", "cabasa", "tambourine"]))
        lanes.setdefault(other, lanes.pop(time[0]))
    extra = [n for n in lanes if n not in ("kick", "snare", "clap", "rim", *time)]
    if extra and rng.random() < 0.35:
        del lanes[extra[rng.integers(len(extra))]]
    if "snare" in lanes and rng.random() < 0.2:
        lanes[str(rng.choice(["snare2", "rim", "clap"]))] = lanes["snare"][:]
        if rng.random() < 0.5:
            del lanes["snare"]
    return Groove(groove.steps, {name: "".join(lane) for name, lane in lanes.items()})


def played(
    rng: np.random.Generator, groove: Groove, start: float, beats: float, without: frozenset[str] = frozenset()
) -> list[Note]:
    """Return the notes of a groove repeated from beat `start` over `beats` beats, without some of its drums."""
    notes = []
    for name, lane in groove.lanes.items():
        if name in without:
            continue
        for i in range(round(beats * groove.steps)):
            letter = lane[i % len(lane)]
            if letter != "." and rng.random() < 0.985:
                velocity = int(np.clip(_LEVEL[letter] + rng.normal(0, 6), 12, 127))
                notes.append(Note(start + i / groove.steps, 0.2, KEYS[name], velocity))
    return notes


def fill(rng: np.random.Generator, end: float, beats: float, steps: int) -> list[Note]:
    """Return a fill over the last `beats` before beat `end`: a run down the toms, a roll, or stops."""
    kind = rng.choice(["run", "roll", "stops", "mixed", "build"])
    count = int(beats * steps)
    notes = []
    toms = ["snare", "tom1", "tom2", "tom3", "tom4"]
    for i in range(count):
        place = i / max(1, count)
        if kind == "run":
            name = toms[min(4, int(place * 5))] if rng.random() < 0.9 else ""
        elif kind == "roll":
            name = "snare"
        elif kind == "build":
            name = "snare" if (i % 2 == 0 or place > 0.5) else ""
        elif kind == "stops":
            name = "snare" if i in (0, count - steps) else ("kick" if i == count // 2 else "")
        else:
            name = str(rng.choice([*toms, "kick", ""]))
        if name:
            level = 70 + 45 * place if kind in ("roll", "build") else rng.normal(100, 10)
            notes.append(
                Note(end - beats + i / steps, 0.2, KEYS[name], int(np.clip(level + rng.normal(0, 5), 20, 127)))
            )
    return notes
