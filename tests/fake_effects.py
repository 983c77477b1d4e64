"""Effects that need no plugin: a gain, a delay that is told, and ones that crash, stall or give no numbers."""

from __future__ import annotations

import os
import time

import numpy as np

from realtime.errors import HostError


class _Fake:
    """`path` is a name, and an argument behind a colon."""

    def __init__(self, path: str, channels: int) -> None:
        self.kind, _, argument = path.partition(":")
        self.value = float(argument or 1)
        self.latency = int(self.value) if self.kind == "delay" else 0
        self.turned = self.value / 2
        self._channels = channels
        self.reset()

    @property
    def parameters(self) -> list[tuple[str, float, str]]:
        return [("Gain", self.turned, f"{2 * self.turned:.2f} x"), ("Trouble", 0.0, "none")]

    def set(self, index: int, value: float) -> None:
        if index == 0:
            self.turned = value
            self.value = 2 * value
        elif value > 0.5:
            self.kind = {"gain": "crash", "delay": "stall"}.get(self.kind, "nan")

    def process(self, block: np.ndarray) -> np.ndarray:
        if self.kind == "crash":
            os.kill(os.getpid(), 11)
        if self.kind == "stall":
            time.sleep(3600)
        if self.kind == "nan" or (self.kind == "loud-nan" and np.abs(block).max() > 0.5):
            return np.full_like(block, np.nan)
        if self.kind == "delay":
            # Plugins that are late give less at first.
            self._owed += len(block)
            given = max(0, min(len(block), self._owed - self.latency))
            held = np.concatenate([self._held, block])
            self._held = held[given:]
            return held[:given]
        return np.float32(self.value) * block

    def reset(self) -> None:
        self._held, self._owed = np.zeros((0, self._channels), np.float32), 0


def open_effect(path: str, rate: float, channels: int, step: int) -> _Fake:
    if path.startswith("missing"):
        raise HostError(f"there is no {path}")
    if path.startswith("dies"):
        os.kill(os.getpid(), 11)
    return _Fake(path, channels)
