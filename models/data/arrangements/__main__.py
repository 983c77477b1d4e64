"""Render arrangements to a cache that a training can draw from.

    python -m models.data.arrangements --data STEMS --out cache/arrangements --minutes 300
    python -m models.data.arrangements --data STEMS --out cache/arrangements --minutes 60 --midi FOLDER
    python -m models.data.arrangements --out cache/soundtracks --minutes 120 --soundtracks FOLDER --leave-out "voc-*"

The licences of what it plays with and plays are in licence.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from models.data.arrangements.cache import holdings, render_arrangements
from models.data.arrangements.soundtracks import pool_soundtracks
from realtime.errors import HostError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the stem corpus; without it nothing is sung or sampled")
    parser.add_argument("--out", type=Path, required=True, help="folder of the cache; what is there is kept")
    parser.add_argument(
        "--midi", type=Path, nargs="+", help="play the songs of these MIDI files, folders or archives instead"
    )
    parser.add_argument(
        "--soundtracks", type=Path, nargs="+", help="pool these recordings without singing, unseparated"
    )
    parser.add_argument("--leave-out", nargs="+", default=[], help="patterns of names of recordings not to be pooled")
    parser.add_argument("--minutes", type=float, default=60.0, help="minutes of each stem (about 33 MB a minute)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    try:
        if options.soundtracks:
            print(pool_soundtracks(options.soundtracks, options.out, options.minutes, tuple(options.leave_out)))
            return
        render_arrangements(options.data, options.out, options.minutes, options.seed, options.workers, options.midi)
    except HostError as error:
        raise SystemExit(str(error)) from None
    print(holdings(options.out))


if __name__ == "__main__":
    main()
