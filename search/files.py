"""Files that are either whole or absent, and JSON that says which file is broken.

Knows nothing of what is stored. Every writer of the run folder goes through `write_whole`.
"""

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, now or after a crash, sees the old content or the new one and nothing between.

    A temporary file in the same folder, fsync, rename, fsync of the folder. The folder is made where it is missing.
    On any failure the temporary file is removed and the old file stays as it was.

    Args:
        path: where the content goes.
        content: text is written as UTF-8, line ends as given.

    Raises:
        OSError: what the system reported (a full disk among others), with `filename` set to `path`.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        _write_synced(temporary, data)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise


def read_json(path: Path) -> Any:
    """The value a JSON file holds.

    Raises:
        ValueError: one line naming the file, when its content is no JSON.
        FileNotFoundError: when there is no such file.
    """
    data = path.read_bytes()
    try:
        return json.loads(data.decode("utf-8"))
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} must hold JSON but is corrupted ({reason}); move it aside or delete it") from error


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
