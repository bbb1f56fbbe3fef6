"""A feed-forward of the user's own inside a block: built, checked and counted."""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from model_zoo.config import EncoderConfig
from model_zoo.own_code import Counted, loaded, running

_ROWS, _TOKENS = 2, 3
# fmt: off
_FREE = frozenset((
    "_local_scalar_dense", "_log_softmax", "_softmax", "_to_copy", "_unsafe_view", "all", "amax", "amin", "any",
    "arange", "argmax", "argmin", "bernoulli", "bernoulli_", "cat", "clone", "constant_pad_nd", "copy_", "cumsum",
    "detach", "empty", "empty_like", "empty_strided", "flip", "full", "full_like", "gather", "index",
    "index_select", "lift_fresh", "linalg_vector_norm", "max", "mean", "min", "native_dropout", "native_group_norm",
    "native_layer_norm", "new_empty", "new_full", "new_zeros", "ones", "ones_like", "prod", "roll", "scalar_tensor",
    "scatter", "select_backward", "slice_backward", "sort", "std", "stack", "sum", "topk", "uniform_", "var",
    "var_mean", "zeros", "zeros_like",
))
"""Operations without products of matrices that torch does not mark as elementwise or views."""
# fmt: on


def build(config: EncoderConfig) -> nn.Module:
    """The module that a config's own code makes.

    Raises:
        ValueError: an error inside, or what it returns is no module.
    """
    named = config.feed_forward
    with running(named, "make a torch module for an EncoderConfig"):
        module = loaded(named)(config)
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"{_path(named)} must return a torch.nn.Module when called with an EncoderConfig, got "
            f"{type(module).__name__}; return what maps (batch, tokens, {config.bottleneck_size}) to the same"
        )
    return module


@functools.lru_cache(maxsize=4096)
def count(config: EncoderConfig, length: int) -> Counted:
    """Parameters and FLOPs of one feed-forward, by building and running it on the meta device.

    FLOPs are what a function `flops(config, length)` of the code itself says, where it has one; else those of matrix
    products and convolutions. An operation that is neither one of these nor known to have none is refused.

    Raises:
        ValueError: what `build` raises, another shape or type than it was given, or FLOPs that cannot be counted.
    """
    with torch.device("meta"):
        module = build(config).eval()
        other = build(config)
    if {id(part) for part in module.parameters()} & {id(part) for part in other.parameters()}:
        raise ValueError(
            f"{_path(config.feed_forward)} must make new parameters at every call, got the same ones twice; make the "
            "module inside it"
        )
    _run(config, module, _ROWS, _TOKENS)
    counting = _Counting()
    with counting:
        _run(config, module, 1, length)
    flops = _said_flops(config, length)
    if flops is None and counting.unknown:
        raise ValueError(
            f"the FLOPs of {_path(config.feed_forward)} must be known, got the operation {counting.unknown[0]}, which "
            f"cannot be counted; add a function flops(config, length) to {_path(config.feed_forward).split(':')[1]}"
        )
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Counted(parameters=parameters, flops=counting.flops if flops is None else flops, kept=counting.kept)


def try_feed_forward(config: EncoderConfig) -> None:
    """Run a feed-forward with real numbers, once as it is and once with another last token.

    Raises:
        ValueError: what `build` raises, results that are not finite, or tokens that change one another's: it is given
            no mask, so that padding would change real tokens.
    """
    draw = torch.Generator().manual_seed(0)
    shape = (_ROWS, _TOKENS, config.bottleneck_size)
    hidden, path = torch.randn(shape, generator=draw), _path(config.feed_forward)
    other = torch.cat([hidden[:, :-1], torch.randn(hidden[:, -1:].shape, generator=draw)], 1)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        module = build(config).eval()
        with running(config.feed_forward, f"map a tensor of shape {shape} to the same shape"):
            results = [module(one) for one in (hidden, other)]
    if not all(result.isfinite().all() for result in results):
        raise ValueError(f"{path} must give finite numbers for numbers of about 1, got others; check how it starts")
    if not torch.allclose(results[0][:, :-1], results[1][:, :-1], rtol=1e-4, atol=1e-6):
        raise ValueError(
            f"{path} must map every token alone, got one that changes with another token: padding would change real "
            "tokens; mix tokens in the attention only"
        )


def _run(config: EncoderConfig, module: nn.Module, rows: int, tokens: int) -> None:
    shape = (rows, tokens, config.bottleneck_size)
    named = config.feed_forward
    with torch.no_grad(), torch.device("meta"), running(named, f"map a tensor of shape {shape} to the same shape"):
        result = module(torch.empty(shape))
    if not isinstance(result, Tensor) or result.shape != shape or result.dtype != torch.float32:
        raise ValueError(
            f"{_path(named)} must map a float32 tensor of shape {shape} to the same shape, got {_described(result)}; "
            "the residual and the norm are added outside it"
        )


def _said_flops(config: EncoderConfig, length: int) -> int | None:
    """What the code itself says of its FLOPs; None where it says nothing."""
    say = getattr(loaded(config.feed_forward), "flops", None)
    if say is None:
        return None
    with running(config.feed_forward, "give its FLOPs from flops(config, length)"):
        flops = say(config, length)
    if isinstance(flops, bool) or not isinstance(flops, int) or flops < 0:
        raise ValueError(
            f"{_path(config.feed_forward)} must give its FLOPs as a whole number of at least 0, got {flops!r}; they "
            "are 2 x multiply-adds of one sequence"
        )
    return flops


class _Counting(TorchDispatchMode):
    """Counts FLOPs of matrix products, and notes what is neither a product nor free of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self.kept = 0
        self.unknown: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        if packet in flop_registry:
            self.flops += int(flop_registry[packet](*args, **(kwargs or {}), out_val=result))
        elif not (func.is_view or torch.Tag.pointwise in func.tags or packet.__name__ in _FREE):
            self.unknown.append(str(packet))
        if isinstance(result, Tensor) and not func.is_view and not packet.__name__.startswith("empty"):
            self.kept += result.numel()
        return result


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return type(value).__name__


def _path(named: str) -> str:
    return named.partition("@")[0]
