"""Whole songs: a form of sections, the players of a style, and their notes; and notes as MIDI."""

from __future__ import annotations

import io
from dataclasses import replace

import mido
import numpy as np

from models.data.arrangements import styles
from models.data.arrangements.basslines import bass_line
from models.data.arrangements.comping import arpeggio, comping
from models.data.arrangements.grooves import GROOVES, KEYS, KITS, Groove, fill, played, varied
from models.data.arrangements.harmony import Chord, Key, chords, progression
from models.data.arrangements.melodies import melody, riff
from models.data.arrangements.notes import Note, Part, Section, Song, Voice
from models.data.arrangements.styles import Layer, Style

_TICKS = 480
_FORMS = (
    ("intro", "verse", "chorus", "verse", "break", "chorus", "outro"),
    ("verse", "chorus", "break", "verse", "chorus", "drop"),
    ("intro", "verse", "verse", "chorus", "solo", "chorus", "outro"),
    ("chorus", "verse", "break", "drop", "verse", "chorus"),
    ("intro", "drop", "break", "verse", "drop", "outro"),
    ("verse", "solo", "verse", "break", "chorus", "duo", "chorus"),
)
_SUNG = {"verse": 0.85, "chorus": 0.95, "break": 0.5, "intro": 0.1, "outro": 0.4, "duo": 0.5}
_SYNTHS = frozenset({38, 39, *styles.SYNTH_STRINGS, *styles.SYNTH_BRASS, *styles.LEADS, *styles.PADS})


def _form(rng: np.random.Generator, style: Style, tempo: float, seconds: float) -> list[Section]:
    """Sections of four or eight bars until `seconds` are filled."""
    names = _FORMS[rng.integers(len(_FORMS))]
    sections, beat, i = [], 0.0, 0
    eight = rng.random() < (0.75 if tempo > 100 else 0.4)
    while beat * 60 / tempo < seconds:
        name = names[i % len(names)]
        bars = 12 if style.progressions == ("blues",) and name in ("verse", "chorus", "solo") else 8 if eight else 4
        bars = min(bars, 4) if name in ("intro", "outro", "break", "duo") and rng.random() < 0.8 else bars
        sections.append(Section(name, beat, float(bars * style.bar), bool(rng.random() < _SUNG.get(name, 0.05))))
        beat += bars * style.bar
        i += 1
    return sections


def _voice(rng: np.random.Generator, style: Style, program: int, drive: float, stem: str) -> Voice:
    engine = "font"
    if program in _SYNTHS and rng.random() < 0.45:
        engine = "wavetable"
    elif stem == "bass" and program in (32, 33, 34) and rng.random() < 0.25:
        engine = "notes"
    return Voice(
        engine,
        program,
        drive=float(drive * rng.uniform(0.5, 1.2)) if rng.random() < 0.9 else 0.0,
        room=float(rng.uniform(0, 0.5) if stem == "other" else rng.uniform(0, 0.12)),
        scoop=float(rng.choice([0.0, 0.0, 0.1, 0.3])),
        pump=float(style.pump * rng.uniform(0.4, 1.2)) if rng.random() < 0.8 else 0.0,
    )


def _absent(rng: np.random.Generator, section: Section) -> frozenset[str]:
    """Stems that pause in a section: what makes intros, breaks and duos."""
    options = {
        "intro": (("bass",), ("drums",), ("drums", "bass"), ("other", "bass"), ("other",), (), (), ()),
        "outro": (("drums",), ("drums", "bass"), (), (), ("bass",)),
        "break": (("drums",), ("drums", "bass"), ("bass",), ("other", "bass"), ("other",), ("drums", "other"), (), ()),
        "duo": (("other",), ("drums",), ("bass",)),
    }.get(section.name, ((),) * 12 + (("bass",), ("drums",)))
    return frozenset(options[rng.integers(len(options))])


