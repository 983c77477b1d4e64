"""A separator: an ONNX file that keeps the contract, and a runner that calls it without copies.

Inputs `mixture` [1, 2*channels, frames, bins], `condition` [stems, width], `state_0`..; outputs
`estimate` [stems, 2*channels, frames, bins], `next_state_0`..; all float32. Per channel the spectrum's
real part comes first, then the imaginary one. `stems` is the one symbolic dimension and may also lead
a state; `width` is the number of stem names. A state of zeros is the start of a stream.

With M frames a call and a look-ahead of L, slot j of the estimate of call k is the result for frame
k M + j - L, zeros where that is negative. A separator that looks ahead may have one more input, `valid`
[1]: 1 while the call's frames belong to the signal, 0 for the calls (of zeros) that bring out its end.

A separator whose layers attend to latent sources may have one more output, `attention` [stems, layers, latents]:
how much each of the layers takes of each latent source under the condition of the call; sums to 1 in every layer.
"""

from __future__ import annotations

import ctypes
import math
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from realtime.errors import HostError
from realtime.finite import all_finite
from realtime.metadata import KEY, Metadata
from realtime.providers import CPU, ON_DEVICE

if TYPE_CHECKING:
    import onnxruntime

STEMS = "stems"

_MOST_BINDINGS = 64


@dataclass(frozen=True)
class State:
    """One carried state: its `shape`, whose first entry is replaced by the stems asked for if `per_stem`."""

    shape: tuple[int, ...]
    per_stem: bool

    def zeros(self, stems: int) -> np.ndarray:
        """Return the state at the start of a stream, float32."""
        return np.zeros((stems, *self.shape[1:]) if self.per_stem else self.shape, np.float32)


class Separator:
    """A separator file that has been checked: `path`, `metadata`, the shapes of its `states`, and `takes_valid`.

    `attends` are the numbers of layers and of latent sources of its `attention`; None where it gives none.
    """

    def __init__(
        self,
        path: Path,
        model: bytes,
        metadata: Metadata,
        states: tuple[State, ...],
        takes_valid: bool,
        attends: tuple[int, int] | None,
        providers: tuple[str, ...],
    ) -> None:
        self.path = path
        self.metadata = metadata
        self.states = states
        self.takes_valid = takes_valid
        self.attends = attends
        self._model = model
        self._providers = providers

    @classmethod
    def load(cls, path: str | Path, providers: tuple[str, ...] | list[str] = CPU) -> Separator:
        """Return the separator at `path`, to run on the first of `providers` that works.

        Raises HostError naming the clause of the contract that the file breaks.
        """
        path = Path(path)
        try:
            model = path.read_bytes()
        except OSError as error:
            raise HostError(f"separator {path} cannot be read ({error.strerror}), so it was not loaded") from None
        try:
            # Unoptimised, because it only answers questions: every runner makes its own session.
            session = _session(model, CPU, optimise=False)
            text = session.get_modelmeta().custom_metadata_map.get(KEY)
            if text is None:
                raise HostError(f"it carries no metadata under the key '{KEY}'")
            metadata = Metadata.from_json(text)
            contract = _check(session, metadata)
        except HostError as error:
            raise HostError(f"separator {path} was not loaded: {error}") from None
        return cls(path, model, metadata, *contract, tuple(providers))

    def runner(self, stems: int, frames: int | None = None, interleave: int = 1) -> Runner:
        """Return a runner for `stems` conditions at a time: 1 in single, all of them in stems.

        `interleave` states take turns, as a mode asks for. `frames` may name the frames per call, which the file
        fixes. Raises HostError where it differs.
        """
        if stems < 1:
            raise HostError(f"a separator runs at least one condition at a time, not {stems}")
        if frames not in (None, self.metadata.frames):
            raise HostError(
                f"separator '{self.metadata.name}' takes {self.metadata.frames} frames per call, not {frames}"
            )
        return Runner(self, stems, interleave, _session(self._model, self._providers, stems=stems))


