"""The examples in the docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["config", "cost", "encoder", "bilstm", "bilstm_config", "huggingface", "short_html"])
def test_the_examples_of_a_module_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"model_zoo.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted and not result.failed
