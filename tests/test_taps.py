"""What a stream lets be seen from another process: equal to what was written, never in its way, and gone with its processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, STEMS
from playing import noise, open_stream, play, residual_db
from test_stream import free_port

from realtime.chain import chain_for
from realtime.devices.file import FileSink
from realtime.engine import Engine
from realtime.errors import HostError
from realtime.latency import Latency
from realtime.meters import Meter, SpectrumView
from realtime.mix import Mix
from realtime.plan import Plan
from realtime.remote import RemoteEngine
from realtime.segment import Segment
from realtime.separator import Separator
from realtime.successor import successor
from realtime.tape import Recording, Tape
from realtime.taps import Description, Layout, Taps
from realtime.telemetry import telemetry_values
from realtime.track import STRETCH_WORDS, STRETCHES, WORDS, Track, TrackReader
from realtime.view import View
from realtime.work import WorkCounts

SHM = Path("/dev/shm")
DESCRIPTION = Description(STEMS, STEMS, 44100, 44100.0, 512, 128, Latency(512, 384, 128))


def track(capacity: int = 1024, rows: int = 1) -> Track:
    words, stretches = np.zeros(WORDS, np.int64), np.zeros((STRETCHES, STRETCH_WORDS), np.int64)
    return Track(words, stretches, np.zeros((rows, capacity, 2), np.float32))


def counted(start: int, count: int) -> np.ndarray:
    """Sound that tells its own positions."""
    return np.arange(start, start + count, dtype=np.float32)[:, None] * np.ones(2, np.float32)


def count(taps: Taps, hops: int = 1, attention: np.ndarray | None = None) -> None:
    taps.count(hops, 0, 0, 512 * hops, 1000.0, WorkCounts(), attention)


# A track.


@pytest.mark.parametrize("sizes", [(1,), (7, 31), (32,), (100, 3), (500,)])
def test_a_reader_that_keeps_up_reads_everything_where_it_belongs(sizes):
    written, at = track(), -250
    reader, seen = TrackReader(written), []
    for index in range(100):
        size = sizes[index % len(sizes)]
        written.write(at, 1, counted(at, size))
        at += size
        seen += reader.read()
    assert reader.lost == 0
    assert seen[0].position == -250
    whole = np.concatenate([stretch.sound[0] for stretch in seen])
    assert np.array_equal(whole, counted(-250, at + 250))


def test_what_was_left_out_and_a_new_generation_are_seen_in_the_positions():
    written = track()
    for position, generation in ((-8, 1), (2, 1), (20, 1), (30, 2)):
        written.write(position, generation, counted(position, 10))
    stretches = TrackReader(written).read()
    assert [(s.position, s.generation, s.sound.shape[1]) for s in stretches] == [(-8, 1, 20), (20, 1, 10), (30, 2, 10)]
    for stretch in stretches:
        assert np.array_equal(stretch.sound[0], counted(stretch.position, stretch.sound.shape[1]))


def test_a_part_of_a_stretch_has_the_position_of_its_first_sample():
    written = track()
    written.write(100, 1, counted(100, 30))
    reader = TrackReader(written)
    assert [stretch.position for _ in range(3) for stretch in reader.read(10)] == [100, 110, 120]


def test_overwritten_samples_are_counted_and_the_reader_goes_on_behind_them():
    written, at = track(1024), 0
    reader = TrackReader(written)
    for _ in range(100):
        written.write(at, 1, counted(at, 30))
        at += 30
    (stretch,) = reader.read()
    assert reader.lost == stretch.position == at - stretch.sound.shape[1]
    assert np.array_equal(stretch.sound[0], counted(stretch.position, stretch.sound.shape[1]))
    written.write(at, 1, counted(at, 30))
    assert [after.position for after in reader.read()] == [at]


def test_more_gaps_than_are_remembered_are_a_loss_and_no_garbage():
    written = track(1 << 16)
    reader = TrackReader(written)
    for index in range(STRETCHES + 100):
        written.write(10 * index, 1, counted(10 * index, 5))
    assert reader.read() == []
    assert reader.lost == 5 * (STRETCHES + 100)
    written.write(3, 1, counted(3, 5))
    assert [stretch.position for stretch in reader.read()] == [3]


def test_a_writer_that_overtakes_a_reader_in_its_copying_is_noticed(monkeypatch):
    written = track(1024)
    written.write(0, 1, counted(0, 900))
    reader = TrackReader(written)
    copy = np.empty

    def overtaken(shape, kind) -> np.ndarray:
        written.write(900, 1, counted(900, 400))
        return copy(shape, kind)

    monkeypatch.setattr("realtime.track.np.empty", overtaken)
    (stretch,) = reader.read()
    assert reader.lost == stretch.position == 1300 - (1024 - 1024 // 16)
    assert np.array_equal(stretch.sound[0], counted(stretch.position, 900 - stretch.position))


def test_a_reader_beside_a_writer_that_never_waits_sees_no_torn_sound():
    written, done = track(4096), threading.Event()

    def write() -> None:
        at = 0
        while not done.is_set():
            written.write(at, 1, counted(at % 100000, 64))
            at += 64

    thread = threading.Thread(target=write)
    thread.start()
    try:
        reader, seen = TrackReader(written), 0
        while seen < 200000:
            for stretch in reader.read(1000):
                sound = stretch.sound[0]
                steps = np.diff(sound[:, 0])
                # Each write begins anew somewhere; within it the numbers rise by one.
                assert np.array_equal(sound[:, 0], sound[:, 1])
                first = -stretch.position % 64
                inside = np.delete(steps, np.s_[first - 1 if first else 63 :: 64])
                assert (inside == 1).all()
                seen += len(sound)
    finally:
        done.set()
        thread.join()


# Counts and descriptions.


def test_counts_come_back_as_they_were_written():
    taps, work = Taps(Layout(2, 1024)), WorkCounts()
    assert taps.counts() is None
    taps.describe(DESCRIPTION)
    for milliseconds in (1, 2, 30):
        work.add(milliseconds / 1000)
    attention = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    taps.count(7, 2, 1, 3584, 1234.5, work, attention)
    seen = taps.counts()
    assert (seen.generation, seen.hops, seen.misses, seen.xruns, seen.position, seen.origin) == (
        1,
        7,
        2,
        1,
        3584,
        1234.5,
    )
    assert (seen.work.percentile(0.5), seen.work.longest) == (work.percentile(0.5), 0.03)
    assert np.array_equal(seen.attention, np.arange(24))
    assert taps.description(1) == DESCRIPTION


def test_names_may_change_while_sound_runs():
    taps = Taps(Layout(2, 44100))
    view = View(taps, interval=0)
    for names in (STEMS, (), ("lead", "rest")):
        taps.describe(Description(names, names or ("",), 48000, 44100.0, 557, 64, Latency(1, 2, 3)))
        assert view.telemetry() is None or tuple(view.telemetry().meters) != ("input", "output", *names)
        stems = np.full((len(names), 512, 2), 0.25, np.float32)
        taps.output.write(0, taps.generation, counted(0, 512), stems if names else None)
        count(taps)
        meters = view.telemetry().meters
        assert tuple(meters) == ("input", "output", *names)
        assert all(meters[name] == (0.25, 0.25) for name in names)


def test_more_stems_than_there_is_room_for_are_heard_and_not_shown():
    taps = Taps(Layout(2, 1024, stems=2))
    taps.describe(DESCRIPTION)
    taps.output.write(0, taps.generation, counted(0, 8), np.ones((4, 8, 2), np.float32))
    count(taps, attention=np.zeros((4, 5000), np.float32))
    snapshot = View(taps).telemetry()
    assert tuple(snapshot.meters) == ("input", "output", *STEMS[:2])
    assert snapshot.attention == {}


# A stream, seen from its own process and from another.


def driven(separator: Separator, run: str = "stems"):
    stream = open_stream(separator, separator.metadata.modes["low"], Mix((0.5, 0.0, 1.0, 1.0)), run)
    audio, masters, stems = noise(9000), [], []
    process = stream.engine.process

    def watched(block: np.ndarray) -> bool:
        good = process(block)
        masters.append(stream.engine.master.copy())
        stems.append(stream.engine.stems.copy())
        return good

    stream.engine.process = watched
    return stream, audio, masters, stems


def look(name: str, layout: Layout, pipe) -> None:
    segment = Segment.take(name)
    view, reader = View(Taps(layout, segment.buf)), TrackReader(Taps(layout, segment.buf).output)
    pipe.send(True)
    pipe.recv()
    pipe.send((view.telemetry(), [(s.position, s.sound) for s in reader.read()]))


@pytest.fixture
def other_process():
    """A function that gives a segment to another process, which answers once sound has been written."""
    context, started = multiprocessing.get_context("spawn"), []

    def start(layout: Layout):
        name = Segment.new_name()
        segment = Segment.create(name, layout.size)
        pipe, theirs = context.Pipe()
        process = context.Process(target=look, args=(name, layout, theirs), daemon=True)
        process.start()
        theirs.close()
        started.append((process, name))
        assert pipe.recv()
        return segment, pipe

    yield start
    for process, name in started:
        process.join(10)
        Segment.remove(name)


def test_another_process_reads_the_masters_and_stems_bit_by_bit_and_the_same_telemetry(four_stems, other_process):
    stream, audio, masters, stems = driven(Separator.load(four_stems))
    segment, pipe = other_process(stream.taps.layout)
    stream.use(Taps(stream.taps.layout, segment.buf))
    play(stream, audio, 128)
    pipe.send(True)
    seen, stretches = pipe.recv()
    sound = np.concatenate([sound for _, sound in stretches], axis=1)
    step, mode = stream.engine.step, stream.engine.mode
    assert stretches[0][0] == mode.hop - mode.synthesis
    assert sound.shape[1] == len(audio) // step * step
    assert np.array_equal(sound[0], np.concatenate(masters))
    assert np.array_equal(sound[1:5], np.concatenate(stems, axis=1))

    own = stream.telemetry()
    assert seen == own
    assert (own.hops, own.misses, own.position) == (len(audio) // step, 0, len(audio) // step * step)
    assert own.work_ms == tuple(1000 * stream.work.percentile(p) for p in (0.5, 0.99, 0.999)) + (
        1000 * stream.work.longest,
    )
    signals = {"input": audio[: own.position], "output": np.concatenate(masters)}
    signals |= dict(zip(STEMS, np.concatenate(stems, axis=1), strict=True))
    for name, signal_ in signals.items():
        meter = Meter()
        meter.add(np.ascontiguousarray(signal_))
        assert own.meters[name] == pytest.approx(meter.read(), rel=1e-5)
    assert list(own.spectra) == list(signals)
    for name in signals:
        spectrum = SpectrumView(44100)
        spectrum.add(signals[name])
        assert own.spectra[name] == spectrum.read()
    assert "/telemetry/meter/drums" in telemetry_values(own, 0)


@pytest.mark.parametrize("rate", [8000, 44100, 192000])
def test_each_band_of_a_spectrum_is_the_loudest_of_its_bins(rate):
    view, noise = SpectrumView(rate), np.random.default_rng(3).standard_normal((4096, 2)).astype(np.float32)
    view.add(noise)
    frequencies = np.fft.rfftfreq(4096, 1 / rate)
    levels = np.abs(np.fft.rfft(noise.mean(axis=1) * np.hanning(4096))) * 2 / np.hanning(4096).sum()
    edges = np.searchsorted(frequencies, np.geomspace(30, min(20000, rate / 2.05), 129))
    highest = [levels[min(a, 2047) : max(b, min(a, 2047) + 1)].max() for a, b in pairwise(edges)]
    expected = np.clip(np.round((20 * np.log10(highest) + 90) / 90 * 255), 0, 255)
    assert np.abs(np.frombuffer(view.read(), np.uint8).astype(int) - expected).max() <= 1


def test_in_single_there_are_no_meters_of_stems(four_stems):
    stream, audio, masters, _ = driven(Separator.load(four_stems), "single")
    play(stream, audio, 128)
    meters = stream.telemetry().meters
    assert list(meters) == ["input", "output"]
    assert meters["output"][0] == np.abs(np.concatenate(masters)).max()


def test_hops_that_were_left_out_are_missing_in_the_positions(four_stems):
    stream, audio, masters, _ = driven(Separator.load(four_stems))
    play(stream, audio, 128, lambda position: not 3000 <= position < 7000)
    assert stream.misses > 0
    stretches = TrackReader(stream.taps.output).read()
    step = stream.engine.step
    assert len(stretches) == 2
    assert sum(s.sound.shape[1] for s in stretches) == step * len(masters)
    assert stretches[1].position + stretches[1].sound.shape[1] == stream.engine.start + step
    assert stream.telemetry().misses == stream.misses


def test_when_another_run_takes_over_its_sound_goes_on_where_it_belongs_and_its_meters_are_shown(four_stems):
    separator = Separator.load(four_stems)
    stream, audio, _, _ = driven(separator, "single")
    play(stream, audio, 128)
    assert list(stream.telemetry().meters) == ["input", "output"]
    reader = TrackReader(stream.taps.output)
    ended = reader.read()[-1]
    engine = Engine(separator, stream.engine.mode, 2, "stems", Mix((0.5, 0.0, 1.0, 1.0)))
    stream.succeed(successor(stream, engine, stream.latency))
    play(stream, audio, 128)
    (following,) = reader.read()
    assert following.generation == ended.generation + 1
    # What was made to catch up is not shown again, but for a step or two that it is behind by.
    step = engine.step
    assert abs(following.position - (ended.position + ended.sound.shape[1])) <= 2 * step
    assert following.position + following.sound.shape[1] == stream.engine.start + stream.chain.base + step
    assert list(View(stream.taps).telemetry().meters) == ["input", "output", *STEMS]


@pytest.mark.parametrize("names", [("low", "safe", "extreme", "low"), ("extreme", "lower")])
def test_what_is_tapped_has_neither_gap_nor_step_where_another_mode_takes_over(identity, names):
    separator = Separator.load(identity)
    modes = separator.metadata.modes
    audio = noise(24000)
    stream = open_stream(separator, modes[names[0]], Mix((1.0,)), reserve=1024)
    reader, sound, whole = TrackReader(stream.taps.output), [], np.zeros((2, 24000 * len(names), 2), np.float32)
    for name in names:
        if name is not names[0] or sound:
            engine = Engine(separator, modes[name], 2, "stems", Mix((1.0,)))
            stream.succeed(successor(stream, engine, chain_for(engine, 44100).latency(128, 1024)))
        sound.append(audio)
        play(stream, audio, 128)
        for stretch in reader.read():
            first = max(0, -stretch.position)
            part = stretch.sound[:2, first:]
            whole[:, stretch.position + first : stretch.position + first + part.shape[1]] = part
    end = stream.engine.start + stream.chain.base
    for row in whole:
        assert residual_db(row[:end], np.concatenate(sound)[:end]) < -100


# Recording.


def recorded(tmp_path: Path, frames: int, layout: Layout = Layout(2, 1 << 16, heard=2, heard_capacity=1 << 16)):
    taps = Taps(layout)
    taps.describe(DESCRIPTION)
    return taps, Recording(tmp_path / "heard.wav", 44100, tmp_path / "stems", 44100.0, STEMS, frames)


def test_a_tape_holds_what_was_heard_and_the_stems_from_the_first_sample_of_the_source_to_its_last(tmp_path):
    taps, recording = recorded(tmp_path, 5000)
    tape = Tape(recording, taps)
    stems = np.random.default_rng(0).standard_normal((4, 6000, 2)).astype(np.float32)
    for at in range(0, 6000, 200):
        taps.heard.append(stems[0, at : at + 200])
        if at != 2000:  # as after a miss
            taps.output.write(at - 300, 1, stems[1, at : at + 200], stems[:, at : at + 200])
    taps.count(30, 1, 0, 6000, None, WorkCounts(), None)
    files = tape.stop()
    assert tape.problem is None
    assert [path.name for path in files] == ["heard.wav", *(f"{name}.wav" for name in STEMS)]
    assert np.array_equal(soundfile.read(files[0], dtype="float32")[0], stems[0])
    wanted = stems.copy()
    wanted[:, 2000:2200] = 0
    for stem, path in zip(wanted, files[1:], strict=True):
        assert np.array_equal(soundfile.read(path, dtype="float32")[0], stem[300:5300])


def test_a_run_that_was_ended_early_leaves_stems_as_long_as_what_went_in(tmp_path):
    taps, recording = recorded(tmp_path, 10**9)
    tape = Tape(recording, taps)
    taps.output.write(-300, 1, counted(0, 1000), np.ones((4, 1000, 2), np.float32))
    taps.count(2, 0, 0, 1000, None, WorkCounts(), None)
    files = tape.stop()
    assert soundfile.info(files[1]).frames == 1000


def test_a_disk_that_is_too_slow_is_told_and_holds_nobody_up(tmp_path, monkeypatch):
    blocked, write = threading.Event(), FileSink.write
    monkeypatch.setattr(FileSink, "write", lambda sink, block: blocked.wait(30) and write(sink, block))
    taps, recording = recorded(tmp_path, 0)
    taps.heard.append(counted(0, 100))
    tape = Tape(recording, taps)
    for at in range(100, 200100, 1000):
        taps.heard.append(counted(at, 1000))
    blocked.set()
    files = tape.stop()
    assert "the disk was too slow" in tape.problem
    sound, _ = soundfile.read(files[0], dtype="float32")
    assert len(sound) == 200100
    assert ((sound == counted(0, 200100)) | (sound == 0)).all()
    assert np.count_nonzero(sound[:, 0]) > 10000


def test_a_full_disk_ends_the_recording_with_a_sentence(tmp_path, monkeypatch):
    def full(sink: FileSink, block: np.ndarray) -> None:
        raise HostError(f"writing {sink.path} failed (disk full); the recording ends here.")

    monkeypatch.setattr(FileSink, "write", full)
    taps, recording = recorded(tmp_path, 1000)
    tape = Tape(recording, taps)
    taps.heard.append(counted(0, 100))
    tape.stop()
    assert "heard.wav failed (disk full)" in tape.problem


# The engine's process.


@pytest.fixture
def memory():
    """The names of shared memory of this host that are there, compared with those before the test."""
    if not SHM.is_dir():
        pytest.skip("only Linux shows the names of shared memory")
    before = {path.name for path in SHM.glob("lasaft-*")}
    return lambda: {path.name for path in SHM.glob("lasaft-*")} - before


def plan_of(separator: Path, folder: Path, seconds: float = 20.0, **more) -> Plan:
    soundfile.write(folder / "in.wav", noise(int(44100 * seconds)), 44100, subtype="FLOAT")
    return Plan(separator, Mix((1.0,)), "low", device="null", block=128, source=str(folder / "in.wav"), **more)


def until(done, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_engine_that_is_killed_leaves_no_shared_memory_its_last_counts_and_the_recording(identity, tmp_path, memory):
    engine = RemoteEngine(plan_of(identity, tmp_path, record=tmp_path / "out.wav"))
    # The name is gone as soon as both have the memory.
    assert memory() == set()
    until(lambda: (seen := engine.telemetry()) is not None and seen.position > 20000)
    assert engine.position(time.time()) > 0
    os.kill(engine.pid, signal.SIGKILL)
    assert engine.wait(10)
    ended = engine.stop()
    assert ended.failure == "the engine's process ended unexpectedly; the sound has stopped"
    assert ended.telemetry.position >= 20000
    assert ended.telemetry == engine.telemetry()
    assert ended == engine.stop()
    assert soundfile.info(ended.files[0]).frames > 10000
    assert memory() == set()


def test_an_engine_that_dies_in_its_start_leaves_no_shared_memory(identity, tmp_path, memory):
    with pytest.raises(HostError, match="cannot be written"):
        RemoteEngine(plan_of(identity, tmp_path, record=tmp_path / "missing" / "out.wav"))
    assert memory() == set()


STARTER = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from test_taps import plan_of
from realtime.remote import RemoteEngine, Segment
if __name__ == "__main__":
    if sys.argv[3] == "early":
        Segment.take = lambda name: print("here", flush=True) or time.sleep(60)
    engine = RemoteEngine(plan_of(Path(sys.argv[1]), Path(sys.argv[2])))
    while engine.telemetry() is None:
        time.sleep(0.01)
    print(engine.pid, flush=True)
    if sys.argv[3] != "end":
        time.sleep(60)
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_a_control_that_is_killed_takes_the_engine_and_its_memory_along(identity, tmp_path, memory, when):
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    control = subprocess.Popen(
        [sys.executable, script, identity, tmp_path, when],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = control.stdout.readline().strip()
        assert said
        assert len(memory()) == (1 if when == "early" else 0)
    finally:
        control.kill()
    until(lambda: memory() == set())
    # Once the engine has ended as well, nobody has the other end of these any more.
    assert control.communicate(timeout=20) == ("", "")


def test_a_control_that_ends_without_stopping_says_nothing_of_shared_memory(identity, tmp_path, memory):
    script = tmp_path / "starter.py"
    script.write_text(STARTER)
    done = subprocess.run(
        [sys.executable, script, identity, tmp_path, "end"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert memory() == set()


def test_a_live_run_writes_its_stems_and_leaves_nothing_behind(tmp_path, memory):
    audio = noise(44100)
    soundfile.write(tmp_path / "in.wav", audio, 44100, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "run_live.py", "--model", "identity", "--device", "null", "--no-window"]
        + ["--input", str(tmp_path / "in.wav"), "--record", str(tmp_path / "out.wav"), "--stems", str(tmp_path / "stems")]
        + ["--osc-port", str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    (stem,) = (tmp_path / "stems").iterdir()
    written, _ = soundfile.read(stem, dtype="float32")
    assert written.shape == audio.shape
    if " misses 0 of" in " ".join(done.stdout.split()):
        assert np.abs(written - audio).max() < 1e-5
    assert memory() == set()
