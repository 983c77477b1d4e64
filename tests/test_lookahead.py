"""Separators of several frames a call and with look-ahead: nothing is lost, and a file is not heard late."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import ROOT, Graph
from playing import delayed, noise, open_stream, play, residual_db
from test_stream import free_port

from realtime import host as host_module
from realtime import session as session_module
from realtime.bench.delay import measure_delay
from realtime.cautions import lookahead_cautions
from realtime.defaults import default_run
from realtime.devices.file import reader
from realtime.devices.null import NullDevice
from realtime.engine import Engine, tail_weights
from realtime.enginemessages import PLAYING
from realtime.errors import HostError
from realtime.latency import Latency, Mode, latency_for
from realtime.metadata import Metadata, Training
from realtime.mix import Mix
from realtime.offline import separate_array
from realtime.plan import Plan
from realtime.separator import Runner, Separator
from realtime.session import Session
from realtime.stft import Analysis, Synthesis
from realtime.stream import Stream
from realtime.tape import Tape
from realtime.telemetry import telemetry_values
from realtime.view import View
from realtime.windows import analysis_window, synthesis_window

N_FFT = 256
BINS = N_FFT // 2 + 1
MODES = {
    "safe": Mode(64, 256, "hann"),
    "low": Mode(64, 128, "asymmetric-64"),
    "lower": Mode(32, 48, "asymmetric-16"),
    "extreme": Mode(16, 64, "asymmetric-32"),
}
# Frames a call and look-ahead in frames, among them one without the other.
SHAPES = [(1, 0), (1, 5), (4, 0), (4, 4), (8, 3), (16, 37)]
STEMS = ("now", "then")
BIAS = 0.05
META = Metadata(
    name="smear",
    architecture="test",
    stems=STEMS,
    sample_rates=(44100,),
    channels=2,
    n_fft=N_FFT,
    frames=1,
    lookahead=0,
    modes=MODES,
    training=Training("none", "MIT"),
)


def write_smear(
    path: Path, frames: int, lookahead: int, bias: float = 0.0, valid: bool = True, stems: tuple[str, ...] = STEMS
) -> Path:
    """With u the mixture plus `bias`, zero outside the signal: u[n] as "now", and 0.3 u[n-1] + 0.5 u[n+lookahead] as "then"."""
    graph = Graph()

    def part(since: int) -> str:
        bounds = (graph.weight(np.array([at])) for at in (since, since + frames, 2))
        return graph.op("Slice", past, *bounds)

    inside = graph.op("Add", "mixture", graph.number(bias))
    if valid:
        inside = graph.op("Mul", inside, "valid")
    past = graph.op("Concat", "state_0", inside, axis=2)
    # Entry i of `past` is frame k * frames - lookahead - 1 + i.
    bounds = (graph.weight(np.array([at])) for at in (frames, frames + lookahead + 1, 2))
    graph.op("Slice", past, *bounds, output="next_state_0")
    then = graph.op(
        "Add", graph.op("Mul", part(0), graph.number(0.3)), graph.op("Mul", part(lookahead + 1), graph.number(0.5))
    )
    sums = []
    for index, sound in enumerate((part(1), then)[: len(stems)]):
        share = graph.op("Gather", "condition", graph.weight(np.array([index])), axis=1)
        sums.append(graph.op("Mul", sound, graph.op("Unsqueeze", share, graph.weight(np.array([2, 3])))))
    if len(sums) == 1:
        graph.op("Identity", *sums, output="estimate")
    else:
        graph.op("Add", *sums, output="estimate")
    meta = replace(META, stems=stems, frames=frames, lookahead=lookahead)
    return graph.write(path, meta, {"state_0": [1, 4, lookahead + 1, BINS]}, frames, N_FFT, valid)


def write_early(path: Path, frames: int, lookahead: int) -> Path:
    """The mixture times (first - second entry of the condition it came with), `lookahead` frames later."""
    graph = Graph()
    sign = graph.op("MatMul", "condition", graph.weight(np.array([[1], [-1]], np.float32)))
    own = graph.op("Mul", "mixture", graph.op("Unsqueeze", sign, graph.weight(np.array([2, 3]))))
    past = graph.op("Concat", "state_0", own, axis=2)
    bounds = [graph.weight(np.array([at])) for at in (0, frames, frames + lookahead, 2)]
    graph.op("Slice", past, bounds[0], bounds[1], bounds[3], output="estimate")
    graph.op("Slice", past, bounds[1], bounds[2], bounds[3], output="next_state_0")
    meta = replace(META, name="early", frames=frames, lookahead=lookahead)
    return graph.write(path, meta, {"state_0": ["stems", 4, lookahead, BINS]}, frames, N_FFT)


@pytest.fixture(scope="module")
def smear(tmp_path_factory):
    """Return the separator of given frames, look-ahead, and further options of `write_smear`, made once."""
    folder = tmp_path_factory.mktemp("smear")

    def make(frames: int, lookahead: int, **options) -> Separator:
        name = "-".join(map(str, (frames, lookahead, *options.items())))
        path = folder / f"{re.sub(r'[^a-z0-9.]+', '-', name)}.onnx"
        return Separator.load(path if path.exists() else write_smear(path, frames, lookahead, **options))

    return make


def whole(separator: Separator, mode: Mode, audio: np.ndarray, bias: float = 0.0) -> np.ndarray:
    """Return the stems [2, samples, 2] of `audio` as they are when all its frames are there at once, in float64."""
    meta = separator.metadata
    hop, size = mode.hop, mode.synthesis
    # Every frame that holds any of the signal, filled up to whole calls with frames of silence.
    count = -(-(len(audio) + N_FFT - hop) // hop)
    count = -(-count // meta.frames) * meta.frames
    padded = np.zeros((N_FFT + count * hop, 2))
    padded[N_FFT : N_FFT + len(audio)] = audio
    ends = [N_FFT + (index + 1) * hop for index in range(count)]
    analysis = analysis_window(mode.analysis, N_FFT)
    frames = np.stack([padded[end - N_FFT : end] * analysis[:, None] for end in ends])
    inside = np.fft.rfft(frames, axis=1) + bias * (1 + 1j)
    silence = np.zeros((meta.lookahead + 1, *inside.shape[1:]))
    before = np.concatenate([silence[:1], inside])[:count]
    after = np.concatenate([inside, silence])[meta.lookahead :][:count]
    stems = np.zeros((2, *padded.shape))
    window = synthesis_window(analysis, hop, size)[:, None]
    for stem, spectra in zip(stems, (inside, 0.3 * before + 0.5 * after), strict=True):
        for end, spectrum in zip(ends, spectra, strict=True):
            stem[end - size : end] += np.fft.irfft(spectrum, N_FFT, axis=0)[-size:] * window
    return stems[:, N_FFT : N_FFT + len(audio)]


def sizes_varying(largest: int):
    rng = np.random.default_rng(4)
    while True:
        yield int(rng.integers(1, largest + 1))


# Nothing is lost.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("frames", "lookahead"), SHAPES)
def test_offline_is_the_whole_signal_at_once_first_and_last_frames_included(smear, frames, lookahead, mode):
    separator = smear(frames, lookahead, bias=BIAS)
    # Shorter than a hop, than a call, and an end in the middle of one.
    for length in (1, 700, 3 * frames * 64, 2222)[:: 2 if frames == 1 else 1]:
        audio = noise(length)
        stems = separate_array(separator, MODES[mode], audio)
        assert stems.shape == (2, length, 2)
        assert residual_db(stems, whole(separator, MODES[mode], audio, BIAS)) < -100


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("frames", "lookahead"), SHAPES)
def test_streaming_equals_offline_for_random_blocks(smear, frames, lookahead, mode):
    separator, audio, gains = smear(frames, lookahead), noise(6000), (0.7, 1.3)
    stream = open_stream(separator, MODES[mode], Mix(gains), block=None, reserve=700)
    heard = play(stream, audio, sizes_varying(700))
    late = stream.latency.added
    assert late == MODES[mode].synthesis - MODES[mode].hop + (frames + lookahead) * MODES[mode].hop - 1 + 700
    wanted = np.einsum("s,stc->tc", gains, whole(separator, MODES[mode], audio))
    assert not heard[:late].any()
    assert residual_db(heard[late:], wanted[: len(heard) - late]) < -100
    assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)


def test_a_click_through_a_separator_that_only_delays_cancels_against_the_aligned_dry_sound(smear):
    separator = smear(16, 37, stems=("now",))
    for mode in MODES.values():
        click = np.zeros((12000, 2), np.float32)
        click[5037, 0], click[5200, 1] = 1.0, -0.5
        # What remains when the stem has been taken: mixture minus stem.
        stream = open_stream(separator, mode, Mix((0.0,), remainder=1.0))
        assert np.abs(play(stream, click, 128)).max() < 1e-5
        stream = open_stream(separator, mode, Mix((1.0,)))
        heard = play(stream, click, 128)
        assert residual_db(heard, delayed(click, stream.latency.added)) < -100


@pytest.mark.parametrize("run", ["single", "stems"])
def test_bypass_is_the_input_to_the_bit(smear, run):
    audio = noise(6000)
    for (frames, lookahead), mode in zip(SHAPES[2:], MODES.values(), strict=True):
        stream = open_stream(smear(frames, lookahead), mode, Mix((1.0, 0.5), wet=0.0), run)
        assert np.array_equal(play(stream, audio, 128), delayed(audio, stream.latency.added))


def test_stems_and_remainder_sum_to_the_mixture(smear):
    audio = noise(9000, 3)
    stream = open_stream(smear(4, 4), MODES["safe"], Mix((1.0, 1.0), remainder=1.0), channels=3)
    assert np.abs(play(stream, audio, 100) - delayed(audio, stream.latency.added)).max() < 1e-6


def test_a_reset_engine_replays_to_the_bit(smear):
    engine = Engine(smear(8, 3), MODES["safe"], 2, "stems", Mix((1.0, 0.5)))
    engine.warm_up()
    steps = noise(12 * engine.step).reshape(12, engine.step, 2)
    takes = []
    for _ in range(2):
        takes.append([engine.process(step) and engine.master.copy() for step in steps])
        for _ in range(2):
            engine.push(np.zeros((engine.step, 2), np.float32))
        engine.reset()
    assert np.array_equal(*takes)


# Delay.


@pytest.mark.parametrize(("frames", "lookahead"), SHAPES)
def test_the_reported_latency_is_the_delay_and_no_shorter_one_would_do(smear, frames, lookahead):
    separator, audio = smear(frames, lookahead, stems=("now",)), noise(5000)
    # Blocks that meet steps again as at the start before the sound is over.
    for mode, block, reserve in (("safe", 64, 64), ("low", 48, 144), ("lower", 128, 256), ("safe", 80, 80)):
        hop, size = MODES[mode].hop, MODES[mode].synthesis
        stream = open_stream(separator, MODES[mode], Mix((1.0,)), block=block, reserve=reserve)
        latency = stream.latency
        step = frames * hop
        assert latency == Latency(size - hop, step - math.gcd(block, step), reserve, lookahead=lookahead * hop)
        assert latency.added == latency.inside
        # As of one frame of that step: of which test_latency shows that it is the least.
        assert latency.added == latency_for(Mode(step, step + size - hop + lookahead * hop), block, reserve).added
        assert residual_db(play(stream, audio, block), delayed(audio, latency.added)) < -100
        assert (stream.misses, stream.bridge.counts().gaps) == (0, 0)
        # Nothing takes time here but the block after which it is done.
        stream = open_stream(separator, MODES[mode], Mix((1.0,)), block=block, reserve=block - 1)
        play(stream, audio, block)
        assert stream.bridge.counts().gaps > 0


@pytest.mark.parametrize("rate", [22050, 48000])
def test_at_another_rate_the_reported_latency_is_the_delay_without_a_gap(smear, rate):
    time = np.arange(rate)[:, None] / rate
    sound = (0.3 * np.sin(2 * np.pi * (100 * time + 1300 * time**2) + np.array([0, 1]))).astype(np.float32)
    for block in (64, 441):
        stream = open_stream(smear(4, 6, stems=("now",)), MODES["safe"], Mix((1.0,)), block=block, rate=rate)
        heard = play(stream, sound, block)
        late = stream.latency.added
        assert stream.latency.lookahead == round(6 * 64 * rate / 44100)
        assert residual_db(heard[late + rate // 8 :], sound[rate // 8 : len(heard) - late]) < -55
        assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)


def test_the_split_says_what_the_look_ahead_takes_and_what_of_it_is_not_heard():
    live = latency_for(Mode(1024, 4096), 512, 1024, frames=16, lookahead=230)
    assert live.added == 3072 + 15872 + 1024 + 235520
    assert (
        live.text(44100) == "window 3072 + block 15872 + reserve 1024 + look-ahead 235520 = 255488 samples, 5793.4 ms"
    )
    file = live.reading_ahead(512)
    assert (file.added, file.inside, file.read_ahead) == (3072 + 15872 + 1024, live.added, 235520)
    assert file.text(44100) == (
        "window 3072 + block 15872 + reserve 1024 = 19968 samples, 452.8 ms; "
        "look-ahead 235520 samples, 5.3 s, read ahead and not heard"
    )
    assert live.reading_ahead(4096).read_ahead == 58 * 4096
    assert "look-ahead" not in latency_for(Mode(512, 1024), 512, 512).text(44100)


# What is read ahead is not heard late.


def play_ahead(stream: Stream, audio: np.ndarray, block: int) -> np.ndarray:
    """Return what is heard from the moment the device starts, until all of `audio` has been."""
    read = reader(audio)
    stream.prime(read)
    heard, total = [], math.inf
    done = 0
    while done < total:
        rows = read(block)
        if len(rows) < block and total == math.inf:
            total = done + len(rows) + stream.bridge.flush
        given = np.zeros((block, 2), np.float32)
        given[: len(rows)] = rows
        heard.append(play(stream, given, block))
        done += block
    return np.concatenate(heard)[:total]


def open_ahead(separator: Separator, mode: Mode, mix: Mix, block: int, run: str = "stems", rate: int = 44100) -> Stream:
    live = open_stream(separator, mode, mix, run, block, rate=rate)
    return Stream(live.chain, live.latency.reading_ahead(block), rate, block)


@pytest.mark.parametrize("block", [64, 100, 1000])
@pytest.mark.parametrize(("frames", "lookahead"), SHAPES)
def test_a_source_that_is_read_ahead_is_heard_without_the_look_ahead(smear, frames, lookahead, block):
    separator, mode, gains = smear(frames, lookahead, bias=BIAS), MODES["safe"], (0.7, 1.3)
    for length in (1, 900, 9000):
        audio = noise(length)
        stream = open_ahead(separator, mode, Mix(gains), block)
        stream.engine.ends_at = length
        heard = play_ahead(stream, audio, block)
        step = frames * mode.hop
        added = mode.synthesis - mode.hop + step - math.gcd(block, step) + block
        assert stream.latency.added == added
        assert len(heard) == length + added
        assert not heard[:added].any()
        wanted = np.einsum("s,stc->tc", gains, whole(separator, mode, audio, BIAS))
        assert residual_db(heard[added:], wanted) < -100
        assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)


def test_bypass_is_read_ahead_as_well(smear):
    audio = noise(9000)
    stream = open_ahead(smear(16, 37), MODES["low"], Mix((1.0, 1.0), wet=0.0), 128)
    heard = play_ahead(stream, audio, 128)
    assert np.array_equal(heard, np.concatenate([np.zeros((stream.latency.added, 2), np.float32), audio]))


def test_at_another_rate_a_source_is_read_ahead_too(smear):
    time = np.arange(48000)[:, None] / 48000
    sound = (0.3 * np.sin(2 * np.pi * (100 * time + 1300 * time**2) + np.array([0, 1]))).astype(np.float32)
    stream = open_ahead(smear(4, 6, stems=("now",)), MODES["safe"], Mix((1.0,)), 128, rate=48000)
    heard = play_ahead(stream, sound, 128)
    added = stream.latency.added
    assert added < stream.latency.inside - 6 * 64
    assert residual_db(heard[added:][6000:-6000], sound[6000:-6000]) < -55
    assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)


def test_positions_and_the_clock_follow_what_a_source_without_look_ahead_would_do(smear, monkeypatch):
    now = [1000.0]
    clocks = SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0] - 700, perf_counter=time.perf_counter)
    monkeypatch.setattr("realtime.stream.time", clocks)
    stream = open_ahead(smear(4, 37), MODES["low"], Mix((1.0, 1.0)), 128)
    stream.prime(reader(noise(20000)))
    assert (stream.telemetry().position, stream.telemetry().clock) == (0, None)
    for _ in range(40):
        now[0] += 128 / 44100
        play(stream, noise(128), 128)
    assert stream.telemetry().position == pytest.approx(40 * 128, abs=stream.engine.step)
    assert stream.position(1000.0) == pytest.approx(0, abs=1)
    assert stream.position(1001.0) == pytest.approx(44100, abs=1)


def test_meters_show_what_is_heard_and_not_what_is_read(smear):
    stream = open_ahead(smear(4, 37), MODES["low"], Mix((1.0, 1.0)), 128)
    view = View(stream.taps, interval=0)
    audio = np.zeros((12000, 2), np.float32)
    audio[2000:] = 0.5
    read = reader(audio)
    stream.prime(read)
    # The loud part is read by now, and heard after 2000 samples and what is added.
    play(stream, read(1920), 128)
    assert view.telemetry().meters["input"] == (0, 0)
    play(stream, read(1920), 128)
    assert view.telemetry().meters["input"][0] == 0.5


# Changes.


@pytest.mark.parametrize("at", [5000, 5001, 5119, 5120])
def test_a_gain_lands_on_its_sample(smear, at):
    separator, audio = smear(4, 5), noise(8000)
    before, after = np.array([1.0, 0.0]), np.array([0.25, 1.0])
    for mode in (MODES["safe"], MODES["lower"]):
        stems = whole(separator, mode, audio)
        gains = np.where(np.arange(len(audio))[:, None] < at, before, after)
        wanted = np.einsum("ts,stc->tc", gains, stems)
        for opened, player in ((open_stream, play), (open_ahead, play_ahead)):
            stream = opened(separator, mode, Mix(tuple(before)), block=128)
            stream.submit(Mix(tuple(after), glide=0.0), at)
            heard = player(stream, audio, 128)[stream.latency.added :]
            assert residual_db(heard, wanted[: len(heard)]) < -100


def test_a_change_for_now_lands_on_the_next_step_whatever_the_look_ahead(smear):
    separator, audio, mode = smear(4, 37), np.full((20000, 2), 0.5, np.float32), MODES["safe"]
    stream = open_ahead(separator, mode, Mix((1.0, 0.0)), 64)
    read = reader(audio)
    stream.prime(read)
    first = play(stream, read(6400), 64)
    stream.submit(Mix((0.0, 0.0), glide=0.0), None)
    second = play(stream, read(6400), 64)
    assert first[-1, 0] == pytest.approx(0.5, abs=1e-4)
    silent = np.flatnonzero(np.abs(second).max(axis=1) < 1e-6)[0]
    assert silent <= stream.latency.added + stream.engine.step < 37 * mode.hop
    assert not second[silent:].any()


@pytest.mark.parametrize("at", [5000, 5120])
def test_in_single_a_condition_is_late_by_the_look_ahead(tmp_path, at):
    frames, lookahead, mode, audio = 4, 9, MODES["low"], noise(12000)
    separator = Separator.load(write_early(tmp_path / "early.onnx", frames, lookahead))
    stream = open_stream(separator, mode, Mix((1.0, 0.0)), "single")
    stream.submit(Mix((0.0, 1.0), glide=0.0), at)
    heard = play(stream, audio, 128)[stream.latency.added :]
    changed = np.flatnonzero(np.abs(heard - audio[: len(heard)]).max(axis=1) > 1e-4)[0]
    # It goes in with the first call whose output begins at its position or later.
    assert at + lookahead * mode.hop <= changed < at + (lookahead + frames) * mode.hop
    assert residual_db(heard[changed + mode.synthesis :], -audio[changed + mode.synthesis : len(heard)]) < -100


# Trouble.


@pytest.mark.parametrize("stall", [1500, 20000])
def test_a_stall_leaves_no_delay_behind(smear, stall):
    separator, mode, audio = smear(4, 20), MODES["safe"], noise(50000)
    for opened in (open_stream, open_ahead):
        stream = opened(separator, mode, Mix((1.0, 0.5)), block=128)
        heard = play(stream, audio, 128, lambda position: not 20000 <= position < 20000 + stall)
        heard = heard[stream.latency.inside :]
        wanted = np.einsum("s,stc->tc", (1.0, 0.5), whole(separator, mode, audio))[: len(heard)]
        assert stream.misses > 0
        assert stream.bridge.counts().gaps == 1
        if stall < stream.latency.lookahead + 4 * stream.engine.step:  # nothing was left out
            assert stream.bridge.counts().gap_samples <= stall + stream.engine.step
        assert residual_db(heard[:15000], wanted[:15000]) < -100
        assert residual_db(heard[-5000:], wanted[-5000:]) < -100
        assert stream.hops == len(audio) // stream.engine.step


def test_nan_from_the_network_is_a_miss_and_the_stream_starts_afresh(smear, monkeypatch):
    separator, mode, audio = smear(4, 20), MODES["safe"], noise(30000)
    stream = open_stream(separator, mode, Mix((1.0, 0.5)), block=128)
    calls = iter(range(10**6))
    monkeypatch.setattr(Runner, "finite", lambda runner: next(calls) != 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heard = play(stream, audio, 128)[stream.latency.added :]
    # The 31st call is lost with all that was on its way through it: the look-ahead, and what overlaps.
    lost = 31 * stream.engine.step
    counts = stream.bridge.counts()
    assert counts.gaps == 1
    assert counts.gap_samples == stream.engine.step + 20 * mode.hop + mode.synthesis - mode.hop
    assert stream.misses == -(-counts.gap_samples // stream.engine.step)
    wanted = np.einsum("s,stc->tc", (1.0, 0.5), whole(separator, mode, audio))[: len(heard)]
    begun = lost - counts.gap_samples
    assert residual_db(heard[:begun], wanted[:begun]) < -100
    # Its first frame does not know the one before.
    back = slice(lost + mode.synthesis, None)
    assert residual_db(heard[back], wanted[back]) < -100


# The end of the signal.


@pytest.mark.parametrize("length", [64 * 12, 64 * 12 + 1, 64 * 13])
def test_calls_are_valid_while_any_of_their_frames_holds_the_signal(smear, monkeypatch, length):
    separator, seen = smear(4, 6), []
    run = Runner.run
    monkeypatch.setattr(Runner, "run", lambda runner: (seen.append(float(runner.valid[0])), run(runner)))
    separate_array(separator, MODES["safe"], noise(length))
    # Frame n ends at (n + 1) hop and is four hops long.
    holding = sum((n + 1) * 64 - N_FFT < length for n in range(100))
    assert seen == [1.0] * -(-holding // 4) + [0.0] * (len(seen) - -(-holding // 4))
    assert 0.0 in seen


def test_a_separator_without_the_input_is_fed_silence_and_no_more(smear):
    separator, audio = smear(4, 6, valid=False), noise(5000)
    assert not separator.takes_valid
    assert residual_db(separate_array(separator, MODES["safe"], audio), whole(separator, MODES["safe"], audio)) < -100


# The contract.


def test_a_runner_knows_whether_the_signal_is_there_and_a_reset_says_it_is(smear):
    for valid in (True, False):
        runner = smear(2, 1, bias=1.0, valid=valid).runner(1)
        assert (runner.valid.dtype, runner.valid.tolist()) == (np.float32, [1.0])
        runner.condition[:] = (1, 0)
        runner.valid[0] = 0
        runner.run()
        assert (runner.estimate[0, :, 1] == 0).all() == valid
        runner.reset()
        assert runner.valid.tolist() == [1.0]
        runner.run()
        assert (runner.estimate[0, :, 1] == 1).all()


def test_an_input_of_another_shape_is_refused(tmp_path):
    graph = Graph()
    graph.op(
        "Mul",
        graph.op("Mul", "mixture", "valid"),
        graph.op("Unsqueeze", "condition", graph.weight(np.array([2, 3]))),
        output="estimate",
    )
    meta = replace(Separator.load(write_smear(tmp_path / "good.onnx", 1, 0)).metadata, stems=("now",))
    path = graph.write(tmp_path / "bad.onnx", meta, {}, 1, N_FFT, valid=True)
    onnx = graph.onnx
    model = onnx.load(path)
    shape = next(value for value in model.graph.input if value.name == "valid").type.tensor_type.shape
    shape.dim[0].dim_value = 2
    onnx.save(model, path)
    with pytest.raises(HostError, match=r"'valid' is \[2\], where the contract wants \[1\]|was not loaded"):
        Separator.load(path)


# A session.


@pytest.fixture
def measured(monkeypatch):
    """Let a call take as long as is said, without measuring it."""

    def say(seconds: float) -> None:
        monkeypatch.setattr(session_module, "measure_work", lambda engine, *_: (seconds, seconds))

    return say


def plan_for(separator: Separator, source: Path | str, **options) -> Plan:
    return Plan(
        separator.path,
        Mix((1.0,) * len(separator.metadata.stems)),
        "safe",
        device="null",
        source=str(source),
        **options,
    )


@pytest.fixture
def song(tmp_path) -> Path:
    soundfile.write(tmp_path / "song.wav", noise(20000), 44100, subtype="FLOAT")
    return tmp_path / "song.wav"


def test_a_file_runs_as_stems_and_single_says_how_late_a_condition_is(smear, measured, song):
    measured(1e-4)
    separator = smear(4, 200, stems=("now",))
    session = Session(plan_for(separator, song))
    assert session.started.run == "stems"
    assert session.started.notices == ()
    assert session.started.latency.ahead
    assert "read ahead and not heard" in session.started.latency_text
    session = Session(plan_for(separator, song, run="single"))
    assert session.started.notices == (
        "in single, a change of the condition is heard 0.3 s after it is made; with --run stems it is heard at once.",
    )


def test_live_input_is_late_by_the_look_ahead_and_says_so(smear):
    meta = smear(4, 230, stems=("now",)).metadata
    live = latency_for(MODES["safe"], 64, 64, meta.frames, meta.lookahead)
    assert lookahead_cautions(meta, live, 44100, "stems") == [
        "smear looks ahead: what goes in is heard 0.3 s later."
    ]
    assert default_run(meta, readable=False) == "single"
    assert default_run(meta, readable=True) == "stems"
    assert default_run(smear(1, 0, stems=("now",)).metadata, readable=True) == "single"
    assert default_run(smear(1, 0).metadata, readable=False) == "stems"
    assert default_run(replace(meta, runs=("single",)), readable=True) == "single"
    chunked = lookahead_cautions(replace(meta, chunk=128), live, 44100, "stems")
    assert chunked[0] == "smear works on overlapping chunks of 128 frames and is inexact at their borders."


def test_work_is_held_against_the_time_between_calls(smear, measured, song):
    separator = smear(16, 37)
    period = 16 * 64 / 44100
    measured(0.45 * period)
    assert Session(plan_for(separator, song)).started.notices == ()
    measured(0.7 * period)
    assert (
        "a call for 16 hops of smear takes 16.3 ms of the 23.2 ms"
        in Session(plan_for(separator, song)).started.notices[0]
    )
    measured(0.95 * period)
    with pytest.raises(HostError, match="cannot keep up; choose a lighter model.*--run single"):
        Session(plan_for(separator, song))


def test_measuring_a_heavy_network_takes_a_few_seconds_and_no_more(smear, monkeypatch):
    engine = Engine(smear(4, 3), MODES["safe"], 2, "stems", Mix((1.0, 1.0)))
    clock, calls = [0.0], []
    monkeypatch.setattr(session_module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(session_module.time, "sleep", lambda seconds: None)

    def process(block: np.ndarray) -> bool:
        calls.append(len(block))
        clock[0] += 0.5
        return True

    monkeypatch.setattr(engine, "process", process)
    assert session_module.measure_work(engine) == (0.5, 0.75)
    assert set(calls) == {engine.step}
    assert len(calls) <= 5 + 9


def test_a_long_reading_ahead_is_explained(smear, measured, song, monkeypatch):
    measured(1e-4)
    session = Session(plan_for(smear(4, 200), song, run="stems"))
    said = []
    session._read_ahead(said.append)
    assert said == []
    session = Session(plan_for(smear(4, 200), song, run="stems"))
    clock = iter(range(10**6))
    monkeypatch.setattr(session_module.time, "monotonic", lambda: 0.3 * next(clock))
    session._read_ahead(said.append)
    assert said == ["reading ahead 0.3 s of look-ahead..."]


def test_a_session_plays_a_file_at_once_and_to_its_end(smear, measured, song, tmp_path):
    measured(1e-4)
    separator = smear(16, 37, bias=BIAS)
    session = Session(plan_for(separator, song, record=tmp_path / "out.wav", stems=tmp_path / "stems", block=64))
    # As fast as it goes, computed in the callback: what is heard does not depend on the machine.
    blocks = []
    stream, device = session.stream, session.device
    session._read_ahead(lambda sentence: None)
    device = NullDevice(session._read, 10**9, 64, 2, lambda rows: blocks.append(rows.copy()))
    process = stream.bridge.process

    def lockstep(block_in, block_out, flags=0) -> None:
        process(block_in, block_out, flags)
        while stream.advance():
            pass

    stream.bridge.process = lockstep
    tape = Tape(session.recording, stream.taps)
    device.start(stream.bridge)
    assert device.wait(60)
    session.stop()
    tape.stop()
    assert tape.problem is None
    heard, added = np.concatenate(blocks), session.started.latency.added
    assert len(heard) == 20000 + added
    stems = whole(separator, MODES["safe"], noise(20000), BIAS)
    assert residual_db(heard[added:], stems.sum(0)) < -100
    for name, stem in zip(STEMS, stems, strict=True):
        written, _ = soundfile.read(tmp_path / "stems" / f"{name}.wav", dtype="float32")
        assert residual_db(written, stem) < -100


class FakeCard:
    """A sound card of two channels that is asked for blocks by hand."""

    name, rate, block, in_channels, out_channels, output_latency, error = "card", 44100, 128, 2, 2, 100, None
    callback = None

    def start_lockstep(self, callback) -> None:
        self.callback = callback

    def active(self) -> bool:
        return True


@pytest.mark.parametrize("length", [700, 20000])
def test_a_mono_file_on_a_sound_card_is_heard_at_once_and_to_its_end(smear, measured, tmp_path, monkeypatch, length):
    measured(1e-4)
    audio, card = noise(length, 1), FakeCard()
    soundfile.write(tmp_path / "mono.wav", audio, 44100, subtype="FLOAT")
    monkeypatch.setattr(Session, "_portaudio", lambda self, plan, block, notices: card)
    session = Session(replace(plan_for(smear(4, 37), tmp_path / "mono.wav"), device="card"))
    session._read_ahead(lambda sentence: None)
    session.device.start(session.stream.bridge)
    heard = []
    while session.device.active():
        block = np.full((128, 2), np.nan, np.float32)
        card.callback(np.ones((128, 2), np.float32), block, 128)
        heard.append(block)
        while session.stream.advance():
            pass
    heard, added = np.concatenate(heard), session.started.latency.added
    assert length + added <= len(heard) < length + added + 2 * 128
    wanted = whole(session.stream.engine.separator, MODES["safe"], np.repeat(audio, 2, 1)).sum(0)
    assert residual_db(heard[added : added + length], wanted) < -100
    assert not heard[:added].any()
    assert np.abs(heard[added + length + N_FFT :]).max(initial=0) < 1e-6


def test_what_is_asked_for_while_a_source_is_read_ahead_is_not_lost(smear, monkeypatch):
    mixes, said = [], []

    class Engine:
        started = session_module.Started(
            "smear", STEMS, "safe", "stems", "null", 44100, 64, Latency(1, 1, 1), (0, 0), 64, (1, 1)
        )

        device_state = PLAYING

        def __init__(self, plan: Plan, say, tell, mix) -> None:
            say("reading ahead 5.3 s of look-ahead...")
            mixes.append(plan.mix)
            states[0].set("/stem/now/mute", 1)

        def submit(self, mix: Mix, at: int | None) -> None:
            mixes.append(mix)

        def stop(self) -> None:
            pass

    states = []
    make = host_module.ControlState
    monkeypatch.setattr(host_module, "ControlState", lambda *given, **named: states.append(make(*given, **named)) or states[0])
    monkeypatch.setattr(host_module, "RemoteEngine", Engine)
    host = host_module.Host(plan_for(smear(4, 37), "demo"), host_module.OscAddress(port=free_port()), say=said.append)
    host.stop()
    assert [mix.gains for mix in mixes] == [(1.0, 1.0), (0.0, 1.0)]
    assert said == ["reading ahead 5.3 s of look-ahead..."]


def test_a_live_run_of_a_file_is_heard_as_soon_as_one_without_look_ahead(smear, tmp_path):
    audio = noise(44100)
    soundfile.write(tmp_path / "in.wav", audio, 44100, subtype="FLOAT")
    separator = smear(4, 300, stems=("now",))
    done = subprocess.run(
        [sys.executable, "run_live.py", "--model", str(separator.path), "--latency", "safe", "--device", "null", "--no-window"]
        + ["--input", str(tmp_path / "in.wav"), "--record", str(tmp_path / "out.wav"), "--osc-port", str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    added = int(re.search(r"added latency: .*? = (\d+) samples", said)[1])
    assert "look-ahead 19200 samples, 0.4 s, read ahead and not heard" in said
    assert added < 19200
    heard, _ = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert heard.shape == (len(audio) + added, 2)
    assert not heard[:added].any()
    misses = int(re.findall(r"misses (\d+) of \d+ hops", said)[-1])
    if misses == 0:
        assert residual_db(heard[added:], audio) < -100


def test_the_bench_measures_what_is_heard_of_a_source_that_is_read_ahead():
    mode = Mode(512, 1024, "asymmetric-512")
    latency = latency_for(mode, 64, 64, frames=4, lookahead=9)
    assert measure_delay(mode, latency, 64, 44100, 44100.0) == latency.added
    ahead = latency.reading_ahead(64)
    assert measure_delay(mode, ahead, 64, 44100, 44100.0) == ahead.added == latency.added - 9 * 512


def test_telemetry_shows_what_is_heard(smear):
    stream = open_ahead(smear(4, 37), MODES["low"], Mix((1.0, 1.0)), 128)
    play_ahead(stream, noise(4000), 128)
    values = telemetry_values(stream.telemetry(), 0)
    assert values["/telemetry/latency"] == (stream.latency.added,)
    assert "read ahead and not heard" in values["/telemetry/latency/split"][0]
    assert stream.telemetry().hop == 4 * 64


# Windows.


@pytest.mark.parametrize("hop", [N_FFT // 2, N_FFT // 4, N_FFT // 8])
def test_a_whole_hann_frame_is_put_back_as_the_plain_inverse_stft_does(hop):
    torch = pytest.importorskip("torch", reason="the inverse STFT to compare with needs the train extra")
    window = analysis_window("hann", N_FFT)
    rng, count = np.random.default_rng(0), 60
    masks = rng.uniform(0, 1, (count, N_FFT // 2 + 1))
    audio = noise(hop * count, 1).T
    analysis = Analysis(window, hop, 1)
    synthesis = Synthesis(synthesis_window(window, hop, N_FFT), hop, N_FFT, 1, 1)
    spectra, parts = np.zeros((2, 1, N_FFT // 2 + 1), np.float32), []
    for index, mask in enumerate(masks):
        analysis.push(audio[:, index * hop : (index + 1) * hop])
        analysis.transform(spectra)
        synthesis.add((spectra * mask).astype(np.float32)[None])
        parts.append(synthesis.final[0].copy())
    ours = np.concatenate(parts, 1)[:, N_FFT - hop :]
    # Its first frame is centred on the first sample; ours ends with the first hop and comes n_fft / (2 hop) - 1 frames before.
    double = torch.from_numpy(audio.astype(np.float64))
    hann = torch.hann_window(N_FFT, dtype=torch.float64)
    spectra = torch.stft(double, N_FFT, hop, window=hann, pad_mode="constant", return_complex=True)
    early = N_FFT // (2 * hop) - 1
    kept = count - early
    theirs = torch.istft(
        spectra[:, :, :kept] * torch.from_numpy(masks[early:].T)[None], N_FFT, hop, window=hann
    ).numpy()
    middle = slice(N_FFT, (kept - N_FFT // hop) * hop)
    assert residual_db(ours[:, middle], theirs[:, middle]) < -100


@pytest.mark.parametrize(("n_fft", "hop"), [(4096, 1024), (2048, 1024), (1024, 300)])
def test_a_whole_hann_frame_sums_to_one_and_so_do_its_tail_weights(n_fft, hop):
    window = analysis_window("hann", n_fft)
    product = window * synthesis_window(window, hop, n_fft)
    total = np.zeros(20 * hop + n_fft)
    for start in range(0, 20 * hop + 1, hop):
        total[start : start + n_fft] += product
    assert np.abs(total[n_fft : 20 * hop] - 1).max() < 1e-9
    held = np.zeros(n_fft)
    for back in range(0, n_fft, hop):
        held[: n_fft - back] += product[back:]
    weights = tail_weights(Mode(hop, n_fft), n_fft)
    assert np.allclose(weights, held[hop:], atol=1e-9)
