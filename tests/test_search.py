"""The comparison of network variants: each streams, and what was found is kept."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch", reason="the networks need the train extra")
pytest.importorskip("lightning", reason="training needs the train extra")

from models.search import STEPS, VARIANTS, Row, read, steps_of, table, write
from realtime.errors import HostError

ROW = Row("a variant", 1_000_000, 90.0, [1.0, 2.0, 3.0, 4.0], [0.0] * 4, [5.0] * 4)


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_every_variant_gives_frame_by_frame_what_it_gives_of_the_whole(name):
    network = VARIANTS[name].network().eval()
    bins = network.config.n_fft // 2 + 1
    mixture, condition = torch.randn(1, 4, 6, bins), torch.eye(4)[:2]
    whole, last = network(mixture, condition, network.begin(1))
    state, parts = network.begin(1), []
    for frame in range(6):
        part, state = network(mixture[:, :, frame : frame + 1], condition, state)
        parts.append(part)
    assert torch.allclose(torch.cat(parts, 2), whole, atol=1e-4)
    assert torch.allclose(state, last, atol=1e-4)


def test_rows_are_kept_in_the_order_of_the_variants_and_shown(tmp_path):
    path = tmp_path / "figures" / "search.json"
    write(path, {"film": ROW, "live": ROW}, 700)
    assert list(read(path)) == ["live", "film"]
    assert read(path)["film"] == ROW
    assert "| a variant | 1.00 M | 0.0 |  |  | 0.00 | 2.50 | 5.00 | 1.5 min |" in table(read(path))
    assert json.loads(path.read_text())["steps"] == 700


def test_another_file_is_left_alone(tmp_path):
    path = tmp_path / "notes.json"
    path.write_text("[1, 2]")
    with pytest.raises(HostError, match="holds no rows of a search"):
        read(path)
    assert path.read_text() == "[1, 2]"


def test_measuring_keeps_the_steps_and_other_steps_are_not_mixed_in(tmp_path):
    path = tmp_path / "search.json"
    assert (steps_of(path), steps_of(path, 300)) == (STEPS, 300)
    write(path, {"live": ROW}, 450)
    assert steps_of(path) == steps_of(path, 450) == 450
    with pytest.raises(HostError, match="trained for 450 steps"):
        steps_of(path, 700)
