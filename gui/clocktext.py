"""Times as a person reads them."""

from __future__ import annotations


def clock_text(seconds: float, digits: int = 1) -> str:
    """Return `seconds` as 1:02.3, or 1:02:03.4 from an hour on, cut after so many `digits`: a clock does not round up."""
    unit = 10**digits
    # A hair more: a tenth that travelled as a 32-bit number must not fall below itself.
    count = int(max(0.0, seconds) * unit + 1e-3)
    whole, part = divmod(count, unit)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{text}.{part:0{digits}d}" if digits else text
