"""The controls of the inserts, for the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from realtime.inserts.insert import PARAMETERS, SLOTS, targets

if TYPE_CHECKING:
    from realtime.control import Control


def insert_controls(stems: Sequence[str], control: Callable[..., Control]) -> list[Control]:
    """Return the rows of the table for all slots on `stems` and the master; `control` makes one."""
    rows = []
    for target in targets(stems):
        for slot in range(1, SLOTS + 1):
            at, where = f"/insert/{target}/{slot}", f"insert {slot} of {target}"
            rows += [
                control(f"{at}/plugin", "choice", "s", f"the plugin in {where}, a whole path; empty: none", default=("",)),
                control(
                    f"{at}/bypass", "choice", "i", f"lets the sound past {where}, as late as through it", range=(0, 1),
                    default=(0,),
                ),
                control(f"{at}/state", "info", "s", "off, loading, running, waiting or failed: and why", default=("off",)),
            ]
            for number in range(1, PARAMETERS + 1):
                each = f"{at}/param/{number}"
                rows += [
                    control(each, "choice", "f", f"parameter {number} of {where}", range=(0, 1)),
                    control(f"{each}/name", "info", "s", "its name; empty where the plugin has no such", default=("",)),
                    control(f"{each}/str", "info", "s", "its value as the plugin says it", default=("",)),
                ]
        rows.append(
            control(
                f"/insert/{target}/misses", "info", "i", f"hops that the plugins of {target} did not give back in time",
                default=(0,),
            )
        )
    return rows
