"""Frames in a stream against frames of a whole signal."""

from __future__ import annotations

from collections import deque

import pytest

torch = pytest.importorskip("torch", reason="the networks need the train extra")

from torch import nn

from models.configuration import UNetConfig, build
from models.frames import Frames, Stream, joined, multiplied, summed
from models.unet import randomised


@torch.no_grad()
def streamed(network, signal, frames: int, conditions=None, stems: int = 1):
    """Return (output, delay): `network(Frames, condition)` run call by call over `signal` [1, C, T, F] and on until all is out.

    `conditions` [calls, stems, width] hold for a call each. The output [stems, C, T, F] has the delay taken out.
    """
    condition = None if conditions is None else conditions[0]
    scout = Stream(frames, stems, torch.ones(1), None)
    delay = network(Frames(signal[:, :, :frames], scout), condition).delay
    waiting = None
    outputs = []
    for call in range(-(-(signal.shape[2] + delay) // frames)):
        part = signal[:, :, call * frames : (call + 1) * frames]
        valid = torch.tensor([float(part.shape[2] > 0)])
        part = nn.functional.pad(part, (0, 0, 0, frames - part.shape[2]))
        states = None if waiting is None else [queue.popleft() for queue in waiting]
        stream = Stream(frames, stems, valid, scout.found, states)
        if conditions is not None:
            condition = conditions[min(call, len(conditions) - 1)]
        result = network(Frames(part, stream), condition)
        assert result.delay == delay
        if waiting is None:
            pairs = zip(stream.next_states, stream.ages, strict=True)
            waiting = [deque([torch.zeros_like(state)] * (age - 1)) for state, age in pairs]
        for queue, state in zip(waiting, stream.next_states, strict=True):
            queue.append(state)
        outputs.append(result.data)
    return torch.cat(outputs, 2)[:, :, delay : delay + signal.shape[2]], delay


def close(found, wanted, tolerance: float = 1e-4) -> None:
    """Assert that the largest difference is at most `tolerance` of the RMS."""
    assert found.shape == wanted.shape
    assert float((found - wanted).abs().max() / wanted.square().mean().sqrt()) <= tolerance


def random_signal(frames: int, channels: int = 4, bins: int = 17, seed: int = 0):
    return torch.randn(1, channels, frames, bins, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "padding"),
    [
        (3, 1, 1, 1),
        (5, 1, 1, 2),
        (3, 1, 4, 4),
        (2, 2, 1, 0),
        (5, 2, 1, 2),
        (3, 2, 1, 1),
        (1, 1, 1, 0),
        (7, 4, 1, 3),
        (3, 1, 1, 2),
        (3, 1, 1, 0),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_convolution_streams_as_it_is_offline(kernel, stride, dilation, padding, before):
    torch.manual_seed(kernel + stride)
    first = nn.Conv2d(4, 4, (2 * before + 1, 1), padding=(before, 0))
    conv = nn.Conv2d(4, 6, (kernel, 3), (stride, 1), (padding, 1), (dilation, 1))
    if stride == 1 and 2 * padding != (kernel - 1) * dilation:
        pytest.skip("changes the number of frames")
    signal = random_signal(48)

    def network(x, condition=None):
        return x.conv(first).conv(conv)

    # Brought back to full rate by repetition, so that one check serves all strides.
    def repeated(x, condition=None):
        x = network(x)
        spread = nn.ConvTranspose2d(6, 6, (stride, 1), (stride, 1))
        nn.init.ones_(spread.weight)
        nn.init.zeros_(spread.bias)
        return x.transposed(spread)

    with torch.no_grad():
        wanted = repeated(Frames(signal)).data
    for frames in (4, 8, 16):
        found, _ = streamed(repeated, signal, frames)
        close(found, wanted)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "more"), [(2, 2, 0, 0), (5, 2, 2, 1), (3, 2, 1, 1), (4, 2, 1, 0), (4, 4, 0, 0)]
)
def test_a_transposed_convolution_streams_as_it_is_offline(kernel, stride, padding, more):
    torch.manual_seed(kernel)
    down = nn.Conv2d(4, 5, (stride, 1), (stride, 1))
    before = nn.Conv2d(5, 5, (3, 1), padding=(1, 0))
    up = nn.ConvTranspose2d(5, 3, (kernel, 1), (stride, 1), (padding, 0), (more, 0))
    signal = random_signal(48)

    def network(x, condition=None):
        return x.conv(down).conv(before).transposed(up)

    with torch.no_grad():
        wanted = network(Frames(signal)).data
    assert wanted.shape[2] == 48
    for frames in (4, 8, 16):
        close(streamed(network, signal, frames)[0], wanted)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_recurrence_waits_for_the_start_of_the_signal(kind):
    torch.manual_seed(0)
    conv, rnn = nn.Conv2d(4, 4, (5, 1), padding=(2, 0)), kind(17, 17, 2, batch_first=True)

    def network(x, condition=None):
        x = x.conv(conv)
        return summed(x, x.recurrent(rnn, lambda d: d.flatten(0, 1)).each(lambda d: d.unflatten(0, (-1, 4))))

    signal = random_signal(40)
    with torch.no_grad():
        wanted = network(Frames(signal)).data
    for frames in (1, 4, 8):
        close(streamed(network, signal, frames)[0], wanted)


def test_a_recurrence_in_both_directions_is_refused_in_a_stream():
    rnn = nn.GRU(17, 4, batch_first=True, bidirectional=True)
    frames = Frames(random_signal(4), Stream(4, 1, torch.ones(1), None))
    with pytest.raises(ValueError, match="whole signal"):
        frames.recurrent(rnn, lambda d: d.flatten(0, 1))


def test_branches_that_meet_are_equally_late():
    torch.manual_seed(0)
    short, long = nn.Conv2d(4, 4, (3, 1), padding=(1, 0)), nn.Conv2d(4, 4, (9, 1), padding=(4, 0))

    def network(x, condition=None):
        a, b = x.conv(short), x.conv(long)
        return joined(summed(a, b), multiplied(b, x)).local(lambda d: d[:, :, 1:] - d[:, :, :-1], 1, 0)

    signal = random_signal(30)
    with torch.no_grad():
        wanted = network(Frames(signal)).data
    for frames in (1, 3):
        found, delay = streamed(network, signal, frames)
        assert delay == 4
        close(found, wanted)


SMALL = {"n_fft": 32, "n_blocks": 5, "internal_channels": 4, "n_internal_layers": 2, "min_bn_units": 4, "bn_factor": 4}
CONDITIONED = {"embedding_dim": 6, "control_n_layer": 3, "num_tdfs": 3, "dk": 4}


@pytest.mark.parametrize("block", ["tfc", "tdc", "tdf", "tfc_tdf", "tfc_rnn", "tdc_rnn"])
@pytest.mark.parametrize("levels", [None, (), (1,)])
def test_a_dedicated_unet_streams_as_it_is_offline(block, levels):
    network = randomised(build(UNetConfig(block, **SMALL, t_down_layers=levels, bidirectional=False)))
    signal = random_signal(120)
    with torch.no_grad():
        wanted = network(signal)
    found, _ = streamed(network.run, signal, network.frames)
    close(found, wanted)


BLOCKS_CONDITIONED = [(block, "gpocm", "decoder") for block in ("tfc_tdf", "lasaft", "lightsaft", "mux")]
MODULATIONS = [
    (kind, place) for kind in ("film", "film_simple", "pocm", "gpocm") for place in ("encoder", "decoder", "full")
]


@pytest.mark.parametrize(
    ("block", "modulation", "place"), [*BLOCKS_CONDITIONED, *(("tfc", *each) for each in MODULATIONS)]
)
def test_a_conditioned_unet_streams_as_it_is_offline_while_the_condition_changes(block, modulation, place):
    network = randomised(build(UNetConfig(block, **SMALL, **CONDITIONED, modulation=modulation, condition_to=place)))
    signal = random_signal(120)
    calls = 120 // network.frames
    conditions = torch.rand(calls, 3, 4, generator=torch.Generator().manual_seed(1))
    conditions[5:15] = torch.eye(4)[:3]
    with torch.no_grad():
        wanted = network(signal.expand(3, -1, -1, -1), conditions.transpose(0, 1).repeat_interleave(network.frames, 1))
    found, _ = streamed(network.run, signal, network.frames, conditions, 3)
    close(found, wanted)


def test_the_look_ahead_of_the_large_lasaft_net_is_235_frames():
    # As in the large net where time is concerned; 230 if frames could be halved.
    config = UNetConfig("tfc", n_fft=32, n_blocks=9, internal_channels=2, n_internal_layers=5)
    network = randomised(build(config))
    stream = Stream(network.frames, 1, torch.ones(1), None)
    assert network.run(Frames(random_signal(16), stream)).delay == 235
