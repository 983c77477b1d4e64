"""The other instruments: a pad, an electric piano and a plucked arpeggio."""

from __future__ import annotations

import numpy as np

from realtime.demo.arrangement import ARPEGGIOS, BAR, BARS, BEAT, CHORDS, KEYS_PATTERNS, kicks, when
from realtime.demo.sound import (
    additive,
    audio_rate,
    control_times,
    echo,
    hertz,
    low_pass,
    pan,
    place,
    reverb,
    smoothstep,
)

_PAD_RELEASE = 0.5


def _pad(voices: tuple[int, ...], bright: bool, rate: int) -> np.ndarray:
    """Return a bar of pad with its release, float32 [samples, 2], RMS near one.

    Each harmonic is a narrow band of noise, as of many detuned strings at once (P. Nasca's PADsynth).
    """
    seconds = BAR + _PAD_RELEASE
    length = round(seconds * rate)
    size = 1 << (length - 1).bit_length()
    step = rate / size
    magnitude = np.zeros(size // 2 + 1)
    cutoff = 2200 if bright else 1100
    for pitch in voices:
        for number in range(1, 25):
            centre = number * hertz(pitch)
            if centre > 0.45 * rate:
                break
            width = 0.005 * centre + 0.4
            around = np.arange(int((centre - 4 * width) / step), int((centre + 4 * width) / step) + 1)
            weight = number**-1.0 * float(low_pass(np.float64(centre), cutoff)) / np.sqrt(width)
            magnitude[around] += weight * np.exp(-0.5 * ((around * step - centre) / width) ** 2)
    rng = np.random.default_rng([21, *voices])
    phases = rng.random((2, len(magnitude)))
    # Halfway between one voice and two unrelated ones: wide, and still whole in mono.
    phases[1] = phases[0] + 0.45 * (phases[1] - 0.5)
    sound = np.fft.irfft(magnitude * np.exp(2j * np.pi * phases), size)[:, :length].T
    sound /= np.sqrt(np.mean(sound**2))
    time = np.arange(length) / rate
    envelope = smoothstep(time / 0.25) * (1 - smoothstep((time - BAR) / _PAD_RELEASE))
    return (sound * envelope[:, None]).astype(np.float32)


def _piano(pitch: int, seconds: float, rate: int) -> np.ndarray:
    """Return a note of the electric piano: two pairs of operators, a body and a tine."""
    time = np.arange(round((seconds + 0.15) * rate)) / rate
    turn = 2 * np.pi * hertz(pitch) * time
    body = np.sin(turn + (0.25 + 1.1 * np.exp(-time / 0.35)) * np.sin(turn))
    tine = np.sin(turn + 0.5 * np.exp(-time / 0.06) * np.sin(14 * turn))
    sound = (body + 0.7 * tine) * np.exp(-time / 1.1) * smoothstep(time / 0.003)
    return (sound * (1 - smoothstep((time - seconds) / 0.15))).astype(np.float32)


def _pluck(pitch: int, rate: int) -> np.ndarray:
    time = control_times(0.55, rate)
    numbers = np.arange(1, 25)[:, None]
    frequency = np.full(len(time), hertz(pitch))
    curve = low_pass(numbers * frequency, 400 + 6000 * np.exp(-time / 0.07), resonance=1.1, poles=4) / numbers
    envelope = smoothstep(time / 0.003) * np.exp(-time / 0.16) * (1 - smoothstep((time - 0.45) / 0.1))
    return additive(frequency, -1j * curve * envelope, rate)


def _chorus(track: np.ndarray, rate: int) -> np.ndarray:
    """Return the track with a slowly moving copy of each side, a quarter turn apart."""
    index = np.arange(len(track))
    time = control_times(len(track) / rate, rate)
    out = track.copy()
    for side in range(2):
        swing = np.sin(2 * np.pi * (0.6 * time + 0.25 * side))
        delay = audio_rate(((0.014 + 0.003 * swing) * rate).astype(np.float32))[: len(track)]
        whole = delay.astype(np.int32)
        part = delay - whole
        source = track[:, side]
        later, earlier = (source[np.maximum(index - whole - step, 0)] for step in (0, 1))
        out[:, side] += np.float32(0.6) * (later + (earlier - later) * part)
    return out


def _ducking(length: int, rate: int) -> np.ndarray:
    """Return the gain, float32 [length], with which the pad makes room for the kick."""
    time = np.arange(round(0.3 * rate)) / rate
    dip = (0.5 * smoothstep(time / 0.008) * (1 - smoothstep((time - 0.05) / 0.25))).astype(np.float32)
    gain = np.zeros(length, dtype=np.float32)
    for kick in kicks():
        place(gain, round(kick * rate), dip)
    return 1 - np.minimum(gain, 0.5)


def render_keys(length: int, rate: int) -> np.ndarray:
    """Return pad, electric piano and arpeggio, float32 [length, 2]; `length` is a whole number of blocks."""
    pad, piano, pluck = (np.zeros((length, 2), dtype=np.float32) for _ in range(3))
    pads: dict[tuple, np.ndarray] = {}
    notes: dict[tuple, np.ndarray] = {}
    for number, bar in enumerate(BARS):
        if not bar.keys:
            continue
        if when(number) * rate > length:
            break
        human = np.random.default_rng([22, number])
        voices = CHORDS[bar.chord].voices
        key = voices, bar.keys == "chorus"
        if key not in pads:
            pads[key] = _pad(*key, rate)
        place(pad, round(when(number) * rate), pads[key])
        for beat, beats in KEYS_PATTERNS[bar.keys]:
            for voice, pitch in enumerate(voices):
                touch = human.uniform(0.8, 1.0) * (1.0 if beat == 0 else 0.85)
                start = when(number, beat) + 0.004 * voice + human.uniform(0, 0.003)
                key = pitch, beats
                if key not in notes:
                    notes[key] = _piano(pitch, beats * BEAT, rate)
                place(piano, round(start * rate), pan(notes[key] * np.float32(touch), 0.3 * (voice - 1.5)))
        steps = ARPEGGIOS[bar.keys]
        for step, index in enumerate(steps):
            touch = human.uniform(0.7, 1.0)
            if index is None:
                continue
            pitch = voices[index % 4] + 12 + 12 * (index // 4)
            if pitch not in notes:
                notes[pitch] = _pluck(pitch, rate)
            position = 0.5 * (-1) ** step
            start = when(number, step * 4 / len(steps))
            place(pluck, round(start * rate), pan(notes[pitch] * np.float32(touch), position))
    pluck += echo(pluck, round(0.75 * BEAT * rate), (0.4, 0.2, 0.1))
    dry = 0.3 * pad * _ducking(length, rate)[:, None] + _chorus(0.55 * piano, rate) + 1.3 * pluck
    dry = dry.astype(np.float32)
    return dry + np.float32(0.25) * reverb(dry, rate, 1.4, 3000, seed=23)
