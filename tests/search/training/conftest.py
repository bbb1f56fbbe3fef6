"""A tiny language on disk, a trial on it that is trained in a second, and its teacher's weights."""

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from search.data.prepare import OpenData
    from search.data.spec import DataSpec
    from search.trial import TrialSpec


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in a worker."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def double() -> Iterator[None]:
    """Weights in float64: what is left of a difference is no rounding."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def grouped() -> ModuleType:
    """What tests of replicas share (tests are imported without packages, so it is loaded by its path)."""
    place = importlib.util.spec_from_file_location("grouped", Path(__file__).with_name("grouped.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, DataSpec]":
    from search.data.generated_spec import GeneratorSpec
    from search.data.prepare import prepare
    from search.data.source import DataSources

    folder = tmp_path_factory.mktemp("data")
    small = GeneratorSpec(num_documents=12, num_train=24, num_validation=8, num_test=12)
    tasks = ("sentiment", "answering", "similarity")
    return folder, prepare(DataSources(length=24, tasks=tasks, generator=small), folder)


@pytest.fixture(scope="session")
def data(prepared: Any) -> "OpenData":
    from search.data.prepare import open_data

    return open_data(*prepared)


@pytest.fixture(scope="session")
def spec(prepared: Any) -> "TrialSpec":
    """A student of two blocks: 4 updates of transfer, 5 of distillation, 3 for each of three tasks."""
    from model_zoo.config import EncoderConfig
    from search.recipe import FineTuning, KnowledgeTransfer, Optimizer, PreTraining, Recipe
    from search.trial import TrialSpec

    teacher = EncoderConfig(
        num_layers=2,
        hidden_size=16,
        bottleneck_size=24,
        num_heads=2,
        feed_forward_size=32,
        embedding_size=8,
        vocab_size=prepared[1].vocab_size,
        max_positions=24,
        initializer_range=0.1,
    )
    student = replace(
        teacher, bottleneck_size=8, num_feed_forward=2, feed_forward_size=16, norm="no_norm", activation="relu"
    )
    rate = Optimizer(kind="lamb", learning_rate=0.01)
    fine_tuning = FineTuning(steps=3, batch_size=10, optimizer=Optimizer(learning_rate=0.003))
    bare = Recipe(pre_training=PreTraining(steps=3, batch_size=6, optimizer=rate), fine_tuning=fine_tuning)
    recipe = Recipe(
        knowledge_transfer=KnowledgeTransfer(steps=4, batch_size=6, optimizer=rate),
        pre_training=PreTraining(steps=5, batch_size=6, optimizer=rate, teacher_share=0.5),
        fine_tuning=fine_tuning,
    )
    of_teacher = TrialSpec(student=teacher, recipe=bare, data=prepared[1], seed=7)
    return TrialSpec(student=student, recipe=recipe, data=prepared[1], seed=7, teacher=of_teacher)


@pytest.fixture(scope="session")
def teacher_weights(spec: Any, data: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    import torch

    from search.training.loop import Keeper
    from search.training.train import train

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    keeper = Keeper(path=tmp_path_factory.mktemp("teacher") / "checkpoint.safetensors", seconds=1e9)
    weights = train(spec.teacher, data, keeper=keeper).weights
    torch.set_num_threads(before)
    return weights
