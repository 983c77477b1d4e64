"""Output pairs: what is on each, aligned to the sample through everything that may happen, and what a gap sounds like."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from hearing import brightness
from playing import noise, open_stream, play, reference, residual_db

from realtime.engine import Engine, tail_weights
from realtime.mix import Mix
from realtime.outputs import routes_for
from realtime.separator import Runner, Separator
from realtime.successor import successor

BLOCK = 128
STEMS = ("vocals", "drums", "bass", "other")
ALL = ("master", *STEMS, "remainder", "dry")
GAINS = (0.5, 1.0, 0.0, 1.4)


def routed(outputs, gains=GAINS, cued=(), levels=(), **rest) -> Mix:
    return Mix(gains, routes=routes_for(STEMS, outputs, levels, cued), **rest)


def pair(sound: np.ndarray, number: int) -> np.ndarray:
    return sound[:, 2 * number : 2 * number + 2]


def step_by_step(engine: Engine, audio: np.ndarray, changes: dict[int, Mix] | None = None):
    """Yield the engine after each step; `changes` are scheduled for positions of the output."""
    for at, mix in (changes or {}).items():
        engine.schedule.submit(mix, at)
    for start in range(0, len(audio) - engine.step + 1, engine.step):
        assert engine.process(audio[start : start + engine.step])
        yield engine


def engine_for(path, mix: Mix, run="stems", mode="low") -> Engine:
    separator = Separator.load(path)
    return Engine(separator, separator.metadata.modes[mode], 2, run, mix, pairs=len(mix.routes))


# In the engine.


def test_each_pair_has_what_the_engine_has(four_stems):
    outputs = (*ALL, *(f"{stem}:pre" for stem in STEMS), "none", "cue")
    engine = engine_for(four_stems, routed(outputs, remainder=0.7))
    for _ in step_by_step(engine, noise(6000)):
        for index, gain in enumerate(GAINS):
            np.testing.assert_allclose(pair(engine.out, 1 + index), gain * engine.stems[index], atol=1e-7)
            assert np.array_equal(pair(engine.out, 7 + index), engine.stems[index])
        for number, sound in ((0, engine.master), (6, engine.dry), (11, 0 * engine.dry), (12, engine.master)):
            assert np.array_equal(pair(engine.out, number), sound)
        rest = engine.dry - engine.stems.sum(axis=0)
        np.testing.assert_allclose(pair(engine.out, 5), 0.7 * rest, atol=1e-6)


@pytest.mark.parametrize("wet", [1.0, 0.3, 0.0])
def test_the_stems_and_the_remainder_sum_to_the_master_while_everything_moves(four_stems, wet):
    engine = engine_for(four_stems, routed(ALL, remainder=0.4))
    later = routed(ALL, gains=(0.1, 0.0, 1.0, 0.6), remainder=1.2, wet=wet, glide=0.02)
    for _ in step_by_step(engine, noise(8000), {3001: later}):
        for whole, (out, master) in enumerate(((engine.out, engine.master), (engine.out_tail, engine.tail))):
            total = sum(pair(out, number) for number in range(1, 6))
            # The tail knows only where the gains end.
            np.testing.assert_allclose(total, master, atol=1e-6, err_msg=str(whole))


def test_a_pair_is_the_same_whatever_is_on_the_others(four_stems):
    audio = noise(6000)
    alone = [e.out.copy() for e in step_by_step(engine_for(four_stems, routed(("bass:pre",))), audio)]
    among = [e.out.copy() for e in step_by_step(engine_for(four_stems, routed((*ALL, "bass:pre"))), audio)]
    assert np.array_equal(np.concatenate(alone), np.concatenate(among)[:, 14:])


def test_the_cue_is_the_sum_of_what_is_cued_before_the_faders(four_stems):
    engine = engine_for(four_stems, routed(("master", "cue"), (0.0,) * 4, cued=("drums", "bass")))
    for _ in step_by_step(engine, noise(4000)):
        assert not engine.master.any()
        np.testing.assert_allclose(pair(engine.out, 1), engine.stems[1] + engine.stems[2], atol=1e-7)
    assert engine.stems.any()


def test_a_routing_changes_over_a_hop_at_least_from_its_sample_on(four_stems):
    audio, before, after = noise(8000), ("vocals:pre", "dry"), ("drums:pre", "none")
    mix, at = routed(before, glide=0.0), 3001
    engine, parts, wanted = engine_for(four_stems, mix), [], []
    for _ in step_by_step(engine, audio, {at: routed(after, glide=0.0)}):
        parts.append(engine.out.copy())
        wanted.append([engine.stems[0].copy(), engine.stems[1].copy(), engine.dry.copy()])
    out, (first, second, dry) = np.concatenate(parts), (np.concatenate(each) for each in zip(*wanted, strict=True))
    begun = engine.end - len(out) - (engine.mode.synthesis - engine.mode.hop)
    way = np.clip((np.arange(len(out)) + begun - at + 1) / engine.mode.hop, 0, 1)[:, None]
    np.testing.assert_allclose(pair(out, 0), (1 - way) * first + way * second, atol=1e-6)
    np.testing.assert_allclose(pair(out, 1), (1 - way) * dry, atol=1e-6)


def test_a_routing_holds_though_its_step_gave_no_numbers(four_stems, monkeypatch):
    engine = engine_for(four_stems, routed(("vocals:pre",)))
    audio, step = noise(40 * engine.step), engine.step
    for number in range(40):
        if number == 20:
            engine.schedule.submit(routed(("drums:pre",), glide=0.0), None)
        with monkeypatch.context() as patch:
            patch.setattr(Runner, "finite", lambda runner, number=number: number != 20)
            assert engine.process(audio[number * step : (number + 1) * step]) == (number != 20)
        if number != 20:
            assert np.array_equal(engine.out, engine.stems[int(number > 20)])


def test_the_level_of_a_pair_glides_and_is_its_own(four_stems):
    outputs = ("master", "master")
    engine = engine_for(four_stems, routed(outputs))
    parts = []
    for _ in step_by_step(engine, noise(9000), {2000: routed(outputs, levels=(1.0, 0.25))}):
        assert np.array_equal(pair(engine.out, 0), engine.master)
        parts.append(np.vdot(pair(engine.out, 1), engine.master) / max(1e-9, np.vdot(engine.master, engine.master)))
    assert parts[-1] == pytest.approx(0.25, abs=1e-6)
    assert (np.diff(parts[3:]) < 1e-6).all()


def test_in_single_stems_are_silent_and_the_remainder_is_what_was_not_taken(four_stems):
    engine = engine_for(four_stems, routed(("master", "vocals", "vocals:pre", "remainder:pre", "dry")), run="single")
    for _ in step_by_step(engine, noise(4000)):
        assert not engine.out[:, 2:6].any()
        np.testing.assert_allclose(pair(engine.out, 3), engine.dry - engine.stems[0], atol=1e-7)
    assert engine.master.any()


def test_a_mix_without_routes_leaves_them_as_they_are(four_stems):
    engine = engine_for(four_stems, routed(("drums:pre",)))
    for _ in step_by_step(engine, noise(4000), {1000: Mix((1.0,) * 4)}):
        assert np.array_equal(engine.out, engine.stems[1])


def test_the_master_is_the_same_with_pairs_and_without(four_stems):
    audio, mix = noise(6000), routed(("master",), remainder=0.5, wet=0.8)
    separator = Separator.load(four_stems)
    plain = Engine(separator, separator.metadata.modes["low"], 2, "stems", replace(mix, routes=()))
    for with_pairs, without in zip(
        step_by_step(engine_for(four_stems, mix), audio), step_by_step(plain, audio), strict=True
    ):
        assert np.array_equal(with_pairs.out, without.out)
        assert np.array_equal(with_pairs.out_tail, without.out_tail)
        assert np.array_equal(with_pairs.fills, without.fills)


# In a stream.


def stream_for(path, mix: Mix, mode="low", run="stems", **options):
    separator = Separator.load(path)
    stream = open_stream(separator, separator.metadata.modes[mode], mix, run, pairs=len(mix.routes), **options)
    return stream, separator, separator.metadata.modes[mode]


@pytest.mark.parametrize("mode", ["safe", "low", "extreme"])
@pytest.mark.parametrize("sizes", [BLOCK, (100, 37, 411, 64)])
def test_each_stem_is_on_its_pair_to_the_sample(four_stems, mode, sizes):
    audio, mix = noise(12000), routed(ALL)
    varying = not isinstance(sizes, int)
    options = {"block": None, "reserve": 411} if varying else {"block": sizes}
    stream, separator, run_mode = stream_for(four_stems, mix, mode, **options)
    heard = play(stream, audio, cycle(sizes) if varying else sizes)[stream.latency.added :]
    stems = reference(separator, run_mode, audio, np.eye(4))[:, : len(heard)]
    assert stream.misses == 0
    for index, gain in enumerate(GAINS):
        assert np.abs(pair(heard, 1 + index) - gain * stems[index]).max() < 1e-5
    assert np.abs(pair(heard, 0) - np.einsum("s,stc->tc", GAINS, stems)).max() < 1e-5
    assert np.array_equal(pair(heard, 6), audio[: len(heard)])


def test_at_another_device_rate_the_pairs_stay_together(four_stems):
    audio, mix = noise(30000), routed(ALL, remainder=0.5)
    stream, _, _ = stream_for(four_stems, mix, rate=48000)
    heard = play(stream, audio, cycle((100, 28)))
    assert stream.misses == 0
    total = sum(pair(heard, number) for number in range(1, 6))
    assert np.abs(total - pair(heard, 0)).max() < 1e-5
    # Each as if it were alone.
    for number in (1, 2, 4):
        alone, _, _ = stream_for(four_stems, replace(mix, routes=mix.routes[number : number + 1]), rate=48000)
        assert np.abs(play(alone, audio, cycle((100, 28))) - pair(heard, number)).max() < 1e-6


@pytest.mark.parametrize("name", ["low", "safe", "extreme"])
def test_in_a_gap_a_stem_fades_to_silence_on_its_tail_and_the_dry_pair_goes_on(four_stems, name):
    audio, mix = noise(24000), routed(("master", "drums", "dry", "drums:pre", "remainder"))
    stream, separator, mode = stream_for(four_stems, mix, name)
    start, end = 10112, 14336
    heard = play(stream, audio, BLOCK, lambda position: not start <= position < end)[stream.latency.added :]
    counts = stream.bridge.counts()
    gap = (start - BLOCK) // mode.hop * mode.hop - mode.synthesis + mode.hop
    back = gap + counts.gap_samples
    tail = slice(gap, gap + mode.synthesis - mode.hop)
    silence, rise = slice(tail.stop, back), slice(back, back + mode.hop)
    assert (stream.misses > 0, counts.gaps) == (True, 1)
    drums = reference(separator, mode, audio, np.eye(4))[1][: len(heard)]
    assert np.abs(pair(heard, 1)[:gap] - drums[:gap]).max() < 1e-5
    weights = tail_weights(mode, separator.metadata.n_fft)[:, None]
    # A network with memory gives the frames to come another share of the tail than the windows say.
    assert residual_db(pair(heard, 1)[tail], weights * drums[tail]) < -25
    for number in (1, 3, 4):
        assert not pair(heard, number)[silence].any()
        assert pair(heard, number)[rise].any() == (number != 4)
    assert residual_db(pair(heard, 2), audio[: len(heard)]) < -120
    # The master is filled as ever.
    fill = np.vdot(pair(heard, 0)[silence], audio[silence]) / np.vdot(audio[silence], audio[silence])
    assert fill > 0.1
    assert residual_db(pair(heard, 0)[silence], fill * audio[silence]) < -80


def test_in_bypass_a_gap_is_heard_on_no_pair_of_the_mixture(four_stems):
    audio, mix = noise(20000), routed(("master", "remainder", "drums"), wet=0.0)
    stream, _, _ = stream_for(four_stems, mix)
    heard = play(stream, audio, BLOCK, lambda position: not 10112 <= position < 14336)[stream.latency.added :]
    assert stream.misses > 0
    for number in (0, 1):
        assert residual_db(pair(heard, number), audio[: len(heard)]) < -100
    assert not pair(heard, 2).any()


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_successor_takes_over_on_every_pair_without_a_click(four_stems, rate):
    separator = Separator.load(four_stems)
    mix = routed(ALL, gains=(1.0,) * 4)
    time = np.arange(90000)[:, None] / rate
    sound = np.repeat(0.3 * np.sin(2 * np.pi * 220 * time), 2, 1).astype(np.float32)
    stream, _, _ = stream_for(four_stems, mix, "safe", rate=rate)
    modes = separator.metadata.modes

    def hand_over() -> None:
        engines = [Engine(separator, modes["low"], 2, "stems", mix, pairs=len(ALL)) for _ in range(2)]
        chain = type(stream.chain)(engines[0], *([rate] if rate != 44100 else []))
        stream.succeed(successor(stream, engines[1], chain.latency(BLOCK, BLOCK)))

    waiting = [hand_over]

    def infer(position: int) -> bool:
        if position >= 40000 and waiting:
            waiting.pop()()
        return True

    heard = play(stream, sound, BLOCK, infer)
    assert stream.succeeded and (stream.misses, stream.bridge.counts().gaps) == (0, 0)
    total = sum(pair(heard, number) for number in range(1, 6))
    quiet = pair(heard, 0) - total
    # In stems, with the remainder's fader down, the master is the sum of the stems: before, meanwhile and after.
    assert np.abs(quiet).max() < 1e-5
    assert residual_db(pair(heard, 6)[-20000:], sound[-20000 - stream.latency.added : -stream.latency.added]) < -60
    for number in (*range(5), 6):
        for at in range(38000, 56000, 512):
            assert brightness(pair(heard, number), at, 512, sound) <= 1


def test_a_routing_changed_while_playing_does_not_click(swap):
    names = ("swapped",)
    before = Mix((1.0,), routes=routes_for(names, ("swapped", "none")))
    after = Mix((1.0,), routes=routes_for(names, ("none", "dry")), glide=0.0)
    separator = Separator.load(swap)
    stream = open_stream(separator, separator.metadata.modes["low"], before, block=BLOCK, pairs=2)
    sound = np.repeat(0.3 * np.sin(2 * np.pi * 220 * np.arange(60000) / 44100)[:, None], 2, 1).astype(np.float32)
    waiting = [lambda: stream.submit(after, None)]

    def infer(position: int) -> bool:
        if position >= 30000 and waiting:
            waiting.pop()()
        return True

    heard = play(stream, sound, BLOCK, infer)
    assert pair(heard, 0)[20000:29000].any() and not pair(heard, 0)[32000:].any()
    assert not pair(heard, 1)[20000:29000].any() and pair(heard, 1)[32000:].any()
    for number in (0, 1):
        for at in range(28000, 31000, 256):
            assert brightness(pair(heard, number) + 1e-4 * sound, at, 256, sound) <= 1