def _harmony(
    rng: np.random.Generator, style: Style, key: Key, sections: list[Section]
) -> tuple[list[list[Chord]], list[int]]:
    """Chords of every section, and which of three ideas (verse, chorus, bridge) each follows."""
    ideas = []
    for _ in range(3):
        each = style.bar * float(rng.choice([1, 2, 0.5], p=[0.7, 0.2, 0.1]))
        if style.bar == 3 or "blues" in style.progressions:
            each = float(style.bar)
        ideas.append((progression(rng, style.progressions), each))
    if rng.random() < 0.35:
        ideas[1] = ideas[0]
    which = [{"verse": 0, "intro": 0, "solo": 0, "chorus": 1, "drop": 1, "outro": 1}.get(s.name, 2) for s in sections]
    timeline = []
    for section, idea in zip(sections, which, strict=True):
        degrees, each = ideas[idea]
        timeline.append(chords(rng, key, degrees, style.chords, section.start, section.length, each))
    return timeline, which


def _drums(rng: np.random.Generator, style: Style, sections: list[Section], absent: list[frozenset[str]]) -> list[Note]:
    family = GROOVES[style.grooves[min(len(style.grooves) - 1, int(rng.exponential(0.7)))]]
    grooves: dict[str, Groove] = {}
    notes: list[Note] = []
    crashes = rng.random() < (0.8 if style.grid > 0.3 else 0.4)
    for section, missing in zip(sections, absent, strict=True):
        kind = "loud" if section.name in ("chorus", "drop", "solo") else "calm"
        if kind not in grooves or rng.random() < 0.15:
            grooves[kind] = varied(rng, family[rng.integers(len(family))])
        groove = grooves[kind]
        if "drums" in missing:
            if rng.random() < 0.2:  # a pulse stays, as in many breaks
                only = str(rng.choice(["hat", "shaker", "rim", "pedal"]))
                pulse = Groove(4, {only: str(rng.choice(["x...", "x.o.", "..x.", "xooo"]))})
                notes += played(rng, pulse, section.start, section.length)
            continue
        steps = groove.steps
        with_fill = rng.random() < 0.65
        filled = float(rng.choice([1, 1, 2, min(4, style.bar)])) if with_fill else 0.0
        without = set()
        if section.name == "intro" and rng.random() < 0.5:
            without = {str(rng.choice(["kick", "snare", "hat"]))}
        body = played(rng, groove, section.start, section.length - filled, frozenset(without))
        if section.length >= 32 and rng.random() < 0.5:
            half = section.start + section.length / 2
            body = [n for n in body if not half - 1 <= n.start < half] + fill(rng, half, 1.0, steps)
        notes += body
        if with_fill:
            notes += fill(rng, section.start + section.length, filled, steps)
        if crashes and kind == "loud":
            notes.append(Note(section.start, 1.0, KEYS[str(rng.choice(["crash", "crash2"]))], 112))
    return notes


def _folded(notes: list[Note], low: int, high: int) -> list[Note]:
    """Bring every note into [low, high] by octaves."""
    result = []
    for note in notes:
        pitch = note.pitch
        while pitch < low:
            pitch += 12
        while pitch > high:
            pitch -= 12
        result.append(replace(note, pitch=pitch))
    return result


def _layer(
    rng: np.random.Generator,
    layer: Layer,
    kind: str,
    key: Key,
    harmony: list[Chord],
    bar: float,
    size: int,
    rate: float,
) -> list[Note]:
    if layer.role == "comping":
        notes = comping(rng, kind, harmony, bar, layer.centre, size)
    elif layer.role == "arpeggio":
        notes = arpeggio(rng, harmony, layer.centre, rate)
    elif layer.role == "riff":
        notes = riff(rng, key, harmony, bar, int(layer.centre))
    else:
        density = float(rng.choice([0.5, 1.0, 1.0, 1.5]))
        notes = melody(
            rng, key, harmony, bar, layer.centre, density, float(rng.choice([0.5, 0.5, 0.25])), rng.random() < 0.4
        )
    end = harmony[-1].end
    notes = [replace(n, length=min(n.length, end - n.start)) for n in notes if n.start < end - 0.01]
    return _folded(notes, max(36, int(layer.centre) - 24), min(100, int(layer.centre) + 22))


