"""Presets: named gain vectors for a list of stems."""

from __future__ import annotations

from collections.abc import Sequence

_FOUR = {"vocals", "drums", "bass", "other"}
_FOUR_PRESETS = {
    "all": _FOUR,
    "acapella": {"vocals"},
    "instrumental": _FOUR - {"vocals"},
    "drums": {"drums"},
    "bass": {"bass"},
    "drums+bass": {"drums", "bass"},
    "no drums": _FOUR - {"drums"},
    "melody": {"vocals", "other"},
}


def presets_for(stems: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Return preset name -> linear gain per stem, each 0 or 1, in the order of `stems`; "all" is first.

    Vocals, drums, bass and other have presets of their own; any other list gets all, only-<stem> and no-<stem>.
    """
    if set(stems) == _FOUR:
        kept = _FOUR_PRESETS
    else:
        kept = {"all": set(stems)}
        kept |= {f"only-{stem}": {stem} for stem in stems}
        kept |= {f"no-{stem}": set(stems) - {stem} for stem in stems}
    return {name: tuple(float(stem in wanted) for stem in stems) for name, wanted in kept.items()}
