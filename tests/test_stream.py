"""Missed deadlines: what is heard, what is counted, and that the delay stays; and a live run from end to end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from playing import noise, open_stream, play, reference, residual_db

from realtime.engine import tail_weights
from realtime.latency import MODE_NAMES
from realtime.mix import Mix
from realtime.separator import Runner, Separator

BLOCK = 128


def swapped(audio: np.ndarray) -> np.ndarray:
    return 0.5 * audio[:, ::-1]


def stalled(path, name: str, start: int, end: int, mix: Mix = Mix((1.0,)), length: int = 24000):
    """Return a stream whose inference slept from input position `start` to `end`, its mode, its input, and what was heard."""
    separator = Separator.load(path)
    mode, audio = separator.metadata.modes[name], noise(length)
    stream = open_stream(separator, mode, mix, block=BLOCK)
    heard = play(stream, audio, BLOCK, lambda position: not start <= position < end)
    return stream, mode, audio, heard[stream.latency.added :]


def gap_of(mode, latency: int, start: int, end: int) -> tuple[int, int]:
    """Return the output positions before which wet sound ended, and up to which dry sound was played meanwhile."""
    # The last hop computed is the one complete before the stall; the next block after it is heard whole.
    ready = (start - BLOCK) // mode.hop * mode.hop
    return ready - mode.synthesis + mode.hop, end - latency


# Some of these stalls are made up for by computing late hops, others by leaving hops out.
STALLS = [
    ("low", 10112, 10880),
    ("low", 10112, 16000),
    ("safe", 10112, 13056),
    ("safe", 9984, 18048),
    ("lower", 10112, 12288),
    ("extreme", 10112, 14336),
]


@pytest.mark.parametrize(("name", "start", "end"), STALLS)
def test_a_stall_fades_on_the_tail_to_the_dry_sound_at_the_power_of_the_mix_and_back_over_a_hop(swap, name, start, end):
    stream, mode, audio, heard = stalled(swap, name, start, end)
    counts = stream.bridge.counts()
    gap, played = gap_of(mode, stream.latency.added, start, end)
    back = gap + counts.gap_samples
    assert counts.gaps == 1
    assert back >= played
    wet, dry = swapped(audio)[: len(heard)], audio[: len(heard)]
    assert residual_db(heard[:gap], wet[:gap]) < -100

    tail = slice(gap, gap + mode.synthesis - mode.hop)
    after, late = slice(tail.stop, played), slice(played, back)
    # One gain for the whole gap: that at which the dry sound has the power of the mix.
    fill = float(np.vdot(heard[after], dry[after]) / np.vdot(dry[after], dry[after]))
    assert fill == pytest.approx(0.5, rel=0.05)
    assert residual_db(heard[after], fill * dry[after]) < -100
    # Once the next hop is there, the gain goes to that of its mix.
    assert played == back or residual_db(heard[late], fill * dry[late]) < -40
    weights = tail_weights(mode)[:, None]
    assert residual_db(heard[tail], weights * wet[tail] + (1 - weights) * fill * dry[tail]) < -90

    rise = slice(back, back + mode.hop)
    way = (np.arange(1, mode.hop + 1) / mode.hop)[:, None]
    # Meanwhile the gain of what is left of the dry sound follows the mix again.
    assert residual_db(heard[rise], way * wet[rise] + (1 - way) * fill * dry[rise]) < -40
    # No delay has been added.
    assert residual_db(heard[rise.stop :], wet[rise.stop :]) < -100


@pytest.mark.parametrize(("name", "start", "end"), STALLS)
def test_every_hop_that_was_not_there_in_time_is_counted(swap, name, start, end):
    stream, mode, audio, _ = stalled(swap, name, start, end)
    gap, _ = gap_of(mode, stream.latency.added, start, end)
    back = gap + stream.bridge.counts().gap_samples
    first = mode.hop - mode.synthesis
    due = np.arange(first, len(audio), mode.hop)
    assert stream.misses == np.count_nonzero((gap <= due) & (due < back))
    assert stream.hops == len(audio) // mode.hop


@pytest.mark.parametrize(("name", "start", "end"), STALLS)
def test_a_hop_of_which_nothing_would_be_heard_is_not_computed(swap, monkeypatch, name, start, end):
    run, computed = Runner.run, []
    monkeypatch.setattr(Runner, "run", lambda runner: computed.append(runner) or run(runner))
    stream, mode, _, _ = stalled(swap, name, start, end)
    finishes = np.arange(mode.hop, 24000, mode.hop) + mode.hop - mode.synthesis
    gap, played = gap_of(mode, stream.latency.added, start, end)
    assert len(computed) == stream.hops - np.count_nonzero((gap < finishes) & (finishes <= played))


@pytest.mark.parametrize("name", MODE_NAMES)
def test_results_are_not_missed_as_long_as_the_reserve_covers_the_work(swap, name):
    separator = Separator.load(swap)
    mode, audio = separator.metadata.modes[name], noise(12000)
    stream = open_stream(separator, mode, Mix((1.0,)), block=BLOCK, reserve=4 * BLOCK)
    # Work is done once in three blocks, so a result is up to three blocks old.
    heard = play(stream, audio, BLOCK, lambda position: position // BLOCK % 3 == 0)[stream.latency.added :]
    assert (stream.misses, stream.bridge.counts().gap_samples) == (0, 0)
    assert residual_db(heard, swapped(audio)[: len(heard)]) < -100


def test_what_is_muted_stays_silent_through_a_miss(swap):
    for mix in (Mix((0.0,)), Mix((0.0,), remainder=0.0, wet=1.0)):
        stream, _, _, heard = stalled(swap, "low", 10112, 14080, mix)
        assert stream.misses > 0
        assert not heard.any()


def test_in_bypass_a_miss_is_not_heard(swap):
    stream, _, audio, heard = stalled(swap, "low", 10112, 14080, Mix((1.0,), wet=0.0))
    assert stream.misses > 0
    assert residual_db(heard, audio[: len(heard)]) < -100


def test_a_separator_with_memory_comes_back_to_what_it_would_have_given(four_stems):
    stream, mode, audio, heard = stalled(four_stems, "lower", 10112, 14080, Mix((1.0, 0.0, 0.5, 0.0)))
    wanted = np.einsum("s,stc->tc", (1.0, 0.0, 0.5, 0.0), reference(Separator.load(four_stems), mode, audio, np.eye(4)))
    assert stream.misses > 0
    # Its states forget by half each hop.
    assert residual_db(heard[17000:], wanted[17000 : len(heard)]) < -100


def test_stalls_again_and_again_leave_no_delay_behind(swap):
    separator = Separator.load(swap)
    mode, audio = separator.metadata.modes["low"], noise(60000)
    rng = np.random.default_rng(3)
    awake = rng.random(1 + len(audio) // BLOCK) < 0.3
    awake[-60:] = True
    stream = open_stream(separator, mode, Mix((1.0,)), block=BLOCK)
    heard = play(stream, audio, BLOCK, lambda position: awake[position // BLOCK])[stream.latency.added :]
    assert stream.bridge.counts().gaps > 10
    assert residual_db(heard[-4000:], swapped(audio)[len(heard) - 4000 : len(heard)]) < -100


def test_at_another_device_rate_a_stall_leaves_no_delay_behind(swap):
    separator = Separator.load(swap)
    time = np.arange(60000)[:, None] / 48000
    audio = (0.2 * np.sin(2 * np.pi * (400 * time + 1200 * time**2) + np.array([0, 1]))).astype(np.float32)
    stream = open_stream(separator, separator.metadata.modes["low"], Mix((1.0,)), block=BLOCK, rate=48000)
    heard = play(stream, audio, BLOCK, lambda position: not 20000 <= position < 30000)[stream.latency.added :]
    assert stream.misses * stream.chain.hop == pytest.approx(
        stream.bridge.counts().gap_samples, abs=4 * stream.chain.hop
    )
    assert residual_db(heard[35000:], swapped(audio)[35000 : len(heard)]) < -55
    assert np.isfinite(heard).all()


# A network that gives no numbers.


def test_nan_from_the_network_is_a_miss_and_the_stream_starts_afresh(poisoned, monkeypatch):
    separator = Separator.load(poisoned)
    mode, audio = separator.metadata.modes["lower"], noise(20000) * 0.5
    bang = 9000
    audio[bang] = 1000.0
    stream = open_stream(separator, mode, Mix((1.0,)), block=BLOCK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        heard = play(stream, audio, BLOCK)[stream.latency.added :]
    assert np.isfinite(heard).all()
    # Frames that hear the bang end within n_fft of it; those on the window's foot hear it too softly.
    ends = np.arange(mode.hop, len(audio) + 1, mode.hop)
    frames = sum(bang < end <= bang + separator.metadata.n_fft for end in ends)
    overlapped = mode.synthesis // mode.hop - 1
    assert frames // 2 <= stream.misses - overlapped <= frames
    assert stream.hops == len(ends)
    counts = stream.bridge.counts()
    assert counts.gaps == 1
    back = bang // mode.hop * mode.hop + mode.hop - mode.synthesis + counts.gap_samples
    # The state is zeros again: as if the network had heard nothing before the first frame that is heard again.
    run, index = Runner.run, iter(range(len(audio)))

    def forgetful(runner: Runner) -> None:
        if next(index) == back // mode.hop:
            runner.reset()
        run(runner)

    monkeypatch.setattr(Runner, "run", forgetful)
    wanted = reference(separator, mode, audio, np.ones((1, 1)))[0]
    assert residual_db(heard[back + mode.hop :], wanted[back + mode.hop : len(heard)]) < -100


def test_infinities_in_one_pair_of_channels_are_a_miss_for_all(four_stems, monkeypatch):
    separator = Separator.load(four_stems)
    mode, audio = separator.metadata.modes["low"], noise(12000, 4)
    stream = open_stream(separator, mode, Mix((1.0,) * 4), block=BLOCK, channels=4)
    calls = iter(range(10**6))
    # Two lanes are asked each hop: the 41st call is the first lane in hop 20.
    monkeypatch.setattr(Runner, "finite", lambda runner: next(calls) != 40)
    heard = play(stream, audio, BLOCK)[stream.latency.added :]
    assert np.isfinite(heard).all()
    assert stream.bridge.counts().gaps == 1
    gap = stream.bridge.counts().gap_samples
    assert gap == mode.synthesis
    assert stream.misses == -(-gap // mode.hop)


def test_the_last_snapshot_has_the_last_counts(swap):
    stream, _, _, _ = stalled(swap, "low", 10112, 14080)
    stream.stop()
    snapshot = stream.telemetry()
    assert (snapshot.hops, snapshot.misses) == (stream.hops, stream.misses)
    assert snapshot.position == stream.hops * stream.chain.hop


# Live, as a user starts it.


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_live_run_of_a_file_ends_by_itself_and_is_the_input_delayed_by_what_it_reports(tmp_path, rate):
    audio = noise(int(1.7 * rate))
    soundfile.write(tmp_path / "in.wav", audio, rate, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "run_live.py", "--model", "identity", "--device", "null", "--no-window", "--rate", str(rate)]
        + ["--input", str(tmp_path / "in.wav"), "--record", str(tmp_path / "out.wav"), "--osc-port", str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = " ".join(done.stdout.split())
    added = int(re.search(r"added latency: .*? = (\d+) samples", said)[1])
    misses = int(re.findall(r"misses (\d+) of \d+ hops", said)[-1])
    heard, out_rate = soundfile.read(tmp_path / "out.wav", dtype="float32", always_2d=True)
    assert out_rate == rate
    assert heard.shape == (len(audio) + added, 2)
    assert not heard[:added].any()
    if misses == 0:
        assert residual_db(heard[added:], audio) < -100
    else:  # a gap is filled with the aligned dry sound, which for the identity is the same but for its level
        spectrum = np.conj(np.fft.rfft(audio[:, 0], 1 << 18)) * np.fft.rfft(heard[:, 0], 1 << 18)
        assert np.argmax(np.fft.irfft(spectrum)) == added
