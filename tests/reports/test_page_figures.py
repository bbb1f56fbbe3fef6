"""The figures of a page: drawn by a second process or by the one that writes the page, they are the same files."""

from pathlib import Path
from typing import Any

import matplotlib
import pytest

from reports import helper, page, page_figures
from reports.book import write_book
from reports.page import write_report


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A second process for every run; of every figure whether it gave it back."""
    taken: list[bool] = []
    make = helper.Call.make

    def made(self: Any) -> Any:
        taken.append(bool(self._results))
        return make(self)

    monkeypatch.setattr(page, "MANY_TRIALS", 1)
    monkeypatch.setattr(helper, "cores", lambda: 2)
    monkeypatch.setattr(helper.Call, "make", made)
    return taken


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_helped_page_is_the_same_to_the_last_byte(search_run: Path, tmp_path: Path, helped: list[bool]) -> None:
    with pytest.MonkeyPatch.context() as alone:
        alone.setattr(helper, "cores", lambda: 1)
        write_report(search_run, tmp_path / "alone")
    assert not any(helped)
    write_report(search_run, tmp_path / "helped")
    found = contents(tmp_path / "helped")
    assert found == contents(tmp_path / "alone") and len([name for name in found if name.endswith(".png")]) == 4


def test_the_helper_draws_with_the_settings_of_its_caller(
    search_run: Path, tmp_path: Path, helped: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it drawn by the helper: its caller waits for each figure and takes none over."""
    take = helper.Helper.result
    monkeypatch.setattr(helper.Helper, "result", lambda self, call: call.finished.wait(120) and take(self, call))
    write_report(search_run, tmp_path / "default")
    assert helped and all(helped)
    with matplotlib.rc_context({"axes.titlepad": 30, "axes.labelpad": 20}):
        write_report(search_run, tmp_path / "wider")
    monkeypatch.setattr(helper, "cores", lambda: 1)
    monkeypatch.setattr(helper.Helper, "result", take)
    with matplotlib.rc_context({"axes.titlepad": 30, "axes.labelpad": 20}):
        write_report(search_run, tmp_path / "alone")
    assert contents(tmp_path / "wider") == contents(tmp_path / "alone") != contents(tmp_path / "default")


def test_a_book_is_drawn_with_one_helper(
    search_run: Path, synthetic: Any, tmp_path: Path, helped: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    start = helper._started
    monkeypatch.setattr(helper, "_started", lambda: started.append(start()) or started[-1])
    other = synthetic.write_run(
        tmp_path / "arms-cpu", synthetic.make_ablation_study(), synthetic.make_ablation({"bare": 0, "transfer": 1})
    )
    write_book([search_run, other], tmp_path / "book")
    assert len(started) == 1 and started[0].poll() is not None
    assert len(helped) >= 12 and (tmp_path / "book" / "arms-cpu" / "figures" / "contrast.png").stat().st_size > 1000


def test_a_figure_that_cannot_be_drawn_is_the_error_of_drawing_it(
    search_run: Path, tmp_path: Path, helped: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_figures, "front_of", lambda run, found: None)  # a value that no figure can be made of
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'dots'"):
        write_report(search_run, tmp_path / "page")
    assert not (tmp_path / "page" / "index.html").exists()
