"""Code of one's own in trials: its hash is in their fingerprints, it trains in workers, and is tried before a run."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

FFN = """
import torch
from torch import nn

class Gated(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.inner = nn.Linear(config.bottleneck_size, config.feed_forward_size)
        self.outer = nn.Linear(config.feed_forward_size, config.bottleneck_size)

    def forward(self, hidden):
        return self.outer(torch.tanh(self.inner(hidden)))
"""
LOSS = """
def squared(student, teacher, mask):
    return (student - teacher)[mask].square().mean()
"""


@pytest.fixture
def own(own_folder: Path) -> Callable[[str], str]:
    from model_zoo.own_code import own

    (own_folder / "my_ffn.py").write_text(FFN)
    (own_folder / "my_loss.py").write_text(LOSS)
    return own


def with_loss(spec: Any, named: str, **fields: Any) -> Any:
    transfer = replace(spec.recipe.knowledge_transfer, own_loss=named, **fields)
    return replace(spec, recipe=replace(spec.recipe, knowledge_transfer=transfer))


# Fingerprints


def test_an_edit_makes_new_trials_of_those_that_use_it_and_of_no_other(
    own: Callable[[str], str], own_folder: Path, make_spec: Callable[..., Any]
) -> None:
    from search.fingerprint import fingerprint

    def marks() -> dict[str, str]:
        plain = make_spec(with_teacher=True)
        gated = replace(plain, student=replace(plain.student, feed_forward=own("my_ffn:Gated")))
        specs = {"plain": plain, "gated": gated, "loss": with_loss(plain, own("my_loss:squared"))}
        return {name: fingerprint(spec) for name, spec in specs.items()}

    before = marks()
    (own_folder / "my_ffn.py").write_text(FFN.replace("tanh", "relu"))
    after = marks()
    assert len(set(before.values())) == 3
    assert {name for name in before if before[name] != after[name]} == {"gated"}
    (own_folder / "my_ffn.py").write_text(FFN)
    (own_folder / "my_loss.py").write_text(LOSS.replace(".square()", ".abs()"))
    assert {name for name, mark in marks().items() if mark != before[name]} == {"loss"}


def test_fingerprints_of_trials_without_it_are_what_they_were(make_spec: Callable[..., Any]) -> None:
    from search.fingerprint import canonical, fingerprint

    spec = make_spec(with_teacher=True)
    assert "feed_forward" not in str(canonical(spec)).replace("num_feed_forward", "").replace("feed_forward_size", "")
    assert "own" not in str(canonical(spec))
    assert fingerprint(spec) == "c7e3f31602d81a25"


def test_a_trial_knows_its_code_and_that_of_its_teacher(
    own: Callable[[str], str], make_spec: Callable[..., Any]
) -> None:
    from search.own_code import own_code_of

    ffn, loss = own("my_ffn:Gated"), own("my_loss:squared")
    spec = with_loss(make_spec(with_teacher=True, feed_forward=ffn), loss)
    assert own_code_of(make_spec(with_teacher=True)) == ()
    assert own_code_of(spec) == (ffn, loss)
    teacher = replace(spec.teacher, student=replace(spec.teacher.student, feed_forward=ffn))
    assert own_code_of(replace(make_spec(with_teacher=True), teacher=teacher)) == (ffn,)


def test_it_comes_back_from_json_as_it_was(own: Callable[[str], str], make_spec: Callable[..., Any]) -> None:
    from search.trial import TrialSpec
    from search.values import from_json, to_json

    spec = with_loss(make_spec(with_teacher=True, feed_forward=own("my_ffn:Gated")), own("my_loss:squared"))
    assert from_json(TrialSpec, to_json(spec)) == spec


# A loss


def test_a_loss_alone_is_the_papers_where_it_is_the_same(
    own: Callable[[str], str], make_spec: Callable[..., Any]
) -> None:
    from model_zoo.encoder import Encoder
    from search.training.block_losses import teaching

    plain = make_spec(with_teacher=True)
    off = {name: 0.0 for name in ("feature_map_factor", "mean_factor", "variance_factor", "attention_factor")}
    mine = with_loss(plain, own("my_loss:squared"), own_factor=3.0, **off).recipe.knowledge_transfer
    paper = replace(
        plain.recipe.knowledge_transfer, feature_map_form="paper", feature_map_factor=3.0, attention_factor=0.0
    )
    torch.manual_seed(0)
    student, teacher = Encoder(plain.student).eval(), Encoder(plain.teacher.student).eval()
    ids, mask = torch.arange(10).reshape(2, 5), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    losses = []
    for recipe in (mine, paper):
        taught = teaching(recipe, student, None)
        outputs = [taught.outputs(encoder, (ids, mask, ids * 0), 2) for encoder in (student, teacher)]
        losses.append(taught.mean_loss(*outputs, mask))
    assert losses[0].requires_grad
    torch.testing.assert_close(losses[0], losses[1])


def test_a_loss_is_added_to_the_others(own: Callable[[str], str], make_spec: Callable[..., Any]) -> None:
    from model_zoo.encoder import Encoder
    from search.training.block_losses import teaching

    plain = make_spec(with_teacher=True)
    with_own = with_loss(plain, own("my_loss:squared"), own_factor=2.0)
    torch.manual_seed(0)
    student, teacher = Encoder(plain.student).eval(), Encoder(plain.teacher.student).eval()
    ids, mask = torch.arange(10).reshape(2, 5), torch.ones(2, 5, dtype=torch.bool)
    found = []
    for spec in (plain, with_own):
        taught = teaching(spec.recipe.knowledge_transfer, student, None)
        outputs = [taught.outputs(encoder, (ids, mask, ids * 0), 2) for encoder in (student, teacher)]
        found.append((taught.block_loss(*outputs, mask, 1), outputs))
    maps = [output.feature_maps[1] for output in found[0][1]]
    torch.testing.assert_close(found[1][0] - found[0][0], 2.0 * (maps[0] - maps[1]).square().mean())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return student - teacher",
            r"my_loss:f must return a scalar tensor .*\(2, 3, 16\), got a tensor of shape \(2, 3",
        ),
        ("return 1.0", r"must return a scalar tensor .*got float"),
        (
            "return (student.detach() - teacher).mean()",
            r"must depend on the student's feature maps, got a loss without a gradi",
        ),
        ("return teacher.mean() / 0 + student.mean()", r"finite loss and gradient .*got a loss of (inf|-inf|nan)"),
        ("return (student - student).sum().sqrt()", r"got a loss of 0 with a gradient that is not finite"),
        ("return mask.no_such()", r"my_loss:f \(my_loss.py, line 2\) must give a loss .*got AttributeError.*mend it"),
    ],
)
def test_what_is_no_loss_is_refused_before_anything_trains(
    own: Callable[[str], str], own_folder: Path, make_spec: Callable[..., Any], body: str, message: str
) -> None:
    from search.own_code import check_own_code

    (own_folder / "my_loss.py").write_text(f"def f(student, teacher, mask):\n    {body}\n")
    spec = with_loss(make_spec(with_teacher=True), own("my_loss:f"))
    with pytest.raises(ValueError, match=message) as caught:
        check_own_code([spec])
    assert "\n" not in str(caught.value)


def test_what_is_no_name_of_a_loss_is_refused(make_spec: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"own_loss must be None or what own\('module:name'\) gives, got 'my_loss:f'"):
        with_loss(make_spec(with_teacher=True), "my_loss:f")
    with pytest.raises(ValueError, match=r"own_factor must be above 0 where there is an own_loss, got 0"):
        with_loss(make_spec(with_teacher=True), "my_loss:f@0123456789abcdef", own_factor=0.0)


def with_logits_loss(spec: Any, named: str, **fields: Any) -> Any:
    pre_training = replace(spec.recipe.pre_training, own_loss=named, **fields)
    return replace(spec, recipe=replace(spec.recipe, pre_training=pre_training))


def test_a_loss_on_logits_is_tried_with_labels_and_refused_without_a_teachers_share(
    own: Callable[[str], str], own_folder: Path, make_spec: Callable[..., Any]
) -> None:
    from search.own_code import check_own_code, own_code_of

    text = "from torch.nn.functional import cross_entropy\n\ndef good(student, teacher, labels):\n"
    text += "    assert student.shape == teacher.shape == (5, 50) and labels.shape == (5,)\n"
    text += "    return cross_entropy(student, teacher.argmax(1)) + cross_entropy(student, labels)\n"
    text += "\ndef bad(student, teacher, labels):\n    return (student - teacher).abs().mean(1)\n"
    (own_folder / "my_loss.py").write_text(text)
    spec = make_spec(with_teacher=True)
    good = with_logits_loss(spec, own("my_loss:good"), own_factor=0.5)
    check_own_code([good])
    assert own_code_of(good) == (own("my_loss:good"),)
    message = r"my_loss:bad must return a scalar tensor for logits of shape \(5, 50\), got a tensor of shape \(5,\)"
    with pytest.raises(ValueError, match=message):
        check_own_code([with_logits_loss(spec, own("my_loss:bad"))])
    with pytest.raises(ValueError, match=r"compares with a teacher: teacher_share must be above 0, got 0.0"):
        with_logits_loss(spec, own("my_loss:good"), teacher_share=0.0)


def test_a_loss_on_logits_is_added_to_distillation(own: Callable[[str], str], own_folder: Path) -> None:
    from model_zoo.networks import PreTrainingLogits
    from search.recipe import Optimizer, PreTraining
    from search.training.pretraining import _distillation

    (own_folder / "my_loss.py").write_text(
        "def f(student, teacher, labels):\n    return (student - teacher).abs().sum()\n"
    )
    rate = Optimizer(learning_rate=0.1)
    plain = PreTraining(steps=1, batch_size=1, optimizer=rate, teacher_share=0.5)
    draw = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 7, generator=draw) for _ in range(2))
    logits = PreTrainingLogits(student, torch.zeros(2, 2))
    labels = torch.tensor([1, 2, 3])
    batch = SimpleNamespace(
        is_random_next=torch.tensor([0, 1]), masked_labels=labels, masked_share=1.0, masked_real=None
    )
    target = SimpleNamespace(masked_language=teacher)
    mine = replace(plain, own_loss=own("my_loss:f"), own_factor=0.25)
    added = _distillation(logits, target, batch, mine) - _distillation(logits, target, batch, plain)  # type: ignore[arg-type]
    torch.testing.assert_close(added, 0.25 * (student - teacher).abs().sum())


# A feed-forward


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("x - x.mean(1, keepdim=True)", r"my_ffn:Mixing must map every token alone, got one that changes with another"),
        ("x.flip(1)", r"must map every token alone"),
        ("x / (x - x)", r"my_ffn:Mixing must give finite numbers for numbers of about 1, got others"),
        ("x if x.sum() > 0 else x", r"my_ffn:Mixing \(my_ffn.py, line 4\) must map a tensor of shape .*mend it there"),
    ],
)
@pytest.mark.parametrize("role", ["student", "teacher"])
def test_a_feed_forward_that_mixes_tokens_or_is_not_finite_is_refused(
    own: Callable[[str], str], own_folder: Path, make_spec: Callable[..., Any], role: str, result: str, message: str
) -> None:
    from search.own_code import check_own_code

    text = f"from torch import nn\nclass Mixing(nn.Module):\n    def forward(self, x):\n        return {result}\n"
    text += "    def __init__(self, config):\n        super().__init__()\n"
    (own_folder / "my_ffn.py").write_text(text)
    spec, named = make_spec(with_teacher=True), own("my_ffn:Mixing")
    if role == "student":
        spec = replace(spec, student=replace(spec.student, feed_forward=named))
    else:
        spec = replace(spec, teacher=replace(spec.teacher, student=replace(spec.teacher.student, feed_forward=named)))
    with pytest.raises(ValueError, match=message):
        check_own_code([spec])


def test_trying_code_draws_no_random_number(own: Callable[[str], str], make_spec: Callable[..., Any]) -> None:
    from search.own_code import check_own_code

    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_own_code([with_loss(make_spec(with_teacher=True, feed_forward=own("my_ffn:Gated")), own("my_loss:squared"))])
    assert torch.equal(torch.get_rng_state(), before)


# In workers


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    place = importlib.util.spec_from_file_location("tiny_study", Path(__file__).with_name("tiny_study.py"))
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


@pytest.fixture
def runs(tiny: ModuleType, tmp_path: Path) -> Iterator[Path]:
    from search.data.prepare import prepare

    prepare(tiny.SOURCES, tmp_path / "runs" / "data")
    yield tmp_path / "runs"


def bare(tiny: ModuleType, runs: Path, **fields: Any) -> Any:
    """A trial without a teacher, trained in a moment."""
    from search.data.prepare import prepare

    spec = tiny.tiny_ablation(prepare(tiny.SOURCES, runs / "data")).arms[0].spec
    return replace(spec, student=replace(spec.student, **fields))


def executed(tiny: ModuleType, runs: Path, spec: Any) -> Any:
    from search.execute import Watcher, execute
    from search.worker import Job

    (record,) = execute([Job(spec=spec, role="arm", home=tiny.home(runs))], workers=1, watcher=Watcher())
    return record


def test_a_worker_finds_it_beside_the_study(own: Callable[[str], str], tiny: ModuleType, runs: Path) -> None:
    record = executed(tiny, runs, bare(tiny, runs, feed_forward=own("my_ffn:Gated")))
    assert (record.status, record.reason) == ("complete", "")
    assert record.value("parameters") is not None


def test_a_trial_fails_in_one_line_where_its_code_changed_meanwhile_or_is_gone(
    own: Callable[[str], str], own_folder: Path, tiny: ModuleType, runs: Path
) -> None:
    spec = bare(tiny, runs, feed_forward=own("my_ffn:Gated"))
    (own_folder / "my_ffn.py").write_text(FFN + "# edited\n")
    record = executed(tiny, runs, spec)
    assert record.status == "failed"
    assert "my_ffn:Gated must be the code that this trial names" in record.reason
    (tiny.home(runs).run / "trials" / f"{record.fingerprint}.json").unlink()
    (own_folder / "my_ffn.py").unlink()
    assert "put my_ffn.py beside the study" in executed(tiny, runs, spec).reason


def test_an_error_in_training_names_file_and_line(
    own: Callable[[str], str], own_folder: Path, tiny: ModuleType, runs: Path
) -> None:
    failing = FFN.replace(
        "        return",
        "        if self.training and hidden.shape[0] == 8:\n            raise OSError('no luck')\n        return",
    )
    (own_folder / "my_ffn.py").write_text(failing.replace("OSError", "RuntimeError"))
    record = executed(tiny, runs, bare(tiny, runs, feed_forward=own("my_ffn:Gated")))
    assert (record.status, record.reason) == ("failed", "my_ffn.py, line 13: RuntimeError: no luck")


def test_an_edit_while_a_run_goes_on_loses_nothing_and_the_restored_file_goes_on(
    own: Callable[[str], str], own_folder: Path, tiny: ModuleType, runs: Path
) -> None:
    from search.data.prepare import prepare
    from search.execute import Watcher
    from search.run import Options, run_study

    study = tiny.tiny_ablation(prepare(tiny.SOURCES, runs / "data"))
    plain = study.arms[0]
    gated = replace(plain.spec, student=replace(plain.spec.student, feed_forward=own("my_ffn:Gated")))
    study = replace(study, arms=(replace(plain, name="gated", spec=gated), plain), seeds=(0, 1))

    def edit(fingerprint: str, stage: str, seconds: float) -> None:
        if stage == "pre-training":
            (own_folder / "my_ffn.py").write_text(FFN + "# edited\n")

    first = run_study(study, tiny.home(runs), Options(), {}, Watcher(progress=edit))
    assert sorted(record.status for record in first.records.values()) == ["complete"] * 3 + ["failed"]
    (own_folder / "my_ffn.py").write_text(FFN)
    again = run_study(study, tiny.home(runs), Options(), {}, Watcher())
    assert {record.status for record in again.records.values()} == {"complete"}
    kept = [mark for mark, record in first.records.items() if record.status == "complete"]
    assert [again.records[mark] for mark in kept] == [first.records[mark] for mark in kept]


# The run folder


def test_a_run_whose_baseline_has_other_code_is_another_run(tmp_path: Path) -> None:
    import json

    from search.run_folder import check_run

    before = {"schema": 1, "study": "s", "scale": "smoke", "baseline_fingerprint": "a", "own_code": ["m:f@0"]}
    run = tmp_path / "s-smoke"
    run.mkdir()
    (run / "study.json").write_text(json.dumps(before))
    check_run(run, before)
    message = r"its recipe or data \(code of one's own is not as it was\) is a, asked for was b; choose another folder"
    with pytest.raises(ValueError, match=message):
        check_run(run, {**before, "baseline_fingerprint": "b", "own_code": ["m:f@1"]})


def test_a_study_in_python_is_tried_before_its_run_folder_is_made(
    own: Callable[[str], str], own_folder: Path, tiny: ModuleType, runs: Path
) -> None:
    from search.data.prepare import prepare

    (own_folder / "my_loss.py").write_text("def f(student, teacher, mask):\n    return 1.0\n")
    study = tiny.tiny_ablation(prepare(tiny.SOURCES, runs / "data"))
    arms = (study.arms[0], replace(study.arms[1], spec=with_loss(study.arms[1].spec, own("my_loss:f"))))
    with pytest.raises(ValueError, match="my_loss:f must return a scalar tensor"):
        tiny.drive(replace(study, arms=arms), runs)
    assert not (runs / "tiny-smoke").exists()
