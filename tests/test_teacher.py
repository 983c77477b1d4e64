"""Claims about learning from a trained network instead of from stems."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: train)")
pytest.importorskip("lightning", reason="lightning is not installed (extra: train)")

from models.architectures import network
from models.bandloss import band_sums
from models.lasaft_bands import LasaftBands
from models.train.__main__ import main
from models.train.batches import Batch
from models.train.conditions import Wishes
from models.train.teacher import Teacher
from realtime.errors import HostError
from tests.test_train import CONFIG, arguments, checkpoint, data, losses, one_thread  # noqa: F401 - fixtures

LANES, FRAMES = 2, 6


@pytest.fixture
def small() -> LasaftBands:
    return network(CONFIG | {"dropout": 0.0}).eval()


@torch.no_grad()
def test_the_sums_are_those_of_what_the_teacher_lets_be_heard(small):
    """Against its own separator contract, frame by frame, over two batches."""
    torch.manual_seed(1)
    small.static_share.fill_(0.3)
    small.static_mask.uniform_()
    edges = small.bands.edges
    spectra = torch.randn(LANES, 4, 2, 2 * FRAMES, small.config.n_fft // 2 + 1, 2)
    flat, teacher = torch.ones(LANES, 4, spectra.shape[4]), Teacher(small, small, LANES)
    found, conditions = [], []
    for start in (0, FRAMES):
        wishes = Wishes.drawn(LANES, FRAMES, torch.Generator().manual_seed(start))
        conditions.append(wishes.by_frame().expand(-1, FRAMES, -1, -1))
        part = spectra[:, :, :, start : start + FRAMES].contiguous()
        _, powers = band_sums(part, flat, wishes.by_frame()[:, :, :0], edges)
        found.append(teacher.sums(Batch(wishes, powers, None, None, {}), torch.ones(LANES, dtype=bool)))
    energy, conditions = torch.cat(found, 2)[0], torch.cat(conditions, 1)
    for lane in range(LANES):
        state = small.begin(1)
        for frame in range(2 * FRAMES):
            mixture = spectra[lane, :, :, frame].sum(0).permute(0, 2, 1).reshape(1, 4, 1, -1)
            estimate, state = small(mixture, conditions[lane, frame], state)
            power = estimate[:, :, 0, :-1].unflatten(1, (2, 2)).square().sum(2).numpy()
            assert np.allclose(energy[lane, frame], np.add.reduceat(power, edges[:-1], axis=-1), rtol=1e-3, atol=1e-3)


def test_a_pupil_that_was_killed_goes_on_as_if_it_had_not_been(data, tmp_path):  # noqa: F811
    assert main(arguments(data, tmp_path / "teacher", "--steps", 2)) == 0
    more = ["--teacher", tmp_path / "teacher" / "best.pt"]
    assert main(arguments(data, tmp_path / "whole", *more, "--steps", 6)) == 0
    assert main(arguments(data, tmp_path / "parts", *more, "--steps", 3)) == 0
    assert main(arguments(data, tmp_path / "parts", *more, "--steps", 6)) == 0
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    wanted, found = (checkpoint(tmp_path / run)["model"] for run in ("whole", "parts"))
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert main(arguments(data, tmp_path / "alone", "--steps", 6)) == 0
    assert losses(tmp_path / "alone") != losses(tmp_path / "whole")


def test_a_teacher_that_cannot_teach_is_refused_in_a_sentence(data, tmp_path, small, capsys):  # noqa: F811
    (tmp_path / "notes.pt").write_text("no network")
    assert main(arguments(data, tmp_path / "run", "--steps", 1, "--teacher", tmp_path / "notes.pt")) == 1
    assert "is no checkpoint to learn from" in capsys.readouterr().err
    assert main(arguments(data, tmp_path / "run", "--teacher", tmp_path / "notes.pt", "--loss", "windows")) == 1
    assert "--teacher goes with --loss bands" in capsys.readouterr().err
    with pytest.raises(HostError, match="other bands"):
        Teacher(LasaftBands(), small, 1)
