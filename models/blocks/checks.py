"""Checks that constructors of blocks share; each raises HostError with the reason."""

from __future__ import annotations

from realtime.errors import HostError


def positive(name: str, value: int) -> int:
    """Return `value`, which must be a whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise HostError(f"{name} is {value!r}, but must be a whole number of at least 1")
    return value


def all_positive(name: str, values: tuple[int, ...]) -> tuple[int, ...]:
    """Return `values`, at least one of them and each a whole number of at least 1."""
    if not values:
        raise HostError(f"{name} is empty, but needs at least one entry")
    return tuple(positive(f"an entry of {name}", value) for value in values)


def multiple(name: str, value: int, factor: int, why: str) -> int:
    """Return `value`, which must be a multiple of `factor`."""
    if value % factor:
        raise HostError(f"{name} is {value}, but must be a multiple of {factor}: {why}")
    return value
