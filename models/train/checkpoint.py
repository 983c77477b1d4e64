"""Checkpoints: a network with its average, and all that a training needs to go on as if it had not stopped.

A checkpoint is plain data and tensors: config, model, average; then optimiser, step, seconds, the schedule, the
random generators, the lanes' states and the data's. Weights alone (config, average) are one as well.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from models.architectures import network
from models.live_network import LiveNetwork
from realtime.errors import HostError

LAST, PREVIOUS, BEST = "last.pt", "previous.pt", "best.pt"


def network_of(document: dict, weights: str = "average") -> LiveNetwork:
    """Return the network of a checkpoint with its averaged weights, or with those called `weights`."""
    model = network(document["config"])
    state = document.get(weights, document["average"])
    model.load_state_dict(model.state_dict() | {k: v.float() for k, v in state.items()})
    return model


def load(path: Path) -> LiveNetwork:
    """Load the averaged weights of a checkpoint as a network in evaluation mode."""
    return network_of(torch.load(path, map_location="cpu", weights_only=True)).eval()


def read(folder: Path) -> dict | None:
    """Return the last checkpoint in a run's folder, None where there is none. Raises HostError for a broken one."""
    path = next((folder / name for name in (LAST, PREVIOUS) if (folder / name).exists()), None)
    if path is None:
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  whatever a damaged file makes of the reader
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise HostError(
            f"the checkpoint {path} cannot be read ({reason}); nothing was changed: move it away to go on from "
            f"{PREVIOUS} where there is one, or name another --run"
        ) from None


def write(folder: Path, document: dict) -> Path:
    """Write the last checkpoint; the one before stays as the previous one. Raises HostError where that fails."""
    path = folder / LAST
    partial = path.with_suffix(".tmp")
    try:
        _save(document, partial)
        # A kill between the two leaves the previous one, which `read` finds.
        if path.exists():
            path.replace(folder / PREVIOUS)
        partial.replace(path)
    except OSError as error:
        raise HostError(
            f"the checkpoint {path} cannot be written ({error.strerror or error}); training has stopped"
        ) from None
    return path


def write_weights(path: Path, document: dict) -> None:
    """Write the averaged weights of a checkpoint, enough to export."""
    partial = path.with_suffix(".tmp")
    _save({key: document[key] for key in ("config", "average", "step")}, partial)
    partial.replace(path)


def _save(document: dict, path: Path) -> None:
    with path.open("wb") as file:
        torch.save(document, file)
        file.flush()
        os.fsync(file.fileno())
