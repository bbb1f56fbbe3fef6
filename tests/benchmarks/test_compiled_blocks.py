"""The benchmark of compiled blocks, as far as it goes without compiling."""

import pytest

from benchmarks.compiled_blocks import main


def test_no_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", "0"])
    assert "--rounds must be at least 1, got 0" in capsys.readouterr().err
