"""One small encoder config and matching inputs. model_zoo is imported inside fixtures: the shape checker hooks in
later."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from model_zoo.config import EncoderConfig


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small() -> "Callable[..., EncoderConfig]":
    """Makes a small bottleneck config (dropouts off, weights large enough to matter), with fields replaced."""
    from model_zoo.config import EncoderConfig

    defaults: dict[str, Any] = {
        "num_layers": 2,
        "hidden_size": 16,
        "bottleneck_size": 8,
        "num_heads": 2,
        "num_feed_forward": 2,
        "feed_forward_size": 12,
        "embedding_size": 6,
        "vocab_size": 40,
        "max_positions": 24,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "initializer_range": 0.3,
    }
    return lambda **fields: EncoderConfig(**(defaults | fields))


@pytest.fixture
def plain(small: "Callable[..., EncoderConfig]") -> "Callable[..., EncoderConfig]":
    """Makes a small plain BERT config."""
    fields = {"use_bottleneck": False, "bottleneck_size": 16, "num_feed_forward": 1}
    fields |= {"embedding_size": 16, "trigram": False}
    return lambda **others: small(**(fields | others))


@pytest.fixture
def inputs() -> Callable[..., Any]:
    """Makes (token ids, mask, token types) of sequences with the given numbers of real tokens, padded to `length`."""
    import torch

    def make(sizes: tuple[int, ...] = (9, 5, 12), length: int = 12, seed: int = 0, vocab_size: int = 40) -> Any:
        generator = torch.Generator().manual_seed(seed)
        token_ids = torch.randint(vocab_size, (len(sizes), length), generator=generator)
        mask = torch.arange(length)[None] < torch.tensor(sizes)[:, None]
        return token_ids, mask, torch.randint(2, (len(sizes), length), generator=generator)

    return make


@pytest.fixture(scope="module")
def unchecked() -> Any:
    """The class as it is in production: the test run's type checker would refuse ill-typed fields before it does."""
    import model_zoo.config

    spec = importlib.util.spec_from_file_location("unchecked_config", Path(str(model_zoo.config.__file__)))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["unchecked_config"] = module
    spec.loader.exec_module(module)
    yield module.EncoderConfig
    del sys.modules["unchecked_config"]
