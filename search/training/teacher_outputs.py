"""What a teacher says about each update's batch, computed once for all trials that share the teacher.

Batches are a function of (data, seed, update), and a teacher stands still, so that its outputs are one too: every arm
of a seed would compute the same numbers. They are kept in files of a few updates each. A file's name is the hash of
all that its content depends on; it is written whole, read with its digest checked, and can be deleted at any time:
what is missing is computed. Raw outputs are kept, of the blocks that a loss compares: embeddings, feature maps,
attention scores before any mean over heads, and vocabulary logits of the masked positions. Not kept, hence computed in
every trial: logits at every real token (the triple loss), which are large, and what a teacher says of a task's rows.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model_zoo.networks import PreTrainingNetwork
from search.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

logger = logging.getLogger(__name__)

UPDATES_PER_FILE = 16
HEADER_BYTES = 2**14
"""More than names and shapes take in a file."""


class Wanted(NamedTuple):
    """What the losses of one update compare; blocks count from 0."""

    feature_maps: tuple[int, ...] = ()
    attention_scores: tuple[int, ...] = ()
    masked_language: bool = False
    """Vocabulary logits at the masked positions."""
    embedded: bool = False
    """The embedding's output."""
    every_token: bool = False
    """The logits are of all real tokens instead; such outputs are never kept."""


class Taught(NamedTuple):
    """A teacher's outputs for one batch."""

    feature_maps: dict[int, Tensor]
    attention_scores: dict[int, Tensor]
    masked_language: Tensor | None
    embedded: Tensor | None


@torch.no_grad()
def teach(teacher: PreTrainingNetwork, batch: Any, wanted: Wanted) -> Taught:
    """Run the teacher as far as is wanted, and keep what is wanted.

    Args:
        teacher: in evaluation mode.
        batch: a `search.training.stages.Batch`.
    """
    blocks = {*wanted.feature_maps, *wanted.attention_scores}
    needed = teacher.encoder.config.num_layers if wanted.masked_language else max(blocks, default=-1) + 1
    scores = bool(wanted.attention_scores)
    output = teacher.encoder(*batch.inputs, scores=scores, num_blocks=needed)
    logits = None
    if wanted.masked_language:
        table = teacher.encoder.embedding.tokens.weight
        positions = batch.real_positions if wanted.every_token else batch.masked_positions
        logits = teacher.masked_language(output.feature_maps[-1], positions, table)
    return Taught(
        {block: output.feature_maps[block] for block in wanted.feature_maps},
        {block: output.attention_scores[block] for block in wanted.attention_scores},
        logits,
        output.embedded if wanted.embedded else None,
    )


def weights_digest(network: torch.nn.Module) -> str:
    """SHA-256 of a network's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class KeptOutputs:
    """Outputs of one teacher for one stage's updates, kept in a folder. Used by one thread at a time.

    Args:
        folder: where the files are; made when the first is written.
        limit_bytes: what all files in it may take together; at the limit no more are written.
        key: what the outputs depend on beside the update and what is wanted: the teacher's weights, data, seed, batch
            size, device and the library that computes; `head`, its masked-language head, counts where logits are wanted
            (a teacher that came without one has random weights there).
        updates: the stage's updates, one after another.
        wanted: what the losses compare at an update.
    """

    def __init__(
        self,
        folder: Path,
        limit_bytes: int,
        key: Mapping[str, Any],
        updates: range,
        wanted: Callable[[int], Wanted],
    ) -> None:
        self.folder, self.limit_bytes, self.key = folder, limit_bytes, dict(key)
        self.updates, self.wanted = updates, wanted
        self.opened: tuple[range, dict[str, Tensor] | None] = (range(0), None)
        self.pending: dict[int, Taught] = {}

    def at(self, update: int, compute: Callable[[], Taught]) -> Taught:
        """The outputs at one update: from their file, or computed and kept for a file to come."""
        part = self._part(update)
        if part != self.opened[0]:
            self.opened = (part, self._read(part))
            self.pending = {}
        kept = self.opened[1]
        if kept is not None:
            return from_tensors(kept, update, self.wanted(update))
        taught = compute()
        self.pending[update] = taught
        if len(self.pending) == len(part):  # a part that a resumed training entered in its middle is not whole
            self._write(part)
            self.pending = {}
        return taught

    def _part(self, update: int) -> range:
        begin = update - (update - self.updates.start) % UPDATES_PER_FILE
        return range(begin, min(begin + UPDATES_PER_FILE, self.updates.stop))

    def _state(self, part: range) -> dict[str, Any]:
        wanted = [self.wanted(update)._asdict() for update in part]
        unread = {"head"} if not any(one["masked_language"] for one in wanted) else set()
        key = {name: value for name, value in self.key.items() if name not in unread}
        plain = [{name: list(v) if isinstance(v, tuple) else v for name, v in one.items()} for one in wanted]
        return {**key, "updates": [part.start, part.stop], "wanted": plain}

    def _path(self, part: range) -> Path:
        text = json.dumps(self._state(part), sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"

    def _read(self, part: range) -> dict[str, Tensor] | None:
        path = self._path(part)
        try:
            found = load_checkpoint(path)
        except FileNotFoundError:
            return None
        except ValueError as error:
            logger.warning("%s; it is deleted, the teacher computes again", error)
            path.unlink(missing_ok=True)
            return None
        return found.tensors if found.state == self._state(part) else None

    def _write(self, part: range) -> None:
        tensors: dict[str, Tensor] = {}
        for update, taught in self.pending.items():
            tensors |= to_tensors(taught, update)
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
        if size + HEADER_BYTES + folder_bytes(self.folder) > self.limit_bytes:
            return
        try:
            save_checkpoint(self._path(part), Checkpoint(tensors, self._state(part)))
        except OSError as error:  # a disk too full for what can be computed again must not cost the trial
            logger.warning("teacher outputs are not kept: %s", error)
            self.limit_bytes = 0


def folder_bytes(folder: Path) -> int:
    """What the files of a folder of kept outputs take."""
    total = 0
    for path in folder.glob("*.safetensors"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # another process has just deleted it
            continue
    return total


def drop_outputs(folders: Sequence[Path]) -> None:
    """Delete folders of kept outputs, as far as they exist. A training that still reads them computes instead."""
    for folder in folders:
        for path in [*folder.glob("*.safetensors"), *folder.glob(".*.tmp")]:
            path.unlink(missing_ok=True)
        if folder.is_dir():
            try:
                folder.rmdir()
            except OSError as error:  # a training of another run has just written into it
                logger.info("%s stays: %s", folder.name, error)


def to_tensors(taught: Taught, update: int) -> dict[str, Tensor]:
    """The outputs at an update as named tensors."""
    tensors = {f"{update}/feature_map/{block}": tensor for block, tensor in taught.feature_maps.items()}
    tensors |= {f"{update}/scores/{block}": tensor for block, tensor in taught.attention_scores.items()}
    if taught.masked_language is not None:
        tensors[f"{update}/masked_language"] = taught.masked_language
    if taught.embedded is not None:
        tensors[f"{update}/embedded"] = taught.embedded
    return tensors


def from_tensors(tensors: Mapping[str, Tensor], update: int, wanted: Wanted) -> Taught:
    """The outputs that `to_tensors` named."""
    return Taught(
        {block: tensors[f"{update}/feature_map/{block}"] for block in wanted.feature_maps},
        {block: tensors[f"{update}/scores/{block}"] for block in wanted.attention_scores},
        tensors[f"{update}/masked_language"] if wanted.masked_language else None,
        tensors[f"{update}/embedded"] if wanted.embedded else None,
    )
