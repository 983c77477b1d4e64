"""The bench: figures for every mode and run, a delay that is measured rather than repeated, and a machine's own share."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from conftest import Graph, metadata

import run_live
from realtime.bench import Request, bench, card, contenders, machine, suite
from realtime.bench.arithmetic import count_macs, macs_of
from realtime.bench.bare import with_bare
from realtime.bench.card import Card
from realtime.bench.change import click_db, measure_click
from realtime.bench.child import Child
from realtime.bench.computer import peak_memory
from realtime.bench.contest import Refusal, Result, contest, result_of, turn
from realtime.bench.control import Schedule, lateness
from realtime.bench.delay import measure_delay
from realtime.bench.figures import Course, Figures, Measured, percentile
from realtime.bench.flooded import FloodFigures, measure_flood
from realtime.bench.osc import OscFigures, delays, measure_osc
from realtime.bench.paced import Record, left_no_time, measure, with_control
from realtime.bench.page import page, rate_sentence
from realtime.bench.report import Refused, Report
from realtime.bench.tagged import TagFigures, bundle, measure_tags
from realtime.bench.task import Task
from realtime.bridge import Bridge
from realtime.errors import HostError
from realtime.latency import Mode, latency_for
from realtime.library import find_separator
from realtime.packets import decode, encode
from realtime.separator import Separator

IDENTITY = find_separator("identity")
FIGURES = Figures(
    mode="low",
    run="stems",
    block=512,
    hop=512,
    hops=5,
    latency_ms=23.2,
    deadline_ms=11.6,
    p50_ms=1.0,
    p99_ms=2.0,
    p999_ms=3.0,
    max_ms=4.0,
    load=0.1,
    misses=1,
    misses_control=1,
    control_p99_ms=0.1,
    control_max_ms=12.0,
    delay_reported_samples=1024,
    delay_measured_samples=1024,
    click_db=0.5,
    click_change="all to acapella",
    memory_mb=200.0,
    mmacs=2.5,
    gmacs_per_second=2.5,
)
COURSE = Course(
    at=np.arange(5) / 86,
    took=np.array([1.0, 1.1, 1.0, 20.0, 1.0]),
    missed=np.array([3 / 86]),
    control=np.array([3 / 86]),
    split=(("window", 512), ("reserve", 512)),
    rate=44100,
    period=11.6,
)
OSC = OscFigures(
    mode="low",
    run="stems",
    messages=3,
    heard=2,
    p50_ms=15.0,
    p99_ms=20.0,
    max_ms=20.0,
    p50_samples=661,
    p99_samples=882,
    reserve_samples=512,
    block=512,
    hop=512,
    rate=44100,
    delays_samples=(661, 882),
)
TAGGED = TagFigures("low", "stems", 50, 50, 0, 0.013, 0.037, 0.021, -2.2)
FLOOD = FloodFigures("low", "stems", 10_000, 150_000, 15.0, 2584, 0, 2584, 3)
CONTEST = [
    result_of("<ours>", 4, 512, 44100, 2_000_000, np.full(8, 0.001)),
    result_of(f"ours, {contenders.ALONE}", 4, 0, 44100, 2_000_000, np.full(8, 0.0005)),
    result_of(contenders.PRODUCT, 0, 0, 44100, 40_000_000, np.full(8, 0.001)),
    result_of("HS-TasNet", 4, 512, 44100, None, np.full(8, 0.07)),
]
REPORT = Report(
    "a & b",
    "today",
    (Measured(FIGURES, COURSE),),
    (Refused("safe", "single", "<too heavy>"),),
    OSC,
    TAGGED,
    FLOOD,
    tuple(CONTEST),
    ("a peer is missing",),
    {"cpu": "a core", "cores": 2},
)
ASKED = {
    "mode",
    "run",
    "block",
    "hops",
    "latency_ms",
    "deadline_ms",
    "p50_ms",
    "p99_ms",
    "p999_ms",
    "max_ms",
    "load",
    "misses",
    "misses_control",
    "delay_reported_samples",
    "delay_measured_samples",
}


@pytest.fixture
def without_measuring(monkeypatch):
    """Let every mode and run give FIGURES, but for `single` in "safe", which is refused."""

    def measured(task, show):
        if (task.mode, task.run) == ("safe", "single"):
            raise HostError("too heavy for this machine")
        show(1)
        return Measured(replace(FIGURES, mode=task.mode, run=task.run, hops=task.hops), COURSE)

    monkeypatch.setattr(suite, "measure_paced", measured)
    monkeypatch.setattr(suite, "measure_osc", lambda *_: OSC)
    monkeypatch.setattr(suite, "measure_tags", lambda *_: TAGGED)
    monkeypatch.setattr(suite, "measure_flood", lambda *_: FLOOD)
    monkeypatch.setattr(
        suite, "contest", lambda *_: [*CONTEST, Refusal("a peer is missing"), Refusal("a peer is missing")]
    )


class Clock:
    """A clock that stands still but for those who sleep; `oversleep` says by how much the nth one does."""

    def __init__(self, oversleep: dict[int, float]) -> None:
        self.now, self._oversleep, self._sleeps = 0.0, oversleep, 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self._oversleep.get(self._sleeps, 0.0)
        self._sleeps += 1


# The delay.


@pytest.mark.parametrize("block", [64, 100, 512, 777])
@pytest.mark.parametrize(
    "mode", [Mode(512, 1024, "asymmetric-512"), Mode(256, 320, "asymmetric-64"), Mode(64, 128, "hann")]
)
def test_a_click_comes_out_as_late_as_reported(mode, block):
    latency = latency_for(mode, block, reserve=block)
    assert measure_delay(mode, latency, block, 44100, 44100.0) == latency.added


def test_a_delay_too_short_to_keep_is_not_measured_from_the_dry_sound():
    mode = Mode(512, 1024, "asymmetric-512")
    latency = latency_for(mode, 512, reserve=512)
    assert measure_delay(mode, replace(latency, window=0, reserve=0), 512, 44100, 44100.0) is None


# The control.


def test_a_control_that_is_always_in_time_has_no_misses():
    clock = Clock({})
    late = lateness(Schedule(begin=1.0, period=0.01, reserve=0.005, hops=20), clock, clock.sleep)
    np.testing.assert_allclose(late, 0, atol=1e-12)
    assert clock.now == pytest.approx(1.19)


def test_a_late_wake_leaves_the_deadlines_of_the_following_ones_where_they_were():
    clock = Clock({3: 0.026})
    late = lateness(Schedule(begin=0.5, period=0.01, reserve=0.005, hops=10), clock, clock.sleep)
    np.testing.assert_allclose(late[2:7], [0, 0.026, 0.016, 0.006, 0], atol=1e-12)


def test_work_that_takes_too_long_is_late_and_those_behind_it_with_it():
    clock = Clock({})
    spent = iter([0.0, 0.025, 0.0, 0.0, 0.0])
    schedule = Schedule(begin=0.5, period=0.01, reserve=0.005, hops=5)
    late = lateness(schedule, clock, clock.sleep, lambda: clock.sleep(next(spent)))
    np.testing.assert_allclose(late, [0, 0.025, 0.015, 0.005, 0], atol=1e-12)


@pytest.mark.parametrize(("reserve", "misses"), [(60.0, 0), (-1.0, 5)])
def test_the_network_without_the_host_keeps_the_same_schedule(reserve, misses):
    schedule = Schedule(begin=0.0, period=0.002, reserve=reserve, hops=5)
    task = Task(IDENTITY, Path("unused"), "low", "stems", 5)
    assert with_bare(FIGURES, task, schedule) == replace(FIGURES, misses_bare=misses)


def test_the_controls_misses_are_those_later_than_the_reserve_and_change_no_other_figure():
    schedule = Schedule(begin=7.0, period=0.01, reserve=0.005, hops=4)
    measured = with_control(Measured(FIGURES, COURSE), schedule, np.array([0.0, 0.004, 0.006, 0.009]))
    assert measured.figures.misses_control == 2
    assert measured.figures.control_max_ms == pytest.approx(9)
    np.testing.assert_allclose(measured.course.control, [0.026, 0.039])
    kept = replace(measured.figures, misses_control=1, control_p99_ms=0.1, control_max_ms=12.0)
    assert kept == FIGURES


# The paced run.


@pytest.mark.parametrize("loop", ["compiled", "python"])
def test_the_card_plays_its_music_over_and_over(loop, monkeypatch):
    if loop == "python":
        monkeypatch.setattr(card, "_compiled_loop", lambda: None)
    elif card._compiled_loop() is None:
        pytest.skip("there is no compiled loop on this system")
    music = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
    bridge, device = Bridge(latency=0, hop=64, tail_weights=np.zeros(0)), Card(music, 44100, 64, calls=20)
    device.start(bridge)
    while bridge.available() < 3000:
        assert device.active()
        time.sleep(0.001)
    device.stop()
    assert not device.active() and device.error is None
    heard = np.zeros((bridge.available(), 2), np.float32)
    assert bridge.read(0, len(heard), heard)
    assert len(heard) % 64 == 0
    np.testing.assert_array_equal(heard, np.resize(music, heard.shape))
    assert (device.late >= 0).all() if loop == "compiled" else np.isnan(device.late).all()


def test_hops_that_a_late_card_left_no_time_for_are_told_apart():
    late = np.zeros(12)
    # Blocks of 10 ms, two of them a hop, which is played two blocks later.
    late[3], late[6] = 0.019, 0.008
    ends = 200 * np.arange(1, 5)
    assert left_no_time(late, ends, 100, 2, 0.002, 10000) == 1
    assert left_no_time(late, ends, 100, 2, 0.0005, 10000) == 0
    # Where the one that plays it is late as well, there is time.
    late[5] = 0.005
    assert left_no_time(late, ends, 100, 2, 0.002, 10000) == 0
    late[3], late[9:] = 0.0, np.nan
    assert left_no_time(late, ends, 100, 2, 0.011, 10000) == 0
    late[5] = 0.015
    assert left_no_time(late[:9], ends, 100, 2, 0.011, 10000) == 1
    assert left_no_time(np.full(12, np.nan), ends, 100, 2, 0.002, 10000) is None


def test_a_record_keeps_every_hop_and_when_one_was_missed():
    stream, clock = SimpleNamespace(misses=2), Clock({})
    record = Record(stream, 4, clock)
    for took, misses in ((0.001, 2), (0.003, 3), (0.002, 3), (0.001, 5), (0.009, 5)):
        stream.misses = misses
        clock.now += 0.01
        record.add(took)
    at, took, missed = record.course(begun=0.005, misses_before=2)
    np.testing.assert_allclose(took, [0.001, 0.003, 0.002, 0.001])
    np.testing.assert_allclose(at, [0.005, 0.015, 0.025, 0.035])
    np.testing.assert_allclose(missed, [0.015, 0.035, 0.035])
    assert record.longest == 0.009  # telemetry goes on beyond what is kept


def test_a_percentile_is_one_of_the_hops():
    times = np.arange(1, 10_001) / 1000
    assert [percentile(times, share) for share in (0.5, 0.99, 0.999)] == pytest.approx([5.0, 9.9, 9.99])


def test_a_few_hops_in_real_time_give_figures(tmp_path):
    music = tmp_path / "music.wav"
    soundfile.write(music, np.full((1000, 2), 0.1), 44100, "FLOAT")
    *_, measured = messages = list(measure(Task(IDENTITY, music, "low", "single", 5, block=256)))
    figures, course = measured.figures, measured.course
    (schedule,) = [message for message in messages if isinstance(message, Schedule)]
    assert (schedule.hops, figures.block) == (5, 256)
    assert figures.hops >= 5
    assert 0 < figures.p50_ms <= figures.p99_ms <= figures.p999_ms <= figures.max_ms
    assert figures.agrees
    assert figures.latency_ms == pytest.approx(figures.delay_reported_samples / 44.1)
    assert sum(samples for _, samples in course.split) == figures.delay_reported_samples
    assert len(course.took) == len(course.at) <= 5


def test_a_reserve_that_is_asked_for_is_in_the_delay(tmp_path):
    music = tmp_path / "music.wav"
    soundfile.write(music, np.full((1000, 2), 0.1), 44100, "FLOAT")
    *_, measured = measure(Task(IDENTITY, music, "low", "single", 5, block=256, reserve=0.02))
    assert measured.figures.deadline_ms == pytest.approx(4 * 256 / 44.1)
    assert measured.figures.agrees
    with pytest.raises(SystemExit):
        run_live.main(["--reserve", "much"])
    assert run_live.main(["--device", "null", "--no-window", "--reserve", "201"]) == 1


# OSC.


def test_a_message_is_heard_where_sound_turns_to_silence_and_back():
    sound = np.full((4000, 2), 0.1, np.float32)
    sound[1100:2300] = 0
    sound[3100:] = 0
    sound[500, 0] = sound[700:710] = 0  # one channel, or a few samples, are no silence
    assert delays(sound, [(400, True), (2000, False), (3000, True)]) == [700, 300, 100]


def test_a_message_whose_change_cannot_be_told_is_left_out():
    sound = np.zeros((4000, 2), np.float32)
    sound[:1500] = 0.1
    assert delays(sound, [(400, True), (1000, False), (2000, True), (9000, False)]) == [None, None, None, None]


def test_messages_to_a_real_host_are_heard_after_they_were_sent():
    shown: list[int] = []
    figures = measure_osc(IDENTITY, "low", "stems", None, 3, shown.append)
    assert shown == [1, 2, 3]
    assert 1 <= figures.heard == len(figures.delays_samples) <= 3
    assert figures.block < min(figures.delays_samples) <= figures.p50_samples <= figures.p99_samples


def test_bundles_of_a_real_host_land_on_a_line_through_their_tags():
    shown: list[int] = []
    figures = measure_tags(IDENTITY, "low", "stems", None, 6, shown.append)
    assert shown == [1, 2, 3, 4, 5, 6]
    assert 3 <= figures.heard <= figures.messages == 6
    assert figures.jitter_rms_ms <= figures.jitter_max_ms


def test_a_bundle_says_when_it_is_due():
    ((due, message),) = decode(bundle(1_700_000_000.25, encode("/ping", "", ())))
    assert (due, message.address) == (1_700_000_000.25, "/ping")


def test_a_real_host_is_flooded_in_every_other_spell():
    shown: list[int] = []
    figures = measure_flood(IDENTITY, "low", "stems", None, 0.5, shown.append)
    assert shown == [1, 2, 3, 4]
    assert figures.messages > 1000
    assert figures.hops_quiet > 10 and figures.hops_flooded > 10


# The click of a change.


def test_a_click_is_measured_against_the_steady_tone_beside_it():
    difference = np.full(100, 0.01)
    difference[40] = 0.1
    steady = [slice(0, 30), slice(60, 90)]
    assert click_db(difference, slice(35, 50), steady, floor=1e-4) == pytest.approx(20)
    assert click_db(difference, slice(42, 50), steady, floor=1e-4) == pytest.approx(0)
    assert click_db(0 * difference + 1e-9, slice(35, 50), steady, floor=1e-4) == pytest.approx(-100)


@pytest.mark.parametrize("run", ["single", "stems"])
def test_a_glide_clicks_less_than_a_jump(run):
    separator = Separator.load(IDENTITY)
    mode = separator.metadata.modes["low"]
    glide, jump = (measure_click(separator, mode, run, seconds).db for seconds in (0.03, 0.0))
    assert glide < 12 < 30 < jump


# Arithmetic.


@pytest.mark.parametrize(
    ("kind", "ins", "outs", "macs"),
    [
        ("MatMul", [[1, 4, 6], [1, 6, 9]], [[1, 4, 9]], 4 * 6 * 9),
        ("Gemm", [[6, 4], [6, 9], [9]], [[4, 9]], 4 * 6 * 9),
        ("Conv", [[1, 8, 10], [16, 4, 3]], [[1, 16, 8]], 16 * 8 * 4 * 3),
        ("ConvTranspose", [[1, 8, 10], [8, 16, 2]], [[1, 16, 20]], 8 * 10 * 16 * 2),
        ("GRU", [[5, 2, 7], [1, 12, 7], [1, 12, 4]], [[5, 1, 2, 4]], 5 * 2 * 12 * 11),
        ("Add", [[4, 9], [9]], [[4, 9]], 0),
    ],
)
def test_multiply_accumulates_follow_from_shapes(kind, ins, outs, macs):
    assert macs_of(kind, ins, outs) == macs


def test_a_separator_is_counted_as_it_is_called(tmp_path):
    graph = Graph()
    bins = 513
    graph.op("MatMul", "condition", graph.weight(np.ones((4, bins), np.float32)), output="masks")
    axes = graph.weight(np.array([1, 2], np.int64))
    graph.op("Mul", "mixture", graph.op("Unsqueeze", "masks", axes), output="estimate")
    path = graph.write(tmp_path / "masks.onnx", metadata("masks", ("vocals", "drums", "bass", "other")), {})
    assert [count_macs(Separator.load(path), stems) for stems in (1, 4)] == [4 * bins, 16 * bins]


# The contest.


def test_a_turn_times_each_step():
    clock = Clock({})
    waits = iter([0.001, 0.005, 0.002])
    np.testing.assert_allclose(turn(lambda: clock.sleep(next(waits)), 3, clock), [0.001, 0.005, 0.002])


def test_a_result_tells_load_late_hops_and_rate():
    result = result_of("x", 4, 441, 44100, 6_000_000, np.array([0.002, 0.003, 0.011]))
    assert (result.late, result.hops) == (1, 3)
    assert (result.p50_ms, result.period_ms) == (pytest.approx(3), pytest.approx(10))
    assert (result.load, result.gmacs_per_second) == (pytest.approx(0.3), pytest.approx(2))


def test_who_cannot_take_part_does_not_keep_the_others_from_it():
    shown: list[int] = []
    entries = [(contenders.ours, (Path("nowhere.onnx"), "low", "stems")), (contenders.matrix_product, ())]
    refusal, result = contest(entries, 2, 2, shown.append)
    assert "cannot be read" in refusal.reason
    assert isinstance(result, Result)
    assert (result.name, result.hops, shown) == (contenders.PRODUCT, 4, [1, 2])


def test_ours_computes_all_stems_of_a_hop():
    entrant = contenders.ours(IDENTITY, "low", "stems")
    assert entrant.step() is True
    assert (entrant.stems, entrant.hop, entrant.rate, entrant.macs) == (1, 512, 44100, 0)


def test_a_peer_that_is_missing_or_broken_is_told_in_a_sentence(monkeypatch):
    for name in contenders._BESIDE:
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    monkeypatch.setattr(contenders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HostError, match="pip install hs-tasnet"):
        contenders.hs_tasnet(small=False)
    monkeypatch.setattr(contenders.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "hs_tasnet", None)
    with pytest.raises(HostError, match="installed but does not load"):
        contenders.hs_tasnet(small=False)


def test_the_peers_stream_is_fed_hops_of_its_own_length(monkeypatch):
    fed = []

    class Network:
        overlap_len, sample_rate = 512, 44100

        def __init__(self, small):
            self.small = small

        def init_stateful_transform_fn(self):
            return lambda chunk: fed.append((chunk.shape, chunk.dtype)) or np.zeros((4, 2, 512))

    for name in contenders._BESIDE:
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name))
    monkeypatch.setattr(contenders.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(contenders.importlib.metadata, "version", lambda package: "9")
    monkeypatch.setitem(sys.modules, "hs_tasnet", SimpleNamespace(HSTasNet=Network))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(set_num_threads=lambda count: None))
    entrant = contenders.hs_tasnet(small=True)
    entrant.step()
    assert (entrant.name, entrant.stems, entrant.hop) == ("HS-TasNet small 9", 4, 512)
    assert fed == [((2, 512), np.float32)] * 2


def test_the_engine_alone_gives_one_stereo_stream():
    entrant = contenders.engine_alone()
    assert (entrant.name, entrant.stems, entrant.hop, entrant.macs) == (contenders.ENGINE, 1, 512, None)
    assert entrant.step()


def test_the_rate_is_told_beside_the_matrix_product():
    assert rate_sentence(CONTEST) == (
        f"ours, {contenders.ALONE}: 4.0 GMAC/s, 10 % of the 40.0 GMAC/s that a plain matrix product reaches on this core "
        "in the same run."
    )
    assert rate_sentence(CONTEST[2:]) is None


# Processes.


def _complain(pipe, sentence: str) -> None:
    raise HostError(sentence)


def _die(pipe) -> None:
    sys.exit(3)


def test_what_is_wrong_in_a_child_is_said_here():
    with Child(_complain, "too heavy") as child, pytest.raises(HostError, match="too heavy"):
        child.receive()
    with Child(_die) as child, pytest.raises(HostError, match="ended unexpectedly"):
        child.receive()


def test_memory_is_that_of_this_process():
    memory = peak_memory()
    assert memory is None or memory > 10e6


# The whole.


def test_every_mode_and_run_is_in_the_table_and_the_file(without_measuring, tmp_path, capsys):
    path = tmp_path / "new folder" / "bench.json"
    status = bench(Request(IDENTITY, 5, json=path))
    document = json.loads(path.read_text())
    assert set(document["modes"][0]) >= ASKED
    pairs = [(row["mode"], row["run"]) for row in document["modes"]]
    assert pairs == [(m, r) for m in ("safe", "low", "lower", "extreme") for r in ("single", "stems")][1:]
    assert document["machine"]["cores"] >= 1
    assert document["osc"]["p99_ms"] == 20.0
    assert document["tagged"]["jitter_max_ms"] == 0.037
    assert document["flood"]["misses_flooded"] == 3
    assert [peer["name"] for peer in document["peers"]] == [each.name for each in CONTEST]
    assert document["notes"] == ["a peer is missing"]
    printed = capsys.readouterr().out
    words = (
        "p99.9 ms",
        "misses control",
        "extreme",
        "too heavy for this machine",
        "OSC message",
        "HS-TasNet",
        "40.0 GMAC/s",
    )
    assert all(word in printed for word in words)
    assert (status, document["refused"][0]["mode"]) == (1, "safe")


def test_only_what_is_asked_for_is_measured(without_measuring, tmp_path):
    path = tmp_path / "bench.json"
    command = ["bench", "--model", "identity", "--hops", "5", "--json", str(path)]
    assert run_live.main([*command, "--modes", "low", "lower", "--runs", "stems"]) == 0
    pairs = [(row["mode"], row["run"]) for row in json.loads(path.read_text())["modes"]]
    assert pairs == [("low", "stems"), ("lower", "stems")]
    assert run_live.main([*command, "--latency", "extreme"]) == 0
    assert {row["mode"] for row in json.loads(path.read_text())["modes"]} == {"extreme"}


@pytest.mark.parametrize(("options", "peers"), [([], 2), (["--no-peers"], 0)])
def test_peers_are_asked_in_unless_they_are_not_wanted(without_measuring, monkeypatch, options, peers):
    entered = []
    monkeypatch.setattr(suite, "contest", lambda entries, *_: entered.extend(entries) or CONTEST)
    assert run_live.main(["bench", "--model", "identity", "--hops", "5", "--modes", "low", *options]) == 0
    assert [make for make, _ in entered].count(contenders.hs_tasnet) == peers
    assert contenders.matrix_product in [make for make, _ in entered]


def test_misses_are_no_failure_but_a_wrong_delay_is(without_measuring, monkeypatch):
    for delay, status in ((1024, 0), (1023, 1), (None, 1)):
        figures = replace(FIGURES, delay_measured_samples=delay)
        monkeypatch.setattr(suite, "measure_paced", lambda task, show, f=figures: Measured(f, COURSE))
        assert bench(Request(IDENTITY, 5, ("low",))) == status


def test_a_bench_whose_osc_failed_still_tells_the_rest(without_measuring, monkeypatch, capsys):
    def failed(*_):
        raise HostError("none was heard")

    monkeypatch.setattr(suite, "measure_osc", failed)
    assert bench(Request(IDENTITY, 5, ("low",))) == 0
    assert "OSC: none was heard" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"hops": -1}, "--hops -1"),
        ({"block": 16}, "--block 16"),
        ({"modes": ("fast",)}, "latency mode 'fast'; it offers safe"),
        ({"runs": ("both",)}, "does not run as 'both'; it runs as single, stems"),
    ],
)
def test_what_makes_no_bench_is_refused_before_anything_is_measured(asked, said):
    with pytest.raises(HostError, match=re.escape(said)):
        bench(Request(IDENTITY, **asked))


@pytest.mark.parametrize("option", ["json", "html"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(option, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=f"choose another place with --{option}"):
        bench(Request(IDENTITY, 5, **{option: tmp_path / "file" / "bench"}))
    with pytest.raises(HostError, match=f"is a folder; choose a file with --{option}"):
        bench(Request(IDENTITY, 5, **{option: tmp_path}))


# The page.


class _Outside(HTMLParser):
    """Collects what a page would run, or load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        names = {name for name, _ in attributes}
        if tag in ("script", "link", "img", "iframe") or names & {"src", "href", "onclick", "onload"}:
            self.found.append(tag)


