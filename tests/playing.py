"""Streams played block by block without a clock, and the offline reference they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat

import numpy as np

from realtime.chain import chain_for
from realtime.engine import Engine
from realtime.latency import Mode
from realtime.mix import Mix
from realtime.separator import Separator
from realtime.stream import Stream
from realtime.windows import analysis_window, synthesis_window


def noise(length: int, channels: int = 2, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((length, channels))).astype(np.float32)


def residual_db(heard: np.ndarray, expected: np.ndarray) -> float:
    """Return the power of the difference over that of `expected`, in dB."""
    difference = np.asarray(heard, np.float64) - expected
    return float(10 * np.log10((np.mean(difference**2) + 1e-30) / np.mean(np.square(expected, dtype=np.float64))))


def reference(separator: Separator, mode: Mode, audio: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Return the separated streams [streams, samples, 2] of `audio` [samples, 2], in float64 but for the network.

    One frame after the other over the signal with silence around it. `conditions` is [streams, stems],
    or [hops, streams, stems] where it moves.
    """
    meta = separator.metadata
    n_fft, hop, size = meta.n_fft, mode.hop, mode.synthesis
    analysis = analysis_window(mode.analysis, n_fft)
    synthesis = synthesis_window(analysis, hop, size)
    moving = conditions.ndim == 3
    runner = separator.runner(conditions.shape[-2])
    hops = -(-(len(audio) + size) // hop)
    padded = np.zeros((n_fft + hops * hop, 2))
    padded[n_fft : n_fft + len(audio)] = audio
    out = np.zeros((conditions.shape[-2], n_fft + hops * hop, 2))
    for index in range(hops):
        end = n_fft + (index + 1) * hop
        spectra = np.fft.rfft(padded[end - n_fft : end] * analysis[:, None], axis=0)
        for channel in range(2):
            runner.mixture[0, 2 * channel, 0] = spectra[:, channel].real
            runner.mixture[0, 2 * channel + 1, 0] = spectra[:, channel].imag
        runner.condition[:] = conditions[min(index, len(conditions) - 1)] if moving else conditions
        runner.run()
        estimate = runner.estimate.astype(np.float64)
        for channel in range(2):
            spectrum = estimate[:, 2 * channel, 0] + 1j * estimate[:, 2 * channel + 1, 0]
            out[:, end - size : end, channel] += np.fft.irfft(spectrum, n_fft, axis=-1)[:, -size:] * synthesis
    return out[:, n_fft : n_fft + len(audio)]


def open_stream(
    separator: Separator,
    mode: Mode,
    mix: Mix,
    run: str = "stems",
    block: int | None = 128,
    reserve: int | None = None,
    channels: int | tuple[int, int] = 2,
    rate: int = 44100,
    pairs: int = 0,
    prepared: bool = False,
) -> Stream:
    """Return a stream on blocks of `block` (None: varying, none longer than `reserve`); two channels for each of `pairs`."""
    ins, outs = (channels, channels) if isinstance(channels, int) else channels
    chain = chain_for(Engine(separator, mode, outs, run, mix, pairs=pairs, prepared=prepared), rate)
    outs = 2 * pairs or outs
    latency = chain.latency(block, reserve or block)
    return Stream(chain, latency, rate, block or reserve, (ins, outs))


def play(
    stream: Stream, audio: np.ndarray, sizes: int | Iterable[int], infer: Callable[[int], bool] = lambda position: True
) -> np.ndarray:
    """Return what is heard while `audio` goes in; hops are computed after each block, where `infer(position)`."""
    sizes = repeat(sizes) if isinstance(sizes, int) else iter(sizes)
    heard, at = [], 0
    while at < len(audio):
        block = np.ascontiguousarray(audio[at : at + next(sizes)])
        out = np.full((len(block), stream.bridge.out_channels), np.nan, np.float32)
        stream.bridge.process(block, out)
        heard.append(out)
        at += len(block)
        while infer(at) and stream.advance():
            pass
    return np.concatenate(heard)


def delayed(audio: np.ndarray, by: int) -> np.ndarray:
    return np.concatenate([np.zeros((by, audio.shape[1]), audio.dtype), audio])[: len(audio)]
