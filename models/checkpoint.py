"""Published checkpoints made into separators."""

from __future__ import annotations

from pathlib import Path

from export import train_extra
from realtime.errors import HostError
from realtime.metadata import Training

try:
    import torch
    from torch import Tensor, nn

    from export.exporter import export_separator
    from models.tdc import FrameSeparator, TdcConfig, tdc_metadata, tdc_unet
except ImportError:
    raise train_extra() from None

PUBLISHED = Training(
    data="MUSDB18",
    licence="weights published by their author under the MIT licence; the MUSDB18 data is for non-commercial use",
)

# The first release named some modules differently from the second, which ours follow.
_RENAMED = {"downsampling": "downsamplings", "upsampling": "upsamplings", "final_conv": "last_conv"}


def import_checkpoint(path: str | Path, name: str, directory: str | Path) -> Path:
    """Export the published checkpoint at `path` as separator `name` into `directory`; return the new file.

    Raises HostError where it is no checkpoint, of no architecture known here, or fails verification.
    """
    if not name or Path(name).name != name:
        raise HostError(f"a separator's name becomes its file's name, and '{name}' cannot; nothing was imported")
    try:
        network = load_network(read_checkpoint(path))
    except HostError as error:
        raise HostError(f"checkpoint {path} was not imported: {error}") from None
    metadata = tdc_metadata(name, PUBLISHED)
    target = Path(directory) / f"{name}.onnx"
    export_separator(FrameSeparator(network), metadata, target)
    return target


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the parameters in a checkpoint, unpickling nothing but tensors.

    Takes a plain state dict or a PyTorch Lightning file, whose prefix ``spec2spec.`` is removed.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise HostError(f"it cannot be read ({error.strerror or error})") from None
    except Exception:  # noqa: BLE001 - whatever a damaged or hostile file makes the reader raise
        raise HostError(
            "it is not a checkpoint, or it holds objects other than tensors, which are never loaded"
        ) from None
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    tensors = isinstance(state, dict) and all(isinstance(value, Tensor) for value in state.values())
    if not tensors or not all(isinstance(key, str) for key in state):
        raise HostError("it holds no state dict of tensors")
    return {key.removeprefix("spec2spec."): value for key, value in state.items()}


def load_network(state: dict[str, Tensor], n_fft: int = 2048) -> nn.Module:
    """Return the network whose published parameters `state` holds, in evaluation mode.

    Its size follows from the shapes. Raises HostError for an architecture not known here, and names
    the parameters that are missing, unknown or of another shape.
    """
    state = {_renamed(key): value for key, value in state.items()}
    network = tdc_unet(_tdc_config(state), n_fft)
    wanted = network.state_dict()
    for complaint, keys in (("lacks", wanted.keys() - state.keys()), ("has unknown", state.keys() - wanted.keys())):
        if keys:
            raise HostError(f"it {complaint} parameters: {_few(keys)}")
    state = {key: _reshaped(key, value) for key, value in state.items()}
    if odd := {key for key, value in state.items() if value.shape != wanted[key].shape}:
        raise HostError(f"the shapes of some parameters do not fit: {_few(odd)}")
    network.load_state_dict(state)
    return network.eval()


def _tdc_config(state: dict[str, Tensor]) -> TdcConfig:
    first, inner = state.get("first_conv.0.weight"), state.get("encoders.0.H.0.0.weight")
    if first is None or inner is None or first.ndim != 4 or inner.ndim != 3:
        raise HostError("its architecture is not known; the one known so far is the U-Net with TDC blocks")
    channels, inputs = first.shape[:2]
    return TdcConfig(
        n_blocks=2 * _count(state, "encoders") + 1,
        input_channels=inputs,
        internal_channels=channels,
        n_internal_layers=_count(state, "encoders.0.H"),
        kernel_size_f=inner.shape[2],
    )


def _renamed(key: str) -> str:
    head, dot, rest = key.partition(".")
    return _RENAMED.get(head, head) + dot + rest


def _reshaped(key: str, value: Tensor) -> Tensor:
    """Return a published kernel as [out, in, 1, bins]: one-dimensional, or with bins before frames at first."""
    if value.ndim == 3:
        return value.unsqueeze(2)
    if value.ndim == 4 and key.startswith(("first_conv", "last_conv")) and value.shape[2:] == (2, 1):
        return value.transpose(2, 3)
    return value


def _count(state: dict[str, Tensor], prefix: str) -> int:
    """Return how many numbered modules `state` has under `prefix`."""
    depth = prefix.count(".") + 1
    return len({key.split(".")[depth] for key in state if key.startswith(prefix + ".")})


def _few(keys: set[str], most: int = 3) -> str:
    shown = sorted(keys)
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")
