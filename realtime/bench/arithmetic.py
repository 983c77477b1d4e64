"""Multiply-accumulates of a separator, counted from the shapes that ONNX Runtime's profiler sees in one call.

MatMul, rounded or not, and Gemm take outputs x inner size; Conv outputs x weights per output; ConvTranspose inputs x weights per input;
GRU, LSTM and RNN frames x (input and recurrent weights). Everything else, the STFT included, is left out. The `onnx` package
is not needed.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from realtime.providers import CPU
from realtime.separator import STEMS, Separator

Shapes = Sequence[Sequence[int]]


def macs_of(kind: str, ins: Shapes, outs: Shapes) -> int:
    """Return the multiply-accumulates of one operator with inputs and outputs of these shapes."""
    size = math.prod
    if kind in ("MatMul", "MatMulInteger", "MatMulNBits"):
        return size(outs[0]) * ins[0][-1]
    if kind == "Gemm":
        # Transposed or not, the first input holds output rows x inner size.
        return size(ins[0]) * outs[0][-1]
    if kind in ("Conv", "ConvInteger"):
        return size(outs[0]) * size(ins[1][1:])
    if kind == "ConvTranspose":
        return size(ins[0]) * size(ins[1][1:])
    if kind in ("GRU", "LSTM", "RNN"):
        return size(ins[0][:2]) * (size(ins[1]) + size(ins[2]))
    return 0


def count_macs(separator: Separator, stems: int) -> int:
    """Return the multiply-accumulates of one call for `stems` conditions at a time."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder) / "profile")
        # Operators as they were written, with weights among their inputs.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.add_free_dimension_override_by_name(STEMS, stems)
        session = onnxruntime.InferenceSession(str(separator.path), options, providers=list(CPU))
        shapes = {
            value.name: [stems if size == STEMS else size for size in value.shape] for value in session.get_inputs()
        }
        session.run(None, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = [each["args"] for each in events if each.get("cat") == "Node" and each["name"].endswith("_kernel_time")]
    return sum(
        macs_of(node["op_name"], *(_shapes(node[f"{way}_type_shape"]) for way in ("input", "output"))) for node in nodes
    )


def _shapes(described: list[dict[str, list[int]]]) -> list[list[int]]:
    return [next(iter(each.values())) for each in described]
