"""Verdicts from records: pairs, losses, families, sessions, looks, and when there is no verdict yet."""

import pytest

from reports.blocks import LostBlock
from reports.claim_text import claim_sentences
from reports.reading import read_run
from reports.records import Run
from reports.verdict import claims_of, verdicts
from search.claim import beats, gains_more

BASE = [70.0, 60, 65, 71, 68, 66, 69, 64]
UP = [2.0, 1.5, 3.0, 5.0, 4.0, 6.0, 2.5, 3.5]


def plus(values, effects):
    return [value + effect for value, effect in zip(values, effects, strict=True)]


def judge(synthetic, claimed, claims, arms, **study):
    num_seeds = len(next(iter(arms.values())))
    declared = claimed.make_study(synthetic, claims, arms, study.pop("num_seeds", num_seeds), **study)
    records = claimed.make_records(synthetic, arms)
    return verdicts(Run(name="run", study=declared, records=tuple(records), problems=()))


def test_a_directional_claim_is_reproduced_with_the_numbers_computed_by_hand(synthetic, claimed):
    claim = claimed.make_claim("better", beats("a", "bare"))
    (found,) = judge(synthetic, claimed, [claim], {"bare": BASE, "a": plus(BASE, UP)})
    assert found.claim == claim and found.outcome == "reproduced" and (found.more, found.forecast) == (None, "")
    (part,) = found.parts
    assert part.differences == tuple(UP) and part.blocks == tuple(range(8)) and part.lost == found.lost == ()
    assert (part.label, part.unit, part.mean) == ("a - bare", "points", 27.5 / 8)
    # The 6th smallest of 255 subset means: 1.5, then 1.75 (1.5, 2), 2, 2 (1.5, 2.5), 2 (1.5, 2, 2.5), 2.1667
    assert part.interval is not None and part.interval[0] == pytest.approx(6.5 / 3)
    assert (found.p, found.p_holm, found.level, found.look, found.num_looks) == (2 / 256, 2 / 256, 0.05, None, 0)


def test_the_other_way_is_contradicted_and_a_tiny_difference_is_equivalent(synthetic, claimed):
    claim = claimed.make_claim("better", beats("a", "bare"))
    down = judge(synthetic, claimed, [claim], {"bare": BASE, "a": plus(BASE, [-effect for effect in UP])})
    tiny = judge(synthetic, claimed, [claim], {"bare": BASE, "a": plus(BASE, [effect / 10 for effect in UP])})
    assert (down[0].outcome, tiny[0].outcome) == ("contradicted", "equivalent")


def test_a_run_that_diverged_or_failed_loses_its_pair_and_is_counted(synthetic, claimed):
    claim = claimed.make_claim("better", beats("a", "bare"))
    values = plus(BASE, UP)
    values[1], values[4] = None, "failed"
    (found,) = judge(synthetic, claimed, [claim], {"bare": BASE, "a": values})
    assert found.lost == (
        LostBlock(block=1, arm="a", reason="diverged"),
        LostBlock(block=4, arm="a", reason="failed"),
    )
    assert found.num_blocks == 6 and found.outcome == "reproduced" and found.p == 2 / 64


def test_a_run_that_is_not_finished_has_no_verdict(synthetic, claimed):
    claim = claimed.make_claim("better", beats("a", "bare"))
    values = plus(BASE, UP)
    values[7] = ""
    (found,) = judge(synthetic, claimed, [claim], {"bare": BASE, "a": values})
    assert (found.outcome, found.num_blocks, found.more) == ("inconclusive", 7, None)
    assert found.forecast == "no verdict before the run is finished: 1 trial"
    assert found.lost == (LostBlock(block=7, arm="a", reason="not trained"),)


def test_a_conjunction_is_as_strong_as_its_weakest_part_which_is_shown(synthetic, claimed):
    strong, weak = beats("a", "bare"), beats("b", "a")
    arms = {"bare": BASE, "a": plus(BASE, UP), "b": plus(plus(BASE, UP), [4, 3, 2, 1.5, -0.2, 2.2, 1.1, 1.3])}
    (found,) = judge(synthetic, claimed, [claimed.make_claim("ladder", strong, weak)], arms)
    assert found.outcome == "reproduced" and found.deciding == 1 and found.shown.label == "b - a"
    assert found.p == found.parts[1].p == 4 / 256 > found.parts[0].p
    (found,) = judge(synthetic, claimed, [claimed.make_claim("ladder", strong, beats("bare", "b"))], arms)
    assert found.outcome == "contradicted" and found.shown.label == "bare - b"


