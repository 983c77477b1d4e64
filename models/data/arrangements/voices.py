"""Sung phrases of the corpus, brought to the tempo and key of a song and set where a singer would sing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from models.data.arrangements.effects import compressed, echoed, equalised, random_curve, reverberant
from models.data.arrangements.notes import Song
from models.data.corpus import RATE, Corpus, read_stereo

_TONICS = {
    "c": 0,
    "cs": 1,
    "db": 1,
    "d": 2,
    "eb": 3,
    "e": 4,
    "f": 5,
    "fs": 6,
    "g": 7,
    "ab": 8,
    "a": 9,
    "bb": 10,
    "b": 11,
}


@dataclass(frozen=True)
class Phrase:
    """A file and what its name says: tonic 0 (C) to 11, beats a minute, whether minor (None: not said)."""

    path: Path
    tonic: int
    tempo: float
    minor: bool | None


def phrase(path: Path) -> Phrase | None:
    """Return what the name of a sung phrase (pack_key_tempo_...) says; None where it says nothing."""
    fields = path.stem.split("_")
    if len(fields) < 3 or not fields[2].isdigit():
        return None
    key, minor = fields[1], None
    if key not in _TONICS and key[:-1] in _TONICS and key[-1] in "jm":
        key, minor = key[:-1], key[-1] == "m"
    return Phrase(path, _TONICS[key], float(fields[2]), minor) if key in _TONICS else None


def stretched(audio: np.ndarray, factor: float) -> np.ndarray:
    """Return [samples, 2] `factor` times as long at the same pitch, by overlapping waveforms that match (WSOLA)."""
    if abs(factor - 1) < 0.005 or len(audio) < 8192:
        return audio
    size, hop, search = 2048, 1024, 512
    window = np.hanning(size).astype(np.float32)[:, None]
    count = max(1, int((len(audio) * factor - size) / hop))
    out = np.zeros((count * hop + size, 2), np.float32)
    mono = np.pad(audio.mean(axis=1), (search, size + 2 * search))
    source = np.pad(audio, ((search, size + 2 * search), (0, 0)))
    place = search
    for i in range(count):
        wanted = search + int(i * hop / factor)
        if i:
            natural = mono[place + hop : place + hop + size]
            region = mono[wanted - search : wanted + search + size]
            length = 1 << int(np.ceil(np.log2(len(region) + size)))
            match = np.fft.irfft(np.fft.rfft(region, length) * np.conj(np.fft.rfft(natural, length)))[: 2 * search]
            place = wanted - search + int(np.argmax(match))
        else:
            place = wanted
        place = min(place, len(source) - size - hop)
        out[i * hop : i * hop + size] += source[place : place + size] * window
    return out


def _fitted(rng: np.random.Generator, item: Phrase, song: Song) -> tuple[np.ndarray, float] | None:
    """The phrase in the song's key and tempo, and how well that went (semitones moved, 99: key against key)."""
    tonic = item.tonic
    if item.minor is not None and item.minor != song.minor:
        tonic += 3 if item.minor else -3  # its relative
    shift = (song.tonic - tonic + 6) % 12 - 6
    ratio = min((song.tempo / item.tempo * k for k in (0.5, 1.0, 2.0)), key=lambda r: abs(np.log(r)))
    pitch = 2 ** (shift / 12)
    audio = read_stereo(item.path)
    if shift:
        audio = soxr.resample(audio, RATE, RATE / pitch, quality="HQ")
    return stretched(audio, pitch / ratio if 0.72 < ratio < 1.4 else pitch), abs(shift)


