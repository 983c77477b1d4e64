"""What comes out of the engine is what an offline STFT of the whole signal gives, mixed on the sample."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from playing import delayed, noise, open_stream, play, reference, residual_db

from realtime.atomics import njit
from realtime.collected import collect
from realtime.engine import Engine, full_mix, tail_weights
from realtime.errors import HostError
from realtime.fft import transforms
from realtime.finite import all_finite
from realtime.latency import MODE_NAMES
from realtime.mix import Mix, Schedule
from realtime.mixdown import mix_steady
from realtime.separator import Separator
from realtime.windows import analysis_window, overlap_profile, synthesis_window

BLOCKS = (32, 37, 64, 100, 128, 441, 512, 1000, 1024, 4096)
GAINS = (0.7, 0.2, 1.5, 0.0)
LENGTH = 8000
SPECTRUM_RUNS = [("identity", "single"), ("identity", "stems"), ("four_stems", "single"), ("four_stems", "stems")]


def sizes_varying(seed: int, largest: int):
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(32, largest + 1))


@lru_cache(maxsize=4)
def offline(path, name: str, run: str) -> tuple[Separator, np.ndarray, np.ndarray]:
    """Return the separator, its input and what offline computation makes of it, mixed under GAINS."""
    separator = Separator.load(path)
    mode, audio = separator.metadata.modes[name], noise(LENGTH)
    gains = np.array(GAINS[: len(separator.metadata.stems)])
    if run == "stems":
        streams = reference(separator, mode, audio, np.eye(len(gains)))
        return separator, audio, np.einsum("s,stc->tc", gains, streams)
    # In single the condition ends at one; the level above is applied to the result.
    level = max(1.0, gains.max())
    return separator, audio, level * reference(separator, mode, audio, (gains / level)[None])[0]


def mix_of(separator: Separator, **changed) -> Mix:
    return Mix(GAINS[: len(separator.metadata.stems)], **changed)


# Streaming is offline, later.


@pytest.mark.parametrize("name", MODE_NAMES)
@pytest.mark.parametrize(("fixture", "run"), SPECTRUM_RUNS)
def test_streaming_equals_offline_for_every_block_size(request, fixture, run, name):
    separator, audio, wanted = offline(request.getfixturevalue(fixture), name, run)
    mode = separator.metadata.modes[name]
    for block in (*BLOCKS, None):
        stream = open_stream(separator, mode, mix_of(separator), run, block, reserve=block or 1500)
        heard = play(stream, audio, block or sizes_varying(1, 1500))
        latency = stream.latency.added
        assert not heard[:latency].any()
        assert residual_db(heard[latency:], wanted[: len(heard) - latency]) < -100, block
        assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)


@pytest.mark.parametrize("block", [441, None])
def test_a_reset_engine_replays_to_the_bit(four_stems, block):
    separator = Separator.load(four_stems)
    mode = separator.metadata.modes["lower"]
    engine = Engine(separator, mode, 2, "stems", mix_of(separator))
    hops = noise(40 * mode.hop).reshape(40, mode.hop, 2)
    silence = np.zeros((-(-separator.metadata.n_fft // mode.hop) * mode.hop // mode.hop, mode.hop, 2), np.float32)
    takes = []
    for _ in range(2):
        takes.append([engine.process(hop) and engine.master.copy() for hop in hops])
        for hop in silence:
            engine.push(hop)
        engine.reset()
    assert np.array_equal(*takes)


def test_warming_up_leaves_no_trace(four_stems):
    separator = Separator.load(four_stems)
    mode, audio = separator.metadata.modes["low"], noise(8000)
    fresh, warm = (open_stream(separator, mode, mix_of(separator)) for _ in range(2))
    warm.engine.warm_up()
    assert np.array_equal(play(fresh, audio, 128), play(warm, audio, 128))


@pytest.mark.skipif(njit is None, reason="numba is not installed")
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("run", ["single", "stems"])
def test_nothing_is_compiled_while_sound_runs(four_stems, run, channels):
    separator = Separator.load(four_stems)
    transform = transforms(separator.metadata.n_fft)
    used = (collect, mix_steady, all_finite, transform.forward, transform.inverse)
    for name in MODE_NAMES:
        mix = mix_of(separator)
        engine = Engine(separator, separator.metadata.modes[name], channels, run, mix)
        engine.warm_up()
        known = [len(function.signatures) for function in used]
        for step in range(3):
            engine.process(noise(engine.step, channels, seed=step))
        assert [len(function.signatures) for function in used] == known


@pytest.mark.parametrize(("n_fft", "hop", "synthesis", "kind"), [
    (2048, 512, 1024, "hann"), (2048, 512, 640, "asymmetric-128"), (1024, 128, 512, "asymmetric-128"), (512, 64, 65, "asymmetric-64"),
])  # fmt: skip
def test_windows_sum_to_one_at_every_position(n_fft, hop, synthesis, kind):
    analysis = analysis_window(kind, n_fft)
    product = analysis[-synthesis:] * synthesis_window(analysis, hop, synthesis)
    total = np.zeros(20 * hop + synthesis)
    for start in range(0, 20 * hop + 1, hop):
        total[start : start + synthesis] += product
    assert np.abs(total[synthesis : 20 * hop] - 1).max() < 1e-5


@pytest.mark.parametrize("name", MODE_NAMES)
def test_tail_weights_are_the_share_of_later_frames_left_out(four_stems, name):
    mode = Separator.load(four_stems).metadata.modes[name]
    profile = overlap_profile(mode.hop, mode.synthesis)
    held = np.zeros(mode.synthesis)
    # Frames that have been added end at 0, hop, 2 hop, ... before the newest one's end.
    for back in range(0, mode.synthesis, mode.hop):
        held[: mode.synthesis - back] += profile[back:]
    assert np.allclose(tail_weights(mode), held[mode.hop :], atol=1e-12)
    assert np.all(np.diff(tail_weights(mode)) <= 1e-9)


# Parts and the whole.


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("run", ["single", "stems"])
def test_stems_and_remainder_sum_to_the_mixture(four_stems, run, channels):
    separator = Separator.load(four_stems)
    audio = noise(8000, channels)
    stream = open_stream(
        separator, separator.metadata.modes["low"], Mix((1.0,) * 4, remainder=1.0), run, channels=channels
    )
    heard = play(stream, audio, 128)
    assert np.abs(heard - delayed(audio, stream.latency.added)).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_channels_are_separated_in_pairs_and_a_last_odd_one_as_mono(four_stems, channels):
    separator = Separator.load(four_stems)
    mode, audio = separator.metadata.modes["lower"], noise(6000, channels)
    stream = open_stream(separator, mode, mix_of(separator), channels=channels)
    heard = play(stream, audio, 128)[stream.latency.added :]
    for first in range(0, channels, 2):
        pair = audio[:, [first, min(first + 1, channels - 1)]]
        wanted = np.einsum("s,stc->tc", GAINS, reference(separator, mode, pair, np.eye(4)))[: len(heard)]
        if first + 1 == channels:
            wanted = wanted.mean(axis=1, keepdims=True)
        assert residual_db(heard[:, first : first + 2], wanted) < -100


def test_a_mono_input_is_heard_on_both_outputs(identity):
    separator = Separator.load(identity)
    audio = noise(6000, 1)
    stream = open_stream(separator, separator.metadata.modes["low"], full_mix(("all",)), channels=(1, 2))
    heard = play(stream, audio, 128)
    assert residual_db(heard, np.repeat(delayed(audio, stream.latency.added), 2, 1)) < -100


@pytest.mark.parametrize("run", ["single", "stems"])
def test_bypass_is_the_input_to_the_bit(four_stems, run):
    separator = Separator.load(four_stems)
    audio = noise(8000)
    for name, mode in separator.metadata.modes.items():
        stream = open_stream(separator, mode, mix_of(separator, wet=0.0), run)
        assert np.array_equal(play(stream, audio, 128), delayed(audio, stream.latency.added)), name


def test_all_muted_is_silence(four_stems):
    separator = Separator.load(four_stems)
    for run in ("single", "stems"):
        stream = open_stream(separator, separator.metadata.modes["low"], Mix((0.0,) * 4), run)
        assert not play(stream, noise(8000), 128).any()


# Gains land on their sample.


@pytest.mark.parametrize("at", [5000, 5001, 5119, 5120, 7777])
@pytest.mark.parametrize("name", ["low", "lower"])
def test_a_gain_lands_on_its_sample(four_stems, name, at):
    separator = Separator.load(four_stems)
    mode, audio = separator.metadata.modes[name], noise(12000)
    before, after = np.array([1.0, 0.5, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.25])
    stream = open_stream(separator, mode, Mix(tuple(before)))
    stream.submit(Mix(tuple(after), glide=0.0), at)
    heard = play(stream, audio, 128)[stream.latency.added :]
    streams = reference(separator, mode, audio, np.eye(4))
    gains = np.where(np.arange(len(audio))[:, None] < at, before, after)
    assert residual_db(heard, np.einsum("ts,stc->tc", gains, streams)[: len(heard)]) < -100


@pytest.mark.parametrize("at", [4000, 4096, 4163])
def test_gains_remainder_and_wet_glide_in_straight_lines_from_their_sample(four_stems, at):
    separator = Separator.load(four_stems)
    mode, audio = separator.metadata.modes["low"], noise(12000)
    old, new = Mix((1.0, 0.0, 1.0, 0.5), 0.5, 0.2), Mix((0.0, 1.0, 1.0, 0.0), 1.0, 1.0, glide=0.03)
    stream = open_stream(separator, mode, old)
    stream.submit(new, at)
    heard = play(stream, audio, 128)[stream.latency.added :]
    way = np.clip((np.arange(len(audio)) - at + 1) / round(0.03 * 44100), 0, 1)[:, None]
    course = (1 - way) * np.array([*old.gains, old.wet, old.remainder]) + way * np.array(
        [*new.gains, new.wet, new.remainder]
    )
    streams = reference(separator, mode, audio, np.eye(4))
    wet = np.einsum("ts,stc->tc", course[:, :4], streams) + course[:, 5:] * (audio - streams.sum(0))
    wanted = course[:, 4:5] * wet + (1 - course[:, 4:5]) * audio
    assert residual_db(heard, wanted[: len(heard)]) < -100


@pytest.mark.parametrize("run", ["single", "stems"])
def test_a_mute_makes_no_step(identity, run):
    separator = Separator.load(identity)
    stream = open_stream(separator, separator.metadata.modes["low"], Mix((1.0,)), run)
    constant = np.full((16000, 2), 0.5, np.float32)
    stream.submit(Mix((0.0,), glide=0.03), 9001)
    heard = play(stream, constant, 128)[stream.latency.added + 3000 :]
    # Over 30 ms half of full scale may fall by this much a sample; in single condition and level both fall.
    bound = 0.5 / (0.03 * 44100) * (1.01 if run == "stems" else 3)
    assert np.abs(np.diff(heard, axis=0)).max() <= bound
    assert heard[0, 0] == pytest.approx(0.5, abs=1e-4)
    assert not heard[-100:].any()


@pytest.mark.parametrize("at", [5000, 5001, 5120, 5247])
def test_in_single_a_condition_begins_with_the_first_frame_that_touches_nothing_before_its_time(four_stems, at):
    separator = Separator.load(four_stems)
    before, after = np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 1.0, 0.0]])
    audio = noise(10000)
    for mode in separator.metadata.modes.values():
        stream = open_stream(separator, mode, Mix(tuple(before[0])), "single")
        stream.submit(Mix(tuple(after[0]), glide=0.0), at)
        heard = play(stream, audio, 128)[stream.latency.added :]
        # Frame k is heard from (k + 1) hop - synthesis on.
        starts = (np.arange(len(audio) // mode.hop + 20) + 1) * mode.hop - mode.synthesis
        first = starts[np.searchsorted(starts, at)]
        assert at <= first < at + mode.hop
        conditions = np.where((starts < at)[:, None, None], before, after)
        wanted = reference(separator, mode, audio, conditions)[0]
        assert residual_db(heard, wanted[: len(heard)]) < -100


def test_in_single_the_condition_glides_over_hops(four_stems):
    separator = Separator.load(four_stems)
    mode = separator.metadata.modes["extreme"]
    engine = Engine(separator, mode, 2, "single", Mix((1.0, 0.0, 0.0, 0.0)))
    engine.process(noise(mode.hop))
    engine.schedule.submit(Mix((0.0, 0.0, 1.0, 0.0), glide=10 * mode.hop / 44100))
    course = []
    for _ in range(12):
        engine.process(noise(mode.hop))
        course.append(engine.condition[0].copy())
    way = np.clip(np.arange(1, 13) / 10, 0, 1)[:, None]
    assert np.allclose(course, (1 - way) * [1, 0, 0, 0] + way * [0, 0, 1, 0], atol=1e-6)


def test_changes_in_one_hop_all_land_on_their_samples(identity):
    separator = Separator.load(identity)
    audio = noise(8000)
    stream = open_stream(separator, separator.metadata.modes["safe"], Mix((1.0,)))
    steps = {4100: 0.5, 4101: 0.0, 4107: 1.5, 4500: 0.25}
    for at, gain in steps.items():
        stream.submit(Mix((gain,), glide=0.0), at)
    heard = play(stream, audio, 128)[stream.latency.added :]
    gains = np.ones(len(audio))
    for at, gain in steps.items():
        gains[at:] = gain
    assert residual_db(heard, (gains[:, None] * audio)[: len(heard)]) < -100


# What waits.


def test_a_mix_takes_the_place_of_what_waits_for_later():
    schedule = Schedule()
    mixes = [Mix((float(index),)) for index in range(6)]
    schedule.submit(mixes[0], 100)
    schedule.submit(mixes[1], 200)
    schedule.submit(mixes[2], 300)
    schedule.submit(mixes[3], 200)
    assert schedule.take(1000) == ((100, mixes[0]), (200, mixes[3]))
    schedule.submit(mixes[4], 100)
    schedule.submit(mixes[5], None)
    assert schedule.take(0) == ((None, mixes[5]),)


def test_a_position_gone_by_is_at_once_and_those_to_come_wait():
    schedule = Schedule()
    first, second, third = (Mix((float(index),)) for index in range(3))
    schedule.submit(first, None)
    schedule.submit(second, 50)
    schedule.submit(third, 151)
    assert schedule.take(151) == ((None, first), (50, second))
    assert schedule.take(151) == ()
    assert schedule.take(152) == ((151, third),)


def test_a_mix_for_now_cancels_those_that_wait(identity):
    separator = Separator.load(identity)
    audio = noise(8000)
    stream = open_stream(separator, separator.metadata.modes["low"], Mix((1.0,)))
    stream.submit(Mix((0.0,), glide=0.0), 4000)
    stream.submit(Mix((0.5,), glide=0.0), None)
    heard = play(stream, audio, 128)[stream.latency.added :]
    assert residual_db(heard[600:], 0.5 * audio[600 : len(heard)]) < -100


# What is refused.


def test_mixes_runs_and_channels_that_do_not_fit_are_refused_in_a_sentence(four_stems):
    separator = Separator.load(four_stems)
    mode = separator.metadata.modes["low"]
    with pytest.raises(HostError, match="2 gains; separator 'four' has the stems vocals, drums, bass, other"):
        Engine(separator, mode, 2, "stems", Mix((1.0, 1.0)))
    with pytest.raises(HostError, match="does not run as 'both'"):
        Engine(separator, mode, 2, "both", Mix((1.0,) * 4))
    with pytest.raises(HostError, match="at least one channel"):
        Engine(separator, mode, 0, "stems", Mix((1.0,) * 4))