def test_a_part_that_would_contradict_alone_is_said_to_be_one_of_several(synthetic, claimed):
    """Six seeds: 2/64 for one part that is always below, twice that for one of two; and 5 % is between."""
    arms = {"bare": BASE[:6], "a": plus(BASE[:6], [-effect for effect in UP[:6]]), "b": plus(BASE[:6], UP[:6])}
    alone = judge(synthetic, claimed, [claimed.make_claim("better", beats("a", "bare"))], arms)
    one_of_two = judge(synthetic, claimed, [claimed.make_claim("both", beats("a", "bare"), beats("b", "bare"))], arms)
    assert (alone[0].outcome, one_of_two[0].outcome) == ("contradicted", "inconclusive")
    words = "Alone it would contradict the claim; it is one of 2 parts that were tried."
    assert words in claim_sentences(one_of_two)[0] and "Alone" not in claim_sentences(alone)[0]


def test_a_block_is_lost_to_the_part_that_needs_the_arm_only(synthetic, claimed):
    arms = {"bare": BASE, "a": plus(BASE, UP), "b": [None, *plus(plus(BASE, UP), UP)[1:]]}
    (found,) = judge(synthetic, claimed, [claimed.make_claim("ladder", beats("a", "bare"), beats("b", "a"))], arms)
    assert [part.num_blocks for part in found.parts] == [8, 7] and found.num_blocks == 7 and len(found.lost) == 1


def test_a_gain_of_one_step_over_another_is_one_contrast(synthetic, claimed):
    arms = {"bare": BASE, "a": plus(BASE, UP), "b": plus(plus(BASE, UP), [effect / 2 for effect in UP])}
    part = gains_more(("a", "bare"), ("b", "a"))
    (found,) = judge(synthetic, claimed, [claimed.make_claim("first step gains more", part)], arms)
    assert found.shown.differences == pytest.approx([effect / 2 for effect in UP])
    assert found.shown.label == "2 x a - bare - b" and found.outcome == "reproduced"


def test_holm_is_taken_over_all_claims_the_empty_one_included(synthetic, claimed):
    up, lost = claimed.make_claim("up", beats("a", "bare")), claimed.make_claim("lost", beats("b", "bare"))
    six = {"bare": BASE[:6], "a": plus(BASE, UP)[:6], "b": [None] * 6}
    assert judge(synthetic, claimed, [up], six)[0].outcome == "reproduced"
    first, second = judge(synthetic, claimed, [up, lost], six)
    assert (first.outcome, first.p_holm, first.level) == ("inconclusive", 4 / 64, 0.025)
    assert first.shown.interval is None and first.more is not None
    assert (second.outcome, second.shown.mean, second.p) == ("inconclusive", None, 1.0)
    assert second.forecast == "no forecast without a seed that every part has" and len(second.lost) == 6


def test_an_undecided_claim_says_how_many_more_seeds(synthetic, claimed):
    claim = claimed.make_claim("better", beats("a", "bare"))
    mixed = plus(BASE, [2.0, -1.0, 2.5, -0.5, 1.0, 3.0, -1.5, 1.8])
    (found,) = judge(synthetic, claimed, [claim], {"bare": BASE, "a": mixed})
    assert found.outcome == "inconclusive" and found.more is not None and 8 <= found.more <= 40
    assert found.forecast == f"about {found.more} more seeds"
    (hopeless,) = judge(synthetic, claimed, [claim], {"bare": BASE, "a": plus(BASE, [9, -9, 8, -8, 9, -9, 9, -8])})
    assert (hopeless.more, hopeless.forecast) == (None, "more than 64 more seeds")
    (one,) = judge(synthetic, claimed, [claim], {"bare": BASE[:1], "a": [72.0]})
    assert one.forecast == "no forecast from one seed"


