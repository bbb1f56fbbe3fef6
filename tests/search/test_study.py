"""Plans: which trials a study means, and which studies cannot answer their question."""

import re
from dataclasses import replace
from typing import Any

import pytest

from search.fingerprint import fingerprint
from search.study import (
    Arm,
    Equal,
    Replay,
    all_configurations,
    at_seed,
    check_search,
    configuration,
    knobs,
    plan,
)


def test_a_plan_is_every_arm_in_every_block_with_the_teacher_of_the_block(make_ablation: Any) -> None:
    planned = plan(make_ablation())
    assert [(one.seed, one.arm) for one in planned] == [(s, a) for s in range(6) for a in ("gelu", "relu")]
    for one in planned:
        assert one.spec.seed == one.spec.teacher.seed == one.seed
        assert one.spec.student.activation == one.arm
    assert len({fingerprint(one.spec) for one in planned}) == 12
    assert len({fingerprint(one.spec.teacher) for one in planned}) == 6


def test_the_baseline_of_an_ablation_is_its_first_arm_at_its_first_seed(make_ablation: Any) -> None:
    study = make_ablation(seeds=(4, 5, 6, 7, 8, 9))
    assert study.baseline == at_seed(study.arms[0].spec, 4)
    assert plan(study)[0].spec == study.baseline


