"""Parts played without a sound font: wavetables, the sampled bass notes, the sampled drum hits."""

from __future__ import annotations

import numpy as np
import soxr

from models.data.arrangements.grooves import KEYS
from models.data.arrangements.notes import Part
from models.data.corpus import RATE, Corpus, read_stereo
from models.data.tones import Timbre

_NAMES = {key: name for name, key in KEYS.items()}
# Which kinds of the corpus stand in for a drum, the first one that there is.
_KINDS = {
    "kick": ("kick",), "kick2": ("kick",), "snare": ("snare",), "snare2": ("snare",), "rim": ("snap", "perc", "snare"),
    "clap": ("snap", "snare"), "hat": ("hat",), "pedal": ("hat",), "open": ("hat",), "tom1": ("tom",), "tom2": ("tom",),
    "tom3": ("tom",), "tom4": ("tom",), "crash": ("crash",), "crash2": ("crash",), "china": ("crash",),
    "splash": ("crash",), "ride": ("ride", "hat"), "bell": ("ride", "cowbell"), "cowbell": ("cowbell",),
    "tambourine": ("hat",), "shaker": ("hat",), "cabasa": ("hat",), "conga": ("tabla",), "slap": ("tabla",),
    "tumba": ("tabla",), "bongo": ("tabla",), "bongo2": ("tabla",), "timbale": ("tom",), "timbale2": ("tom",),
}  # fmt: skip
_SHIFT = {"tom1": 5, "tom2": 2, "tom3": -2, "tom4": -5, "splash": 5, "china": -3, "bongo": 4, "tumba": -4}


def wavetable_part(rng: np.random.Generator, part: Part, tempo: float, seconds: float) -> np.ndarray:
    """Return a part on one synthesised timbre, float32 [samples, 2]."""
    timbre = Timbre(rng, low=part.stem == "bass")
    timbre.attack = min(timbre.attack, 0.02) if "pad" not in part.role else timbre.attack
    if "pad" in part.role:
        timbre.decay = 4.0
    out = np.zeros((int(seconds * RATE), 2), np.float32)
    beat = 60 / tempo
    glides = rng.random() < 0.25
    last = None
    cache: dict[tuple[int, int], np.ndarray] = {}
    for note in part.notes:
        start = int(note.start * beat * RATE)
        key = (note.pitch, int(note.length * beat * 50))
        # Sequenced synthesisers repeat a note exactly; that also makes them cheap to render.
        if glides or key not in cache:
            cache[key] = timbre.note(rng, note.pitch, max(0.05, key[1] / 50), last if glides else None)
        sound = cache[key][: max(0, len(out) - start)]
        out[start : start + len(sound)] += sound * (note.velocity / 100) ** 1.5
        last = note.pitch
    return out


def sampled_bass(rng: np.random.Generator, corpus: Corpus, part: Part, tempo: float, seconds: float) -> np.ndarray:
    """Return a bass line on the sampled notes of one instrument and articulation, float32 [samples, 2]."""
    upright = part.voice.program == 32
    banks: dict[str, list[tuple[int, object]]] = {}
    for name, midi, path in corpus.bass_notes():
        if name.startswith("meat") == upright:
            banks.setdefault(name, []).append((midi, path))
    weights = {"meatbass-pizz": 0.9, "meatbass-arco": 0.1}
    share = np.array([weights.get(b, 0.5) for b in banks])
    bank = banks[str(rng.choice(list(banks), p=share / share.sum()))]
    read: dict[object, np.ndarray] = {}
    out = np.zeros((int(seconds * RATE), 2), np.float32)
    beat = 60 / tempo
    tuning = rng.uniform(-0.3, 0.3)
    for note in part.notes:
        nearest = min(abs(m - note.pitch) for m, _ in bank)
        options = [(m, p) for m, p in bank if abs(m - note.pitch) == nearest]
        midi, path = options[rng.integers(len(options))]
        if (path, note.pitch) not in read:
            sound = read_stereo(path)
            head = int(np.argmax(np.abs(sound).max(axis=1) > 0.05 * np.abs(sound).max()))
            ratio = 2 ** ((note.pitch + tuning - midi) / 12)
            read[path, note.pitch] = soxr.resample(sound[max(0, head - 100) :], RATE, RATE / ratio, quality="MQ")
        start = int(note.start * beat * RATE)
        cut = min(len(read[path, note.pitch]), int(note.length * beat * RATE) + 1500, len(out) - start)
        if cut > 0:
            sound = read[path, note.pitch][:cut].copy()
            fade = min(1500, cut)
            sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
            out[start : start + cut] += sound * (note.velocity / 100) ** 1.3
    return out


def sampled_drums(rng: np.random.Generator, corpus: Corpus, part: Part, tempo: float, seconds: float) -> np.ndarray:
    """Return a drum part on one sampled kit, float32 [samples, 2]; drums the corpus lacks borrow another's."""
    kinds: dict[str, list] = {}
    for kind, path in corpus.drum_hits():
        kinds.setdefault(kind, []).append(path)
    kit: dict[str, np.ndarray] = {}
    out = np.zeros((int(seconds * RATE), 2), np.float32)
    beat = 60 / tempo
    for note in part.notes:
        name = _NAMES.get(note.pitch, "rim")
        if name not in kit:
            kind = next((k for k in (*_KINDS.get(name, ("perc",)), "perc") if k in kinds), "kick")
            sound = read_stereo(kinds[kind][rng.integers(len(kinds[kind]))])
            shift = rng.uniform(-3, 3) + _SHIFT.get(name, 0)
            sound = soxr.resample(sound, RATE, RATE / 2 ** (shift / 12), quality="MQ")
            if name in ("hat", "pedal", "shaker", "cabasa"):
                sound = (
                    sound[: int(0.2 * RATE)]
                    * np.exp(-np.arange(min(len(sound), int(0.2 * RATE))) / (0.05 * RATE))[:, None]
                )
            # Packs are levelled by nobody; a kit is heard with its kick and snare in front.
            level = {"kick": 1.0, "kick2": 0.9, "snare": 0.8, "snare2": 0.8, "clap": 0.7}.get(name, 0.4)
            pan = 0.5 if name in ("kick", "kick2", "snare") else rng.uniform(0.25, 0.75)
            sound = sound[: 3 * RATE] / (np.abs(sound).max() + 1e-6) * level * rng.uniform(0.7, 1.0)
            kit[name] = (sound * np.sqrt([2 * (1 - pan), 2 * pan])).astype(np.float32)
        start = int(note.start * beat * RATE)
        sound = kit[name][: max(0, len(out) - start)]
        out[start : start + len(sound)] += sound * (note.velocity / 110) ** 1.6
    return out
