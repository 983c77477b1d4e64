"""The bench: figures for every mode and run, and a delay that is measured rather than repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from realtime import bench as bench_module
from realtime.bench import Figures, bench, measure_delay
from realtime.errors import HostError
from realtime.latency import Mode, latency_for
from realtime.library import find_separator

FIGURES = Figures(
    mode="low", run="stems", block=512, hop=512, hops=5, latency_ms=23.2, deadline_ms=11.6, p50_ms=1.0, p99_ms=2.0,
    p999_ms=3.0, max_ms=4.0, load=0.1, misses=1, misses_control=1, delay_reported_samples=1024, delay_measured_samples=1024,
)
ASKED = {
    "mode", "run", "block", "hops", "latency_ms", "deadline_ms", "p50_ms", "p99_ms", "p999_ms", "max_ms", "misses",
    "misses_control", "delay_reported_samples", "delay_measured_samples",
}


@pytest.fixture
def without_measuring(monkeypatch):
    """Let every mode and run give FIGURES, but for `single` in "safe", which is refused."""

    def measured(task, show):
        if (task.mode, task.run) == ("safe", "single"):
            raise HostError("too heavy for this machine")
        show(1)
        return replace(FIGURES, mode=task.mode, run=task.run, hops=task.hops)

    monkeypatch.setattr(bench_module, "_measured", measured)


@pytest.mark.parametrize("block", [64, 100, 512, 777])
@pytest.mark.parametrize("mode", [Mode(512, 1024, "asymmetric-512"), Mode(256, 320, "asymmetric-64")])
def test_a_click_comes_out_as_late_as_reported(mode, block):
    latency = latency_for(mode, block, reserve=block)
    assert measure_delay(mode, latency, block, 44100, 44100.0) == latency.added


def test_a_delay_too_short_to_keep_is_not_measured_from_the_dry_sound():
    mode = Mode(512, 1024, "asymmetric-512")
    latency = latency_for(mode, 512, reserve=512)
    assert measure_delay(mode, replace(latency, window=0, reserve=0), 512, 44100, 44100.0) is None


def test_a_resampled_click_comes_out_as_late_as_reported_to_a_sample():
    mode = Mode(512, 1024, "asymmetric-512")
    latency = bench_module.chain_for(bench_module.identity_engine(mode, 44100.0), 48000).latency(512, 512)
    assert measure_delay(mode, latency, 512, 48000, 44100.0) == pytest.approx(latency.added, abs=1)


def test_a_few_hops_in_real_time_give_figures(tmp_path):
    figures = list(bench_module.measure(bench_module.Task(find_separator("identity"), music(tmp_path), "low", "single", 5)))[-1]
    assert figures.hops >= 5
    assert 0 < figures.p50_ms <= figures.p99_ms <= figures.p999_ms <= figures.max_ms
    assert figures.delay_measured_samples == figures.delay_reported_samples
    assert figures.latency_ms == pytest.approx(figures.delay_reported_samples / 44.1)


def music(folder: Path) -> Path:
    path = folder / "music.wav"
    bench_module.soundfile.write(path, bench_module.np.full((1000, 2), 0.1), 44100, "FLOAT")
    return path


def test_every_mode_and_run_is_in_the_table_and_the_file(without_measuring, tmp_path, capsys):
    path = tmp_path / "new folder" / "bench.json"
    status = bench(find_separator("identity"), 5, path)
    document = json.loads(path.read_text())
    assert set(document["modes"][0]) >= ASKED
    pairs = [(row["mode"], row["run"]) for row in document["modes"]]
    assert pairs == [(m, r) for m in ("safe", "low", "lower", "extreme") for r in ("single", "stems")][1:]
    assert document["machine"]["cores"] >= 1
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("p99.9 ms", "control misses", "extreme", "too heavy for this machine"))
    assert (status, document["refused"][0]["mode"]) == (1, "safe")


def test_misses_are_no_failure_but_a_wrong_delay_is(monkeypatch):
    monkeypatch.setattr(bench_module, "_measured", lambda task, show: FIGURES)
    assert bench(find_separator("identity"), 5, None) == 0
    monkeypatch.setattr(bench_module, "_measured", lambda task, show: replace(FIGURES, delay_measured_samples=1023))
    assert bench(find_separator("identity"), 5, None) == 1


def test_a_place_that_cannot_be_written_and_a_negative_count_are_refused(without_measuring, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="choose another place with --json"):
        bench(find_separator("identity"), 5, tmp_path / "file" / "bench.json")
    with pytest.raises(HostError, match="--hops -1"):
        bench(find_separator("identity"), -1, None)
