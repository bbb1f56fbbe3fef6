"""What is deployed around a folded encoder: task heads and packed matrices."""

from typing import Any

import pytest
import torch
from torch import Tensor

from model_zoo.config import EncoderConfig
from model_zoo.deploy import FoldedEncoder, fold, fold_task
from model_zoo.encoder import MASKED_SCORE, Encoder
from model_zoo.networks import TaskNetwork
from model_zoo.packing import PackedProduct, pack

CONFIGS: dict[str, dict[str, Any]] = {
    "paper's block": {"norm": "no_norm"},
    "shared bottleneck": {"norm": "no_norm", "attention_input": "shared_bottleneck", "activation": "relu"},
    "narrow attention": {"norm": "no_norm", "attention_input": "bottleneck"},
    "layer norm": {"activation": "relu"},
}


def network(config: EncoderConfig, num_outputs: int, *, pooler: bool = False, seed: int = 0) -> TaskNetwork:
    """With every parameter moved from where it starts, norms and biases included."""
    torch.manual_seed(seed)
    made = TaskNetwork(Encoder(config), num_outputs, pooler=pooler).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def folded(config: EncoderConfig) -> FoldedEncoder:
    return fold(config, network(config, 2).state_dict())


def error(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize(("num_outputs", "pooler"), [(3, False), (3, True), (1, False), (1, True), (0, False)])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_folded_task_gives_the_task_s_logits(
    num_outputs: int, pooler: bool, name: str, small: Any, inputs: Any
) -> None:
    task = network(small(**CONFIGS[name]), num_outputs, pooler=pooler)
    real = inputs()[1] if num_outputs == 0 else ...
    with torch.no_grad():
        assert error(fold_task(task)(*inputs())[real], task(*inputs())[real]) <= 1e-4
        assert error(fold_task(task.double())(*inputs())[real], task(*inputs())[real]) <= 1e-9


def test_a_folded_span_task_starts_no_answer_at_padding(small: Any, inputs: Any) -> None:
    token_ids, mask, types = inputs()
    logits = fold_task(network(small(norm="no_norm"), 0))(token_ids, mask, types)
    assert not mask.all() and (logits[~mask] == MASKED_SCORE).all() and (logits[mask] > MASKED_SCORE).all()


def test_a_folded_task_is_a_copy_without_dropout_or_gradient(small: Any, inputs: Any) -> None:
    task = network(small(norm="no_norm", hidden_dropout=0.5), 3).train()
    module = fold_task(task)
    before = module(*inputs())
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.zero_()
    assert torch.equal(module(*inputs()), before) and not before.requires_grad
    assert task.training and all(parameter.requires_grad for parameter in task.parameters())


def test_padding_does_not_change_real_positions_of_a_folded_encoder(small: Any, inputs: Any) -> None:
    token_ids, mask, types = inputs(sizes=(7,), length=12)
    module = folded(small(**CONFIGS["shared bottleneck"]))
    found, alone = module(token_ids, mask, types)[:, :7], module(token_ids[:, :7], mask[:, :7], types[:, :7])
    assert error(found, alone) <= 1e-6


@pytest.mark.parametrize("name", [*CONFIGS, "plain"])
def test_packed_matrices_give_what_the_folded_encoder_gives(name: str, small: Any, plain: Any, inputs: Any) -> None:
    module = folded(plain() if name == "plain" else small(**CONFIGS[name]))
    packed = pack(module, tokens=3 * 12)
    assert any(isinstance(part, PackedProduct) for part in packed.modules())
    assert not any(isinstance(part, PackedProduct) for part in module.modules())
    with torch.no_grad():
        for given in (inputs(), inputs(sizes=(5,), length=7)):  # the second has other tokens than it is packed for
            assert error(packed(*given), module(*given)) <= 1e-5


def test_packing_another_dtype_is_refused(small: Any) -> None:
    rule = "packed matrices are for float32 on the CPU, got torch.float64 on cpu; use the folded encoder"
    with pytest.raises(ValueError, match=f"^{rule}$"):
        pack(folded(small(norm="no_norm")).double(), tokens=12)


def test_packing_without_onednn_is_refused(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"^packed matrices need a torch built with oneDNN, this one is not; use the"):
        pack(folded(small(norm="no_norm")), tokens=12)
