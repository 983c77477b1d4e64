"""Synthesised drums, bass and accompaniment: breadth for the stems that free recordings lack.

Notes are band-limited wavetables that fade from a bright to a dark table (a filter envelope), with
detuned voices, vibrato and glide, arranged in random scales, rhythms and tempi.
"""

from __future__ import annotations

import numpy as np

RATE = 44100
_TABLE = 2048
_SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))


def frequency(midi: float) -> float:
    """Return the frequency in Hz of a MIDI note number."""
    return 440.0 * 2 ** ((midi - 69) / 12)


def _wavetable(amplitudes: np.ndarray, phases: np.ndarray, freq: float) -> np.ndarray:
    """One cycle of a band-limited tone, float32 [2048 + 1]; harmonics above 16 kHz are left out."""
    count = int(min(len(amplitudes), max(1, 16000 // freq), _TABLE // 2 - 1))
    spectrum = np.zeros(_TABLE // 2 + 1, np.complex64)
    spectrum[1 : count + 1] = amplitudes[:count] * np.exp(1j * phases[:count])
    cycle = np.fft.irfft(spectrum)
    cycle = cycle / (np.sqrt(np.mean(cycle**2)) + 1e-9)
    return np.append(cycle, cycle[0]).astype(np.float32)


class Timbre:
    """A random voice: spectra, envelope, detune, vibrato, stereo place."""

    def __init__(self, rng: np.random.Generator, low: bool) -> None:
        k = np.arange(1, 200)
        slope = rng.uniform(0.6, 2.2)
        bright = k**-slope
        kind = rng.integers(5)
        if kind == 0:  # square-like
            bright = bright * (k % 2)
        elif kind == 1:  # formants
            for _ in range(3):
                bright = bright * (1 + 4 * np.exp(-(((k - rng.uniform(2, 25)) / rng.uniform(1, 4)) ** 2)))
        elif kind == 2:  # organ, bells: few partials
            bright = bright * (rng.random(len(k)) < 0.35)
            bright[0] = 1
        elif kind == 3:  # almost a sine
            bright = np.exp(-(k - 1) * rng.uniform(0.7, 2.5))
        self.bright = bright
        self.dark = bright * np.exp(-(k - 1) / rng.uniform(0.6, 6))
        self.phases = rng.uniform(0, 2 * np.pi, len(k)) * (rng.random() < 0.5)
        self.filter_decay = rng.uniform(0.03, 0.6)
        self.attack = rng.choice([0.002, 0.005, 0.02, 0.15 if not low else 0.03])
        self.decay = rng.choice([0.15, 0.4, 1.0, 4.0])
        self.voices = 1 if low and rng.random() < 0.6 else int(rng.integers(1, 4))
        self.detune = rng.uniform(0.0005, 0.006)
        self.vibrato = (rng.uniform(0, 0.004) * (rng.random() < 0.3), rng.uniform(4, 7))
        self.width = 0.1 if low else rng.uniform(0, 1)
        self.drive = rng.uniform(1, 4) if rng.random() < 0.3 else 0.0
        self.noise = rng.uniform(0, 0.05) * (not low) * (rng.random() < 0.3)

    def note(
        self, rng: np.random.Generator, midi: float, seconds: float, glide_from: float | None = None
    ) -> np.ndarray:
        """Return one note, float32 [samples, 2], about unit RMS while it sounds."""
        release = 0.03
        n = int((seconds + release) * RATE)
        t = np.arange(n, dtype=np.float32) / RATE
        freq = frequency(midi)
        bend = np.ones(n, np.float32)
        if glide_from is not None:
            bend = 2 ** ((glide_from - midi) / 12 * np.exp(-t / 0.03))
        if self.vibrato[0]:
            bend = bend * (1 + self.vibrato[0] * np.sin(2 * np.pi * self.vibrato[1] * t))
        bright, dark = _wavetable(self.bright, self.phases, freq), _wavetable(self.dark, self.phases, freq)
        fade = np.exp(-t / self.filter_decay)
        out = np.zeros((n, 2), np.float32)
        for voice in range(self.voices):
            ratio = 1 + self.detune * (voice - (self.voices - 1) / 2)
            phase = (np.cumsum(freq * ratio * bend / RATE) + rng.random() * (self.voices > 1)) % 1.0 * _TABLE
            index = phase.astype(np.int32)
            part = (phase - index).astype(np.float32)
            wave = fade * (bright[index] * (1 - part) + bright[index + 1] * part)
            wave += (1 - fade) * (dark[index] * (1 - part) + dark[index + 1] * part)
            pan = 0.5 + 0.5 * self.width * (voice / max(1, self.voices - 1) * 2 - 1 if self.voices > 1 else 0)
            out += wave[:, None] * np.sqrt([1 - pan, pan], dtype=np.float32)
        if self.noise:
            out += self.noise * rng.standard_normal((n, 2)).astype(np.float32)
        if self.drive:
            out = np.tanh(out * self.drive)
        envelope = (
            np.minimum(1, t / self.attack) * np.exp(-t / self.decay) * np.clip((seconds + release - t) / release, 0, 1)
        )
        return out * envelope[:, None]


def reverb(rng: np.random.Generator, audio: np.ndarray, wet: float, seconds: float) -> np.ndarray:
    """Add a synthetic room: exponentially decaying stereo noise, float32 [samples, 2]."""
    n = int(seconds * RATE)
    room = rng.standard_normal((n, 2)) * np.exp(-6.9 * np.arange(n) / n)[:, None]
    room /= np.sqrt(np.sum(room**2, axis=0))
    size = 1 << int(np.ceil(np.log2(len(audio) + n)))
    tail = np.fft.irfft(np.fft.rfft(audio, size, axis=0) * np.fft.rfft(room, size, axis=0), axis=0)[: len(audio)]
    return (audio + wet * tail).astype(np.float32)


def _shaped_noise(rng: np.random.Generator, n: int, low: float, high: float) -> np.ndarray:
    """Stereo noise between two frequencies in Hz, float32 [n, 2], unit RMS."""
    spectrum = np.fft.rfft(rng.standard_normal((n, 2)), axis=0)
    frequency = np.fft.rfftfreq(n, 1 / RATE)[:, None]
    spectrum *= 1 / (1 + (low / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high) ** 4)
    noise = np.fft.irfft(spectrum, n, axis=0)
    return (noise / (np.sqrt(np.mean(noise**2)) + 1e-9)).astype(np.float32)


def _drum(rng: np.random.Generator, kind: str) -> np.ndarray:
    """One synthesised drum, float32 [samples, 2]."""
    decay = {"kick": rng.uniform(0.05, 0.35), "snare": rng.uniform(0.04, 0.2), "hat": rng.uniform(0.01, 0.06)}
    decay |= {"open": rng.uniform(0.1, 0.35), "clap": rng.uniform(0.05, 0.2), "tom": rng.uniform(0.08, 0.3)}
    n = int(min(1.5, 6 * decay[kind]) * RATE)
    t = np.arange(n) / RATE
    envelope = np.exp(-t / decay[kind])[:, None]
    if kind in ("kick", "tom"):
        base = rng.uniform(38, 65) if kind == "kick" else rng.uniform(70, 220)
        sweep = base * (1 + rng.uniform(1, 9) * np.exp(-t / rng.uniform(0.005, 0.05)))
        body = np.sin(2 * np.pi * np.cumsum(sweep) / RATE + rng.uniform(0, 1))
        if rng.random() < 0.5:
            body = np.tanh(rng.uniform(1, 5) * body)
        click = rng.uniform(0, 0.5) * np.exp(-t / 0.003)[:, None] * _shaped_noise(rng, n, 500, 9000)
        sound = body[:, None] * envelope + click
    else:
        low = {"snare": rng.uniform(150, 900), "clap": rng.uniform(600, 1200)}.get(kind, rng.uniform(4000, 9000))
        sound = _shaped_noise(rng, n, low, 16000 if kind != "clap" else 6000) * envelope * 0.5
        if kind == "snare":
            tone = np.sin(2 * np.pi * rng.uniform(150, 260) * t + 3 * np.exp(-t / 0.01))
            sound += rng.uniform(0.2, 1) * (tone * np.exp(-t / rng.uniform(0.03, 0.12)))[:, None]
    fade = np.minimum(1, np.arange(n, 0, -1) / 200)[:, None]
    return (sound * fade).astype(np.float32)


def drum_machine(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return a groove of synthesised drums, float32 [samples, 2]."""
    step = 60 / rng.uniform(75, 175) / 4
    out = np.zeros((int(seconds * RATE) + 3 * RATE, 2), np.float32)
    for kind in ("kick", "snare", "hat", "open", "clap", "tom"):
        if kind != "kick" and rng.random() < (0.3 if kind in ("snare", "hat") else 0.6):
            continue
        sound = _drum(rng, kind) * rng.uniform(0.4, 1) * (1 if kind == "kick" else 0.6)
        grid = rng.random(16) < {"hat": 0.3, "tom": 0.1}.get(kind, 0.06)
        if kind == "kick":
            grid[:: rng.choice([4, 4, 4, 8])] = True
        elif kind in ("snare", "clap"):
            grid[[4, 12]] = True
        elif kind in ("hat", "open"):
            grid[rng.choice([0, 2]) :: rng.choice([1, 2, 4])] = True
        for i in range(int(seconds / step)):
            if grid[i % 16] and rng.random() < 0.97:
                start = int(i * step * RATE)
                out[start : start + len(sound)] += sound * rng.uniform(0.6, 1)
    out = out[: int(seconds * RATE)]
    return reverb(rng, out, rng.uniform(0.05, 0.25), rng.uniform(0.2, 1)) if rng.random() < 0.4 else out


def bass_line(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return a synthesised monophonic bass line, float32 [samples, 2]."""
    timbre = Timbre(rng, low=True)
    beat = 60 / rng.uniform(75, 160)
    root = rng.integers(26, 42)
    scale = _SCALES[rng.integers(len(_SCALES))]
    pattern = [(rng.choice([0.25, 0.5, 0.5, 1, 2]), rng.random() < 0.85) for _ in range(rng.integers(3, 12))]
    out = np.zeros((int(seconds * RATE) + RATE * 4, 2), np.float32)
    time, step, last, degree = 0.0, 0, None, 0
    while time < seconds:
        length, sounds = pattern[step % len(pattern)]
        if step % len(pattern) == 0 and rng.random() < 0.6:
            degree = int(rng.integers(len(scale)))
        if sounds:
            jump = degree + (int(rng.integers(-2, 3)) if rng.random() < 0.35 else 0)
            midi = root + scale[jump % len(scale)] + (12 if rng.random() < 0.1 else 0)
            note = timbre.note(rng, midi, length * beat * rng.uniform(0.5, 1.0), last if rng.random() < 0.2 else None)
            start = int(time * RATE)
            out[start : start + len(note)] += note[: len(out) - start] * rng.uniform(0.7, 1)
            last = midi
        time += length * beat
        step += 1
    return out[: int(seconds * RATE)]


def accompaniment(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return synthesised chords, arpeggios and a lead, float32 [samples, 2]."""
    beat = 60 / rng.uniform(75, 160)
    root = rng.integers(45, 60)
    scale = _SCALES[rng.integers(3)]
    out = np.zeros((int(seconds * RATE) + RATE * 8, 2), np.float32)

    def add(note: np.ndarray, time: float, gain: float) -> None:
        start = int(time * RATE)
        out[start : start + len(note)] += gain * note[: len(out) - start]

    for role in rng.choice(["pad", "stab", "arp", "lead"], size=rng.integers(1, 4), replace=False):
        timbre = Timbre(rng, low=False)
        gain = rng.uniform(0.3, 1)
        time, degree = 0.0, 0
        rhythm = [(rng.choice([0.25, 0.5, 0.5, 1]), rng.random() < 0.8) for _ in range(rng.integers(3, 10))]
        step = 0
        while time < seconds:
            bar = 4 * beat
            degree = int(rng.integers(len(scale)))
            chord = [
                root + scale[(degree + d) % len(scale)] + 12 * ((degree + d) // len(scale))
                for d in (0, 2, 4, 6)[: rng.integers(3, 5)]
            ]
            if role == "pad":
                for midi in chord:
                    add(timbre.note(rng, midi + 12 * rng.integers(0, 2), bar), time, gain * 0.5)
            else:
                position = 0.0
                while position < bar - 1e-6:
                    length, sounds = rhythm[step % len(rhythm)]
                    step += 1
                    if sounds and role == "stab":
                        for midi in chord:
                            add(timbre.note(rng, midi + 12, length * beat * 0.7), time + position, gain * 0.5)
                    elif sounds and role == "arp":
                        add(timbre.note(rng, chord[step % len(chord)] + 12, length * beat * 0.9), time + position, gain)
                    elif sounds:
                        midi = root + 12 + scale[int(rng.integers(len(scale)))] + 12 * rng.integers(0, 2)
                        add(timbre.note(rng, midi, length * beat), time + position, gain)
                    position += length * beat
            time += bar
    out = out[: int(seconds * RATE)]
    return reverb(rng, out, rng.uniform(0.1, 0.6), rng.uniform(0.3, 2.5)) if rng.random() < 0.7 else out
