import copy

from reports.naming import BASELINE_NAME, point_name, unique_names


def test_the_baseline_has_its_own_name_whatever_its_seed(synthetic):
    assert point_name(synthetic.make_spec(seed=5), synthetic.make_spec(seed=0)) == BASELINE_NAME


def test_a_name_lists_what_differs_and_leaves_out_the_width_that_follows(synthetic):
    assert point_name(synthetic.make_spec(24, 2, 1), synthetic.make_spec()) == "bottleneck 24, 2 heads, 1 FFN"


def test_a_feed_forward_width_of_another_proportion_is_told(synthetic):
    spec = synthetic.make_spec(24)
    spec["student"]["feed_forward_size"] = 48
    assert point_name(spec, synthetic.make_spec()) == "bottleneck 24, FFN width 48"


def test_parts_of_recipe_and_teacher_are_named(synthetic):
    spec = copy.deepcopy(synthetic.make_spec())
    spec["recipe"]["knowledge_transfer"] = None
    spec["recipe"]["pre_training"]["steps"] = 150
    spec["student"] |= {"norm": "layer_norm", "activation": "gelu"}
    spec["teacher"]["student"]["num_layers"] = 3
    name = point_name(spec, synthetic.make_spec())
    parts = ["LayerNorm", "gelu", "no knowledge transfer", "pre training steps 150", "teacher: 3 layers"]
    assert name == ", ".join(parts)


def test_without_a_baseline_the_knobs_are_given(synthetic):
    assert point_name(synthetic.make_spec(8, 1, 2), None) == "bottleneck 8, 1 head, 2 FFNs"


def test_equal_names_are_told_apart_by_their_keys(synthetic):
    spec = synthetic.make_spec(8)
    names = unique_names([spec, spec, synthetic.make_spec()], ["aaaaaaaaaa", "bbbbbbbbbb", "c"], synthetic.make_spec())
    assert names == ["bottleneck 8 [aaaaaa]", "bottleneck 8 [bbbbbb]", BASELINE_NAME]
