"""What is played when: tempo, form, chords, patterns, melody, and a show of conditions to go with them."""

from __future__ import annotations

from dataclasses import dataclass

BPM = 124.0
BEAT = 60 / BPM
BAR = 4 * BEAT
# Every other sixteenth comes late by this part of a sixteenth.
_SWING = 0.14


@dataclass(frozen=True)
class Chord:
    """Bass `root`, its `fifth`, the note that leads to the next root, and the upper `voices`, as MIDI numbers."""

    root: int
    fifth: int
    approach: int
    voices: tuple[int, ...]


# IV V iii vi in C major; between neighbours each voice stays or moves by a third at most.
CHORDS = {
    "F": Chord(29, 36, 30, (57, 60, 64, 67)),
    "G": Chord(31, 38, 29, (57, 59, 62, 67)),
    "Em": Chord(28, 35, 31, (55, 59, 62, 67)),
    "Am": Chord(33, 40, 31, (55, 59, 60, 64)),
    "A>C": Chord(33, 40, 35, (55, 59, 60, 64)),
    "C": Chord(36, 43, 36, (55, 59, 62, 64)),
}

# One bar of sixteenths; a digit is a velocity out of nine.
DRUM_PATTERNS: dict[str, dict[str, str]] = {
    "": {},
    "groove": {
        "kick":  "9......6..8.....",
        "snare": "....9..1.2..9..2",
        "hat":   "7252725272527.52",
        "open":  ".............5..",
    },
    "groove fill": {
        "kick":  "9......6..8.....",
        "snare": "....9..1.2....67",
        "hat":   "725272527252....",
        "tom":   "..........3.2.1.",
    },
    "drive": {
        "kick":  "9...9...9...9...",
        "snare": "....9.......9..2",
        "clap":  "....8.......8...",
        "hat":   "43.343.343.343.3",
        "open":  "..6...6...6...6.",
    },
    "drive fill": {
        "kick":  "9...9...9.......",
        "snare": "....9...5.667789",
        "clap":  "....8...........",
        "hat":   "43.343.3........",
        "open":  "..6...6.........",
        "tom":   "............3.21",
    },
    "build": {
        "kick":  "9...9...9...9...",
        "snare": "3.3.4.4.45556789",
        "clap":  "5...5...6...6...",
        "hat":   "..5...5...5...5.",
    },
    "end": {"kick": "9...............", "snare": "8..............."},
}

# Beat, length in beats, and which note of the chord: root, octave, fifth or approach to the next.
BASS_PATTERNS: dict[str, tuple[tuple[float, float, str], ...]] = {
    "": (),
    "walk": ((0, 0.7, "root"), (0.75, 0.22, "root"), (1.5, 0.4, "octave"), (2, 0.22, "root"), (2.5, 0.5, "root"),
             (3, 0.5, "fifth"), (3.5, 0.5, "approach")),
    "drive": ((0, 0.42, "root"), (0.5, 0.4, "octave"), (1, 0.42, "root"), (1.5, 0.4, "octave"), (2, 0.42, "root"),
              (2.5, 0.25, "octave"), (2.75, 0.25, "root"), (3, 0.5, "fifth"), (3.5, 0.5, "approach")),
    "solo": ((0, 0.75, "root"), (0.75, 0.5, "octave"), (1.25, 0.25, "fifth"), (1.5, 0.5, "octave"), (2, 0.25, "root"),
             (2.25, 0.5, "fifth"), (2.75, 0.25, "root"), (3, 0.5, "octave"), (3.5, 0.5, "approach")),
    "end": ((0, 3.2, "root"),),
}

# Beat and length in beats of the electric piano's chords.
KEYS_PATTERNS: dict[str, tuple[tuple[float, float], ...]] = {
    "": (),
    "open": ((0, 3.8),),
    "verse": ((0, 1.3), (1.5, 0.4), (2.75, 1.1)),
    "chorus": ((0, 0.7), (0.75, 0.6), (1.5, 0.9), (2.5, 0.6), (3.25, 0.7)),
    "end": ((0, 3.5),),
}

# Steps through the chord's voices, an octave up from the fourth on; one bar, eighths or sixteenths.
ARPEGGIOS: dict[str, tuple[int | None, ...]] = {
    "": (),
    "open": (0, 2, 4, 3, 5, 4, 3, 2),
    "verse": (None, None, None, 5, None, 4, None, 3),
    "chorus": (4, 2, 5, 3, 6, 4, 3, 5, 4, 2, 6, 5, 7, 5, 4, 3),
    "end": (0, 2, 4, 6, 7, None, None, None),
}


@dataclass(frozen=True)
class Bar:
    """One bar: its chord and the name of each part's pattern ("" is silence)."""

    chord: str
    drums: str = ""
    bass: str = ""
    keys: str = ""
    crash: bool = False


