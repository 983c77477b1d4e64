"""Who may talk to the host, and how much they get; and how time tags are tracked."""

from __future__ import annotations

import random
import socket

import pytest

from realtime.errors import HostError
from realtime.peers import Allowance, AllowList, is_here, is_loopback
from realtime.tagclock import TagClock


def test_an_empty_list_allows_everybody():
    assert AllowList().allows("203.0.113.9")


def test_a_list_allows_its_addresses_its_networks_and_this_machine():
    allowed = AllowList(("192.168.1.0/24", "10.0.0.7", "172.16.5.5/16"))
    for host in ("192.168.1.77", "10.0.0.7", "172.16.200.1", "127.0.0.1", "127.9.9.9"):
        assert allowed.allows(host)
    for host in ("192.168.2.1", "10.0.0.8", "8.8.8.8"):
        assert not allowed.allows(host)


@pytest.mark.parametrize("entry", ["phone", "192.168.1.0/33", "::1", "300.1.1.1", ""])
def test_what_is_no_address_is_refused_with_what_is(entry):
    with pytest.raises(HostError, match="192.168.1.0/24"):
        AllowList((entry,))


def test_an_allowance_is_spent_and_grows_again_for_each_machine_alone():
    allowance = Allowance(rate=100)
    assert all(allowance.spend("a", 10, 0.0) for _ in range(10))
    assert not allowance.spend("a", 10, 0.0)
    assert allowance.spend("b", 100, 0.0)
    assert not allowance.spend("a", 10, 0.05)
    assert allowance.spend("a", 10, 0.11)
    assert allowance.spend("a", 100, 1000.0)
    assert not allowance.spend("a", 1, 1000.0)


def test_allowances_of_very_many_machines_take_no_more_memory():
    allowance = Allowance()
    for n in range(5000):
        allowance.spend(str(n), 1, 0.0)
    assert len(allowance._left) <= 256


def test_addresses_of_this_machine_are_told_from_others_and_always_allowed():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pass  # no way out of here, and so no other address
        else:
            assert is_here(probe.getsockname()[0])
            assert AllowList(("203.0.113.7",)).allows(probe.getsockname()[0])
    assert is_here("127.0.0.1") and not is_here("192.0.2.1")
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and not is_loopback("0.0.0.0")


def tracked(jitter_ms=0.0, drift_ppm=0.0, rate=44100, seconds=10):
    draw, clock = random.Random(0), TagClock()
    for n in range(seconds * 4):
        wall = 1.7e9 + n / 4
        origin = 1.7e9 - 100 + drift_ppm * 1e-6 * n / 4 + draw.gauss(0, jitter_ms / 1000)
        clock.look(wall, round((wall - origin) * rate), rate)
    return clock


def test_a_perfect_clock_leaves_nothing_but_the_rounding_to_samples():
    clock = tracked()
    assert clock.residual < 0.02
    assert abs(clock.drift) < 3


def test_the_residual_is_the_jitter_and_drift_is_told_apart_from_it():
    assert tracked(jitter_ms=2.0).residual == pytest.approx(2, rel=0.3)
    clock = tracked(drift_ppm=80)
    assert clock.residual < 0.02
    assert clock.drift == pytest.approx(80, abs=4)


def test_there_is_no_residual_before_there_is_enough_nor_while_no_sound_runs():
    assert tracked(seconds=1).residual is None
    clock = tracked()
    clock.look(1.7e9 + 100, None, 44100)
    assert clock.residual is None and clock.drift is None


def test_another_run_is_tracked_anew():
    clock = tracked()
    clock.look(1.7e9 + 11, 0, 44100)
    assert clock.residual is None
