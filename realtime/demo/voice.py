"""The voice: a glottal pulse through moving formants, with consonants, breaths and a second voice in thirds.

Source and filter follow G. Fant, "Acoustic Theory of Speech Production", 1960: the pulse is A. E.
Rosenberg's ("Effect of glottal pulse shape on the quality of natural vowels", JASA 49, 1971), the
tract a cascade of resonances as in D. H. Klatt, "Software for a cascade/parallel formant
synthesizer", JASA 67, 1980. Both are evaluated at the harmonics, so nothing aliases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from realtime.demo.arrangement import BEAT, Sung, melody, sections
from realtime.demo.sound import (
    HOP,
    additive,
    audio_rate,
    band,
    control_times,
    echo,
    hertz,
    pan,
    place,
    reverb,
    shaped_noise,
    smoothstep,
)

_HARMONICS = 44
_LEAD = 0.5
_TAIL = 0.35
_WIDTHS = (90, 100, 110, 130, 180, 350, 500)
# Resonances above the five that move: without them a cascade falls silent too early.
_UPPER = (5600, 6700)
_VOWELS = {
    "a": (820, 1250, 2750, 3350, 4500),
    "e": (500, 2000, 2800, 3650, 4600),
    "i": (330, 2450, 3100, 3750, 4700),
    "o": (520, 950, 2650, 3150, 4300),
    "u": (360, 850, 2500, 3050, 4300),
}


@dataclass(frozen=True)
class _Consonant:
    """`length` in seconds before the beat, levels of the `voice` and of its `noise`, `formants` (None: the vowel's)."""

    length: float
    voice: float
    noise: float = 0.0
    formants: tuple[int, ...] | None = None


_CONSONANTS = {
    "m": _Consonant(0.075, 0.35, formants=(260, 1050, 2300, 3400, 4500)),
    "n": _Consonant(0.07, 0.35, formants=(270, 1600, 2600, 3500, 4500)),
    "l": _Consonant(0.07, 0.5, formants=(360, 1150, 2900, 3500, 4500)),
    "y": _Consonant(0.07, 0.7, formants=_VOWELS["i"]),
    "h": _Consonant(0.09, 0.04, noise=0.22),
    "s": _Consonant(0.13, 0.0, noise=0.3),
}


def _pulse_spectrum() -> np.ndarray:
    """Return the Fourier coefficients of the derivative of Rosenberg's pulse, complex [harmonics]."""
    size, rise, fall = 4096, 0.4, 0.14
    time = np.arange(size) / size
    pulse = np.where(
        time < rise,
        0.5 - 0.5 * np.cos(np.pi * time / rise),
        np.where(time < rise + fall, np.cos(0.5 * np.pi * (time - rise) / fall), 0.0),
    )
    return np.fft.rfft(np.diff(pulse, append=0.0))[1 : _HARMONICS + 1]


def _smooth(track: np.ndarray, seconds: float, rate: int) -> np.ndarray:
    """Return control values [..., frames + 1] smoothed by a Hann window that lasts `seconds`."""
    half = max(1, round(0.5 * seconds * rate / HOP))
    window = np.hanning(2 * half + 3)[1:-1]
    padded = np.pad(np.atleast_2d(track), ((0, 0), (half, half)), mode="edge")
    rows = [np.convolve(row, window / window.sum(), mode="valid") for row in padded]
    return np.array(rows).reshape(track.shape)


def _pitch_track(
    notes: tuple[Sung, ...], time: np.ndarray, rng: np.random.Generator, rate: int
) -> np.ndarray:
    """Return the pitch, in fractional MIDI numbers, at control times that count from the first note's start."""
    first = notes[0].start
    pitch = np.full(len(time), float(notes[0].pitch))
    depth = np.zeros(len(time))
    for before, note in pairwise(notes):
        # Singers slide into the beat, so the slide is half done when the vowel starts.
        pitch += (note.pitch - before.pitch) * smoothstep((time - (note.start - first) + 0.045) / 0.09)
    for note in notes:
        since = time - (note.start - first)
        inside = (since >= 0) & (since < note.length)
        depth[inside] = 0.42 * smoothstep((since[inside] - 0.13) / 0.3)
    pitch -= 0.9 * np.exp(-np.maximum(time, 0) / 0.045)
    swing = np.sin(2 * np.pi * (5.6 * time + 0.15 * np.sin(2 * np.pi * 0.7 * time)) + rng.uniform(0, 1))
    drift = _smooth(rng.standard_normal(len(time)), 0.3, rate)
    jitter = _smooth(rng.standard_normal(len(time)), 0.01, rate)
    return pitch + _smooth(depth, 0.08, rate) * swing + 0.6 * drift + 0.05 * jitter


def _noises(rate: int) -> dict[str, np.ndarray]:
    """Return the noises of the mouth by name, each longer than any phrase."""
    edges = {"air": (1800, 8000, 2), "s": (5200, 9500, 3), "h": (900, 5000, 3), "breath": (1200, 6000, 3)}
    rng = np.random.default_rng(32)
    return {
        name: shaped_noise(rng, round(11 * rate), rate, partial(band, low=low, high=high, slope=slope))
        for name, (low, high, slope) in edges.items()
    }


def _phrase(notes: tuple[Sung, ...], seed: int, size: float, noise: dict[str, np.ndarray], rate: int) -> np.ndarray:
    """Return a phrase, float32 [samples], that starts `_LEAD` seconds before its first note.

    `size` scales the formants: above one is a smaller head.
    """
    rng = np.random.default_rng([31, seed])
    first = notes[0].start
    time = control_times(_LEAD + notes[-1].start - first + notes[-1].length + _TAIL, rate) - _LEAD
    formants = np.tile(np.array(_VOWELS["a"], dtype=float)[:, None], len(time))
    level = np.zeros(len(time))
    gusts = {name: np.zeros(len(time)) for name in ("s", "h", "breath")}
    # The breath is taken before the phrase, well clear of its first consonant.
    gusts["breath"] += 0.06 * smoothstep((time + 0.46) / 0.16) * (1 - smoothstep((time + 0.2) / 0.1))
    for index, note in enumerate(notes):
        start = note.start - first
        following = notes[index + 1].start - first if index + 1 < len(notes) else np.inf
        end = min(start + note.length, following)
        consonant = _CONSONANTS.get(note.syllable[0])
        vowels = note.syllable[1:] if consonant else note.syllable
        turn = start + 0.6 * (end - start)
        sung = (time >= start) & (time < end)
        formants[:, time >= start] = np.array(_VOWELS[vowels[0]], dtype=float)[:, None]
        if len(vowels) > 1:
            formants[:, time >= turn] = np.array(_VOWELS[vowels[1]], dtype=float)[:, None]
        level[sung] = 1.0 - 0.25 * (time[sung] - start) / max(0.4, end - start)
        if following - end > 0.05:
            level[sung] *= 1 - smoothstep((time[sung] - end + 0.16) / 0.16)
        if consonant:
            held = (time >= start - consonant.length) & (time < start)
            level[held] = consonant.voice
            target = consonant.formants or _VOWELS[vowels[0]]
            formants[:, held] = np.array(target, dtype=float)[:, None]
            if consonant.noise:
                gusts[note.syllable[0]][held] = consonant.noise
    pitch = _pitch_track(notes, time, rng, rate)
    frequency = hertz(pitch)
    formants = size * _smooth(formants, 0.07, rate)
    # A singer opens the mouth as the pitch rises, so that the first resonance stays above it.
    formants[0] = np.maximum(formants[0], 1.03 * frequency)
    shimmer = 1 + 0.2 * _smooth(rng.standard_normal(len(time)), 0.04, rate)
    level = _smooth(level, 0.035, rate) * np.clip(shimmer, 0.6, 1.4)

    harmonics = np.arange(1, _HARMONICS + 1)[:, None] * frequency
    tract = np.ones(harmonics.shape, dtype=np.complex64)
    resonances = (*formants, *(size * centre for centre in _UPPER))
    for centre, width in zip(resonances, _WIDTHS, strict=True):
        tract *= centre**2 / (centre**2 - harmonics**2 + 1j * width * harmonics)
    # A microphone close to the mouth and a mixing desk both lift what carries the words.
    presence = (1 + 1j * harmonics / 650) / (1 + 1j * harmonics / 6000)
    weights = _pulse_spectrum()[:, None] * tract * presence
    # Vowels differ in power far more than a singer (or a compressor after one) lets them.
    power = np.sqrt(np.sum(np.abs(weights) ** 2, axis=0) / 2)
    voice = additive(frequency, weights * level * power**-0.85, rate)

    offset = rng.integers(0, len(noise["air"]) - len(voice))
    gusts = {name: _smooth(track, 0.03, rate) for name, track in gusts.items()} | {"air": 0.018 * level}
    for name, track in gusts.items():
        voice += noise[name][offset : offset + len(voice)] * audio_rate(track.astype(np.float32))
    return voice


def _thirds_below(notes: tuple[Sung, ...]) -> tuple[Sung, ...]:
    """Return the phrase a third lower within C major."""
    scale = [pitch for pitch in range(128) if pitch % 12 in (0, 2, 4, 5, 7, 9, 11)]
    return tuple(Sung(n.start, n.length, scale[scale.index(n.pitch) - 2], n.syllable) for n in notes)


def render_voice(length: int, rate: int) -> np.ndarray:
    """Return the vocals, float32 [length, 2]; `length` is a whole number of blocks."""
    track = np.zeros((length, 2), dtype=np.float32)
    noise = _noises(rate)
    chorus = next(start for start, name in sections() if name == "chorus")
    for number, notes in enumerate(melody()):
        start = round((notes[0].start - _LEAD) * rate)
        if start > length:
            break
        place(track, start, pan(_phrase(notes, 2 * number, 1.0, noise, rate), 0.0))
        if notes[-1].start > chorus:
            second = _phrase(_thirds_below(notes), 2 * number + 1, 0.96, noise, rate)
            place(track, start + round(0.012 * rate), pan(np.float32(0.4) * second, -0.5))
    echoes = echo(track, round(0.75 * BEAT * rate), (0.12, 0.05))
    return track + echoes + np.float32(0.22) * reverb(track, rate, 1.5, 3500, seed=33)
