"""`thinbert measure` with real, tiny measurements, and a search that uses a device profile."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model_zoo.config import EncoderConfig
from search.latency.case import LatencyCase
from search.latency.profile import (
    Check,
    DeviceProfile,
    LinearModel,
    check_profile,
    read_profile,
    space_mark,
    write_profile,
)
from search.latency.protocol import Protocol, fixed_rounds
from search.values import to_json
from studies.command_line import main
from studies.measuring import MeasureRequest, measure_named, measure_profile, show_check

TINY = EncoderConfig(
    num_layers=1,
    hidden_size=16,
    bottleneck_size=8,
    num_heads=2,
    feed_forward_size=16,
    embedding_size=8,
    vocab_size=40,
    max_positions=16,
)


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Config files: tiny, deep, and one whose positions are too few."""
    made = {"tiny": TINY, "deep": replace(TINY, num_layers=8), "short": replace(TINY, max_positions=4)}
    for name, config in made.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(to_json(config)))
    return tuple(str(tmp_path / f"{name}.json") for name in made)


def request(names: tuple[str, ...], protocol: Protocol, out: Path | None = None) -> MeasureRequest:
    return MeasureRequest(names=names, batch=2, length=8, protocol=protocol, out=out)


def test_measure_prints_a_table_writes_records_and_draws_and_names_what_it_could_not_measure(
    files: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert measure_named(request((*files, "no-such"), fixed_rounds(5), out), as_json=False) == 1
    printed, said = capsys.readouterr()
    assert "eager, cpu, 1 thread, 2 x 8: 5 rounds; the reference against itself" in printed
    assert "x tiny" in printed and "deep" in printed and "peak memory" in printed
    assert "short has no latency: latency at length 8 needs max_positions of at least that, got 4" in said
    assert (
        "thinbert: a configuration is a preset, a JSON file, a Hugging Face folder" in said and "got 'no-such'" in said
    )
    document = json.loads((out / "latency.json").read_text())
    (case,) = document["cases"]
    ratios = {one["name"]: one["latency_ratio"]["value"] for one in case["encoders"]}
    assert ratios["deep"] > 2 and set(ratios) == {"tiny", "deep"}
    assert all(one["peak_memory_bytes"] > 20_000_000 for one in case["encoders"])
    assert (out / "latency.png").stat().st_size > 5000
    assert len(json.loads((out / "session-eager.json").read_text())["orders"]) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bert-tiny", "--rounds", "0"], "least rounds of a latency session must be a whole number of at least 1, got"),
        (
            ["bert-tiny", "--runtime", "onyx"],
            "runtime must be one of eager, compile, cuda-graph, folded, onnx, onnx-int8; got 'onyx'",
        ),
        (["bert-tiny", "--batch", "10000000"], "a batch of 10000000 x 128 needs at least"),
        (["bert-tiny", "--threads", "4096"], "threads must be at most the cores that this process may use, "),
        (
            ["--profile-space", "student-search", "--threads", "4096"],
            "threads must be at most the cores that this process",
        ),
        ([], "measure needs at least one name, got none"),
        (["bert-tiny", "--profile-space", "student-search"], "measures a space, got the name 'bert-tiny' too"),
        (["--profile-space", "knowledge-transfer"], "--profile-space needs a search, got 'knowledge-transfer'"),
        (
            ["--profile-space", "student-search", "--measured", "51"],
            "a profile measures 1 to 50 configurations, got 51",
        ),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["measure", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_sessions_that_were_all_refused_leave_no_number(files: tuple[str, ...]) -> None:
    strict = replace(fixed_rounds(3, control_width=1e-9), repeats=1)
    with pytest.raises(ValueError, match=r"no latency, the A/A control's .* \(2 sessions refused\)"):
        measure_named(request(files[:1], strict), as_json=False)


def test_a_profile_of_the_search_space_comes_back_from_its_file_and_knows_its_space(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    wanted = MeasureRequest(protocol=fixed_rounds(3), out=path)
    assert measure_profile(wanted, "student-search", "smoke", 12, path, as_json=True) == 0
    found = read_profile(path)
    assert (found.space, found.num_measured, len(found.ratio.residuals)) == ("student-search", 12, 12)
    assert found.check.rank_correlation is not None and found.check.rank_correlation > 0.5
    _refuses_others(found, path)


def _refuses_others(found: DeviceProfile, path: Path) -> None:
    check_profile(found, "student-search", found.space_mark, found.case)
    other = space_mark({"num_heads": (1, 2)}, TINY)
    with pytest.raises(ValueError, match="a profile must be of this study's space, got one of student-search that"):
        check_profile(found, "other", other, found.case)
    with pytest.raises(ValueError, match="a profile must be of the case eager, cpu, 1 thread, 1 x 5, got eager, cpu"):
        check_profile(found, "student-search", found.space_mark, LatencyCase(batch=1, length=5))
    deployed = replace(found.case, runtime="onnx-int8", threads=2)
    for case, got in ((replace(found.case, threads=2), "cpu, 2 threads"), (deployed, "onnx-int8, cpu, 2 threads")):
        with pytest.raises(
            ValueError, match=rf"must be of the case .*{got}, .*, got eager, cpu, 1 thread.* --threads 2`"
        ):
            check_profile(found, "student-search", found.space_mark, case)
    path.write_text(json.dumps({**to_json(found), "schema": 9}))
    with pytest.raises(ValueError, match="schema must be 1, got 9; this profile is of another version"):
        read_profile(path)
    with pytest.raises(ValueError, match="a device profile must be a file that `thinbert measure --profile-space`"):
        read_profile(path.with_name("absent.json"))
    write_profile(path, found)
    assert read_profile(path) == found


def test_a_rank_correlation_that_is_not_defined_is_said_to_be_so(capsys: pytest.CaptureFixture[str]) -> None:
    model = LinearModel(names=("once",), coefficients=(1.0,), residuals=(0.0,))
    check = Check(mean_error=0.1, rank_correlation=None, within_strata=None, strata=0)
    found = DeviceProfile(
        space="student-search", space_mark="a", case=LatencyCase(batch=1, length=5), reference=TINY, reference_ms=1.0,
        ratio=model, launch_ms=model, num_measured=3, check=check, conditions={},
    )  # fmt: skip
    show_check(found, Path("profile.json"))
    said = " ".join(capsys.readouterr().out.split())
    assert "rank correlation not defined (all predictions or all measurements are equal), at equal depth" in said
    assert said.endswith("not defined (no stratum of three whose latencies differ)") and "nan" not in said


def test_the_size_of_the_vocabulary_is_no_part_of_a_space() -> None:
    knobs = {"num_heads": (1, 2)}
    assert space_mark(knobs, TINY) == space_mark(knobs, replace(TINY, vocab_size=99))
    assert space_mark(knobs, TINY) != space_mark(knobs, replace(TINY, num_layers=2))
