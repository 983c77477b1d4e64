"""python -m models.train: see --help."""

from __future__ import annotations

import sys

from models.train.ranks import first


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    try:
        from models.train.module import NotFinite
        from models.train.options import parse
        from models.train.run import train
        from realtime.errors import HostError
    except ImportError as error:
        missing = (error.name or "models").split(".")[0]
        if missing in ("models", "realtime"):
            raise
        sentence = f"training needs {missing}, which is not installed: install the extra, pip install -e '.[train]'"
        print(sentence, file=sys.stderr)
        return 1
    try:
        train(parse(arguments))
    except NotFinite as error:
        # All processes find it; one tells, and the others must not seem to have died first.
        if not first():
            return 0
        print(error, file=sys.stderr)
        return 1
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    from models.train.memory import keep_memory

    keep_memory()
    sys.exit(main())
