"""Generation files: read in order, and none after a hole."""

from pathlib import Path
from typing import Any

import pytest

from search.generation import Generation, generation_path, read_generations, write_generation
from search.record import Proposal


def generation(index: int, **fields: Any) -> Generation:
    proposal = Proposal(number=index, generation=index, params={"num_heads": 2}, distributions={"num_heads": "{}"})
    defaults: dict[str, Any] = {"proposals": (proposal,), "fingerprints": ("0" * 16,), "session": None}
    return Generation(index=index, **(defaults | fields))


def test_generations_are_read_in_order_as_they_were_written(tmp_path: Path) -> None:
    written = [generation(index) for index in (1, 0, 2)]
    for one in written:
        write_generation(tmp_path, one)
    said: list[str] = []
    assert read_generations(tmp_path, said.append) == sorted(written, key=lambda one: one.index)
    assert said == []
    assert generation_path(tmp_path, 2).name == "generation-0002.json"


def test_a_run_without_generations_has_none(tmp_path: Path) -> None:
    assert read_generations(tmp_path, print) == []


def test_a_corrupted_generation_is_moved_aside_with_those_after_it(tmp_path: Path) -> None:
    for index in range(4):
        write_generation(tmp_path, generation(index))
    path = generation_path(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:30])
    said: list[str] = []
    assert read_generations(tmp_path, said.append) == [generation(0)]
    assert len(said) == 3
    assert "generation-0001.json must hold JSON but is corrupted" in said[0]
    assert said[0].endswith("; moved to quarantine/generation-0001.json, it is proposed and measured again")
    assert said[1].startswith("generation-0002.json follows a generation that is missing; moved to quarantine/")
    assert sorted(one.name for one in (tmp_path / "latency").iterdir()) == ["generation-0000.json"]
    assert len(list((tmp_path / "quarantine").iterdir())) == 3


def test_a_generation_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="schema must be 1, got 2; this generation is of another version"):
        generation(0, schema=2)
