"""LaSAFT-Live as it is exported: one frame at a time, with as few operations as the same result takes.

A hop takes less than a millisecond, so what an operation costs beside its arithmetic counts. Products with constants are
folded into each other, all that hangs on the condition alone comes out of one product, and the sigmoid of the mask is a
shifted tangent, so that one operation squashes all of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.bands import Bands
from models.lasaft_live import LasaftLive
from models.live_network import FLOOR


class _Recurrence(nn.Module):
    """A GRU of one step as a single product of input and state. Cho et al. 2014, gates as in torch.nn.GRU."""

    def __init__(self, gru: nn.GRU, norm: nn.LayerNorm) -> None:
        super().__init__()
        size = gru.hidden_size
        reset, update, new = gru.weight_ih_l0.chunk(3)
        own_reset, own_update, own_new = gru.weight_hh_l0.chunk(3)
        zero = torch.zeros_like(new)
        inputs = torch.cat([reset, update, new, zero])
        states = torch.cat([own_reset, own_update, zero, own_new])
        bias, own_bias = gru.bias_ih_l0, gru.bias_hh_l0
        bias = torch.cat([bias[: 2 * size] + own_bias[: 2 * size], bias[2 * size :], own_bias[2 * size :]])
        self.size = size
        self.norm = nn.LayerNorm(size, elementwise_affine=False, eps=norm.eps)
        # The norm's own scale and shift go into the product.
        self.gates = _linear(torch.cat([inputs * norm.weight, states], 1), bias + inputs @ norm.bias)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """x and state [1, size] to the next state."""
        gates, new, own = self.gates(torch.cat([self.norm(x), state], 1)).split([2 * self.size, self.size, self.size], 1)
        reset, update = torch.sigmoid(gates).split(self.size, 1)
        new = torch.tanh(new + reset * own)
        return new + update * (state - new)


class LasaftLiveFrame(nn.Module):
    """The separator contract of `network` for one frame; `network` itself is not touched."""

    stem_states = (False,)

    @torch.no_grad()
    def __init__(self, network: LasaftLive) -> None:
        super().__init__()
        c, head = network.config, network.head
        self.config = c
        self.bands = Bands(c.bands)
        left, right = torch.eye(4)[:2], torch.eye(4)[2:]
        # Left, right and side, real and imaginary; the sum of their squares; a spectrum times the imaginary unit.
        self.register_buffer("parts", torch.cat([left, right, 0.5 * (left - right)]))
        self.register_buffer("sums", torch.eye(3).repeat_interleave(2, 1))
        self.register_buffer("turned", torch.block_diag(*2 * [torch.tensor([[0.0, -1], [1, 0]])]))
        scale, shift = network.feature_scale, network.feature_mean * network.feature_scale
        reduce = network.reduce
        self.reduce = _linear(reduce.weight * scale, reduce.bias - reduce.weight @ shift)
        self.tdf_norms, self.inners, self.outers = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for tdf in network.tdfs:
            norm = tdf.norm
            self.tdf_norms.append(nn.LayerNorm(c.hidden, elementwise_affine=False, eps=norm.eps))
            self.inners.append(_behind(norm, tdf.inner))
            self.outers.append(_linear(tdf.outer.weight, tdf.outer.bias))
        self.recurrences = nn.ModuleList(map(_Recurrence, network.grus, network.norms))
        self.out_norm = nn.LayerNorm(c.hidden, elementwise_affine=False, eps=network.out_norm.eps)
        self.values = _behind(network.out_norm, network.values)
        # What the head takes from the condition, in one product behind the first layer of its embedding.
        first, second = head.embed[0], head.embed[2]
        keys = head.keys / c.d_k**0.5
        weights = [keys @ head.query.weight, head.gamma.weight, head.omega.weight, head.beta.weight, head.scale.weight]
        biases = [keys @ head.query.bias, head.gamma.bias + 1, head.omega.bias, head.beta.bias, head.scale.bias + 1]
        weight, bias = torch.cat(weights), torch.cat(biases)
        self.sizes = [len(each) for each in weights]
        self.embed = _linear(first.weight, first.bias)
        self.modulation = _linear(weight @ second.weight, bias + weight @ second.bias)
        self.hidden = _linear(head.hidden.weight, head.hidden.bias)
        # sigmoid(x) = 1/2 + 1/2 tanh(x/2), so gain and turn, the two halves of a mask, are squashed alike.
        inner = torch.tensor([0.5, 1.0]).repeat_interleave(c.channels * self.bands.count)
        self.mask = _linear(head.mask.weight * inner[:, None], head.mask.bias * inner)
        self.register_buffer("span", 0.5 * (1 - network.static_share))
        level = torch.tensor([1.0, 0.0]).repeat_interleave(c.channels * self.bands.count)
        self.register_buffer("level", self.span * level)
        self.register_buffer("static", network.static_share * network.static_mask.repeat(1, 2 * c.channels) * level)

    def initial_states(self, stems: int = 1) -> tuple[Tensor, ...]:
        """Zero state, shared by all stems."""
        del stems
        return (torch.zeros(self.config.layers, 1, self.config.hidden),)

    @property
    def attends(self) -> tuple[int, int]:
        """Layers and latent sources of `attention`."""
        return 1, self.config.latent_sources

    def attention(self, condition: Tensor) -> Tensor:
        """Weights of the latent sources for condition [stems, width]: [stems, 1, latent_sources]."""
        return self._modulations(condition)[0].unsqueeze(1)

    def _modulations(self, condition: Tensor) -> list[Tensor]:
        logits, *rest = self.modulation(torch.relu(self.embed(condition))).split(self.sizes, 1)
        return [torch.softmax(logits, 1), *rest]

    def forward(self, mixture: Tensor, condition: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Separator contract: mixture [1, 2 channels, 1, bins], condition [stems, width]."""
        c = self.config
        frame = mixture.reshape(4, -1)
        parts = self.parts @ frame
        x = torch.log(self.bands.gather(self.sums @ (parts * parts)) + FLOOR).reshape(1, -1)
        x = self.reduce(x)
        states = []
        own = state.reshape(c.layers, -1)
        for i in range(c.layers):
            x = x + self.outers[i](torch.relu(self.inners[i](self.tdf_norms[i](x))))
            states.append(self.recurrences[i](x, own[i : i + 1]))
            x = x + states[i]
        values = torch.relu(self.values(self.out_norm(x))).reshape(c.latent_sources, -1)
        attention, gamma, omega, beta, scale = self._modulations(condition)
        x = (attention @ values * gamma).reshape(-1, c.head_channels, c.head_width)
        gate = omega.reshape(-1, c.head_channels, c.head_channels) @ x + beta.unsqueeze(2)
        x = (torch.sigmoid(gate) * x).reshape(-1, c.head_channels * c.head_width)
        x = torch.tanh(self.mask(torch.relu(self.hidden(x) * scale)))
        mask = self.span * x + (condition @ self.static + self.level)
        mask = self.bands.spread(mask.reshape(-1, 2, c.channels, 1, self.bands.count))
        gain, turn = mask[:, 0], mask[:, 1]
        estimate = gain * frame.reshape(2, 2, -1) + turn * (self.turned @ frame).reshape(2, 2, -1)
        return estimate.reshape(-1, 4, 1, estimate.shape[-1]), torch.stack(states)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer


def _behind(norm: nn.LayerNorm, layer: nn.Linear) -> nn.Linear:
    """Return `layer` with the scale and shift of the norm before it."""
    return _linear(layer.weight * norm.weight, layer.bias + layer.weight @ norm.bias)
