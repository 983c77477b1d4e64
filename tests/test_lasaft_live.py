"""LaSAFT-Live and its training, against explicit formulas."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the networks need the train extra")

from models.architectures import network as build
from models.bandloss import QUIET, band_sums, mask_loss
from models.bands import Bands
from models.data.remix import Remix
from models.lasaft_bands import GroupLinear, LasaftBandsConfig, LatentSources
from models.lasaft_live import LasaftLiveConfig
from models.live_network import LiveNetwork
from models.recurrence import gated
from models.train import conditions_for
from realtime.engine import Engine, full_mix
from realtime.latency import Mode
from realtime.metadata import Metadata, Training
from realtime.separator import Separator
from realtime.windows import analysis_window, synthesis_window

SMALL = LasaftLiveConfig(
    n_fft=128, bands=((1, 16), (4, 12)), hidden=24, bottleneck=8, head_channels=4, head_width=3, head_hidden=16
)
SMALL_BANDS = LasaftBandsConfig(
    n_fft=128, bands=((1, 16), (4, 12)), group=4, width=6, bottleneck=8, layers=2, head_width=4, head_hidden=8
)


@pytest.fixture(params=[SMALL, SMALL_BANDS], ids=lambda config: config.architecture)
def network(request) -> LiveNetwork:
    torch.manual_seed(0)
    return build(request.param.to_dict()).eval()


def spectrum(frames: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 4, frames, SMALL.n_fft // 2 + 1, generator=generator)


@torch.no_grad()
def test_frame_by_frame_equals_the_whole_clip(network):
    mixture, condition, state = spectrum(20), torch.rand(3, 4), network.initial_states()[0]
    whole, last = network(mixture, condition, state)
    parts = []
    for frame in range(20):
        estimate, state = network(mixture[:, :, frame : frame + 1], condition, state)
        parts.append(estimate)
    assert torch.allclose(torch.cat(parts, 2), whole, atol=1e-5)
    assert torch.allclose(state, last, atol=1e-5)


@torch.no_grad()
def test_no_frame_knows_the_next(network):
    mixture, condition, state = spectrum(10), torch.eye(4), network.initial_states()[0]
    before, _ = network(mixture, condition, state)
    mixture[:, :, 6:] = 5.0
    after, _ = network(mixture, condition, state)
    assert torch.equal(before[:, :, :6], after[:, :, :6])
    assert not torch.equal(before[:, :, 6:], after[:, :, 6:])


@torch.no_grad()
def test_a_stem_is_the_same_alone_and_among_others(network):
    mixture, state = spectrum(5), network.initial_states()[0]
    together, _ = network(mixture, torch.eye(4), state)
    for stem in range(4):
        alone, _ = network(mixture, torch.eye(4)[stem : stem + 1], state)
        assert torch.allclose(alone[0], together[stem], atol=1e-6)


@torch.no_grad()
def test_silence_stays_silent(network):
    estimate, _ = network(torch.zeros(1, 4, 8, 65), torch.rand(2, 4), network.initial_states()[0])
    assert estimate.abs().max() == 0


@torch.no_grad()
def test_attention_weighs_the_latent_sources(network):
    weights = network.head.attention(network.head.embed(torch.rand(5, 4)))
    assert weights.shape == (5, SMALL.latent_sources)
    assert torch.allclose(weights.sum(-1), torch.ones(5))


def test_the_recurrence_and_its_gradients_are_the_same_in_every_way_it_is_computed():
    torch.manual_seed(0)
    z, u, begin, weights = torch.rand(3, 9, 5), torch.randn(3, 9, 5), torch.randn(3, 5), torch.randn(3, 9, 5)

    def computed(pieces: int, kind: torch.dtype) -> list[torch.Tensor]:
        inputs = [x.to(kind).requires_grad_() for x in (z.clone(), u.clone(), begin.clone())]
        held, last = [], inputs[2]
        for opening, update in zip(inputs[0].split(pieces, 1), inputs[1].split(pieces, 1), strict=True):
            held.append(gated(opening, update, last))
            last = held[-1][:, -1]
        whole = torch.cat(held, 1)
        return [whole, *torch.autograd.grad((whole * weights).sum(), inputs)]

    # By threes frame by frame; at once compiled, and in double precision by doubling.
    wanted = computed(3, torch.float64)
    for found in (computed(9, torch.float32), computed(9, torch.float64)):
        for one, other in zip(found, wanted, strict=True):
            assert torch.allclose(one.double(), other, atol=1e-6)


@torch.no_grad()
def test_groups_have_weights_of_their_own():
    torch.manual_seed(0)
    layer = GroupLinear(3, 4, 5)
    x = torch.randn(2, 7, 3, 4)
    wanted = torch.einsum("btgi,gio->btgo", x, layer.weight) + layer.bias
    assert torch.allclose(layer(x), wanted, atol=1e-6)


@torch.no_grad()
def test_latent_sources_transform_frequencies_each_in_its_way():
    torch.manual_seed(0)
    latents = LatentSources(6, 2)
    x = torch.randn(1, 3, 6, 4)
    y = latents(x)
    for index in range(2):
        inner = latents.inner.weight[3 * index : 3 * index + 3], latents.inner.bias[3 * index : 3 * index + 3]
        squeezed = torch.relu(torch.einsum("rg,btgc->btrc", inner[0], x) + inner[1][:, None])
        assert torch.allclose(
            y[:, :, index], x + torch.einsum("rg,btrc->btgc", latents.outer[index], squeezed), atol=1e-6
        )


def test_bands_cover_every_bin_once():
    bands = Bands(SMALL.bands)
    assert bands.edges[-1] == SMALL.n_fft // 2
    values = torch.arange(bands.count, dtype=torch.float32)
    assert torch.equal(bands.gather(bands.spread(values)), values)
    with pytest.raises(ValueError, match="bands cover"):
        LasaftLiveConfig(n_fft=128, bands=((1, 16),))
    with pytest.raises(ValueError, match="28 bands do not divide into groups of 8"):
        LasaftBandsConfig(n_fft=128, bands=((1, 16), (4, 12)))


def test_band_loss_equals_the_error_of_the_spectrum_and_its_gradient(network):
    torch.manual_seed(1)
    lanes, frames, bins = 2, 3, 65
    spectra = torch.randn(lanes, 4, 2, frames, bins, 2) * 3
    curves = torch.rand(lanes, 4, bins) + 0.5
    condition = conditions_for(lanes, torch.Generator().manual_seed(2))
    sums, powers = band_sums(spectra, curves, condition, network.bands.edges)
    logits = torch.randn(lanes, frames, 5, 2, 2, network.bands.count, requires_grad=True)

    stems = torch.view_as_complex(spectra * curves[:, :, None, None, :, None])[..., :64]
    mixture = stems.sum(1)
    target = torch.einsum("bqs,bsctf->bqctf", condition.to(stems.dtype), stems)
    grid = logits.permute(3, 0, 2, 4, 1, 5)
    mask = torch.complex(torch.sigmoid(grid[0]), 0.5 * torch.tanh(grid[1]))
    error = (network.bands.spread(mask)[..., :64] * mixture[:, None] - target).abs() ** 2
    total = error.sum((2, 3, 4))
    energy = (target.abs() ** 2).sum((2, 3, 4))
    whole = (mixture.abs() ** 2).sum((1, 2, 3))[:, None]
    per_band = torch.stack(
        [error[..., a:b].sum(-1) for a, b in zip(network.bands.edges, network.bands.edges[1:], strict=False)], -1
    )
    power = torch.stack(
        [
            (mixture.abs() ** 2)[..., a:b].sum(-1)
            for a, b in zip(network.bands.edges, network.bands.edges[1:], strict=False)
        ],
        -1,
    )
    level = (power + QUIET) ** 0.25
    amplitude = (torch.sqrt(per_band + QUIET) / level[:, None]).sum((2, 3, 4))
    wanted = torch.stack(
        [
            (target.abs() ** 2)[..., a:b].sum(-1)
            for a, b in zip(network.bands.edges, network.bands.edges[1:], strict=False)
        ],
        -1,
    )
    wanted = (torch.sqrt(wanted + QUIET) / level[:, None]).sum((2, 3, 4))
    loudness = level.sum((1, 2, 3))[:, None]
    heard = torch.where(energy > 1e-2 * whole, 1.0, 0.1)
    ratio = torch.log10((total + 1e-3 * whole + QUIET) / (energy + 1e-2 * whole + QUIET))
    quiet = 2 * torch.log10((amplitude + 0.03 * loudness) / (wanted + 0.1 * loudness))
    wanted = (heard * 10 * (ratio + quiet)).mean()
    (gradient,) = torch.autograd.grad(wanted, logits)

    copied = logits.detach().clone().requires_grad_()
    loss, _ = mask_loss(copied * 1.0, sums, powers)
    loss.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert torch.allclose(copied.grad, gradient, atol=1e-4 * gradient.abs().max().item())


def test_features_from_band_sums_equal_features_from_spectra(network):
    spectra = torch.randn(1, 4, 2, 3, 65, 2)
    _, powers = band_sums(spectra, torch.ones(1, 4, 65), torch.eye(4)[None], network.bands.edges)
    mixture = spectra.sum(1).movedim(-1, 2).flatten(1, 2)
    assert torch.allclose(network.scaled(powers), network.features(mixture), atol=1e-4)


class FakePool:
    """Four stems of noise, long enough to draw from."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.songs = {"one x1.0": {"vocals": (0, 50000, 0.1), "drums": (0, 50000, 0.2)}}
        self.aligned: set[str] = set()
        self.audio = {
            s: random.integers(-9000, 9000, (60000, 2)).astype(np.int16) for s in ("vocals", "drums", "bass", "other")
        }

    def draw(self, rng, stem, samples):
        return int(rng.integers(0, 1000))