BARS: tuple[Bar, ...] = (
    Bar("F", keys="open"), Bar("G", keys="open"),
    Bar("Em", drums="groove"), Bar("Am", drums="groove fill", bass="walk"),

    Bar("F", "groove", "walk", "verse", crash=True), Bar("G", "groove", "walk", "verse"),
    Bar("Em", "groove", "walk", "verse"), Bar("Am", "groove fill", "walk", "verse"),
    Bar("F", "groove", "walk", "verse"), Bar("G", "groove", "walk", "verse"),
    Bar("Em", "groove", "walk", "verse"), Bar("Am", "groove fill", "walk", "verse"),

    Bar("F"), Bar("G", keys="open"),
    Bar("Em", bass="solo"), Bar("Am", drums="build"),

    Bar("F", "drive", "drive", "chorus", crash=True), Bar("G", "drive", "drive", "chorus"),
    Bar("Em", "drive", "drive", "chorus"), Bar("Am", "drive fill", "drive", "chorus"),
    Bar("F", "drive", "drive", "chorus", crash=True), Bar("G", "drive", "drive", "chorus"),
    Bar("A>C", "drive fill", "drive", "chorus"), Bar("C", "end", "end", "end", crash=True),
)

DURATION = len(BARS) * BAR
_FORM = ((0, "intro"), (4, "verse"), (12, "break"), (16, "chorus"))

# Where each part is worth hearing alone; the break takes the band apart by itself.
SHOW: tuple[tuple[float, str], ...] = tuple((bar * BAR, preset) for bar, preset in (
    (0, "all"), (6, "acapella"), (8, "instrumental"), (10, "drums+bass"), (11, "melody"), (12, "all"),
    (18, "drums"), (19, "bass"), (20, "acapella"), (21, "melody"), (22, "all"),
))


@dataclass(frozen=True)
class Sung:
    """A sung note: `start` and `length` in seconds, `pitch` as a MIDI number, one open `syllable`."""

    start: float
    length: float
    pitch: int
    syllable: str


# Phrases: the bar they start in, then (beat, length in beats, pitch, syllable).
_PHRASES: tuple[tuple[int, tuple[tuple[float, float, int, str], ...]], ...] = (
    (4, ((0.5, 0.5, 60, "le"), (1, 0.5, 64, "mi"), (1.5, 1, 67, "hi"), (2.5, 1.25, 64, "yu"),
         (4, 0.75, 67, "so"), (4.75, 2, 62, "lou"))),
    (6, ((0.5, 0.5, 59, "le"), (1, 0.5, 62, "mi"), (1.5, 1, 67, "hi"), (2.5, 1.25, 64, "yu"),
         (4, 0.75, 60, "so"), (4.75, 2, 64, "lou"))),
    (8, ((0, 1.5, 69, "o"), (1.5, 0.5, 67, "le"), (2, 0.5, 64, "mi"), (2.5, 1.25, 67, "so"),
         (4, 0.5, 62, "lo"), (4.5, 0.5, 64, "hi"), (5, 2, 67, "yu"))),
    (10, ((0.5, 0.5, 64, "hi"), (1, 0.5, 62, "mi"), (1.5, 1, 59, "nau"), (2.5, 1.25, 62, "no"),
          (4, 0.75, 60, "so"), (4.75, 2, 57, "lou"))),
    (12, ((0, 1.5, 69, "o"), (1.5, 0.5, 67, "so"), (2, 1.75, 72, "lou"),
          (4, 1, 71, "hi"), (5, 1, 67, "mi"), (6, 0.5, 69, "so"), (6.5, 1.5, 71, "lou"))),
    (15, ((3, 0.5, 67, "hi"), (3.5, 0.5, 69, "yu"), (4, 1.5, 72, "o"), (5.5, 0.5, 71, "so"), (6, 1, 69, "lo"),
          (7, 0.5, 67, "hi"), (7.5, 0.5, 69, "mi"), (8, 1.5, 71, "na"), (9.5, 0.5, 69, "so"), (10, 1.5, 67, "lou"))),
    (18, ((0, 1.5, 71, "o"), (1.5, 0.5, 69, "so"), (2, 1, 67, "lo"), (3, 0.5, 64, "hi"), (3.5, 0.5, 67, "yu"),
          (4, 0.75, 69, "so"), (4.75, 2, 72, "lou"))),
    (20, ((0, 1.5, 72, "o"), (1.5, 0.5, 74, "so"), (2, 1.5, 76, "lo"), (3.5, 0.5, 74, "hi"),
          (4, 1, 74, "yu"), (5, 0.5, 71, "so"), (5.5, 1.75, 67, "lou"))),
    (22, ((0, 1, 69, "o"), (1, 0.5, 71, "so"), (1.5, 1, 72, "lo"), (2.5, 0.5, 71, "hi"), (3, 1, 71, "so"),
          (4, 2.75, 72, "lou"))),
)


def when(bar: int, beat: float = 0.0) -> float:
    """Return the time of a beat (which may lie beyond the bar) in seconds, swung where it is an odd sixteenth."""
    swing = _SWING / 4 if beat * 4 % 2 == 1 else 0.0
    return (4 * bar + beat + swing) * BEAT


def melody() -> tuple[tuple[Sung, ...], ...]:
    """Return the sung phrases in order of time."""
    return tuple(
        tuple(Sung(when(bar, beat), when(bar, beat + length) - when(bar, beat), pitch, syllable)
              for beat, length, pitch, syllable in notes)
        for bar, notes in _PHRASES
    )


def kicks() -> tuple[float, ...]:
    """Return the times of all kicks in seconds."""
    return tuple(
        when(number, step / 4)
        for number, bar in enumerate(BARS)
        for step, hit in enumerate(DRUM_PATTERNS[bar.drums].get("kick", "")) if hit != "."
    )


def sections() -> tuple[tuple[float, str], ...]:
    """Return (start in seconds, name) of each section of the form."""
    return tuple((bar * BAR, name) for bar, name in _FORM)
