"""Free music that others wrote as MIDI, split into stems by channel and program, played by our fonts.

Channel 10 is drums, programs 32 to 39 are bass, voices are left out, all else is the rest. Reads .mid
files, folders of them, and the MIDI music inside Doom archives (.wad).
"""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from models.data.arrangements.harmony import SCALES
from models.data.arrangements.notes import Part, Section, Song, Voice
from models.data.arrangements.render import mixed, treated
from models.data.arrangements.soundfonts import Room, drawn, render_midi
from models.data.arrangements.styles import VOICES
from models.data.arrangements.voices import sung
from models.data.corpus import Corpus

_DRUMS = 9
_NOISES = range(120, 128)
_UNREADABLE = (OSError, EOFError, IndexError, KeyError, ValueError, mido.KeySignatureError)


@dataclass(frozen=True)
class MidiSong:
    """A file's name and its bytes."""

    name: str
    data: bytes


def _in_archive(path: Path) -> list[MidiSong]:
    """MIDI lumps of a Doom archive: a header, a directory of (offset, size, name), data."""
    data = path.read_bytes()
    count, start = struct.unpack("<II", data[4:12])
    songs = []
    for i in range(count):
        offset, size, name = struct.unpack("<II8s", data[start + 16 * i : start + 16 * i + 16])
        if data[offset : offset + 4] == b"MThd":
            songs.append(
                MidiSong(
                    f"{path.stem}-{name.rstrip(bytes(1)).decode('ascii', 'replace')}", data[offset : offset + size]
                )
            )
    return songs


def midi_songs(paths: list[Path]) -> list[MidiSong]:
    """Return every distinct MIDI song in files, folders and archives."""
    songs: dict[str, MidiSong] = {}
    for path in paths:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        for file in files:
            kind = file.suffix.lower()
            found = _in_archive(file) if kind == ".wad" else []
            if kind in (".mid", ".midi"):
                found = [MidiSong(file.stem, file.read_bytes())]
            for song in found:
                songs.setdefault(hashlib.sha256(song.data).hexdigest(), song)
    return list(songs.values())


@dataclass(frozen=True)
class _Excerpt:
    stems: dict[str, bytes]
    tempo: float
    tonic: int
    minor: bool


def _key(weights: np.ndarray) -> tuple[int, bool]:
    """Tonic and whether minor: the scale that holds most of the notes, the tonic and fifth counting double."""
    best, result = -1.0, (0, False)
    for tonic in range(12):
        for minor in (False, True):
            scale = SCALES["minor" if minor else "major"]
            score = sum(weights[(tonic + s) % 12] for s in scale) + weights[tonic] + 0.5 * weights[(tonic + 7) % 12]
            if score > best:
                best, result = score, (tonic, minor)
    return result


def excerpt(song: MidiSong, start: float, seconds: float, transpose: int = 0, speed: float = 1.0) -> _Excerpt:
    """Return the stems of `seconds` of a song from `start` on, as MIDI, transposed and sped up.

    Raises ValueError where the file cannot be read as MIDI, or nothing in it sounds there.
    """
    try:
        file = mido.MidiFile(file=io.BytesIO(song.data), clip=True)
        merged = mido.merge_tracks(file.tracks)
    except _UNREADABLE as error:
        raise ValueError(f"{song.name} cannot be read as MIDI: {error}") from None
    stems: dict[str, list[tuple[float, mido.Message]]] = {s: [] for s in ("drums", "bass", "other")}
    programs = [0] * 16
    held: dict[tuple[int, int], list[str]] = {}
    heard, tempi = np.zeros(12), []
    counts = dict.fromkeys(stems, 0)
    clock, tempo = 0.0, 500000
    for message in merged:
        clock += mido.tick2second(message.time, file.ticks_per_beat, tempo) / speed
        at = clock - start
        if at > seconds:
            break
        if message.type == "set_tempo":
            tempo = message.tempo
            continue
        if message.is_meta or message.type == "sysex":
            continue
        if message.type == "program_change":
            programs[message.channel] = message.program
        if message.type == "control_change" and message.control in (0, 32) and message.channel != _DRUMS:
            continue  # other banks than that of General MIDI hold other instruments
        if message.type not in ("note_on", "note_off"):
            for events in stems.values():
                events.append((max(0.0, at), message))
            continue
        drums = message.channel == _DRUMS
        place = (message.channel, message.note)
        pitch = message.note if drums else message.note + transpose
        if not 0 <= pitch < 128:
            continue
        if message.type == "note_on" and message.velocity:
            program = programs[message.channel]
            if at < 0 or (not drums and (program in VOICES or program in _NOISES)):
                continue
            stem = "drums" if drums else "bass" if 32 <= program < 40 else "other"
            held.setdefault(place, []).append(stem)
            counts[stem] += 1
            if not drums:
                heard[pitch % 12] += 1
            tempi.append(60e6 / tempo * speed)
            stems[stem].append((at, message.copy(note=pitch)))
        elif held.get(place):
            stems[held[place].pop(0)].append((max(0.0, at), message.copy(note=pitch)))
    # A note that nobody ends would be rendered for ever.
    for (channel, note), owners in held.items():
        for stem in owners:
            pitch = note if channel == _DRUMS else note + transpose
            stems[stem].append((seconds, mido.Message("note_off", channel=channel, note=pitch)))
    for events in stems.values():
        for channel in range(16):
            events.append((seconds, mido.Message("control_change", channel=channel, control=64, value=0)))
    if sum(counts.values()) < 20:
        raise ValueError(f"{song.name} has next to no notes from {start:.0f} s on")
    tonic, minor = _key(heard)
    files = {stem: _written(events) for stem, events in stems.items() if counts[stem] >= 4}
    return _Excerpt(files, float(np.median(tempi)), tonic, minor)