class Runner:
    """A bound separator: fill `mixture` and `condition`, call `run`, read `estimate`.

    The arrays are the network's own memory, float32: `mixture` [1, 2*channels, frames, bins],
    `condition` [stems, width] (all zeros at first), `valid` [1] (1 at first, and without effect on a
    separator that does not take it), `estimate` [stems, 2*channels, frames, bins] and `attention`
    [stems, layers, latents], None where the separator gives none.
    Not to be used from two threads at a time. Call `flush_denormals` first on the thread that runs it.
    """

    def __init__(
        self, separator: Separator, stems: int, interleave: int, session: onnxruntime.InferenceSession
    ) -> None:
        metadata = separator.metadata
        shape = (2 * metadata.channels, metadata.frames, metadata.bins)
        self.mixture = np.zeros((1, *shape), np.float32)
        self.condition = np.zeros((stems, len(metadata.stems)), np.float32)
        self.valid = np.ones(1, np.float32)
        self.estimate = np.zeros((stems, *shape), np.float32)
        self._bits = self.estimate.reshape(-1).view(np.int32)
        attends = separator.attends
        self.attention = None if attends is None else np.zeros((stems, *attends), np.float32)
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self._session = session
        self._takes_valid = separator.takes_valid
        value = _onnxruntime().OrtValue.ortvalue_from_numpy
        # States stay where they are computed: only spectra travel to a card and back.
        self._at = ON_DEVICE.get(self.providers[0], "cpu")
        # One more place for each state than calls until it comes back, so that none is ever read and written in
        # one run, and none is copied between runs.
        ages = [age * interleave for age in metadata.ages or (1,) * len(separator.states)]
        pairs = list(zip(separator.states, ages, strict=True))
        self._states = [[state.zeros(stems) for _ in range(age + 1)] for state, age in pairs]
        self._values = [[value(place, self._at, 0) for place in places] for places in self._states]
        turns = math.lcm(*(len(places) for places in self._values))
        # Where all come back to their places only after very many calls, two bindings serve those that do after two; the
        # others are bound anew at every call.
        self._aged = [] if turns <= _MOST_BINDINGS else [index for index, age in enumerate(ages) if age > 1]
        self._bindings = [self._bind(turn) for turn in range(2 if self._aged else turns)]
        self._call = 0

    def _bind(self, call: int) -> onnxruntime.IOBinding:
        value = _onnxruntime().OrtValue.ortvalue_from_numpy
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("mixture", value(self.mixture))
        binding.bind_ortvalue_input("condition", value(self.condition))
        if self._takes_valid:
            binding.bind_ortvalue_input("valid", value(self.valid))
        binding.bind_ortvalue_output("estimate", value(self.estimate))
        if self.attention is not None:
            binding.bind_ortvalue_output("attention", value(self.attention))
        for index in range(len(self._values)):
            self._bind_state(binding, index, call)
        return binding

    def _bind_state(self, binding: onnxruntime.IOBinding, index: int, call: int) -> None:
        places = self._values[index]
        binding.bind_ortvalue_input(f"state_{index}", places[(call + 1) % len(places)])
        binding.bind_ortvalue_output(f"next_state_{index}", places[call % len(places)])

    def run(self) -> None:
        """Compute `estimate` from `mixture` and `condition` and move the states on by `frames`."""
        binding = self._bindings[self._call % len(self._bindings)]
        for index in self._aged:
            self._bind_state(binding, index, self._call)
        self._session.run_with_iobinding(binding)
        self._call += 1

    def reset(self) -> None:
        """Return to the start of a stream: what follows replays bit-exactly."""
        for places, values in zip(self._states, self._values, strict=True):
            for place, value in zip(places, values, strict=True):
                place.fill(0)
                if self._at != "cpu":
                    value.update_inplace(place)
        self.valid.fill(1)
        self._call = 0

    def finite(self) -> bool:
        """Return whether the last estimate is free of infinities and NaN (which states would carry on)."""
        return all_finite(self._bits)


def flush_denormals() -> bool:
    """Make the calling thread take denormal numbers for zero; return whether it now does.

    States that decay in silence end in denormals, which cost a CPU many times the work. ONNX Runtime's
    own option reaches only the thread that makes the process's first session, and those started by it.
    """
    if sys.platform == "win32":
        current = ctypes.c_uint()
        ctypes.CDLL("ucrtbase")._controlfp_s(ctypes.byref(current), 0x01000000, 0x03000000)
    else:
        # Where fenv_t keeps the control word (offset in bytes), and the bits of flush-to-zero in it.
        layout = {
            ("linux", "x86_64"): (28, 0x8040),
            ("linux", "aarch64"): (0, 1 << 24),
            ("darwin", "x86_64"): (4, 0x8040),
            ("darwin", "arm64"): (8, 1 << 24),
        }.get((sys.platform, platform.machine()))
        if layout is not None:
            offset, bits = layout
            library = ctypes.CDLL(None)
            environment = ctypes.create_string_buffer(64)
            library.fegetenv(environment)
            word = ctypes.c_uint32.from_buffer(environment, offset)
            word.value |= bits
            library.fesetenv(environment)
    smallest = np.full(1, 1.2e-38, np.float32)
    return bool((smallest * np.float32(0.5))[0] == 0)


