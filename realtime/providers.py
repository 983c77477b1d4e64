"""Where networks are computed: ONNX Runtime's execution providers by short names."""

from __future__ import annotations

from realtime.errors import HostError

CPU = ("CPUExecutionProvider",)
PROVIDERS = {
    "cpu": CPU[0],
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
# Those whose memory is the card's, where states had better stay.
ON_DEVICE = {PROVIDERS["cuda"]: "cuda", PROVIDERS["tensorrt"]: "cuda"}
_NEEDS = {
    "cuda": "an NVIDIA card with its driver, and the gpu extra in place of cpu",
    "tensorrt": "an NVIDIA card with its driver, TensorRT, and the gpu extra in place of cpu",
    "openvino": "the package onnxruntime-openvino in place of onnxruntime",
    "coreml": "macOS",
    "directml": "Windows, and the package onnxruntime-directml in place of onnxruntime",
}


def in_turn(name: str) -> tuple[str, ...]:
    """Return the providers to try in turn for a short `name`: its own, then the CPU's. Raises HostError for none."""
    if name not in PROVIDERS:
        raise HostError(f"there is no provider '{name}'; there are {', '.join(PROVIDERS)}")
    # TensorRT leaves to CUDA what it cannot do.
    between = (PROVIDERS["cuda"],) if name == "tensorrt" else ()
    return tuple(dict.fromkeys((PROVIDERS[name], *between, *CPU)))


def fallback(name: str, running: tuple[str, ...]) -> str | None:
    """Return the sentence that says that not `name` but the first of the `running` providers computes; None if it does."""
    if running[0] == PROVIDERS[name]:
        return None
    short = {provider: known for known, provider in PROVIDERS.items()}.get(running[0], running[0])
    return f"The network runs on '{short}', because '{name}' cannot be had here; it needs {_NEEDS[name]}."
