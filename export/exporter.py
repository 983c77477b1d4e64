"""Torch modules made into separator files that keep the host's contract (see realtime/separator.py)."""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from export import train_extra
from export.verify import Verification, sdr_loss, verify
from realtime.errors import HostError
from realtime.metadata import KEY, Metadata
from realtime.separator import STEMS

try:
    import onnx
    import torch
    from torch import Tensor

    from export.int8 import to_int8
except ImportError:
    raise train_extra() from None

OPSET = 18


class SeparatorModule(Protocol):
    """What a torch module must offer to become a separator.

    `stem_states` says for each state whether its first dimension is the stems; `initial_states` are
    zeros. Calling it takes mixture [1, 2*channels, frames, bins], condition [stems, width], valid [1] if
    it has a true `takes_valid`, and the states, and returns estimate [stems, 2*channels, frames, bins] and
    the next states, of equal shapes. `ages`, if it has them, say after how many calls each state comes back.

    A module whose layers attend to latent sources may tell how: `attends` (layers, latents), None or absent where
    it does not, and `attention(condition)` [stems, layers, latents], the softmax weights under the condition of
    a call. The file then gives them as its second output.

    It may offer `folded()`, an equal module that takes fewer operations: the file is made from that, and verified
    against the module itself.
    """

    stem_states: tuple[bool, ...]

    def initial_states(self, stems: int) -> tuple[Tensor, ...]: ...

    def __call__(self, mixture: Tensor, condition: Tensor, *states: Tensor) -> tuple[Tensor, ...]: ...


def export_separator(
    module: SeparatorModule, metadata: Metadata, path: str | Path, int8: bool = False, check: bool = True
) -> Verification | None:
    """Write `module`, a torch.nn.Module, to `path` as a separator and return how it was verified.

    Without `check` it is not, and None is returned: for measuring time.

    `int8` rounds the weights (see export/int8.py); the file is then verified twice, in float32 against `module`, and rounded
    by what separation it has lost against that. `metadata.weights` is filled in; `module` itself is not touched.
    Raises HostError, leaving what is at `path` as it was, where the file breaks the contract or differs from `module`.
    """
    path = Path(path)
    module = copy.deepcopy(module).eval().float().cpu()
    model = _convert(module.folded() if hasattr(module, "folded") else module, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft, parent = (path.with_name(f"{path.name}.{kind}") for kind in ("draft", "float32"))
    try:
        _write(model, metadata, weights_hash(module), draft)
        result = verify(draft, module) if check else None
        if int8:
            os.replace(draft, parent)
            _write(to_int8(model), metadata, weights_hash(module, "int8"), draft)
            if result is not None:
                result = replace(verify(draft), error=result.error, loss=sdr_loss(draft, parent))
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
        parent.unlink(missing_ok=True)
    return result


def _write(model: onnx.ModelProto, metadata: Metadata, weights: str, path: Path) -> None:
    onnx.helper.set_model_props(model, {KEY: replace(metadata, weights=weights).to_json()})
    path.write_bytes(model.SerializeToString())


def weights_hash(module: torch.nn.Module, kind: str = "") -> str:
    """Return the SHA-256, in hex, over the names, shapes and float32 values of the parameters and buffers, and over `kind`."""
    digest = hashlib.sha256(kind.encode())
    for name, value in sorted(module.state_dict().items()):
        array = np.ascontiguousarray(value.detach().cpu().numpy())
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class _Telling(torch.nn.Module):
    """`module` with its attention behind the estimate."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, mixture: Tensor, condition: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        estimate, *states = self.module(mixture, condition, *rest)
        return (estimate, self.module.attention(condition), *states)


def _convert(module: torch.nn.Module, metadata: Metadata) -> onnx.ModelProto:
    stems = max(2, len(metadata.stems))  # one would be taken for a constant
    states = module.initial_states(stems)
    if any(state.any() for state in states):
        raise HostError(f"separator '{metadata.name}' was not exported: its stream must start from states of zeros")
    mixture = torch.randn(1, 2 * metadata.channels, metadata.frames, metadata.bins)
    condition = torch.rand(stems, len(metadata.stems))
    valid = (torch.ones(1),) if getattr(module, "takes_valid", False) else ()
    names = ["mixture", "condition", *("valid" for _ in valid), *(f"state_{index}" for index in range(len(states)))]
    attends = getattr(module, "attends", None)
    attention = [] if attends is None else [(stems, *attends)]
    results = ["estimate", *("attention" for _ in attention), *(f"next_state_{index}" for index in range(len(states)))]
    free = {name: {0: STEMS} for name in ("condition", "estimate", "attention")}
    for index, per_stem in enumerate(module.stem_states):
        if per_stem:
            free |= {f"state_{index}": {0: STEMS}, f"next_state_{index}": {0: STEMS}}
    target = io.BytesIO()
    # The tracing exporter, though it is the older one: the other takes twenty times as long for networks of
    # many layers and states, and what it does better, control flow, a separator has none of.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Telling(module) if attention else module,
            (mixture, condition, *valid, *states),
            target,
            input_names=names,
            output_names=results,
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(target.getvalue())
    _strip(model)
    estimate = (stems, 2 * metadata.channels, metadata.frames, metadata.bins)
    shapes = [estimate, *attention, *(state.shape for state in states)]
    for value, shape in zip(model.graph.output, shapes, strict=True):
        per_stem = value.name in free
        sizes = [STEMS if per_stem and axis == 0 else size for axis, size in enumerate(shape)]
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, sizes))
    return model


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes of the machine it ran on: stack traces with file names."""
    model.doc_string = ""
    for item in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    for item in (*model.graph.input, *model.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
