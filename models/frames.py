"""Spectrogram frames on their way through a network: a whole signal at once, or a stream call by call.

A network is written once, against `Frames`. Offline, a tensor holds every frame of the signal. In a
stream it holds the frames of one call, and `delay` says how many frames late they are; every operation
that looks around itself in time keeps the past it needs in the states of a `Stream`, and branches that
meet are delayed until they match. So a centred network streams exactly: its output is the offline one,
later by the delay that has accumulated. Features outside the signal are zero there, as the padding of a
convolution is, so whatever enters such an operation is silenced where its frame is none of the signal's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Stream:
    """The carried state of one call of `frames` frames under `stems` conditions.

    `states` are those of the call before, in the order in which a pass through the network asks for
    them; without them a pass starts from zeros, which is how their shapes are found. `valid` [1] is 1
    while the call belongs to the signal and 0 after its end. `reach` is how many calls back a frame of
    this call may have come in: None in a first pass, which finds it. After a pass `next_states` are this
    call's; `per_stem` says of each whether its first dimension is the stems, and `ages` after how many calls
    it comes back as the state of the same place: so that what is only delayed need not be moved about.
    """

    def __init__(
        self,
        frames: int,
        stems: int,
        valid: Tensor,
        reach: int | None,
        states: Sequence[Tensor] | None = None,
    ) -> None:
        self.frames, self.stems, self.reach, self.found = frames, stems, reach, 0
        self.next_states: list[Tensor] = []
        self.per_stem: list[bool] = []
        self.ages: list[int] = []
        self._states = states
        self._flags = self.held(valid[None], False)

    def state(self, shape: Sequence[int], like: Tensor) -> Tensor:
        """Return the next state of the list, of `shape`; `keep` must follow."""
        return like.new_zeros(tuple(shape)) if self._states is None else self._states[len(self.next_states)]

    def keep(self, state: Tensor, per_stem: bool, age: int = 1) -> None:
        """Carry `state` on to the call `age` calls from now, in the place of the state last asked for."""
        self.next_states.append(state)
        self.per_stem.append(per_stem)
        self.ages.append(age)

    def past(self, new: Tensor, length: int, per_stem: bool) -> Tensor:
        """Return [batch, channels, length + frames, bins]: `new` behind the `length` frames before it."""
        if length == 0:
            return new
        joined = torch.cat((self.state((*new.shape[:2], length, new.shape[3]), new), new), 2)
        self.keep(joined[:, :, joined.shape[2] - length :], per_stem)
        return joined

    def late(self, new: Tensor, delay: int, per_stem: bool) -> Tensor:
        """Return [batch, channels, frames, bins]: what `new` was `delay` frames ago."""
        frames = int(new.shape[2])
        calls, rest = divmod(delay, frames)
        new = self.past(new, rest, per_stem)[:, :, :frames]
        if calls == 0:
            return new
        before = self.state(new.shape, new)
        self.keep(new, per_stem, calls)
        return before

    def held(self, value: Tensor, per_stem: bool) -> Tensor:
        """Return [batch, reach + 1, *size]: `value` [batch, *size] of this call behind those of the calls before."""
        if not self.reach:
            return value.unsqueeze(1)
        joined = torch.cat((self.state((value.shape[0], self.reach, *value.shape[1:]), value), value.unsqueeze(1)), 1)
        self.keep(joined[:, 1:], per_stem)
        return joined

    def at(self, history: Tensor, frames: int, delay: int) -> Tensor:
        """Return [batch, 1 or frames, *size] of `history`, from `held`, for `frames` that are `delay` frames late."""
        ages = [-((slot - delay) // frames) for slot in range(frames)]
        self.found = max(self.found, *ages)
        if self.reach is None:
            ages = [0] * frames
        return _picked(history, ages)

    def flags(self, frames: int, delay: int) -> Tensor:
        """Return [1, 1, 1 or frames, 1]: 1 where a frame is the signal's, 0 before its start and after its end."""
        return self.at(self._flags, frames, delay)[:, None]


def _picked(history: Tensor, ages: list[int]) -> Tensor:
    """Return [batch, 1 or frames, *size] of `history` [batch, calls, *size], newest last, at `ages` before it."""
    last = history.shape[1] - 1
    if len(set(ages)) == 1:
        return history[:, last - ages[0] : last - ages[0] + 1]
    # Runs of equal age, expanded: cheaper and plainer than a gather.
    runs = [(age, ages.count(age)) for age in dict.fromkeys(ages)]
    parts = [
        history[:, last - age : last - age + 1].expand(-1, count, *([-1] * (history.ndim - 2))) for age, count in runs
    ]
    return torch.cat(parts, 1)


