import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["compare", "export", "naming", "pareto", "readable", "cleaning", "figures.style"])
def test_the_examples_in_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(f"reports.{name}")).failed == 0
