"""Soft take-over: a knob moves a value only once it has come to where the value is."""

from __future__ import annotations

# So near, of 0..1, a knob is at the value: a step and a half of 7 bits, rounded up.
NEAR = 0.012
_SAME = 1e-6


class Takeover:
    """One knob and the value it moves, both of 0..1. The knob has hold of the value until something else moves it."""

    def __init__(self) -> None:
        self._knob: float | None = None
        self._sent: float | None = None
        self._exact = 0.0
        self._held = False

    def passes(self, knob: float, value: float) -> bool:
        """Take the knob at `knob` while the value is `value`; return whether it moves the value."""
        before, self._knob = self._knob, knob
        if not self._held:
            crossed = before is not None and (before - value) * (knob - value) <= 0
            self._held = crossed or abs(knob - value) <= NEAR
        return self._held

    def sent(self, value: float, exact: float) -> None:
        """Note that the knob set `value`, which is what the control made of `exact`."""
        self._sent, self._exact, self._held = value, exact, True

    def moved(self, value: float) -> None:
        """Note that the value is `value` now, whoever moved it."""
        self._held = self._sent is not None and abs(value - self._sent) <= _SAME

    def base(self, value: float) -> float:
        """Return where an encoder goes on from while the value is `value`."""
        return self._exact if self._held else value
