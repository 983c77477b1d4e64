"""The choice of the sound device and of the source, over OSC."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from realtime.control import Refused, Value, shown
from realtime.devicelist import look
from realtime.errors import HostError
from realtime.move import SOURCES, Move
from realtime.state import Message

ADDRESSES = ("/device/select", "/device/look", "/source")
_LONGEST_NAME = 300
_BUSY = "another device or source is being opened; nothing was changed"


class DeviceChoice:
    """Carries out ADDRESSES: `move` has the run go on elsewhere and returns whether it can now, which `free` says beforehand.

    `tell` is called with an address and its value; what is to be looked for is looked for on a thread of its own.
    """

    def __init__(
        self,
        move: Callable[[Move], bool],
        tell: Callable[[str, Value], object],
        look: Callable[[], str] = look,
        free: Callable[[], bool] = lambda: True,
    ) -> None:
        self._move, self._tell, self._look, self._free = move, tell, look, free
        self._looking = threading.Lock()

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Refuse, before anything of a bundle is done, what is no source and no name of a device."""
        address, values = message.address, message.values
        if address == "/source" and values[0] not in SOURCES:
            raise Refused(address, f"/source takes one of {', '.join(SOURCES)}, not {shown(values[0])}; nothing was changed")
        if address == "/device/select" and any(len(str(name)) > _LONGEST_NAME for name in values):
            raise Refused(address, "no device has so long a name; nothing was changed")
        if address != "/device/look" and any(other.address in ("/source", "/device/select") for other in before):
            raise Refused(address, "a run goes to one device or source at a time; nothing was changed")
        if address != "/device/look" and not self._free():
            raise Refused(address, _BUSY)

    def change(self, address: str, value: Value | tuple[Value | None, ...] | None) -> None:
        """Carry out one of ADDRESSES, which `check` let pass. Raises Refused where the run is being moved already."""
        if address == "/device/look":
            self._begin_look()
            return
        if address == "/source":
            wanted = Move(source=str(value))
        else:
            source, sink = value if isinstance(value, tuple) else (value, None)
            wanted = Move(device=(source or None, sink or source or None))
        if not self._move(wanted):
            raise Refused(address, _BUSY)

    def _begin_look(self) -> None:
        # Who asks while one looks gets what it finds.
        if self._looking.acquire(blocking=False):
            threading.Thread(target=self._find, name="devices", daemon=True).start()

    def _find(self) -> None:
        try:
            self._tell("/device/list", self._look())
        except HostError as problem:
            self._tell("/device/list", "[]")
            self._tell("/notice", f"{problem}; the device that plays goes on.")
        finally:
            self._looking.release()
