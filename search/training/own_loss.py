"""A loss of the user's own: what it is given, and one try before anything trains."""

from typing import Literal

import torch
from torch import Tensor

from model_zoo.own_code import loaded, running

Compared = Literal["feature maps", "logits"]
"""Feature maps of two matched blocks (batch, tokens, width), projected to the teacher's width where the recipe has a
projection, and the mask (batch, tokens), True at real tokens; or logits at masked positions (masked, vocab) and their
labels (masked)."""


def own_loss(named: str, student: Tensor, teacher: Tensor, beside: Tensor) -> Tensor:
    """The loss that code of one's own gives; the teacher's part is a constant.

    Args:
        named: as `model_zoo.own_code.own` names it.
        beside: the mask of feature maps, the labels of logits.
    """
    result: Tensor = loaded(named)(student, teacher.detach(), beside)
    return result


def try_loss(named: str, compared: Compared, width: int) -> None:
    """Run a loss and its gradient once, on two short sequences with a padded token, or five masked positions.

    They are real numbers, not meta tensors: a loss may pick tokens by their mask, which meta tensors cannot.

    Args:
        width: of feature maps, or the number of word pieces.

    Raises:
        ValueError: an error inside, no scalar, no gradient for the student, or numbers that are not finite.
    """
    draw = torch.Generator().manual_seed(0)
    shape = (2, 3, width) if compared == "feature maps" else (5, width)
    student, teacher = (torch.randn(shape, generator=draw) for _ in range(2))
    student.requires_grad_()
    beside = torch.tensor([[True, True, True], [True, True, False]])
    if compared == "logits":
        beside = torch.arange(5) % width
    path, given = named.partition("@")[0], f"{compared} of shape {shape}"
    with torch.enable_grad(), running(named, f"give a loss for {given}"):
        loss = own_loss(named, student, teacher, beside)
    if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"{path} must return a scalar tensor for {given}, got {found}; take its mean")
    if not loss.requires_grad:
        raise ValueError(
            f"{path} must depend on the student's {compared}, got a loss without a gradient; leave out detach() and "
            "item()"
        )
    with running(named, "have a gradient"):
        (gradient,) = torch.autograd.grad(loss, student, allow_unused=True)
    if gradient is None or not (loss.isfinite() and gradient.isfinite().all()):
        what = "no gradient" if gradient is None else f"a loss of {loss.item():g} with a gradient that is not finite"
        if gradient is not None and not loss.isfinite():
            what = f"a loss of {loss.item():g}"
        raise ValueError(f"{path} must have a finite loss and gradient for {given}, got {what}; check its divisions")
