"""The bass: a low-passed saw and square with a filter envelope and a slight glide."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from realtime.demo.arrangement import BARS, BASS_PATTERNS, BEAT, CHORDS, when
from realtime.demo.sound import additive, audio_rate, control_times, hertz, low_pass, pan, place, smoothstep

_HARMONICS = 48
_GLIDE = 0.045
_RELEASE = 0.05

# Start and length in seconds, MIDI pitch.
_Note = tuple[float, float, int]


def _runs() -> list[list[_Note]]:
    """Return the notes in runs: what follows at once is slurred, and shares one oscillator."""
    runs: list[list[_Note]] = []
    for number, bar in enumerate(BARS):
        chord = CHORDS[bar.chord]
        pitches = {"root": chord.root, "octave": chord.root + 12, "fifth": chord.fifth, "approach": chord.approach}
        for beat, length, degree in BASS_PATTERNS[bar.bass]:
            note = (when(number, beat), length * BEAT, pitches[degree])
            if runs and note[0] - sum(runs[-1][-1][:2]) < _RELEASE:
                runs[-1].append(note)
            else:
                runs.append([note])
    return runs


def _play(run: list[_Note], rate: int) -> np.ndarray:
    """Return a run, float32 [samples], from the start of its first note."""
    first, (last, length, _) = run[0][0], run[-1]
    seconds = last + length - first
    time = control_times(seconds + _RELEASE, rate)
    pitch = np.full(len(time), float(run[0][2]))
    since = time.copy()
    for before, note in pairwise(run):
        after = time - (note[0] - first)
        pitch += (note[2] - before[2]) * smoothstep(after / _GLIDE)
        since = np.where(after >= 0, after, since)
    attack = smoothstep(since / 0.01)
    cutoff = 240 + 1500 * np.exp(-since / 0.11) * attack
    frequency = hertz(pitch)
    numbers = np.arange(1, _HARMONICS + 1)[:, None]
    saw, square = 1 / numbers, (numbers % 2) / numbers
    curve = (0.6 * saw + 0.5 * square) * low_pass(numbers * frequency, cutoff, resonance=1.3, poles=4)
    accent = 0.7 + 0.3 * np.exp(-since / 0.18) * attack
    envelope = accent * smoothstep(time / 0.006) * (1 - smoothstep((time - seconds) / _RELEASE))
    return np.tanh(1.1 * additive(frequency, -1j * curve, rate)) * audio_rate(envelope.astype(np.float32))


def render_bass(length: int, rate: int) -> np.ndarray:
    """Return the bass, float32 [length, 2], in the middle."""
    track = np.zeros((length, 2), dtype=np.float32)
    for run in _runs():
        start = round(run[0][0] * rate)
        if start > length:
            break
        place(track, start, pan(_play(run, rate), 0.0))
    return track
