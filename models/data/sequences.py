"""Bass lines and drum patterns sequenced from single sampled notes and hits."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import soxr

from models.data.corpus import RATE, Corpus, read_stereo


class BassSampler:
    """Random lines played with sampled bass notes, shifted by up to two semitones."""

    def __init__(self, corpus: Corpus) -> None:
        self.notes: dict[str, list[tuple[int, np.ndarray]]] = {}
        for instrument, midi, path in corpus.bass_notes():
            self.notes.setdefault(instrument, []).append((midi, read_stereo(path)))

    def line(self, rng: np.random.Generator, seconds: float) -> np.ndarray:
        """Return a line, float32 [samples, 2]."""
        instrument = list(self.notes)[rng.integers(len(self.notes))]
        bank = self.notes[instrument]
        beat = 60 / rng.uniform(75, 160)
        shift = 2 ** (rng.uniform(-2, 2) / 12)
        root = rng.integers(28, 41)
        degrees = rng.choice([0, 0, 0, 3, 5, 7, 7, 10, 12, -2, -5], size=rng.integers(2, 9))
        lengths = rng.choice([0.25, 0.5, 0.5, 1, 1, 2], size=len(degrees))
        out = np.zeros((int(seconds * RATE) + RATE * 8, 2), np.float32)
        time, step = 0.0, 0
        while time < seconds:
            length = lengths[step % len(lengths)] * beat
            wanted = root + degrees[step % len(degrees)] + (5 if (step // len(degrees)) % 4 == 3 else 0)
            if rng.random() < 0.9:
                nearest = min(abs(m - wanted) for m, _ in bank)
                options = [a for m, a in bank if abs(m - wanted) == nearest]
                note = options[rng.integers(len(options))]
                cut = min(len(note), int(length * RATE * rng.uniform(0.6, 1.0) * shift) + 800)
                note = note[:cut].copy()
                note[-800:] *= np.linspace(1, 0, min(800, cut), dtype=np.float32)[:, None]
                start = int(time * RATE)
                out[start : start + cut] += note * rng.uniform(0.6, 1)
            time += length
            step += 1
        out = soxr.resample(out, RATE, int(RATE / shift), quality="MQ")
        if rng.random() < 0.3:
            out = np.tanh(out * rng.uniform(2, 8) / (np.abs(out).max() + 1e-6))
        return out[: int(seconds * RATE)].astype(np.float32)


class DrumSampler:
    """Random patterns played with sampled hits."""

    _ROLES: ClassVar = {"kick": 0.35, "snare": 0.25, "hat": 0.6, "cymbal": 0.1, "perc": 0.25, "tom": 0.12, "clap": 0.2}

    def __init__(self, corpus: Corpus) -> None:
        self.hits: dict[str, list[np.ndarray]] = {}
        for kind, path in corpus.drum_hits():
            self.hits.setdefault(kind, []).append(read_stereo(path))

    def pattern(self, rng: np.random.Generator, seconds: float) -> np.ndarray:
        """Return a groove of one kit, float32 [samples, 2]."""
        step = 60 / rng.uniform(75, 165) / 4
        out = np.zeros((int(seconds * RATE) + RATE * 10, 2), np.float32)
        kinds = [k for k in self.hits if k != "loop" and (k in ("kick", "snare") or "hat" in k or rng.random() < 0.35)]
        swing = rng.uniform(0, 0.25) * (rng.random() < 0.4)
        for kind in kinds:
            hit = self.hits[kind][rng.integers(len(self.hits[kind]))]
            ratio = 2 ** (rng.uniform(-3, 3) / 12)
            hit = soxr.resample(hit, RATE, int(RATE * ratio), quality="LQ")
            density = self._ROLES.get(kind, 0.5 if "hat" in kind else 0.12)
            if kind == "kick":
                grid = np.zeros(16, bool)
                grid[:: rng.choice([4, 4, 8])] = True
                grid |= rng.random(16) < 0.08
            elif kind == "snare":
                grid = np.zeros(16, bool)
                grid[[4, 12]] = True
                grid |= rng.random(16) < 0.06
            elif "hat" in kind:
                grid = np.zeros(16, bool)
                grid[:: rng.choice([1, 2, 2, 4])] = True
                grid &= rng.random(16) < 0.9
            else:
                grid = rng.random(16) < density
            level = rng.uniform(0.35, 1.0) * (0.5 if "hat" in kind else 1)
            pan = rng.uniform(0.3, 0.7) if kind not in ("kick", "snare") else 0.5
            scaled = hit * (np.sqrt([2 * (1 - pan), 2 * pan]) * level).astype(np.float32)
            for i in range(int(seconds / step)):
                if grid[i % 16] and rng.random() < 0.97:
                    start = int((i + swing * (i % 2)) * step * RATE)
                    out[start : start + len(scaled)] += scaled[: len(out) - start] * rng.uniform(0.6, 1)
        if rng.random() < 0.4:
            out = np.tanh(out * rng.uniform(1, 4))
        return out[: int(seconds * RATE)]
