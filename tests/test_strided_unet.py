"""The fully two-dimensional U-Net and the Conditioned-U-Net: as published, and in a stream as offline."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the networks need the train extra")

from test_frames import close, streamed
from torch.nn import functional

from models.frames import Frames, Stream
from models.modulation import KINDS
from models.strided_unet import StridedUNetConfig, build_strided
from models.unet import parameters_of, randomised
from realtime.errors import HostError

SMALL = {"n_fft": 32, "n_layers": 3, "channels": 3}
CONDITIONED = {**SMALL, "control_input_dim": 3, "control_units": (4, 6)}


def magnitudes(frames: int, bins: int = 17, channels: int = 1):
    return torch.rand(1, channels, frames, bins, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def small(**options):
    """Return a random network in float64: PoCM, layer upon layer, is steep enough to make rounding heard."""
    torch.manual_seed(0)
    return randomised(build_strided(StridedUNetConfig(**options))).double()


def numbers_of(module) -> int:
    """Return what Keras counts: parameters and the statistics of batch norm."""
    return parameters_of(module) + sum(v.numel() for v in module.buffers() if v.is_floating_point())


# Summed up from the released Keras layers. The paper gives 39.3 M for four dedicated networks, and for those with
# a condition 9.85, 12, 9.84 and 10.42 M.
@pytest.mark.parametrize(
    ("modulation", "control_type", "count", "published"),
    [
        (None, "dense", 9_826_325, 39.3 / 4),
        ("film_simple", "dense", 9_848_497, 9.85),
        ("film", "dense", 12_031_685, 12.0),
        ("film_simple", "cnn", 9_837_905, 9.84),
        ("film", "cnn", 10_419_925, 10.42),
    ],
)
def test_the_networks_have_as_many_numbers_as_published(modulation, control_type, count, published):
    with torch.device("meta"):
        network = build_strided(StridedUNetConfig(modulation=modulation, control_type=control_type))
    assert numbers_of(network) == count
    assert count / 1e6 == pytest.approx(published, rel=3e-3)


def test_jansson_s_network_has_six_halvings_between_16_and_512_channels():
    with torch.device("meta"):
        network = build_strided(StridedUNetConfig())
    assert (network.frames, network.width) == (64, 0)
    assert [layer.conv.out_channels for layer in network.encoders] == [16, 32, 64, 128, 256, 512]
    assert [layer.conv.in_channels for layer in network.decoders] == [512, 512, 256, 128, 64, 32]
    assert parameters_of(network) == 9_823_315


def test_the_look_ahead_of_jansson_s_network_is_190_frames():
    network = small(n_fft=128, channels=1)
    stream = Stream(network.frames, 1, torch.ones(1), None)
    assert network.run(Frames(magnitudes(64, 65)), None).data.shape == (1, 1, 64, 65)
    assert network.run(Frames(magnitudes(64, 65), stream)).delay == 190


@torch.no_grad()
def test_the_layers_are_the_equations_of_the_papers():
    network = small(**CONDITIONED, modulation="film")
    spectrum, condition = magnitudes(24), torch.tensor([[0.5, 0.0, 1.0]], dtype=torch.float64)
    hidden = network.control[0](condition).relu()
    code = network.control[5](network.control[2](hidden).relu())
    x, outputs = spectrum[..., :-1], []
    for index, layer in enumerate(network.encoders):
        x = layer.bn(functional.conv2d(x, layer.conv.weight, layer.conv.bias, stride=2, padding=2))
        gamma, beta = network.gammas[str(index)](code), network.betas[str(index)](code)
        x = functional.leaky_relu(gamma[:, :, None, None] * x + beta[:, :, None, None], 0.2)
        outputs.append(x)
    for index, layer in enumerate(network.decoders):
        x = torch.cat((x, outputs[2 - index]), 1) if index else x
        x = functional.conv_transpose2d(x, layer.conv.weight, layer.conv.bias, 2, 2, 1)
        x = layer.bn(x).sigmoid() if index == 2 else layer.bn(x).relu()
    close(network(spectrum, condition)[..., :-1], x, 1e-9)


@torch.no_grad()
def test_masks_lie_between_zero_and_one_and_the_highest_bin_takes_its_neighbour_s():
    for heads in (1, 4):
        masks = small(**SMALL, output_channels=heads)(magnitudes(32))
        assert masks.shape == (1, heads, 32, 17)
        assert masks.min() >= 0
        assert masks.max() <= 1
        assert float(masks.std()) > 0.01
        assert torch.equal(masks[..., -1], masks[..., -2])
        assert not torch.equal(masks[..., -2], masks[..., -3])


def test_dropout_is_in_the_first_three_layers_of_the_decoder():
    network = build_strided(StridedUNetConfig(n_fft=128, channels=1))
    places = [index for index, layer in enumerate(network.activations) if isinstance(layer, torch.nn.Sequential)]
    assert places == [6, 7, 8]


@torch.no_grad()
@pytest.mark.parametrize(("layers", "kernel"), [(1, 5), (2, 3), (3, 5), (3, 7)])
def test_it_streams_as_it_is_offline(layers, kernel):
    network = small(n_fft=32, n_layers=layers, channels=3, kernel_size=kernel, output_channels=2)
    for frames in (320, 304):
        signal = magnitudes(frames)
        found, _ = streamed(network.run, signal, network.frames)
        close(found, network(signal), 1e-9)


@torch.no_grad()
@pytest.mark.parametrize("modulation", KINDS)
@pytest.mark.parametrize("place", ["encoder", "decoder", "full"])
@pytest.mark.parametrize("control_type", ["dense", "cnn"])
def test_with_a_condition_it_streams_as_it_is_offline_while_the_condition_changes(modulation, place, control_type):
    network = small(**CONDITIONED, modulation=modulation, condition_to=place, control_type=control_type)
    assert (network.frames, network.width) == (8, 3)
    signal, calls = magnitudes(304), 38
    conditions = torch.rand(calls, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    conditions[10:20] = torch.eye(3)[:2]
    wanted = network(signal.expand(2, -1, -1, -1), conditions.transpose(0, 1).repeat_interleave(8, 1))
    assert float((wanted[0] - wanted[1]).abs().max()) > 0.01
    assert float(((wanted - 0.5).abs() < 0.49).double().mean()) > 0.05  # where a mask is open or shut, errors hide
    found, delay = streamed(network.run, signal, 8, conditions, 2)
    close(found, wanted, 1e-9)
    assert delay == 22


def test_a_condition_is_shared_by_no_layer_it_does_not_act_on():
    channels = {"encoder": [3, 6, 12], "decoder": [6, 3, 1], "full": [3, 6, 12, 6, 3, 1]}
    for place, wanted in channels.items():
        network = build_strided(StridedUNetConfig(**CONDITIONED, modulation="film", condition_to=place))
        assert [gamma.out_features for gamma in network.gammas.values()] == wanted
        simple = build_strided(StridedUNetConfig(**CONDITIONED, modulation="film_simple", condition_to=place))
        assert [gamma.out_features for gamma in simple.gammas.values()] == [1] * len(wanted)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"n_fft": 1000}, "must be a multiple of 128"),
        ({"n_fft": 1024, "n_layers": 10}, "must be a multiple of 2048"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"channels": 2.5}, "channels is 2.5"),
        ({"kernel_size": 4}, "odd one of at least 3"),
        ({"kernel_size": 1}, "odd one of at least 3"),
        ({"modulation": "flim"}, "modulation is 'flim', but must be one of: nothing, film, film_simple, pocm, gpocm"),
        ({"modulation": "film", "condition_to": "middle"}, "condition_to is 'middle'"),
        ({"modulation": "film", "control_type": "rnn"}, "must be one of: dense, cnn"),
        ({"modulation": "film", "control_input_dim": 0}, "control_input_dim is 0"),
        ({"modulation": "film", "control_units": ()}, "control_units is empty"),
        ({"modulation": "film", "control_units": (16, 0)}, "an entry of control_units is 0"),
        ({"control_units": (16,)}, "without a modulation"),
    ],
)
def test_what_makes_no_sense_is_refused(options, reason):
    with pytest.raises(HostError, match=reason):
        StridedUNetConfig(**options)


def test_a_condition_that_does_not_fit_is_refused():
    network = small(**CONDITIONED, modulation="film")
    with pytest.raises(HostError, match="wants a condition of 3 entries and was given none"):
        network(magnitudes(8))
    with pytest.raises(HostError, match="wants a condition of 3 entries and was given one of 4 entries"):
        network(magnitudes(8), torch.zeros(1, 4))
