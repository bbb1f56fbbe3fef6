"""Regional compilation, prefetch, and what a device without CUDA refuses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from search.training.acceleration import OFF, Acceleration, accelerated
from search.training.loop import Keeper
from search.training.train import train

# In a process of its own: here the shape checker sits in every forward, and the compiler would trace it too.
COMPILED_EQUALS_EAGER = """
import copy, torch
from torch import nn
from torch._dynamo.utils import counters
from model_zoo.config import EncoderConfig
from model_zoo.encoder import Encoder
from search.training.compiling import compile_blocks

torch.manual_seed(0)
config = EncoderConfig(num_layers=3, hidden_size=16, bottleneck_size=8, num_heads=2, feed_forward_size=16,
                       embedding_size=8, vocab_size=50, max_positions=8, hidden_dropout=0.2, attention_dropout=0.1)
eager = Encoder(config)
compiled = copy.deepcopy(eager)
compile_blocks(compiled, "blocks")
ids = torch.randint(0, 50, (2, 8))
mask = torch.ones(2, 8, dtype=torch.bool)
mask[0, 5:] = False
for encoder in (eager, compiled):
    torch.manual_seed(1)
    maps = encoder(ids, mask, ids * 0).feature_maps
    sum(map.square().mean() for map in maps).backward()
assert list(eager.state_dict()) == list(compiled.state_dict())
for one, other in zip(eager.parameters(), compiled.parameters(), strict=True):
    if one.grad is not None:
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-5)
print(counters["stats"]["unique_graphs"], counters["frames"]["ok"], sum(counters["graph_break"].values()))
"""


@pytest.mark.slow
def test_compiled_blocks_equal_eager_ones_dropout_included_and_one_compilation_serves_all_of_them() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILED_EQUALS_EAGER], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["1", "1", "0"]


def test_prefetched_batches_change_no_bit(spec: Any, data: Any, teacher_weights: Any, tmp_path: Path) -> None:
    outcomes = []
    for on in (OFF, Acceleration(prefetch=True), Acceleration(prefetch=True, lookahead=True)):
        keeper = Keeper(path=tmp_path / str(len(outcomes)), seconds=1e9)
        outcomes.append(train(spec, data, keeper=keeper, teacher_weights=teacher_weights, acceleration=on))
    for other in outcomes[1:]:
        assert other.curves == outcomes[0].curves
        assert all(torch.equal(tensor, other.weights[name]) for name, tensor in outcomes[0].weights.items())


def test_cuda_graphs_on_the_cpu_are_refused_in_one_line(spec: Any, data: Any, tmp_path: Path) -> None:
    message = r"^CUDA graphs record the kernels of a GPU, got device cpu; use compile in place of graphs, or a GPU$"
    with pytest.raises(ValueError, match=message):
        accelerated("graphs", "cpu")
    with pytest.raises(ValueError, match=message):
        train(spec, data, keeper=Keeper(path=tmp_path / "a"), acceleration=Acceleration(compiled="graphs"))
    assert accelerated("graphs", "cuda").compiled == "graphs"


def test_what_is_asked_for_is_checked_by_name() -> None:
    assert accelerated("", "cpu") == OFF and OFF.named == ()
    assert accelerated(" compile, bfloat16 ", "cpu") == Acceleration(compiled="blocks", precision="bfloat16")
    with pytest.raises(ValueError, match=r"^--accelerate takes compile, graphs, prefetch, bfloat16 between commas;"):
        accelerated("compile,fp16", "cpu")
    with pytest.raises(ValueError, match=r"^compiled must be one of nothing, blocks, graphs; got 'all'$"):
        Acceleration(compiled="all")  # type: ignore[arg-type]
