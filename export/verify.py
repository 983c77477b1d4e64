"""Whether a separator file does what its torch module does, and what every separator must do."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soxr

from realtime.demo import Song, demo_song
from realtime.errors import HostError
from realtime.metadata import Metadata
from realtime.separator import Runner, Separator
from realtime.windows import analysis_window, synthesis_window

if TYPE_CHECKING:
    import torch

FRAMES = 200
TOLERANCE = 1e-4
SILENCE = -60.0
LOSS = 0.1
_ALL_SOUND = 7.8  # seconds into the demo song
_SONG_RATE = 44100


@dataclass(frozen=True)
class Verification:
    """What was measured: the largest `error` against torch over the output's RMS (None: not compared), the peak in
    dBFS that `silence` comes out with (minus infinity for zero), and the `loss` in dB of SDR by rounding (None: not rounded)."""

    error: float | None
    silence: float
    loss: float | None = None


def verify(path: str | Path, module: torch.nn.Module | None = None, frames: int = FRAMES) -> Verification:
    """Check the separator at `path`, against `module` where given; raise HostError with the figure that fails.

    It must keep the contract, agree with `module` over at least `frames` frames behind its look-ahead, with
    carried state and changing conditions, in single and in stems, stay below -60 dBFS in silence and replay bit-exactly after a reset.
    Attention, where it gives any, must be weights that sum to one in every layer, and the module's.
    """
    separator = Separator.load(path)
    calls = math.ceil((separator.metadata.lookahead + frames) / separator.metadata.frames)
    mixtures = _music(separator.metadata, calls)
    error = None
    silence = -math.inf
    # More than one condition at a time must work in a one-stem separator too.
    for stems in (1, max(2, len(separator.metadata.stems))):
        runner = separator.runner(stems)
        silence = max(silence, _silence(runner, separator.metadata))
        if silence > SILENCE:
            raise HostError(
                f"separator '{separator.metadata.name}' fails: silence comes out at {silence:.1f} dBFS, "
                f"allowed is {SILENCE:.0f}"
            )
        conditions = _conditions(separator.metadata, stems, calls)
        runner.reset()
        estimates = _play(runner, mixtures, conditions)
        runner.reset()
        if not np.array_equal(_play(runner, mixtures, conditions), estimates):
            raise HostError(
                f"separator '{separator.metadata.name}' fails: it does not replay bit-exactly after a reset"
            )
        if module is not None:
            found, own = _difference(module, mixtures, conditions, estimates)
            error = max(error or 0.0, found)
            # Nearer to the exact result than torch itself in float32 is as near as a file can be asked to be.
            if not found <= max(TOLERANCE, own):
                raise HostError(
                    f"separator '{separator.metadata.name}' fails: with {stems} conditions it differs from its module "
                    f"by {found:.2g} of the output's RMS, allowed is {TOLERANCE:g} (torch's own rounding: {own:.2g})"
                )
        if runner.attention is not None:
            _check_attention(runner, separator.metadata, module, conditions[::10])
    return Verification(error, silence)


def sdr_loss(path: str | Path, parent: str | Path, frames: int = 2 * FRAMES) -> float:
    """Return how much less SDR, in dB, the separator at `path` has than `parent`, of the stem that loses most; raise HostError above 0.1.

    Measured on the demo song, whose stems are known: those of the separator must be among them.
    """
    metadata = Separator.load(path).metadata
    calls = math.ceil((metadata.lookahead + frames) / metadata.frames)
    known = demo_song(1.0, _SONG_RATE).stems
    if missing := [stem for stem in metadata.stems if stem not in known]:
        raise HostError(
            f"separator '{metadata.name}' was not rounded: what that costs is measured on the demo song, "
            f"which has the stems {', '.join(known)}, and no {missing[0]}"
        )
    truth = np.concatenate(
        [_spectra(metadata, calls, lambda song, stem=stem: song.stems[stem]) for stem in metadata.stems], 1
    )
    mixtures = _music(metadata, calls)
    conditions = np.broadcast_to(np.eye(len(metadata.stems), dtype=np.float32), (calls, *2 * (len(metadata.stems),)))
    scores = []
    for each in (path, parent):
        estimates = _play(Separator.load(each).runner(len(metadata.stems)), mixtures, conditions)
        error = ((_framewise(estimates) - _behind(_framewise(truth), metadata.lookahead)) ** 2).sum((0, 2, 3))
        scores.append(-10 * np.log10(np.maximum(error, 1e-20)))
    loss = float((scores[1] - scores[0]).max())
    if not loss <= LOSS:
        raise HostError(
            f"separator '{metadata.name}' was not rounded: that costs {loss:.2f} dB of SDR, allowed is {LOSS:g} dB"
        )
    return loss


def _framewise(spectra: np.ndarray) -> np.ndarray:
    """[calls, stems, parts, frames, bins] to [calls * frames, stems, parts, bins]."""
    moved = np.moveaxis(spectra, 3, 1)
    return moved.reshape(-1, *moved.shape[2:]).astype(np.float64)


def _behind(frames: np.ndarray, lookahead: int) -> np.ndarray:
    return np.concatenate([np.zeros_like(frames[:lookahead]), frames[: len(frames) - lookahead]])


def _music(metadata: Metadata, calls: int) -> np.ndarray:
    """Return mixtures [calls, 1, 2*channels, frames, bins]: the demo song from where all its stems sound.

    Music, because what a separator takes from noise or a bare chord is so little that rounding outweighs it.
    """
    return _spectra(metadata, calls, lambda song: song.mixture)


def _spectra(metadata: Metadata, calls: int, part: Callable[[Song], np.ndarray]) -> np.ndarray:
    """Return what `_music` does, of a `part` [samples, channels] of the song."""
    mode = max(metadata.modes.values(), key=lambda mode: mode.hop)
    count = calls * metadata.frames
    rate, samples = metadata.sample_rates[0], metadata.n_fft + mode.hop * (count - 1)
    begin = round(_ALL_SOUND * _SONG_RATE)
    song = part(demo_song(_ALL_SOUND + samples / rate + 1, _SONG_RATE))[begin:]
    song = soxr.resample(song, _SONG_RATE, rate)[:samples].T
    audio = song[[channel % len(song) for channel in range(metadata.channels)]]
    window = analysis_window(mode.analysis, metadata.n_fft)
    starts = range(0, count * mode.hop, mode.hop)
    spectra = np.stack([np.fft.rfft(audio[:, start : start + metadata.n_fft] * window) for start in starts])
    parts = np.stack([spectra.real, spectra.imag], 2).astype(np.float32)
    return np.moveaxis(parts.reshape(calls, metadata.frames, 1, 2 * metadata.channels, metadata.bins), 1, 3)


def _conditions(metadata: Metadata, stems: int, calls: int) -> np.ndarray:
    """Return conditions [calls, stems, width]: runs of one-hot, blended and absent ones, as a performer leaves them."""
    random = np.random.default_rng(1)
    width = len(metadata.stems)
    blend = random.uniform(0, 1, (calls, stems, width))
    one_hot = np.eye(width)[random.integers(width, size=(calls // 10 + 1, stems))].repeat(10, 0)[:calls]
    kind = random.integers(8, size=calls // 10 + 1).repeat(10)[:calls, None, None]
    return np.where(kind < 4, one_hot, np.where(kind < 7, blend, 0.0)).astype(np.float32)


def _play(runner: Runner, mixtures: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    estimates = np.empty((len(mixtures), *runner.estimate.shape), np.float32)
    for mixture, condition, estimate in zip(mixtures, conditions, estimates, strict=True):
        runner.mixture[:] = mixture
        runner.condition[:] = condition
        runner.run()
        estimate[:] = runner.estimate
    if not np.isfinite(estimates).all():
        raise HostError("the separator fails: its estimate is not finite")
    return estimates


def _difference(
    module: torch.nn.Module, mixtures: np.ndarray, conditions: np.ndarray, estimates: np.ndarray
) -> tuple[float, float]:
    """Return the largest difference of `estimates`, and of the module's own in float32, over the output's RMS.

    Both are taken from the module in float64: in float32 its own rounding can be more than the file is allowed.
    """
    exact = _computed(module, mixtures, conditions, "float64")
    rms = math.sqrt(np.mean(exact**2))
    if rms == 0:
        return (0.0 if not estimates.any() else math.inf), 0.0
    own = np.abs(_computed(module, mixtures, conditions, "float32") - exact).max() / rms
    return float(np.abs(estimates - exact).max() / rms), float(own)


def _computed(module: torch.nn.Module, mixtures: np.ndarray, conditions: np.ndarray, kind: str) -> np.ndarray:
    """Return the module's estimates, float64 [calls, stems, 2*channels, frames, bins], computed in `kind`."""
    import torch

    dtype = getattr(torch, kind)
    module = copy.deepcopy(module).eval().to(dtype)
    states = [state.to(dtype) for state in module.initial_states(conditions.shape[1])]
    ages = getattr(module, "ages", ()) or (1,) * len(states)
    waiting = [deque([state] * age) for state, age in zip(states, ages, strict=True)]
    estimates = []
    # One thread: several wait for each other at every layer, which takes many times as long where a core is busy.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for mixture, condition in zip(mixtures, conditions, strict=True):
            inputs = [torch.from_numpy(mixture).to(dtype), torch.from_numpy(condition).to(dtype)]
            if getattr(module, "takes_valid", False):
                inputs.append(torch.ones(1, dtype=dtype))
            estimate, *states = module(*inputs, *(queue.popleft() for queue in waiting))
            for queue, state in zip(waiting, states, strict=True):
                queue.append(state)
            estimates.append(estimate.double().numpy())
    torch.set_num_threads(threads)
    return np.stack(estimates)


