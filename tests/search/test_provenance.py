"""Provenance says from which code, versions and machine, and nothing that names a person or a path."""

import getpass
import json
import os
import platform
from pathlib import Path

from search.provenance import commit, device_name, processor_name, provenance, versions


def test_provenance_has_what_a_reader_needs() -> None:
    found = provenance(device="cpu", threads=1)
    assert set(found) - {"commit", "dirty"} == {"versions", "python", "machine", "cores", "device", "threads"}
    assert found["python"] == platform.python_version()
    assert (found["device"], found["threads"], found["cores"]) == ("cpu", 1, os.cpu_count())
    assert {"torch", "optuna", "numpy"} <= set(found["versions"])
    assert found["machine"] == processor_name() != ""


def test_provenance_is_json_without_paths_and_names() -> None:
    text = json.dumps(provenance(device="cpu", threads=1))
    assert str(Path.home()) not in text and str(Path.cwd()) not in text
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_the_commit_is_whole_or_absent() -> None:
    found = commit()
    assert found == {} or (len(found["commit"]) == 40 and isinstance(found["dirty"], bool))


def test_versions_are_those_of_what_is_installed() -> None:
    import numpy

    assert versions()["numpy"] == numpy.__version__
    assert device_name("cpu") == "cpu"
