"""Claims about stepping down after repeated misses, and up again: with hysteresis, and never without need."""

from __future__ import annotations

import pytest

from realtime.governor import GRACE, LONGEST_QUIET, MISSES, QUIET, TRIAL, Governor

LOADS = {"safe": 0.17, "low": 0.18, "lower": 0.35, "extreme": 0.7}
BEAT = 1 / 30


class Run:
    """Beats of a run whose hops are missed where it is told so."""

    def __init__(self, wanted: str) -> None:
        self.governor = Governor(wanted, LOADS)
        self.now, self.hops, self.misses = 100.0, 0, 0

    def go(self, seconds: float, misses_a_second: float = 0.0, hops_a_second: float = 86.0) -> str | None:
        """Return the first step that is asked for within `seconds`."""
        whole = 0.0
        for _ in range(round(seconds / BEAT)):
            self.now += BEAT
            self.hops += round(hops_a_second * BEAT)
            whole += misses_a_second * BEAT
            self.misses, whole = self.misses + int(whole), whole - int(whole)
            if (step := self.governor.look(self.now, self.hops, self.misses)) is not None:
                return step
        return None


def test_repeated_misses_step_down_to_the_dearest_mode_that_costs_less():
    run = Run("extreme")
    assert run.go(10) is None
    assert run.go(3, misses_a_second=5) == "lower"
    run.governor.arrived("lower")
    assert run.go(5, misses_a_second=5) == "low"
    run.governor.arrived("low")
    # Nothing costs less to speak of.
    assert run.go(10, misses_a_second=5) is None


def test_a_miss_now_and_then_changes_nothing():
    run = Run("lower")
    assert run.go(600, misses_a_second=0.5) is None


def test_what_is_missed_at_the_very_start_changes_nothing():
    run = Run("lower")
    assert run.go(GRACE * 0.9, misses_a_second=40) is None
    assert run.go(10) is None


def test_few_of_many_hops_change_nothing():
    run = Run("extreme")
    assert run.go(20, misses_a_second=MISSES, hops_a_second=900) is None


def test_after_a_while_without_misses_it_steps_up_and_a_step_that_fails_makes_the_next_wait_longer():
    run = Run("extreme")
    quiet = QUIET
    for _ in range(8):
        assert run.go(10, misses_a_second=5) == "lower"
        run.governor.arrived("lower")
        assert run.go(quiet * 0.9) is None
        assert run.go(quiet * 0.2 + 1) == "extreme"
        run.governor.arrived("extreme")
        assert run.go(2) is None
        quiet = min(LONGEST_QUIET, 2 * quiet)
    assert quiet == LONGEST_QUIET


def test_it_steps_up_by_one_mode_at_a_time_and_never_beyond_what_is_wanted():
    run = Run("lower")
    assert run.go(5, misses_a_second=5) == "low"
    run.governor.arrived("low")
    assert run.go(2 * QUIET) == "lower"
    run.governor.arrived("lower")
    assert run.go(5 * LONGEST_QUIET) is None


def test_a_step_up_that_lasted_costs_no_patience():
    run = Run("extreme")
    for _ in range(3):
        assert run.go(5, misses_a_second=5) == "lower"
        run.governor.arrived("lower")
        assert run.go(QUIET + 2) == "extreme"
        run.governor.arrived("extreme")
        assert run.go(TRIAL + 1) is None


@pytest.mark.parametrize("mode", LOADS)
def test_a_lone_mode_stays(mode):
    run = Run(mode)
    run.governor = Governor(mode, {mode: LOADS[mode]})
    assert run.go(10, misses_a_second=20) is None