class Frames:
    """Frames of a network: `data` [batch, channels, frames, bins], `stride` frames of the spectrogram apart.

    `batch` is 1 for what all conditions share, the stems (or, offline, any batch) otherwise (`per_stem`).
    `silent` says that frames outside the signal are known to be zero. Offline there is no `stream`.
    """

    def __init__(
        self,
        data: Tensor,
        stream: Stream | None = None,
        delay: int = 0,
        stride: int = 1,
        per_stem: bool = False,
        silent: bool = True,
    ) -> None:
        self.data, self.stream, self.delay, self.stride = data, stream, delay, stride
        self.per_stem, self.silent = per_stem, silent

    def _with(self, data: Tensor, silent: bool = False, **changes: object) -> Frames:
        values = {"delay": self.delay, "stride": self.stride, "per_stem": self.per_stem} | changes
        return Frames(data, self.stream, silent=silent, **values)

    @property
    def size(self) -> int:
        """Frames in this call at this stride; offline, in the signal."""
        return self.data.shape[2] if self.stream is None else self.stream.frames // self.stride

    def each(self, function: Callable[[Tensor], Tensor]) -> Frames:
        """Apply `function`, which treats every frame alone, to the data."""
        return self._with(function(self.data))

    def spread(self, data: Tensor, per_stem: bool) -> Frames:
        """Return `data`, computed of these frames and of the conditions: [stems, ...] if `per_stem`."""
        return self._with(data, per_stem=self.per_stem or (per_stem and self.stream is not None))

    def silenced(self) -> Frames:
        """Return the same with zeros where a frame lies outside the signal."""
        if self.stream is None or self.silent:
            return self
        return self._with(self.data * self.stream.flags(self.size, self.delay), silent=True)

    def delayed(self, delay: int) -> Frames:
        """Return the same, `delay` frames late in all."""
        more = delay - self.delay
        if self.stream is None or more == 0:
            return self
        return self._with(self.stream.late(self.data, more, self.per_stem), silent=self.silent, delay=delay)

    def around(self, past: int, future: int, step: int = 1, silence: bool = True) -> tuple[Tensor, Frames]:
        """Return [batch, channels, past + frames + future, bins] and the frames as late as its middle ones.

        What is missing at the ends of the signal is zero. In a stream the `future` is waited for, and so long
        that the frames, `step` of which are to become one, come in whole groups.
        """
        if self.stream is None:
            return functional.pad(self.data, (0, 0, past, future)), self
        source = self.silenced() if silence else self
        delay = math.ceil((self.delay + future) / step) * step
        wait = delay - self.delay
        joined = self.stream.past(source.data, past + wait, self.per_stem)
        # What was waited for beyond `future`, to fill a group, is too new.
        joined = joined[:, :, : past + self.size + future]
        return joined, self._with(self.data, delay=delay)

    def conv(self, module: nn.Conv2d) -> Frames:
        """Apply a convolution [time, frequency] that keeps the number of frames, or divides it by its stride."""
        (kernel, _), (stride, _), (padding, beside), (dilation, _) = (
            module.kernel_size,
            module.stride,
            module.padding,
            module.dilation,
        )
        if self.stream is None or (kernel == stride == 1):
            return self._strided(module(self.data), self, stride)
        reach = (kernel - 1) * dilation
        future = max(0, reach - padding - (stride - 1))
        # Groups that do not look beyond themselves never mix what is the signal's with what is not.
        joined, middle = self.around(padding, future, stride, silence=padding > 0 or reach >= stride)
        joined = joined[:, :, : self.size - stride + reach + 1]
        data = functional.conv2d(
            joined, module.weight, module.bias, module.stride, (0, beside), module.dilation, module.groups
        )
        return self._strided(data, middle, stride)

    def transposed(self, module: nn.ConvTranspose2d) -> Frames:
        """Apply a transposed convolution that multiplies the number of frames by its stride."""
        (kernel, _), (stride, _), (padding, beside) = module.kernel_size, module.stride, module.padding
        _, more = module.output_padding
        if self.stream is None:
            return self._multiplied(module(self.data), self, stride)
        future = -(-padding // stride)
        past = (kernel - 1 - padding) // stride
        joined, middle = self.around(past, future, silence=past + future > 0)
        data = functional.conv_transpose2d(
            joined, module.weight, module.bias, module.stride, (0, beside), (0, more), module.groups
        )
        begin, wanted = past * stride + padding, self.size * stride
        if data.shape[2] < begin + wanted:  # where the stride outruns the kernel, only the bias is left
            raise ValueError("a transposed convolution needs a kernel at least as long as its stride")
        return self._multiplied(data[:, :, begin : begin + wanted], middle, stride)

    def _strided(self, data: Tensor, source: Frames, stride: int) -> Frames:
        return source._with(data, delay=source.delay // stride, stride=source.stride * stride)

    def _multiplied(self, data: Tensor, source: Frames, stride: int) -> Frames:
        return source._with(data, delay=source.delay * stride, stride=source.stride // stride)

    def local(self, function: Callable[[Tensor], Tensor], past: int, future: int) -> Frames:
        """Apply `function`, which takes past + frames + future frames and returns those in the middle."""
        joined, middle = self.around(past, future)
        return middle._with(function(joined))

    def recurrent(self, module: nn.GRU | nn.LSTM, sequences: Callable[[Tensor], Tensor], dilation: int = 1) -> Frames:
        """Run `module` (batch first, one direction in a stream) along time.

        `sequences` makes [batch * n, frames, inputs] of the data; the result is Frames with data
        [batch * n, frames, outputs] in the place of the tensor, for `each` to bring into shape.
        A frame follows the one `dilation` frames before it, so that as many recurrences are interleaved.
        """
        layers = module.num_layers * (2 if isinstance(module, nn.LSTM) else 1)
        if self.stream is None:
            inputs = sequences(self.data)
            # Zeros made of the data, so that a tracer sees how many rows there are.
            row = (inputs[:, :1, :1] * 0).unsqueeze(0)
            directions = 2 if module.bidirectional else 1
            before = row.expand(layers * directions, -1, dilation, module.hidden_size)
            return self._with(_interleaved(module, inputs, before)[0])
        if module.bidirectional:
            raise ValueError("a bidirectional recurrence needs the whole signal and cannot stream exactly")
        stream = self.stream
        # In whole calls, so that the start of the signal is the start of a call, and the state can wait for it.
        source = self.delayed(math.ceil(self.delay / self.size) * self.size).silenced()
        inputs = sequences(source.data)
        rows = int(inputs.shape[0]) // int(source.data.shape[0])
        state = stream.state((source.data.shape[0], layers, rows * dilation, module.hidden_size), inputs)
        before = state.transpose(0, 1).reshape(layers, -1, dilation, module.hidden_size)
        data, after = _interleaved(module, inputs, before)
        after = after.reshape(layers, -1, rows * dilation, module.hidden_size).transpose(0, 1)
        stream.keep(after * stream.flags(source.size, source.delay), self.per_stem)
        return source._with(data)


def _interleaved(module: nn.GRU | nn.LSTM, inputs: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """Run `module` over `inputs` [rows, frames, size], each frame after the one `dilation` frames before it.

    `before` [layers, rows, dilation, hidden] are the states after the last `dilation` frames, oldest first
    (of an LSTM the hidden ones of all layers, then the cells); returned are the outputs and those states as of now.
    """
    # Plain numbers, where a tracer would have tensors.
    frames, dilation = int(inputs.shape[1]), int(before.shape[2])
    length, rest = divmod(frames, dilation)

    def run(part: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run `part` [rows, length, some of the dilation, size], whose sequences are independent."""
        count = part.shape[2]
        folded, state = part.transpose(1, 2).flatten(0, 1), state.flatten(1, 2)
        data, state = module(folded, tuple(state.chunk(2)) if isinstance(module, nn.LSTM) else state)
        state = torch.cat(state) if isinstance(module, nn.LSTM) else state
        return data.unflatten(0, (-1, count)).transpose(1, 2), state.unflatten(1, (-1, count))

    if rest == 0:
        data, after = run(inputs.unflatten(1, (-1, dilation)), before)
        return data.flatten(1, 2), after
    # The first `rest` sequences are a frame longer than the others.
    body, tail = inputs[:, : frames - rest], inputs[:, frames - rest :]
    body = body.unflatten(1, (length, dilation))
    longer, newest = run(torch.cat((body[:, :, :rest], tail.unsqueeze(1)), 1), before[:, :, :rest])
    if length == 0:
        return longer[:, 0], torch.cat((before[:, :, rest:], newest), 2)
    shorter, oldest = run(body[:, :, rest:], before[:, :, rest:])
    data = torch.cat((torch.cat((longer[:, :length], shorter), 2).flatten(1, 2), longer[:, length]), 1)
    return data, torch.cat((oldest, newest), 2)


def together(*branches: Frames) -> list[Frames]:
    """Return `branches` equally late and with equal batches."""
    delay = max(branch.delay for branch in branches)
    branches = [branch.delayed(delay) for branch in branches]
    if branches[0].stream is None:
        batch = max(branch.data.shape[0] for branch in branches)
    elif any(branch.per_stem for branch in branches):
        batch = branches[0].stream.stems
    else:
        return branches
    per_stem = any(branch.per_stem for branch in branches)
    return [
        branch
        if branch.per_stem == per_stem and branch.data.shape[0] == batch
        else branch._with(branch.data.expand(batch, -1, -1, -1), silent=branch.silent, per_stem=per_stem)
        for branch in branches
    ]


def joined(*branches: Frames) -> Frames:
    """Concatenate along the channels."""
    branches = [branch.silenced() for branch in together(*branches)] if _mixed(branches) else together(*branches)
    silent = all(branch.silent for branch in branches)
    return branches[0]._with(torch.cat([branch.data for branch in branches], 1), silent=silent)


def _mixed(branches: Sequence[Frames]) -> bool:
    """Return whether some of `branches`, but not all, are silent already: then only the others are worth silencing."""
    return len({branch.silent for branch in branches}) == 2


def summed(*branches: Frames) -> Frames:
    """Add."""
    branches = together(*branches)
    data = branches[0].data
    for branch in branches[1:]:
        data = data + branch.data
    return branches[0]._with(data, silent=all(branch.silent for branch in branches))


def multiplied(first: Frames, second: Frames) -> Frames:
    """Multiply; channels, or bins, of size 1 are spread."""
    first, second = together(first, second)
    return first._with(first.data * second.data, silent=first.silent or second.silent)


class Line:
    """Frames with enough of their past kept for several layers to look around in, each later than the one before."""

    def __init__(self, source: Frames, last: int, past: int) -> None:
        """Keep what layers as late as `last` need, that look `past` frames back."""
        self.source = source.silenced()
        self._reach = past + last - source.delay
        stream = source.stream
        self._kept = source.data if stream is None else stream.past(self.source.data, self._reach, source.per_stem)

    def around(self, delay: int, past: int, future: int) -> Tensor:
        """Return [batch, channels, past + frames + future, bins] around frames that are `delay` frames late."""
        begin = self._reach - (delay - self.source.delay) - past
        return self._kept[:, :, begin : begin + past + self.source.size + future]


def densely(module: nn.Conv2d, lines: Sequence[Line]) -> Frames:
    """Apply a centred convolution to the channels of `lines`, the last of which is the newest and comes first."""
    newest = lines[-1].source
    if newest.stream is None:
        return newest._with(module(torch.cat([line.source.data for line in reversed(lines)], 1)))
    (past, beside), delay = module.padding, newest.delay + module.padding[0]
    parts = [line.around(delay, past, past) for line in reversed(lines)]
    if any(line.source.per_stem != newest.per_stem for line in lines):
        raise ValueError("lines that are joined must all be shared or all be per stem")
    data = functional.conv2d(torch.cat(parts, 1), module.weight, module.bias, 1, (0, beside))
    return newest._with(data, delay=delay)


class Condition:
    """A vector that follows the condition: `value` [batch, width] of the call; offline also [batch, frames, width].

    Layers see it as late as their frames are.
    """

    def __init__(self, value: Tensor, stream: Stream | None = None) -> None:
        self.stream = stream
        if stream is None:
            self._held = value if value.ndim == 3 else value[:, None]
        else:
            self._held = stream.held(value, True)

    def at(self, frames: Frames) -> Tensor:
        """Return [batch, 1 or frames, width]: the vector under which `frames` are to be computed."""
        if self.stream is not None:
            return self.stream.at(self._held, frames.size, frames.delay)
        return self._held if self._held.shape[1] == 1 else self._held[:, :: frames.stride]
