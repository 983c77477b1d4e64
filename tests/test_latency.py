"""The delay that is reported is the delay that is heard, and no shorter one would do."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from playing import delayed, noise, open_stream, play, residual_db

from realtime.latency import MODE_NAMES, Latency, Mode, latency_for, reserve_for
from realtime.mix import Mix
from realtime.separator import Separator

RNG = np.random.default_rng(1)
# (hop, synthesis, block, reserve in blocks)
SIZES = [(512, 1024, 512, 1), (512, 640, 128, 4), (256, 320, 64, 4), (128, 256, 128, 1)] + [
    (int(hop), int(hop + RNG.integers(1, 3 * hop)), int(RNG.integers(1, 700)), int(RNG.integers(1, 5)))
    for hop in RNG.integers(1, 600, 60)
]


def gapless(latency: int, mode: Mode, blocks: list[int], work: int) -> bool:
    """Return whether every sample is there when it is played; a hop is there `work` samples after its input.

    A block is taken in and played at once: what it plays must have been there before.
    """
    head = known = 0
    working = deque()
    for block in blocks:
        # The hops of blocks that ended this long before this one ends have had their time.
        while working and working[0] <= head + block - work:
            known = working.popleft()
        finished = known // mode.hop * mode.hop - mode.synthesis + mode.hop
        if head + block - latency > max(finished, 0):
            return False
        head += block
        working.append(head)
    return True


@pytest.mark.parametrize(("hop", "synthesis", "block", "blocks"), SIZES)
def test_the_sum_is_the_smallest_latency_without_a_gap(hop, synthesis, block, blocks):
    mode, reserve = Mode(hop, synthesis), blocks * block
    latency = latency_for(mode, block, reserve).added
    assert latency == synthesis - math.gcd(block, hop) + reserve
    # After this many blocks, hops and blocks meet again as at the start.
    enough = [block] * ((latency + hop * block) // block // math.gcd(block, hop) + 2 * hop // math.gcd(block, hop) + 2)
    assert gapless(latency, mode, enough, reserve)
    assert not gapless(latency - 1, mode, enough, reserve)


@pytest.mark.parametrize("seed", range(10))
def test_for_varying_blocks_a_reserve_of_the_work_and_the_longest_block_is_enough_and_no_less(seed):
    rng = np.random.default_rng(seed)
    hop = int(rng.integers(2, 300))
    mode = Mode(hop, int(hop + rng.integers(1, 2 * hop)))
    longest, work = int(rng.integers(2, 300)), int(rng.integers(1, 300))
    latency = latency_for(mode, None, work + longest - 1).added
    assert latency == mode.synthesis - 1 + work + longest - 1
    for _ in range(5):
        assert gapless(latency, mode, rng.integers(1, longest + 1, 300).tolist(), work)
    # The worst: a hop that lacks one sample, the longest block, and one that comes just before that block's work is done.
    lacking = 6 * hop * (mode.synthesis // hop + 1) - 1
    blocks = [1] * lacking + [longest] + [1] * (work - 1)
    assert gapless(latency, mode, blocks, work)
    assert not gapless(latency - 1, mode, blocks, work)


def test_the_reserve_is_the_fewest_whole_blocks_that_cover_the_work():
    for block in (32, 100, 512):
        for work in (0.0, 1e-5, 31 / 44100, 100 / 44100, 0.0101, 0.05):
            reserve = reserve_for(work, block, 44100)
            blocks = next(n for n in range(1, 1000) if n * block >= work * 44100 - 1e-6)
            assert reserve == blocks * block


def test_the_nominal_latencies_of_the_modes():
    nominal = {(1024, 2048, 1024, 1024): 2048, (512, 1024, 512, 512): 1024, (512, 640, 128, 512): 1024}
    nominal |= {(256, 512, 256, 256): 512, (256, 320, 64, 256): 512, (128, 256, 128, 128): 256}
    for (hop, synthesis, block, reserve), samples in nominal.items():
        assert latency_for(Mode(hop, synthesis), block, reserve).added == samples


def test_the_split_sums_to_what_is_added():
    assert Latency(512, 100, 128, 44).added == 784
    assert latency_for(Mode(512, 640), 100, 200) == Latency(128, 508, 200)


@pytest.mark.parametrize("block", [32, 100, 128, 441, 1024])
@pytest.mark.parametrize("name", MODE_NAMES)
def test_a_click_comes_out_after_the_reported_latency(identity, name, block):
    separator = Separator.load(identity)
    mode = separator.metadata.modes[name]
    for reserve in (block, 3 * block):
        stream = open_stream(separator, mode, Mix((1.0,)), "single", block, reserve)
        assert stream.latency.added == mode.synthesis - math.gcd(block, mode.hop) + reserve
        click = np.zeros((12000, 2), np.float32)
        click[5000 + 37, 0], click[5200, 1] = 1.0, -0.5
        heard = play(stream, click, block)
        assert residual_db(heard, delayed(click, stream.latency.added)) < -100
        # A gap would be filled with the dry sound at the right place, and prove nothing.
        assert (stream.misses, stream.bridge.counts().gaps) == (0, 0)


# At another rate than the separator's own.


def band_limited(rate: int, length: int) -> np.ndarray:
    """Return noise below 6 kHz, so that resampling changes nothing but time."""
    spectrum = np.fft.rfft(noise(length), axis=0)
    spectrum[int(6000 / rate * length) :] = 0
    return np.fft.irfft(spectrum, length, axis=0).astype(np.float32)


@pytest.mark.parametrize("rate", [22050, 48000, 96000, 192000])
@pytest.mark.parametrize("block", [64, 441])
def test_at_another_rate_the_reported_latency_is_the_delay_without_a_gap(identity, rate, block):
    separator = Separator.load(identity)
    for name in ("low", "extreme"):
        mode = separator.metadata.modes[name]
        stream = open_stream(separator, mode, Mix((1.0,)), "single", block, rate=rate)
        sound = band_limited(rate, rate // 2)
        heard = np.zeros_like(sound)
        for start in range(0, len(sound) - block, block):
            stream.lockstep(sound[start : start + block], heard[start : start + block], block)
        correlation = np.fft.irfft(np.conj(np.fft.rfft(sound[:, 0], rate)) * np.fft.rfft(heard[:, 0], rate))
        added = stream.latency.added
        assert np.argmax(correlation) == added
        assert residual_db(heard[added + rate // 8 : -block], sound[rate // 8 : -added - block]) < -55
        assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)
        assert stream.latency.resampler > 0


def test_at_another_rate_blocks_may_vary(identity):
    separator = Separator.load(identity)
    stream = open_stream(separator, separator.metadata.modes["low"], Mix((1.0,)), "single", None, 700, rate=48000)
    sound, rng = band_limited(48000, 48000), np.random.default_rng(2)
    heard = play(stream, sound, iter(lambda: int(rng.integers(1, 701)), 0))
    assert residual_db(heard[20000:], delayed(sound, stream.latency.added)[20000:]) < -55
    assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)
