"""The wheel holds the four packages and the command, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {"model_zoo", "search", "reports", "studies"}


def test_the_wheel_holds_the_four_packages_with_their_data_and_no_tests(tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True, timeout=60)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(command, check=True, timeout=200, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert packages == TOP_LEVEL
    for data in ("reports/page.html.jinja", "reports/page.css", "studies/data_specs.json", "model_zoo/py.typed"):
        assert data in names
    (entry,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "thinbert = studies.command_line:main" in zipfile.ZipFile(wheel).read(entry).decode()
