"""Another latency mode, run or separator takes over while music plays: nothing is missed, nothing clicks, delays are kept."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hearing import brightness
from playing import noise, open_stream, play, reference, residual_db

from realtime.callback import FADE
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.latency import MODE_NAMES, Latency
from realtime.mix import Mix
from realtime.separator import Separator
from realtime.stream import Stream
from realtime.successor import successor

BLOCK = 128
MODES = [(a, b) for a in MODE_NAMES for b in MODE_NAMES if a != b]


def following(stream: Stream, separator: Separator, name: str, mix: Mix, run: str = "stems", rate: int = 44100):
    """Let `separator` in mode `name` take over from what `stream` plays; return what will be its latency."""
    engine = Engine(separator, separator.metadata.modes[name], stream.engine.channels, run, mix)
    latency = type(stream.chain)(engine, *([rate] if rate != 44100 else [])).latency(BLOCK, BLOCK)
    engine = Engine(separator, separator.metadata.modes[name], stream.engine.channels, run, mix)
    stream.succeed(successor(stream, engine, latency))
    return latency


def played(stream: Stream, audio: np.ndarray, changes: dict, block: int = BLOCK) -> np.ndarray:
    """Return what is heard; `changes` are called once their input position is in."""
    waiting = dict(changes)

    def infer(position: int) -> bool:
        for at in [at for at in waiting if at <= position]:
            waiting.pop(at)()
        return True

    return play(stream, audio, block, infer)


def swapped(audio: np.ndarray) -> np.ndarray:
    return 0.5 * audio[:, ::-1]


@pytest.mark.parametrize(("before", "after"), MODES)
def test_a_mode_takes_over_and_is_heard_at_its_own_delay_without_a_miss(swap, before, after):
    separator, audio, mix = Separator.load(swap), noise(60000), Mix((1.0,))
    stream = open_stream(separator, separator.metadata.modes[before], mix, block=BLOCK)
    first = stream.latency.added
    heard = played(stream, audio, {20000: lambda: following(stream, separator, after, mix)})
    then = stream.latency.added
    assert stream.succeeded and (stream.misses, stream.bridge.counts().gaps) == (0, 0)
    assert first != then
    wet = swapped(audio)
    assert residual_db(heard[first:20000], wet[: 20000 - first]) < -100
    # It takes no longer than the longest window and two fades.
    settled = 20000 + 4096 + 2 * FADE
    assert residual_db(heard[settled:], wet[settled - then : len(heard) - then]) < -100
    # In between, one of the two delays is heard, or a mixture of both.
    between = slice(20000, settled)
    old, new = (wet[between.start - delay : between.stop - delay] for delay in (first, then))
    low, high = np.minimum(old, new) - 1e-4, np.maximum(old, new) + 1e-4
    assert ((low <= heard[between]) & (heard[between] <= high)).all()


@pytest.mark.parametrize(("before", "after"), [("safe", "extreme"), ("extreme", "safe"), ("low", "lower")])
def test_a_tone_goes_on_without_a_click(swap, before, after):
    separator, mix = Separator.load(swap), Mix((1.0,))
    sound = np.repeat(0.3 * np.sin(2 * np.pi * 220 * np.arange(60000) / 44100)[:, None], 2, 1).astype(np.float32)
    stream = open_stream(separator, separator.metadata.modes[before], mix, block=BLOCK)
    heard = played(stream, sound, {30000: lambda: following(stream, separator, after, mix)})
    for at in range(28000, 40000, 512):
        assert brightness(heard, at, 512, 0.5 * sound) <= 1


def test_gains_on_their_way_go_on_and_those_to_come_land_on_their_sample(four_stems):
    separator, audio = Separator.load(four_stems), noise(80000)
    start, later = Mix((1.0, 1.0, 0.0, 0.0)), Mix((0.0, 0.5, 1.0, 0.25), glide=0.001)
    stream = open_stream(separator, separator.metadata.modes["low"], start, block=BLOCK)

    def change() -> None:
        stream.submit(later, 50000)
        following(stream, separator, "lower", start)

    heard = played(stream, audio, {20000: change})
    mode, delay = separator.metadata.modes["lower"], stream.latency.added
    stems = reference(separator, mode, audio, np.eye(4))
    for gains, span in ((start.gains, slice(40000, 50000)), (later.gains, slice(50100, 75000))):
        wanted = np.einsum("s,stc->tc", gains, stems)[span]
        assert residual_db(heard[delay + span.start : delay + span.stop], wanted) < -80
    assert stream.misses == 0


def test_a_separator_with_memory_sounds_as_if_it_had_always_played(four_stems):
    separator, audio, mix = Separator.load(four_stems), noise(60000), Mix((0.2, 1.0, 0.5, 0.0))
    stream = open_stream(separator, separator.metadata.modes["safe"], mix, block=BLOCK)
    heard = played(stream, audio, {25000: lambda: following(stream, separator, "low", mix)})
    delay = stream.latency.added
    wanted = np.einsum("s,stc->tc", mix.gains, reference(separator, separator.metadata.modes["low"], audio, np.eye(4)))
    assert residual_db(heard[32000:], wanted[32000 - delay : len(heard) - delay]) < -90


@pytest.mark.parametrize("runs", [("stems", "single"), ("single", "stems")])
def test_the_other_run_takes_over(swap, runs):
    separator, audio, mix = Separator.load(swap), noise(50000), Mix((1.0,))
    stream = open_stream(separator, separator.metadata.modes["low"], mix, runs[0], block=BLOCK)
    heard = played(stream, audio, {20000: lambda: following(stream, separator, "low", mix, runs[1])})
    delay = stream.latency.added
    assert stream.engine.run == runs[1] and stream.misses == 0
    assert residual_db(heard[delay:], swapped(audio)[: len(heard) - delay]) < -100


def test_many_in_a_row_at_any_moment_leave_neither_a_miss_nor_a_delay(swap):
    separator, audio, mix = Separator.load(swap), noise(300000), Mix((1.0,))
    stream = open_stream(separator, separator.metadata.modes["low"], mix, block=BLOCK)
    rng = np.random.default_rng(4)
    names = [name for name, following in pairwise(rng.choice(MODE_NAMES, 40)) if name != following]
    changes = {}
    for number, name in enumerate(names):
        at = 9000 * (number + 1) + int(rng.integers(0, 2000))
        changes[at] = lambda name=name: following(stream, separator, name, mix)
    heard = played(stream, audio, {at: change for at, change in changes.items() if at < 280000})
    delay = stream.latency.added
    assert stream.succeeded and stream.misses == 0
    assert residual_db(heard[-8000:], swapped(audio)[len(heard) - 8000 - delay : len(heard) - delay]) < -100


@pytest.mark.parametrize(("before", "after"), [("low", "extreme"), ("extreme", "safe")])
def test_at_another_device_rate_a_mode_takes_over_without_a_miss(swap, before, after):
    separator, mix = Separator.load(swap), Mix((1.0,))
    sound = np.repeat(0.3 * np.sin(2 * np.pi * 220 * np.arange(110000) / 48000)[:, None], 2, 1).astype(np.float32)
    stream = open_stream(separator, separator.metadata.modes[before], mix, block=BLOCK, rate=48000)
    heard = played(stream, sound, {50000: lambda: following(stream, separator, after, mix, rate=48000)})
    delay = stream.latency.added
    assert stream.succeeded and (stream.misses, stream.bridge.counts().gaps) == (0, 0)
    assert residual_db(heard[70000:], 0.5 * sound[70000 - delay : len(heard) - delay]) < -60
    for at in range(48000, 62000, 512):
        assert brightness(heard, at, 512, 0.5 * sound) <= 1


def test_a_separator_that_looks_far_ahead_finds_no_room(swap):
    separator, mix = Separator.load(swap), Mix((1.0,))
    stream = open_stream(separator, separator.metadata.modes["low"], mix, block=BLOCK)
    play(stream, noise(4000), BLOCK)
    engine = Engine(separator, separator.metadata.modes["low"], 2, "stems", mix)
    with pytest.raises(HostError, match="stop, and start with it"):
        successor(stream, engine, Latency(256, 0, BLOCK, lookahead=44100))
