"""A loss of the user's own: what it is given, and one try before anything trains."""

import torch
from torch import Tensor

from model_zoo.own_code import loaded, running


def own_loss(named: str, student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The loss that code of one's own gives for the feature maps of two matched blocks.

    Args:
        named: as `model_zoo.own_code.own` names it.
        student: (batch, tokens, width), projected to the teacher's width where the recipe has a projection.
        teacher: of the same shape; a constant.
        mask: (batch, tokens), True at real tokens.
    """
    result: Tensor = loaded(named)(student, teacher.detach(), mask)
    return result


def try_loss(named: str, width: int) -> None:
    """Run a loss and its gradient once, on two short sequences with a padded token.

    They are real numbers, not meta tensors: a loss may pick tokens by their mask, which meta tensors cannot.

    Raises:
        ValueError: an error inside, no scalar, no gradient for the student, or numbers that are not finite.
    """
    draw = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 3, width, generator=draw) for _ in range(2))
    student.requires_grad_()
    mask = torch.tensor([[True, True, True], [True, True, False]])
    path, shape = named.partition("@")[0], tuple(student.shape)
    with torch.enable_grad(), running(named, f"give a loss for feature maps of shape {shape} and their mask"):
        loss = own_loss(named, student, teacher, mask)
    if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
        found = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"{path} must return a scalar tensor for maps of shape {shape}, got {found}; take its mean")
    if not loss.requires_grad:
        raise ValueError(
            f"{path} must depend on the student's maps, got a loss without a gradient; leave out detach() and item()"
        )
    with running(named, "have a gradient"):
        (gradient,) = torch.autograd.grad(loss, student, allow_unused=True)
    if gradient is None or not (loss.isfinite() and gradient.isfinite().all()):
        what = "none" if gradient is None else f"a loss of {loss.item():g} with a gradient that is not finite"
        if gradient is not None and not loss.isfinite():
            what = f"a loss of {loss.item():g}"
        raise ValueError(f"{path} must have a finite loss and gradient for maps of shape {shape}, got {what}")
