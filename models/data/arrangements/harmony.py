"""Keys, chords and progressions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
}

# Scale degrees, 1 is the tonic, one a chord; a song repeats them at a rhythm of its own.
PROGRESSIONS: dict[str, tuple[str, ...]] = {
    "major": (
        "1564",
        "6415",
        "1645",
        "4156",
        "1465",
        "1454",
        "1345",
        "1264",
        "4536",
        "1514",
        "2511",
        "1625",
        "15634145",
    ),
    "minor": ("1637", "1767", "1463", "1671", "1374", "6711", "1746", "1416", "1654", "1176", "4167", "16341755"),
    "modal": ("1171", "1474", "1144", "1711", "1741", "1411", "1121", "1177"),
    "vamp": ("11", "1141", "1111", "14", "17", "1112", "1161"),
    "blues": ("111144115415", "141144115411", "11114411"),
    "jazz": ("2511", "1625", "3625", "25142571", "16251625", "12341625", "4731625114"),
    "riff": ("1112", "1127", "1763", "1217", "1161", "1513", "1321", "16"),
}
# Where a degree likes to go next, for progressions of no list.
_NEXT = {1: (4, 5, 6, 2, 3, 7), 2: (5, 4, 7), 3: (6, 4), 4: (1, 5, 2, 6), 5: (1, 6, 4), 6: (4, 2, 5, 3), 7: (1, 3, 6)}


@dataclass(frozen=True)
class Chord:
    """A chord over `length` beats from `start`: pitch class of its root and the notes above it in semitones."""

    start: float
    length: float
    root: int
    intervals: tuple[int, ...]

    @property
    def end(self) -> float:
        """Where the chord stops, in beats."""
        return self.start + self.length

    @property
    def classes(self) -> tuple[int, ...]:
        """Pitch classes of its notes."""
        return tuple((self.root + i) % 12 for i in self.intervals)


@dataclass(frozen=True)
class Key:
    """A tonic (0 is C) and the name of its scale."""

    tonic: int
    mode: str

    @property
    def minor(self) -> bool:
        """Whether its third is minor."""
        return 3 in SCALES[self.mode]

    @property
    def classes(self) -> tuple[int, ...]:
        """Pitch classes of the scale, from the tonic up."""
        return tuple((self.tonic + s) % 12 for s in SCALES[self.mode])

    def chord(self, degree: int, size: str, start: float, length: float) -> Chord:
        """Return the chord on a degree (1 to 7); `size` is power, triad, seventh, ninth, sus or dominant."""
        scale = SCALES[self.mode]
        at = [scale[(degree - 1 + k) % 7] + 12 * ((degree - 1 + k) // 7) for k in (0, 2, 4, 6, 8, 3)]
        third, fifth, seventh, ninth, fourth = (a - at[0] for a in at[1:])
        # A diminished fifth on every seventh degree sounds like a mistake where chords are strummed whole.
        fifth = 7 if size in ("power", "dominant", "triad") else fifth
        intervals = {
            "power": (0, 7),
            "triad": (0, third, fifth),
            "sus": (0, fourth if fourth == 5 else 2, 7),
            "seventh": (0, third, fifth, seventh),
            "ninth": (0, third, fifth, seventh, ninth if ninth != 13 else 14),
            "dominant": (0, 4, 7, 10),
        }[size]
        return Chord(start, length, (self.tonic + at[0]) % 12, intervals)


def progression(rng: np.random.Generator, families: tuple[str, ...]) -> list[int]:
    """Return the degrees of a progression out of the families, or now and then of a random walk."""
    if rng.random() < 0.25 and not {"vamp", "riff", "blues"} & set(families):
        degrees = [1 if rng.random() < 0.7 else int(rng.integers(2, 7))]
        while len(degrees) < 4 * rng.integers(1, 3):
            options = _NEXT[degrees[-1]]
            degrees.append(int(options[min(len(options) - 1, int(rng.exponential(1.0)))]))
        return degrees
    options = PROGRESSIONS[families[rng.integers(len(families))]]
    return [int(d) for d in options[rng.integers(len(options))]]


def chords(
    rng: np.random.Generator,
    key: Key,
    degrees: list[int],
    sizes: tuple[str, ...],
    start: float,
    beats: float,
    each: float,
) -> list[Chord]:
    """Return the chords from beat `start` on over `beats` beats, one `each` beats."""
    result, i = [], 0
    while i * each < beats - 1e-6:
        degree = degrees[i % len(degrees)]
        size = sizes[rng.integers(len(sizes))]
        chord = key.chord(degree, size, start + i * each, min(each, beats - i * each))
        if degree == 5 and key.mode in ("minor", "harmonic") and len(chord.intervals) > 2 and rng.random() < 0.5:
            chord = Chord(chord.start, chord.length, chord.root, (0, 4, *chord.intervals[2:]))
        result.append(chord)
        i += 1
    return result


def voicing(chord: Chord, centre: float, notes: int, previous: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Return `notes` MIDI pitches of the chord near `centre`, close to those of the `previous` chord."""
    wanted = float(np.mean(previous)) if previous else centre
    wanted = centre + np.clip(wanted - centre, -4, 4)
    classes = chord.classes if notes >= len(chord.intervals) else chord.classes[-notes:]
    stack = []
    for inversion in range(len(classes)):
        order = classes[inversion:] + classes[:inversion]
        pitches = [order[0] + 12 * round((centre - order[0]) / 12) - 12]
        while len(pitches) < notes:
            pitches.append(pitches[-1] + ((order[len(pitches) % len(order)] - pitches[-1]) % 12 or 12))
        stack += [[p + shift for p in pitches] for shift in (-12, 0, 12)]
    return tuple(min(stack, key=lambda p: abs(float(np.mean(p)) - wanted)))