@pytest.mark.parametrize(
    ("seeds", "arms", "floor"), [(5, 2, "0.062"), (6, 3, "0.062"), (1, 2, "1.000"), (7, 5, "0.062")]
)
def test_too_few_seeds_for_any_verdict_are_refused(
    make_ablation: Any, make_spec: Any, seeds: int, arms: int, floor: str
) -> None:
    study = make_ablation(arms=many_arms(make_spec, arms), seeds=tuple(range(seeds)))
    message = (
        f"tiny-ablation: {seeds} seeds cannot reach a verdict on {arms - 1} contrasts (smallest possible p {floor}, "
        "needed 0.05); use more seeds or fewer arms"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plan(study)


@pytest.mark.parametrize(("seeds", "arms"), [(6, 2), (7, 4), (8, 7)])
def test_just_enough_seeds_are_accepted(make_ablation: Any, make_spec: Any, seeds: int, arms: int) -> None:
    study = make_ablation(arms=many_arms(make_spec, arms), seeds=tuple(range(seeds)))
    assert len(plan(study)) == seeds * arms


def test_a_smoke_run_concludes_nothing_and_may_have_two_seeds(make_ablation: Any) -> None:
    assert len(plan(make_ablation(scale="smoke", seeds=(0, 1)))) == 4


def many_arms(make_spec: Any, count: int) -> tuple[Arm, ...]:
    specs = [make_spec(feed_forward_size=size) for size in range(1, count + 1)]
    return tuple(Arm(name=f"arm {number}", because="", spec=spec) for number, spec in enumerate(specs))


def test_two_arms_that_are_the_same_trial_are_refused(make_ablation: Any, make_spec: Any) -> None:
    # Another seed is no difference: the plan sets the seeds.
    arms = [Arm(name=f"arm {seed}", because="", spec=make_spec(seed=seed)) for seed in (0, 3)]
    with pytest.raises(
        ValueError, match=r"^tiny-ablation: arms 'arm 0' and 'arm 1' are the same trial; a knob is dead$"
    ):
        plan(make_ablation(arms=tuple(replace(arm, name=f"arm {n}") for n, arm in enumerate(arms))))


def test_two_arms_of_one_name_are_refused(make_ablation: Any) -> None:
    arms = tuple(replace(arm, name="arm") for arm in make_ablation().arms)
    with pytest.raises(ValueError, match=r"^tiny-ablation: every arm must have a name of its own, got 'arm' twice$"):
        plan(make_ablation(arms=arms))


def test_a_repeated_seed_is_no_second_block(make_ablation: Any) -> None:
    with pytest.raises(ValueError, match=r"^tiny-ablation: seeds must differ, got \(0, 0, 1, 2, 3, 4\); "):
        plan(make_ablation(seeds=(0, 0, 1, 2, 3, 4)))


@pytest.mark.parametrize(("tolerance", "accepted"), [(0.0, False), (0.4, False), (0.6, True)])
def test_arms_said_to_be_equal_are_within_their_tolerance(
    make_ablation: Any, make_spec: Any, tolerance: float, accepted: bool
) -> None:
    # student updates: 7 alone, 6 + 8 = 14 with transfer; here 6 + 4 = 10 against 7, a factor of 1.43 or more.
    taught = make_spec(with_teacher=True)
    shorter = replace(taught.recipe, pre_training=replace(taught.recipe.pre_training, steps=4))
    arms = (
        Arm(name="bare", because="", spec=make_spec()),
        Arm(name="taught", because="", spec=replace(taught, recipe=shorter)),
    )
    study = make_ablation(arms=arms, equal=(Equal(what="student_updates", tolerance=tolerance),))
    if accepted:
        assert len(plan(study)) == 12
        return
    message = (
        f"tiny-ablation: student_updates must be equal within {tolerance:.1%}, got 7 for 'bare' and 10 for 'taught'"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        plan(study)


@pytest.mark.parametrize("what", ["parameters", "flops"])
def test_parameters_and_flops_can_be_held_equal(make_ablation: Any, make_spec: Any, what: Any) -> None:
    equal = (Equal(what=what, tolerance=0.0),)
    assert plan(make_ablation(equal=equal))  # relu and gelu cost the same
    arms = (
        Arm(name="narrow", because="", spec=make_spec()),
        Arm(name="wide", because="", spec=make_spec(feed_forward_size=48)),
    )
    with pytest.raises(ValueError, match=f"{what} must be equal within 0.0%, got .* for 'narrow' and .* for 'wide'"):
        plan(make_ablation(arms=arms, equal=equal))


# Searches


def test_knobs_and_configurations_of_a_plain_space(make_search: Any) -> None:
    search = make_search()
    assert knobs(search) == {"bottleneck_size": (4, 8, 12), "num_heads": (1, 2, 4)}
    specs = all_configurations(search)
    assert len(specs) == 9
    assert {(s.student.bottleneck_size, s.student.num_heads) for s in specs.values()} == {
        (width, heads) for width in (4, 8, 12) for heads in (1, 2, 4)
    }
    assert all(fingerprint(spec) == mark for mark, spec in specs.items())
    check_search(search)


def conditional(baseline: Any) -> Any:
    """A bottleneck has a width; without one there is none to choose, but an activation."""

    def space(trial: Any) -> Any:
        if trial.suggest_categorical("attention_input", ["bottleneck", "block_input"]) == "bottleneck":
            width = trial.suggest_categorical("bottleneck_size", [4, 8])
            if width == 8:
                heads = trial.suggest_categorical("num_heads", [1, 4])
                return replace(baseline.student, attention_input="bottleneck", num_heads=heads)
            return replace(baseline.student, attention_input="bottleneck", bottleneck_size=4)
        return replace(baseline.student, activation=trial.suggest_categorical("activation", ["gelu", "relu"]))

    return space


def test_a_conditional_space_is_walked_along_every_path(make_search: Any) -> None:
    search = make_search()
    search = replace(search, space=conditional(search.baseline), first=({"attention_input": "block_input"},))
    assert knobs(search) == {
        "attention_input": ("bottleneck", "block_input"),
        "bottleneck_size": (4, 8),
        "num_heads": (1, 4),
        "activation": ("gelu", "relu"),
    }
    assert len(all_configurations(search)) == 5
    check_search(search)


def test_choices_that_depend_on_a_knob_are_merged(make_search: Any) -> None:
    search = make_search()

    def space(trial: Any) -> Any:
        width = trial.suggest_categorical("bottleneck_size", [4, 12])
        heads = trial.suggest_categorical("num_heads", [1, 2] if width == 4 else [1, 3])
        return replace(search.baseline.student, bottleneck_size=width, num_heads=heads)

    search = replace(search, space=space, first=())
    assert knobs(search) == {"bottleneck_size": (4, 12), "num_heads": (1, 2, 3)}
    assert len(all_configurations(search)) == 4
    check_search(search)


def test_a_knob_that_only_gates_disjoint_choices_is_alive(make_search: Any) -> None:
    search = make_search()

    def space(trial: Any) -> Any:
        norm = trial.suggest_categorical("norm", ["layer_norm", "no_norm"])
        heads = trial.suggest_categorical("num_heads", [1, 2] if norm == "layer_norm" else [4, 8])
        return replace(search.baseline.student, norm=norm, num_heads=heads)

    check_search(replace(search, space=space, first=()))


def test_a_dead_knob_is_an_error(make_search: Any) -> None:
    search = make_search()

    def space(trial: Any) -> Any:
        trial.suggest_categorical("colour", ["red", "green"])
        return replace(search.baseline.student, num_heads=trial.suggest_categorical("num_heads", [1, 2]))

    with pytest.raises(
        ValueError, match=r"^tiny-search: knob 'colour' is dead: none of its choices changes the encoder$"
    ):
        check_search(replace(search, space=space, first=()))


def test_a_knob_that_is_dead_in_the_branch_that_asks_for_it_is_an_error(make_search: Any) -> None:
    search = make_search()

    def space(trial: Any) -> Any:
        norm = trial.suggest_categorical("norm", ["layer_norm", "no_norm"])
        if norm == "no_norm":
            trial.suggest_categorical("epsilon", [1, 2])
        return replace(search.baseline.student, norm=norm)

    with pytest.raises(ValueError, match="knob 'epsilon' is dead"):
        check_search(replace(search, space=space, first=()))


def test_a_knob_of_one_choice_is_a_constant_and_not_dead(make_search: Any) -> None:
    search = make_search()

    def space(trial: Any) -> Any:
        trial.suggest_categorical("norm", ["layer_norm"])
        return replace(search.baseline.student, num_heads=trial.suggest_categorical("num_heads", [1, 2]))

    check_search(replace(search, space=space, first=()))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"latency_rounds": 0}, "least rounds of a latency session must be a whole number of at least 1, got 0"),
        ({"max_latency_ms": 0.0}, "max_latency_ms of a search must be above 0 and finite, got 0.0"),
        ({"max_latency_ms": float("nan")}, "max_latency_ms of a search must be above 0 and finite, got nan"),
    ],
)
def test_a_latency_that_cannot_be_measured_or_met_is_refused(
    make_search: Any, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_search(make_search(**fields))


def test_a_search_without_trials_is_refused(make_search: Any) -> None:
    with pytest.raises(ValueError, match=r"^a search needs at least 1 trial, got 0$"):
        check_search(make_search(num_trials=0))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"num_heads": 3}, "num_heads must be one of 1, 2, 4; got 3"),
        ({"colour": "red"}, "tiny-search has no knob 'colour'; its knobs are bottleneck_size, num_heads"),
    ],
)
def test_a_first_configuration_outside_the_space_is_refused(
    make_search: Any, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_search(make_search(first=(params,)))


def test_a_configuration_is_the_baseline_with_another_encoder(make_search: Any) -> None:
    search = make_search()
    spec = configuration(search, {"bottleneck_size": 12, "num_heads": 4})
    student = replace(search.baseline.student, bottleneck_size=12, num_heads=4)
    assert spec == replace(search.baseline, student=student)


def test_a_replay_answers_with_the_first_choice_where_nothing_was_given() -> None:
    replay = Replay({"a": 2})
    assert (replay.suggest_categorical("a", [1, 2]), replay.suggest_categorical("b", ["x", "y"])) == (2, "x")
    assert replay.choices == {"a": (1, 2), "b": ("x", "y")}
