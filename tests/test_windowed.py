"""What the window costs: stretches without it and with it are added up apart, and told beside each other."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace

import numpy as np
import pytest
from test_bench import IDENTITY, REPORT, without_measuring  # noqa: F401 - a fixture

import run_live
from realtime.bench import suite
from realtime.bench.page import page
from realtime.bench.table import tables
from realtime.bench.windowed import MOVES, Stretches, Sums, WindowFigures, cpu_seconds, movement
from realtime.errors import HostError
from realtime.packets import decode
from realtime.taps import Counts
from realtime.work import WorkCounts

CLOSED = Stretches(5166, 1, 2, 1.21, 1.93, 2.51, 0.104, 0.151, 0.034, None)
OPEN = replace(CLOSED, misses=3, misses_control=4, p99_ms=2.04, window_cpu=0.274)
WINDOW = WindowFigures("low", "stems", "offscreen", "stems", 6, 30.0, CLOSED, OPEN)


def counts(hops: int, misses: int, *took: float) -> Counts:
    """Counts of a run whose hops so far took so many seconds, `hops` and `misses` in number."""
    work = WorkCounts()
    for seconds in took:
        work.add(seconds)
    return Counts(1, hops, misses, 0, 0, None, work, np.zeros(0, np.float32))


def test_a_stretch_is_what_was_counted_between_its_ends():
    sums = Sums()
    late = np.array([0.0, 0.002, 0.013, 0.02])
    before, after = counts(100, 7, 0.5, 0.5), counts(104, 9, 0.5, 0.5, 0.001, 0.001, 0.001, 0.008)
    sums.add(before, after, late, reserve=0.012, seconds=2.0, cpu={"engine": 0.5, "control": 0.1})
    found = sums.figures(period=0.01)
    assert (found.hops, found.misses, found.misses_control) == (4, 2, 2)
    assert (found.p50_ms, found.p999_ms) == (pytest.approx(1, rel=0.03), pytest.approx(8, rel=0.03))
    assert found.load == pytest.approx(0.1, rel=0.03)
    assert (found.engine_cpu, found.control_cpu, found.window_cpu) == (0.25, 0.05, None)


def test_stretches_of_a_kind_add_up():
    sums = Sums()
    for start in (0, 50):
        before, after = counts(start, start), counts(start + 10, start + 1, *[0.002] * 10)
        sums.add(before, after, np.zeros(10), 0.01, 3.0, {"engine": 0.3, "window": 1.5})
    found = sums.figures(0.01)
    assert (found.hops, found.misses, found.misses_control) == (20, 2, 0)
    assert (found.engine_cpu, found.window_cpu) == (pytest.approx(0.1), pytest.approx(0.5))


def test_processor_time_that_the_system_did_not_tell_once_is_not_told_at_all():
    sums = Sums()
    for cpu in (0.1, None, 0.1):
        sums.add(counts(0, 0), counts(1, 0, 0.001), np.zeros(1), 0.01, 1.0, {"window": cpu})
    assert sums.figures(0.01).window_cpu is None


def test_processor_time_is_that_of_a_process():
    mine = cpu_seconds(os.getpid())
    assert mine is None or 0 < mine == pytest.approx(sum(os.times()[:2]), abs=0.1)
    assert cpu_seconds(2**30) is None


def test_the_condition_is_moved_as_the_separator_has_stems():
    ((_, message),) = decode(movement(random.Random(0), 3))
    assert message.address == "/condition" and len(message.values) == 3 and MOVES >= 30


def test_both_kinds_stand_beside_each_other_with_the_controls_misses():
    (table,) = [table for table in tables(replace(REPORT, window=WINDOW)) if "open" in table.head]
    assert table.head == ("", "closed", "open")
    told = {label: cells for label, *cells in table.rows}
    assert (told["misses"], told["misses control"], told["window CPU"]) == (["1", "3"], ["2", "4"], ["-", "27.4 %"])
    assert told["p99 ms"] == ["1.93", "2.04"] and "6 stretches of 30 s" in table.note and "offscreen" in table.note


def test_the_page_has_them_and_holds_the_contest_once():
    text = page(replace(REPORT, window=WINDOW))
    assert "Without the window and with it, low stems" in text
    assert text.count("<svg") == page(REPORT).count("<svg")


def test_the_window_is_measured_only_where_that_is_asked_for(without_measuring, monkeypatch, tmp_path, capsys):  # noqa: F811
    asked = []
    monkeypatch.setattr(suite, "measure_window", lambda *task: asked.append(task) or WINDOW)
    path = tmp_path / "bench.json"
    command = ["bench", "--model", str(IDENTITY), "--hops", "5", "--modes", "low", "--json", str(path)]
    assert run_live.main(command) == 0
    assert json.loads(path.read_text())["window"] is None and not asked
    assert run_live.main([*command, "--window"]) == 0
    document = json.loads(path.read_text())["window"]
    assert document["closed"]["misses_control"] == 2 and document["open"]["window_cpu"] == 0.274
    assert len(asked) == 1 and "window CPU" in capsys.readouterr().out


def test_a_window_that_does_not_open_is_a_note(without_measuring, monkeypatch, capsys):  # noqa: F811
    def failed(*_):
        raise HostError("the window did not open: Qt is not installed")

    monkeypatch.setattr(suite, "measure_window", failed)
    assert run_live.main(["bench", "--model", "identity", "--hops", "5", "--modes", "low", "--window"]) == 0
    assert "the window did not open: Qt is not installed" in capsys.readouterr().out