def _swung(notes: list[Note], amount: float, unit: float) -> list[Note]:
    """Delay every second `unit` of what lies on the straight grid; triplets stay where they are."""
    if not amount:
        return notes
    result = []
    for note in notes:
        if abs(note.start * 4 - round(note.start * 4)) < 0.02:
            inside = note.start % (2 * unit) / unit
            late = amount * (inside if inside <= 1 else 2 - inside) * unit
            note = replace(note, start=note.start + late, length=max(0.05, note.length - late * 0.5))
        result.append(note)
    return result


def _humanised(rng: np.random.Generator, notes: list[Note], tempo: float, loose: float) -> list[Note]:
    """Shift a part as a whole, and each note a little; seconds of that are at most a few hundredths."""
    lean = rng.normal(0, 0.006) * loose
    phrase = rng.uniform(0.0, 8.0) * loose
    result = []
    for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
        off = (lean + rng.normal(0, 0.005) * loose) * tempo / 60
        swell = phrase * np.sin(2 * np.pi * note.start / 16)
        velocity = int(np.clip(note.velocity + swell + rng.normal(0, 1 + 4 * loose), 10, 127))
        result.append(replace(note, start=max(0.0, note.start + off), velocity=velocity))
    return result


def write_song(style: Style, seed: int, seconds: float | None = None) -> Song:
    """Return a song of a style; the same seed gives the same song. `seconds` is about how long it lasts."""
    rng = np.random.default_rng([seed, sum(map(ord, style.name))])
    tempo = float(np.clip(rng.uniform(*style.tempo) * rng.normal(1, 0.03), 60, 180))
    key = Key(int(rng.integers(12)), str(rng.choice(style.modes)))
    sections = _form(rng, style, tempo, seconds or rng.uniform(55, 110))
    harmony, which = _harmony(rng, style, key, sections)
    absent = [_absent(rng, s) for s in sections]
    for stem in ("drums", "bass", "other"):
        if all(stem in missing for missing in absent):
            absent[-1] = absent[-1] - {stem}
    swing = float(rng.uniform(*style.swing)) if rng.random() < 0.8 or style.swing[0] else 0.0
    unit = 0.5 if tempo > 108 or style.swing[0] > 0.2 else 0.25

    parts: list[Part] = []
    kit = KITS[str(rng.choice(style.kits))]
    engine = "hits" if rng.random() < style.sampled_drums else "font"
    drums = Voice(engine, kit, drive=float(rng.choice([0, 0, 0.2, 0.5])), room=float(rng.choice([0, 0.05, 0.15, 0.3])))
    notes = _drums(rng, style, sections, absent)
    parts.append(Part("drums", "kit", drums, tuple(notes)))

    kind, programs = style.basses[rng.integers(len(style.basses))]
    chorus_kind = style.basses[rng.integers(len(style.basses))][0]
    voice = _voice(rng, style, int(rng.choice(programs)), float(rng.choice([0.0, 0.0, 0.3, 0.6])), "bass")
    low = int(rng.integers(26, 32))
    notes = []
    for idea, line, missing in zip(which, harmony, absent, strict=True):
        if "bass" not in missing:
            local = np.random.default_rng([seed, 7, idea])
            notes += bass_line(local, chorus_kind if idea == 1 else kind, line, style.bar, low)
    parts.append(Part("bass", kind, voice, tuple(_folded(notes, 24, 57))))

    chosen = [layer for layer in style.layers if rng.random() < layer.chance]
    chosen = chosen or [style.layers[0]]
    for number, layer in enumerate(chosen):
        program = int(rng.choice(layer.programs))
        voice = _voice(rng, style, program, layer.drive, "other")
        kind = str(rng.choice(layer.kinds)) if layer.kinds else layer.role
        size = int(rng.integers(3, 5)) if layer.role == "comping" else 1
        rate = float(rng.choice([0.25, 0.5, 0.5, 1 / 3] if style.bar == 4 else [0.5, 1.0]))
        in_calm = rng.random() < (0.75 if number == 0 else 0.5)
        pan = float(np.clip(rng.normal(0, 0.45), -1, 1)) if number else float(rng.normal(0, 0.1))
        notes = []
        for place, (section, idea, line, missing) in enumerate(zip(sections, which, harmony, absent, strict=True)):
            calm = section.name in ("verse", "intro", "outro", "break", "duo")
            alone = len(chosen) == 1 or (not notes and place == len(sections) - 1)
            lead = layer.role == "melody" and section.sung and rng.random() < 0.6  # leaves room for the singer
            if "other" in missing or (calm and not in_calm and not alone) or (lead and not alone):
                continue
            local = np.random.default_rng([seed, 11 + number, idea if rng.random() < 0.75 else 50 + place])
            notes += _layer(local, layer, kind, key, line, style.bar, size, rate)
        if not notes:
            continue
        gain = float(rng.normal({"melody": 1.0, "riff": 0.0, "arpeggio": -2.0}.get(layer.role, -2.0), 2.5))
        doubled = layer.drive > 0.4 and layer.role != "melody" and rng.random() < 0.6
        side = float(rng.uniform(0.5, 1.0)) if doubled else pan
        parts.append(Part("other", layer.role + "-" + kind, voice, tuple(notes), gain, side))
        if doubled:
            parts.append(Part("other", layer.role + "-double", voice, tuple(notes), gain, -side))

    if not any(p.stem == "other" for p in parts):
        layer = style.layers[0]
        kind = layer.kinds[0] if layer.kinds else layer.role
        local = [n for line in harmony for n in _layer(rng, layer, kind, key, line, style.bar, 3, 0.5)]
        parts.append(
            Part("other", layer.role, _voice(rng, style, layer.programs[0], layer.drive, "other"), tuple(local))
        )
    finished = []
    for part in parts:
        notes = _swung(list(part.notes), swing, unit)
        finished.append(replace(part, notes=tuple(_humanised(rng, notes, tempo, style.grid))))
    beats = sections[-1].start + sections[-1].length
    return Song(style.name, seed, tempo, key.tonic, key.minor, beats, tuple(sections), tuple(finished))


