"""What `thinbert show` says of a study: its trials and their predicted cost. Trains nothing, imports nothing heavy."""

from pathlib import Path
from typing import Any

from model_zoo.student import student_cost
from search.data.spec import DataSpec
from search.fingerprint import fingerprint
from search.own_code import check_own_code, planned_specs
from search.predict import predict, predict_study
from search.study import Ablation, Search, all_configurations, check_search, knobs, plan
from search.trial import TrialSpec, changes, teachers_of
from search.values import to_json
from studies.budget import budget_lines, paper_budget, planned_at_paper_scale
from studies.catalogue import check_scale, load_study
from studies.data_specs import known_data_spec
from studies.planned_power import planned_power, power_lines
from studies.terminal import size_text, time_text


def overview(name: str, scale: str, runs: Path, teacher: Path | None = None) -> dict[str, Any]:
    """Everything `show` prints, as JSON.

    Args:
        teacher: a folder of the user's own teacher, whose word pieces the data then have.
    """
    study = load_study(name)
    checked = check_scale(scale)
    data = known_data_spec(study.sources(checked), runs / "data")
    if teacher is None:
        found = _overview(study.declare(checked, data), data)
        return found | {"budget": paper_budget(planned_at_paper_scale(study, data))} if checked == "paper" else found
    from studies.given_overview import taught_overview

    declared, about = taught_overview(study, checked, data, teacher)
    return _overview(declared, declared.baseline.data) | {"given_teacher": about}


def try_paper_scale(name: str, runs: Path) -> dict[str, Any]:
    """The dry run of a study at the paper's sizes. Imports torch."""
    from studies.dry_run import dry_run

    study = load_study(name)
    return dry_run(planned_at_paper_scale(study, known_data_spec(study.sources("paper"), runs / "data")))


def _overview(declared: Search | Ablation, data: DataSpec) -> dict[str, Any]:
    found: dict[str, Any] = {
        "study": declared.name,
        "scale": declared.scale,
        "kind": declared.kind,
        "question": declared.question,
        "tasks": [{"name": task.name, "kind": task.kind, "metric": task.metric} for task in data.tasks],
        "latency": to_json(declared.latency),
        "scaling": to_json(declared.scaling),
    }
    if isinstance(declared, Search):
        check_search(declared)
        check_own_code(planned_specs(declared))
        return found | _search(declared)
    check_own_code(planned_specs(declared))
    return found | _ablation(declared)


def _search(search: Search) -> dict[str, Any]:
    specs = list(all_configurations(search).values())
    parameters = [student_cost(spec.student, spec.data.length).parameters for spec in specs]
    flops = [student_cost(spec.student, spec.data.length).flops for spec in specs]
    return {
        "baseline": {"fingerprint": fingerprint(search.baseline), **_cost(search.baseline)},
        "teacher": _teacher(search.baseline),
        "space": {name: list(choices) for name, choices in knobs(search).items()},
        "configurations": len(specs),
        "num_trials": search.num_trials,
        "confirmation_seeds": list(search.confirmation_seeds),
        "parameters": {"smallest": min(parameters), "largest": max(parameters)},
        "flops": {"smallest": min(flops), "largest": max(flops)},
        "predicted": to_json(predict_study(search)),
    }


def _ablation(study: Ablation) -> dict[str, Any]:
    trials = plan(study)
    base = study.arms[0].spec
    return {
        "arms": [
            {
                "name": arm.name,
                "because": arm.because,
                "changes": [change._asdict() for change in changes(base, arm.spec)],
            }
            for arm in study.arms
        ],
        "seeds": list(study.seeds),
        "smallest_effect": study.smallest_effect,
        "claims": planned_power(study),
        "race": to_json(study.race),
        "teachers": [fingerprint(teacher) for teacher in teachers_of(one.spec for one in trials)],
        "trials": [
            {"fingerprint": fingerprint(one.spec), "arm": one.arm, "seed": one.seed, **_cost(one.spec)}
            for one in trials
        ],
        "predicted": to_json(predict_study(study)),
    }


def _cost(spec: TrialSpec) -> dict[str, int]:
    total = student_cost(spec.student, spec.data.length)
    return {"parameters": total.parameters, "flops": total.flops}


