"""Added latency: what the host itself delays the sound by, split by cause.

With hop H, synthesis window S, device block B and reserve R, all in samples, an input sample comes
out S - gcd(B, H) + R samples later: the window's overlap S - H, the block adaptation H - gcd(B, H),
and the reserve R in which the separator must finish. The length of the analysis frame does not enter.

A separator that takes M frames a call adapts blocks to steps of M H samples, M H - gcd(B, M H), and a
look-ahead of L frames adds L H: S - H + M H - gcd(B, M H) + R + L H in all. A source that can be read
ahead, as a file can, is, by the look-ahead in whole blocks; then that part is not heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Mode:
    """A latency mode: `hop` and `synthesis` window in samples, `analysis` window by name.

    A network with state lives in the time scale of the hop it was trained at. Where a mode's hop is that hop divided
    by `interleave`, as many states take turns, and each of them sees frames as far apart as in training.
    """

    hop: int
    synthesis: int
    analysis: str = "hann"
    interleave: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.hop < self.synthesis:
            raise ValueError(f"a mode needs 0 < hop < synthesis, not hop {self.hop} and synthesis {self.synthesis}")
        if self.interleave < 1:
            raise ValueError(f"a mode interleaves at least one state, not {self.interleave}")


MODE_NAMES = ("safe", "low", "lower", "extreme")


@dataclass(frozen=True)
class Latency:
    """Added latency split by cause, in samples at the device rate.

    `ahead`: the look-ahead is made up for by reading the source ahead. `inserts`: what plugins delay by, and the way to
    them and back.
    """

    window: int
    block: int
    reserve: int
    resampler: int = 0
    lookahead: int = 0
    ahead: bool = False
    inserts: int = 0

    @property
    def inside(self) -> int:
        """Samples between an input sample and the output sample that carries it, device excluded."""
        return self.window + self.block + self.reserve + self.resampler + self.lookahead + self.inserts

    @property
    def added(self) -> int:
        """How much later a sample is heard, in samples: `inside` less what was read ahead."""
        return self.inside - self.read_ahead

    @property
    def read_ahead(self) -> int:
        """Samples of the source that are in before the first is played."""
        return self.lookahead if self.ahead else 0

    @property
    def causes(self) -> dict[str, int]:
        """What is heard, by cause, in samples."""
        return {
            "window": self.window,
            "block": self.block,
            "reserve": self.reserve,
            "resampler": self.resampler,
            "inserts": self.inserts,
            "look-ahead": 0 if self.ahead else self.lookahead,
        }

    def reading_ahead(self, block: int | None) -> Latency:
        """Return the split for a source that is read ahead by the look-ahead, in whole blocks of `block` samples."""
        whole = block or 1
        return replace(self, lookahead=-(-self.lookahead // whole) * whole, ahead=True)

    def text(self, rate: int) -> str:
        """Return the split in one line, at `rate` Hz."""
        always = ("window", "block", "reserve")
        shown = {cause: samples for cause, samples in self.causes.items() if samples or cause in always}
        split = " + ".join(f"{cause} {samples}" for cause, samples in shown.items())
        text = f"{split} = {self.added} samples, {1000 * self.added / rate:.1f} ms"
        if self.read_ahead:
            text += f"; look-ahead {self.lookahead} samples, {self.lookahead / rate:.1f} s, read ahead and not heard"
        return text


def reserve_for(work: float, block: int, rate: float) -> int:
    """Return the fewest whole blocks, at least one, that cover `work` seconds, in samples."""
    return max(1, math.ceil(work * rate / block - 1e-9)) * block


def latency_for(mode: Mode, block: int | None, reserve: int, frames: int = 1, lookahead: int = 0) -> Latency:
    """Return the split for `mode` on blocks of `block` samples (None: of varying size).

    The separator takes `frames` frames a call and looks `lookahead` frames ahead.
    """
    step = frames * mode.hop
    common = 1 if block is None else math.gcd(block, step)
    return Latency(mode.synthesis - mode.hop, step - common, reserve, lookahead=lookahead * mode.hop)
