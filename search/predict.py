"""What a trial and a study will cost before anything runs: time, memory and disk, from the values alone.

Time is what the planned updates run (`search/passes.py`): FLOPs over a sustained rate, a fixed price per operation and
one per attention score, which small encoders pay more for than for FLOPs. The three constants were fitted to one seed
of every arm of the paper's studies, each trained on one core of a 2-core AVX-512 server; fitted to half of the studies
they are 7 % off on the arms of the other half, on average (`python -m benchmarks.predicted_time`). What is not
counted: drawing batches, scoring, checkpoints. A prediction is for orientation, within a factor of two elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost, feed_forward_numbers
from model_zoo.student import student_cost
from search.fingerprint import fingerprint
from search.passes import MASKED_SHARE, Answer, Pass, passes_of, student_flops, task_answers, teacher_flops
from search.race import contenders
from search.study import Ablation, Search, all_configurations, plan
from search.training.planned import PlannedStage, planned_stages
from search.trial import TrialSpec, teachers_of

FLOPS_PER_SECOND = 144e9
SECONDS_PER_OPERATION = 54e-6
"""Forward, backward, clipping and update of one layer; a forward pass alone is a third of it."""
SECONDS_PER_SCORE = 7.3e-9
"""Of attention, forward and backward: a softmax is bound by memory, not by FLOPs. Forward alone is a third of it."""
BACKWARD_FACTOR = 3
"""Forward and backward of a training step, in forward passes."""
OPERATIONS_PER_WORD = 1
"""Of one direction of an LSTM: torch runs a word's product and gates in one call. From the one arm that has one."""
OPERATIONS_AROUND = 12
"""Of embedding and heads."""
PROCESS_BYTES = 400_000_000
"""A Python process with torch, before any tensor of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Cost of one trial on one core, its teacher's training not included."""

    train_seconds: float
    memory_bytes: int
    disk_bytes: int


def predict(spec: TrialSpec) -> Prediction:
    """The cost of one trial."""
    return Prediction(train_seconds=train_seconds(spec), memory_bytes=_memory(spec), disk_bytes=_disk(spec))


class Work(NamedTuple):
    """What takes time."""

    flops: float = 0.0
    operations: float = 0.0
    """Layers of training steps."""
    scores: float = 0.0
    """Of attention, in training steps."""

    @property
    def seconds(self) -> float:
        """Of one core."""
        priced = self.operations * SECONDS_PER_OPERATION + self.scores * SECONDS_PER_SCORE
        return self.flops / FLOPS_PER_SECOND + priced


class Heard(NamedTuple):
    """What a teacher says in one stage: equal for trials that can read each other's kept outputs."""

    teacher: str
    """Fingerprint."""
    seed: int
    """Of the trial, which draws the batches."""
    corpus: str
    length: int
    """Of its sequences."""
    first_update: int
    batch_size: int
    answers: tuple[tuple[int, tuple[Answer, ...]], ...]
    """With the number of updates that ask for them."""


class TrialWork(NamedTuple):
    """What one trial runs."""

    own: Work
    heard: dict[Heard, Work]
    """By its teacher, as far as its outputs are kept: for no task, and not for the triple loss."""

    @property
    def seconds(self) -> float:
        """Of the trial alone."""
        return together([self])


def train_seconds(spec: TrialSpec) -> float:
    """The time of one trial alone."""
    return work_of(spec).seconds


def together(works: Iterable[TrialWork]) -> float:
    """Seconds of trials that one run trains, what several hear of a teacher computed once.

    That is so on a CPU, one seed at a time, up to 1 GiB of outputs a teacher (`search/training/teacher_outputs.py`).
    """
    seconds, heard = 0.0, dict[Heard, Work]()
    for work in works:
        seconds += work.own.seconds
        heard |= work.heard
    return seconds + sum(work.seconds for work in heard.values())