def _teacher(spec: TrialSpec) -> dict[str, Any] | None:
    if spec.teacher is None:
        return None
    total = student_cost(spec.teacher.student, spec.data.length)
    seconds = round(predict(spec.teacher).train_seconds, 1) if isinstance(spec.teacher, TrialSpec) else 0.0
    return {
        "fingerprint": fingerprint(spec.teacher),
        "parameters": total.parameters,
        "flops": total.flops,
        "seconds": seconds,
        **({"ensemble": [fingerprint(other) for other in spec.ensemble]} if spec.ensemble else {}),
    }


def overview_lines(found: dict[str, Any]) -> list[str]:
    """The overview for people."""
    lines = [f"{found['study']} at scale {found['scale']}: {found['question']}", ""]
    if found["kind"] == "search":
        lines += [f"  {name}: {', '.join(map(str, choices))}" for name, choices in found["space"].items()]
        low, high = found["parameters"]["smallest"], found["parameters"]["largest"]
        slow = found["flops"]
        lines += [
            f"  {found['configurations']} configurations, {found['num_trials']} tried, the paper's first",
            f"  parameters {low:,} to {high:,}; FLOPs {slow['smallest']:,} to {slow['largest']:,} per sequence",
            f"  baseline {found['baseline']['parameters']:,} parameters; {_teacher_text(found['teacher'])}",
        ]
        seeds = found["confirmation_seeds"]
        lines.append(
            f"  the front is trained again with seeds {', '.join(map(str, seeds))}" if seeds else "  one seed only"
        )
    else:
        for arm in found["arms"]:
            lines.append(f"  {arm['name']}: {arm['because']}")
            lines += [f"    {c['field']}: {_short(c['before'])} -> {_short(c['after'])}" for c in arm["changes"]]
        counted = f"{len(found['seeds'])} seeds, {len(found['trials'])} trials, {len(found['teachers'])} teachers"
        lines += [f"  {counted}, paired by seed", *power_lines(found["claims"]), *_race_lines(found)]
        lines += [
            f"  {one['fingerprint']}  {one['arm']:<10} seed {one['seed']}  {one['parameters']:,} parameters, "
            f"{one['flops']:,} FLOPs"
            for one in found["trials"]
        ]
    tasks = ", ".join(f"{task['name']} ({task['metric']})" for task in found["tasks"])
    lines.append(f"  tasks: {tasks}")
    lines += [*_given_lines(found.get("given_teacher")), ""]
    lines += budget_lines(found["budget"]) if "budget" in found else _predicted_lines(found["predicted"])
    if "dry_run" in found:
        from studies.dry_run import dry_run_lines

        lines += ["", *dry_run_lines(found["dry_run"])]
    return lines


def _teacher_text(teacher: dict[str, Any] | None) -> str:
    return "no teacher" if teacher is None else f"teacher {teacher['parameters']:,}"


def _given_lines(given: dict[str, Any] | None) -> list[str]:
    if given is None:
        return []
    lines = [f"  your teacher {given['fingerprint']}: {given['parameters']:,} parameters, {given['holds']}"]
    lines += [
        f"    {'can' if one['possible'] else 'cannot'} {one['name']}: {one['because']}" for one in given["objectives"]
    ]
    if given["refused"]:
        lines.append(f"  this study cannot run with it, and is shown with its own teacher: {given['refused']}")
    return lines


def _race_lines(found: dict[str, Any]) -> list[str]:
    if found["race"] is None:
        return []
    rates = ", ".join(f"{rate:g}" for rate in found["race"]["candidates"])
    seed, took = found["race"]["seed"], time_text(found["predicted"]["race_seconds"])
    return [
        f"  a race of the rates {rates} comes first (seed {seed}, {took} of one core); winners enter the fingerprints"
    ]


def _predicted_lines(predicted: dict[str, Any]) -> list[str]:
    core = predicted["core_seconds"]
    trial, teacher = (time_text(predicted[f"{what}_seconds"]) for what in ("trial", "teacher"))
    memory, disk = size_text(predicted["memory_bytes"]), size_text(predicted["disk_bytes"])
    return [
        f"  predicted: {time_text(core)} of one core ({trial} a trial, {teacher} a teacher), divided by --workers",
        f"  memory {memory} a worker, disk {disk}",
    ]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
