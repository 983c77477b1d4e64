"""The engine: steps of the mixture in, steps of the mix out. No threads, no clock, no device.

Each pair of channels has a lane of its own: STFT -> separator -> inverse STFT -> overlap-add.
A step is what one call of the separator takes: M hops of H samples. With a look-ahead of L frames and
a synthesis window of S samples, a step of input ending at position e finishes the output from
e - M H - L H - (S - H) to e - L H - (S - H).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal

import numpy as np

from realtime.collected import collect
from realtime.errors import HostError
from realtime.inserts.insert import MASTER
from realtime.inserts.rack import Delays, MasterStage, Rack, StemStage
from realtime.latency import Mode
from realtime.mix import Mix, Ramps, Schedule
from realtime.mixdown import add_up, mix_steady
from realtime.patchbay import Parts, Patchbay
from realtime.prepared import Prepared
from realtime.separator import Separator
from realtime.stft import Analysis, Synthesis
from realtime.windows import analysis_window, overlap_profile, synthesis_window

Run = Literal["single", "stems"]


def tail_weights(mode: Mode, n_fft: int | None = None) -> np.ndarray:
    """Return how much of each sample behind the final ones overlap-add already holds, float64 [synthesis - hop].

    `n_fft` None is a frame longer than the synthesis window.
    """
    window = None if n_fft is None else analysis_window(mode.analysis, n_fft)
    profile = overlap_profile(mode.hop, mode.synthesis, window)
    weights = np.zeros(mode.synthesis - mode.hop)
    for start in range(mode.hop, mode.synthesis, mode.hop):
        weights[: mode.synthesis - start] += profile[start:]
    return weights


class _Lane:
    """One separator on one pair of channels."""

    def __init__(self, separator: Separator, mode: Mode, streams: int, delay: int = 0) -> None:
        meta = separator.metadata
        window = analysis_window(mode.analysis, meta.n_fft)
        # The first frame of a call, and the dry sound of what the call finishes.
        reach = meta.n_fft + (meta.frames - 1 + meta.lookahead) * mode.hop + delay
        self.analysis = Analysis(window, meta.frames * mode.hop, meta.channels, reach)
        self.synthesis = Synthesis(
            synthesis_window(window, mode.hop, mode.synthesis), mode.hop, meta.n_fft, streams, meta.channels
        )
        self.runner = separator.runner(streams, interleave=mode.interleave)
        self._hop, self._frames = mode.hop, meta.frames
        self._finals = None
        if meta.frames > 1:
            self._finals = np.zeros((streams, meta.channels, meta.frames * mode.hop), np.float32)

    def separate(self, condition: np.ndarray, valid: bool = True) -> bool:
        """Run the network on the current frames; False if what it gave is not finite (nothing is added then)."""
        mixture, estimate = self.runner.mixture[0], self.runner.estimate
        for slot in range(self._frames):
            self.analysis.transform(mixture, slot, (self._frames - 1 - slot) * self._hop)
        self.runner.condition[:] = condition
        self.runner.valid[0] = valid
        self.runner.run()
        if not self.runner.finite():
            return False
        for slot in range(self._frames):
            self.synthesis.add(estimate, slot)
            if self._finals is not None:
                self._finals[:, :, slot * self._hop : (slot + 1) * self._hop] = self.synthesis.final
        return True

    @property
    def final(self) -> np.ndarray:
        """The samples the last call finished, always the same view [streams, channels, step]."""
        return self.synthesis.final if self._finals is None else self._finals

    def reset(self) -> None:
        self.runner.reset()
        self.synthesis.reset()


class Engine:
    """Separates and mixes one stream of `channels` channels in one latency mode.

    In `single` the separator runs once per step under the current condition, gains above one being
    applied to its result. In `stems` it runs for every stem and the gains mix them to the sample.
    A condition is for the frames that go in with it: in `single` a change is heard `lookahead` samples
    after the sample it was meant for.

    `step` samples go in at a time. After `process`: `master` [step, channels] are finished samples,
    `tail` [synthesis - hop, channels] what is already known behind them (weighted by `tail_weights`),
    `stems` [streams, step, channels] and `dry` [step, channels] their parts, `stem_tails` those of the tail. Positions count input
    samples; where the signal ends at one, `ends_at` says so, and what follows it must be silence.

    What is to leave are `out` [step, channels], `out_tail` and, for each channel, the gain `fills` of the dry sound in a
    gap: those of the master, or, with `pairs`, of as many pairs of channels, which the mix routes.

    With `prepared`, stems that were made beforehand may come in beside the mixture, as `realtime.prepared` has them; they take
    the place of the network's, which runs on, so that its state is that of the music whenever it is needed again.

    With a `rack` everything is later by its delays: `stems` and `master` are what plugins made of them, the remainder is
    still the mixture minus what was separated.
    """

    def __init__(
        self,
        separator: Separator,
        mode: Mode,
        channels: int,
        run: Run,
        mix: Mix,
        rate: float | None = None,
        pairs: int = 0,
        prepared: bool = False,
        rack: Rack | None = None,
    ) -> None:
        meta = separator.metadata
        if run not in meta.runs:
            raise HostError(f"separator '{meta.name}' does not run as {run!r}; it runs as {', '.join(meta.runs)}")
        if channels < 1:
            raise HostError("a stream needs at least one channel")
        self.separator, self.mode, self.run, self.channels = separator, mode, run, channels
        self.rate = float(rate or meta.sample_rates[0])
        self.names: tuple[str, ...] = tuple(meta.stems)
        self.streams = len(self.names) if run == "stems" else 1
        width = meta.channels
        # Each lane plays the channels that stand here; one that is not full hears its last channel in all places left.
        self._columns = [slice(first, min(first + width, channels)) for first in range(0, channels, width)]
        self.rack, self.delays = rack, Delays() if rack is None else rack.delays
        self._lanes = [_Lane(separator, mode, self.streams, self.delays.whole) for _ in self._columns]
        # What such a lane gives is averaged over its places, so that mono stays mono.
        self._full = [columns.stop - columns.start == width for columns in self._columns]
        self.schedule = Schedule()
        self.weights = tail_weights(mode, meta.n_fft)
        self.lookahead = meta.lookahead * mode.hop
        self.step = step = meta.frames * mode.hop
        rest = mode.synthesis - mode.hop
        self._prepared: Prepared | None = None
        if prepared:
            shape = len(self.names), channels, step, self.weights, self.lookahead
            self._prepared = Prepared(*shape, self.rate, run == "single")
        # Columns of the blocks that come in; those beyond the channels may be left out.
        self.inputs = channels + (0 if self._prepared is None else self._prepared.columns)
        self.end = 0
        self.ends_at: int | None = None
        self.master = np.zeros((step, channels), np.float32)
        self.tail = np.zeros((rest, channels), np.float32)
        self.dry = np.zeros((step, channels), np.float32)
        self.stems = np.zeros((self.streams, step, channels), np.float32)
        self.fill_gain = 0.0
        self.stem_tails = np.zeros((self.streams, rest, channels), np.float32)
        # Of the stems as they were separated: the same arrays, but behind inserts.
        self.separated, self._separated_tails = self.stems, self.stem_tails
        self._stem_stage: StemStage | None = None
        if self.delays.stems:
            self._stem_stage = stage = StemStage(
                self.names, rack.ports, self.delays.stems, step, self.weights, channels
            )
            self.separated, self._separated_tails = stage.separated, stage.separated_tails
        # What is mixed: the same arrays, but where a master with inserts leaves later than it is mixed.
        self._mixed, self._mixed_stems, self._mixed_dry = self.master, self.stems, self.dry
        self._mixed_separated = self.separated
        self._master_stage: MasterStage | None = None
        if self.delays.master:
            self._master_stage = MasterStage(
                rack.ports[MASTER], self.delays.master, step, self.weights, self.streams, channels
            )
            self._mixed, self._mixed_dry = np.zeros_like(self.master), np.zeros_like(self.dry)
            self._mixed_stems = np.zeros_like(self.stems)
            if self._stem_stage is None:
                self._mixed_separated = self._mixed_stems
            self.separated, self._separated_tails = np.zeros_like(self.stems), np.zeros_like(self.stem_tails)
        self._dry_tail = np.zeros((rest, channels), np.float32)
        self._weights = self.weights.astype(np.float32)[:, None]
        self._shaped_dry = np.zeros((rest, channels), np.float32)
        # Of each lane where its sound is, and where it goes to.
        self._places = [
            (lane.final, lane.synthesis.tail, self._mixed_stems[:, :, part], self.stem_tails[:, :, part], self.dry[:, part], self._dry_tail[:, part])
            for lane, part in zip(self._lanes, self._columns, strict=True)
        ]
        # The same memory, a row a stream.
        self._flat_stems = self._mixed_stems.reshape(self.streams, -1)
        self._flat_tails = self.stem_tails.reshape(self.streams, -1)
        self._flat_master, self._flat_tail = self._mixed.reshape(-1), self.tail.reshape(-1)
        self._flat_dry = self.dry.reshape(-1)
        self._sum = np.zeros((step, channels), np.float32)
        self._part = np.zeros((step, channels), np.float32)
        self._block = np.zeros((width, step), np.float32)
        self._ramps = Ramps(self._values(mix), step)
        # The same, as what leaves has it; and what is due there, by position.
        self._leaving = self._ramps if self._master_stage is None else Ramps(self._values(mix), step)
        self._later: deque[tuple[int, Mix]] = deque()
        self._condition = self._wanted_condition(mix).astype(np.float32)
        self._target = self._wanted_condition(mix)
        self._glide_left = 0
        # A condition acts on whole calls: on the first one whose frames touch nothing before its position.
        self._next_condition: tuple[np.ndarray, int] | None = None
        self._powers = 0.0, 0.0
        self._whole_from = -math.inf
        self._smoothing = float(np.exp(-step / self.rate / 0.1))
        self.out, self.out_tail, self.fills = self.master, self.tail, np.zeros(channels)
        self._patchbay: Patchbay | None = None
        if pairs:
            parts = Parts(
                self.master, self.dry, self.stems, self.tail, self._shaped_dry, self.stem_tails, run == "stems",
                self.separated, self._separated_tails,
            )
            self._patchbay = patchbay = Patchbay(pairs, self.names, parts, mode.hop, mix.routes)
            self.out, self.out_tail, self.fills = patchbay.block, patchbay.tail, patchbay.fills

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
        if self._leaving is self._ramps and self._patchbay is not None:
            self._patchbay.aim(mix.routes, samples)
        if self.run == "single":
            self._next_condition = self._wanted_condition(mix), max(1, round(samples / self.step))
            if offset == 0:
                self._steer()

    def _steer(self) -> None:
        if self._next_condition is not None:
            self._target, self._glide_left = self._next_condition
            self._next_condition = None

    def _follow_schedule(self, start: int) -> None:
        """Apply what is due in the output block that begins at position `start`."""
        step, at = self.step, 0
        self._steer()
        for position, mix in self.schedule.take(start + step):
            offset = 0 if position is None else min(max(position - start, at), step)
            self._pass(at, offset)
            at = offset
            self._aim(mix, offset)
            if self._leaving is not self._ramps:
                self._later.append((start + offset, mix))
        self._pass(at, step)
        if self._leaving is not self._ramps:
            self._follow_later(start - self.delays.master)

    def _follow_later(self, start: int) -> None:
        """Apply what is due in what leaves at position `start`."""
        at = 0
        while self._later and self._later[0][0] < start + self.step:
            position, mix = self._later.popleft()
            offset = max(position - start, at)
            self._pass_leaving(at, offset)
            at, samples = offset, round(mix.glide * self.rate)
            self._leaving.aim(self._values(mix), samples)
            if self._patchbay is not None:
                self._patchbay.aim(mix.routes, samples)
        self._pass_leaving(at, self.step)

    def _pass(self, start: int, end: int) -> None:
        if self._leaving is self._ramps:
            self._pass_leaving(start, end)
        else:
            self._ramps.run(start, end)

    def _pass_leaving(self, start: int, end: int) -> None:
        self._leaving.run(start, end)
        if self._patchbay is not None:
            self._patchbay.run(start, end)

    def _glide(self) -> np.ndarray:
        if self._glide_left:
            self._condition += ((self._target - self._condition) / self._glide_left).astype(np.float32)
            self._glide_left -= 1
            if not self._glide_left:
                self._condition[:] = self._target
        return self._condition

    @property
    def condition(self) -> np.ndarray:
        """The condition the last call ran under, float32 [streams, stems]."""
        return self._condition

    @property
    def providers(self) -> tuple[str, ...]:
        """What computes the network: ONNX Runtime's execution providers, the first one where it can."""
        return self._lanes[0].runner.providers

    @property
    def attention(self) -> np.ndarray | None:
        """The attention under that condition, float32 [streams, layers, latents]; None where the separator tells none."""
        return self._lanes[0].runner.attention

    @property
    def start(self) -> int:
        """The position of the first sample of `master`."""
        return self._separated_start - self.delays.whole

    @property
    def _separated_start(self) -> int:
        """The position of the first sample that the last call of the separator finished."""
        return self.end - self.step - self.lookahead - (self.mode.synthesis - self.mode.hop)

    def _holds_signal(self) -> bool:
        """Return whether the first frame of the call holds any of the signal, whose last call silence fills."""
        first = self.end - self.step + self.mode.hop - self.separator.metadata.n_fft
        return self.ends_at is None or first < self.ends_at

    def push(self, block: np.ndarray) -> None:
        """Take `block` [step, channels or inputs] without separating it: the past of the frames to come."""
        for lane, columns, full in zip(self._lanes, self._columns, self._full, strict=True):
            part = block[:, columns].T
            if not full:
                self._block[: len(part)], self._block[len(part) :] = part, part[-1]
                part = self._block
            lane.analysis.push(part)
        if self._prepared is not None:
            self._prepared.push(block[:, self.channels :])
        self.end += self.step

    def process(self, block: np.ndarray) -> bool:
        """Take `block` float32 [step, channels or inputs] and mix the step it finishes.

        Returns False where the network gave NaN or infinity: state and overlap-add then start
        afresh, and samples before `end` are not to be played.
        """
        self.push(block)
        self._follow_schedule(self._separated_start - self.delays.stems)
        condition, valid = self._glide(), self._holds_signal()
        good = True
        for lane in self._lanes:
            if not lane.separate(condition, valid):
                good = False
                break
        if not good:
            self.reset()
            self._leave_out()
            return False
        self._collect()
        self._mix_down()
        return True

    def _collect(self) -> None:
        self._gather()
        if self._prepared is not None:
            self._prepared.over(self._mixed_stems, self.stem_tails, self._condition)
        if self._stem_stage is not None:
            self._stem_stage.run(self._separated_start, self._mixed_stems, self.stem_tails)

    def _gather(self) -> None:
        for lane, columns, full, (final, tail, *places) in zip(
            self._lanes, self._columns, self._full, self._places, strict=True
        ):
            collect(final, tail, self._past(lane, self.delays.whole), *places)
            count, (sound, tails, _, _) = columns.stop - columns.start, places
            if not full:
                for channel in range(count):
                    np.mean(final, axis=1, out=sound[:, :, channel])
                    np.mean(tail, axis=1, out=tails[:, :, channel])
            if self._master_stage is not None:
                self._mixed_dry[:, columns] = self._past(lane, self.delays.stems)[:count, : self.step].T

    def _past(self, lane: _Lane, delay: int) -> np.ndarray:
        return lane.analysis.last(self.step + len(self.tail), self.lookahead + delay)

    def _leave_out(self) -> None:
        """Let plugins, and what waits for them, have silence for a step that there is nothing of."""
        if self.rack is None:
            return
        self._mixed_stems.fill(0)
        if self._stem_stage is not None:
            self._stem_stage.run(self._separated_start, self._mixed_stems, self.stem_tails)
        if self._master_stage is not None:
            self._mixed.fill(0)
            self._let_master_wait()

    def _let_master_wait(self) -> None:
        self._master_stage.run(
            self._separated_start - self.delays.stems,
            (self._mixed, self._mixed_stems, self._mixed_separated),
            (self.master, self.stems, self.separated),
            (self.tail, self.stem_tails, self._separated_tails),
        )

    def _mix_down(self) -> None:
        now, streams = self._ramps.now, self.streams
        gains = now[: streams + 2].astype(np.float32)
        # Nothing but streams, and none of their gains moves.
        plain = self._ramps.steady and self._master_stage is None and not gains[streams] and gains[-1] == 1
        if not plain or self._patchbay is not None or self.rack is not None:
            np.multiply(self._dry_tail, self._weights, out=self._shaped_dry)
        if plain:
            powers = self._mix_plain(gains)
        else:
            self._mix_all(gains)
            powers = tuple(float(np.vdot(sound, sound)) for sound in (self.master, self.dry))
        self._follow_power(*powers)
        self._route()

    def _mix_plain(self, gains: np.ndarray) -> tuple[float, float]:
        return mix_steady(gains, self._flat_stems, self._flat_tails, self._flat_dry, self._flat_master, self._flat_tail)

    def _mix_all(self, gains: np.ndarray) -> None:
        course, streams, steady = self._ramps.course, self.streams, self._ramps.steady
        mixed, dry = self._mixed, self._mixed_dry
        if steady:
            add_up(gains, self._flat_stems, self._flat_master)
        else:
            mixed.fill(0)
            for stream in range(streams):
                np.multiply(self._mixed_stems[stream], course[stream][:, None], out=self._part)
                mixed += self._part
        remains, wet = course[streams], course[streams + 1]
        if gains[streams] if steady else remains.any():
            np.sum(self._mixed_separated, axis=0, out=self._sum)
            np.subtract(dry, self._sum, out=self._part)
            self._part *= remains[:, None]
            mixed += self._part
        if not steady or gains[-1] != 1:
            mixed *= wet[:, None]
            np.multiply(dry, (1 - wet)[:, None], out=self._part)
            mixed += self._part
        if self._master_stage is None:
            self._mix_tails()
        else:
            self._let_master_wait()

    def _follow_power(self, power: float, dry_power: float) -> None:
        """Follow the power the mix has, with which dry sound fills a gap."""
        # Of what comes first after a gap a part is missing.
        if self.start >= self._whole_from:
            before = self._powers
            self._powers = self._smoothing * before[0] + power, self._smoothing * before[1] + dry_power
        power, dry_power = self._powers
        *sounding, wetness = self._leaving.now.tolist()
        silent = wetness == 1 and not any(sounding)
        self.fill_gain = 0.0 if silent else min(1.0, math.sqrt(power / max(dry_power, 1e-20)))

    def _mix_tails(self) -> None:
        now, streams, shaped_dry = self._ramps.now, self.streams, self._shaped_dry
        gains = now[: streams + 2].astype(np.float32)
        add_up(gains, self._flat_tails, self._flat_tail)
        if gains[streams]:
            self.tail += gains[streams] * (shaped_dry - self._separated_tails.sum(0))
        if gains[-1] != 1:
            self.tail *= gains[-1]
            self.tail += (1 - gains[-1]) * shaped_dry

    def _route(self) -> None:
        if self._patchbay is None:
            self.fills.fill(self.fill_gain)
        else:
            leaving = self._leaving
            self._patchbay.render(leaving.course, leaving.now, leaving.steady, self.fill_gain)

    def settle(self) -> bool:
        """Have the tails behind the last step as plugins have made them by now; return whether they have all of them."""
        done = True
        if self._master_stage is not None:
            done = self._master_stage.settle(self.start, self.tail)
        elif self._stem_stage is not None:
            done = self._stem_stage.settle(self.start, self.stem_tails)
            self._mix_tails()
        if self.rack is not None:
            self._route()
        return done

    def warm_up(self, hops: int = 10) -> None:
        """Run the network on silence, so that the first hop of music is as quick as any; then start afresh."""
        for lane in self._lanes:
            for _ in range(max(2, hops * self.mode.hop // self.step)):
                lane.separate(self._condition)
        self.reset()
        # Nothing is compiled any more, or read from where it is kept, while sound runs.
        self._gather()
        self._mix_plain(np.zeros(self.streams + 2, np.float32))

    def follow(self, other: Engine) -> None:
        """Take over where the gains of `other` are on their way, and under which condition it ran.

        Of another run or other stems nothing can be taken over; gains and condition then stand where they are wanted.
        """
        self._powers = other._powers
        if self._patchbay is not None and other._patchbay is not None:
            self._patchbay.follow(other._patchbay)
        if (self.run, self.names) == (other.run, other.names):
            self._ramps.follow(other._ramps)
            if self._leaving is not self._ramps:
                self._leaving.follow(other._ramps)
                self._later.clear()
            self._condition[:], self._target[:] = other._condition, other._target
            self._glide_left = round(other._glide_left * other.step / self.step)

    def drop(self) -> None:
        """Forget unfinished output, where steps were left out; the network keeps its state.

        What it still holds of the look-ahead comes out in a wrong place, but all before `end`.
        """
        for lane in self._lanes:
            lane.synthesis.reset()
        self._lose()
        self._leave_out()

    def reset(self) -> None:
        """Start afresh: states and overlap-add, not the position."""
        for lane in self._lanes:
            lane.reset()
        self._lose()

    def _lose(self) -> None:
        # Before the first step there was nothing to be missing.
        if self.end:
            self._whole_from = self.end


def full_mix(names: Sequence[str]) -> Mix:
    """Return the mix in which every stem sounds at unity and nothing moves."""
    return Mix(gains=(1.0,) * len(names))
