"""The notebook of the gallery: it runs, its tables are the committed ones, and it says nothing of who made it."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "gallery"
LIMIT = 300_000
"""Bytes of the notebook, and of the run that it reads."""


class Cells(HTMLParser):
    """The text of every cell of every table, whatever the markup around it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("td", "th"):
            self.found.append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.found[-1] += data


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", ())]


def tables(notebook: dict[str, Any]) -> list[list[str]]:
    found = []
    for output in outputs(notebook):
        html = "".join(output.get("data", {}).get("text/html", ""))
        if "<table" in html:
            parser = Cells()
            parser.feed(html)
            found.append(parser.found)
    return found


def committed() -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads((GALLERY / "notebook.ipynb").read_text(encoding="utf-8"))
    return notebook


def test_executed_again_it_shows_the_committed_tables(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    shutil.copytree(GALLERY, tmp_path / "gallery")
    own = {"IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    code = "from nbclient.cli import main; main()"
    command = [sys.executable, "-c", code, "--inplace", "--kernel_name=python3", "gallery/notebook.ipynb"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **own, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    again = json.loads((tmp_path / "gallery" / "notebook.ipynb").read_text(encoding="utf-8"))
    assert len(tables(committed())) >= 8
    assert tables(again) == tables(committed())
    assert [output["output_type"] for output in outputs(again) if output["output_type"] == "stream"] == []


def test_it_was_executed_in_order_without_a_warning_and_holds_figures() -> None:
    code = [cell for cell in committed()["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [output for output in outputs(committed()) if output["output_type"] in ("stream", "error")]
    assert sum("image/png" in output.get("data", {}) for output in outputs(committed())) >= 2


def test_notebook_and_run_are_small_and_name_no_place_or_person() -> None:
    files = [GALLERY / "notebook.ipynb", *(GALLERY / "notebook-run").rglob("*.json")]
    assert files[0].stat().st_size < LIMIT and sum(path.stat().st_size for path in files[1:]) < LIMIT
    place = re.compile(r"[\"'(= ](?:/(?:home|root|Users|work|tmp|opt|usr)|[A-Z]:\\\\)|/site-packages/|ipykernel_\d+")
    for path in files:
        text = re.sub(r'"image/png": "[^"]*"', "", path.read_text(encoding="utf-8"))
        assert place.search(text) is None, path
