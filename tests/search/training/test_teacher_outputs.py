"""Teacher outputs that are kept or computed ahead: the same training bit for bit, and files that may be damaged."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model_zoo.networks import PreTrainingNetwork
from search.recipe import TripleLoss
from search.training import targets as targets_module
from search.training import teacher_outputs
from search.training.acceleration import Acceleration
from search.training.checkpoint import load_checkpoint
from search.training.loop import Keeper
from search.training.stages import Batches
from search.training.targets import targets
from search.training.teacher_outputs import Taught, Wanted, drop_outputs, folder_bytes
from search.training.train import Outcome, train
from search.trial import TrialSpec


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """What was asked of a teacher's network."""
    found: list[Wanted] = []
    real = teacher_outputs.teach

    def spy(teacher: Any, batch: Any, wanted: Wanted) -> Taught:
        found.append(wanted)
        return real(teacher, batch, wanted)

    monkeypatch.setattr(targets_module, "teach", spy)
    monkeypatch.setattr(teacher_outputs, "UPDATES_PER_FILE", 3)
    return found


@pytest.fixture
def teacher(spec: TrialSpec, teacher_weights: Any) -> PreTrainingNetwork:
    assert spec.teacher is not None
    network = PreTrainingNetwork(spec.teacher.student)
    network.load_state_dict(
        {name.removeprefix("pretrained/"): t for name, t in teacher_weights.items() if name.startswith("pretrained/")}
    )
    return network.eval().requires_grad_(False)


def outcome(spec: TrialSpec, data: Any, weights: Any, path: Path, **fields: Any) -> Outcome:
    keeper = Keeper(path=path, seconds=1e9)
    return train(spec, data, keeper=keeper, teacher_weights=weights, acceleration=Acceleration(**fields))


def assert_same(one: Outcome, other: Outcome) -> None:
    assert (one.status, one.reason, one.curves) == (other.status, other.reason, other.curves)
    assert set(one.weights) == set(other.weights)
    for name, tensor in one.weights.items():
        assert torch.equal(tensor, other.weights[name]), name


def all_targets(teacher: Any, data: Any, acceleration: Acceleration, **fields: Any) -> list[Taught]:
    options = {"seed": 7, "batch_size": 4, "updates": range(2, 9)} | fields
    batches = Batches(data.pretraining, options["seed"], 24, torch.device("cpu"), acceleration)
    wanted = fields.get("wanted", lambda update: Wanted((update % 2,), (update % 2,), update > 4))
    target = targets(teacher, batches, options["batch_size"], options["updates"], wanted)
    return [target(update)[1] for update in options["updates"]]


def tensors(taught: Taught) -> dict[Any, torch.Tensor]:
    named: dict[Any, torch.Tensor] = {("map", n): t for n, t in taught.feature_maps.items()}
    named |= {("scores", n): t for n, t in taught.attention_scores.items()}
    return named | ({} if taught.masked_language is None else {"logits": taught.masked_language})


def assert_equal(one: list[Taught], other: list[Taught]) -> None:
    for first, second in zip(one, other, strict=True):
        assert tensors(first).keys() == tensors(second).keys()
        assert all(torch.equal(tensor, tensors(second)[name]) for name, tensor in tensors(first).items())


@pytest.mark.parametrize("lookahead", [False, True])
def test_a_training_with_kept_outputs_is_the_same_bit_for_bit_and_asks_the_teacher_once(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, calls: list[Wanted], lookahead: bool
) -> None:
    plain = outcome(spec, data, teacher_weights, tmp_path / "a")
    assert len(calls) == 4 + 5
    fields = {"lookahead": lookahead, "outputs": tmp_path / "outputs"}
    first = outcome(spec, data, teacher_weights, tmp_path / "b", **fields)
    assert len(calls) == 2 * (4 + 5)
    second = outcome(spec, data, teacher_weights, tmp_path / "c", **fields)
    assert len(calls) == 2 * (4 + 5)
    assert_same(first, plain)
    assert_same(second, plain)


