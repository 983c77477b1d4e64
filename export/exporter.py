"""Torch modules made into separator files that keep the host's contract (see realtime/separator.py)."""

from __future__ import annotations

import copy
import hashlib
import inspect
import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from export import train_extra
from export.verify import Verification, verify
from realtime.errors import HostError
from realtime.metadata import KEY, Metadata
from realtime.separator import STEMS

try:
    import onnx
    import onnxscript  # noqa: F401 - torch's exporter needs it and says so in its own words
    import torch
    from torch import Tensor
except ImportError:
    raise train_extra() from None

OPSET = 18


class SeparatorModule(Protocol):
    """What a torch module must offer to become a separator.

    `stem_states` says for each state whether its first dimension is the stems; `initial_states` are
    zeros. Calling it takes mixture [1, 2*channels, frames, bins], condition [stems, width], valid [1] if
    it has a true `takes_valid`, and the states, and returns estimate [stems, 2*channels, frames, bins] and
    the next states, of equal shapes.
    """

    stem_states: tuple[bool, ...]

    def initial_states(self, stems: int) -> tuple[Tensor, ...]: ...

    def __call__(self, mixture: Tensor, condition: Tensor, *states: Tensor) -> tuple[Tensor, ...]: ...


def export_separator(module: SeparatorModule, metadata: Metadata, path: str | Path, half: bool = False) -> Verification:
    """Write `module`, a torch.nn.Module, to `path` as a separator and return how it was verified.

    `half` rounds the parameters to float16 and stores them so, which halves the file; the arithmetic
    stays float32. `metadata.weights` is filled in; `module` itself is not touched. Raises HostError,
    leaving what is at `path` as it was, where the file breaks the contract or differs from `module`.
    """
    path = Path(path)
    module = copy.deepcopy(module).eval().float().cpu()
    if half:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.copy_(parameter.half())
    model = _convert(module, metadata)
    if half:
        _store_half(model.graph)
    onnx.helper.set_model_props(model, {KEY: replace(metadata, weights=weights_hash(module)).to_json()})
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    try:
        draft.write_bytes(model.SerializeToString())
        result = verify(draft, module)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return result


def weights_hash(module: torch.nn.Module) -> str:
    """Return the SHA-256, in hex, over the names, shapes and float32 values of the parameters and buffers."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = np.ascontiguousarray(value.detach().cpu().numpy())
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _convert(module: torch.nn.Module, metadata: Metadata) -> onnx.ModelProto:
    stems = max(2, len(metadata.stems))  # one would be taken for a constant
    states = module.initial_states(stems)
    if any(state.any() for state in states):
        raise HostError(f"separator '{metadata.name}' was not exported: its stream must start from states of zeros")
    mixture = torch.randn(1, 2 * metadata.channels, metadata.frames, metadata.bins)
    condition = torch.rand(stems, len(metadata.stems))
    valid = (torch.ones(1),) if getattr(module, "takes_valid", False) else ()
    free = {0: torch.export.Dim(STEMS)}
    held: dict = {}
    count = len(states)
    # What the exporter has to say is about its own future and about packages that are not used here.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            (mixture, condition, *valid, *states),
            input_names=[
                "mixture",
                "condition",
                *("valid" for _ in valid),
                *(f"state_{index}" for index in range(count)),
            ],
            output_names=["estimate", *(f"next_state_{index}" for index in range(count))],
            dynamic_shapes=_dynamic(module, held, free),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = program.model_proto
    _strip(model)
    return model


def _dynamic(module: torch.nn.Module, held: dict, free: dict) -> tuple:
    """Return the dynamic dimensions as torch wants them: grouped where forward takes `*states`."""
    states = tuple(free if per_stem else held for per_stem in module.stem_states)
    states = (held, *states) if getattr(module, "takes_valid", False) else states
    kinds = [parameter.kind for parameter in inspect.signature(module.forward).parameters.values()]
    return (held, free, states) if inspect.Parameter.VAR_POSITIONAL in kinds else (held, free, *states)


def _strip(model: onnx.ModelProto) -> None:
    """Remove what the exporter notes of the machine it ran on: stack traces with file names."""
    model.doc_string = ""
    for item in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    for item in (*model.graph.input, *model.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]


def _store_half(graph: onnx.GraphProto) -> None:
    """Store as float16 what float16 holds exactly; ONNX Runtime undoes the casts when it loads the file."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        full = onnx.numpy_helper.to_array(tensor)
        with np.errstate(over="ignore"):
            small = full.astype(np.float16)
        if full.size < 64 or not np.array_equal(small.astype(np.float32), full):
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(small, name + "_half"))
        casts.append(onnx.helper.make_node("Cast", [name + "_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
