"""Claims about the training: it goes on as if never stopped, learns through the host's windows, and says what is wrong."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="torch is not installed (extra: train)")
pytest.importorskip("lightning", reason="lightning is not installed (extra: train)")

from models.bandloss import band_sums, mask_loss
from models.card import MODES
from models.data.augmentation import Augmentation
from models.data.layout import STEMS
from models.data.pool import Pool
from models.data.pool_writer import PoolWriter
from models.data.recordings import RATE
from models.data.remix import Remix
from models.train import load, module
from models.train.__main__ import main
from models.train.batches import Source, heard
from models.train.compressed import compress, error, spectra
from models.train.conditions import Wishes, conditions_for
from models.train.keeper import Keeper
from models.train.losses import windows_loss
from models.train.masking import masked
from models.train.schedule import WARM_UP, Schedule
from models.train.windows import HOP, HostWindows, host_windows
from realtime.latency import Mode
from realtime.stft import Synthesis

N_FFT = 2048
CONFIG = {
    "architecture": "lasaft-bands",
    "bands": ((16, 64),),
    "width": 8,
    "bottleneck": 8,
    "layers": 2,
    "head_width": 4,
    "head_hidden": 8,
    "dropout": 0.2,
}


def _sound(seconds: float, seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((int(seconds * RATE), 2))).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two songs, one to train on and one to validate with, and a pool of noise."""
    root = tmp_path_factory.mktemp("music")
    writer = PoolWriter("songs")
    for number, split in enumerate(("train", "valid")):
        folder = root / "songs" / split / "song"
        folder.mkdir(parents=True)
        for index, stem in enumerate(STEMS):
            soundfile.write(folder / f"{stem}.wav", _sound(1.5, 10 * number + index), RATE)
    writer.add("one x1.0", {stem: _sound(6, index) for index, stem in enumerate(STEMS)}, {})
    writer.write(root / "pool")
    return root


