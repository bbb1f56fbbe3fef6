"""What a user asked to be run, as a value, and the data sources and first configurations that follow from it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.data.source import DataSources, parse_task_file
from search.data.tokenizer_file import vocabulary_file
from search.latency.case import DEPLOYED, LatencyCase
from search.latency.profile import read_profile
from search.study import Ablation, Scale, Search, Study, configuration, knobs
from studies.scales import SIZES


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The options of `thinbert run`, unchecked."""

    study: str
    scale: str
    runs: Path
    workers: int = 1
    trials: int | None = None
    corpus: str | None = None
    vocabulary: str | None = None
    teacher: Path | None = None
    tasks: tuple[str, ...] = ()
    task_data: str | None = None
    task_files: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    runtime: str | None = None
    threads: int | None = None
    max_latency_ms: float | None = None
    device: str = "auto"
    accelerate: str = ""
    replicas: int = 1
    profile: Path | None = None
    until_decided: bool = False
    budget: str | None = None

    def __post_init__(self) -> None:
        for name in ("workers", "replicas"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if self.trials is not None and self.trials < 1:
            raise ValueError(f"--trials must be at least 1, got {self.trials}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"--threads must be at least 1, got {self.threads}")
        if self.max_latency_ms is not None and not 0.0 < self.max_latency_ms < math.inf:
            raise ValueError(f"--max-latency-ms must be above 0 and finite, got {self.max_latency_ms:g}")
        if self.until_decided != (self.budget is not None):
            raise ValueError("--until-decided and --budget go together, such as --until-decided --budget 2h")
        if self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"--device must be auto, cpu or cuda; got {self.device!r}")


def request_sources(request: RunRequest, study: Study, scale: Scale) -> DataSources:
    """The study's data sources, with what the user brought in their place.

    Raises:
        ValueError: a corpus without tasks (the built-in tasks are in the built-in language), tasks without data,
            data without tasks, or a vocabulary beside a teacher, whose tokenizer is the run's.
    """
    sources = study.sources(scale)
    own_tasks = bool(request.task_data or request.task_files)
    if request.corpus is not None and not own_tasks:
        raise ValueError(
            f"--corpus needs tasks in its language, got {request.corpus!r} without any; add --tasks NAME,... with "
            "--task-data DIR, or --task-file"
        )
    if own_tasks and request.corpus is None:
        raise ValueError(
            "--task-data and --task-file need a --corpus in their language; the built-in one is artificial"
        )
    if request.task_data is not None and not request.tasks:
        raise ValueError(
            f"--task-data needs the names of tasks, got none; add --tasks NAME,... found in {request.task_data}"
        )
    if own_tasks and request.tasks and request.task_data is None:
        raise ValueError(
            f"--tasks beside a --corpus needs --task-data that holds them, got {', '.join(request.tasks)} without; add "
            "--task-data DIR, or leave --tasks out (--task-file names its own)"
        )
    if request.teacher is not None and request.vocabulary is not None:
        raise ValueError(
            f"--teacher brings its own word pieces, got --vocabulary {request.vocabulary} beside it; leave that out"
        )
    if request.vocabulary is not None and request.corpus is None:
        raise ValueError("--vocabulary needs a --corpus; the built-in language has its own word pieces")
    if not own_tasks:
        return replace(sources, tasks=request.tasks or sources.tasks)
    return replace(
        sources,
        length=SIZES[scale].text_length,
        corpus=request.corpus,
        vocabulary=request.vocabulary if request.teacher is None else str(vocabulary_file(request.teacher)),
        tasks=request.tasks,
        task_data=request.task_data,
        task_files=tuple(parse_task_file(text) for text in request.task_files),
    )


def apply_request(request: RunRequest, declared: Search | Ablation, device: str = "cpu") -> Search | Ablation:
    """The declaration with the user's number of trials, first configurations, and what its latency is.

    Args:
        device: what the study trains on, and is timed on unless the runtime is one that is deployed.

    Raises:
        ValueError: an ablation was given any of it, a configuration is outside the space, or latency cannot be
            measured so.
    """
    if isinstance(declared, Ablation):
        given = {
            "--trials": request.trials is not None,
            "--try": bool(request.first),
            "--profile": request.profile is not None,
            "--runtime": request.runtime is not None,
            "--threads": request.threads is not None,
            "--max-latency-ms": request.max_latency_ms is not None,
        }
        for name, is_given in given.items():
            if is_given:
                raise ValueError(f"{declared.name} compares planned arms; {name} is for searches, leave it out")
        return declared
    wanted = [read_parameters(declared, text) for text in request.first]
    first = [*declared.first, *(params for params in wanted if params not in declared.first)]
    return replace(
        declared,
        first=tuple(first),
        num_trials=declared.num_trials if request.trials is None else request.trials,
        profile=None if request.profile is None else read_profile(request.profile),
        latency=_latency_case(request, declared.latency, device),
        max_latency_ms=declared.max_latency_ms if request.max_latency_ms is None else request.max_latency_ms,
    )


def _latency_case(request: RunRequest, declared: LatencyCase, device: str) -> LatencyCase:
    """The study's case in the runtime and with the threads that were asked for."""
    changed: dict[str, Any] = {} if request.threads is None else {"threads": request.threads}
    if request.runtime is not None:
        changed |= {"runtime": request.runtime, "device": "cpu" if request.runtime in DEPLOYED else device}
    return replace(declared, **changed)


def read_parameters(search: Search, text: str) -> dict[str, Any]:
    """Parameters of a space from `knob=value,...`; a knob that is left out takes the baseline's value.

    Raises:
        ValueError: no such knob or choice; or a combination that no encoder can have.
    """
    known = knobs(search)
    params = dict(search.first[0])
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in known:
            raise ValueError(f"--try takes KNOB=VALUE,... with the knobs {', '.join(known)}; got {part.strip()!r}")
        choices = {str(choice): choice for choice in known[name]}
        if value not in choices:
            raise ValueError(f"--try: {name} must be one of {', '.join(choices)}; got {value!r}")
        params[name] = choices[value]
    configuration(search, params)
    return params
