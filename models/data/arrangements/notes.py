"""What a written song is made of: notes, the voice that plays them, parts, sections."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Note:
    """A note; `start` and `length` in beats, `pitch` and `velocity` as in MIDI (0 to 127)."""

    start: float
    length: float
    pitch: int
    velocity: int

    @property
    def end(self) -> float:
        """Where the note stops, in beats."""
        return self.start + self.length

    def moved(self, beats: float) -> Note:
        """Return the note `beats` later."""
        return replace(self, start=self.start + beats)


@dataclass(frozen=True)
class Voice:
    """What plays a part: `engine` is font, wavetable, notes (sampled bass) or hits (sampled drums).

    `program` is a General MIDI program (0 to 127), for drums that of the kit; `drive` is the amount of
    distortion (0 none, 1 heavy), `room` that of reverb, `scoop` the share of long notes slid into, and
    `pump` how far each kick ducks the part (0 to 1).
    """

    engine: str
    program: int
    drive: float = 0.0
    room: float = 0.2
    scoop: float = 0.0
    pump: float = 0.0


@dataclass(frozen=True)
class Part:
    """All notes of one voice; `gain` in dB against its stem, `pan` from -1 (left) to 1."""

    stem: str
    role: str
    voice: Voice
    notes: tuple[Note, ...]
    gain: float = 0.0
    pan: float = 0.0


@dataclass(frozen=True)
class Section:
    """A stretch of a song: name, first beat, length in beats, whether a voice would sing there."""

    name: str
    start: float
    length: float
    sung: bool


@dataclass(frozen=True)
class Song:
    """A written song; `tempo` in beats a minute, `tonic` 0 (C) to 11, `beats` its whole length."""

    style: str
    seed: int
    tempo: float
    tonic: int
    minor: bool
    beats: float
    sections: tuple[Section, ...]
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """How long the song plays, in seconds, without the tail of its last notes."""
        return self.beats * 60 / self.tempo

    def stem(self, name: str) -> tuple[Part, ...]:
        """Return the parts of a stem."""
        return tuple(p for p in self.parts if p.stem == name)
