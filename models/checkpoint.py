"""Published checkpoints: read safely, and made into separators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export import train_extra
from realtime.errors import HostError
from realtime.metadata import Training

try:
    import torch
    from torch import Tensor

    from export.exporter import export_separator
    from models.pipeline import SpectrogramSeparator, separator_of
    from models.published import config_from, load_published, pipeline_from
    from models.systems import name_of
except ImportError:
    raise train_extra() from None

PUBLISHED = Training(
    data="MUSDB18",
    licence="weights published by their author under the MIT licence; the MUSDB18 data is for non-commercial use",
)

# Whose objects may lie beside the tensors in a PyTorch Lightning file. They are never made: see `_StandIn`.
_HARMLESS = (
    "argparse.Namespace",
    "pathlib.",
    "numpy.",
    "torch.nn.functional.",
    "pytorch_lightning.",
    "lightning.",
    "lightning_fabric.",
    "omegaconf.",
    "lasaft.",
    "source_separation.",
)


def import_checkpoint(path: str | Path, name: str, directory: str | Path, arguments: str | Path | None = None) -> Path:
    """Export the published checkpoint at `path` as separator `name` into `directory`; return the new file.

    `arguments` is a JSON file with the published constructor's arguments; they go before those in the
    checkpoint. Raises HostError where it is no checkpoint, of no architecture known here, or fails verification.
    """
    if not name or Path(name).name != name:
        raise HostError(f"a separator's name becomes its file's name, and '{name}' cannot; nothing was imported")
    given = {} if arguments is None else read_arguments(arguments)
    try:
        state, own = read_checkpoint(path)
        given = (own or {}) | given
        architecture, separator = name_of(config_from(given, state)), _separator(state, given)
    except HostError as error:
        raise HostError(f"checkpoint {path} was not imported: {error}") from None
    target = Path(directory) / f"{name}.onnx"
    export_separator(separator, separator.metadata(name, architecture, PUBLISHED), target)
    return target


def _separator(state: Mapping[str, Tensor], arguments: Mapping[str, Any]) -> SpectrogramSeparator:
    return separator_of(load_published(state, arguments), pipeline_from(arguments, state))


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Return the parameters in a checkpoint, and the arguments of its network where it has them.

    Takes a plain state dict or a PyTorch Lightning file. Nothing is unpickled but tensors, plain values
    and containers of them; objects of Lightning's stay empty shells. Raises HostError for what is no checkpoint.
    """
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise HostError(f"it cannot be read ({error.strerror or error})") from None
    try:
        with torch.serialization.safe_globals(_stand_ins(path)):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - whatever a damaged or hostile file makes the reader raise
        raise HostError(
            "it is not a checkpoint, or a damaged one, or it holds objects other than tensors, which are never loaded"
        ) from None
    content = content if isinstance(content, dict) else {}
    state = content.get("state_dict", content)
    tensors = isinstance(state, dict) and all(_dense(value) for value in state.values())
    if not tensors or not state or not all(isinstance(key, str) for key in state):
        raise HostError("it holds no state dict of tensors")
    return dict(state), _arguments(content)


def _dense(value: object) -> bool:
    """Return whether `value` is a tensor of plain numbers."""
    return (
        isinstance(value, Tensor) and value.layout is torch.strided and not (value.is_quantized or value.is_complex())
    )


def read_arguments(path: str | Path) -> dict[str, Any]:
    """Return the arguments in a JSON file; raise HostError where it is none, or no object of names and values."""
    try:
        arguments = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise HostError(f"arguments {path} cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        raise HostError(f"arguments {path} are not JSON ({error})") from None
    if not isinstance(arguments, dict):
        raise HostError(f'arguments {path} must be names with values, such as {{"n_fft": 4096}}')
    return arguments


class _StandIn:
    """Takes the place of an object of a foreign class: keeps its attributes, and does nothing."""

    def __init__(self, *values: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def _stand_ins(path: str | Path) -> list[tuple[type, str]]:
    """Return what the reader is to take for the classes named in the file, as far as they are harmless ones."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - an older layout, or damage, of which the reader itself has more to say
        return []
    # Lightning's dict with attributes is filled like a dict, which the reader does for real ones only.
    return [
        (dict if name.endswith(".AttributeDict") else _StandIn, name) for name in names if name.startswith(_HARMLESS)
    ]


def _arguments(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the hyper-parameters in a Lightning file, whatever container they were in."""
    for name in ("hyper_parameters", "hparams"):
        found = content.get(name)
        found = vars(found) if isinstance(found, _StandIn) else found
        if isinstance(found, dict) and found:
            return {key: value for key, value in found.items() if isinstance(key, str)}
    return None
