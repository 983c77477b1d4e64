"""From torch to separator files, verified. Needs the ``train`` extra."""

from realtime.errors import HostError


def train_extra() -> HostError:
    """Return the error to raise where torch or onnx is missing."""
    return HostError("this needs torch and onnx, which are not installed: install the extra, pip install -e '.[train]'")
