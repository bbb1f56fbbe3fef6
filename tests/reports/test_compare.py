import json
import subprocess
import sys

import pytest

from model_zoo.cost import cost
from model_zoo.presets import mobilebert
from reports.compare import compare, rows, to_documents


def test_presets_are_compared_field_by_field():
    comparison = compare(["mobilebert", "mobilebert-tiny"])
    fields = {difference.field: difference.values for difference in comparison.differences}
    assert fields == {"num_feed_forward": (4, 2), "attention_input": ("block_input", "bottleneck")}
    assert comparison.items[0].parameters == cost(mobilebert()).parameters


def test_documents_have_measurements_only_where_there_are_any(synthetic, tmp_path):
    folder = make_run(synthetic, tmp_path)
    preset, trial = to_documents(compare(["mobilebert", f"{folder}:0003"]))
    assert set(preset) == {"name", "parameters", "flops", "config"} and preset["config"]["num_layers"] == 24
    assert trial["name"] == "student-search:00030001" and trial["measurements"][0]["metric"] == "latency_ms"
    json.dumps([preset, trial])


def make_run(synthetic, tmp_path):
    records = [synthetic.make_trial(number, synthetic.make_spec()) for number in range(4)]
    return synthetic.write_run(tmp_path / "student-search", None, records)


def test_the_table_has_names_differences_cost_and_measurements(synthetic, tmp_path):
    table = rows(compare(["mobilebert", f"{make_run(synthetic, tmp_path)}:0003"]))
    assert table[0] == ("", "mobilebert", "student-search:00030001")
    assert ("num_layers", "24", "6") in table
    assert next(row for row in table if row[0] == "parameters")[:2] == ("parameters", "25,359,104")
    assert next(row for row in table if row[0] == "latency ratio")[1] == "-"


def test_a_config_file_is_read(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"num_layers": 2, "hidden_size": 64, "bottleneck_size": 16, "num_heads": 2,
                                "feed_forward_size": 64, "embedding_size": 32}))  # fmt: skip
    assert compare([str(path)]).items[0].config.bottleneck_size == 16
    assert compare([str(path)]).differences == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "must hold JSON"),
        ("[]", "config file mine.json must be a JSON object"),
        ('{"layers": 2}', "has no field 'layers'"),
        ('{"num_layers": 2}', "lacks the field 'hidden_size'"),
        (
            '{"num_layers": 2, "hidden_size": 64, "bottleneck_size": 16, "num_heads": 3, "feed_forward_size": 64}',
            "num_heads must divide bottleneck_size",
        ),
    ],
)
def test_a_file_that_is_no_config_is_refused_in_one_line(tmp_path, content, says):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=says) as caught:
        compare([str(path)])
    assert "\n" not in str(caught.value)


def test_an_unknown_name_gets_the_nearest_ones(synthetic, tmp_path):
    with pytest.raises(ValueError, match=r"got 'mobilbert'; the nearest presets are mobilebert, "):
        compare(["mobilbert"])
    with pytest.raises(ValueError, match="at least one name, got none; presets are bert-base"):
        compare([])
    folder = make_run(synthetic, tmp_path)
    with pytest.raises(ValueError, match=r"got '000', which names several; matching are 0000\w+, 0001"):
        compare([f"{folder}:000"])
    with pytest.raises(ValueError, match=r"got 'zz', which names none; there are 0000"):
        compare([f"{folder}:zz"])


def test_comparing_presets_imports_nothing_heavy():
    heavy = ("torch", "numpy", "pandas", "scipy", "seaborn", "matplotlib", "optuna", "jinja2")
    code = "import sys; from reports.compare import compare; compare(['mobilebert', 'bert-base']); "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
