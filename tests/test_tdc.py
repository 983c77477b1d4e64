"""The published TDC U-Net: the authors' numbers, the authors' files, and the separator made of them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnx", reason="needs the train extra")

from models.checkpoint import import_checkpoint, read_checkpoint
from models.configuration import UNetConfig, build
from models.pipeline import Pipeline, SpectrogramSeparator, fold_batch_norm
from models.published import load_published
from models.unet import UNet
from realtime.errors import HostError
from realtime.separator import Separator

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
FIXTURE = SHARED / "fixtures" / "published" / "unet_tdc.npz"
CHECKPOINTS = SHARED / "checkpoints"
SMALL = UNetConfig("tdc", n_blocks=3, internal_channels=8, n_internal_layers=2)
VOCALS = Pipeline(stems=("vocals",), parts_first=False)


def published(network: torch.nn.Module, first_release: bool = False) -> dict[str, torch.Tensor]:
    """Return a network's parameters as the authors would have stored them."""
    state = {}
    for key, value in network.state_dict().items():
        kernel = key.endswith("weight") and value.ndim == 4
        outer = key.startswith(("first_conv", "last_conv"))
        if kernel and not outer:
            value = value.squeeze(2)
        elif kernel and first_release:
            value = value.transpose(2, 3)
        if first_release:
            for new, old in (("samplings", "sampling"), ("last_conv", "final_conv")):
                key = key.replace(new, old)
        state[key] = value.contiguous()
    return state


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(0)
    network = build(SMALL)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith(("running_mean", "running_var")):
                value.uniform_(0.1, 1.0)
    return network.eval()


def fixture() -> tuple[dict, dict, torch.Tensor, np.ndarray]:
    if not FIXTURE.exists():
        pytest.skip("the published networks' fixtures are not beside this repository")
    with np.load(FIXTURE) as file:
        state = {
            key.removeprefix("param/"): torch.from_numpy(file[key]) for key in file.files if key.startswith("param/")
        }
        return json.loads(str(file["config"])), state, torch.from_numpy(file["input/0"]), file["output"]


def test_the_published_network_gives_the_published_output():
    config, state, spectrum, output = fixture()
    network = load_published(state, config)
    with torch.inference_mode():
        np.testing.assert_allclose(network(spectrum).numpy(), output, rtol=0, atol=1e-5)
        np.testing.assert_allclose(fold_batch_norm(network)(spectrum).numpy(), output, rtol=0, atol=1e-5)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_published_vocal_weights_load(number):
    path = CHECKPOINTS / f"cac_tdc_17_vocals_top{number}.pt"
    if not path.exists():
        pytest.skip("the published checkpoints are not beside this repository")
    network = load_published(*read_checkpoint(path))
    assert len(network.encoders) == 8
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(0.54e6, rel=0.05)
    with torch.inference_mode():
        assert torch.isfinite(network(torch.randn(1, 4, 1, 1025))).all()


@pytest.mark.parametrize("first_release", [False, True])
def test_both_releases_of_the_published_format_load(network, first_release):
    loaded = load_published(published(network, first_release))
    spectrum = torch.randn(1, 4, 3, 1025)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(spectrum), network(spectrum), rtol=0, atol=0)


def test_every_frame_stands_alone(network):
    spectrum = torch.randn(1, 4, 3, 1025)
    with torch.inference_mode():
        frames = [network(spectrum[:, :, index : index + 1]) for index in range(3)]
        torch.testing.assert_close(torch.cat(frames, 2), network(spectrum), rtol=0, atol=1e-5)


def test_folding_batch_norm_leaves_none_and_changes_nothing(network):
    spectrum = torch.randn(1, 4, 1, 1025)
    separator = SpectrogramSeparator(network, VOCALS)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in separator.modules())
    with torch.inference_mode():
        torch.testing.assert_close(separator.network(spectrum), network(spectrum), rtol=1e-4, atol=1e-5)


def test_silence_stays_silent_and_music_does_not_notice(network):
    separator = SpectrogramSeparator(network, VOCALS)
    loud = torch.randn(1, 4, 1, 1025)  # about -26 dBFS
    one = torch.ones(1, 1)
    with torch.inference_mode():
        assert not separator(torch.zeros_like(loud), one)[0].any()
        torch.testing.assert_close(separator(loud, one)[0], separator.network(loud), rtol=0, atol=0)


def test_an_imported_checkpoint_is_a_separator(network, tmp_path):
    torch.save(
        {"state_dict": {f"spec2spec.{key}": value for key, value in published(network).items()}}, tmp_path / "a.ckpt"
    )
    path = import_checkpoint(tmp_path / "a.ckpt", "mine", tmp_path / "separators")
    assert path == tmp_path / "separators" / "mine.onnx"
    metadata = Separator.load(path).metadata
    assert (metadata.name, metadata.architecture, metadata.stems) == ("mine", "tdc", ("vocals",))
    assert set(metadata.modes) == {"safe", "low", "lower", "extreme"}
    assert "non-commercial" in metadata.training.licence


def test_parameters_that_do_not_fit_are_named(network):
    state = published(network)
    with pytest.raises(HostError, match="lacks parameters: mid_block.H.0.0.bias$"):
        load_published({key: value for key, value in state.items() if key != "mid_block.H.0.0.bias"})
    with pytest.raises(HostError, match="has unknown parameters: a, b, c and 1 more"):
        load_published(state | dict.fromkeys("abcd", torch.zeros(1)))
    with pytest.raises(HostError, match="shapes .* last_conv.0.bias"):
        load_published(state | {"last_conv.0.bias": torch.zeros(9)})
    with pytest.raises(HostError, match="architecture is not known"):
        load_published({"weight": torch.zeros(1)})


class Payload:
    """Writes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_objects_in_a_checkpoint_are_never_loaded(tmp_path):
    trace = tmp_path / "executed"
    torch.save({"state_dict": Payload(trace)}, tmp_path / "new.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Payload(trace)))
    for name in ("new.pt", "old.pt"):
        with pytest.raises(HostError, match="was not imported.*not a checkpoint"):
            import_checkpoint(tmp_path / name, "evil", tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(HostError, match="was not imported"):
        import_checkpoint(tmp_path / "a.pt", "mine", tmp_path)


def test_what_holds_no_state_dict_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(HostError, match="no state dict"):
        import_checkpoint(tmp_path / "list.pt", "mine", tmp_path)
    with pytest.raises(HostError, match="cannot be read"):
        import_checkpoint(tmp_path / "absent.pt", "mine", tmp_path)
    with pytest.raises(HostError, match="file's name"):
        import_checkpoint(tmp_path / "list.pt", "a/b", tmp_path)
