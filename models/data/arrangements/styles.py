"""The table of styles: tempo, harmony, grooves, and who plays what."""

from __future__ import annotations

from dataclasses import dataclass

# General MIDI programs (from 0). Voices and choirs (52 to 54, 85, 91) and bird song, crowds and shots
# (120 to 127) are in none of these groups: a network must never learn that a choir belongs to the rest.
PIANOS = (0, 1, 2, 3)
ELECTRIC_PIANOS = (4, 5)
HARPSICHORD = (6, 7)
MALLETS = (8, 9, 11, 12, 13, 14)
ORGANS = (16, 17, 18, 19)
SQUEEZED = (20, 21, 22, 23)
NYLON, STEEL, JAZZ_GUITAR, CLEAN, MUTED, OVERDRIVEN, DISTORTED = (24,), (25,), (26,), (27,), (28,), (29,), (30,)
STRINGS = (40, 41, 42, 44, 48, 49)
PLUCKED = (45, 46, 104, 105, 106, 107, 108)
SYNTH_STRINGS = (50, 51)
BRASS = (56, 57, 59, 60, 61)
SYNTH_BRASS = (62, 63)
SAXES = (64, 65, 66, 67)
REEDS = (68, 69, 70, 71)
PIPES = (72, 73, 74, 75, 78, 79)
LEADS = (80, 81, 82, 83, 84, 86, 87)
PADS = (88, 89, 90, 92, 93, 94, 95)
EFFECTS = (96, 97, 98, 99, 100, 102, 103)
UPRIGHT, FINGERED, PICKED, FRETLESS, SLAP, SYNTH_BASS = (32,), (33,), (34,), (35,), (36, 37), (38, 39)
VOICES = frozenset({52, 53, 54, 85, 91})


@dataclass(frozen=True)
class Layer:
    """One player of the rest: what it does, in which kinds, on which programs, and how often it is there.

    `role` is comping, arpeggio, melody or riff; `kinds` are rhythms of comping; `centre` its middle pitch.
    """

    role: str
    kinds: tuple[str, ...]
    programs: tuple[int, ...]
    chance: float
    centre: float = 62
    drive: float = 0.0


@dataclass(frozen=True)
class Style:
    """One style; `tempo` in beats a minute, `swing` 0 (straight) to 0.33 (triplets), `bar` in beats."""

    name: str
    tempo: tuple[float, float]
    modes: tuple[str, ...]
    progressions: tuple[str, ...]
    chords: tuple[str, ...]
    grooves: tuple[str, ...]
    kits: tuple[str, ...]
    basses: tuple[tuple[str, tuple[int, ...]], ...]
    layers: tuple[Layer, ...]
    swing: tuple[float, float] = (0.0, 0.0)
    bar: int = 4
    pump: float = 0.0
    sampled_drums: float = 0.2
    grid: float = 1.0  # how loosely people play: 0 is a machine, 1 a band


_C, _A, _M, _R = "comping", "arpeggio", "melody", "riff"

