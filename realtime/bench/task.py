"""What is to be measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Task:
    """One measurement: `music` is a stereo file that is played over and over, `hops` 0 stands for a minute of them.

    A hop is what one call of the separator finishes. `block` None is what the host takes by itself; the `reserve` is at
    least so many seconds; `bare`: the network without the host is paced as well.
    """

    separator: Path
    music: Path
    mode: str
    run: Literal["single", "stems"]
    hops: int = 0
    block: int | None = None
    reserve: float = 0.0
    bare: bool = False
