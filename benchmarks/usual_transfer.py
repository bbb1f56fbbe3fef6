"""A knowledge-transfer step written the usual way: transformers' MobileBERT as student and as teacher, in eager mode
with all hidden states and attention maps, one seed at a time, torch's AdamW as it comes, with the settings
of ours."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from model_zoo.config import EncoderConfig
from model_zoo.transformers_config import to_fields
from search.recipe import Optimizer, Recipe


def usual_model(config: EncoderConfig, device: torch.device) -> Any:
    """transformers' own MobileBERT with its pre-training heads and random weights."""
    from transformers import MobileBertConfig, MobileBertForPreTraining

    fields = to_fields(config, pooler=False) | {"attn_implementation": "eager"}
    return MobileBertForPreTraining(MobileBertConfig(**fields)).eval().to(device)


def usual_transfer(
    student: Any, teacher: Any, batch_of: Callable[[int], Any], recipe: Recipe, blocks: Callable[[int], Sequence[int]]
) -> Callable[[int], float]:
    """One update that copies feature maps and attention of the blocks that `blocks(step)` names; gives the loss."""
    settings = recipe.knowledge_transfer
    assert settings is not None
    trained = [parameter for name, parameter in student.named_parameters() if ".encoder.layer." in name]
    optimizer = _optimizer(trained, settings.optimizer)
    count = len(student.mobilebert.encoder.layer)

    def step(number: int) -> float:
        batch = batch_of(number)
        inputs = _inputs(batch) | {"output_hidden_states": True, "output_attentions": True}
        with torch.no_grad():
            target = teacher.mobilebert(**inputs)
        output = student.mobilebert(**inputs)
        loss = torch.zeros((), device=batch.mask.device)
        for block in blocks(number):
            maps = _map_loss(output.hidden_states[block + 1], target.hidden_states[block + 1], batch.mask)
            loss = loss + (maps + _attention_loss(output.attentions[block], target.attentions[block], batch.mask))
        return _update(loss / count, optimizer, trained, settings.optimizer.clip_norm)

    return step


def usual_distillation(
    student: Any, teacher: Any, batch_of: Callable[[int], Any], recipe: Recipe
) -> Callable[[int], float]:
    """One update of pre-training distillation: logits everywhere, the loss where something is masked."""
    trained = list(student.parameters())
    optimizer = _optimizer(trained, recipe.pre_training.optimizer)
    share, clip = recipe.pre_training.teacher_share, recipe.pre_training.optimizer.clip_norm

    def step(number: int) -> float:
        batch = batch_of(number)
        with torch.no_grad():
            target = teacher(**_inputs(batch)).prediction_logits.flatten(0, 1)
        output = student(**_inputs(batch))
        logits = output.prediction_logits.flatten(0, 1)
        labels = torch.full((logits.shape[0],), -100, device=logits.device)
        labels[batch.masked_positions] = batch.masked_labels
        hard = functional.cross_entropy(logits, labels)
        soft = -(target.softmax(-1) * logits.log_softmax(-1)).sum(-1)[labels != -100].mean()
        sentence = functional.cross_entropy(output.seq_relationship_logits, batch.is_random_next)
        return _update((1 - share) * hard + share * soft + sentence, optimizer, trained, clip)

    return step


def _inputs(batch: Any) -> dict[str, Any]:
    return {"input_ids": batch.token_ids, "attention_mask": batch.mask.long(), "token_type_ids": batch.token_types}


def _map_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """The released form: 100 x normalised difference + 5000 x means + 5 x variances."""
    width = (student.shape[-1],)
    shape = (functional.layer_norm(student, width) - functional.layer_norm(teacher, width)).square().mean(-1)
    means = (student.mean(-1) - teacher.mean(-1)).square()
    variances = (student.var(-1, correction=0) - teacher.var(-1, correction=0)).abs()
    return ((100 * shape + 5000 * means + 5 * variances) * mask).sum() / mask.sum()


def _attention_loss(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    divergence = functional.kl_div((student + 1e-30).log(), teacher, reduction="none").sum(-1).mean(1)
    return (divergence * mask).sum() / mask.sum()


def _optimizer(trained: Sequence[Tensor], settings: Optimizer) -> torch.optim.Optimizer:
    """Weight decay on matrices, none on vectors, as everyone writes it."""
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, settings.second_moment), eps=1e-6)


def _update(loss: Tensor, optimizer: torch.optim.Optimizer, trained: Sequence[Tensor], clip_norm: float) -> float:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, clip_norm)
    optimizer.step()
    return loss.item()
