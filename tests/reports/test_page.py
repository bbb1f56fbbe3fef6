import copy
import csv
import json
import re
from html.parser import HTMLParser

import pytest

from reports.page import write_report


class Elements(HTMLParser):
    """Tags with their attributes, ids, and whether all but void elements are closed in order."""

    void = frozenset({"meta", "br", "link", "img", "path", "use", "rect"})

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def report(search_run, tmp_path_factory):
    return write_report(search_run, tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def page(report):
    return report.read_text(encoding="utf-8")


def test_the_page_needs_nothing_but_itself(page):
    elements = Elements(page)
    assert elements.open == []
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}
    assert "http" not in page and "@import" not in page and "javascript:" not in page
    for _, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert set(re.findall(r"url\((.)", page)) <= {"#"}


def test_every_id_is_there_once_and_every_figure_is_described(page):
    elements = Elements(page).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pictures = [attributes for tag, attributes in elements if tag == "svg"]
    assert len(pictures) == 8
    for attributes in pictures:
        assert attributes["role"] == "img" and set(attributes["aria-labelledby"].split()) <= set(ids)


@pytest.mark.parametrize(
    "phrase",
    [
        "50 trials: 48 complete, 2 diverged.",
        "What can and cannot be concluded",
        "3 seeds",
        "majority class",
        "What was scaled down",
        "740,000 steps of 4,096 x 512 tokens",
        "feedfacefeedface",
        "the loss was not finite at step 35 of transfer-2",
        "thinbert run student-search --scale cpu --runs runs --corpus ~/texts/corpus --workers 2",
        "AMD EPYC",
        "hypervolume",
        "prefers-color-scheme: dark",
        "@media print",
        'name="viewport"',
    ],
)
def test_the_page_says(page, phrase):
    assert phrase in page


def test_no_output_names_a_person_or_a_place_on_disk(report, search_run):
    for path in report.parent.rglob("*"):
        if path.is_file() and path.suffix != ".png":
            text = path.read_text(encoding="utf-8")
            assert "/home" not in text and "ada/" not in text and str(search_run.parent) not in text
            assert str(report.parent) not in text


def test_figures_and_tables_lie_beside_the_page(report):
    names = {str(path.relative_to(report.parent)) for path in report.parent.rglob("*") if path.is_file()}
    pictures = {f"figures/{name}.png" for name in ("front", "size", "curves", "importance")}
    listed = {
        f"tables/{name}.{kind}"
        for name in ("trials", "points", "front", "importance", "tasks")
        for kind in ("csv", "json")
    }
    assert names == {"index.html", *pictures, *listed}
    front = json.loads((report.parent / "tables/front.json").read_text())
    assert all(row["on_front"] and row["num_seeds"] == 3 and row["accuracy_interval"] for row in front)
    with open(report.parent / "tables/trials.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 50


def test_the_same_run_gives_the_same_page(search_run, page, tmp_path):
    assert write_report(search_run, tmp_path).read_text(encoding="utf-8") == page


def render(synthetic, tmp_path, records, study=None):
    folder = synthetic.write_run(tmp_path / "run", synthetic.make_study() if study is None else study, records)
    text = write_report(folder).read_text(encoding="utf-8")
    assert Elements(text).open == []
    return text


def test_an_empty_run_says_so(synthetic, tmp_path):
    text = render(synthetic, tmp_path, [])
    assert "This run has no trials yet." in text and "<svg" not in text


def test_a_study_without_anything_recorded_says_not_recorded(synthetic, tmp_path):
    text = render(synthetic, tmp_path, [synthetic.make_trial(0, synthetic.make_spec())], {"schema": 1})
    assert "scale not recorded" in text and "Teacher: not recorded" in text and "The command was not recorded" in text
    assert "nothing to compare it with" in text


def test_a_run_in_which_everything_diverged_says_so(synthetic, tmp_path):
    records = [synthetic.make_trial(n, synthetic.make_spec(8 * n + 8), status="diverged") for n in range(3)]
    text = render(synthetic, tmp_path, records)
    assert "3 trials: 3 diverged." in text and "there is no front to show" in text
    assert text.count("the loss was not finite") == 3


def test_a_trial_with_nothing_measured_does_no_harm(synthetic, tmp_path):
    record = synthetic.make_trial(0, synthetic.make_spec(), status="failed")
    record |= {"measurements": [], "curves": [], "provenance": {}, "trials": []}
    assert "1 failed" in render(synthetic, tmp_path, [record])


def test_an_ablation_shows_all_its_arms(synthetic, tmp_path):
    records = [synthetic.make_trial(n, synthetic.make_spec(8 * n + 8), role="arm") for n in range(3)]
    text = render(synthetic, tmp_path, records, synthetic.make_study() | {"kind": "ablation"})
    assert "The arms" in text and "Every arm, fastest first" in text and "Importance of each knob" not in text


def test_hostile_texts_are_shown_and_not_run(synthetic, tmp_path):
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    record = synthetic.make_trial(0, synthetic.make_spec(), status="diverged")
    record["reason"] = f"=cmd() {evil}"
    other = synthetic.make_trial(1, synthetic.make_spec(8))
    other["spec"]["student"]["norm"] = evil
    other["measurements"].append(synthetic.make_measurement(f"{evil}/accuracy", 50.0, "%", split="test"))
    other["curves"][0]["stage"] = evil
    other["provenance"]["machine"] = evil
    study = copy.deepcopy(synthetic.make_study())
    study |= {"question": evil, "command": evil, "study": evil, "scale": evil}
    study["data_report"] = {evil: {evil: evil}, "a": [1, None, {"b": 2.5}]}
    study["scaling"] = [{"what": evil, "paper": evil, "here": None}, "no object"]
    text = render(synthetic, tmp_path, [record, other], study)
    tags = {tag for tag, _ in Elements(text).found}
    assert "script" not in tags and "img" not in tags
    assert "&lt;script&gt;" in text
    trials = (tmp_path / "run/tables/trials.csv").read_text()
    assert "'=cmd()" in trials and ",=cmd()" not in trials


def test_a_damaged_file_is_listed_on_the_page(synthetic, tmp_path):
    folder = synthetic.write_run(tmp_path / "run", synthetic.make_study(), [])
    (folder / "trials" / "x.json").write_text("{")
    text = write_report(folder).read_text(encoding="utf-8")
    assert "Files that could not be used" in text and "trials/x.json: is not JSON" in text
