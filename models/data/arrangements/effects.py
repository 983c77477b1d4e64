"""What a studio does to a stem: equaliser, distortion, compression, rooms, echoes, ducking, sweeps."""

from __future__ import annotations

import numpy as np

from models.data.corpus import RATE


def convolved(audio: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return `audio` [samples, 2] convolved with `response` [taps, 2], same length, block by block."""
    size = max(1 << 14, 1 << int(np.ceil(np.log2(4 * len(response)))))
    step = size - len(response)
    spectrum = np.fft.rfft(response.T.astype(np.float32), size)
    sides = np.ascontiguousarray(audio.T, dtype=np.float32)
    out = np.zeros((2, len(audio) + size), np.float32)
    for start in range(0, len(audio), step):
        out[:, start : start + size] += np.fft.irfft(np.fft.rfft(sides[:, start : start + step], size) * spectrum, size)
    return np.ascontiguousarray(out[:, : len(audio)].T)


def filtered(audio: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Return `audio` [samples, 2] with both sides convolved with `response` [taps], same length."""
    size = 1 << 14
    step = size - len(response)
    spectrum = np.fft.fft(response.astype(np.float32), size)
    # The sides as real and imaginary part of one signal: one transform serves both.
    sides = np.ascontiguousarray(audio, dtype=np.float32).view(np.complex64)[:, 0]
    out = np.zeros(len(audio) + size, np.complex64)
    for start in range(0, len(audio), step):
        out[start : start + size] += np.fft.ifft(np.fft.fft(sides[start : start + step], size) * spectrum)
    return out[: len(audio)].view(np.float32).reshape(-1, 2)


def _minimum_phase(magnitude: np.ndarray, taps: int) -> np.ndarray:
    """Response [taps] of a magnitude [taps + 1] without delay: stems must stay aligned."""
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, 1e-4)))
    half = len(cepstrum) // 2
    cepstrum[1:half] *= 2
    cepstrum[half + 1 :] = 0
    return np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[:taps]


def equalised(audio: np.ndarray, points: list[tuple[float, float]]) -> np.ndarray:
    """Return `audio` under a curve through `points` of (Hz, dB)."""
    taps = 2048
    frequency = np.maximum(np.fft.rfftfreq(taps * 2, 1 / RATE), 10)
    hertz, decibel = zip(*sorted(points), strict=True)
    curve = np.interp(np.log(frequency), np.log(hertz), decibel)
    return filtered(audio, _minimum_phase(10 ** (curve / 20), taps))


def random_curve(rng: np.random.Generator, depth: float, tilt: float = 0.0) -> list[tuple[float, float]]:
    """Return points of a gentle equaliser, `depth` dB deep or high (standard deviation), rising `tilt` dB an octave."""
    return [
        (f, float(rng.normal(0, depth)) + tilt * float(np.log2(f / 500)))
        for f in (40, 120, 350, 1000, 3000, 8000, 16000)
    ]


def envelope(audio: np.ndarray, frame: int = 128) -> np.ndarray:
    """Return the peak level of each `frame` samples of [samples, 2]."""
    count = len(audio) // frame + 1
    padded = np.zeros(count * frame, np.float32)
    padded[: len(audio)] = np.maximum(np.abs(audio[:, 0]), np.abs(audio[:, 1]))
    return padded.reshape(count, frame).max(axis=1)


def _stretched(gain: np.ndarray, samples: int, frame: int = 128) -> np.ndarray:
    return np.interp(np.arange(samples), np.arange(len(gain)) * frame, gain).astype(np.float32)[:, None]


def compressed(audio: np.ndarray, threshold: float, ratio: float, attack: float, release: float) -> np.ndarray:
    """Return [samples, 2] compressed above `threshold` dB below its own peak; times in seconds."""
    level = envelope(audio)
    peak = level.max()
    if peak < 1e-6:
        return audio
    step = 128 / RATE
    rise, fall = 1 - np.exp(-step / attack), 1 - np.exp(-step / release)
    over = np.maximum(0, 20 * np.log10(np.maximum(level / peak, 1e-5)) - threshold) * (1 - 1 / ratio)
    gain, value = np.empty_like(over), 0.0
    for i, wanted in enumerate(over):
        value += (wanted - value) * (rise if wanted > value else fall)
        gain[i] = -value
    return audio * _stretched(10 ** (gain / 20), len(audio))


