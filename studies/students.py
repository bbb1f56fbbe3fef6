"""The networks of the paper's tables at a scale, each as the trial that trains it.

Studies that name the same one mean the same trial, which is trained once. All are of seed 0; `plan` sets the seeds.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.student import Student, student_cost
from search.data.spec import DataSpec
from search.recipe import Recipe
from search.study import Scale
from search.trial import TrialSpec
from studies import recipes
from studies.scales import SIZES, Size, student_encoder, student_trial, teacher_encoder, teacher_trial

Way = Callable[[Size, Recipe], Recipe]
OfOneKind = TypeVar("OfOneKind", EncoderConfig, BiLSTMConfig)


def mobilebert(
    scale: Scale, data: DataSpec, way: Way = recipes.progressive, student: Student | None = None
) -> TrialSpec:
    """MobileBERT with its operational optimisations (NoNorm and relu), trained in some way; or another student."""
    progressive = student_trial(scale, data, 0, average_heads=False)
    return recipes.trained_by(progressive, way(SIZES[scale], progressive.recipe), student)


def mobilebert_without_opt(scale: Scale, data: DataSpec, way: Way = recipes.progressive) -> TrialSpec:
    """MobileBERT with LayerNorm and gelu: the one of the paper's ladder of objectives."""
    spec = mobilebert(scale, data, way)
    return replace(spec, student=replace(spec.encoder, norm="layer_norm", activation="gelu"))


def mobilebert_tiny(scale: Scale, data: DataSpec) -> TrialSpec:
    """MobileBERT_TINY: attention reads the bottleneck, two stacked feed-forwards."""
    spec = mobilebert(scale, data)
    return replace(spec, student=replace(spec.encoder, attention_input="bottleneck", num_feed_forward=2))


def ib_bert(scale: Scale, data: DataSpec) -> TrialSpec:
    """The teacher that every student here learns from, as a trial of its own."""
    return teacher_trial(scale, data, 0)


def searched_teacher(
    scale: Scale, data: DataSpec, *, hidden_size: int, bottleneck_size: int, num_heads: int
) -> TrialSpec:
    """A teacher of Table 2 at this scale, trained as long as the paper's search: an eighth of the teacher's sequences.

    125,000 steps of 2,048 sequences, not 500,000 of 4,096 (Sun et al. 2020, section 4.2); its fine-tuning is as long as
    the students', at half the batch.

    Args:
        hidden_size: the paper's h_inter, of 1024; scaled like 512 is to the scale's width.
        bottleneck_size: the paper's h_intra, likewise.
        num_heads: the paper's.
    """
    encoder = teacher_encoder(scale, data)
    inner = scaled(scale, bottleneck_size)
    student = replace(
        encoder,
        hidden_size=scaled(scale, hidden_size),
        bottleneck_size=inner,
        num_heads=num_heads,
        feed_forward_size=4 * inner,
    )
    return replace(_searched(scale, data), student=student)


def searched_bert_large(scale: Scale, data: DataSpec) -> TrialSpec:
    """BERT_LARGE at this scale, trained like the teachers of Table 2: no bottleneck, 16 heads, all of one width."""
    return replace(
        _searched(scale, data), student=_plain(teacher_encoder(scale, data), scaled(scale, 1024), num_heads=16)
    )


def grid_student(scale: Scale, data: DataSpec, *, bottleneck_size: int, num_feed_forward: int) -> TrialSpec:
    """A student of Table 3, trained on labels alone: heads of the same size throughout.

    The feed-forward is four times the bottleneck, and wider where the student would be more than 4 % smaller than
    MobileBERT: with a small vocabulary the paper's own four differ by more than with the paper's.

    Args:
        bottleneck_size: the paper's h_intra.
        num_feed_forward: stacked in one block.
    """
    chosen = mobilebert_without_opt(scale, data, recipes.bare)
    inner = scaled(scale, bottleneck_size)
    student = replace(
        chosen.encoder,
        bottleneck_size=inner,
        num_heads=bottleneck_size // 32,
        num_feed_forward=num_feed_forward,
        feed_forward_size=4 * inner,
    )
    while _parameters(student) < 0.96 * _parameters(chosen.encoder):
        student = replace(student, feed_forward_size=student.feed_forward_size + 4)
    return replace(chosen, student=student)


