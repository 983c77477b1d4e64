"""Tunes and riffs: a motif, answered, varied, and bent to the chords it meets."""

from __future__ import annotations

import numpy as np

from models.data.arrangements.harmony import Chord, Key
from models.data.arrangements.notes import Note

_PENTATONIC = {True: (0, 3, 5, 7, 10), False: (0, 2, 4, 7, 9)}


def _motif(rng: np.random.Generator, beats: float, unit: float, density: float) -> list[tuple[float, float, int]]:
    """(start, length, steps from the motif's first tone) of a motif: mostly steps, a leap now and then."""
    events, beat, place = [], 0.0, 0
    while beat < beats - 1e-6:
        length = unit * float(rng.choice([1, 1, 2, 2, 3, 4, 6], p=[0.2, 0.15, 0.2, 0.15, 0.12, 0.12, 0.06]))
        length = min(length / max(0.5, density), beats - beat)
        length = max(unit, round(length / unit) * unit)
        if rng.random() < 0.55 + 0.4 * min(1.0, density):
            events.append((beat, length, place))
            place += int(rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 4]))
            place = int(np.clip(place, -6, 7))
        beat += length
    return events


def melody(
    rng: np.random.Generator,
    key: Key,
    chords: list[Chord],
    bar: float,
    centre: float,
    density: float = 1.0,
    unit: float = 0.5,
    pentatonic: bool = False,
) -> list[Note]:
    """Return a tune over `chords` around the pitch `centre`; `unit` is its shortest note in beats."""
    steps = _PENTATONIC[key.minor] if pentatonic else tuple((c - key.tonic) % 12 for c in key.classes)
    classes = {(key.tonic + s) % 12 for s in steps}
    ladder = [p for p in range(int(centre) - 19, int(centre) + 20) if p % 12 in classes]
    length = bar * float(rng.choice([1, 2, 2]))
    motifs = [_motif(rng, length, unit, density) for _ in range(2)]
    form = str(rng.choice(["aaab", "abab", "aaba", "ab.b", "a.a.", "aab."]))
    gate = rng.uniform(0.75, 1.0)
    notes, count = [], 0
    beat, end = chords[0].start, chords[-1].end
    home = int(np.argmin([abs(p - centre) for p in ladder])) + int(rng.integers(-2, 3))
    while beat < end - 1e-6:
        letter = form[count % len(form)]
        count += 1
        for start, held, place in motifs["ab".index(letter)] if letter != "." else []:
            at = beat + start
            if at >= end - 1e-6:
                break
            chord = next((c for c in chords if c.start <= at + 1e-6 < c.end), chords[-1])
            pitch = ladder[int(np.clip(home + place + (rng.random() < 0.08), 0, len(ladder) - 1))]
            if at % 1 == 0 or held >= 1:
                # A tone that is leant on belongs to its chord.
                pitch = min(range(pitch - 3, pitch + 4), key=lambda p: (p % 12 not in chord.classes, abs(p - pitch)))
            velocity = int(np.clip(rng.normal(96 if at % bar == 0 else 86, 8), 40, 127))
            notes.append(Note(at, min(held, end - at) * gate, pitch, velocity))
        beat += length
    return notes


def riff(rng: np.random.Generator, key: Key, chords: list[Chord], bar: float, low: int) -> list[Note]:
    """Return a low ostinato of one or two bars that follows the roots of `chords` from the pitch `low` up."""
    length = bar * float(rng.choice([1, 2]))
    steps = _PENTATONIC[key.minor]
    events = []
    beat = 0.0
    while beat < length - 1e-6:
        held = float(rng.choice([0.25, 0.5, 0.5, 0.5, 1.0]))
        held = min(held, length - beat)
        if rng.random() < 0.85:
            events.append((beat, held, int(rng.choice([0, 0, 0, 1, 2, 3, 4, -1]))))
        beat += held
    gate = rng.uniform(0.5, 1.0)
    notes = []
    follow = rng.random() < 0.6
    beat = chords[0].start
    while beat < chords[-1].end - 1e-6:
        for start, held, step in events:
            at = beat + start
            if at >= chords[-1].end - 1e-6:
                break
            chord = next((c for c in chords if c.start <= at + 1e-6 < c.end), chords[-1])
            root = low + ((chord.root if follow else key.tonic) - low) % 12
            pitch = root + (steps[step] if step >= 0 else -2)
            notes.append(
                Note(at, min(held, chords[-1].end - at) * gate, pitch, int(np.clip(rng.normal(98, 7), 40, 127)))
            )
        beat += length
    return notes
