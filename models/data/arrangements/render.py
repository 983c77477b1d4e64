"""A written song as audio: every part on its own voice, mixed to the stems of a record."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.data.arrangements import effects
from models.data.arrangements.grooves import KEYS
from models.data.arrangements.notes import Part, Song
from models.data.arrangements.players import sampled_bass, sampled_drums, wavetable_part
from models.data.arrangements.score import midi
from models.data.arrangements.soundfonts import Room, drawn, render_midi
from models.data.arrangements.styles import DISTORTED, OVERDRIVEN, VOICES
from models.data.arrangements.voices import sung
from models.data.corpus import RATE, Corpus
from models.data.pool_writer import loudness

# RMS of the sounding parts in dBFS, and how far songs differ in it: the balance of the mixture.
_MIX = {"vocals": (-20.0, 2.5), "drums": (-19.0, 2.0), "bass": (-20.5, 2.5), "other": (-20.0, 2.5)}
_PEAK = 0.89


def _played(rng: np.random.Generator, part: Part, song: Song, corpus: Corpus | None, fonts: list[Path]) -> np.ndarray:
    engine = part.voice.engine
    if engine == "wavetable":
        return wavetable_part(rng, part, song.tempo, song.seconds)
    if engine == "notes" and corpus is not None:
        return sampled_bass(rng, corpus, part, song.tempo, song.seconds)
    if engine == "hits" and corpus is not None:
        return sampled_drums(rng, corpus, part, song.tempo, song.seconds)
    if part.stem != "drums" and part.voice.program in VOICES:
        raise ValueError(f"program {part.voice.program} is a voice and may not play in {part.stem}")
    data = midi(part, song.tempo, song.beats, int(rng.integers(1 << 30)))
    return render_midi(data, drawn(rng, fonts), song.seconds, Room.random(rng))


def treated(rng: np.random.Generator, part: Part, audio: np.ndarray, tempo: float, kicks: np.ndarray) -> np.ndarray:
    """Return a part's audio through the effects its voice asks for; `kicks` in seconds are what ducks it."""
    voice, beat = part.voice, 60 / tempo
    if voice.drive > 0.02:
        guitar = part.stem == "other" and voice.program in OVERDRIVEN + DISTORTED + (27, 25, 26)
        audio = effects.distorted(
            rng, audio, min(1.0, voice.drive), guitar or (part.stem == "bass" and rng.random() < 0.4)
        )
    if part.stem in ("bass", "drums") and rng.random() < 0.55:
        attack = float(rng.choice([0.002, 0.01, 0.03]))
        audio = effects.compressed(
            audio, float(rng.uniform(-24, -10)), float(rng.uniform(2, 8)), attack, float(rng.uniform(0.05, 0.3))
        )
    if rng.random() < 0.7:
        # Sound fonts are darker than records.
        depth, tilt = (2.0, rng.normal(0, 0.7)) if part.stem == "bass" else (3.0, rng.normal(1.0, 1.0))
        audio = effects.equalised(audio, effects.random_curve(rng, depth, float(tilt)))
    if part.stem == "other":
        if voice.engine == "wavetable" and rng.random() < 0.4:
            audio = effects.swept(rng, audio, 4 * beat * float(rng.choice([0.5, 2, 4, 8])))
        if rng.random() < 0.12:
            audio = effects.widened(rng, audio)
        if rng.random() < 0.2:
            time = beat * float(rng.choice([0.5, 0.75, 1.0]))
            audio = effects.echoed(
                audio, time, float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.1, 0.5)), rng.random() < 0.6
            )
    if voice.engine != "font" and voice.room > 0.05 and part.stem != "bass":
        audio = effects.reverberant(rng, audio, voice.room * 0.7, float(rng.uniform(0.3, 2.2)))
    if voice.pump > 0.05 and len(kicks):
        audio = effects.ducked(audio, kicks, min(0.95, voice.pump), min(0.9, 0.8 * beat))
    return audio


def _narrowed(rng: np.random.Generator, audio: np.ndarray, stem: str) -> np.ndarray:
    """Less of the difference between the sides: sound fonts are wider than records, above all in the bass."""
    width = rng.choice([0.0, 0.2, 0.5]) if stem == "bass" else rng.uniform(0.3, 1.2)
    near, far = np.float32((1 + width) / 2), np.float32((1 - width) / 2)
    return near * audio + far * audio[:, ::-1]


def _faded(audio: np.ndarray) -> np.ndarray:
    """The last tenth of a second let down, so that a song cut at its last bar does not click."""
    audio[-4410:] *= np.linspace(1, 0, 4410, dtype=np.float32)[:, None]
    return audio


def mixed(rng: np.random.Generator, stems: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the stems at the levels of a mixture that does not clip; what is silent is left out."""
    result = {}
    for stem, audio in stems.items():
        level = loudness(audio)
        if level > 1e-5:
            mean, spread = _MIX[stem]
            result[stem] = _faded(audio * np.float32(10 ** (rng.normal(mean, spread) / 20) / level))
    peak = float(np.abs(sum(result.values())).max()) if result else 1.0
    return {stem: audio * np.float32(min(1.0, _PEAK / peak)) for stem, audio in result.items()}


def render_song(song: Song, corpus: Corpus | None, fonts: list[Path], voiced: bool) -> dict[str, np.ndarray]:
    """Return the stems of a song, each float32 [samples, 2] of the same length, at their level in the mixture.

    Stems that stay silent are left out; `voiced` asks for singing, which takes a corpus.
    """
    rng = np.random.default_rng([song.seed, 99])
    kicks = (
        np.array([n.start for p in song.stem("drums") for n in p.notes if n.pitch == KEYS["kick"]]) * 60 / song.tempo
    )
    stems: dict[str, np.ndarray] = {}
    for stem in ("drums", "bass", "other"):
        total = np.zeros((int(song.seconds * RATE), 2), np.float32)
        for part in song.stem(stem):
            audio = treated(rng, part, _played(rng, part, song, corpus, fonts), song.tempo, kicks)
            audio = _narrowed(rng, audio, stem)
            level = loudness(audio)
            if level < 1e-6:
                continue
            left, right = np.sqrt(1 - part.pan), np.sqrt(1 + part.pan)
            gain = 10 ** (part.gain / 20) / level * 0.1
            total += audio * np.array([left * gain, right * gain], np.float32)
        stems[stem] = total
    if voiced and corpus is not None:
        stems["vocals"] = sung(rng, corpus, song)
    return mixed(rng, stems)
