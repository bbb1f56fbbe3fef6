"""Rules of the architecture that no linter checks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("model_zoo", "search", "reports", "studies")
HEAVY = ("torch", "pandas", "optuna", "scipy", "seaborn", "datasets", "transformers")
QUICK = (["--help"], ["list"], ["show", "student-search", "--scale", "cpu"], ["compare", "mobilebert", "bert-base"])


@pytest.mark.parametrize("arguments", QUICK, ids=lambda arguments: " ".join(arguments))
def test_quick_verbs_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from studies.command_line import main; status = main(sys.argv[1:]); "
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]; print('heavy:', heavy); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("heavy: []\n")


def test_package_inits_are_empty_so_that_a_name_has_one_import_path() -> None:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("__init__.py"):
            assert not path.read_text().strip(), path


def test_source_files_name_no_absolute_path_of_a_machine() -> None:
    pattern = re.compile(r"[\"'(= ]/(?:home|root|Users|work)/")
    for package in (*PACKAGES, "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            found = pattern.search(path.read_text())
            assert found is None or path.name in ("cleaning.py",), f"{path}: {found}"