def _onnxruntime():
    try:
        import onnxruntime
    except ImportError:
        raise HostError(
            "separators need ONNX Runtime, which is not installed: install one of the extras, "
            "pip install -e '.[cpu]' or, with an NVIDIA card, '.[gpu]'"
        ) from None
    return onnxruntime


def _session(
    model: bytes, providers: tuple[str, ...], stems: int | None = None, optimise: bool = True
) -> onnxruntime.InferenceSession:
    ort = _onnxruntime()
    options = ort.SessionOptions()
    # One thread, the caller's: a pool would fight the audio thread for the cores and spin while idle.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    # The arena and the memory pattern stay on: after the first run nothing is allocated any more.
    options.log_severity_level = 3
    if stems is not None:
        options.add_free_dimension_override_by_name(STEMS, stems)
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    had = [provider for provider in providers if provider in ort.get_available_providers()]
    try:
        return ort.InferenceSession(model, options, providers=had or list(CPU))
    except Exception as error:  # noqa: BLE001 - its exceptions have no base of their own
        reason = re.sub(r"\s+", " ", str(error)).strip()[:200]
        raise HostError(f"it is not an ONNX file this ONNX Runtime ({ort.__version__}) can open ({reason})") from None


def _check(
    session: onnxruntime.InferenceSession, metadata: Metadata
) -> tuple[tuple[State, ...], bool, tuple[int, int] | None]:
    """Return the states of a session that keeps the contract that `metadata` states, whether it takes `valid`, and
    the layers and latent sources of its attention."""
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    count = sum(name.startswith("state_") for name in inputs)
    takes_valid = "valid" in inputs
    extra = ["valid"] if takes_valid else []
    _names("inputs", inputs, ["mixture", "condition", *extra, *(f"state_{index}" for index in range(count))])
    more = ["attention"] if "attention" in outputs else []
    _names("outputs", outputs, ["estimate", *more, *(f"next_state_{index}" for index in range(count))])
    for name, value in (inputs | outputs).items():
        if value.type != "tensor(float)":
            raise HostError(f"'{name}' is of type {value.type}, where the contract wants float32")
    spectrum = [2 * metadata.channels, metadata.frames, metadata.bins]
    _shape(inputs["mixture"], [1, *spectrum])
    _shape(inputs["condition"], [STEMS, len(metadata.stems)])
    _shape(outputs["estimate"], [STEMS, *spectrum])
    if takes_valid:
        _shape(inputs["valid"], [1])
    attends = _attends(outputs["attention"]) if more else None
    states = []
    for index in range(count):
        shape = inputs[f"state_{index}"].shape
        per_stem = shape[:1] == [STEMS]
        if not all(isinstance(size, int) and size > 0 for size in shape[per_stem:]):
            raise HostError(f"'state_{index}' is {_shown(shape)}, where only its first dimension may be '{STEMS}'")
        _shape(outputs[f"next_state_{index}"], shape)
        states.append(State((1, *shape[1:]) if per_stem else tuple(shape), per_stem))
    if metadata.ages and len(metadata.ages) != len(states):
        raise HostError(f"metadata field 'ages' has {len(metadata.ages)} entries for {len(states)} states")
    return tuple(states), takes_valid, attends


def _attends(attention) -> tuple[int, int]:
    stems, *sizes = attention.shape or [None]
    if stems != STEMS or len(sizes) != 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise HostError(
            f"'attention' is {_shown(attention.shape)}, where the contract wants [{STEMS}, layers, latents], "
            "the last two of fixed size"
        )
    return sizes[0], sizes[1]


def _names(kind: str, found: dict, wanted: list[str]) -> None:
    if sorted(found) != sorted(wanted):
        raise HostError(f"its {kind} are {', '.join(found)}, where the contract wants {', '.join(wanted)}")


def _shape(value, wanted: list) -> None:
    if list(value.shape) != wanted:
        raise HostError(f"'{value.name}' is {_shown(value.shape)}, where the contract wants {_shown(wanted)}")


def _shown(shape: list) -> str:
    return "[" + ", ".join(str(size) for size in shape) + "]"
