"""What wrong packets cost a live run: misses beside those of quiet spells of the same run, memory, and the next good message.

`python -m realtime.bench.fuzzed` sends 100,000 of them (realtime/fuzz.py) within 60 seconds to a host on the null device.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from realtime.bench.flooded import SPELLS, FloodFigures, measure_flood
from realtime.defaults import mode_name
from realtime.fuzz import answers, malformed
from realtime.host import Host
from realtime.library import find_separator
from realtime.separator import Separator
from realtime.soak import resident


@dataclass(frozen=True)
class FuzzFigures:
    """`flood` has hops and misses; `memory` the control process's MB after every spell, quiet and fuzzed in turns."""

    flood: FloodFigures
    memory: tuple[float | None, ...]
    answered: bool


def measure_fuzz(
    path: Path, mode: str | None = None, run: str = "stems", packets: int = 100_000, seconds: float = 60.0
) -> FuzzFigures:
    """Return what `packets` wrong packets within `seconds` do to a live run; quiet spells last as long again."""
    memory: list[float | None] = []
    answered: list[bool] = []

    def look(host: Host) -> None:
        memory.append(resident(None))
        answered.append(answers(("127.0.0.1", host.server.port)))

    mode = mode_name(Separator.load(path), mode)
    spell, rate = seconds / (SPELLS // 2), max(1, round(packets / seconds))
    flood = measure_flood(path, mode, run, None, spell, lambda number: None, rate, malformed, look)
    return FuzzFigures(flood, tuple(memory), all(answered))


def main() -> int:
    """Measure and print; the exit status is 0 where the host still answers."""
    parser = argparse.ArgumentParser(prog="python -m realtime.bench.fuzzed", description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lasaft-live", metavar="NAME_OR_FILE", help="separator that runs")
    parser.add_argument("--latency", metavar="MODE", help="latency mode (default: the separator's)")
    parser.add_argument("--packets", type=int, default=100_000, metavar="N", help="how many (default: 100000)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="N", help="within which they are sent (default: 60)")
    options = parser.parse_args()
    found = measure_fuzz(find_separator(options.model), options.latency, packets=options.packets, seconds=options.seconds)
    flood = found.flood
    print(f"{flood.messages} wrong packets, {flood.rate} a second, in {flood.mode}, {flood.run}")
    print(f"misses: {flood.misses_flooded} of {flood.hops_flooded} hops meanwhile, {flood.misses_quiet} of {flood.hops_quiet} in quiet spells")
    sizes = ["?" if size is None else f"{size:.1f}" for size in found.memory]
    print(f"memory of the control process after quiet and fuzzed spells in turns: {', '.join(sizes)} MB")
    print("the next good message was answered each time" if found.answered else "A GOOD MESSAGE WAS NOT ANSWERED")
    return 0 if found.answered else 1


if __name__ == "__main__":
    sys.exit(main())
