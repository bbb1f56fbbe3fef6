"""The Optuna study of a run: proposes configurations, and mirrors the trial files for optuna and optuna-dashboard.

The trial files are the truth. Whatever the database says that they do not, it is rebuilt from them.
"""

import contextlib
import errno
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import optuna
from optuna.distributions import CategoricalDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from model_zoo.config import EncoderConfig
from search.aim import Aim, constraints, objective_values
from search.fingerprint import fingerprint
from search.record import Proposal, TrialRecord
from search.seeds import stream_seed
from search.study import Ablation, Search, plan, seeds_of_look
from search.trial import TrialSpec

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE)
ASKS_PER_TRIAL = 20
NO_CAP = Aim()
"""What an ablation is after, and a search in the runtime that it trains in."""


logger = logging.getLogger(__name__)


class Proposed(NamedTuple):
    """A proposal and the trial it stands for."""

    proposal: Proposal
    spec: TrialSpec


def open_study(path: Path, name: str, told: Sequence[tuple[Proposal, TrialRecord]], aim: Aim = NO_CAP) -> optuna.Study:
    """The run's Optuna study, holding exactly the trials of `told` (in the order of their numbers).

    Args:
        path: the SQLite file.
        told: every proposal of a finished generation with its record.
        aim: what is optimised, and the cap.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = f"sqlite:///{path.resolve()}"
    ordered = sorted(told, key=lambda pair: pair[0].number)
    if path.exists():
        try:
            study = optuna.load_study(study_name=name, storage=url)
            if _agrees(study, ordered, aim):
                return study
        except Exception as error:  # any damage to a file that can be rebuilt has the same mend
            reason = " ".join(str(error).split())[:120]
            logger.warning("%s is rebuilt from the trial files (%s)", path.name, reason)
    for name_of_part in (path.name, f"{path.name}-journal", f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name_of_part).unlink(missing_ok=True)  # an old journal would be played back into a new file
    study = optuna.create_study(study_name=name, storage=url, directions=list(DIRECTIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(aim.objectives))
    study.add_trials([_frozen(proposal, record, aim) for proposal, record in ordered])
    return study


@contextlib.contextmanager
def database_errors(path: Path) -> Iterator[None]:
    """A database that cannot be written reaches the caller as one OSError that names it, not as pages of SQL."""
    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = " ".join(str(error.__cause__ or error).split("\n")[0].split())
        raise OSError(errno.EIO, f"cannot write the Optuna study ({reason})", str(path)) from error


def tell(study: optuna.Study, proposal: Proposal, record: TrialRecord, aim: Aim = NO_CAP) -> None:
    """Give Optuna the outcome of one proposal: its objectives, or that it failed, and how far it is over the cap."""
    trials = study.get_trials(deepcopy=False)
    if proposal.number >= len(trials):
        study.add_trial(_frozen(proposal, record, aim))
        return
    if trials[proposal.number].state.is_finished():
        return
    trial = optuna.trial.Trial(study, trials[proposal.number]._trial_id)
    trial.set_user_attr("status", record.status)
    for name, excess in constraints(record, aim).items():
        trial.set_constraint(name, excess)
    values = objective_values(record, aim)
    if values is None:
        study.tell(proposal.number, state=TrialState.FAIL)
    else:
        study.tell(proposal.number, values)


def propose(study: optuna.Study, search: Search, generation: int, count: int, known: set[str]) -> list[Proposed]:
    """Ask until there are `count` configurations not in `known`, or the space seems exhausted.

    Duplicates are among the result too: they are told their stored value and cost no trial. The sampler is made anew
    with a seed of (study seed, generation), so that a resumed search goes on as an uninterrupted one would.
    """
    study.sampler = _sampler(search, generation)
    if generation == 0:
        for params in search.first:
            study.enqueue_trial(params)
    found: list[Proposed] = []
    fresh: set[str] = set()
    for _ in range(count * ASKS_PER_TRIAL):
        if len(fresh) >= count:
            break
        trial = study.ask()
        spec = _spec(search, search.space(trial))
        mark = fingerprint(spec)
        trial.set_user_attr("fingerprint", mark)
        found.append(Proposed(_proposal(trial.number, generation, trial.params, trial.distributions), spec))
        if mark not in known:
            fresh.add(mark)
    return found


def planned_proposals(ablation: Ablation, generation: int) -> list[Proposed]:
    """Every (arm, seed) of an ablation as an Optuna trial; a generation is what one look adds."""
    arms, seeds = [arm.name for arm in ablation.arms], list(ablation.seeds)
    distributions: dict[str, Any] = {"arm": CategoricalDistribution(arms), "seed": CategoricalDistribution(seeds)}
    added = set(seeds_of_look(ablation, generation))
    return [
        Proposed(_proposal(number, generation, {"arm": one.arm, "seed": one.seed}, distributions, one.arm), one.spec)
        for number, one in enumerate(plan(ablation))
        if one.seed in added
    ]


def _spec(search: Search, encoder: EncoderConfig) -> TrialSpec:
    return replace(search.baseline, student=encoder)


def _sampler(search: Search, generation: int) -> optuna.samplers.BaseSampler:
    """TPE for two objectives, every default that matters named: they changed between releases."""
    return optuna.samplers.TPESampler(
        seed=stream_seed(search.sampler_seed, "sampler", generation) % 2**32,
        n_startup_trials=search.startup_trials,
        multivariate=False,
        group=False,
        constant_liar=True,
        n_ei_candidates=24,
    )


def _proposal(
    number: int, generation: int, params: dict[str, Any], distributions: dict[str, Any], arm: str | None = None
) -> Proposal:
    written = {name: distribution_to_json(distribution) for name, distribution in distributions.items()}
    return Proposal(number=number, generation=generation, params=dict(params), distributions=written, arm=arm)


def _frozen(proposal: Proposal, record: TrialRecord, aim: Aim) -> FrozenTrial:
    values = objective_values(record, aim)
    return create_trial(
        params=proposal.params,
        distributions={name: json_to_distribution(text) for name, text in proposal.distributions.items()},
        values=values,
        state=TrialState.COMPLETE if values is not None else TrialState.FAIL,
        user_attrs={"fingerprint": record.fingerprint, "status": record.status},
        constraints=constraints(record, aim),
    )


def _agrees(study: optuna.Study, told: Sequence[tuple[Proposal, TrialRecord]], aim: Aim) -> bool:
    trials = study.get_trials(deepcopy=False)
    if len(trials) != len(told):
        return False
    for trial, (proposal, record) in zip(trials, told, strict=True):
        values = objective_values(record, aim)
        state = TrialState.COMPLETE if values is not None else TrialState.FAIL
        same = trial.state == state and (values is None or trial.values == values)
        same = same and trial.constraints == constraints(record, aim)
        if not same or json.dumps(trial.params) != json.dumps(proposal.params):
            return False
    return True


def front(study: optuna.Study) -> list[str]:
    """Fingerprints of the trials that matter, in the order of their numbers: the non-dominated ones under the cap.

    Where none is under it, the one that misses it by least.
    """
    found = list(dict.fromkeys(trial.user_attrs["fingerprint"] for trial in study.best_trials))
    return found or _nearest_miss(study)


def _nearest_miss(study: optuna.Study) -> list[str]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    nearest = min(complete, key=lambda trial: sum(trial.constraints.values()), default=None)
    return [] if nearest is None else [nearest.user_attrs["fingerprint"]]