def test_another_metric_is_the_test_splits_and_keeps_its_unit(synthetic, claimed):
    part = beats("a", "bare", "roles/accuracy")
    records = claimed.make_records(synthetic, {"bare": BASE, "a": BASE})
    for record in records:
        effect = UP[record["spec"]["seed"]] if record["trials"][0]["arm"] == "a" else 0.0
        measure = synthetic.make_measurement
        record["measurements"] += [
            measure("roles/accuracy", 9.0, "%", split="validation"),
            measure("roles/accuracy", 50.0 + effect, "%", split="test"),
        ]
    study = claimed.make_study(synthetic, [claimed.make_claim("roles", part)], ("bare", "a"), 8)
    (found,) = verdicts(Run(name="run", study=study, records=tuple(records), problems=()))
    assert found.shown.differences == tuple(UP) and found.shown.unit == "points"
    assert found.shown.label == "a - bare (roles/accuracy)"


def test_a_latency_claim_is_about_sessions_and_their_raw_samples(synthetic, claimed, tmp_path):
    claim = claimed.make_claim("faster", beats("gelu", "relu", "latency_ratio"), margin=0.05, blocks="sessions")
    sessions = {"gelu": [1.0, 1.01, 0.99, 1.0, 1.02, 1.0, None], "relu": [0.7, 0.69, 0.72, 0.7, 0.71, 0.7, None]}
    arms = {"gelu": BASE[:2], "relu": BASE[:2]}
    study = claimed.make_study(synthetic, [claim], arms, 2, latency_sessions=7)
    run = synthetic.write_run(tmp_path / "run", study, claimed.make_records(synthetic, arms))
    claimed.write_sessions(run, sessions)
    (found,) = verdicts(read_run(run))
    assert found.outcome == "reproduced" and found.num_blocks == 6 and found.shown.unit == "x reference"
    assert found.shown.differences == pytest.approx([0.3, 0.32, 0.27, 0.3, 0.31, 0.3], abs=0.005)
    assert found.lost == (LostBlock(block=6, arm="gelu", reason="session refused"),)
    (run / "latency" / "session-03.json").write_text("{")
    damaged = read_run(run)
    assert damaged.problems == (
        "latency/session-03.json: is not JSON but damaged; the same run again measures it anew",
    )
    (found,) = verdicts(damaged)
    assert found.forecast == "no verdict before the run is finished: 1 session"


def looked(synthetic, claimed, done, second=None):
    claims = [claimed.make_claim("first", beats("a", "bare")), claimed.make_claim("late", beats("b", "bare"))]
    base = [float(60 + seed) for seed in range(16)]
    mixed = [2.0, -1.0, 2.5, -0.5, 1.0, 3.0, -1.5, 1.8, *(second or [2.0] * 8)]
    arms = {"bare": base, "a": [value + 3 + 0.1 * seed for seed, value in enumerate(base)], "b": plus(base, mixed)}
    return judge(synthetic, claimed, claims, arms, looks=[8, 12, 16], looks_done=done)


def test_each_look_is_judged_at_its_share_of_the_level_and_the_first_verdict_stays(synthetic, claimed):
    first, late = looked(synthetic, claimed, 1)
    assert (first.outcome, first.look, first.num_looks, first.num_blocks) == ("reproduced", 1, 3, 8)
    assert first.level == pytest.approx(0.05 / 6) and first.p_holm == 4 / 256
    assert (late.outcome, late.look, late.num_blocks) == ("inconclusive", 1, 8)
    assert late.level == pytest.approx(0.05 / 3)
    first, late = looked(synthetic, claimed, 3)
    assert (first.look, first.num_blocks) == (1, 8)
    assert (late.outcome, late.look, late.num_blocks) == ("reproduced", 3, 16)


def test_before_the_first_look_is_done_there_is_no_verdict(synthetic, claimed):
    first, late = looked(synthetic, claimed, 0)
    assert first.outcome == late.outcome == "inconclusive" and (first.look, first.num_looks) == (None, 3)
    assert first.forecast == "no verdict before the run is finished: the first of 3 looks"


def test_a_study_without_claims_has_no_verdict_and_a_broken_claim_is_refused(synthetic, claimed):
    assert judge(synthetic, claimed, [], {"bare": BASE, "a": BASE}) == ()
    assert claims_of({}) == ()
    with pytest.raises(ValueError, match=r"^study\.json: claim lacks the field 'name'; required are name, says, "):
        claims_of({"claims": [{"says": "nothing"}]})