STRATEGIES: dict[str, dict[str, Any]] = {
    "joint": {"strategy": "joint"},
    "crossed": {"layer_map": (1, 0), "attention_factor": 0.0},
    "attention": {"strategy": "joint", "average_heads": True, "feature_map_factor": 0.0, "feature_map_form": "paper"},
    "embeddings": {"strategy": "joint", "copied": "nothing", "embedding_factor": 1.0, "attention_form": "scores"},
    "embeddings alone": {
        "strategy": "joint",
        "copied": "nothing",
        "embedding_factor": 1.0,
        "feature_map_factor": 0.0,
        "feature_map_form": "paper",
        "attention_factor": 0.0,
    },
    "hard": {"freeze": "hard"},
    "auxiliary": {"strategy": "auxiliary"},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_the_same_bit_for_bit_with_kept_outputs(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, calls: list[Wanted], strategy: str
) -> None:
    transfer = spec.recipe.knowledge_transfer
    assert transfer is not None
    recipe = replace(spec.recipe, knowledge_transfer=replace(transfer, **STRATEGIES[strategy]))
    chosen, data = without_tasks(replace(spec, recipe=recipe), data)
    plain = outcome(chosen, data, teacher_weights, tmp_path / "a")
    assert len(calls) == 4 + 5
    for lookahead, asked in ((True, 2), (False, 2)):
        fields = {"lookahead": lookahead, "outputs": tmp_path / "outputs"}
        assert_same(outcome(chosen, data, teacher_weights, tmp_path / str(lookahead), **fields), plain)
        assert len(calls) == asked * (4 + 5)


@pytest.mark.parametrize("lookahead", [False, True])
def test_the_triple_loss_is_the_same_bit_for_bit_and_nothing_of_it_is_kept(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, calls: list[Wanted], lookahead: bool
) -> None:
    pre_training = replace(spec.recipe.pre_training, teacher_share=0.0, triple=TripleLoss())
    recipe = replace(spec.recipe, knowledge_transfer=None, pre_training=pre_training)
    chosen, data = without_tasks(replace(spec, recipe=recipe), data)
    plain = outcome(chosen, data, teacher_weights, tmp_path / "a")
    fields = {"lookahead": lookahead, "outputs": tmp_path / "outputs"}
    for path in ("b", "c"):
        assert_same(outcome(chosen, data, teacher_weights, tmp_path / path, **fields), plain)
    assert len(calls) == 3 * 5
    assert not (tmp_path / "outputs").exists()


def test_random_heads_of_a_teacher_that_came_without_change_no_key_unless_they_are_read(
    teacher: Any, data: Any, tmp_path: Path, calls: list[Wanted]
) -> None:
    on, maps = Acceleration(outputs=tmp_path), Wanted(feature_maps=(0, 1))
    logits = Wanted(feature_maps=(0, 1), masked_language=True)
    for wanted in (maps, logits):
        all_targets(teacher, data, on, wanted=lambda update, wanted=wanted: wanted)
    with torch.no_grad():
        next(teacher.masked_language.parameters()).add_(1.0)
    before = len(calls)
    all_targets(teacher, data, on, wanted=lambda update: maps)
    assert len(calls) == before
    all_targets(teacher, data, on, wanted=lambda update: logits)
    assert len(calls) == before + 7


def without_tasks(spec: TrialSpec, data: Any) -> tuple[TrialSpec, Any]:
    """A trial on the corpus alone: faster, and tasks ask no teacher here."""
    assert isinstance(spec.teacher, TrialSpec)
    bare = replace(spec.data, tasks=())
    return replace(spec, data=bare, teacher=replace(spec.teacher, data=bare)), replace(data, tasks={})


def test_another_student_of_the_seed_uses_them_too(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, calls: list[Wanted]
) -> None:
    wider = replace(spec, student=replace(spec.student, bottleneck_size=12))
    plain = outcome(wider, data, teacher_weights, tmp_path / "a")
    outcome(spec, data, teacher_weights, tmp_path / "b", outputs=tmp_path / "outputs")
    before = len(calls)
    assert_same(outcome(wider, data, teacher_weights, tmp_path / "c", outputs=tmp_path / "outputs"), plain)
    assert len(calls) == before


@pytest.mark.parametrize("update", [1, 2, 5, 7])
def test_a_training_that_was_interrupted_reads_and_keeps_what_is_whole(
    spec: TrialSpec, data: Any, teacher_weights: Any, tmp_path: Path, calls: list[Wanted], update: int
) -> None:
    plain = outcome(spec, data, teacher_weights, tmp_path / "a")
    on = Acceleration(lookahead=True, outputs=tmp_path / "outputs")

    def tell(stage: str, updates: int) -> None:
        if updates == update:
            raise InterruptedError

    keeper = Keeper(path=tmp_path / "b", seconds=0.0, tell=tell)
    with pytest.raises(InterruptedError):
        train(spec, data, keeper=keeper, teacher_weights=teacher_weights, acceleration=on)
    for _ in range(2):  # the second time from its last checkpoint, that is from the end
        assert_same(
            train(spec, data, keeper=Keeper(path=tmp_path / "b"), teacher_weights=teacher_weights, acceleration=on),
            plain,
        )


def test_what_is_kept_is_what_the_losses_compare(teacher: Any, data: Any) -> None:
    wanted = Wanted(feature_maps=(1,), attention_scores=(1,))
    (taught,) = all_targets(teacher, data, Acceleration(), updates=range(1), wanted=lambda update: wanted)
    assert set(tensors(taught)) == {("map", 1), ("scores", 1)}
    batch = Batches(data.pretraining, 7, 24, torch.device("cpu")).get(0, 4)
    whole = teacher.encoder(batch.token_ids, batch.mask, batch.token_types, scores=True)
    assert torch.equal(taught.feature_maps[1], whole.feature_maps[1])
    assert torch.equal(taught.attention_scores[1], whole.attention_scores[1])
    logits = Wanted(masked_language=True)
    (taught,) = all_targets(teacher, data, Acceleration(), updates=range(1), wanted=lambda update: logits)
    expected = teacher(batch.token_ids, batch.mask, batch.token_types, batch.masked_positions).masked_language
    assert set(tensors(taught)) == {"logits"}
    assert taught.masked_language is not None
    assert torch.equal(taught.masked_language, expected)
    assert len(expected) == len(batch.masked_positions) < batch.mask.numel()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"batch_size": 5},
        {"updates": range(3, 9)},
        {"wanted": lambda update: Wanted(feature_maps=(0,))},
        {"teacher": True},
        {"data": True},
    ],
)
def test_outputs_of_anything_else_are_never_taken_for_these(
    teacher: Any, data: Any, tmp_path: Path, calls: list[Wanted], change: dict[str, Any]
) -> None:
    on = Acceleration(outputs=tmp_path)
    all_targets(teacher, data, on)
    if change.pop("teacher", False):
        with torch.no_grad():
            teacher.encoder.blocks[0].attention.query.weight[0, 0] += 1e-3
    if change.pop("data", False):
        ids = data.pretraining.token_ids.copy()
        ids[-1] = ids[-2]
        data = replace(data, pretraining=replace(data.pretraining, token_ids=ids))
    expected = all_targets(teacher, data, Acceleration(), **change)
    before = len(calls)
    assert_equal(all_targets(teacher, data, on, **change), expected)
    assert len(calls) == before + len(expected)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_file_is_named_and_computed_again(
    teacher: Any, data: Any, tmp_path: Path, calls: list[Wanted], caplog: Any, damage: Any
) -> None:
    expected = all_targets(teacher, data, Acceleration(outputs=tmp_path))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    damage(files[1])
    before = len(calls)
    with caplog.at_level(logging.WARNING):
        assert_equal(all_targets(teacher, data, Acceleration(outputs=tmp_path)), expected)
    assert len(calls) - before in (1, 3)  # three updates to a file, one in the last
    assert [record.message.split(" (")[0] for record in caplog.records] == (
        [] if damage is Path.unlink else [f"checkpoint {files[1].name} is corrupted"]
    )
    load_checkpoint(files[1])  # whole again