def _treated(rng: np.random.Generator, audio: np.ndarray, tempo: float) -> np.ndarray:
    """A voice as records have it: evened out, doubled, echoed, in a plate or a hall; at times dry."""
    audio = equalised(audio, [(20, -24), (70, -6), *[(f, g) for f, g in random_curve(rng, 2.0) if f > 100]])
    if rng.random() < 0.7:
        audio = compressed(audio, float(rng.uniform(-24, -12)), float(rng.uniform(2, 5)), 0.005, 0.12)
    if rng.random() < 0.3:  # the same line sung twice, wide
        late = int(rng.uniform(0.012, 0.035) * RATE)
        twin = soxr.resample(audio, RATE, RATE * 2 ** (rng.uniform(-0.12, 0.12) / 12), quality="MQ")
        twin = np.pad(twin, ((late, len(audio)), (0, 0)))[: len(audio)]
        audio = np.stack([audio[:, 0] + 0.3 * twin[:, 0], 0.3 * audio[:, 1] + twin[:, 1]], axis=1)
    if rng.random() < 0.4:
        beat = 60 / tempo
        time = beat * float(rng.choice([0.25, 0.5, 0.75, 1.0])) if rng.random() < 0.7 else rng.uniform(0.07, 0.15)
        audio = echoed(audio, time, float(rng.uniform(0.2, 0.6)), float(rng.uniform(0.1, 0.45)), rng.random() < 0.5)
    if rng.random() < 0.8:
        audio = reverberant(rng, audio, float(rng.uniform(0.08, 0.5)), float(rng.uniform(0.4, 3.0)))
    return audio


def sung(rng: np.random.Generator, corpus: Corpus, song: Song) -> np.ndarray:
    """Return the vocal stem of a song, float32 [samples of the song, 2], silent where nobody sings.

    Phrases are taken from one pack, from keys near that of the song; one song in seven takes a stretch of
    the singing of one of the corpus's training songs instead, whose tempo and key stay what they are.
    """
    out = np.zeros((int(song.seconds * RATE), 2), np.float32)
    beat = 60 / song.tempo
    if rng.random() < 0.15:
        folders = corpus.songs("train")
        take = corpus.stem(folders[rng.integers(len(folders))], "vocals")
        level = np.convolve(np.abs(take[::4410]).max(axis=1), np.ones(200), "same")
        peaks = np.flatnonzero(level > 0.3 * level.max())
        take = soxr.resample(take, RATE, RATE / 2 ** (rng.uniform(-3, 3) / 12), quality="HQ")
        for section in song.sections:
            if section.sung:
                start, length = int(section.start * beat * RATE), int(section.length * beat * RATE)
                begin = max(0, int(peaks[rng.integers(len(peaks))]) * 4410 - length // 2)
                piece = take[begin : begin + min(length, len(out) - start)].copy()
                fade = min(2000, len(piece))
                piece[:fade] *= np.linspace(0, 1, fade)[:, None]
                piece[len(piece) - fade :] *= np.linspace(1, 0, fade)[:, None]
                out[start : start + len(piece)] += piece
        return _treated(rng, out, song.tempo)
    items = [p for p in map(phrase, corpus.phrases()) if p]
    pack = str(rng.choice(["etv", "shv"]))
    items = [p for p in items if p.path.stem.startswith(pack)]

    def distance(item: Phrase) -> float:
        clash = item.minor is not None and item.minor != song.minor
        tonic = item.tonic + (3 if item.minor else -3) * clash
        return abs((song.tonic - tonic + 6) % 12 - 6) + 0.5 * clash

    rng.shuffle(items)
    items = sorted(items, key=distance)[:40]
    rng.shuffle(items)
    used = 0
    repeats = rng.random() < 0.4
    kept: list[np.ndarray] = []
    for section in song.sections:
        if not section.sung:
            continue
        at, number = section.start + float(rng.choice([0, 0, 0, 0.5, 1, 4])), 0
        while at < section.start + section.length - 1:
            if repeats and number < len(kept) and section.name == "chorus":
                audio = kept[number]
            else:
                audio, _ = _fitted(rng, items[used % len(items)], song)
                used += 1
                if section.name == "chorus" and len(kept) < 6:
                    kept.append(audio)
            number += 1
            start = int(at * beat * RATE)
            piece = audio[: max(0, len(out) - start)]
            out[start : start + len(piece)] += piece * rng.uniform(0.8, 1.0)
            if len(piece) > 0 and rng.random() < 0.12:  # a second voice
                interval = float(rng.choice([12, -12, 7, 5]))
                high = stretched(
                    soxr.resample(piece, RATE, RATE / 2 ** (interval / 12), quality="MQ"), 2 ** (interval / 12)
                )
                high = high[: len(out) - start]
                out[start : start + len(high)] += 0.5 * high
            beats = len(audio) / RATE / beat
            at += max(2.0, np.ceil(beats / 2) * 2) + float(rng.choice([0, 0, 2, 4], p=[0.5, 0.2, 0.2, 0.1]))
    return _treated(rng, out, song.tempo)
