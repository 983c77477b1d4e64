"""Chords as keyboards, guitars and sections play them: held, strummed, broken, stabbed."""

from __future__ import annotations

import numpy as np

from models.data.arrangements.harmony import Chord, voicing
from models.data.arrangements.notes import Note

# A letter a sixteenth: X accent, x hit, o soft, m muted, - hold, . rest. Twelve letters are triplets.
RHYTHMS: dict[str, tuple[str, ...]] = {
    "pad": ("X---------------",),
    "block": ("X-------x-------", "X---x---x---x---", "X-----x-----x---", "X--x--x-X--x--x-", "X-x-x-x-X-x-x-x-", "X-----------x-x-"),
    "strum": ("X-x-o-x-X-x-o-x-", "X---x-ox.ox-o-x-", "X-------x-x-o-x-", "X-xoX-xoX-xoX-xo", "X---..x-..x-x-o-"),
    "skank": ("..X...X...X...X.", "....X.......X...", "..X.o.X...X.o.X.", ".xX..xX..xX..xX."),
    "scratch": ("x.mmxmm.xmmx.mxm", "X..x.mmx..mX.mm.", "mmX.mmxmmmX.mxmm", "..x..x....x..x.m", "XmmxmmxmXmmxmm.m"),
    "stab": ("X.......X.......", "..X..X....X..X..", "X..X..X.........", "......X.......x.", "X.....x..X......", "....X.......X.X."),
    "house": ("X..X..X...X..X..", "..X...X...X...X.", "X..x..x.X..x..x.", ".X..X..X..X..X..", "X-.X-.X-..X-.X-."),
    "chug": ("XmmmxmmmXmmmxmmm", "X-mmX-mmX-mmX-mm", "XmXmmXmmXmXmmXmm", "X---------------", "X-x-x-x-X-x-x-x-", "X...X..X....X-x-"),
    "power": ("X-x-x-x-x-x-x-x-", "X-------x-------", "X-----x-x---x---", "X--x--x-X--x--x-", "X.x.x.xxX.x.x.xx"),
    "bossa": ("X..X..X...X..X..", "X-.X-.X...X-.X..", "..X-..X-.X..X-..", "X..X...X..X.X..."),
    "montuno": ("X.xx.xx.x.xx.xx.", "x.x.xx.xx.x.xx.x", "..xx.xx.x.xx.xxx"),
    "shell": ("......X.....X...", "X.....x.........", "....X.....x-....", "..X-....x.....X-", "X-----..........", "......x-....x-.."),
    "brass": ("X.......x-x.....", "....X-..........", "X-----..........", "..x.x-......X...", "............x.x.", "X..x..X.........", "................"),
    "triplets": ("X--x--x--x--", "XxxXxxXxxXxx", "X-----x-----", "...X.....X..", "X--.-xX--.-x"),
    "waltz": ("....x...x...", "X---x---x---", "X-----------", "..x-x-x-x-x-"),
}  # fmt: skip
_LEVEL = {"X": 104, "x": 90, "o": 68, "m": 50}


def _chord_at(chords: list[Chord], beat: float) -> Chord:
    return next((c for c in chords if c.start <= beat + 1e-6 < c.end), chords[-1])


def comping(
    rng: np.random.Generator, kind: str, chords: list[Chord], bar: float, centre: float, size: int
) -> list[Note]:
    """Return chords in a rhythm of RHYTHMS over `chords`; `size` notes each around the pitch `centre`."""
    options = RHYTHMS[kind]
    pattern, other = options[rng.integers(len(options))], options[rng.integers(len(options))]
    unit = bar / 12 if len(pattern) == 12 and bar == 4 else 0.25
    strummed = kind in ("strum", "skank", "scratch")
    gate = rng.uniform(0.5, 1.0) if kind != "pad" else 1.0
    notes: list[Note] = []
    struck: list[Note] = []
    previous: tuple[int, ...] = ()
    down, current = True, None
    for step in range(round((chords[-1].end - chords[0].start) / unit)):
        beat = chords[0].start + step * unit
        bars = step // len(pattern)
        row = other if bars % 4 == 3 and kind != "pad" and len(other) == len(pattern) else pattern
        letter = row[step % len(row)]
        chord = _chord_at(chords, beat)
        fresh = chord is not current
        if fresh and letter == "-":
            letter = "X"
        if letter == "-":
            struck = [Note(n.start, n.length + unit, n.pitch, n.velocity) for n in struck]
            continue
        notes += struck
        struck = []
        if letter == ".":
            continue
        if fresh or not previous:
            if kind in ("chug", "power"):
                root = 40 + (chord.root - 40) % 12
                previous = (root, root + 7, root + 12)[: max(2, min(3, size))]
            else:
                previous = voicing(chord, centre, size, previous)
            current = chord
        velocity = float(np.clip(rng.normal(_LEVEL[letter], 6), 20, 127))
        pitches = previous[:1] if letter == "m" and kind == "chug" else previous
        order = pitches if down else pitches[::-1]
        down = not down
        spread = rng.uniform(0.008, 0.035) if strummed else rng.uniform(0, 0.006)
        for i, pitch in enumerate(order):
            length = 0.08 if letter == "m" else unit
            struck.append(Note(beat + i * spread, length, pitch, int(np.clip(velocity + rng.normal(0, 4), 15, 127))))
    notes += struck
    return [Note(n.start, max(0.06, n.length * (gate if n.length > 0.1 else 1)), n.pitch, n.velocity) for n in notes]


def arpeggio(rng: np.random.Generator, chords: list[Chord], centre: float, rate: float) -> list[Note]:
    """Return broken chords, a note every `rate` beats: up, down, both, Alberti, or in an order of its own."""
    size = int(rng.integers(3, 6))
    order = {
        "up": list(range(size)),
        "down": list(range(size))[::-1],
        "both": [*range(size), *range(size - 2, 0, -1)],
        "alberti": [0, 2, 1, 2],
        "own": [int(i) for i in rng.integers(0, size, rng.choice([4, 6, 8]))],
    }[str(rng.choice(["up", "down", "both", "alberti", "own"]))]
    rests = rng.random(len(order)) < rng.choice([0.0, 0.0, 0.25])
    gate = rng.uniform(0.4, 1.6)
    notes, previous, step = [], (), 0
    for chord in chords:
        previous = voicing(chord, centre, size, previous)
        for i in range(round(chord.length / rate)):
            if not rests[step % len(order)]:
                velocity = int(np.clip(rng.normal(96 if i % 4 == 0 else 82, 6), 30, 127))
                notes.append(Note(chord.start + i * rate, rate * gate, previous[order[step % len(order)]], velocity))
            step += 1
    return notes
