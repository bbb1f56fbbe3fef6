"""Weights held against what an architecture asks for, before anything is done with them."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


def shapes_of(build: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Shapes of the state dict of a module, which is built without memory for its tensors."""
    with torch.device("meta"):
        module = build()
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def check_weights(
    tensors: Mapping[str, Tensor], names: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]], place: str
) -> None:
    """Raise ValueError unless `tensors` are exactly the named ones, of these shapes, floating-point and finite.

    Args:
        tensors: what was given.
        names: the architecture's names to what they are called in `tensors`.
        shapes: by the architecture's names.
        place: where the tensors came from, for errors.
    """
    for name in names.values():
        if name not in tensors:
            raise ValueError(f"{place}: tensor {name} is missing; the config asks for {len(names)} tensors")
    unknown = sorted(set(tensors) - set(names.values()))
    if unknown:
        raise ValueError(f"{place}: tensor {unknown[0]} is not part of this architecture; leave it out")
    for ours, name in names.items():
        tensor = tensors[name]
        if tuple(tensor.shape) != shapes[ours]:
            raise ValueError(
                f"{place}: tensor {name} must have the shape {shapes[ours]} that the config says, got "
                f"{tuple(tensor.shape)}"
            )
        if not tensor.is_floating_point():
            raise ValueError(f"{place}: tensor {name} must hold floating-point numbers, got {tensor.dtype}")
        if not tensor.isfinite().all():
            raise ValueError(f"{place}: tensor {name} must be finite, it holds NaN or infinity")
