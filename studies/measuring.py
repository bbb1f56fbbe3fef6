"""`thinbert measure`: the latency of named encoders in one or several runtimes, or the profile of a device."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_zoo.config import EncoderConfig
from model_zoo.student import Student
from reports.compare import resolve
from search.files import write_whole
from search.latency.case import LatencyCase
from search.latency.profile import DeviceProfile, write_profile
from search.latency.protocol import Protocol, fixed_rounds
from search.latency.session import LatencySession, Outcome
from search.study import Search, all_configurations, knobs, mark_of_space
from search.values import to_json
from studies import terminal
from studies.catalogue import check_scale, load_study
from studies.data_specs import known_data_spec

FLOOR_ROUNDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """The options of `thinbert measure`, unchecked."""

    names: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ("eager",)
    device: str = "cpu"
    batch: int = 1
    length: int = 128
    threads: int = 1
    protocol: Protocol
    seed: int = 0
    out: Path | None = None

    @property
    def cases(self) -> tuple[LatencyCase, ...]:
        """One case per runtime. Raises ValueError for one that cannot be measured."""
        made: list[LatencyCase] = []
        for runtime in dict.fromkeys(self.runtimes):
            known: Any = runtime
            made.append(
                LatencyCase(
                    runtime=known, device=self.device, batch=self.batch, length=self.length, threads=self.threads
                )
            )
        return tuple(made)


def measure_named(request: MeasureRequest, *, as_json: bool) -> int:
    """Measure named encoders, the first being the reference. Returns the exit status: 1 where some have no latency.

    Raises:
        ValueError: bad input, or nothing that can be measured.
    """
    cases = request.cases
    configs, problems = _resolve_all(request.names)
    if not configs:
        raise ValueError(problems[0] if problems else "measure needs at least one name, got none")
    from search.latency.measure import measure_until_kept
    from search.latency.runtimes import check_threads

    for case in cases:
        check_threads(case)
    reference = next(iter(configs))
    document: dict[str, Any] = {"reference": reference, "cases": []}
    for case in cases:
        try:
            outcome = measure_until_kept(
                configs, configs[reference], case, seed=request.seed, protocol=request.protocol, progress=_progress
            )
        except ValueError as error:  # a runtime that is not there, or a reference that does not fit: others go on
            problems.append(f"{case.runtime}: {error}")
            continue
        problems += _problems(case, outcome)
        if outcome.session is not None:
            document["cases"].append(_case_document(outcome.session, reference))
            _write_session(request.out, outcome.session)
    if not document["cases"]:
        raise ValueError("; ".join(problems))
    _finish(request.out, document)
    terminal.show_json(document | {"problems": problems}) if as_json else _show(document)
    for problem in problems:
        print(f"thinbert: {problem}", file=sys.stderr)
    return 1 if problems else 0


def measure_profile(request: MeasureRequest, name: str, scale: str, count: int, path: Path, *, as_json: bool) -> int:
    """Measure configurations that cover a study's space and write the device's profile to `path`.

    Raises:
        ValueError: bad input, or the machine is too noisy for a session to be kept.
    """
    search = _search(name, scale)
    from search.latency.measure import measure_until_kept
    from search.latency.predictor import cover, profile
    from search.latency.runtimes import check_threads

    case = replace(search.latency, runtime=request.cases[0].runtime, device=request.device, threads=request.threads)
    check_threads(case)
    every = {mark: spec.encoder for mark, spec in all_configurations(search).items()}
    chosen = {mark: every[mark] for mark in cover(every, case, count, request.seed)}
    floor_case = replace(case, batch=1, length=1)
    reference, sessions = search.baseline.encoder, []
    for one, protocol in ((case, request.protocol), (floor_case, fixed_rounds(FLOOR_ROUNDS))):
        outcome = measure_until_kept(chosen, reference, one, seed=request.seed, protocol=protocol, progress=_progress)
        if outcome.session is None:
            raise ValueError(f"no session was good enough for a profile: {outcome.refused[-1]}")
        sessions.append(outcome.session)
    found = profile(sessions[0], sessions[1], search.name, mark_of_space(search))
    write_profile(path, found)
    if as_json:
        terminal.show_json({"profile": str(path), "check": to_json(found.check), "num_measured": found.num_measured})
        return 0
    show_check(found, path)
    return 0


def show_check(found: DeviceProfile, path: Path) -> None:
    """How well a profile predicts what was measured for it, for people."""
    check = found.check
    overall = "not defined (all predictions or all measurements are equal)"
    if check.rank_correlation is not None:
        overall = f"{check.rank_correlation:.3f}"
    within = "not defined (no stratum of three whose latencies differ)"
    if check.within_strata is not None:
        within = f"{check.within_strata:.2f} in {check.strata} strata"
    print(f"{path}: {found.num_measured} configurations of {found.space} measured ({found.case.label})")
    print(f"each left out in turn: mean error {100 * check.mean_error:.1f} %, rank correlation", end=" ")
    print(f"{overall}, at equal depth and stacks {within}")


def _search(name: str, scale: str) -> Search:
    study, checked = load_study(name), check_scale(scale)
    declared = study.declare(checked, known_data_spec(study.sources(checked), Path("runs/data")))
    if not isinstance(declared, Search):
        raise ValueError(f"--profile-space needs a search, got {name!r}, which compares planned arms")
    assert knobs(declared)
    return declared


def _resolve_all(names: tuple[str, ...]) -> tuple[dict[str, EncoderConfig], list[str]]:
    configs: dict[str, EncoderConfig] = {}
    problems: list[str] = []
    for name in names:
        try:
            shown, config, _ = resolve(name)
            configs[shown] = config
        except ValueError as error:
            problems.append(str(error))
    return configs, problems


def _problems(case: LatencyCase, outcome: Outcome) -> list[str]:
    if outcome.session is None:
        return [f"{case.label}: no latency, {outcome.refused[-1]} ({len(outcome.refused)} sessions refused)"]
    return [f"{case.label}: {one.name} has no latency: {one.reason}" for one in outcome.session.unmeasured]


def _case_document(session: LatencySession, reference: str) -> dict[str, Any]:
    from search.latency.memory import peak_memory
    from search.latency.summary import summarise

    summary = summarise(session)
    configs: Mapping[str, Student] = {one.name: one.series.config for one in session.candidates}
    memory = peak_memory(configs, session.case)
    return {
        "case": to_json(session.case),
        "label": session.case.label,
        "rounds": session.rounds,
        "refused": list(session.refused),
        "control": to_json(summary.control.ratio),
        "conditions": session.conditions,
        "encoders": [
            {
                "name": name,
                "latency_ms": to_json(found.latency_ms),
                "latency_ratio": to_json(found.ratio) | {"reference": reference},
                **({"peak_memory_bytes": memory[name]} if name in memory else {}),
            }
            for name, found in summary.candidates.items()
        ],
    }


def _write_session(out: Path | None, session: LatencySession) -> None:
    if out is not None:
        name = f"session-{session.case.runtime}.json"
        write_whole(out / name, json.dumps(to_json(session), allow_nan=False) + "\n")


def _finish(out: Path | None, document: dict[str, Any]) -> None:
    if out is None:
        return
    from reports.figures.latency import LatencyInfo, LatencyPoint, draw_latency
    from reports.figures.style import to_png

    points = [
        LatencyPoint(
            name=one["name"],
            case=case["label"],
            ratio=one["latency_ratio"]["value"],
            low=one["latency_ratio"]["interval"]["low"],
            high=one["latency_ratio"]["interval"]["high"],
        )
        for case in document["cases"]
        for one in case["encoders"]
        if one["latency_ratio"]["interval"] is not None
    ]
    write_whole(out / "latency.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    to_png(draw_latency(LatencyInfo(points=tuple(points), reference=document["reference"])), out / "latency.png")


def _show(document: dict[str, Any]) -> None:
    for case in document["cases"]:
        rows = [("", f"x {document['reference']}", "95 % interval", "ms", "peak memory")]
        for one in case["encoders"]:
            ratio, memory = one["latency_ratio"], one.get("peak_memory_bytes")
            interval = ratio["interval"]
            spread = "-" if interval is None else f"{interval['low']:.3f} to {interval['high']:.3f}"
            size = "-" if memory is None else terminal.size_text(memory)
            rows.append((one["name"], f"{ratio['value']:.3f}", spread, f"{one['latency_ms']['value']:.2f}", size))
        control = case["control"]["interval"]
        said = "no interval" if control is None else f"{control['low']:.3f} to {control['high']:.3f}"
        print(f"{case['label']}: {case['rounds']} rounds; the reference against itself {said}")
        terminal.show_table(rows)
        print()


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\rround {done} of at most {total}", end="", file=sys.stderr, flush=True)
