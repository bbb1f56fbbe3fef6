"""Files are whole or absent."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from search.files import read_json, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_in_a_folder_made_when_missing(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "a.txt", "gr\u00fcn\n")
    write_whole(tmp_path / "new" / "b.bin", b"\x00\x01")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "gr\u00fcn\n".encode()
    assert (tmp_path / "new" / "b.bin").read_bytes() == b"\x00\x01"
    assert names(tmp_path / "new") == ["a.txt", "b.bin"]


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_whole(path, "[1]")
    write_whole(path, "[2]")
    assert read_json(path) == [2]


def test_files_get_ordinary_permissions(tmp_path: Path) -> None:
    write_whole(tmp_path / "whole", "x")
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


class FullDisk(io.BytesIO):
    """Takes half of what is written, then reports a full disk, as a file system does."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.path.touch()

    def write(self, data: Any, /) -> int:
        self.path.write_bytes(bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trial.json"
    write_whole(path, "[1]")
    monkeypatch.setattr("builtins.open", lambda name, mode: FullDisk(Path(name)))
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_whole(path, "[2]")
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert names(tmp_path) == ["trial.json"]
    assert read_json(path) == [1]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_after_writing_leaves_the_old_file_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "trial.json"
    write_whole(path, "[1]")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "[2]")
    monkeypatch.undo()
    assert names(tmp_path) == ["trial.json"]
    assert read_json(path) == [1]


def test_an_interrupted_write_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a", "x")
    monkeypatch.undo()
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe", b"{'a': 1}"])
def test_corrupted_json_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.json must hold JSON but is corrupted") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_a_missing_json_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")
