"""Modules that only hold values load nothing heavy: `thinbert list`, `show` and `compare` start at once."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "pandas", "optuna", "scipy", "seaborn", "datasets", "transformers", "joblib", "matplotlib")
SCRIPT = """
import importlib, json, sys
found = {}
for name in sys.argv[2:]:
    importlib.import_module(name)
    found[name] = [heavy for heavy in sys.argv[1].split(",") if heavy in sys.modules]
print(json.dumps(found))
"""
STUDIES = (
    "studies.catalogue",
    "studies.scales",
    "studies.student_search",
    "studies.knowledge_transfer",
    "studies.transfer_methods",
    "studies.request",
    "studies.overview",
    "studies.data_specs",
    "studies.command_line",
)
SEARCH = ("search.values", "search.seeds", "search.predict", "search.provenance")


def loaded(modules: tuple[str, ...]) -> dict[str, list[str]]:
    """What of HEAVY is loaded after each import, one fresh process for all of them in turn."""
    command = [sys.executable, "-c", SCRIPT, ",".join(HEAVY), *modules]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(result.stdout)
    return found


def contract() -> tuple[str, ...]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (values,) = [one for one in settings if one["name"] == "values import nothing heavy"]
    return tuple(values["source_modules"])


@pytest.mark.parametrize("modules", [contract(), SEARCH, STUDIES], ids=["values", "search", "studies"])
def test_value_modules_load_nothing_heavy(modules: tuple[str, ...]) -> None:
    assert loaded(modules) == {name: [] for name in modules}


def test_the_check_would_notice() -> None:
    assert loaded(("json", "joblib")) == {"json": [], "joblib": ["joblib"]}
