"""The engine: hops of the mixture in, hops of the mix out. No threads, no clock, no device.

Each pair of channels has a lane of its own: STFT -> separator -> inverse STFT -> overlap-add.
A hop of input ending at position e finishes the output from e - synthesis to e - synthesis + hop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from realtime.errors import HostError
from realtime.latency import Mode
from realtime.mix import Mix, Ramps, Schedule
from realtime.separator import Separator
from realtime.stft import Analysis, Synthesis
from realtime.windows import analysis_window, overlap_profile, synthesis_window

Run = Literal["single", "stems"]


def tail_weights(mode: Mode) -> np.ndarray:
    """Return how much of each sample behind the final ones overlap-add already holds, float64 [synthesis - hop]."""
    profile = overlap_profile(mode.hop, mode.synthesis)
    weights = np.zeros(mode.synthesis - mode.hop)
    for start in range(mode.hop, mode.synthesis, mode.hop):
        weights[: mode.synthesis - start] += profile[start:]
    return weights


class _Lane:
    """One separator on one pair of channels."""

    def __init__(self, separator: Separator, mode: Mode, streams: int) -> None:
        meta = separator.metadata
        window = analysis_window(mode.analysis, meta.n_fft)
        self.analysis = Analysis(window, mode.hop, meta.channels)
        self.synthesis = Synthesis(
            synthesis_window(window, mode.hop, mode.synthesis), mode.hop, meta.n_fft, streams, meta.channels
        )
        self.runner = separator.runner(streams)

    def separate(self, condition: np.ndarray) -> bool:
        """Run the network on the current frame; False if what it gave is not finite (nothing is added then)."""
        spectrum = self.analysis.transform()
        mixture, estimate = self.runner.mixture[0], self.runner.estimate
        mixture[0::2, 0], mixture[1::2, 0] = spectrum.real, spectrum.imag
        self.runner.condition[:] = condition
        self.runner.run()
        if not self.runner.finite():
            return False
        self.synthesis.spectrum.real = estimate[:, 0::2, 0]
        self.synthesis.spectrum.imag = estimate[:, 1::2, 0]
        self.synthesis.add()
        return True

    def reset(self) -> None:
        self.runner.reset()
        self.synthesis.reset()


class Engine:
    """Separates and mixes one stream of `channels` channels in one latency mode.

    In `single` the separator runs once per hop under the current condition, gains above one being
    applied to its result. In `stems` it runs for every stem and the gains mix them to the sample.

    After `process`: `master` [hop, channels] are finished samples, `tail` [synthesis - hop, channels]
    what is already known behind them (weighted by `tail_weights`), `stems` [streams, hop, channels]
    and `dry` [hop, channels] their parts. Positions count input samples.
    """

    def __init__(
        self, separator: Separator, mode: Mode, channels: int, run: Run, mix: Mix, rate: float | None = None
    ) -> None:
        meta = separator.metadata
        if meta.frames != 1 or meta.lookahead:
            raise HostError(
                f"separator '{meta.name}' takes {meta.frames} frames a call and looks {meta.lookahead} ahead; "
                "this host streams separators of one frame and no look-ahead only"
            )
        if run not in meta.runs:
            raise HostError(f"separator '{meta.name}' does not run as {run!r}; it runs as {', '.join(meta.runs)}")
        if channels < 1:
            raise HostError("a stream needs at least one channel")
        self.separator, self.mode, self.run, self.channels = separator, mode, run, channels
        self.rate = float(rate or meta.sample_rates[0])
        self.names: tuple[str, ...] = tuple(meta.stems)
        self.streams = len(self.names) if run == "stems" else 1
        width = meta.channels
        # Channel c is played by lane c // width; a lane that is not full hears its last channel in all its places.
        self._routes = [(c // width, c % width) for c in range(channels)]
        lanes = -(-channels // width)
        self._sources = [[min(lane * width + c, channels - 1) for c in range(width)] for lane in range(lanes)]
        self._lanes = [_Lane(separator, mode, self.streams) for _ in range(lanes)]
        # A last lane with one channel is averaged over its places, so that mono stays mono.
        self._spread = channels % width != 0
        self.schedule = Schedule()
        self.weights = tail_weights(mode)
        hop, rest = mode.hop, mode.synthesis - mode.hop
        self.end = 0
        self.master = np.zeros((hop, channels), np.float32)
        self.tail = np.zeros((rest, channels), np.float32)
        self.dry = np.zeros((hop, channels), np.float32)
        self.stems = np.zeros((self.streams, hop, channels), np.float32)
        self.fill_gain = 0.0
        self._stem_tails = np.zeros((self.streams, rest, channels), np.float32)
        self._dry_tail = np.zeros((rest, channels), np.float32)
        self._weights = self.weights.astype(np.float32)[:, None]
        self._sum = np.zeros((hop, channels), np.float32)
        self._part = np.zeros((hop, channels), np.float32)
        self._block = np.zeros((width, hop), np.float32)
        self._ramps = Ramps(self._values(mix), hop)
        self._condition = self._wanted_condition(mix).astype(np.float32)
        self._target = self._wanted_condition(mix)
        self._glide_left = 0
        # A condition acts on whole frames: on the first one that touches nothing before its position.
        self._next_condition: tuple[np.ndarray, int] | None = None
        self._powers = np.zeros(2)
        self._smoothing = float(np.exp(-hop / self.rate / 0.1))

    def _values(self, mix: Mix) -> np.ndarray:
        """What moves by the sample: the gain of each stream, then the remainder's, then the wet share."""
        if len(mix.gains) != len(self.names):
            raise HostError(
                f"the mix has {len(mix.gains)} gains; separator '{self.separator.metadata.name}' has the stems {', '.join(self.names)}"
            )
        gains = mix.gains if self.run == "stems" else (max(1.0, *mix.gains) if any(mix.gains) else 0.0,)
        return np.array([*gains, mix.remainder, mix.wet])

    def _wanted_condition(self, mix: Mix) -> np.ndarray:
        gains = np.array(mix.gains, np.float64)
        return np.eye(len(gains)) if self.run == "stems" else (gains / max(1.0, gains.max()))[None]

    def _aim(self, mix: Mix, offset: int) -> None:
        samples = round(mix.glide * self.rate)
        self._ramps.aim(self._values(mix), samples)
        if self.run == "single":
            self._next_condition = self._wanted_condition(mix), max(1, round(samples / self.mode.hop))
            if offset == 0:
                self._steer()

    def _steer(self) -> None:
        if self._next_condition is not None:
            self._target, self._glide_left = self._next_condition
            self._next_condition = None

    def _follow_schedule(self, start: int) -> None:
        """Apply what is due in the output block that begins at position `start`."""
        hop, at = self.mode.hop, 0
        self._steer()
        for position, mix in self.schedule.take(start + hop):
            offset = 0 if position is None else min(max(position - start, at), hop)
            self._ramps.run(at, offset)
            at = offset
            self._aim(mix, offset)
        self._ramps.run(at, hop)

    def _glide(self) -> np.ndarray:
        if self._glide_left:
            self._condition += ((self._target - self._condition) / self._glide_left).astype(np.float32)
            self._glide_left -= 1
            if not self._glide_left:
                self._condition[:] = self._target
        return self._condition

    @property
    def condition(self) -> np.ndarray:
        """The condition the last hop ran under, float32 [streams, stems]."""
        return self._condition

    @property
    def start(self) -> int:
        """The position of the first sample of `master`."""
        return self.end - self.mode.synthesis

    def push(self, block: np.ndarray) -> None:
        """Take `block` [hop, channels] without separating it: the past of the frames to come."""
        for lane, sources in zip(self._lanes, self._sources, strict=True):
            for c, source in enumerate(sources):
                self._block[c] = block[:, source]
            lane.analysis.push(self._block)
        self.end += self.mode.hop

    def process(self, block: np.ndarray) -> bool:
        """Take `block` float32 [hop, channels] and mix the hop it finishes.

        Returns False where the network gave NaN or infinity: state and overlap-add then start
        afresh, and samples before `end` are not to be played.
        """
        self.push(block)
        self._follow_schedule(self.start)
        condition = self._glide()
        good = True
        for lane in self._lanes:
            if not lane.separate(condition):
                good = False
                break
        if not good:
            self.reset()
            return False
        self._collect()
        self._mix_down()
        return True

    def _collect(self) -> None:
        hop, size = self.mode.hop, self.mode.synthesis
        for channel, (lane_index, place) in enumerate(self._routes):
            lane = self._lanes[lane_index]
            final, tail = lane.synthesis.final, lane.synthesis.tail
            if self._spread and lane_index == len(self._lanes) - 1:
                np.mean(final, axis=1, out=self.stems[:, :, channel])
                np.mean(tail, axis=1, out=self._stem_tails[:, :, channel])
            else:
                self.stems[:, :, channel] = final[:, place]
                self._stem_tails[:, :, channel] = tail[:, place]
            past = lane.analysis.last(size)[place]
            self.dry[:, channel] = past[:hop]
            self._dry_tail[:, channel] = past[hop:]

    def _mix_down(self) -> None:
        course, now = self._ramps.course, self._ramps.now
        streams = self.streams
        remains, wet = course[streams], course[streams + 1]
        self.master.fill(0)
        self._sum.fill(0)
        for stream in range(streams):
            np.multiply(self.stems[stream], course[stream][:, None], out=self._part)
            self.master += self._part
            self._sum += self.stems[stream]
        if remains.any():
            np.subtract(self.dry, self._sum, out=self._part)
            self._part *= remains[:, None]
            self.master += self._part
        self.master *= wet[:, None]
        np.multiply(self.dry, (1 - wet)[:, None], out=self._part)
        self.master += self._part

        np.einsum("s,stc->tc", now[:streams].astype(np.float32), self._stem_tails, out=self.tail)
        shaped_dry = self._dry_tail * self._weights
        if now[streams]:
            self.tail += np.float32(now[streams]) * (shaped_dry - self._stem_tails.sum(0))
        self.tail *= np.float32(now[-1])
        self.tail += np.float32(1 - now[-1]) * shaped_dry

        # A gap is filled with the dry sound at the power the mix last had.
        powers = self._powers
        powers *= self._smoothing
        powers[0] += np.vdot(self.master, self.master)
        powers[1] += np.vdot(self.dry, self.dry)
        silent = now[-1] == 1 and not now[: streams + 1].any()
        self.fill_gain = 0.0 if silent else float(min(1.0, np.sqrt(powers[0] / max(powers[1], 1e-20))))

    def warm_up(self, hops: int = 10) -> None:
        """Run the network on silence, so that the first hop of music is as quick as any; then start afresh."""
        for lane in self._lanes:
            for _ in range(hops):
                lane.analysis.transform()
                lane.separate(self._condition)
        self.reset()

    def drop(self) -> None:
        """Forget unfinished output, where hops were left out; the network keeps its state."""
        for lane in self._lanes:
            lane.synthesis.reset()

    def reset(self) -> None:
        """Start afresh: states and overlap-add, not the position."""
        for lane in self._lanes:
            lane.reset()


def full_mix(names: Sequence[str]) -> Mix:
    """Return the mix in which every stem sounds at unity and nothing moves."""
    return Mix(gains=(1.0,) * len(names))