def shallow_bert(
    scale: Scale, data: DataSpec, way: Way, *, like: EncoderConfig, num_layers: int | None = None
) -> TrialSpec:
    """A plain BERT as wide as the teacher's blocks read, so that states compare.

    Args:
        like: the encoder whose parameter count it comes nearest to by its depth.
        num_layers: its depth instead.
    """
    student = student_encoder(scale, data)
    depths = [num_layers] if num_layers else range(1, student.num_layers + 1)
    choices = [replace(_plain(student, student.hidden_size), num_layers=depth) for depth in depths]
    return mobilebert(scale, data, way, _nearest(choices, like))


def narrow_bert(scale: Scale, data: DataSpec, way: Way, *, like: EncoderConfig, num_layers: int) -> TrialSpec:
    """A plain BERT of some depth, as wide as makes its parameter count nearest to that of `like`."""
    student = replace(student_encoder(scale, data), num_layers=num_layers)
    choices = [_plain(student, width) for width in range(4, 2 * student.hidden_size + 1, 4)]
    return mobilebert(scale, data, way, _nearest(choices, like))


def bilstm(scale: Scale, data: DataSpec, *, like: EncoderConfig) -> TrialSpec:
    """The BiLSTM of Tang et al. 2019, distilled on tasks alone, as wide as makes its parameter count nearest to that of
    `like`.

    Its dense layer is 4/3 as wide as one direction, as in the paper (200 and 150); its word vectors, which are random
    here, are as wide as the others' embeddings.
    """
    choices = [
        BiLSTMConfig(
            embedding_size=like.embedding_size,
            num_channels=1,
            hidden_size=width,
            dense_size=width * 4 // 3,
            vocab_size=data.vocab_size,
        )
        for width in range(2, 4 * like.hidden_size + 1)
    ]
    return mobilebert(scale, data, recipes.tang_alone, _nearest(choices, like))


def scaled(scale: Scale, paper_size: int) -> int:
    """A width of the paper at this scale; its 512 is the scale's width."""
    return paper_size * SIZES[scale].hidden_size // SIZES["paper"].hidden_size


def _searched(scale: Scale, data: DataSpec) -> TrialSpec:
    """The teacher with an eighth of its pre-training and the students' fine-tuning at half the batch."""
    size, teacher = SIZES[scale], teacher_trial(scale, data, 0)
    recipe = teacher.recipe
    pre_training = replace(recipe.pre_training, steps=size.teacher_steps // 4, batch_size=size.batch_size // 2)
    fine_tuning = replace(
        recipe.fine_tuning, steps=size.student_tuning_steps, batch_size=max(1, size.tuning_batch_size // 2)
    )
    return replace(teacher, recipe=replace(recipe, pre_training=pre_training, fine_tuning=fine_tuning))


def _plain(encoder: EncoderConfig, width: int, num_heads: int = 4) -> EncoderConfig:
    """BERT's own block: no bottleneck, LayerNorm and gelu, embeddings as wide as the map."""
    return replace(
        encoder,
        hidden_size=width,
        bottleneck_size=width,
        use_bottleneck=False,
        num_heads=num_heads,
        num_feed_forward=1,
        feed_forward_size=4 * width,
        norm="layer_norm",
        activation="gelu",
        embedding_size=width,
        trigram=False,
    )


def _parameters(student: Student) -> int:
    return student_cost(student).parameters


def _nearest(choices: Iterable[OfOneKind], like: EncoderConfig) -> OfOneKind:
    return min(choices, key=lambda student: abs(_parameters(student) - _parameters(like)))