def _written(events: list[tuple[float, mido.Message]]) -> bytes:
    """A Standard MIDI File of (seconds, message); a tick is a millisecond."""
    file, track = mido.MidiFile(ticks_per_beat=500), mido.MidiTrack()
    file.tracks.append(track)
    clock = 0
    for at, message in events:
        tick = int(at * 1000)
        track.append(message.copy(time=max(0, tick - clock)))
        clock = max(clock, tick)
    track.append(mido.MetaMessage("end_of_track", time=2000))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def length(song: MidiSong) -> float:
    """Return how long a song plays, in seconds; 0 where it cannot be read."""
    try:
        return mido.MidiFile(file=io.BytesIO(song.data), clip=True).length
    except _UNREADABLE:
        return 0.0


def render_excerpt(
    rng: np.random.Generator, song: MidiSong, corpus: Corpus | None, fonts: list[Path], seconds: float, voiced: bool
) -> tuple[dict[str, np.ndarray], dict]:
    """Return the stems of a random excerpt, float32 [samples, 2] of one length, and what it is.

    Raises ValueError where the song has nothing to offer.
    """
    speed = float(2 ** rng.uniform(-0.25, 0.25))
    whole = length(song) / speed
    seconds = min(seconds, whole)
    if seconds < 10:
        raise ValueError(f"{song.name} is too short")
    taken = excerpt(song, float(rng.uniform(0, whole - seconds)), seconds, int(rng.integers(-6, 7)), speed)
    stems = {}
    for stem, data in taken.stems.items():
        voice = Voice("font", 0, drive=float(rng.choice([0, 0, 0, 0.2, 0.4])) if stem != "other" else 0.0)
        audio = render_midi(data, drawn(rng, fonts), seconds, Room.random(rng))
        stems[stem] = treated(rng, Part(stem, "midi", voice, ()), audio, taken.tempo, np.zeros(0))
    tempo = taken.tempo
    while not 60 <= tempo <= 180:
        tempo *= 2 if tempo < 60 else 0.5
    beats = seconds * tempo / 60
    if voiced and corpus is not None:
        parts = np.arange(0, beats, 16.0)
        sections = tuple(Section("verse", float(b), 16.0, bool(rng.random() < 0.6)) for b in parts)
        place = Song("midi", 0, tempo, taken.tonic, taken.minor, beats, sections, ())
        voice = sung(rng, corpus, place)
        stems["vocals"] = np.zeros_like(next(iter(stems.values())))
        count = min(len(voice), len(stems["vocals"]))
        stems["vocals"][:count] = voice[:count]
    about = {"style": "midi", "source": song.name, "tempo": round(tempo, 2), "tonic": taken.tonic, "minor": taken.minor}
    return mixed(rng, stems), about | {"seconds": round(seconds, 1)}
