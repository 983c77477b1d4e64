"""The learning rate, which depends on the step alone: warm-up, inverse square root, and a straight line to nothing."""

from __future__ import annotations

from dataclasses import dataclass

WARM_UP = 200


@dataclass(frozen=True)
class Schedule:
    """`rate` is the height after the warm-up; after `decay` steps it has fallen by sqrt(2).

    Annealing starts at step `begin` and takes `length` steps; a `length` of 0 means none.
    """

    rate: float
    decay: float
    begin: int = 0
    length: int = 0

    def at(self, step: int) -> float:
        """Return the learning rate of the step with this number, the first being 0."""
        rate = self.rate * min(1.0, (step + 1) / WARM_UP) / (1 + step / self.decay) ** 0.5
        return rate * max(0.0, 1 - (step - self.begin) / self.length) if self.length else rate

    def over(self, step: int) -> bool:
        """Whether annealing has ended before this step."""
        return self.length > 0 and step >= self.begin + self.length