def midi(part: Part, tempo: float, beats: float, seed: int = 0) -> bytes:
    """Return a part as a Standard MIDI File; drums on channel 10, slides into notes as pitch bends."""
    rng = np.random.default_rng(seed)
    channel = 9 if part.stem == "drums" else 0
    events: list[tuple[float, int, mido.Message]] = []
    voice = part.voice

    def at(beat: float, order: int, kind: str, **values: int) -> None:
        events.append((beat, order, mido.Message(kind, channel=channel, **values)))

    at(0, 0, "program_change", program=voice.program)
    for control, value in (
        (7, 110),
        (10, 64),
        (91, int(min(127, voice.room * 160))),
        (93, int(rng.choice([0, 0, 40, 90]))),
    ):
        at(0, 0, "control_change", control=control, value=value)
    if channel == 0 and rng.random() < 0.3:
        at(0, 0, "control_change", control=1, value=int(rng.integers(10, 70)))
    sounding: dict[int, float] = {}
    for note in sorted(part.notes, key=lambda n: n.start, reverse=True):
        # A pitch struck again must not be cut by the end of the note before.
        end = min(note.end, sounding.get(note.pitch, beats + 4) - 0.01)
        sounding[note.pitch] = note.start
        end = max(end, note.start + 0.02)
        at(note.start, 3, "note_on", note=note.pitch, velocity=note.velocity)
        at(end, 1, "note_off", note=note.pitch, velocity=0)
        if channel == 0 and note.length > 0.4 and rng.random() < voice.scoop:
            depth = int(rng.choice([-4096, -8192, -2048]))
            for k in range(6):
                at(note.start + k * 0.015 * tempo / 60, 2, "pitchwheel", pitch=int(depth * (1 - k / 5)))
    file = mido.MidiFile(ticks_per_beat=_TICKS)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    clock = 0
    for beat, _, message in sorted(events, key=lambda e: (e[0], e[1])):
        tick = round(beat * _TICKS)
        track.append(message.copy(time=max(0, tick - clock)))
        clock = max(clock, tick)
    track.append(mido.MetaMessage("end_of_track", time=_TICKS * 4))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()
