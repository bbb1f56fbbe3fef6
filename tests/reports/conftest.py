import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The builder of plausible run folders (tests are imported without packages, so it is loaded by its path)."""
    return load("synthetic")


@pytest.fixture(scope="session")
def claimed() -> ModuleType:
    """The builder of runs with claims."""
    return load("claimed")


@pytest.fixture(scope="session")
def cells() -> ModuleType:
    """Tables read back from pages, and what their cells must say."""
    return load("cells")


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without their figures, for tests of what else is on them."""
    from reports import page_figures

    monkeypatch.setattr(page_figures, "to_svg", lambda *arguments: "<svg></svg>")
    monkeypatch.setattr(page_figures, "png_of", lambda *arguments: b"")


def load(name: str) -> ModuleType:
    place = importlib.util.spec_from_file_location(f"{name}_runs", Path(__file__).with_name(f"{name}.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def search_run(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of 24 trials, two of them diverged, with the front trained again on two fresh seeds."""
    records = synthetic.make_search()
    folder = tmp_path_factory.mktemp("runs") / "student-search-cpu"
    return synthetic.write_run(folder, synthetic.make_study(), [*records, *synthetic.make_confirmations(records)])
