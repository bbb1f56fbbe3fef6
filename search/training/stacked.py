"""Tensors of several replicas, stacked along a first dimension: what belongs to each is computed apart, in one
operation where torch has one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def stack(networks: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The networks' parameters by name, as new tensors (replicas, ...) without gradient."""
    named = [dict(network.named_parameters()) for network in networks]
    return {name: torch.stack([one[name].detach() for one in named]) for name in named[0]}


@torch.no_grad()
def unstack(weights: dict[str, Tensor], networks: Sequence[nn.Module]) -> None:
    """Give every network its part of stacked weights."""
    for index, network in enumerate(networks):
        for name, parameter in network.named_parameters():
            parameter.copy_(weights[name][index])


def parts(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The replicas' parts of all tensors, as views: those of the first tensor, then those of the second, and so on."""
    return [part for tensor in tensors for part in tensor.unbind()]


def spread(values: Tensor, tensor: Tensor) -> Tensor:
    """One number per replica, shaped so that it multiplies the replica's part of `tensor`."""
    return values.view(-1, *([1] * (tensor.ndim - 1)))


def clip_each(gradients: Sequence[Tensor], limit: float) -> Tensor:
    """Clip each replica's gradients to a norm of `limit`, in place; returns the norms before, (replicas,).

    The arithmetic is that of torch.nn.utils.clip_grad_norm_.
    """
    each = torch.stack(torch._foreach_norm(parts(gradients))).view(len(gradients), -1)  # (tensors, replicas)
    norms: Tensor = torch.linalg.vector_norm(each, dim=0)
    factors = (limit / (norms + 1e-6)).clamp(max=1.0)
    torch._foreach_mul_(list(gradients), [spread(factors, gradient) for gradient in gradients])
    return norms
