"""One trial of a study trained by several processes, one per GPU or core: data parallel, started by torchrun.

    torchrun --nproc-per-node 2 -m studies.parallel knowledge-transfer --scale gpu --arm transfer --seed 0

Trains the trial's teachers first where they are missing. What comes out is the trial file that `thinbert run` would
write, and finds finished; latency is measured by that command alone. Batches are split among the processes, gradients
averaged; the first process writes. The same command goes on from the last checkpoint.
"""

import argparse
import datetime
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.study import Ablation, Search, at_seed, plan
from search.trial import TrialSpec, teachers_of
from studies.catalogue import check_scale, load_study

SILENT_SECONDS = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 diverged or a process was lost, 2 bad input."""
    parser = argparse.ArgumentParser(prog="torchrun --nproc-per-node N -m studies.parallel", description=__doc__)
    parser.add_argument("study")
    parser.add_argument("--scale", default="gpu")
    parser.add_argument("--arm", help="an arm of an ablation; a search trains its baseline")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--accelerate", default="", help="as of thinbert run")
    parser.add_argument("--checkpoint-seconds", type=float, default=20.0)
    parser.add_argument("--silent-seconds", type=float, default=SILENT_SECONDS, help="then a process counts as lost")
    options = parser.parse_args(arguments)
    import torch.distributed as dist

    from search.training.ranks import RankLostError

    try:
        return _train(options)
    except (ValueError, OSError) as error:
        return _say(str(error), 2)
    except RankLostError as error:
        return _say(str(error), 1)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _say(text: str, status: int) -> int:
    print(f"process {os.environ.get('RANK', '0')}: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return status


def chosen_trial(declared: Search | Ablation, arm: str | None, seed: int) -> TrialSpec:
    """The trial that is asked for. Raises ValueError where the study has no such arm or seed."""
    if isinstance(declared, Search):
        if arm is not None:
            raise ValueError(f"--arm is for ablations, got {arm!r} for the search {declared.name}; leave it out")
        return at_seed(declared.baseline, seed)
    trials = {(one.arm, one.seed): one.spec for one in plan(declared)}
    if (arm, seed) not in trials:
        arms, seeds = (", ".join(map(str, dict.fromkeys(key[place] for key in trials))) for place in (0, 1))
        raise ValueError(f"--arm must be one of {arms} and --seed one of {seeds}; got {arm!r} and {seed}")
    return trials[arm or "", seed]


def _train(options: Any) -> int:
    import torch

    from search.data.prepare import prepare
    from search.hold_race import with_known_rates
    from search.record import Role
    from search.run_folder import check_run, study_document
    from search.training.acceleration import Ranks, accelerated
    from search.training.ranks import check_ranks
    from search.worker import Home, Job

    ranks = Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    scale, study = check_scale(options.scale), load_study(options.study)
    run = options.runs / f"{study.name}-{scale}"
    home = Home(run=run, data=options.runs / "data", teachers=options.runs / "teachers")
    declared = study.declare(scale, prepare(study.sources(scale), home.data))
    if isinstance(declared, Ablation) and declared.race is not None:
        if not (run / "race.json").exists():
            raise ValueError(f"the race of {declared.name} must be held first, got none; begin with `thinbert run`")
        declared = with_known_rates(declared, run)
    spec = chosen_trial(declared, options.arm, options.seed)
    role: Role = "search" if isinstance(declared, Search) else "arm"
    jobs = [
        Job(
            spec=one,
            role="teacher" if one is not spec else role,
            home=home,
            device=device,
            checkpoint_seconds=options.checkpoint_seconds,
            acceleration=replace(accelerated(options.accelerate, device), ranks=ranks),
        )
        for one in (*teachers_of([spec]), spec)
    ]
    for job in jobs:
        check_ranks(job.spec, ranks.size)
    check_run(run, study_document(declared, {}))
    _join(ranks, device, options.silent_seconds)
    return max(_run(job, study_document(declared, {})) for job in jobs)


def _join(ranks: Any, device: str, silent_seconds: float) -> None:
    """Meet the other processes; each has a GPU of its own, or one thread."""
    import torch
    import torch.distributed as dist

    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    else:
        torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    if ranks.size > 1:
        timeout = datetime.timedelta(seconds=silent_seconds)
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=timeout)


def _run(job: Any, document: Any) -> int:
    """One job on all processes; the first holds the run folder's lock and mends what is broken before the others
    look."""
    import contextlib

    from search.record import read_record
    from search.run_folder import open_run
    from search.training.ranks import wait_for_all
    from search.worker import drop_bad_checkpoint, run_job

    ranks = job.acceleration.ranks
    with contextlib.ExitStack() as stack:
        channel = Channel(quiet=ranks.rank > 0)
        if ranks.rank == 0:
            stack.enter_context(open_run(job.home.run, document))
            drop_bad_checkpoint(job, channel)  # type: ignore[arg-type]
            if job.record_path.exists() and read_record(job.record_path).status == "failed":
                job.record_path.unlink()  # it has no outcome: every run tries it again
        wait_for_all(ranks)
        record = run_job(job, channel)  # type: ignore[arg-type]
        wait_for_all(ranks)
    if ranks.rank == 0:
        print(f"{job.role} {job.fingerprint}: {record.status} {record.reason}".rstrip(), flush=True)
    return 0 if record.status == "complete" else 1


class Channel:
    """Where a worker's messages go when there is no driver: notes to stderr, once."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def send(self, message: Any) -> None:
        """Show a note; progress is not shown."""
        if message[0] == "note" and not self.quiet:
            print(message[1], file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
