"""Large matrix products of a training on the CPU by oneDNN, which may use more of the processor than torch's own.

torch multiplies float32 by MKL, which does not use the widest units of every processor. On one core of an AMD EPYC
(family 26) 1,024 tokens from 128 to 512 channels took 1.25 ms by MKL and 0.56 ms by oneDNN, from 64 to 64 channels
0.083 and 0.047 ms, and from 16 to 16, where the call costs more than the arithmetic, 0.008 and 0.015 ms: small products
stay with torch (`benchmarks/products.py`). Values differ by rounding alone.
"""

import platform
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from model_zoo.feed_forward import FeedForward
from model_zoo.heads import MaskedLanguageHead
from search.training.acceleration import Acceleration

SMALLEST = 2**21
"""Multiply-adds of the smallest product that oneDNN has done sooner."""


def fast_products(network: nn.Module, acceleration: Acceleration, device: torch.device) -> None:
    """Have a network's large products computed by oneDNN; names and values of its tensors stay.

    Nothing changes unless `acceleration.products` says so, and never on other devices, in bfloat16, and where blocks
    are compiled, which have kernels of their own. A network without gradients (a teacher) also has its GELUs computed
    inside the products before them. Not for torch.vmap.
    """
    plain = acceleration.precision == "float32" and acceleration.compiled == "nothing"
    if acceleration.products != "onednn" or device.type != "cpu" or not plain:
        return
    frozen = not any(parameter.requires_grad for parameter in network.parameters())
    for module in list(network.modules()):
        if type(module) is nn.Linear:
            module.__class__ = FastLinear
        elif isinstance(module, MaskedLanguageHead):
            module.product = product
        elif isinstance(module, FeedForward) and frozen and module.activation is functional.gelu:
            module.inner.__class__, module.activation = FrozenLinearGelu, _as_it_is


def with_products(acceleration: Acceleration, device: str) -> Acceleration:
    """The same, with oneDNN's products where they are to be had and nothing else replaces them."""
    plain = acceleration.precision == "float32" and acceleration.compiled == "nothing"
    return replace(acceleration, products="onednn") if device == "cpu" and plain and has_onednn() else acceleration


def has_onednn() -> bool:
    """Whether this torch can multiply by oneDNN on this processor."""
    known = platform.machine().lower() in ("x86_64", "amd64")
    return known and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


class FastLinear(nn.Linear):
    """`nn.Linear`, computed by `product`."""

    def forward(self, input: Tensor) -> Tensor:
        """As `nn.Linear`."""
        return product(input, self.weight, self.bias)


class FrozenLinearGelu(nn.Linear):
    """gelu(`nn.Linear`) in one pass over the wide map, where no gradient is asked for."""

    def forward(self, input: Tensor) -> Tensor:
        """The activated map."""
        learns = torch.is_grad_enabled() and (input.requires_grad or self.weight.requires_grad)
        if learns or input.dtype != torch.float32:
            return functional.gelu(functional.linear(input, self.weight, self.bias))
        result: Tensor = torch.ops.mkldnn._linear_pointwise(input, self.weight, self.bias, "gelu", [], "none")
        return result


def product(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """hidden (..., in) @ weight (out, in) transposed + bias (out), with gradients of first order.

    Small products, and those of any type but float32, are torch's own.
    """
    tokens = hidden.numel() // weight.shape[1]
    if tokens * weight.numel() < SMALLEST or hidden.dtype != torch.float32 or weight.dtype != torch.float32:
        return functional.linear(hidden, weight, bias)
    if not torch.is_grad_enabled():
        return _multiply(hidden, weight, bias)
    result: Tensor = _Product.apply(hidden, weight, bias)  # type: ignore[no-untyped-call]
    return result


def _as_it_is(hidden: Tensor) -> Tensor:
    return hidden


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """left @ right.T + bias."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return result


def _outer(left: Tensor, right: Tensor) -> Tensor:
    """left.T @ right, both (tokens, channels). oneDNN copies its first operand where it stands the other way round, so
    that the narrower of the two comes first."""
    if left.shape[1] > right.shape[1]:
        return _multiply(right.t(), left.t()).t()
    return _multiply(left.t(), right.t())


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(hidden, weight)
        return _multiply(hidden, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        hidden, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])  # (tokens, out)
        of_hidden = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_hidden = _multiply(gradient, weight.t())
        if ctx.needs_input_grad[1]:
            of_weight = _outer(rows, hidden.reshape(-1, hidden.shape[-1]))
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_hidden, of_weight, of_bias