STYLES: tuple[Style, ...] = (
    Style(
        "rock",
        (95, 160),
        ("major", "minor", "mixolydian", "dorian"),
        ("major", "minor", "modal"),
        ("power", "triad", "triad", "sus"),
        ("rock", "pop"),
        ("standard", "room", "power"),
        (("eighths", PICKED + FINGERED), ("pop", PICKED + FINGERED), ("invented", PICKED), ("gallop", PICKED)),
        (
            Layer(_C, ("power", "strum", "block"), OVERDRIVEN + DISTORTED, 0.85, 55, 0.6),
            Layer(_C, ("strum", "block"), STEEL + CLEAN, 0.5, 60),
            Layer(_R, (), OVERDRIVEN + DISTORTED, 0.4, 45, 0.6),
            Layer(_C, ("pad", "block"), ORGANS[:3] + PIANOS, 0.4),
            Layer(_M, (), OVERDRIVEN + DISTORTED + CLEAN, 0.4, 69, 0.5),
            Layer(_A, (), CLEAN, 0.25, 62, 0.1),
        ),
    ),
    Style(
        "pop",
        (84, 128),
        ("major", "major", "minor"),
        ("major", "minor"),
        ("triad", "triad", "sus", "seventh"),
        ("pop", "house", "rock"),
        ("standard", "room", "electronic", "808"),
        (
            ("pop", FINGERED + PICKED + SYNTH_BASS),
            ("eighths", FINGERED + SYNTH_BASS),
            ("halves", FINGERED),
            ("invented", FINGERED + SYNTH_BASS),
        ),
        (
            Layer(_C, ("block", "pad"), PIANOS + ELECTRIC_PIANOS, 0.7),
            Layer(_C, ("strum",), STEEL + CLEAN + NYLON, 0.5, 60),
            Layer(_C, ("pad",), SYNTH_STRINGS + PADS + STRINGS[4:], 0.6, 65),
            Layer(_A, (), LEADS + MALLETS + CLEAN, 0.45, 70),
            Layer(_M, (), LEADS + MALLETS + PIPES + CLEAN, 0.4, 74),
            Layer(_C, ("stab",), SYNTH_BRASS + LEADS, 0.3, 66),
        ),
        pump=0.2,
        grid=0.6,
    ),
    Style(
        "funk",
        (88, 120),
        ("dorian", "mixolydian", "minor"),
        ("vamp", "modal"),
        ("seventh", "ninth", "dominant"),
        ("funk", "break"),
        ("standard", "room"),
        (("funk", SLAP + FINGERED), ("octaves", SLAP), ("invented", FINGERED + SLAP), ("sixteenths", SYNTH_BASS)),
        (
            Layer(_C, ("scratch",), CLEAN + MUTED + JAZZ_GUITAR, 0.85, 64),
            Layer(_C, ("stab", "brass"), BRASS[4:] + SAXES[1:3] + (56,), 0.6, 66),
            Layer(_C, ("block", "stab", "house"), (7,) + ELECTRIC_PIANOS + ORGANS[:3], 0.7, 60),
            Layer(_M, (), SAXES + BRASS + LEADS, 0.4, 70),
            Layer(_R, (), MUTED + CLEAN, 0.4, 52),
        ),
        swing=(0.0, 0.1),
    ),
    Style(
        "soul",
        (66, 112),
        ("major", "minor", "dorian"),
        ("major", "jazz", "minor"),
        ("triad", "seventh", "ninth"),
        ("soul", "slow12", "shuffle"),
        ("standard", "room", "jazz"),
        (("motown", FINGERED), ("pop", FINGERED), ("slow12", FINGERED + UPRIGHT)),
        (
            Layer(_C, ("block", "shell"), ELECTRIC_PIANOS + PIANOS[:1], 0.8),
            Layer(_C, ("pad",), ORGANS[:3] + STRINGS[4:], 0.7, 66),
            Layer(_C, ("brass", "stab"), BRASS[4:] + SAXES[1:3], 0.6, 66),
            Layer(_C, ("skank", "strum"), CLEAN + JAZZ_GUITAR, 0.5, 64),
            Layer(_M, (), SAXES + STRINGS[4:] + PIPES[1:2], 0.4, 72),
        ),
        swing=(0.0, 0.15),
    ),
    Style(
        "disco",
        (110, 130),
        ("minor", "dorian", "major"),
        ("minor", "major", "vamp"),
        ("triad", "seventh", "ninth"),
        ("disco",),
        ("standard", "room", "electronic"),
        (("octaves", FINGERED + PICKED + SYNTH_BASS), ("funk", FINGERED + SLAP), ("sixteenths", FINGERED)),
        (
            Layer(_C, ("scratch", "skank"), CLEAN + MUTED, 0.8, 64),
            Layer(_M, (), STRINGS[4:] + SYNTH_STRINGS, 0.7, 76),
            Layer(_C, ("brass", "stab"), BRASS[4:], 0.5, 66),
            Layer(_C, ("block", "house"), ELECTRIC_PIANOS + PIANOS, 0.7),
            Layer(_A, (), LEADS + (7,), 0.3, 68),
        ),
        grid=0.6,
    ),
    Style(
        "house",
        (116, 130),
        ("minor", "dorian", "major"),
        ("minor", "vamp", "major"),
        ("triad", "seventh", "ninth"),
        ("house", "disco"),
        ("electronic", "808", "standard"),
        (("house", SYNTH_BASS + FINGERED), ("offbeat", SYNTH_BASS), ("octaves", SYNTH_BASS), ("invented", SYNTH_BASS)),
        (
            Layer(_C, ("house", "stab"), PIANOS + ORGANS[:3] + LEADS + ELECTRIC_PIANOS, 0.9, 64),
            Layer(_C, ("pad",), PADS + SYNTH_STRINGS, 0.6, 65),
            Layer(_A, (), LEADS + MALLETS + EFFECTS, 0.5, 70),
            Layer(_M, (), LEADS + SAXES[:2] + PIPES, 0.35, 72),
            Layer(_C, ("stab",), SYNTH_STRINGS + BRASS[4:], 0.3, 68),
        ),
        swing=(0.0, 0.12),
        pump=0.55,
        sampled_drums=0.5,
        grid=0.1,
    ),
    Style(
        "techno",
        (122, 145),
        ("minor", "phrygian", "dorian"),
        ("vamp", "modal", "riff"),
        ("power", "triad", "sus"),
        ("techno",),
        ("electronic", "808"),
        (("offbeat", SYNTH_BASS), ("sixteenths", SYNTH_BASS), ("sub", SYNTH_BASS), ("invented", SYNTH_BASS)),
        (
            Layer(_A, (), LEADS + EFFECTS, 0.8, 60),
            Layer(_C, ("stab", "house"), LEADS + PADS[2:] + SYNTH_BRASS, 0.7, 60),
            Layer(_C, ("pad",), PADS + EFFECTS, 0.6, 58),
            Layer(_R, (), LEADS, 0.5, 48),
        ),
        pump=0.5,
        sampled_drums=0.5,
        grid=0.05,
    ),
    Style(
        "trance",
        (132, 145),
        ("minor", "major"),
        ("minor", "major"),
        ("triad", "sus"),
        ("house", "techno"),
        ("electronic", "808"),
        (("offbeat", SYNTH_BASS), ("sixteenths", SYNTH_BASS), ("octaves", SYNTH_BASS)),
        (
            Layer(_A, (), LEADS, 0.85, 72),
            Layer(_C, ("pad",), PADS + SYNTH_STRINGS, 0.9, 66),
            Layer(_M, (), LEADS, 0.6, 74),
            Layer(_C, ("house", "stab"), LEADS, 0.6, 67),
        ),
        pump=0.6,
        sampled_drums=0.5,
        grid=0.05,
    ),
    Style(
        "drum and bass",
        (160, 180),
        ("minor", "dorian", "phrygian"),
        ("minor", "vamp", "modal"),
        ("triad", "seventh", "ninth"),
        ("dnb", "break"),
        ("electronic", "standard", "room"),
        (("reese", SYNTH_BASS), ("sub", SYNTH_BASS), ("invented", SYNTH_BASS + FINGERED)),
        (
            Layer(_C, ("pad",), PADS + SYNTH_STRINGS + STRINGS[4:], 0.8, 63),
            Layer(_C, ("stab", "shell"), ELECTRIC_PIANOS + PIANOS + LEADS, 0.6, 62),
            Layer(_A, (), MALLETS + LEADS + EFFECTS, 0.5, 70),
            Layer(_M, (), LEADS + PIPES + SAXES, 0.4, 72),
        ),
        pump=0.3,
        sampled_drums=0.4,
        grid=0.15,
    ),
    Style(
        "hip hop",
        (72, 104),
        ("minor", "dorian", "major"),
        ("minor", "jazz", "vamp"),
        ("seventh", "triad", "ninth"),
        ("hiphop", "break", "funk"),
        ("standard", "electronic", "808", "jazz"),
        (("sub", SYNTH_BASS + FINGERED), ("pop", UPRIGHT + FINGERED), ("invented", FINGERED + SYNTH_BASS)),
        (
            Layer(_C, ("block", "shell", "pad"), ELECTRIC_PIANOS + PIANOS + JAZZ_GUITAR, 0.85),
            Layer(_A, (), MALLETS + PLUCKED[:2] + NYLON, 0.4, 68),
            Layer(_M, (), PIPES + SAXES + BRASS[:3] + LEADS, 0.5, 70),
            Layer(_C, ("stab", "pad"), STRINGS[3:] + SYNTH_STRINGS, 0.5, 65),
        ),
        swing=(0.05, 0.25),
        sampled_drums=0.45,
        grid=0.5,
    ),
    Style(
        "trap",
        (65, 80),
        ("minor", "harmonic", "phrygian"),
        ("minor", "riff", "vamp"),
        ("triad", "seventh"),
        ("trap",),
        ("808", "electronic"),
        (("sub", SYNTH_BASS), ("reese", SYNTH_BASS), ("invented", SYNTH_BASS)),
        (
            Layer(_M, (), MALLETS + PIPES + LEADS + PIANOS, 0.8, 72),
            Layer(_C, ("pad",), PADS + STRINGS[4:], 0.7, 62),
            Layer(_A, (), MALLETS + PLUCKED + LEADS, 0.6, 72),
            Layer(_C, ("block", "stab"), PIANOS + BRASS[3:], 0.4, 58),
        ),
        sampled_drums=0.5,
        grid=0.1,
    ),
    Style(
        "reggae",
        (66, 92),
        ("major", "minor", "dorian"),
        ("major", "vamp", "modal"),
        ("triad", "triad", "seventh"),
        ("reggae",),
        ("standard", "room"),
        (("reggae", FINGERED + FRETLESS + SYNTH_BASS), ("invented", FINGERED)),
        (
            Layer(_C, ("skank",), CLEAN + MUTED + JAZZ_GUITAR, 0.95, 65),
            Layer(_C, ("skank", "house"), ORGANS[:3] + PIANOS, 0.8, 62),
            Layer(_C, ("brass",), BRASS[1:2] + BRASS[4:] + SAXES, 0.5, 66),
            Layer(_M, (), (22,) + BRASS[:3] + SAXES + ORGANS[:3], 0.5, 70),
        ),
        swing=(0.0, 0.2),
    ),
    Style(
        "bossa nova",
        (112, 150),
        ("major", "minor", "dorian"),
        ("jazz",),
        ("seventh", "ninth"),
        ("latin",),
        ("jazz", "brush", "standard"),
        (("latin", UPRIGHT + FINGERED + FRETLESS),),
        (
            Layer(_C, ("bossa",), NYLON, 0.95, 60),
            Layer(_C, ("shell", "pad", "bossa"), ELECTRIC_PIANOS + PIANOS + (11,), 0.6, 62),
            Layer(_M, (), PIPES + SAXES + (11,) + JAZZ_GUITAR + BRASS[:2], 0.7, 72),
            Layer(_C, ("pad",), STRINGS[4:], 0.4, 68),
        ),
    ),
    Style(
        "salsa",
        (88, 112),
        ("minor", "major", "mixolydian"),
        ("major", "vamp", "modal"),
        ("triad", "seventh", "dominant"),
        ("latin",),
        ("standard", "jazz"),
        (("latin", UPRIGHT + FINGERED), ("invented", FINGERED)),
        (
            Layer(_C, ("montuno",), PIANOS, 0.95, 66),
            Layer(_C, ("brass", "stab"), BRASS, 0.8, 67),
            Layer(_M, (), BRASS[:2] + PIPES[1:2] + SAXES, 0.5, 72),
            Layer(_A, (), NYLON + STEEL, 0.3, 66),
        ),
    ),
    Style(
        "jazz swing",
        (100, 180),
        ("major", "dorian", "minor", "mixolydian"),
        ("jazz", "blues"),
        ("seventh", "ninth"),
        ("swing",),
        ("jazz", "brush", "standard"),
        (("walking", UPRIGHT + FRETLESS), ("walking", UPRIGHT)),
        (
            Layer(_C, ("shell", "brass"), PIANOS[:2] + JAZZ_GUITAR + ELECTRIC_PIANOS, 0.9, 60),
            Layer(_M, (), SAXES + BRASS[:3] + (71, 11) + JAZZ_GUITAR, 0.85, 70),
            Layer(_C, ("brass", "shell"), BRASS[4:] + SAXES, 0.4, 65),
            Layer(_C, ("pad",), ORGANS[:2], 0.25, 60),
        ),
        swing=(0.25, 0.34),
    ),
    Style(
        "blues",
        (64, 132),
        ("mixolydian", "dorian"),
        ("blues",),
        ("dominant", "ninth"),
        ("shuffle", "slow12"),
        ("standard", "room", "brush"),
        (("shuffle", FINGERED + UPRIGHT + PICKED), ("walking", UPRIGHT + FINGERED)),
        (
            Layer(_C, ("triplets",), PIANOS + ORGANS[:3] + CLEAN, 0.9, 60),
            Layer(_M, (), OVERDRIVEN + CLEAN + (22,) + SAXES, 0.85, 70, 0.35),
            Layer(_C, ("shell", "pad"), ORGANS[:3] + CLEAN + STEEL, 0.6, 58),
            Layer(_R, (), OVERDRIVEN + CLEAN, 0.3, 45, 0.3),
        ),
        swing=(0.33, 0.33),
    ),
    Style(
        "metal",
        (100, 180),
        ("phrygian", "minor", "harmonic"),
        ("riff", "minor"),
        ("power",),
        ("metal", "rock"),
        ("power", "room", "standard"),
        (("gallop", PICKED), ("eighths", PICKED), ("sixteenths", PICKED)),
        (
            Layer(_C, ("chug", "power"), DISTORTED, 1.0, 45, 0.9),
            Layer(_R, (), DISTORTED, 0.7, 40, 0.9),
            Layer(_M, (), DISTORTED + OVERDRIVEN, 0.5, 72, 0.7),
            Layer(_C, ("pad",), STRINGS[4:] + PADS[:3], 0.25, 62),
            Layer(_A, (), CLEAN + DISTORTED, 0.3, 64, 0.3),
        ),
        grid=0.6,
    ),
    Style(
        "country",
        (84, 150),
        ("major", "mixolydian"),
        ("major",),
        ("triad", "triad", "sus", "dominant"),
        ("country", "pop"),
        ("standard", "room", "brush"),
        (("country", FINGERED + UPRIGHT + PICKED), ("eighths", FINGERED)),
        (
            Layer(_C, ("strum",), STEEL, 0.9, 60),
            Layer(_A, (), (105, 25, 27), 0.6, 64),
            Layer(_M, (), (40, 110, 22, 27, 21), 0.6, 71),
            Layer(_C, ("block", "pad"), PIANOS + ORGANS[:1] + (49,), 0.5),
        ),
        swing=(0.0, 0.15),
    ),
    Style(
        "ballad",
        (60, 84),
        ("major", "minor", "lydian"),
        ("major", "minor"),
        ("triad", "seventh", "sus"),
        ("ballad", "slow12"),
        ("standard", "room", "brush", "jazz"),
        (("halves", FINGERED + FRETLESS + UPRIGHT), ("pop", FINGERED + FRETLESS), ("slow12", FINGERED)),
        (
            Layer(_C, ("block", "pad"), PIANOS + ELECTRIC_PIANOS, 0.7),
            Layer(_A, (), PIANOS + NYLON + STEEL + CLEAN + PLUCKED[1:2], 0.7, 64),
            Layer(_C, ("pad",), STRINGS[4:] + PADS + SYNTH_STRINGS, 0.8, 66),
            Layer(_M, (), REEDS + PIPES + SAXES + STRINGS[:3] + OVERDRIVEN, 0.5, 72, 0.2),
        ),
    ),
    Style(
        "waltz",
        (84, 168),
        ("major", "minor", "harmonic"),
        ("major", "minor"),
        ("triad", "triad", "seventh"),
        ("waltz",),
        ("standard", "brush", "orchestra", "jazz"),
        (("waltz", UPRIGHT + FINGERED + FRETLESS), ("halves", UPRIGHT)),
        (
            Layer(_C, ("waltz",), SQUEEZED + NYLON + PIANOS, 0.9, 62),
            Layer(_M, (), STRINGS[:3] + REEDS + SQUEEZED + PIPES, 0.8, 72),
            Layer(_C, ("pad",), STRINGS[4:], 0.5, 65),
            Layer(_A, (), HARPSICHORD + PLUCKED + PIANOS, 0.4, 66),
        ),
        bar=3,
    ),
    Style(
        "synthwave",
        (84, 118),
        ("minor", "dorian", "major"),
        ("minor", "major"),
        ("triad", "sus", "power"),
        ("electro", "pop"),
        ("electronic", "808", "power"),
        (("eighths", SYNTH_BASS), ("octaves", SYNTH_BASS), ("arp", SYNTH_BASS), ("sixteenths", SYNTH_BASS)),
        (
            Layer(_C, ("pad",), PADS + SYNTH_STRINGS, 0.9, 64),
            Layer(_A, (), LEADS + SYNTH_BRASS, 0.75, 68),
            Layer(_M, (), LEADS + SYNTH_BRASS, 0.6, 74),
            Layer(_C, ("stab", "block"), SYNTH_BRASS + ELECTRIC_PIANOS, 0.5, 62),
            Layer(_C, ("power",), DISTORTED, 0.2, 50, 0.7),
        ),
        pump=0.35,
        grid=0.05,
        sampled_drums=0.35,
    ),
    Style(
        "folk",
        (76, 140),
        ("major", "dorian", "mixolydian", "minor"),
        ("major", "modal"),
        ("triad", "sus"),
        ("country", "latin", "ballad"),
        ("brush", "standard", "orchestra"),
        (("country", UPRIGHT + FINGERED), ("halves", UPRIGHT + FRETLESS), ("pop", FINGERED)),
        (
            Layer(_C, ("strum",), STEEL + NYLON, 0.7, 60),
            Layer(_A, (), STEEL + NYLON + PLUCKED, 0.8, 64),
            Layer(_M, (), (40, 73, 74, 22, 21, 75, 79, 110), 0.7, 72),
            Layer(_C, ("pad",), SQUEEZED + STRINGS[3:], 0.4, 62),
        ),
    ),
    Style(
        "afrobeat",
        (96, 126),
        ("minor", "dorian", "mixolydian", "major"),
        ("vamp", "modal"),
        ("triad", "seventh"),
        ("latin", "funk", "disco"),
        ("standard", "room", "jazz"),
        (("funk", FINGERED), ("arp", FINGERED), ("invented", FINGERED + PICKED)),
        (
            Layer(_A, (), CLEAN + MUTED + MALLETS[3:5], 0.95, 66),
            Layer(_R, (), CLEAN + MUTED, 0.7, 55),
            Layer(_C, ("brass", "stab"), BRASS + SAXES, 0.7, 66),
            Layer(_C, ("block", "house"), ORGANS[:3] + ELECTRIC_PIANOS, 0.5),
            Layer(_M, (), SAXES + BRASS[:2] + (108, 12), 0.5, 71),
        ),
        swing=(0.0, 0.1),
    ),
)


def style(name: str) -> Style:
    """Return the style of that name. Raises KeyError for another."""
    return {s.name: s for s in STYLES}[name]
