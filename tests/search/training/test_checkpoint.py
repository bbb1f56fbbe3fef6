"""A checkpoint comes back bit for bit, or is refused by name: cut anywhere, altered anywhere."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from search.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from search.training.lamb import Lamb

STATE = {"stage": 1, "step": 3, "curves": [["transfer", 1, "loss", 0.1]], "name": 'quotes " and \u00e9'}


def tensors() -> dict[str, Tensor]:
    """All kinds that a training saves, and awkward ones."""
    return {
        "pretrained/weight": torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        "optimizer/0/step": torch.tensor(4.0),
        "optimizer/1/step": torch.tensor(4.0, dtype=torch.float64),
        "generator": torch.get_rng_state()[:64],
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "ids": torch.arange(3),
        "empty": torch.zeros(0, 4),
        "transposed": torch.arange(6.0).view(2, 3).T,
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "0123.safetensors"
    save_checkpoint(path, Checkpoint(tensors(), STATE))
    return path


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_tensors_and_state_come_back_bit_for_bit(saved: Path) -> None:
    found, expected = load_checkpoint(saved), tensors()
    assert found.state == STATE
    assert set(found.tensors) == set(expected)
    for name, tensor in expected.items():
        assert found.tensors[name].dtype == tensor.dtype and found.tensors[name].shape == tensor.shape
        assert bits(found.tensors[name]) == bits(tensor), name


def test_a_file_cut_at_any_length_is_refused_by_name(saved: Path) -> None:
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"^checkpoint 0123\.safetensors is corrupted \("):
            load_checkpoint(saved)


def test_a_file_with_one_flipped_byte_is_refused_by_name(saved: Path) -> None:
    content = saved.read_bytes()
    chance = random.Random(1)
    header = 8 + int.from_bytes(content[:8], "little")
    places = [*range(8), *(chance.randrange(8, header) for _ in range(60))]
    places += [chance.randrange(header, len(content)) for _ in range(20)]
    for place in places:
        for flip in (0xFF, 1 << chance.randrange(8)):
            altered = bytearray(content)
            altered[place] ^= flip
            saved.write_bytes(altered)
            with pytest.raises(ValueError, match=r"^checkpoint 0123\.safetensors is corrupted \("):
                load_checkpoint(saved)


def test_bytes_behind_the_end_are_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"\0" * 16)
    with pytest.raises(ValueError, match="is corrupted"):
        load_checkpoint(saved)


def test_a_safetensors_file_of_another_kind_is_refused(saved: Path) -> None:
    from safetensors.torch import save

    for metadata in (None, {"format": "pt"}, {"state": "{}"}, {"state": "{}", "sha256": "0" * 64}):
        saved.write_bytes(save({"a": torch.zeros(2)}, metadata))
        with pytest.raises(ValueError, match=r"^checkpoint 0123\.safetensors is corrupted \("):
            load_checkpoint(saved)


def test_a_state_that_is_no_json_is_not_written(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_checkpoint(saved, Checkpoint({}, {"loss": float("nan")}))
    assert saved.read_bytes() == before


def steps(network: nn.Module, optimizer: Any, count: int) -> None:
    for number in range(count):
        optimizer.zero_grad()
        network(torch.full((2, 3), float(number + 1))).square().sum().backward()
        optimizer.step()


def lamb(network: nn.Module) -> torch.optim.Optimizer:
    return Lamb(network.parameters(), lr=0.01, bias_correction=True)


def adamw(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=0.01, fused=True)


@pytest.mark.parametrize("make", [lamb, adamw])
def test_a_restored_optimizer_goes_on_bit_for_bit(tmp_path: Path, make: Any) -> None:
    torch.manual_seed(0)
    whole = nn.Linear(3, 4)
    optimizer = make(whole)
    steps(whole, optimizer, 3)
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, Checkpoint({**whole.state_dict(), **optimizer_tensors(optimizer)}, {}))
    resumed = nn.Linear(3, 4)
    found = load_checkpoint(path).tensors
    resumed.load_state_dict({name: found[name] for name in ("weight", "bias")})
    other = make(resumed)
    restore_optimizer(other, found)
    steps(whole, optimizer, 4)
    steps(resumed, other, 4)
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert bits(one.detach()) == bits(two.detach())


def test_an_optimizer_that_has_not_stepped_has_nothing_to_save() -> None:
    assert optimizer_tensors(lamb(nn.Linear(2, 2))) == {}
