"""`python -m realtime.daws DIR` writes the ready files that docs/daws tells about."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from realtime.daws.files import files_for, written
from realtime.errors import HostError
from realtime.library import find_separator
from realtime.separator import Separator


def main(arguments: list[str] | None = None) -> int:
    """Write the files; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m realtime.daws", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write them")
    parser.add_argument("--model", default="lasaft-live", metavar="NAME_OR_FILE", help="separator whose stems are meant")
    parser.add_argument("--osc-port", type=int, default=9000, metavar="PORT", help="the host's UDP port (default: 9000)")
    options = parser.parse_args(arguments)
    try:
        stems = Separator.load(find_separator(options.model)).metadata.stems
        for name, text in files_for(stems, options.osc_port).items():
            path = options.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written(name, text))
            print(f"wrote {path}")
    except HostError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"error: {options.folder} cannot be written to ({problem}); choose another folder", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