def test_the_page_needs_no_other_file_and_no_script():
    text = page(REPORT)
    outside = _Outside()
    outside.feed(text)
    assert outside.found == []
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert "Bench of a &amp; b" in text and "&lt;too heavy&gt;" in text and "<ours>" not in text


def test_every_picture_of_the_page_is_well_formed_and_says_what_it_shows():
    pictures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page(REPORT), re.DOTALL)]
    assert len(pictures) == 5
    assert all(picture.get("aria-label") and picture.find("title").text for picture in pictures)
    shown = " ".join("".join(picture.itertext()) for picture in pictures)
    assert all(
        word in shown for word in ("deadline 11.6 ms", "1 misses", "1 control", "window", "reserve", "HS-TasNet")
    )
    kinds = {element.get("class") for picture in pictures for element in picture.iter()}
    assert {"late", "control", "deadline", "measured", "stems", "window"} <= kinds


def test_a_page_is_written_even_where_nothing_could_be_measured(without_measuring, tmp_path):
    path = tmp_path / "bench.html"
    assert bench(Request(IDENTITY, 5, ("safe",), ("single",), html=path)) == 1
    assert "too heavy for this machine" in path.read_text(encoding="utf-8")


def test_the_machine_is_described():
    assert {"cpu", "cores", "system", "python", "numpy", "onnxruntime"} <= set(machine())
