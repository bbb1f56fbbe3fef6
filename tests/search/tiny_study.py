"""A search and an ablation small enough to be run many times, and a driver of them that a test can kill.

As a script it runs in a process of its own: `tiny_study.py search|ablation|race RUNS WORKERS` drives a study and says
what happens on stdout, one line each, with `progress FINGERPRINT STAGE UPDATES` in between; `tiny_study.py thinbert` is
the command line with the tiny search as its only study; `tiny_study.py parallel` is `studies.parallel` with the tiny
ablation without dropout, where `DIE=RANK:UPDATE` in the environment kills one of its processes. `--file-bytes N` before
any makes longer files fail to be written, as on a full disk.
"""

import argparse
import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from model_zoo.config import EncoderConfig
from search.data.generated_spec import GeneratorSpec
from search.data.source import DataSources
from search.data.spec import DataSpec
from search.latency.case import LatencyCase
from search.recipe import FineTuning, KnowledgeTransfer, Optimizer, PreTraining, Recipe
from search.study import Ablation, Arm, Race, Search, Study, Suggests
from search.trial import TrialSpec

SOURCES = DataSources(
    length=16,
    tasks=("acceptability", "similarity"),
    generator=GeneratorSpec(num_documents=60, num_train=64, num_validation=40, num_test=40),
)
RATE = Optimizer(learning_rate=1e-3)
STEPS = 12


def student_trial(data: DataSpec) -> TrialSpec:
    """A bottleneck student of two blocks with transfer and distillation from an equally small teacher."""
    teacher = EncoderConfig(
        num_layers=2,
        hidden_size=16,
        bottleneck_size=32,
        num_heads=2,
        feed_forward_size=32,
        embedding_size=8,
        vocab_size=data.vocab_size,
        max_positions=max(16, data.length),
        initializer_range=0.1,
    )
    tune = FineTuning(steps=6, batch_size=8, optimizer=RATE)
    taught = Recipe(pre_training=PreTraining(steps=3 * STEPS, batch_size=8, optimizer=RATE), fine_tuning=tune)
    transfer = KnowledgeTransfer(steps=STEPS, batch_size=8, optimizer=RATE, average_heads=True)
    distillation = PreTraining(steps=STEPS, batch_size=8, optimizer=RATE, teacher_share=0.5)
    recipe = Recipe(knowledge_transfer=transfer, pre_training=distillation, fine_tuning=tune)
    student = replace(teacher, bottleneck_size=8, feed_forward_size=32, num_feed_forward=2, norm="no_norm")
    return TrialSpec(
        student=student,
        recipe=recipe,
        data=data,
        seed=0,
        teacher=TrialSpec(student=teacher, recipe=taught, data=data, seed=0),
    )


def tiny_search(data: DataSpec, num_trials: int = 4, confirmation_seeds: tuple[int, ...] = (1,)) -> Search:
    """Six configurations, all proposals random, so that what is proposed does not hang on measured latency."""
    baseline = student_trial(data)

    def space(trial: Suggests) -> EncoderConfig:
        narrow = trial.suggest_categorical("bottleneck_size", [4, 8])
        stack = trial.suggest_categorical("num_feed_forward", [1, 2, 3])
        return replace(baseline.student, bottleneck_size=narrow, num_feed_forward=stack)

    return Search(
        name="tiny",
        question="Does it come back?",
        scale="smoke",
        baseline=baseline,
        space=space,
        num_trials=num_trials,
        generation_size=2,
        first=({"bottleneck_size": 8, "num_feed_forward": 2},),
        latency=LatencyCase(batch=2, length=16),
        latency_rounds=3,
        startup_trials=1000,
        confirmation_seeds=confirmation_seeds,
    )


def tiny_ablation(data: DataSpec) -> Ablation:
    """Two arms, one with a teacher and one without, at two seeds."""
    taught = student_trial(data)
    alone = PreTraining(steps=2 * STEPS, batch_size=8, optimizer=RATE)
    bare = replace(taught, teacher=None, recipe=Recipe(pre_training=alone, fine_tuning=taught.recipe.fine_tuning))
    return Ablation(
        name="tiny",
        question="Does it come back?",
        scale="smoke",
        arms=(Arm(name="bare", because="labels", spec=bare), Arm(name="transfer", because="teacher", spec=taught)),
        seeds=(0, 1),
        smallest_effect=1.0,
        latency=LatencyCase(batch=2, length=16),
        latency_rounds=3,
    )


def tiny_race(data: DataSpec, *candidates: float) -> Ablation:
    """The tiny ablation at one seed with a race; its first arm, which is what runs, has no teacher."""
    return replace(tiny_ablation(data), seeds=(0,), race=Race(candidates=candidates or (1e-12, 3e-3, 1e9), seed=99))


STUDY = Study(
    name="tiny",
    question="Does it come back?",
    sources=lambda scale: SOURCES,
    declare=lambda scale, data: tiny_search(data, num_trials=2, confirmation_seeds=()),
)