@pytest.fixture(autouse=True)
def one_thread():
    """Training sets the threads of torch; other tests may want theirs."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def arguments(data: Path, run: Path, *more: object) -> list[str]:
    fixed = ["--data", data / "songs", "--pool", data / "pool", "--run", run, "--config", json.dumps(CONFIG)]
    fixed += ["--lanes", 2, "--frames", 8, "--log-every", 1, "--accelerator", "cpu", "--picture-minutes", 0]
    return [str(value) for value in (*fixed, *more)]


def losses(run: Path) -> dict[int, str]:
    """The losses in the log, in full."""
    with (run / "log.csv").open(newline="") as file:
        return {int(row["step"]): row["loss"] for row in csv.DictReader(file) if row["loss"]}


def checkpoint(run: Path, name: str = "last.pt") -> dict:
    return torch.load(run / name, weights_only=True)


@pytest.mark.parametrize("loss", ["bands", "windows"])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(data, tmp_path, loss):
    more = ["--loss", loss, "--augment"]
    assert main(arguments(data, tmp_path / "whole", *more, "--steps", 9)) == 0
    assert main(arguments(data, tmp_path / "parts", *more, "--steps", 6, "--save-minutes", 0)) == 0
    # As if it had been killed between a row of the log and the checkpoint after it.
    (tmp_path / "parts" / "last.pt").unlink()
    assert checkpoint(tmp_path / "parts", "previous.pt")["step"] == 5
    assert main(arguments(data, tmp_path / "parts", *more, "--steps", 9)) == 0
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert list(losses(tmp_path / "whole")) == list(range(1, 10))
    for part in ("model", "average"):
        wanted, found = (checkpoint(tmp_path / run)[part] for run in ("whole", "parts"))
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    network = load(tmp_path / "parts" / "best.pt")
    assert not network.training and network.config.to_dict() == load(tmp_path / "whole" / "last.pt").config.to_dict()


def test_a_remix_goes_on_from_its_state(data):
    def remix() -> Remix:
        window = np.hanning(N_FFT)
        return Remix(Pool(data / "pool"), 4, 8, HOP, window, seed=3, augmentation=Augmentation())

    first, second = remix(), remix()
    for _ in range(5):
        first.next()
    second.restore(first.state())
    for _ in range(6):
        assert all(torch.equal(a, b) for a, b in zip(first.next(), second.next(), strict=True))


def test_data_that_changed_begin_anew_and_it_is_said(data, tmp_path, capsys):
    assert main(arguments(data, tmp_path, "--steps", 2)) == 0
    assert main(arguments(data, tmp_path, "--steps", 3, "--frames", 9)) == 0
    assert "resumed at step 2; the data begin anew: frames changed" in capsys.readouterr().out
    assert main(arguments(data, tmp_path, "--steps", 3)) == 1
    assert "is at step 3 already" in capsys.readouterr().err


def test_sigterm_saves_and_stops(data, tmp_path, monkeypatch):
    original = Keeper.on_train_batch_end

    def stopping(self, trainer, training, *rest):
        if training.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, trainer, training, *rest)

    monkeypatch.setattr(Keeper, "on_train_batch_end", stopping)
    before = signal.getsignal(signal.SIGTERM)
    assert main(arguments(data, tmp_path, "--minutes", 5)) == 0
    assert 3 <= checkpoint(tmp_path)["step"] <= 4
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_loss_that_is_no_number_stops_and_the_last_good_checkpoint_is_kept(data, tmp_path, monkeypatch, capsys):
    calls = []

    def breaking(*arguments):
        loss, sdr = losses_of(*arguments)
        calls.append(loss)
        return (loss * float("nan") if len(calls) == 5 else loss), sdr

    losses_of = module.loss_of
    monkeypatch.setattr(module, "loss_of", breaking)
    assert main(arguments(data, tmp_path, "--steps", 9, "--save-minutes", 0)) == 1
    told = capsys.readouterr().err
    assert "the loss is not finite at step 4; training has stopped, and" in told and "last.pt is kept" in told
    document = checkpoint(tmp_path)
    assert document["step"] == 4
    assert all(tensor.isfinite().all() for tensor in document["model"].values())


def test_an_empty_folder_is_told_what_is_expected(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 1
    assert "Expected is one folder a song with vocals, drums, bass and other" in capsys.readouterr().err


def test_options_that_cannot_be_are_answered_in_a_sentence(data, tmp_path, capsys):
    assert main(["--data", "x", "--config", '{"hiden": 3}']) == 1
    assert "--config names hiden; known are architecture, n_fft, channels" in capsys.readouterr().err
    assert main(["--data", "x", "--frames", "3"]) == 1
    assert "--frames must be 8 at least" in capsys.readouterr().err
    assert main(arguments(data, tmp_path, "--steps", 1)) == 0
    other = json.dumps(CONFIG | {"latent_sources": 5})
    assert main([*arguments(data, tmp_path, "--steps", 2), "--config", other]) == 1
    assert "has other values of latent_sources than --config" in capsys.readouterr().err


def test_without_lightning_the_extra_is_named(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("models.train.run", "models.train.module"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    assert main(["--data", "x"]) == 1
    assert "training needs lightning, which is not installed: install the extra" in capsys.readouterr().err


def test_mixed_precision_trains(data, tmp_path):
    assert main(arguments(data, tmp_path, "--steps", 2, "--precision", "bf16")) == 0
    assert all(np.isfinite(float(loss)) for loss in losses(tmp_path).values())


def test_two_processes_train_one_network_on_music_of_their_own(data, tmp_path):
    command = [sys.executable, "-m", "models.train", *arguments(data, tmp_path, "--steps", 3, "--devices", 2)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("stopped at step 3") == 1
    one, other = checkpoint(tmp_path)["processes"]
    assert not torch.equal(one["state"], other["state"])
    assert main(arguments(data, tmp_path, "--steps", 4)) == 0
    assert len(checkpoint(tmp_path)["processes"]) == 1


def test_the_learning_rate_depends_on_the_step_alone():
    plain, falling = Schedule(1e-3, 5000), Schedule(1e-3, 5000, begin=600, length=400)
    assert plain.at(0) == pytest.approx(1e-3 / WARM_UP, rel=1e-3)
    assert plain.at(5000) == pytest.approx(1e-3 / 2**0.5)
    assert falling.at(600) == plain.at(600)
    assert falling.at(800) == pytest.approx(plain.at(800) / 2)
    assert falling.at(1000) == 0 and falling.over(1000) and not falling.over(999) and not plain.over(10**6)


def test_an_annealing_that_was_cut_short_goes_on_where_it_was(data, tmp_path):
    assert main(arguments(data, tmp_path, "--steps", 2)) == 0
    assert main(arguments(data, tmp_path, "--anneal", 4, "--steps", 4)) == 0
    assert checkpoint(tmp_path)["anneal"] == [2, 4]
    assert main(arguments(data, tmp_path, "--anneal", 4)) == 0
    assert checkpoint(tmp_path)["step"] == 6
    assert checkpoint(tmp_path)["anneal"] == [2, 4]


@pytest.fixture
def stems() -> tuple[torch.Tensor, torch.Tensor]:
    """Spectra of stems and their equalisers, as of `Remix.next`."""
    draw = torch.Generator().manual_seed(1)
    spectra = torch.randn(2, 4, 2, 10, N_FFT // 2 + 1, 2, generator=draw)
    spectra[..., [0, -1], 1] = 0
    return spectra, torch.rand(2, 4, N_FFT // 2 + 1, generator=draw) + 0.5


def switched() -> Wishes:
    draw = torch.Generator().manual_seed(2)
    return Wishes([conditions_for(2, draw), conditions_for(2, draw)], [6, 10])


def test_half_of_the_clips_switch_and_every_stem_is_asked_for_throughout():
    drawn = [Wishes.drawn(2, 10, torch.Generator().manual_seed(seed)) for seed in range(60)]
    assert 15 < sum(len(wishes.pieces) == 2 for wishes in drawn) < 45
    for wishes in drawn:
        condition = wishes.by_frame()
        assert wishes.ends[-1] == 10 and condition.shape[1] in (1, 10)
        assert torch.equal(condition[:, :, :4], torch.eye(4).expand(2, condition.shape[1], 4, 4))


def test_the_target_of_a_blend_is_the_blend_of_the_stems(stems):
    edges = np.arange(0, N_FFT // 2 + 1, 16)
    condition = switched().by_frame()
    sums, powers = band_sums(*stems, condition, edges)
    parts = torch.view_as_complex(stems[0]) * stems[1][:, :, None, None]
    blend = torch.einsum("bts,bsctf->bctf", condition[:, :, 4].to(parts.dtype), parts)[..., :-1]
    energy = blend.abs().square().unflatten(-1, (-1, 16)).sum(-1).transpose(1, 2)
    cross = (parts.sum(1)[..., :-1].conj() * blend).unflatten(-1, (-1, 16)).sum(-1).transpose(1, 2)
    assert np.allclose(sums[0, :, :, 4], energy, rtol=1e-4)
    assert np.allclose(sums[1, :, :, 4] + 1j * sums[2, :, :, 4], cross, rtol=1e-3, atol=1e-2)
    for piece, span in zip(switched().pieces, (slice(0, 6), slice(6, 10)), strict=True):
        alone, same = band_sums(stems[0][:, :, :, span], stems[1], piece, edges)
        assert np.array_equal(alone, sums[:, :, span]) and np.array_equal(same, powers[:, span])


def rows(spectra: torch.Tensor) -> np.ndarray:
    """Return complex `spectra` [streams, bins] of one channel as the host has them."""
    return torch.stack([spectra.real, spectra.imag], 1)[:, :, None].float().numpy()


@pytest.mark.parametrize("name", ["safe", "low"])
def test_what_is_heard_is_what_the_host_adds_up(stems, name):
    windows = host_windows([name], N_FFT)[0]
    target = heard(*stems, switched().by_frame(), windows, channel=1, place=0.3)
    parts = torch.view_as_complex(stems[0])[:, :, 1] * stems[1][:, :, None]
    condition = switched().by_frame()
    engine = Synthesis(windows.synthesis.numpy(), HOP, N_FFT, 5, 1)
    whole = []
    for frame in range(10):
        engine.add(rows(condition[0, frame].to(parts.dtype) @ parts[0, :, frame]))
        whole.append(engine.final[:, 0].copy())
    wanted = np.concatenate(whole[len(windows.synthesis) // HOP - 1 :], -1)
    assert target.sound.shape == (2, 5, 1, wanted.shape[-1])
    assert np.allclose(target.sound[0, :, 0], wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["lower", "extreme"])
def test_frames_of_states_that_take_turns_add_up_to_what_the_host_plays(name):
    windows, mode = host_windows([name], N_FFT)[0], MODES[name]
    turns = HOP // mode.hop
    draw = torch.Generator().manual_seed(4)
    frames = torch.randn(1, 8 * turns, 1, N_FFT // 2 + 1, dtype=torch.complex64, generator=draw)
    frames[..., [0, -1]] = frames[..., [0, -1]].real.to(frames.dtype)
    engine = Synthesis(windows.synthesis.numpy(), mode.hop, N_FFT, 1, 1)
    sums = np.zeros(8 * HOP + mode.synthesis)
    played = []
    for turn in range(turns):
        for number, part in enumerate(windows.heard(frames[:, turn::turns])[0, 0]):
            first = (number * turns + turn) * mode.hop
            sums[first : first + mode.synthesis] += part.numpy()
    for frame in range(8 * turns):
        engine.add(rows(frames[0, frame]))
        played.append(engine.final[0, 0].copy())
    assert np.allclose(np.concatenate(played), sums[: 8 * HOP], atol=1e-6)


def test_the_windows_loss_is_the_error_of_what_is_heard_and_its_slope(stems):
    windows = HostWindows("low", Mode(512, 1024, "asymmetric-512"), N_FFT)
    member = (torch.arange(N_FFT // 2 + 1) // 16).clamp(max=63)
    draw = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 10, 5, 2, 2, 64, generator=draw).requires_grad_()
    target = heard(*stems, switched().by_frame(), windows, channel=0, place=0.7)
    loss, sdr = windows_loss(logits, target, member)
    (gradient,) = torch.autograd.grad(loss, logits)

    mask = torch.complex(torch.sigmoid(logits[..., 0, 0, :]), 0.5 * torch.tanh(logits[..., 1, 0, :]))[..., member]
    sound = windows.heard(mask * target.mixture[:, :, None])
    distance = (sound - target.sound).square().sum((2, 3))
    energy, whole = target.sound.square().sum((2, 3)), windows.heard(target.mixture[:, :, None]).square().sum((2, 3))
    assert torch.allclose(sdr, 10 * torch.log10(energy / distance), atol=1e-3)
    quiet = 1e-8 * sound.shape[-1]
    wanted = torch.log10((distance + 1e-3 * whole + quiet) / (energy + 1e-2 * whole + quiet))
    mixture = windows.heard(target.mixture[:, :, None])
    sizes = [2048, 512, 128]
    for size in sizes:
        x, t, m = (compress(spectra(v, size, 0.7)) for v in (sound, target.sound, mixture))
        floor = 1e-3 * t[0, 0].numel()
        above = (x - t).abs().square().flatten(2).sum(2) + 0.01 * m.abs().square().flatten(2).sum(2) + floor
        below = t.abs().square().flatten(2).sum(2) + 0.05 * m.abs().square().flatten(2).sum(2) + floor
        wanted = wanted + torch.log10(above / below) / len(sizes)
    share = torch.where(energy > 1e-2 * whole, 1.0, 0.1)
    wanted = (10 * share * wanted).mean()
    (slope,) = torch.autograd.grad(wanted, logits)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert torch.allclose(gradient, slope, atol=2e-4 * slope.abs().max().item())


def test_compiled_and_plain_operations_agree():
    draw = torch.Generator().manual_seed(6)
    member = (torch.arange(65) // 16).clamp(max=3)
    logits = torch.randn(2, 3, 5, 2, 4, generator=draw).requires_grad_()
    mixture = torch.randn(2, 3, 65, dtype=torch.complex64, generator=draw)
    mask = torch.complex(torch.sigmoid(logits[:, :, :, 0]), 0.5 * torch.tanh(logits[:, :, :, 1]))
    pairs = [(masked(logits, mixture, member), mask[..., member] * mixture[:, :, None], logits)]
    x = torch.randn(2, 3, 4, 9, dtype=torch.complex64, generator=draw).requires_grad_()
    target = torch.randn(2, 3, 4, 9, dtype=torch.complex64, generator=draw)
    pairs.append((error(x, target), (compress(x) - target).abs().square().flatten(2).sum(2), x))
    for compiled, plain, source in pairs:
        assert torch.allclose(compiled, plain, atol=1e-4)
        weight = torch.rand(plain.shape, generator=draw)
        slopes = [torch.autograd.grad((v.abs() * weight).sum(), source)[0] for v in (compiled, plain)]
        assert torch.allclose(*slopes, atol=1e-4)


def test_the_band_loss_on_another_device_is_the_compiled_one(stems):
    edges = np.arange(0, N_FFT // 2 + 1, 16)
    quiet = stems[0].clone()
    quiet[1, 2] = 0
    sums, powers = band_sums(quiet, stems[1], switched().by_frame(), edges)
    logits = torch.randn(2, 10, 5, 2, 2, 64, generator=torch.Generator().manual_seed(7))
    found = []
    for arrays in ((sums, powers), (torch.from_numpy(sums), torch.from_numpy(powers))):
        copied = logits.clone().requires_grad_()
        loss, sdr = mask_loss(copied * 1.0, *arrays)
        loss.backward()
        found.append((loss.detach(), sdr, copied.grad))
    (loss, sdr, slope), (plain, same, gradient) = found
    assert plain.item() == pytest.approx(loss.item(), rel=1e-4)
    assert torch.allclose(sdr, same, atol=1e-3, equal_nan=True) and sdr.isnan().sum() == 1
    assert torch.allclose(slope, gradient, atol=1e-4 * slope.abs().max().item())


def test_a_batch_carries_the_state_after_it(data):
    def source() -> Source:
        remix = Remix(Pool(data / "pool"), 2, 8, HOP, np.ones(N_FFT), seed=0)
        return Source(remix, host_windows(["safe", "extreme"], N_FFT), np.arange(0, 1025, 16), True, 5)

    first, second = source(), source()
    batch = first.next()
    later = [first.next() for _ in range(3)]
    second.restore(batch.after)
    for wanted in later:
        found = second.next()
        assert found.heard.windows.name == wanted.heard.windows.name
        assert torch.equal(found.heard.sound, wanted.heard.sound)
        assert np.array_equal(found.powers, wanted.powers)
