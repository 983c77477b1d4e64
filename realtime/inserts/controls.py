"""What carries out the controls of the inserts, and shows how their slots stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from realtime.control import Refused, Value
from realtime.inserts.insert import PARAMETERS, Insert, Place, SlotNews, Turn
from realtime.state import ControlState, Message


class InsertControls:
    """Carries out `addresses`, /insert/..., for `state`: `order` takes what is for the engine's process, `hear` what it tells."""

    def __init__(self, state: ControlState, order: Callable[[Place | Turn], object]) -> None:
        self._state, self._order = state, order
        self._paths: dict[tuple[str, int], str] = {}
        self.addresses = tuple(
            control.address for control in state.controls.values() if control.address.startswith("/insert/") and control.kind == "choice"
        )

    def begin(self, inserts: Sequence[Insert]) -> None:
        """Show what the run starts with."""
        for insert in inserts:
            self._paths[insert.place] = insert.path
            self._state.set_info(f"/insert/{insert.target}/{insert.slot}/plugin", insert.path)

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Refuse, before anything of a bundle is done, a plugin that is not there."""
        path = str(message.values[0])
        if message.address.endswith("/plugin") and path and not Path(path).exists():
            raise Refused(message.address, f"there is no plugin {path}; `run_live.py plugins` lists those that were found; nothing was changed")

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