def distorted(rng: np.random.Generator, audio: np.ndarray, amount: float, amplifier: bool) -> np.ndarray:
    """Return `audio` driven into a soft limit; an `amplifier` cuts lows before it and highs behind it."""
    left = audio[::4, 0]
    level = float(np.sqrt(np.mean(left[np.abs(left) > 1e-4] ** 2))) if np.abs(left).max() > 1e-4 else 0.0
    if level < 1e-6:
        return audio
    drive = 10 ** ((amount * 30 - 6) / 20)
    signal = audio / level
    if amplifier:
        cut = rng.uniform(80, 250)
        signal = equalised(signal, [(20, -20), (cut, 0), (1000, rng.uniform(0, 6)), (20000, 0)])
    bias = rng.uniform(-0.2, 0.2)
    signal = (np.tanh(signal * drive * 0.4 + bias) - np.tanh(bias)) * level * 1.5
    if amplifier:
        top = rng.uniform(3200, 6500)
        signal = equalised(
            signal, [(60, -6), (120, 2), (2500, rng.uniform(0, 5)), (top, 0), (top * 2, -22), (20000, -50)]
        )
    return signal.astype(np.float32)


def reverberant(rng: np.random.Generator, audio: np.ndarray, wet: float, seconds: float) -> np.ndarray:
    """Return `audio` in a room of decaying noise whose highs fade first; `wet` 0 to 1, after a short delay."""
    taps = int(seconds * RATE)
    time = np.arange(taps)[:, None] / RATE
    early = rng.standard_normal((taps, 2)).astype(np.float32)
    dark = np.cumsum(early, axis=0)
    dark = dark - np.concatenate([np.zeros((12, 2)), dark[:-12]])
    share = np.minimum(1, time / seconds * rng.uniform(1, 4))
    room = ((1 - share) * early + share * dark / 3) * np.exp(-6.9 * time / seconds)
    room[: int(rng.uniform(0, 0.04) * RATE)] = 0
    room /= np.sqrt(np.sum(room**2, axis=0)) + 1e-9
    return audio + wet * convolved(audio, room)


def echoed(audio: np.ndarray, seconds: float, feedback: float, wet: float, crossing: bool) -> np.ndarray:
    """Return `audio` with repeats `seconds` apart; `crossing` ones change sides."""
    out, repeat = audio.copy(), audio
    shift = int(seconds * RATE)
    level = wet
    for number in range(1, 6):
        if number * shift >= len(audio) or level < 0.02:
            break
        repeat = repeat[:, ::-1] if crossing else repeat
        out[number * shift :] += level * repeat[: len(audio) - number * shift]
        level *= feedback
    return out


def ducked(audio: np.ndarray, times: np.ndarray, depth: float, recovery: float) -> np.ndarray:
    """Return `audio` pushed down at each of `times` (seconds) and let up over `recovery` seconds."""
    gain = np.ones(len(audio), np.float32)
    ramp = (1 - depth * np.cos(np.linspace(0, np.pi / 2, max(2, int(recovery * RATE))))).astype(np.float32)
    for time in times:
        start = int(time * RATE)
        part = gain[start : start + len(ramp)]
        np.minimum(part, ramp[: len(part)], out=part)
    return audio * gain[:, None]


def swept(rng: np.random.Generator, audio: np.ndarray, period: float) -> np.ndarray:
    """Return `audio` through a filter that opens and closes over `period` seconds."""
    corner = rng.uniform(300, 900)
    closed = equalised(audio, [(20, 0), (corner, 4), (corner * 3, -18), (corner * 9, -45), (20000, -60)])
    phase = np.arange(len(audio)) / RATE / period + rng.random()
    open_share = (0.5 + 0.5 * np.sin(2 * np.pi * phase)).astype(np.float32)[:, None]
    return closed + open_share * (audio - closed)


def widened(rng: np.random.Generator, audio: np.ndarray) -> np.ndarray:
    """Return `audio` with a slowly moving, delayed copy on each side: a chorus."""
    time = np.arange(len(audio))
    out = audio * 0.8
    for side in range(2):
        delay = (0.012 + 0.004 * np.sin(2 * np.pi * rng.uniform(0.2, 0.9) * time / RATE + rng.uniform(0, 6))) * RATE
        out[:, side] += 0.6 * np.interp(time - delay, time, audio[:, side]).astype(np.float32)
    return out
