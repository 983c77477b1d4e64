"""The mix in which nothing moves, compiled and not, against sums in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from realtime import mixdown


@pytest.mark.parametrize("wanted", ["_by_loops", "_by_products", "mix_steady"])
@pytest.mark.parametrize("streams", [1, 4])
def test_streams_are_added_up_and_their_power_is_told(wanted, streams):
    rng = np.random.default_rng(streams)
    gains = rng.standard_normal(streams + 2).astype(np.float32)
    stems, tails, dry = (rng.standard_normal(shape).astype(np.float32) for shape in ((streams, 514), (streams, 6), (514,)))
    master, tail = np.zeros(514, np.float32), np.zeros(6, np.float32)
    power, dry_power = getattr(mixdown, wanted)(gains, stems, tails, dry, master, tail)
    double = gains[:streams].astype(np.float64)
    assert np.allclose(master, double @ stems, atol=1e-5) and np.allclose(tail, double @ tails, atol=1e-5)
    assert power == pytest.approx(np.sum((double @ stems) ** 2), rel=1e-5)
    assert dry_power == pytest.approx(np.sum(dry.astype(np.float64) ** 2), rel=1e-5)
