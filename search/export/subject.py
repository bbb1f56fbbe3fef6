"""What `thinbert export` takes: a trained trial with its task networks, or a preset with random weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.encoder import Encoder
from model_zoo.networks import PreTrainingNetwork, TaskNetwork
from model_zoo.presets import PRESETS
from search.data.prepare import OpenData, open_data
from search.record import TrialRecord, read_record
from search.seeds import stream_seed
from search.training.checkpoint import load_weights
from search.trial import TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a subject has if it was trained: its trial file, and the data that it saw."""

    record: TrialRecord
    data: OpenData


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network to export."""

    name: str
    config: EncoderConfig
    weights: dict[str, Tensor]
    """As in the state dict of a `PreTrainingNetwork`."""
    tasks: dict[str, TaskNetwork]
    """Fine-tuned networks by task; none for a preset."""
    trained: Trained | None


def preset_subject(name: str, seed: int = 0) -> Subject:
    """A preset with the random weights of a seed: its shape and speed are real, its answers are not."""
    config = PRESETS[name]()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, "initialisation"))
        network = PreTrainingNetwork(config, pooler=not config.use_bottleneck)
    return Subject(name=name, config=config, weights=network.state_dict(), tasks={}, trained=None)


def trial_subject(run: Path, prefix: str) -> Subject:
    """A complete trial of a run folder, by the first digits of its fingerprint.

    Raises:
        ValueError: one line: no such trial, or several; a trial without weights; data or weights that are damaged.
    """
    record = _find(run, prefix)
    path = run / "weights" / f"{record.fingerprint}.safetensors"
    if not path.exists():
        raise ValueError(
            f"trial {record.fingerprint} of {run.name} has no weights (its status is {record.status}, or `thinbert "
            "clean` removed them); export one of the front or the baseline, or train it again"
        )
    if isinstance(record.spec.student, BiLSTMConfig):
        raise ValueError(
            f"what is exported is an encoder, trial {record.fingerprint} is a BiLSTM; load "
            f"{run.name}/weights/{path.name} into model_zoo.bilstm_task.BiLSTMTask instead"
        )
    if record.spec.student.feed_forward != "dense":
        raise ValueError(
            "what is exported must have feed_forward='dense', transformers and ONNX know no code of one's own; got "
            f"{record.spec.student.feed_forward!r}; load {run.name}/weights/{path.name} with your code instead"
        )
    weights, spec = load_weights(path), record.spec
    return Subject(
        name=f"{run.name}:{record.fingerprint[:8]}",
        config=spec.encoder,
        weights=_part(weights, "pretrained/"),
        tasks=task_networks(spec, weights),
        trained=Trained(record=record, data=open_data(run.parent / "data", spec.data)),
    )


def task_networks(spec: TrialSpec, weights: Mapping[str, Tensor]) -> dict[str, TaskNetwork]:
    """The fine-tuned network of each task, from the weights of a trial's file."""
    networks: dict[str, TaskNetwork] = {}
    for task in spec.data.tasks:
        outputs = {"classification": task.num_labels, "regression": 1, "span": 0}[task.kind]
        network = TaskNetwork(Encoder(spec.encoder), outputs, pooler=spec.recipe.pooler)
        network.load_state_dict(_part(weights, f"tasks/{task.name}/"))
        networks[task.name] = network.eval()
    return networks


def _find(run: Path, prefix: str) -> TrialRecord:
    paths = sorted((run / "trials").glob("*.json"))
    matching = [path for path in paths if prefix and path.stem.startswith(prefix)]
    if len(matching) != 1:
        listed = ", ".join(path.stem for path in (matching or paths)[:5]) or "no trials"
        raise ValueError(
            f"a fingerprint must name one trial of {run.name}, got {prefix!r}, which names "
            f"{'several' if matching else 'none'}; there are {listed}"
        )
    return read_record(matching[0])


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
