"""ONNX files compute what the network computes, at any batch and length; what cannot be done is one line."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from model_zoo.deploy import fold_task
from model_zoo.encoder import Encoder
from model_zoo.networks import TaskNetwork
from model_zoo.onnx_export import Inputs, export_onnx, needs, open_session, quantise, run_session

SPAN, LABELS = 0, 3


@pytest.fixture(scope="module", params=[("shared_bottleneck", "no_norm", LABELS), ("block_input", "layer_norm", SPAN)])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskNetwork, Path]:
    """A task's network and its float32 file."""
    from model_zoo.config import EncoderConfig

    attention_input, norm, outputs = request.param
    torch.manual_seed(0)
    config = EncoderConfig(
        num_layers=2,
        hidden_size=16,
        bottleneck_size=8,
        num_heads=2,
        num_feed_forward=2,
        feed_forward_size=12,
        embedding_size=6,
        vocab_size=40,
        max_positions=24,
        attention_input=attention_input,
        norm=norm,
        initializer_range=0.3,
    )
    network = TaskNetwork(Encoder(config), outputs).eval()
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(fold_task(network), path, max_length=24, output="logits")
    return network, path


def difference(network: TaskNetwork, path: Path, given: Any) -> float:
    """max|a - b| / max|b| at real positions."""
    token_ids, mask, token_types = given
    with torch.inference_mode():
        expected = network(*given).numpy()
    inputs = Inputs(token_ids.numpy(), mask.long().numpy(), token_types.numpy())
    found = run_session(open_session(path, threads=1), inputs)
    real = mask.numpy() if expected.ndim == 3 else slice(None)
    return float(np.abs(found[real] - expected[real]).max() / np.abs(expected[real]).max())


@pytest.mark.parametrize("sizes", [(9, 5, 12), (3,), (24, 24, 1, 7, 20)])
def test_the_float32_file_computes_the_network_at_any_batch_and_length(
    exported: tuple[TaskNetwork, Path], inputs: Any, sizes: tuple[int, ...]
) -> None:
    assert difference(*exported, inputs(sizes=sizes, length=max(sizes))) <= 1e-5


@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_int8_files_compute_nearly_the_same(
    exported: tuple[TaskNetwork, Path], inputs: Any, kind: Any, tmp_path: Path
) -> None:
    network, path = exported
    given = inputs(length=12)
    calibration = [Inputs(given[0].numpy(), given[1].long().numpy(), given[2].numpy())]
    quantise(path, tmp_path / "int8.onnx", kind, calibration)
    # One part in 256 of a range per product, about a dozen products deep.
    assert 0 < difference(network, tmp_path / "int8.onnx", given) <= 0.1
    assert [found.name for found in tmp_path.iterdir()] == ["int8.onnx"]


def test_static_int8_needs_calibration(exported: tuple[TaskNetwork, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="static int8 needs calibration batches, got none; give some, or use dynamic"):
        quantise(exported[1], tmp_path / "int8.onnx", "static")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match="is no model that ONNX Runtime can run") as refused:
        open_session(tmp_path / "model.onnx", threads=1)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="is no ONNX model"):
        quantise(tmp_path / "model.onnx", tmp_path / "int8.onnx", "dynamic")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ValueError, match=r"ONNX needs the package onnxruntime.*pip install 'thinbert\[onnx\]'"):
        needs("onnxruntime")
