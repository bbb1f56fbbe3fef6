"""Several processes that train one trial: every process has the same weights and its part of each batch.

A rank computes the loss of its rows, weighed so that the mean over ranks is the loss of the whole batch; gradients are
averaged. Rank 0 alone writes. Started by `studies/parallel.py` under torchrun.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from search.seeds import stream_seed
from search.training.acceleration import Ranks
from search.trial import TrialSpec


class RankLostError(Exception):
    """Another process of the group has ended, or was silent for too long."""


def check_ranks(spec: TrialSpec, count: int) -> None:
    """Raises ValueError unless every batch of a trial can be split evenly and its loss put together again."""
    recipe = spec.recipe
    sizes = {"fine_tuning": recipe.fine_tuning.batch_size} if spec.data.tasks else {}
    if recipe.pre_training.steps:
        sizes["pre_training"] = recipe.pre_training.batch_size
    if recipe.knowledge_transfer is not None:
        sizes["knowledge_transfer"] = recipe.knowledge_transfer.batch_size
    for name, size in sizes.items():
        if size % count:
            raise ValueError(
                f"every process takes an equal part of a batch: batch_size of {name} must be a multiple of the "
                f"{count} processes, got {size}; choose --nproc-per-node so that it divides {size}"
            )
    distillation = recipe.fine_tuning.distillation
    uneven = {
        "the triple loss": recipe.pre_training.triple is not None,
        "an intermediate stage": distillation is not None and distillation.intermediate is not None,
        "squared_error": distillation is not None and distillation.logits == "squared_error",
        # A mean over the positions up to a part's own longest row.
        "the prediction loss of a span": distillation is not None
        and distillation.logits == "prediction"
        and any(task.kind == "span" for task in spec.data.tasks),
        "a loss of one's own": recipe.pre_training.own_loss is not None
        or (recipe.knowledge_transfer is not None and recipe.knowledge_transfer.own_loss is not None),
    }
    for name, is_there in uneven.items():
        if is_there and count > 1:
            raise ValueError(f"{name} has no mean that can be put together from parts, got {count} processes; use one")


def with_own_dropout(ranks: Ranks, loss: Callable[[int], Tensor], seed: int, stream: str) -> Callable[[int], Tensor]:
    """A stage's loss with dropout of the rank's own, which depends on the step alone and so needs no saved state."""
    if ranks.size == 1:
        return loss

    def seeded(step: int) -> Tensor:
        torch.manual_seed(stream_seed(seed, "dropout", stream, "rank", ranks.rank, step))
        return loss(step)

    return seeded


def mean_over_ranks(value: Tensor, ranks: Ranks) -> float:
    """The mean of a scalar over all ranks: of a loss, that of the whole batch."""
    if ranks.size == 1:
        return value.item()
    total = value.detach().clone()
    with _named_loss_of_a_rank():
        dist.all_reduce(total)
    return total.item() / ranks.size


def average_gradients(parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
    """Replace every gradient by its mean over the ranks, in one message."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if ranks.size == 1 or not gradients:
        return
    flat: Tensor = _flatten_dense_tensors(gradients)  # type: ignore[no-untyped-call]
    with _named_loss_of_a_rank():
        dist.all_reduce(flat)
    flat /= ranks.size
    means = _unflatten_dense_tensors(flat, gradients)  # type: ignore[no-untyped-call]
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean)


def wait_for_all(ranks: Ranks) -> None:
    """Go on when every rank has come here."""
    if ranks.size > 1:
        with _named_loss_of_a_rank():
            dist.barrier()


@contextlib.contextmanager
def _named_loss_of_a_rank() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise RankLostError(
            "all processes must stay, got one that ended or was silent for too long; the same command goes on from the "
            f"last checkpoint ({' '.join(str(error).split())[:120]})"
        ) from error
