"""The controls of the inserts, for the table; and what carries them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from realtime.inserts.insert import PARAMETERS, SLOTS, Insert, Place, SlotNews, Turn, targets

if TYPE_CHECKING:
    from realtime.control import Control, Value
    from realtime.state import ControlState


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


class InsertControls:
    """Carries out /insert/... for `state`: `order` takes what is for the engine's process, `hear` what it tells."""

    def __init__(self, state: ControlState, order: Callable[[Place | Turn], object]) -> None:
        self._state, self._order = state, order
        self._paths: dict[tuple[str, int], str] = {}

    def begin(self, inserts: Sequence[Insert]) -> None:
        """Show what the run starts with."""
        for insert in inserts:
            self._paths[insert.place] = insert.path
            self._state.set_info(f"/insert/{insert.target}/{insert.slot}/plugin", insert.path)

    def change(self, address: str, value: Value) -> None:
        """Carry out a choice."""
        _, _, target, slot, what, *rest = address.split("/")
        self._state.set_info(address, value)
        if what == "plugin":
            if self._paths.get((target, int(slot)), "") != value:
                self._paths[target, int(slot)] = value
                self._state.set_info(address.replace("/plugin", "/bypass"), 0)
            self._order(Place(target, int(slot), value))
        elif what == "bypass":
            self._order(Turn(target, int(slot), 0, float(value)))
        else:
            self._order(Turn(target, int(slot), int(rest[0]), float(value)))

    def hear(self, news: SlotNews) -> None:
        """Show how a slot stands."""
        at, state = f"/insert/{news.target}/{news.slot}", self._state
        told: dict[str, Value] = {f"{at}/state": news.state, f"/insert/{news.target}/misses": min(news.misses, 2**31 - 1)}
        if news.state == "running" or news.state == "off":
            for number in range(1, PARAMETERS + 1):
                there = news.parameters[number - 1] if number <= len(news.parameters) else None
                each = f"{at}/param/{number}"
                told[f"{each}/name"] = "" if there is None else there.name
                told[f"{each}/str"] = "" if there is None else there.text
                if there is not None:
                    told[each] = min(1.0, max(0.0, there.value))
        for address, value in told.items():
            if state.value(address) != (value,):
                state.set_info(address, value)
