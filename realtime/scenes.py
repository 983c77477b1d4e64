"""The scenes at hand, saved, loaded and deleted while the host runs; and its last state, for the next start."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from realtime.control import Refused, Value
from realtime.errors import HostError
from realtime.library import list_separators
from realtime.plan import Plan
from realtime.scene import NOT_KEPT, RUNS, SUFFIX, Scene, config_folder, is_name, names_in, read_scene, write_scene
from realtime.state import Change, ControlState, Message

ADDRESSES = ("/scene/save", "/scene/load", "/scene/delete")
# How long after a change the last state is written, in seconds.
_SETTLED = 1.0


def scene_folder() -> Path:
    """Return the folder of the scenes; it may not exist yet."""
    return config_folder() / "scenes"


def last_path() -> Path:
    """Return the file that holds how the host stood last."""
    return config_folder() / f"last{SUFFIX}"


def scene_path(name: str) -> Path:
    """Return the file of the scene called `name`. Raises HostError, naming those there are, where there is none."""
    folder = scene_folder()
    if not is_name(name) or not (folder / f"{name}{SUFFIX}").is_file():
        known = ", ".join(names_in(folder)) or "none yet"
        raise HostError(f"there is no scene '{name[:80]}'; those in {folder} are: {known}")
    return folder / f"{name}{SUFFIX}"


def open_scene(name: str) -> Scene:
    """Return the scene called `name`. Raises HostError where there is none, or it cannot be read."""
    return read_scene(scene_path(name), f"scene '{name}'")


def open_last() -> Scene:
    """Return how the host stood last; an empty scene, with a sentence, where that is not known."""
    if not last_path().exists():
        return Scene("the last state", problems=("there is no last state to restore yet",))
    try:
        return read_scene(last_path(), "the last state")
    except HostError as problem:
        return Scene("the last state", problems=(f"{problem}; nothing is restored",))


class Scenes:
    """Carries out ADDRESSES for a host of `plan` on a thread of its own, which waits for the disk; `tell` hears what came of it.

    While `keep_last`, how the host stands is written a moment after each change, and at the end.
    """

    def __init__(self, state: ControlState, plan: Plan, tell: Callable[[str], object]) -> None:
        self._state, self._plan, self._tell = state, plan, tell
        self.keep_last = False
        self._changed = False
        # What was saved in this run: its file may still be on its way.
        self._saved: set[str] = set()
        self._jobs: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._show_names()
        state.watch(self._watch)
        self._thread = threading.Thread(target=self._work, name="scenes", daemon=True)
        self._thread.start()

    def use(self, plan: Plan) -> None:
        """Take `plan` for that of the host from now on."""
        self._plan = plan
        self._changed = True

    def check(self, message: Message, before: Sequence[Message]) -> None:
        """Raise Refused where no scene can be called so, or there is none to load or delete."""
        address, (name,) = message
        if not is_name(name):
            raise Refused(
                address,
                f"a scene cannot be called {str(name)[:80]!r}: use up to 64 letters, digits, spaces and . _ + -, "
                "with a letter or digit in front; nothing was changed",
            )
        if address == "/scene/save" or name in self._saved or Message("/scene/save", (name,)) in before:
            return
        try:
            scene_path(name)
        except HostError as problem:
            raise Refused(address, f"{problem}; nothing was changed") from None

    def change(self, address: str, name: Value) -> None:
        """Carry out one of ADDRESSES for the scene `name`."""
        if address == "/scene/save":
            self._saved.add(name)
        self._jobs.put((address, name))

    def apply(self, scene: Scene, choices: bool = True) -> tuple[str, ...]:
        """Set what `scene` says, choices only with `choices`; return a sentence for each value that was left out."""
        messages, problems = scene.messages(self._state.controls)
        kinds = self._state.controls
        settings = tuple(message for message in messages if kinds[message.address].kind == "setting")
        if settings:
            self._state.apply([Change(settings)])
        if not choices:
            return (*scene.problems, *problems)
        return (*scene.problems, *problems, *self.choose(scene))

    def choose(self, scene: Scene, running: bool = True) -> tuple[str, ...]:
        """Have done what `scene` chooses, without what runs where not `running`; return a sentence for each that cannot be."""
        state, problems = self._state, []
        messages = [m for m in scene.messages(state.controls)[0] if state.controls[m.address].kind == "choice"]
        if running:
            for key, address in RUNS.items():
                if key in scene.run and scene.run[key] != str(self._plan.separator):
                    messages.append(Message(address, (scene.run[key],)))
        # A plugin goes before what is turned on it, and what cannot be had leaves nothing to turn.
        messages.sort(key=lambda message: not message.address.endswith("/plugin"))
        missing: tuple[str, ...] = ()
        for address, values in messages:
            if address.startswith(missing):
                continue
            try:
                # What a plugin that comes in begins with is not what the one before had.
                if state.value(address) != values or address.startswith("/insert/"):
                    state.set(address, *values)
            except HostError as problem:
                problems.append(f"{scene.title}, {str(problem).removesuffix('; nothing was changed')}; it is left out")
                if address.endswith("/plugin"):
                    missing += (address.removesuffix("plugin"),)
        return tuple(problems)

    def close(self) -> None:
        """Finish what was asked for, and keep how the host stands."""
        self._jobs.put(None)
        self._thread.join()

    # The thread.

    def _watch(self, addresses: set[str]) -> None:
        controls = self._state.controls
        self._changed = self._changed or any(controls[address].kind in ("setting", "choice") for address in addresses)

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_SETTLED)
            except queue.Empty:
                job = ()
            try:
                if job:
                    self._do(*job)
                else:
                    self._keep()
            except (HostError, OSError) as problem:
                self._tell(f"{problem}.")
            except Exception as fault:  # noqa: BLE001 - nothing may end this thread
                self._tell(f"a scene failed ({fault!r}); the host goes on.")
            if job is None:
                return

    def _do(self, address: str, name: str) -> None:
        if address == "/scene/save":
            write_scene(scene_folder() / f"{name}{SUFFIX}", *self._now())
            self._tell(f"scene '{name}' is saved.")
        elif address == "/scene/delete":
            scene_path(name).unlink()
            self._saved.discard(name)
            self._tell(f"scene '{name}' is deleted.")
        else:
            scene = open_scene(name)
            problems = self.apply(scene)
            device = scene.run.get("device")
            if device is not None and str(device) != str(self._now()[0].get("device")):
                problems += (f"{scene.title} is of the device {device}, which is chosen at the start: --scene '{name}'",)
            self._tell(" ".join((f"scene '{name}' is loaded.", *(f"{problem}." for problem in problems))))
        self._show_names()

    def _keep(self) -> None:
        if not self.keep_last or not self._changed:
            return
        self._changed = False
        path = last_path()
        try:
            try:
                write_scene(path, *self._now())
            except HostError:
                # Nobody edits this one: what is broken there is put aside.
                path.replace(path.with_name(path.name + "~"))
                write_scene(path, *self._now())
        except (HostError, OSError) as problem:
            self.keep_last = False
            self._tell(f"the last state is not kept: {problem}.")

    def _now(self) -> tuple[dict[str, object], dict[str, object]]:
        """Return what runs, and how the controls stand."""
        state, run, controls = self._state, {}, {}
        values = state.values
        for key, address in RUNS.items():
            if address in values:
                run[key] = values[address][0]
        if run.get("model") not in (None, *list_separators()):
            run["model"] = str(self._plan.separator)  # no name finds it
        if isinstance(self._plan.device, str | int):
            run["device"] = self._plan.device
        for address, value in values.items():
            control = state.controls[address]
            # The condition is what the stems' own controls make of it.
            left_out = address in NOT_KEPT or address in RUNS.values() or address == "/condition"
            if control.kind not in ("setting", "choice") or left_out:
                continue
            try:
                control.accept(value)
            except Refused:
                continue  # reads so, and cannot be set so: a preset that the gains have left
            controls[address] = value[0] if len(value) == 1 else list(value)
        return run, controls

    def _show_names(self) -> None:
        self._state.set_info("/scene/names", ", ".join(names_in(scene_folder())))
