"""python -m export: make and check separator files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from realtime.errors import HostError


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    identity = commands.add_parser("identity", help="export the separator that changes nothing")
    identity.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    check = commands.add_parser("verify", help="check a separator file, as far as that goes without its torch module")
    check.add_argument("file", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.command == "identity":
            from export import train_extra

            try:
                from export.exporter import export_separator
                from models.identity import IDENTITY, Identity
            except ImportError:
                raise train_extra() from None
            path, result = arguments.output, export_separator(Identity(), IDENTITY, arguments.output)
        else:
            from export.verify import verify

            path, result = arguments.file, verify(arguments.file)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    compared = "not compared with torch" if result.error is None else f"differs from torch by {result.error:.1e} of its RMS"
    print(f"{path}: {compared}; silence comes out at {result.silence:.1f} dBFS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
