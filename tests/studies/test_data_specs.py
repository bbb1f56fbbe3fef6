"""The names of the built-in data that ship with the code are those of the data it makes."""

import functools
from pathlib import Path
from typing import Any

import pytest

from search.data.source import DataSources
from search.data.spec import DataSpec
from search.files import read_json
from search.fingerprint import fingerprint
from search.study import SCALES
from search.values import from_json
from studies import data_specs
from studies.catalogue import all_studies


def every_source() -> dict[str, DataSources]:
    sources = [study.sources(scale) for study in all_studies() for scale in SCALES]
    return {fingerprint(one): one for one in sources}


def test_the_shipped_names_are_those_of_freshly_generated_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails after a change of the generator: `python -m studies.data_specs` writes them anew."""
    from search.data import generator
    from search.data.prepare import data_spec

    monkeypatch.setattr(generator, "generate", functools.cache(generator.generate))
    shipped = read_json(data_specs.FILE)
    assert set(shipped) == set(every_source())
    for key, sources in every_source().items():
        assert from_json(DataSpec, shipped[key]) == data_spec(sources)


def test_shipped_names_are_known_without_generating_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from search.data import prepare

    def never(*arguments: Any) -> DataSpec:
        raise AssertionError("the data were read")

    monkeypatch.setattr(prepare, "data_spec", never)
    for sources in every_source().values():
        found = data_specs.known_data_spec(sources, tmp_path)
        assert found.length == sources.length
        assert [task.name for task in found.tasks] == list(sources.tasks)


def test_other_sources_are_read(tmp_path: Path) -> None:
    from search.data.generated_spec import GeneratorSpec
    from search.data.prepare import data_spec

    small = GeneratorSpec(num_documents=3, num_train=4, num_validation=2, num_test=2)
    sources = DataSources(length=32, tasks=("sentiment",), generator=small)
    assert data_specs.known_data_spec(sources, tmp_path) == data_spec(sources)


def test_the_file_is_written_as_it_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from search.data import prepare

    shipped = read_json(data_specs.FILE)
    named = {key: from_json(DataSpec, value) for key, value in shipped.items()}
    monkeypatch.setattr(prepare, "data_spec", lambda sources: named[fingerprint(sources)])
    content = data_specs.FILE.read_bytes()
    monkeypatch.setattr(data_specs, "FILE", tmp_path / "data_specs.json")
    data_specs.main()
    assert (tmp_path / "data_specs.json").read_bytes() == content
