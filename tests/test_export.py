"""What becomes a separator file, and what verification refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
onnx = pytest.importorskip("onnx", reason="needs the train extra")

from export.exporter import export_separator, weights_hash
from export.verify import verify
from models.identity import IDENTITY, Identity
from realtime.errors import HostError
from realtime.latency import Mode
from realtime.separator import Separator

METADATA = replace(
    IDENTITY, name="tiny", stems=("vocals", "drums"), n_fft=32, modes={"low": Mode(8, 16, "asymmetric-8")}
)


class Tiny(torch.nn.Module):
    """A shared recurrent state and a smoothed condition per stem."""

    stem_states = (False, True)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.gru = torch.nn.GRU(4 * 17, 12, bias=False)
        self.out = torch.nn.Linear(12, 4 * 17, bias=False)
        self.mix = torch.nn.Linear(2, 4, bias=False)

    def initial_states(self, stems: int) -> tuple[torch.Tensor, ...]:
        return torch.zeros(1, 1, 12), torch.zeros(stems, 2)

    def forward(self, mixture, condition, *states):
        shared, level = states
        level = 0.9 * level + 0.1 * condition
        hidden, shared = self.gru(mixture.reshape(1, 1, -1), shared)
        mask = torch.tanh(self.out(hidden)).reshape(1, 4, 1, 17)
        return mixture * mask * self.mix(level)[:, :, None, None], shared, level


class Named(Tiny):
    """The same with its states as named arguments."""

    def forward(self, mixture, condition, shared, level):
        return super().forward(mixture, condition, shared, level)


class Humming(Tiny):
    def forward(self, mixture, condition, *states):
        estimate, *states = super().forward(mixture, condition, *states)
        return estimate + 1.0, *states


class Warm(Tiny):
    def initial_states(self, stems: int) -> tuple[torch.Tensor, ...]:
        return torch.ones(1, 1, 12), torch.zeros(stems, 2)


class Wide(Tiny):
    """Returns more channels than the contract wants."""

    def forward(self, mixture, condition, *states):
        estimate, *states = super().forward(mixture, condition, *states)
        return torch.cat((estimate, estimate), 1), *states


class Exploding(Tiny):
    def forward(self, mixture, condition, *states):
        estimate, *states = super().forward(mixture, condition, *states)
        return estimate / mixture.abs().sum(), *states


@pytest.mark.parametrize("kind", [Tiny, Named])
def test_an_exported_separator_does_what_its_module_does(tmp_path, kind):
    module = kind()
    result = export_separator(module, METADATA, tmp_path / "tiny.onnx")
    assert result.error < 1e-5
    assert result.silence < -60
    separator = Separator.load(tmp_path / "tiny.onnx")
    assert separator.metadata == replace(METADATA, weights=weights_hash(module))
    assert [state.per_stem for state in separator.states] == [False, True]
    assert list(tmp_path.iterdir()) == [tmp_path / "tiny.onnx"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Humming, "silence comes out at"),
        (Warm, "states of zeros"),
        (Wide, "'estimate' is"),
        (Exploding, "not finite"),
    ],
)
def test_a_module_that_breaks_a_rule_is_not_exported(tmp_path, kind, reason):
    path = tmp_path / "tiny.onnx"
    path.write_text("what was there")
    with pytest.raises(HostError, match=reason):
        export_separator(kind(), METADATA, path)
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_differs_from_its_module_fails_with_the_figure(tmp_path):
    path = tmp_path / "tiny.onnx"
    module = Tiny()
    export_separator(module, METADATA, path)
    with torch.no_grad():
        module.out.weight[0] *= 1.01
    with pytest.raises(HostError, match=r"by 0\.\d+ of the output's RMS, allowed is 0.0001"):
        verify(path, module)


def test_a_file_can_be_verified_without_its_module(tmp_path):
    export_separator(Tiny(), METADATA, tmp_path / "tiny.onnx")
    assert verify(tmp_path / "tiny.onnx").error is None


def test_a_file_tells_nothing_of_the_machine_it_was_made_on(tmp_path):
    export_separator(Tiny(), METADATA, tmp_path / "tiny.onnx")
    content = (tmp_path / "tiny.onnx").read_bytes()
    for word in (str(Path(__file__).parents[1]), ".py", "site-packages"):
        assert word.encode() not in content


def test_the_hash_follows_the_parameters():
    module = Tiny()
    before = weights_hash(module)
    assert weights_hash(Tiny()) == before
    with torch.no_grad():
        module.mix.weight[0, 0] += 1e-3
    assert weights_hash(module) != before


def test_the_identity_returns_its_mixture_times_its_condition(tmp_path):
    export_separator(Identity(), IDENTITY, tmp_path / "identity.onnx")
    runner = Separator.load(tmp_path / "identity.onnx").runner(2)
    runner.mixture[:] = np.random.default_rng(0).standard_normal(runner.mixture.shape)
    runner.condition[:] = [[1.0], [0.25]]
    runner.run()
    np.testing.assert_array_equal(runner.estimate, runner.mixture * np.array([1, 0.25], np.float32)[:, None, None, None])


def test_the_shipped_identity_is_what_the_module_exports():
    path = Path(__file__).resolve().parents[1] / "models" / "pretrained" / "identity.onnx"
    assert verify(path, Identity()).error < 1e-5
    assert Separator.load(path).metadata == replace(IDENTITY, weights=weights_hash(Identity()))


@pytest.mark.parametrize("module", ["export.exporter", "models.checkpoint"])
def test_without_torch_the_extra_is_named(module):
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "HostError" in result.stderr
    assert "[train]" in result.stderr
