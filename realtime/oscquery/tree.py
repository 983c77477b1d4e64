"""The tree of controls as OSCQuery describes it: a JSON object for each container and method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from realtime.control import Control, Value

Json = dict[str, object]
# What ?ATTRIBUTE may ask of a node, besides HOST_INFO.
ATTRIBUTES = ("FULL_PATH", "DESCRIPTION", "ACCESS", "TYPE", "RANGE", "UNIT", "VALUE", "CONTENTS")
EXTENSIONS = {
    "ACCESS": True,
    "VALUE": True,
    "RANGE": True,
    "DESCRIPTION": True,
    "UNIT": True,
    "LISTEN": True,
    # Sent should the tree ever change; it does not while a host runs, so nobody need wait for it.
    "PATH_CHANGED": False,
    "PATH_RENAMED": False,
    "PATH_REMOVED": False,
    "PATH_ADDED": False,
    "TAGS": False,
    "EXTENDED_TYPE": False,
    "CRITICAL": False,
    "CLIPMODE": False,
    "OVERLOADS": False,
    "HTML": False,
}
_ACCESS = {"read": 1, "write": 2, "both": 3}
# Units that the proposal has a name for; others stand in the description.
_UNITS = {"linear": "gain.linear", "ms": "time.ms", "Hz": "time.hz", "samples": "time.samples", "s": "time.second"}


def access_of(control: Control) -> int:
    """Return 1 for a value to get, 2 for one to set, 3 for both, 0 where nothing is held, as in /pong."""
    return 0 if control.kind == "reply" else _ACCESS[control.access]


def attributes_of(control: Control) -> Json:
    """Return what holds of `control` whatever its value: FULL_PATH, DESCRIPTION, ACCESS, TYPE, RANGE and UNIT."""
    unit = _UNITS.get(control.unit)
    aside = f" ({control.unit})" if control.unit and unit is None else ""
    found: Json = {
        "FULL_PATH": control.address,
        "DESCRIPTION": control.description + aside,
        "ACCESS": access_of(control),
        "TYPE": control.tags,
    }
    ranges = [_range(control, index) for index in range(len(control.tags))]
    if any(ranges):
        found["RANGE"] = ranges
    if unit is not None:
        found["UNIT"] = [unit] * len(control.tags)
    return found


def _range(control: Control, index: int) -> Json | None:
    tag = control.tags[index]
    if tag == "s":
        return {"VALS": list(control.choices)} if control.choices else None
    bounds = control.bounds(index)
    if tag == "b" or bounds is None:
        return None
    least, most = bounds
    return {"MIN": least, "MAX": most} if tag == "i" else {"MIN": float(least), "MAX": float(most)}


def json_values(values: tuple[Value, ...]) -> list[object]:
    """Return `values` as JSON has them: null for a blob, and for a number that is none."""
    return [
        None if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)) else value
        for value in values
    ]


class Tree:
    """The nodes of `controls`, by path.

    `value` returns what an address reads now, None where that is not known; it is asked for readable ones only.
    """

    def __init__(
        self, controls: Mapping[str, Control], value: Callable[[str], tuple[Value, ...] | None]
    ) -> None:
        self._value = value
        self._nodes: dict[str, Json] = {"/": {"FULL_PATH": "/", "DESCRIPTION": "LaSAFT Live", "ACCESS": 0}}
        self._children: dict[str, dict[str, str]] = {}
        for address, control in controls.items():
            self._place(address)
            self._nodes[address] = attributes_of(control)

    def _place(self, path: str) -> None:
        """Give `path` and every container above it a node."""
        if path in self._nodes:
            return
        self._nodes[path] = {"FULL_PATH": path, "ACCESS": 0}
        parent, _, name = path.rpartition("/")
        self._place(parent or "/")
        self._children.setdefault(parent or "/", {})[name] = path

    def __contains__(self, path: str) -> bool:
        return path in self._nodes

    def node(self, path: str) -> Json:
        """Return all of the node at `path`, with everything below. Raises KeyError where there is none."""
        node = dict(self._nodes[path])
        if self._readable(path) and (values := self._value(path)) is not None:
            node["VALUE"] = json_values(values)
        if children := self._children.get(path):
            node["CONTENTS"] = {name: self.node(below) for name, below in children.items()}
        return node

    def attribute(self, path: str, name: str) -> Json | None:
        """Return one of ATTRIBUTES of a node, alone; None where the node has no such thing.

        A readable node whose value is not known yet has an empty VALUE: {}. Raises KeyError where there is no node.
        """
        node = self._nodes[path]
        if name == "VALUE":
            if not self._readable(path):
                return None
            values = self._value(path)
            return {} if values is None else {name: json_values(values)}
        if name == "CONTENTS":
            children = self._children.get(path)
            return {name: {key: self.node(below) for key, below in children.items()}} if children else None
        return {name: node[name]} if name in node else None

    def _readable(self, path: str) -> bool:
        return bool(self._nodes[path]["ACCESS"] & 1)