def test_the_folder_never_takes_more_than_its_budget(
    teacher: Any, data: Any, tmp_path: Path, calls: list[Wanted]
) -> None:
    expected = all_targets(teacher, data, Acceleration(outputs=tmp_path))
    sizes = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert folder_bytes(tmp_path) == sum(sizes)
    for limit in (0, sizes[-1] + 2**14, sum(sizes) - 1):
        drop_outputs([tmp_path])
        limited = Acceleration(outputs=tmp_path, outputs_bytes=limit)
        assert_equal(all_targets(teacher, data, limited), expected)
        assert folder_bytes(tmp_path) <= limit
        assert_equal(all_targets(teacher, data, limited), expected)
    drop_outputs([tmp_path, tmp_path])
    assert not tmp_path.exists()


def test_a_full_disk_costs_the_outputs_and_not_the_trial(
    teacher: Any, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    expected = all_targets(teacher, data, Acceleration())
    monkeypatch.setattr(teacher_outputs, "save_checkpoint", full)
    with caplog.at_level(logging.WARNING):
        assert_equal(all_targets(teacher, data, Acceleration(outputs=tmp_path / "outputs")), expected)
    assert [record.message for record in caplog.records] == [
        "teacher outputs are not kept: [Errno 28] No space left on device"
    ]
