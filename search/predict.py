"""What a trial and a study will cost before anything runs: time, memory and disk, from the values alone.

Time is training FLOPs over a sustained rate plus a fixed price per operation, which is what small encoders mostly pay.
Both constants were fitted to two trainings on one core of a 2-core AVX-512 server: 182 s for a teacher of 0.58 M
parameters, 36 s for its student. A prediction is for orientation, within a factor of two or three elsewhere.
"""

from dataclasses import dataclass
from functools import lru_cache

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.cost import cost, feed_forward_numbers
from model_zoo.student import Student, student_cost
from search.race import contenders
from search.recipe import FineTuning, PreTraining
from search.study import Ablation, Search, all_configurations, plan
from search.trial import TrialSpec, teachers_of

FLOPS_PER_SECOND = 80e9
SECONDS_PER_OPERATION = 35e-6
BACKWARD_FACTOR = 3
"""Forward and backward of a training step, in forward passes."""
OPERATIONS_PER_WORD = 8
"""Of one direction of an LSTM: a product, four gates, what they make of the cell. Counted from its formula, not fitted.
"""
MASKED_SHARE = 0.15
"""Of the tokens: where logits over the vocabulary are computed."""
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


def train_seconds(spec: TrialSpec) -> float:
    """The time of one trial alone, for reports of thousands."""
    recipe, data = spec.recipe, spec.data
    student = _step(spec.student, data.length)
    teacher = None if spec.teacher is None else _step(spec.teacher.student, data.length)
    transfer, is_auxiliary = recipe.knowledge_transfer, False
    seconds = 0.0
    if transfer is not None and teacher is not None:
        is_auxiliary = transfer.strategy == "auxiliary"
        step = student.train(transfer.batch_size) + teacher.forward(transfer.batch_size)
        if transfer.strategy == "progressive":
            # Phase l runs l of L blocks of both networks: (L + 1) / 2L of them on average.
            step *= (spec.encoder.num_layers + 1) / (2 * spec.encoder.num_layers)
        seconds += 0.0 if is_auxiliary else transfer.steps * step
    steps = recipe.student_updates if is_auxiliary else recipe.pre_training.steps
    seconds += steps * _pretraining_step(recipe.pre_training, student, teacher, with_teacher=is_auxiliary)
    others = sum(_step(other.encoder, data.length).forward(recipe.fine_tuning.batch_size) for other in spec.ensemble)
    tuning = _task_seconds(recipe.fine_tuning, student, teacher) + recipe.fine_tuning.steps * others
    return seconds + len(data.tasks) * tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPrediction:
    """Cost of a whole study, its teachers included, on cores like the one of `predict`."""

    core_seconds: float
    trial_seconds: float
    """The mean trial's."""
    teacher_seconds: float
    """One teacher's; 0 where there is none."""
    memory_bytes: int
    """Of the largest trial: what one worker needs."""
    disk_bytes: int
    race_seconds: float = 0.0
    """Of the race of learning rates, its teachers included, part of core_seconds; 0 where there is none."""


def predict_study(study: Search | Ablation) -> StudyPrediction:
    """The cost of a study. Of a search it is that of trials spread over its whole space."""
    runners: list[TrialSpec] = []
    if isinstance(study, Ablation):
        specs = [one.spec for one in plan(study)]
        runners = [runner.spec for runner in contenders(study)]
        num_trials, teachers = len(specs), teachers_of(specs)
    else:
        specs = list(all_configurations(study).values())
        seeds = len(study.confirmation_seeds)
        # The front is about a quarter of the trials; it and the baseline are trained again with every fresh seed.
        num_trials = study.num_trials + seeds * (1 + round(study.num_trials / 4))
        teachers = teachers_of([study.baseline]) * (1 + seeds)
    costs = [predict(spec) for spec in specs]
    trial_seconds = sum(cost.train_seconds for cost in costs) / len(costs)
    teacher_seconds = predict(teachers[0]).train_seconds if teachers else 0.0
    race_seconds = sum(predict(spec).train_seconds for spec in [*runners, *teachers_of(runners)])
    race_bytes = sum(predict(spec).disk_bytes for spec in runners)
    return StudyPrediction(
        core_seconds=num_trials * trial_seconds + len(teachers) * teacher_seconds + race_seconds,
        trial_seconds=trial_seconds,
        teacher_seconds=teacher_seconds,
        memory_bytes=max(cost.memory_bytes for cost in costs),
        disk_bytes=sum(cost.disk_bytes for cost in costs) * num_trials // len(costs) + race_bytes,
        race_seconds=race_seconds,
    )


def _pretraining_step(recipe: PreTraining, student: "_Step", teacher: "_Step | None", *, with_teacher: bool) -> float:
    """One step of the pre-training, the teacher's part included where there is one."""
    batch_size = recipe.batch_size
    # The triple loss needs the vocabulary's logits at all tokens, not at those to be guessed alone.
    positions = 1.0 if recipe.triple else MASKED_SHARE
    step = student.train(batch_size) + student.vocabulary(batch_size, BACKWARD_FACTOR, positions)
    if teacher is not None and (recipe.distils or with_teacher):
        step += teacher.forward(batch_size) + teacher.vocabulary(batch_size, 1, positions)
    return step


def _task_seconds(recipe: FineTuning, student: "_Step", teacher: "_Step | None") -> float:
    """Fine-tuning of one task, its intermediate stage included."""
    step, distillation = student.train(recipe.batch_size), recipe.distillation
    if distillation is None or teacher is None:
        return recipe.steps * step
    seconds = recipe.steps * (step + teacher.forward(recipe.batch_size))
    stage = distillation.intermediate
    if stage is None:
        return seconds
    return seconds + stage.steps * (student.train(stage.batch_size) + teacher.forward(stage.batch_size))


class _Step:
    """Seconds of one step of a student on one core."""

    def __init__(self, config: Student, length: int) -> None:
        self.config, self.length = config, length
        self.flops = student_cost(config, length).flops
        if isinstance(config, BiLSTMConfig):
            self.operations = 2 * length * OPERATIONS_PER_WORD + 12
            return
        per_block = 14 + 8 * config.num_feed_forward + (8 if config.use_bottleneck else 0)
        self.operations = config.num_layers * per_block + 12

    def forward(self, batch_size: int) -> float:
        return batch_size * self.flops / FLOPS_PER_SECOND + self.operations * SECONDS_PER_OPERATION / 3

    def train(self, batch_size: int) -> float:
        flops = BACKWARD_FACTOR * batch_size * self.flops
        return flops / FLOPS_PER_SECOND + self.operations * SECONDS_PER_OPERATION

    def vocabulary(self, batch_size: int, passes: int, share: float) -> float:
        masked = share * batch_size * self.length
        return passes * 2 * masked * self.config.vocab_size * self.config.hidden_size / FLOPS_PER_SECOND


@lru_cache(maxsize=256)
def _step(config: Student, length: int) -> _Step:
    """Thousands of trials share a few teachers, and every seed shares its student."""
    return _Step(config, length)


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
