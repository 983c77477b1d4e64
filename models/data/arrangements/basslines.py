"""Bass lines over chords: rhythms with a letter for each note, walking lines, held subs."""

from __future__ import annotations

import numpy as np

from models.data.arrangements.harmony import Chord
from models.data.arrangements.notes import Note

# A letter a sixteenth: r root, R root accented, 5 fifth, 3 third, 7 seventh, 8 octave, a step from the next
# root, s any chord note, g dead note, - hold, . rest. Twelve letters are triplets.
PATTERNS: dict[str, tuple[str, ...]] = {
    "eighths": ("R.r.r.r.R.r.r.r.", "R-r-r-r-R-r-r-5-", "R.r.r.r.r.r.r.a.", "r-r-r-r-5-5-8-a-", "R...r.r.R...r.r."),
    "pop": ("R-----r-r-------", "R--r----5---a---", "R--r--r---r---a-", "R-------5-------", "R-.r..r-R-.r..5-", "R-----8-5---a---"),
    "halves": ("R-------r-------", "R---------------", "R-------5-------", "R-----------r---", "R-------5---a---"),
    "funk": ("R.g8..r.g.7.8.r.", "R..r..8.g.r.5.7.", "Rr.g..8..gr..78.", "R.r.g.r8.7.5.g.a", "R...g.7.8..gR.r.", "R.8.g.8.rg8.5.7."),
    "octaves": ("R.8.r.8.r.8.r.8.", "r-8-r-8-r-8-r-8-", "R.8.R.8.5.8.a.8.", "R..8..r.8.r.8.a."),
    "offbeat": ("..R...r...r...r.", "..r-..r-..r-..8-", ".rr..rr..rr..rr.", "..R-..r...R-..5."),
    "sixteenths": (".rrr.rrr.rrr.rrr", "Rrrrrrrrrrrrrrrr", "r.rr.r.r8.rr.r7.", "R.rr8.rr7.rr5.rr", "rr8rr8rr8r7rr8r5"),
    "house": ("R..r..r...r..r..", "R-.r-.8-..7-.r..", "..R..r..8..r..7.", "R.....r.r..8..5."),
    "reggae": ("R---..5-..3-r-..", "..R-r-..5-..3-..", "R-..r-5-8-..5---", "....R-r-3-5-....", "R-.r-.5-R-.r-.3-"),
    "latin": ("R--r5--5R--r5--5", "R-----5-----8-5-", "..R---5-..r---5-", "R--5--8---5-r---", "...5--r----5--a-"),
    "country": ("R---....5---....", "R---....5---..a-", "R---r---5---a---", "R-------5-..5-a-"),
    "gallop": ("R.rrr.rrr.rrr.rr", "R-rrR-rrR-rr5-aa", "RrrrRrrrRrrrRrrr", "R.r.rr.rr.r.R-a-"),
    "sub": ("R---------------", "R-----..r-..r---", "R---..r-......8-", "R-----------..r-", "R--r--..r-----a-"),
    "reese": ("R---------------", "R-------r---7---", "R-----r---------", "R---------..7-8-"),
    "arp": ("r.5.8.5.r.5.8.5.", "r-3-5-8-5-3-r-5-", "r.r.8.8.5.5.7.7.", "r8r8r8r85858r8r8"),
    "motown": ("R--r..5.8.5.a.3.", "R.r.5.3.r..5.3a.", "R--5..8-.7.5.3.a", "R---r.3.5---r.a."),
    "shuffle": ("R--r--5--5--", "R-rr-r5-5a-a", "R--3--5--3--", "R-rr-rr-rr-r"),
    "slow12": ("R-----r--r--", "R-----5--a--", "R--r--5-----", "R-----------"),
    "waltz": ("R---........", "R---....5---", "R-----------", "R---3---5---"),
}  # fmt: skip


def register(pitch: int, low: int = 28) -> int:
    """Return the pitch class of `pitch` in the octave from `low` up."""
    return low + (pitch - low) % 12


