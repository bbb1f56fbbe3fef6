"""What a user asks for becomes sources and first configurations, or one line that says what is wrong with it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.aim import aim_of
from search.data.source import TaskFile
from search.study import Ablation, Search, check_search
from studies.catalogue import load_study
from studies.data_specs import known_data_spec
from studies.request import RunRequest, apply_request, read_parameters, request_sources

STUDY = load_study("student-search")
TASK = "name=mood,file=reviews.csv,text=review,label=stars,metric=accuracy"


def request(**fields: Any) -> RunRequest:
    return RunRequest(**({"study": "student-search", "scale": "smoke", "runs": Path("runs")} | fields))


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Search:
    found = STUDY.declare("smoke", known_data_spec(STUDY.sources("smoke"), tmp_path_factory.mktemp("data")))
    assert isinstance(found, Search)
    return found


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    study = load_study("knowledge-transfer")
    found = study.declare("smoke", known_data_spec(study.sources("smoke"), tmp_path_factory.mktemp("data")))
    assert isinstance(found, Ablation)
    return found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workers": 0}, "--workers must be at least 1, got 0"),
        ({"workers": -2}, "--workers must be at least 1, got -2"),
        ({"trials": 0}, "--trials must be at least 1, got 0"),
        ({"device": "tpu"}, "--device must be auto, cpu or cuda; got 'tpu'"),
        ({"threads": 0}, "--threads must be at least 1, got 0"),
        ({"max_latency_ms": 0.0}, "--max-latency-ms must be above 0 and finite, got 0"),
        ({"max_latency_ms": -2.5}, "--max-latency-ms must be above 0 and finite, got -2.5"),
        ({"max_latency_ms": float("nan")}, "--max-latency-ms must be above 0 and finite, got nan"),
        ({"max_latency_ms": float("inf")}, "--max-latency-ms must be above 0 and finite, got inf"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        request(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"corpus": "texts"},
            "--corpus needs tasks in its language, got 'texts' without any; add --tasks NAME,... with --task-data DIR, "
            "or --task-file",
        ),
        (
            {"corpus": "texts", "tasks": ("sst2",)},
            "--corpus needs tasks in its language, got 'texts' without any; add --tasks NAME,... with --task-data DIR, "
            "or --task-file",
        ),
        (
            {"task_data": "glue", "tasks": ("sst2",)},
            "--task-data and --task-file need a --corpus in their language; the built-in one is artificial",
        ),
        (
            {"task_files": (TASK,)},
            "--task-data and --task-file need a --corpus in their language; the built-in one is artificial",
        ),
        (
            {"corpus": "texts", "task_data": "glue"},
            "--task-data needs the names of tasks, got none; add --tasks NAME,... found in glue",
        ),
        (
            {"corpus": "texts", "task_files": (TASK,), "tasks": ("sentiment", "similarity")},
            "--tasks beside a --corpus needs --task-data that holds them, got sentiment, similarity without; add "
            "--task-data DIR, or leave --tasks out (--task-file names its own)",
        ),
        ({"vocabulary": "vocab.txt"}, "--vocabulary needs a --corpus; the built-in language has its own word pieces"),
    ],
)
def test_sources_that_do_not_fit_together_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        request_sources(request(**fields), STUDY, "smoke")


@pytest.mark.parametrize(
    ("task_file", "message"),
    [
        ("name=mood,file=a.csv,text=t,label=l", "a task file needs"),
        ("name=mood,colour=red", "a task file is described by"),
        (TASK + ",name=again", "a task file names each key once, got name twice"),
        (TASK.replace("accuracy", "bleu"), "task mood: metric must be one of accuracy, f1, matthews"),
    ],
)
def test_a_task_file_that_is_not_described_is_refused(task_file: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        request_sources(request(corpus="texts", task_files=(task_file,)), STUDY, "smoke")


def test_without_wishes_the_sources_are_those_of_the_study() -> None:
    assert request_sources(request(), STUDY, "smoke") == STUDY.sources("smoke")


def test_built_in_tasks_can_be_chosen() -> None:
    found = request_sources(request(tasks=("sentiment",)), STUDY, "smoke")
    assert found.tasks == ("sentiment",) and found.corpus is None


def test_what_the_user_brings_takes_the_place_of_the_built_in() -> None:
    wish = request(corpus="texts", vocabulary="vocab.txt", tasks=("sst2", "cola"), task_data="glue", task_files=(TASK,))
    found = request_sources(wish, STUDY, "cpu")
    assert (found.corpus, found.vocabulary, found.task_data) == ("texts", "vocab.txt", "glue")
    assert found.tasks == ("sst2", "cola")
    assert found.task_files == (
        TaskFile(path="reviews.csv", name="mood", text="review", label="stars", metric="accuracy"),
    )
    assert request_sources(request(corpus="texts", task_files=(TASK,)), STUDY, "cpu").tasks == ()


def test_a_name_given_twice_is_refused() -> None:
    wish = request(corpus="texts", tasks=("mood",), task_data="glue", task_files=(TASK,))
    with pytest.raises(ValueError, match=r"^every task must be named once, got mood more than once$"):
        request_sources(wish, STUDY, "smoke")


# Configurations


def test_wanted_configurations_come_after_the_papers(search: Search) -> None:
    paper = search.first[0]
    wish = request(first=("num_heads=8", "num_heads=4", f"bottleneck_size={paper['bottleneck_size']}"), trials=3)
    found = apply_request(wish, search)
    assert isinstance(found, Search)
    assert found.first == (paper, paper | {"num_heads": 8})
    assert found.num_trials == 3
    check_search(found)
    assert apply_request(request(), search) == search


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"trials": 3}, "--trials"),
        ({"first": ("num_heads=2",)}, "--try"),
        ({"runtime": "onnx"}, "--runtime"),
        ({"threads": 1}, "--threads"),
        ({"max_latency_ms": 2.0}, "--max-latency-ms"),
    ],
)
def test_an_ablation_takes_nothing_that_only_searches_have(
    ablation: Ablation, fields: dict[str, Any], name: str
) -> None:
    message = f"knowledge-transfer compares planned arms; {name} is for searches, leave it out"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        apply_request(request(**fields), ablation)
    assert apply_request(request(), ablation) is ablation


def test_runtime_threads_and_cap_become_the_searchs_own(search: Search) -> None:
    found = apply_request(request(runtime="onnx-int8", threads=2, max_latency_ms=1.5), search)
    assert isinstance(found, Search)
    assert found.latency == replace(search.latency, runtime="onnx-int8", threads=2) and found.max_latency_ms == 1.5
    assert aim_of(found).objectives == ("onnx-int8/validation/accuracy", "latency_ratio")
    assert aim_of(search).objectives == ("validation/accuracy", "latency_ratio")
    on_gpu = replace(search, latency=replace(search.latency, device="cuda"))
    for runtime, device in (("folded", "cpu"), ("cuda-graph", "cuda"), (None, "cuda")):
        timed = apply_request(request(runtime=runtime), on_gpu, "cuda")
        assert timed.latency.device == device and timed.latency.on("cuda").device == device


def test_a_runtime_that_is_none_or_needs_another_device_is_refused(search: Search) -> None:
    with pytest.raises(ValueError, match=r"^runtime must be one of eager, .*, onnx-int8; got .onyx.$"):
        apply_request(request(runtime="onyx"), search)
    with pytest.raises(ValueError, match=r"^runtime cuda-graph needs a GPU, got device .cpu.; use device cuda or"):
        apply_request(request(runtime="cuda-graph"), search)


def test_a_knob_that_is_left_out_takes_the_papers_value(search: Search) -> None:
    assert read_parameters(search, "num_feed_forward=1") == search.first[0] | {"num_feed_forward": 1}
    assert read_parameters(search, " num_heads = 2 , num_feed_forward = 8 ") == search.first[0] | {
        "num_heads": 2,
        "num_feed_forward": 8,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "depth=3",
            "--try takes KNOB=VALUE,... with the knobs bottleneck_size, num_heads, num_feed_forward; got 'depth=3'",
        ),
        (
            "num_heads",
            "--try takes KNOB=VALUE,... with the knobs bottleneck_size, num_heads, num_feed_forward; got 'num_heads'",
        ),
        ("", "--try takes KNOB=VALUE,... with the knobs bottleneck_size, num_heads, num_feed_forward; got ''"),
        (
            "num_heads=2,",
            "--try takes KNOB=VALUE,... with the knobs bottleneck_size, num_heads, num_feed_forward; got ''",
        ),
        ("num_heads=3", "--try: num_heads must be one of 1, 2, 4, 8; got '3'"),
        ("num_heads=two", "--try: num_heads must be one of 1, 2, 4, 8; got 'two'"),
        ("num_heads=", "--try: num_heads must be one of 1, 2, 4, 8; got ''"),
    ],
)
def test_a_configuration_outside_the_space_is_refused(search: Search, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_parameters(search, text)


def test_a_combination_that_no_encoder_can_have_is_refused(search: Search) -> None:
    def space(trial: Any) -> Any:
        width = trial.suggest_categorical("bottleneck_size", [16, 24])
        return replace(
            search.baseline.student, bottleneck_size=width, num_heads=trial.suggest_categorical("num_heads", [4, 16])
        )

    wider = replace(search, space=space, first=({"bottleneck_size": 16, "num_heads": 4},))
    with pytest.raises(ValueError, match=r"^num_heads must divide bottleneck_size, got 16 heads for 24"):
        read_parameters(wider, "bottleneck_size=24,num_heads=16")