def work_of(spec: TrialSpec) -> TrialWork:
    """What one trial runs, what it may share apart."""
    own, heard, first_update = [], dict[Heard, Work](), 0
    teacher = "" if spec.teacher is None else fingerprint(spec.teacher)
    for planned in planned_stages(spec):
        passes = _passes(spec, planned)
        own += [_student_work(spec, planned.batch_size, one) for one in passes]
        taught = [_teacher_work(spec, planned.batch_size, one) for one in passes if one.answers]
        if planned.tasks or not taught or spec.recipe.pre_training.triple is not None:
            own += taught
        else:
            answers = tuple((one.updates, one.answers) for one in passes)
            said = Heard(
                teacher, spec.seed, spec.data.corpus, spec.data.length, first_update, planned.batch_size, answers
            )
            heard[said] = _sum(taught)
        first_update += planned.updates
    return TrialWork(_sum(own), heard)


def _sum(works: list[Work]) -> Work:
    return Work(*map(sum, zip(*works, strict=True))) if works else Work()


def _passes(spec: TrialSpec, planned: PlannedStage) -> tuple[Pass, ...]:
    """Of a BiLSTM the teachers' part alone."""
    if not isinstance(spec.student, BiLSTMConfig):
        return passes_of(spec, planned)
    listens = spec.recipe.fine_tuning.distillation is not None
    answers = task_answers(spec, planned.tasks[0]) if listens else ()
    return (Pass(updates=planned.updates, blocks=0, trained_blocks=0, trains_embedding=False, answers=answers),)


def _student_work(spec: TrialSpec, batch_size: int, one: Pass) -> Work:
    config, length = spec.student, spec.data.length
    sequences = one.updates * batch_size
    if isinstance(config, BiLSTMConfig):
        per_update = 2 * length * OPERATIONS_PER_WORD + OPERATIONS_AROUND
        return Work(BACKWARD_FACTOR * sequences * student_cost(config, length).flops, one.updates * per_update)
    blocks = (one.blocks + (BACKWARD_FACTOR - 1) * one.trained_blocks) / BACKWARD_FACTOR
    operations, scores = _beside_flops(config, length, blocks)
    return Work(sequences * student_flops(spec, one), one.updates * operations, sequences * scores)


def _teacher_work(spec: TrialSpec, batch_size: int, one: Pass) -> Work:
    length, sequences = spec.data.length, one.updates * batch_size
    beside = [_beside_flops(answer.config, length, answer.blocks) for answer in one.answers]
    operations, scores = (sum(each) / BACKWARD_FACTOR for each in zip(*beside, strict=True))
    return Work(sequences * teacher_flops(spec, one), one.updates * operations, sequences * scores)


def _beside_flops(config: EncoderConfig, length: int, blocks: float) -> tuple[float, float]:
    """Operations of a training step through some blocks, and attention scores of one sequence in them."""
    per_block = 14 + 8 * config.num_feed_forward + (8 if config.use_bottleneck else 0)
    return blocks * per_block + OPERATIONS_AROUND, blocks * config.num_heads * length**2


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPrediction:
    """Cost of a whole study, its teachers included, on cores like the one of `predict`."""

    core_seconds: float
    """What trials hear of a teacher alike counted once."""
    trial_seconds: float
    """The mean trial's."""
    teacher_seconds: float
    """One teacher's; 0 where there is none."""
    memory_bytes: int
    """Of the largest trial: what one worker needs."""
    disk_bytes: int
    alone_seconds: float
    """As core_seconds, each trial as if it were alone: what the progress of all of them adds up to."""
    race_seconds: float = 0.0
    """Of the race of learning rates, its teachers included, part of core_seconds; 0 where there is none."""