def invented(rng: np.random.Generator, letters: int = 16) -> str:
    """Return a pattern of no list: onsets more likely on the beat, roots more likely than colours."""
    density = rng.uniform(0.15, 0.6)
    result = []
    for i in range(letters):
        weight = density * (1.6 if i % 4 == 0 else 1.1 if i % 2 == 0 else 0.6)
        if i == 0 or rng.random() < weight:
            result.append("R" if i == 0 else str(rng.choice(list("rrrr5587s3a"))))
        else:
            result.append("-" if rng.random() < 0.55 else ".")
    return "".join(result)


def _walking(rng: np.random.Generator, chord: Chord, following: Chord, low: int) -> list[Note]:
    """Quarter notes that step through the chord and lean into the next one."""
    notes: list[Note] = []
    pitch = register(chord.root, low)
    count = max(1, round(chord.length))
    tones = sorted({p for p in range(low - 2, low + 21) if p % 12 in chord.classes})
    for i in range(count):
        if i == count - 1 and count > 1:
            target = register(following.root, low)
            pitch = target + int(rng.choice([-1, 1, -2, 7]))
        elif i:
            near = [p for p in tones if 0 < abs(p - pitch) <= 5] or tones
            pitch = int(near[rng.integers(len(near))])
        notes.append(Note(chord.start + i, 0.92, pitch, int(np.clip(rng.normal(92, 8), 50, 120))))
        if rng.random() < 0.12:
            notes.append(Note(chord.start + i + 2 / 3, 0.25, pitch, int(rng.integers(45, 75))))
    return notes


def bass_line(rng: np.random.Generator, kind: str, chords: list[Chord], bar: float, low: int = 28) -> list[Note]:
    """Return a line of a kind (a key of PATTERNS, "walking" or "invented") over `chords`, `bar` beats a bar."""
    if kind == "walking":
        pairs = zip(chords, chords[1:] + chords[:1], strict=True)
        return [note for chord, following in pairs for note in _walking(rng, chord, following, low)]
    options = PATTERNS.get(kind) or (invented(rng),)
    pattern = options[rng.integers(len(options))]
    other = options[rng.integers(len(options))]
    short = rng.uniform(0.55, 0.98)
    start, end = chords[0].start, chords[-1].end
    unit = bar / len(pattern) if len(pattern) == 12 else 0.25
    notes: list[Note] = []
    beat, step, bars = start, 0, 0
    while beat < end - 1e-6:
        index = step % len(pattern)
        bars += index == 0 and step > 0
        # Every fourth bar answers the other three.
        letter = (other if bars % 4 == 3 else pattern)[index]
        chord = next((c for c in chords if c.start <= beat + 1e-6 < c.end), chords[-1])
        at = chords.index(chord)
        if beat == chord.start and letter in ".-" and kind not in ("offbeat", "reggae", "latin", "sixteenths"):
            letter = "R"
        if letter == "-" and notes and abs(notes[-1].end - beat) < 1e-6:
            last = notes[-1]
            notes[-1] = Note(last.start, last.length + unit, last.pitch, last.velocity)
        elif letter not in ".-":
            root = register(chord.root, low)
            colour = dict(zip("357", chord.intervals[1:], strict=False)) if len(chord.intervals) > 2 else {}
            if letter == "a":
                pitch = register(chords[(at + 1) % len(chords)].root, low) + int(rng.choice([-2, -1, 2]))
            elif letter == "s":
                pitch = root + int(rng.choice(chord.intervals)) % 12
            else:
                pitch = root + {"8": 12, "5": 7, "3": colour.get("3", 12), "7": colour.get("7", 10)}.get(letter, 0)
            if letter == "5" and pitch > low + 14:
                pitch -= 12
            level = {"R": 108, "g": 45, "8": 100}.get(letter, 92)
            velocity = int(np.clip(rng.normal(level, 7), 25, 127))
            notes.append(Note(beat, 0.1 if letter == "g" else unit, pitch, velocity))
        step += 1
        beat = start + step * unit
    return [n if n.length < 0.15 else Note(n.start, n.length * short, n.pitch, n.velocity) for n in notes]
