"""A sound card that plays a source in place of its own input."""

from __future__ import annotations

import numpy as np

from realtime.devices.portaudio import PortAudioDevice


class Fed:
    """A sound card whose input is replaced by a file: a plain Python callback, since it reads."""

    def __init__(self, device: PortAudioDevice, read, channels: int) -> None:
        self._device, self._read = device, read
        self.name, self.rate, self.block = device.name, device.rate, device.block
        self.in_channels, self.out_channels = channels, device.out_channels
        self._over = False
        self._left: int | None = None

    input_latency = 0

    @property
    def output_latency(self) -> int:
        return self._device.output_latency

    @property
    def error(self) -> str | None:
        return self._device.error

    @property
    def lost(self) -> str | None:
        return self._device.lost

    @property
    def changed(self) -> int | None:
        return self._device.changed

    @property
    def where(self) -> tuple[str, str]:
        return self._device.where

    def start(self, bridge) -> None:
        self._left = bridge.flush

        def callback(block_in: np.ndarray, block_out: np.ndarray, frames: int) -> None:
            rows = self._read(frames)
            block = np.zeros((frames, self.in_channels), np.float32)
            block[: len(rows)] = rows
            if not len(rows):
                self._left -= frames
                self._over = self._left <= 0
            out = np.zeros((frames, self.out_channels), np.float32)
            bridge.process(block, out)
            block_out[:] = out

        self._device.start_lockstep(callback)

    def stop(self) -> None:
        self._device.stop()

    def active(self) -> bool:
        return not self._over and self._device.active()
