"""The law of the morph pad: a point in a polygon with an instrument at each corner is a blend of them, and back.

Shares are Wachspress coordinates (E. Wachspress, "A Rational Finite Element Basis", 1975), which on a square are
the bilinear weights: they are never negative, sum to 1, are exactly 1 for a corner and 0 for the others there, equal
in the centre, and their mean of the corners is the point itself. Gains are the shares over the largest share, so that a
corner is that instrument alone at full level, the middle of an edge both of its instruments, and the centre everything.
Because only ratios matter, the mean of the corners weighted by any gains is the point that they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, float]

_SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
CENTRE = (0.5, 0.5)


def corners_for(count: int) -> tuple[Point, ...]:
    """Return the corners in 0..1 x 0..1, y downwards, clockwise: a square for four, otherwise points on a circle.

    One instrument stands in the middle, two at the ends of a line. Raises ValueError for less than one.
    """
    if count < 1:
        raise ValueError(f"a pad has at least one corner, not {count}")
    if count == 1:
        return (CENTRE,)
    if count == 2:
        return ((0.0, 0.5), (1.0, 0.5))
    if count == 4:
        return _SQUARE
    turns = [2 * math.pi * index / count for index in range(count)]
    return tuple((0.5 + 0.5 * math.sin(turn), 0.5 - 0.5 * math.cos(turn)) for turn in turns)


def shares_at(point: Point, corners: Sequence[Point]) -> tuple[float, ...]:
    """Return each corner's share, 0..1 with sum 1, at a `point` inside `corners`."""
    count = len(corners)
    if count == 1:
        return (1.0,)
    if count == 2:
        (ax, ay), (bx, by) = corners
        along = (point[0] - ax) * (bx - ax) + (point[1] - ay) * (by - ay)
        part = min(1.0, max(0.0, along / ((bx - ax) ** 2 + (by - ay) ** 2)))
        return (1.0 - part, part)
    edges = [max(0.0, _area(corners[i], corners[(i + 1) % count], point)) for i in range(count)]
    weights = []
    for i in range(count):
        weight = _area(corners[i - 1], corners[i], corners[(i + 1) % count])
        # The usual quotient times all edges' areas: nothing to divide by on an edge.
        for j, edge in enumerate(edges):
            if j not in (i, (i - 1) % count):
                weight *= edge
        weights.append(weight)
    total = sum(weights)
    return tuple(weight / total for weight in weights) if total > 0.0 else (1.0 / count,) * count


def gains_at(point: Point, corners: Sequence[Point]) -> tuple[float, ...]:
    """Return each corner's linear gain, 0..1, the largest of them 1, at a `point` inside `corners`."""
    shares = shares_at(point, corners)
    largest = max(shares)
    return tuple(share / largest for share in shares)


def point_of(gains: Sequence[float], corners: Sequence[Point]) -> Point | None:
    """Return the point that linear `gains` stand for: the mean of `corners` weighted by them; None where all are silent.

    It is exact for the gains of a point, however loud; others have no point of their own, and get the nearest in this sense.
    """
    total = sum(gains)
    if total <= 0.0:
        return None
    return tuple(sum(gain * corner[axis] for gain, corner in zip(gains, corners, strict=True)) / total for axis in (0, 1))


def inside(point: Point, corners: Sequence[Point]) -> Point:
    """Return `point`, or the nearest one inside `corners`."""
    count = len(corners)
    if count > 2 and all(_area(corners[i], corners[(i + 1) % count], point) >= 0.0 for i in range(count)):
        return point
    nearest = [_on_line(point, corners[i], corners[(i + 1) % count]) for i in range(count)]
    return min(nearest, key=lambda found: math.dist(found, point))


def _area(a: Point, b: Point, c: Point) -> float:
    """Return twice the area of a triangle, positive where it runs clockwise on a screen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _on_line(point: Point, a: Point, b: Point) -> Point:
    length = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2
    if length == 0.0:
        return a
    part = ((point[0] - a[0]) * (b[0] - a[0]) + (point[1] - a[1]) * (b[1] - a[1])) / length
    part = min(1.0, max(0.0, part))
    return (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]))
