"""A folder for code of one's own. model_zoo is imported inside fixtures: the shape checker hooks in later."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder and the last of the import path; what was imported from it is forgotten at the end."""
    from model_zoo import own_code

    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    monkeypatch.setattr(own_code, "_loaded", {})
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
