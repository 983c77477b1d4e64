"""Plugins as `realtime.inserts.child` runs them: VST3 and, on macOS, Audio Units, through pedalboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime.errors import HostError

# What hosts of plugins add of their own, and what only a program that edits sound has a use for.
_LEFT_OUT = ("buffer_size", "sample_rate", "latency_", "current_program", "bypass")


class Effect:
    """One plugin for `channels` channels at `rate` Hz in blocks of `step`. Raises HostError where it cannot be one."""

    def __init__(self, path: str, rate: float, channels: int, step: int) -> None:
        try:
            import pedalboard
        except ImportError:
            raise HostError(
                "plugins need the package pedalboard, which is under the GPL, version 3: pip install 'lasaft-live[inserts]'"
            ) from None
        if not Path(path).exists():
            raise HostError(f"there is no {path}; `run_live.py plugins` lists the plugins that were found")
        try:
            plugin = pedalboard.load_plugin(path)
        except Exception as problem:  # noqa: BLE001 - whatever a plugin does, it is left out with a sentence
            raise HostError(f"{Path(path).name} is no plugin that can be loaded here ({_brief(problem)})") from None
        if plugin.is_instrument or not plugin.is_effect:
            raise HostError(f"{plugin.name} is an instrument, which makes sound of notes; an insert takes an effect")
        self.name, self._plugin, self._rate, self._step = plugin.name, plugin, rate, step
        try:
            self.process(np.zeros((step, channels), np.float32))
        except ValueError as problem:
            raise HostError(
                f"{plugin.name} takes another number of channels than {channels}, or fails on silence ({_brief(problem)}); "
                "many plugins come in a version for each"
            ) from None
        self._plugin.reset()
        self._parameters = [p for key, p in plugin.parameters.items() if not key.startswith(_LEFT_OUT)]
        self._restart = True

    @property
    def latency(self) -> int:
        """By how many samples it says that it delays the sound."""
        return int(self._plugin.reported_latency_samples)

    @property
    def parameters(self) -> list[tuple[str, float, str]]:
        """Name, value 0..1, and the value as a person reads it, of each parameter."""
        return [(p.name, float(p.raw_value), self._text(p)) for p in self._parameters]

    def set(self, index: int, value: float) -> None:
        """Set a parameter, from 0, to `value`, 0..1."""
        self._parameters[index].raw_value = value

    def process(self, block: np.ndarray) -> np.ndarray:
        """Return what it makes of `block` [n, channels]: as much less, at the start, as it is late by."""
        return self._plugin.process(np.ascontiguousarray(block.T), self._rate, self._step, False).T

    def reset(self) -> None:
        """Forget the past."""
        self._plugin.reset()

    @staticmethod
    def _text(parameter) -> str:
        text, unit = str(parameter.string_value).strip(), (parameter.label or "").strip()
        return text if not unit or text.endswith(unit) else f"{text} {unit}"


def _brief(problem: Exception) -> str:
    return " ".join(str(problem).split())[:200]


def open_effect(path: str, rate: float, channels: int, step: int) -> Effect:
    """Return the plugin at `path`; arguments and errors as in Effect."""
    return Effect(path, rate, channels, step)
