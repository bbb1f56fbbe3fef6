"""Options of `run` and `measure` in the groups that --help shows them in; what they mean together is not checked here.

Fields are called as those of `RunRequest` and `MeasureRequest`, and the texts below them, or beside
those that need more than a line, are the help.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter


def _whole(kind: type, tokens: Sequence[Any]) -> int:
    """A whole number; int(1.5) would be one too."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"must be a whole number, got {tokens[0].value!r}") from None


Whole = Annotated[int, Parameter(converter=_whole)]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document and nothing else.")]
Switch = Annotated[bool, Parameter(negative="")]


def asked(*parts: Any) -> dict[str, Any]:
    """Every option of some groups by its field's name."""
    return {field.name: getattr(part, field.name) for part in parts for field in fields(part)}


@Parameter(name="*", group=Group("Data of your own", sort_key=1))
@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """What is trained on instead of the built-in language, and who teaches."""

    corpus: str | None = None
    """Text to pre-train on: a file, a folder, or hub:OWNER/NAME; the built-in language where left out."""
    vocabulary: str | None = None
    """A vocab.txt in BERT's form; trained on the corpus where left out."""
    teacher: Path | None = None
    """Folder of a Hugging Face BERT, pre-trained or fine-tuned, that teaches in place of one trained here."""
    tasks: str | None = None
    """Names of tasks between commas, such as sst2,cola."""
    task_data: str | None = None
    """Folder that holds a folder per task in GLUE's or SQuAD's form, or hub:OWNER/NAME."""
    task_files: Annotated[tuple[str, ...], Parameter(name="--task-file", negative="", show_default=False)] = ()
    """A task of your own: name=sentiment,file=reviews.csv,text=review,label=stars,metric=accuracy (and text2=...)."""


@Parameter(name="*", group=Group("Of a search", sort_key=2))
@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What a search tries."""

    trials: Whole | None = None
    """Distinct configurations a search tries, instead of the scale's number."""
    first: Annotated[tuple[str, ...], Parameter(name="--try", negative="", show_default=False)] = ()
    """A configuration to try first: bottleneck_size=24,num_heads=2,num_feed_forward=4."""


@Parameter(name="*", group=Group("Latency that a search sees", sort_key=3))
@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """How it is measured or predicted, and what is too much."""

    runtime: Annotated[
        str | None,
        Parameter(
            help="What latency is measured in, instead of the study's: eager, compile, folded, onnx, onnx-int8 or "
            "cuda-graph. With onnx-int8 accuracy is that of the int8 form too."
        ),
    ] = None
    threads: Whole | None = None
    """That it is measured with, at most the cores there are."""
    max_latency_ms: float | None = None
    """A cap: the front holds what takes at most so many milliseconds, and the report says how surely."""
    profile: Path | None = None
    """A file of `thinbert measure --profile-space`: latency is predicted, and measured for the front at the end."""


@Parameter(name="*", group=Group("Training", sort_key=4))
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How trials use the machine."""

    device: str = "auto"
    """auto, cpu or cuda."""
    accelerate: Annotated[
        str,
        Parameter(
            help="Names between commas. compile: one block compiled for all; graphs: that in CUDA graphs; bfloat16: "
            "products; prefetch: batches drawn ahead. All but prefetch change the last digits of results; trial files "
            "say what was on."
        ),
    ] = ""
    replicas: Annotated[
        int,
        Parameter(
            converter=_whole,
            help="Seeds of an arm that are trained as one computation. It changes the last digits of "
            "results; trial files say so. On two cores it was measured not to pay (benchmarks/replicas.py).",
        ),
    ] = 1


@Parameter(name="*", group=Group("Seeds until claims are decided", sort_key=5))
@dataclass(frozen=True, slots=True, kw_only=True)
class LookOptions:
    """When verdicts are looked at, and how long that may go on."""

    until_decided: Switch = False
    """Of a study with claims: look at 8, 12 and 16 seeds, each at a third of the level; stop when all are decided."""
    budget: str | None = None
    """Time by the clock for --until-decided, such as 2h or 90min; no look is begun that is expected to exceed it."""


@Parameter(name="*", group=Group("What is timed", sort_key=1))
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOptions:
    """The case of a latency."""

    runtimes: Annotated[tuple[str, ...], Parameter(name="--runtime", negative="", show_default=", ".join)] = ("eager",)
    """eager, compile, folded, onnx, onnx-int8 or cuda-graph; several times for several."""
    batch: Whole = 1
    """Sequences per forward pass."""
    length: Whole = 128
    """Tokens per sequence."""
    threads: Whole = 1
    """Of torch on the CPU."""
    device: str = "cpu"
    """cpu, cuda or cuda:1."""


@Parameter(name="*", group=Group("How long", sort_key=2))
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """When a session ends."""

    rounds: Whole | None = None
    """Exactly so many samples of each, instead of stopping when all intervals are at most 1 % wide."""
    seconds: float = 60.0
    """The most one session may take."""


@Parameter(name="*", group=Group("A device's profile", sort_key=3))
@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileOptions:
    """The space that it is learned on."""

    profile_space: str | None = None
    """A search whose space is measured for `thinbert run --profile FILE`."""
    scale: str = "cpu"
    """Of that search."""
    measured: Whole = 50
    """Configurations measured for the profile, at most 50."""