def test_lanes_run_on_from_batch_to_batch():
    window = analysis_window("asymmetric-32", 128)
    data = Remix(FakePool(), lanes=3, frames=8, hop=32, window=window, seed=1)
    left = [scene.left for scene in data.scenes]
    first, _ = data.next()
    second, _ = data.next()
    assert first.shape == (3, 4, 2, 8, 65, 2)
    for lane in range(3):
        if left[lane] > 1:  # the scene went on: hop 8 of the first batch is hop 0 of the second
            frames = [scene.position for scene in data.scenes]
            assert frames[lane][0] >= 2 * 8 * 32
    again = Remix(FakePool(), lanes=3, frames=8, hop=32, window=window, seed=1)
    assert torch.equal(again.next()[0], first)
    assert not torch.equal(first, second)


@torch.no_grad()
def test_interleaved_states_in_the_engine_are_as_many_networks_offline(network, tmp_path):
    pytest.importorskip("onnx", reason="needs the train extra to export")
    from export.exporter import export_separator

    hop, synthesis, turns, count = 16, 32, 2, 40
    mode = Mode(hop, synthesis, "asymmetric-16", interleave=turns)
    training = Training("nothing", "none")
    names = ("vocals", "drums", "bass", "other")
    export_separator(
        network,
        Metadata("small", "test", names, (44100,), 2, 128, 1, 0, {"lower": mode}, training),
        tmp_path / "s.onnx",
    )
    audio = np.random.default_rng(0).standard_normal((count * hop, 2)).astype(np.float32) * 0.1
    engine = Engine(Separator.load(tmp_path / "s.onnx"), mode, 2, "stems", full_mix(names))
    heard = []
    for start in range(0, len(audio), hop):
        assert engine.process(audio[start : start + hop])
        heard.append(engine.stems.copy())
    heard = np.concatenate(heard, 1)

    window = analysis_window(mode.analysis, 128)
    padded = np.concatenate([np.zeros((128 - hop, 2), np.float32), audio])
    frames = np.stack([padded[i * hop : i * hop + 128].T * window for i in range(count)], 1)
    spectra = np.fft.rfft(frames)  # [channels, frames, bins]
    mixture = torch.from_numpy(np.stack([spectra.real, spectra.imag], 1).reshape(1, 4, count, 65)).float()
    estimate = torch.zeros(4, 4, count, 65)
    for turn in range(turns):
        estimate[:, :, turn::turns], _ = network(mixture[:, :, turn::turns], torch.eye(4), network.begin(1))
    estimate = estimate.unflatten(1, (2, 2)).double().numpy()
    parts = np.fft.irfft(estimate[:, :, 0] + 1j * estimate[:, :, 1])[..., -synthesis:]
    parts *= synthesis_window(window, hop, synthesis)
    wanted = np.zeros((4, 2, count * hop + synthesis))
    for i in range(count):
        wanted[:, :, i * hop : i * hop + synthesis] += parts[:, :, i]
    wanted = wanted[:, :, : count * hop].transpose(0, 2, 1)
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(heard - wanted).max() < 1e-4 * np.sqrt(np.mean(wanted**2))
