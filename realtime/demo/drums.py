"""The drums: kick, snare, hats, clap, toms and a crash."""

from __future__ import annotations

import numpy as np

from realtime.demo.arrangement import BARS, DRUM_PATTERNS, when
from realtime.demo.sound import band, pan, place, reverb, shaped_noise, smoothstep

_VARIANTS = 3
_PANS = {"hat": 0.25, "open": 0.3, "crash": -0.3}
# Parts that are heard in the room; the kick stays dry and firm.
_ROOM = ("snare", "clap", "tom", "crash")


def _sweep(time: np.ndarray, low: float, drop: float, fall: float) -> np.ndarray:
    """Return a sine that falls by `drop` Hz to `low` Hz with the time constant `fall`."""
    return np.sin(2 * np.pi * (low * time + drop * fall * (1 - np.exp(-time / fall))))


def _cymbal(rng: np.random.Generator, time: np.ndarray, rate: int, low: float, decay: float) -> np.ndarray:
    partials = rng.uniform(low, min(14000, 0.45 * rate), 36)[:, None]
    metal = np.sin(2 * np.pi * (partials * time + rng.random((36, 1)))).sum(axis=0) / np.sqrt(18)
    air = shaped_noise(rng, len(time), rate, lambda f: band(f, low, 13000, 3))
    return (0.35 * metal + 0.75 * air) * np.exp(-time / decay) * smoothstep(time / 0.0008)


def _hit(kind: str, pitch: int, rng: np.random.Generator, rate: int) -> np.ndarray:
    """Return one stroke, float32 [samples], peaking near one; `pitch` 1..3 is the tom's."""
    seconds = {"kick": 0.45, "snare": 0.35, "hat": 0.12, "open": 0.5, "clap": 0.35, "tom": 0.45, "crash": 2.6}[kind]
    time = np.arange(round(seconds * rate)) / rate
    length = len(time)
    if kind == "kick":
        body = _sweep(time, 49, 260, 0.018) * np.exp(-time / 0.14)
        click = shaped_noise(rng, length, rate, lambda f: band(f, 1500, 6000)) * np.exp(-time / 0.003)
        sound = np.tanh(1.6 * (body + 0.12 * click) * smoothstep(time / 0.001))
    elif kind == "snare":
        tone = _sweep(time, 178, 90, 0.012) + 0.5 * _sweep(time, 331, 60, 0.01)
        wires = shaped_noise(rng, length, rate, lambda f: band(f, 900, 9500, 1))
        sound = 0.55 * tone * np.exp(-time / 0.055) + 0.34 * wires * np.exp(-time / 0.085)
        sound = np.tanh(1.3 * sound * smoothstep(time / 0.0008))
    elif kind == "clap":
        hands = sum(np.where(time >= at, np.exp(-(time - at) / 0.006), 0) for at in (0, 0.011, 0.021))
        hands = hands + np.where(time >= 0.031, np.exp(-(time - 0.031) / 0.07), 0)
        sound = 0.3 * hands * shaped_noise(rng, length, rate, lambda f: band(f, 900, 3800, 2))
    elif kind == "tom":
        low = (88, 118, 156)[pitch - 1]
        sound = _sweep(time, low, 0.7 * low, 0.03) * np.exp(-time / 0.13) * smoothstep(time / 0.001)
    elif kind == "hat":
        sound = 0.42 * _cymbal(rng, time, rate, 6500, 0.026)
    elif kind == "open":
        sound = 0.4 * _cymbal(rng, time, rate, 6000, 0.15)
    else:
        sound = 0.36 * _cymbal(rng, time, rate, 2600, 0.7)
    return (sound * (1 - smoothstep((time - seconds) / 0.03 + 1))).astype(np.float32)


def render_drums(length: int, rate: int) -> np.ndarray:
    """Return the drums, float32 [length, 2]; `length` is a whole number of blocks."""
    dry, room = (np.zeros((length, 2), dtype=np.float32) for _ in range(2))
    strokes: dict[tuple[str, int, int], np.ndarray] = {}
    kinds = ("kick", "snare", "clap", "hat", "open", "tom", "crash")
    level = {"kick": 1.0, "snare": 0.95, "clap": 0.6, "hat": 0.95, "open": 0.7, "tom": 0.5, "crash": 0.55}
    for number, bar in enumerate(BARS):
        if when(number) * rate > length:
            break
        human = np.random.default_rng([11, number])
        pattern = DRUM_PATTERNS[bar.drums] | ({"crash": "9"} if bar.crash else {})
        for kind, steps in pattern.items():
            for step, mark in enumerate(steps):
                shift, touch = human.uniform(0, 0.004), human.uniform(0.9, 1.0)
                if mark == ".":
                    continue
                pitch = int(mark) if kind == "tom" else 0
                velocity = 0.8 if kind == "tom" else (int(mark) / 9) ** 1.3
                key = kind, pitch, step % _VARIANTS
                if key not in strokes:
                    strokes[key] = _hit(kind, pitch, np.random.default_rng([12, kinds.index(kind), *key[1:]]), rate)
                # Kicks keep the time; the hands are a little behind it.
                start = when(number, step / 4) + (0 if kind == "kick" else shift)
                sound = strokes[key] * np.float32(velocity * touch * level[kind])
                position = 0.5 * (2 - pitch) if kind == "tom" else _PANS.get(kind, 0.0)
                place(room if kind in _ROOM else dry, round(start * rate), pan(sound, position))
    return dry + room + np.float32(0.22) * reverb(room, rate, 0.7, 3500, seed=13)
