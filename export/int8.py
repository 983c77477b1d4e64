"""The weights of a separator as 8-bit integers: a quarter of the memory a hop has to fetch, which is what its time goes into.

Constants that something is multiplied with are rounded in blocks of 32 with a scale of their own (weight-only quantisation);
ONNX Runtime's operator MatMulNBits multiplies them as integers. Biases, and products too small to matter, stay float32.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

BLOCK = 32
# Constants of fewer elements are left as they are.
LEAST = 4096
_DOMAIN = "com.microsoft"
# Integer products; the alternatives of the operator go back to float32 first.
_ACCURACY = 4


def to_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` with the constant factors of its Gemm and MatMul as int8; `model` itself is not touched."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes, added = [], {}
    for node in graph.node:
        weight = _weight(node, constants)
        if weight is None:
            nodes.append(node)
            continue
        # One constant may be multiplied with as it stands and turned.
        name = node.input[1] + ("_turned" if _is_turned(node) else "")
        if name not in added:
            numbers, scales = round_blocks(weight)
            added[name] = [numpy_helper.from_array(numbers, f"{name}_int8"), numpy_helper.from_array(scales, f"{name}_scale")]
        bias = ["", "", node.input[2]] if len(node.input) > 2 else []
        inputs = [node.input[0], f"{name}_int8", f"{name}_scale", *bias]
        size = {"K": weight.shape[1], "N": weight.shape[0]}
        nodes.append(
            helper.make_node(
                "MatMulNBits", inputs, node.output, node.name, domain=_DOMAIN, bits=8, block_size=BLOCK,
                accuracy_level=_ACCURACY, **size,
            )
        )  # fmt: skip
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *(tensor for pair in added.values() for tensor in pair)])
    if added and not any(each.domain == _DOMAIN for each in result.opset_import):
        result.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    return result


def round_blocks(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `weight` float32 [out, in] as uint8 [out, blocks, BLOCK], 128 for zero, and the scales float32 [out * blocks]."""
    rows, columns = weight.shape
    blocks = -(-columns // BLOCK)
    padded = np.zeros((rows, blocks * BLOCK), np.float32)
    padded[:, :columns] = weight
    parts = padded.reshape(rows, blocks, BLOCK)
    scales = np.abs(parts).max(-1, keepdims=True) / 127
    numbers = np.rint(np.divide(parts, scales, out=np.zeros_like(parts), where=scales > 0))
    return (numbers + 128).astype(np.uint8), scales.astype(np.float32).ravel()


def _is_turned(node: onnx.NodeProto) -> bool:
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)


def _weight(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> np.ndarray | None:
    """Return the constant that `node` multiplies its first input with, [out, in]; None where there is none to round."""
    if node.op_type not in ("Gemm", "MatMul") or len(node.input) < 2 or node.input[1] not in constants:
        return None
    tensor = constants[node.input[1]]
    if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2 or np.prod(tensor.dims) < LEAST:
        return None
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if attributes.get("transA", 0) or attributes.get("alpha", 1) != 1 or attributes.get("beta", 1) != 1:
        return None
    if len(node.input) > 2 and len(constants[node.input[2]].dims if node.input[2] in constants else (0, 0)) != 1:
        return None
    weight = numpy_helper.to_array(tensor).astype(np.float32)
    return weight if _is_turned(node) else np.ascontiguousarray(weight.T)
