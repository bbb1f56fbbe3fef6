"""What a trial of the paper's studies costs: one seed of every distinct arm of `thinbert reproduce`, trained.

    python -m benchmarks.trial_cost --out DIR [--workers 2]

The arms' own jobs and workers at cpu scale, teachers first; goes on where it stopped. Seconds are processor time of one
core, as trial files have them: training and scoring of a trial, without what another arm of the seed has had from the
teacher before. The table is also written to DIR/trial-cost.csv. Run it with nothing else on the machine.
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import header, machine
from search.arrange import arrange, dropping
from search.data.prepare import prepare
from search.execute import Options, Watcher, execute
from search.files import write_whole
from search.fingerprint import fingerprint
from search.predict import predict, work_of
from search.predict import together as sharing
from search.record import TrialRecord
from search.study import at_seed
from search.teachers import train_teachers
from search.trial import TrialSpec, teachers_of
from search.worker import Home, Job
from studies.reproduction import Reproduction, reproduction
from studies.scales import sources

GOAL_SECONDS = 60.0
"""Of one core, the mean over the arms, the teacher among them."""
COLUMNS = ("study", "arm", "seconds", "predicted")


def arms(planned: Reproduction, seed: int) -> list[tuple[str, str, TrialSpec]]:
    """Study, arm and trial at a seed of every distinct arm, in the order in which the studies are run."""
    found: dict[str, tuple[str, str, TrialSpec]] = {}
    for part in planned.parts:
        for arm in part.study.arms:
            spec = at_seed(arm.spec, seed)
            found.setdefault(fingerprint(spec), (part.study.name, arm.name, spec))
    return list(found.values())


def train(specs: Sequence[TrialSpec], out: Path, workers: int) -> dict[str, TrialRecord]:
    """The records of some trials and of their teachers, by fingerprint; what has one is not trained again."""
    home = Home(run=out / "trial-cost-cpu", data=out / "data", teachers=out / "teachers")
    watcher, teachers = Watcher(say=lambda text: print(text, file=sys.stderr)), teachers_of(specs)
    train_teachers(teachers, home, Options(workers=workers), watcher)
    trained = {fingerprint(teacher) for teacher in teachers}
    jobs = [Job(spec=spec, role="arm", home=home) for spec in specs if fingerprint(spec) not in trained]
    jobs += [Job(spec=teacher, role="teacher", home=home) for teacher in teachers]
    jobs = arrange(jobs, workers=workers, search=False)
    return {record.fingerprint: record for record in dropping(jobs, execute(jobs, workers=workers, watcher=watcher))}


def rows(planned: Reproduction, records: dict[str, TrialRecord], seed: int) -> list[tuple[str, str, float, float]]:
    """Study, arm, seconds, and those predicted for the trial alone, of every arm.

    Raises:
        ValueError: a trial did not end as it should.
    """
    found = []
    for study, name, spec in arms(planned, seed):
        record = records[fingerprint(spec)]
        seconds = record.value("train_seconds")
        if record.status != "complete" or seconds is None:
            raise ValueError(f"every arm must be trained, got {name} of {study} {record.status} ({record.reason})")
        found.append((study, name, seconds, predict(spec).train_seconds))
    return found


def table(found: Sequence[tuple[str, str, float, float]], together: float) -> str:
    """The rows for people, and their sum beside what was predicted for all of them together."""
    lines = [f"{study:26}{name:22}{real:7.1f} s{predicted:7.1f} s predicted" for study, name, real, predicted in found]
    real = sum(row[2] for row in found)
    mean = real / len(found)
    verdict = f"goal {GOAL_SECONDS:g} s: {'met' if mean <= GOAL_SECONDS else 'MISSED'}"
    lines.append(f"{len(found)} arms, {real:.0f} s of one core, {together / real:.2f} of it predicted")
    return "\n".join([*lines, f"{mean:.1f} s a trial, the teacher among them, {verdict}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the benchmark: 0, or 1 where the goal is missed, or 2 where a trial did not end as it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trial_cost", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of data, teachers and trials")
    parser.add_argument("--workers", type=int, default=2, help="trials at a time (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="of every trial (default 0)")
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f"--workers must be at least 1, got {options.workers}")
    before = machine()
    planned = reproduction("cpu", prepare(sources("cpu"), options.out / "data"))
    specs = [spec for _, _, spec in arms(planned, options.seed)]
    try:
        found = rows(planned, train(specs, options.out, options.workers), options.seed)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *found])
    write_whole(options.out / "trial-cost.csv", stream.getvalue().encode())
    together = sharing(work_of(spec) for spec in specs)
    print(f"{header(before)}\n\n{table(found, together)}")
    return 0 if sum(row[2] for row in found) / len(found) <= GOAL_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