def predict_study(study: Search | Ablation) -> StudyPrediction:
    """The cost of a study. Of a search it is that of trials spread over its whole space."""
    runners: list[TrialSpec] = []
    if isinstance(study, Ablation):
        specs = [one.spec for one in plan(study)]
        runners = [runner.spec for runner in contenders(study)]
        num_trials, num_streams, teachers = len(specs), 1, teachers_of(specs)
    else:
        specs = list(all_configurations(study).values())
        seeds = len(study.confirmation_seeds)
        # The front is about a quarter of the trials; it and the baseline are trained again with every fresh seed.
        num_trials = study.num_trials + seeds * (1 + round(study.num_trials / 4))
        num_streams = 1 + seeds
        teachers = teachers_of([study.baseline]) * num_streams
    works, race_works = [work_of(spec) for spec in specs], [work_of(spec) for spec in [*runners, *teachers_of(runners)]]
    own = num_trials * sum(work.own.seconds for work in works) / len(works)
    heard = num_streams * (together(works) - sum(work.own.seconds for work in works))
    taught = [train_seconds(teacher) for teacher in teachers]
    race_seconds = together(race_works)
    alone = num_trials * sum(work.seconds for work in works) / len(works) + sum(work.seconds for work in race_works)
    disk_bytes = [_disk(spec) for spec in specs]
    return StudyPrediction(
        core_seconds=own + heard + sum(taught) + race_seconds,
        trial_seconds=(own + heard) / num_trials,
        teacher_seconds=taught[0] if taught else 0.0,
        memory_bytes=max(_memory(spec) for spec in specs),
        disk_bytes=sum(disk_bytes) * num_trials // len(specs) + sum(_disk(spec) for spec in runners),
        alone_seconds=alone + sum(taught),
        race_seconds=race_seconds,
    )


def _head_parameters(config: EncoderConfig) -> int:
    extra = config.vocab_size * (config.hidden_size - config.embedding_size + 1)
    return extra + config.hidden_size * (config.hidden_size + 5)


def _memory(spec: TrialSpec) -> int:
    """Weights with gradient and two moments, the teacher's weights, and the maps that one step keeps."""
    if isinstance(spec.student, BiLSTMConfig):
        return _bilstm_memory(spec, spec.student)
    config, taught_by = spec.student, [teacher.encoder for teacher in spec.teachers]
    trained = cost(config).parameters + _head_parameters(config)
    fixed = sum(cost(one).parameters + _head_parameters(one) for one in taught_by)
    tokens = spec.recipe.pre_training.batch_size * spec.data.length
    widths = 4 * config.hidden_size + 8 * config.bottleneck_size
    widths += config.num_feed_forward * 3 * config.bottleneck_size
    widths += config.num_feed_forward * feed_forward_numbers(config, spec.data.length) // spec.data.length
    maps = tokens * config.num_layers * (widths + config.num_heads * spec.data.length)
    logits = round((1.0 if spec.recipe.pre_training.triple else MASKED_SHARE) * tokens) * config.vocab_size * 4
    return PROCESS_BYTES + 4 * (4 * trained + fixed + maps + logits)


def _bilstm_memory(spec: TrialSpec, config: BiLSTMConfig) -> int:
    """As of an encoder; a direction keeps four gates, the cell and the state of every word."""
    trained = student_cost(config).parameters
    fixed = sum(cost(teacher.encoder).parameters for teacher in spec.teachers)
    tokens = spec.recipe.fine_tuning.batch_size * spec.data.length
    maps = tokens * (config.embedding_size + 12 * config.hidden_size + config.dense_size)
    return PROCESS_BYTES + 4 * (4 * trained + fixed + maps)


def _disk(spec: TrialSpec) -> int:
    """The weights file: the pre-trained network, and the student once more for every task."""
    parameters = student_cost(spec.student).parameters
    if isinstance(spec.student, BiLSTMConfig):
        return 4 * parameters * len(spec.data.tasks) + 100_000
    return 4 * (parameters * (1 + len(spec.data.tasks)) + _head_parameters(spec.student)) + 100_000