def _check_attention(
    runner: Runner, metadata: Metadata, module: torch.nn.Module | None, conditions: np.ndarray
) -> None:
    """Raise HostError unless the attention under `conditions` [calls, stems, width] is what it says it is."""
    for condition in conditions:
        runner.condition[:] = condition
        runner.run()
        attention = runner.attention
        off = np.abs(attention.sum(-1) - 1).max()
        if not (off <= TOLERANCE and attention.min() >= 0):
            raise HostError(
                f"separator '{metadata.name}' fails: its attention must be shares of at least 0 that sum to 1 in every "
                f"layer, but a sum is off by {off:.2g}, and the least share is {attention.min():.2g}"
            )
        if module is not None:
            found = np.abs(attention - _attention(module, condition)).max()
            if not found <= TOLERANCE:
                raise HostError(
                    f"separator '{metadata.name}' fails: its attention differs from its module's by {found:.2g}, "
                    f"allowed is {TOLERANCE:g}"
                )


def _attention(module: torch.nn.Module, condition: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return copy.deepcopy(module).eval().float().attention(torch.from_numpy(condition)).numpy()


def _silence(runner: Runner, metadata: Metadata) -> float:
    """Return the highest peak, in dBFS, that a second of silence may come out with in any mode."""
    channels, frames = metadata.channels, metadata.frames
    calls = math.ceil(metadata.sample_rates[0] / max(mode.hop for mode in metadata.modes.values()) / frames)
    shape = (calls, *runner.mixture.shape)
    estimates = _play(runner, np.zeros(shape, np.float32), np.ones((calls, *runner.condition.shape), np.float32))
    parts = estimates.reshape(-1, channels, 2, frames, metadata.bins).astype(np.float64)
    signal = np.fft.irfft(parts[:, :, 0] + 1j * parts[:, :, 1], metadata.n_fft)
    peak = 0.0
    for mode in metadata.modes.values():
        window = synthesis_window(analysis_window(mode.analysis, metadata.n_fft), mode.hop, mode.synthesis)
        # Frames overlap in as many hops as the synthesis window has; at worst they add up.
        peak = max(peak, np.abs(signal[..., -mode.synthesis :] * window).max() * math.ceil(mode.synthesis / mode.hop))
    return 20 * math.log10(peak) if peak else -math.inf