def without_dropout(spec: TrialSpec) -> TrialSpec:
    """The trial and its teacher without dropout, so that ranks draw nothing of their own."""
    none = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    teacher = spec.teacher
    if isinstance(teacher, TrialSpec):
        teacher = replace(teacher, student=replace(teacher.student, **none))
    return replace(spec, student=replace(spec.student, **none), teacher=teacher)


def plain_ablation(data: DataSpec) -> Ablation:
    """The tiny ablation without dropout."""
    study = tiny_ablation(data)
    return replace(study, arms=tuple(replace(arm, spec=without_dropout(arm.spec)) for arm in study.arms))


PLAIN = Study(
    name="tiny",
    question="Does it come back?",
    sources=lambda scale: SOURCES,
    declare=lambda scale, data: plain_ablation(data),
)


def parallel(arguments: list[str]) -> int:
    """`studies.parallel` on the tiny ablation."""
    from search.training import loop
    from studies import catalogue
    from studies.parallel import main

    catalogue.MODULES.clear()
    catalogue.MODULES["tiny"] = "tiny_study"
    sys.modules["tiny_study"] = sys.modules["__main__"]
    sys.modules["__main__"].__dict__["STUDY"] = PLAIN
    rank, _, update = os.environ.get("DIE", "").partition(":")
    if rank == os.environ.get("RANK"):
        original, done = loop._step, 0

        def step(*about: Any) -> float:
            nonlocal done
            done += 1
            if done > int(update):
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*about)

        loop._step = step
    return main(arguments)


def home(runs: Path) -> Any:
    """Where the study is run under a root folder."""
    from search.worker import Home

    return Home(run=runs / "tiny-smoke", data=runs / "data", teachers=runs / "teachers")


def run(kind: str, runs: Path, watcher: Any, **options: Any) -> Any:
    """Prepare the data and run one of the studies in this process."""
    from search.data.prepare import prepare
    from search.run import Options, run_study

    data = prepare(SOURCES, runs / "data")
    watcher.say("data prepared")
    declared = {"search": tiny_search, "ablation": tiny_ablation, "race": tiny_race}[kind](data)
    about = {"command": "tiny"}
    return run_study(declared, home(runs), Options(**{"checkpoint_seconds": 0.0, **options}), about, watcher)


def drive(study: Any, runs: Path, say: Any = lambda text: None, progress: Any = lambda *about: None) -> Any:
    """Run a declared study in this process, on data that were prepared before."""
    from search.execute import Watcher
    from search.run import Options, run_study

    watcher = Watcher(say=say, progress=progress)
    return run_study(study, home(runs), Options(workers=2), {"command": "tiny"}, watcher)


def main() -> None:
    """The driver as a process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--file-bytes", type=int)
    parser.add_argument("kind", choices=("search", "ablation", "race", "thinbert", "parallel"))
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if arguments.file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (arguments.file_bytes, arguments.file_bytes))
    if arguments.kind == "parallel":
        sys.exit(parallel(arguments.rest))
    if arguments.kind == "thinbert":
        from studies import catalogue
        from studies.command_line import main as thinbert

        sys.modules["tiny_study"] = sys.modules["__main__"]
        catalogue.MODULES.clear()
        catalogue.MODULES["tiny"] = "tiny_study"
        sys.exit(thinbert(arguments.rest))
    from search.execute import Watcher

    def progress(fingerprint: str, stage: str, updates: int) -> None:
        print("progress", fingerprint, stage, updates, flush=True)

    watcher = Watcher(say=lambda text: print(text, flush=True), progress=progress)
    run(arguments.kind, Path(arguments.rest[0]), watcher, workers=int(arguments.rest[1]))
    print("finished", flush=True)


class Driver:
    """The driver in a process group of its own, whose lines are read one by one. A context: nothing of it stays."""

    def __init__(self, *arguments: object) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "Driver":
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def read(self) -> Iterator[str]:
        """Lines as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            yield self.lines[-1]

    def read_until(self, start: str, count: int = 1) -> bool:
        """Wait for the line number `count` that starts so. False where the process ended before."""
        found = 0
        for line in self.read():
            found += line.startswith(start)
            if found == count:
                return True
        return False

    def finish(self, seconds: float = 60) -> int:
        """Read to the end; the exit status."""
        for _ in self.read():
            pass
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9 the driver alone, and see its workers go."""
        helpers = [pid for pid in descendants(self.process.pid) if parent_of(pid) == self.process.pid]
        workers = [pid for helper in helpers for pid in descendants(helper)]
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        assert gone(workers, 3.0), f"orphans of the driver: {[command_of(pid) for pid in workers]}"
        assert gone(helpers, 30.0), "the fork server stays: it may finish its imports, no more"


def descendants(pid: int) -> list[int]:
    """Processes started by a process, and by those, oldest first."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [pid]
    for parent in found:
        found += sorted(parents.get(parent, []))
    return found[1:]


def parent_of(pid: int) -> int | None:
    """The parent of a process, None where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid: int) -> str:
    """What a process was called with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200]
    except OSError:
        return f"{pid} is gone"


def gone(pids: list[int], seconds: float) -> bool:
    """Wait until none of the processes is left."""
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    """Bytes of the matching files by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob(pattern))}


if __name__ == "__main__":
    main()
