"""RESULTS.md says what the committed pages of the cpu-scale run say, number for number.

A sentence with numbers is a template here; what stands in its places is read from the gallery (one number, of the value
and the full-size ratios of one benchmark, from studies/LOG.md). A number of the prose that is in no place of a template
is a problem, so that none can be added unchecked.
"""

import csv
import json
import re
from pathlib import Path
from statistics import median
from string import Formatter
from types import SimpleNamespace
from typing import Any

from model_zoo.cost import cost
from model_zoo.presets import mobilebert
from reports.forecast import detectable
from search.claim import LEVEL
from search.study import Ablation
from studies.catalogue import load_study
from studies.data_specs import known_data_spec
from studies.operational_optimisations import PAPER
from studies.scales import sources

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "gallery/paper-cpu"
LOG = (ROOT / "studies/LOG.md").read_text()
TEXT = (ROOT / "RESULTS.md").read_text()
CONCLUSIONS = "## The paper's conclusions"
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
NUMBER = re.compile(
    rf"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?|\b(?:{'|'.join(WORDS[2:])}|twice|half|quarter|eighth)\b", re.I
)
NAMES = (
    "(Sun et al., 2020)", "(LOG, Table 7)", "**8 bits** lose", "512 is still wide for the paper",
    "half of a small width", "A quarter of the width between blocks costs",
    "points against a half, and costs in the paper",
    "inside the paper's half point on average", "(commit d141a10)",
)  # fmt: skip
"""Where a number names something that was not measured: years, tables, widths by which arms are called."""

SENTENCES = (
    "encoders of up to {most_blocks} blocks and {fewest:,} to {most:,} parameters, the built-in artificial language, "
    "its {tasks} tasks, {seeds} seeds. Of {claims} claims: {reproduced} reproduced, {contradicted} contradicted, "
    "{inconclusive} inconclusive.",
    "At the same FLOPs NoNorm saves {c[no-norm-saves-latency].percent:.0f} % of the slowest form's latency, relu "
    "{c[relu-saves-latency].percent:.0f} %, both {c[flops-do-not-predict-latency].percent:.0f} %, in all of {sessions} "
    "measuring sessions.",
    "The paper's savings are larger ({paper[NoNorm & gelu]:.0f}, {paper[LayerNorm & relu]:.0f} and "
    "{paper[NoNorm & relu]:.0f} %)",
    "encoders some {smaller} times smaller.",
    "both together save {full_size[eager]:.0f} % in eager torch, {full_size[ONNX int8]:.0f} % in ONNX Runtime's int8",
    "MobileBERT is {c[thin-beats-shallow].effect:.1f} points above DistilBERT of the same size "
    "({c[thin-beats-shallow].low:.1f} to {c[thin-beats-shallow].high:.1f}), and",
    "Against PKD, {pkd} as large, there is no telling ({c[mobilebert-beats-pkd].effect:.1f}, "
    "{c[mobilebert-beats-pkd].low:.1f} to {c[mobilebert-beats-pkd].high:+.1f}).",
    "IB-BERT is not below BERT_LARGE; it is {c[ib-bert-as-good-as-bert-large].effect:.1f} points above "
    "({c[ib-bert-as-good-as-bert-large].low:.1f} to {c[ib-bert-as-good-as-bert-large].high:.1f}), more",
    "here both see an {teachers_share} of the teacher's sequences",
    "The student stays below its teacher ({c[the-teacher-stays-above].effect:.1f}, "
    "{c[the-teacher-stays-above].low:.1f} to {c[the-teacher-stays-above].high:.1f}).",
    "A quarter of the width between blocks costs {c[h-inter-below-512-costs].effect:.1f} points against a half",
    "But the first halving costs {c[h-inter-512-costs-nothing].less:.1f} here ({c[h-inter-512-costs-nothing].least:.1f}"
    " to {c[h-inter-512-costs-nothing].most:.1f}) and nothing in the paper: the {contradicted_word} **contradiction**.",
    "Distillation, feature maps, attention: {c[distillation-gains].effect:+.1f}, {c[feature-maps-gain].effect:+.1f}, "
    "{c[attention-gains].effect:+.1f} points, all with {inside} inside.",
    "{seeds_first} seeds of this scale can show about {can_show:.1f} points, and the paper's gains are "
    "{paper_gains[0]:.1f} to {paper_gains[1]:.1f}.",
    "lose between {least_lost} and {worst_lost:.1f} points on the worst task",
    "({arms} arms over {factors} factors, a study of its own)",
    "undecided in all {undecided} claims.",
)


def read(study: str, table: str) -> list[dict[str, str]]:
    with (BOOK / f"{study}-cpu/tables/{table}.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def claims() -> dict[str, Any]:
    """Every claim with its numbers, seen from the other side too, and in per cent."""
    found = {}
    for row in json.loads((BOOK / "claims.json").read_text()):
        effect, low, high = (float(row[name]) for name in ("effect", "low", "high"))
        found[row["claim"]] = SimpleNamespace(
            **row | {"effect": effect, "low": low, "high": high}, less=-effect, least=-high, most=-low,
            percent=100 * effect,
        )  # fmt: skip
    return found


def values() -> dict[str, Any]:
    """What stands in the places of the sentences."""
    judged = claims()
    every = [row for path in BOOK.glob("*-cpu") for row in read(path.name.removesuffix("-cpu"), "trials")]
    parameters = {row["arm"]: float(row["parameters"]) for row in every}
    outcomes = [one.verdict for one in judged.values()]
    seeds = WORDS[len({row["seed"] for row in every})]
    one_in_eight = sequences("training-objectives", "IB-BERT") == 8 * sequences("teacher-search", "a")
    latency = [judged[name] for name in ("no-norm-saves-latency", "relu-saves-latency", "flops-do-not-predict-latency")]
    gains = [judged[name] for name in ("distillation-gains", "feature-maps-gain", "attention-gains")]
    int8 = [one for name, one in judged.items() if name.endswith("loses-at-most-half-a-point")]
    flips = read("interactions", "claims")
    slowest, *others = PAPER[0].rows
    named = [float(gain) for gain in re.findall(r"\+(\d\.\d)", judged["feature-maps-gain-most"].source)]
    return {
        "c": judged,
        "most_blocks": WORDS[max(int(row["num_layers"]) for row in read("systems", "trials") if row["num_layers"])],
        "fewest": int(round(min(parameters.values()), -3)), "most": int(round(max(parameters.values()), -3)),
        "tasks": WORDS[len({row["task"] for row in read("training-objectives", "tasks")})],
        "seeds": seeds, "seeds_first": seeds.capitalize(), "claims": len(outcomes),
        **{verdict: outcomes.count(verdict) for verdict in ("reproduced", "contradicted", "inconclusive")},
        "contradicted_word": WORDS[outcomes.count("contradicted")],
        # No smaller p is possible: the difference has one sign in every session.
        "sessions": WORDS[latency[0].n] if all(one.p == 2.0 ** (1 - one.n) for one in latency) else "?",
        "paper": {name: 100 * (1 - ms / slowest[1][0]) for name, (ms, _) in others},
        "smaller": int(round(cost(mobilebert()).parameters / parameters["MobileBERT"], -1)),
        "full_size": full_size(),
        "pkd": "twice" if round(parameters["PKD"] / parameters["MobileBERT"], 1) == 2.0 else "?",
        "teachers_share": "eighth" if one_in_eight else "?",
        "inside": "zero" if all(one.low < 0 < one.high for one in gains) else "?",
        "can_show": can_show(judged), "paper_gains": (min(named), max(named)),
        "least_lost": "nothing" if all(one.high > 0 for one in int8) else "?",
        "worst_lost": max(-one.low for one in int8),
        "arms": len({row["arm"] for row in read("interactions", "trials")}),
        "factors": WORDS[len(read("interactions", "trials")[0]["arm"].split(", "))],
        "undecided": WORDS[len(flips)] if {row["verdict"] for row in flips} == {"inconclusive"} else "?",
    }  # fmt: skip


def full_size() -> dict[str, float]:
    """What both optimisations save at MobileBERT's own size, in per cent by runtime, from the log's table."""
    entry = LOG[LOG.index("the paper's Table 7 in every runtime, at full size") :]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in entry.split("\n") if line[:1] == "|"]
    both = next(row for row in rows if row[0] == "NoNorm & relu")
    return {name: 100 * (1 - float(cell.split()[0])) for name, cell in zip(rows[0][1:5], both[1:5], strict=True)}


def sequences(study: str, arm: str) -> int:
    """That an arm is pre-trained on."""
    declared = load_study(study).declare("cpu", known_data_spec(sources("cpu"), Path("nowhere")))
    assert isinstance(declared, Ablation)
    stage = next(one for one in declared.arms if one.name == arm).spec.recipe.pre_training
    return stage.steps * stage.batch_size


def can_show(judged: dict[str, Any]) -> float:
    """The difference that the seeds show in 4 of 5 studies, as `thinbert show` says it: at the median spread of the
    paper's claims, with one decimal, at the strictest level that Holm's method may hold training-objectives to.
    """
    papers = [one for one in judged.values() if one.unit == "points" and not one.study.startswith("interactions")]
    level = LEVEL / sum(one.study.startswith("training-objectives") for one in papers)
    spread = round(median(one.deviation for one in papers), 1)
    found = detectable(judged["distillation-gains"], spread, papers[0].n, level)
    assert found is not None
    return found


def prose(text: str) -> str:
    """All but the table of conclusions, on one line, links by their text."""
    start = text.index(CONCLUSIONS)
    rest = text[:start] + text[text.index("\n## ", start + 1) :]
    return " ".join(re.sub(r"\]\([^)]*\)", "]", rest).split())


def rendered(template: str, found: dict[str, Any]) -> tuple[str, list[tuple[int, int]]]:
    """A sentence with its numbers, and where these stand."""
    text, places = "", []
    formatter = Formatter()
    for literal, field, form, _ in formatter.parse(template):
        text += literal
        if field is not None:
            value = formatter.format_field(formatter.get_field(field, (), found)[0], form or "")
            places.append((len(text), len(text) + len(value)))
            text += value
    return text, places


def problems(text: str, found: dict[str, Any]) -> list[str]:
    """Sentences that say something else than the records, and numbers that no sentence accounts for."""
    line, wrong, covered = prose(text), [], list[tuple[int, int]]()
    for sentence, places in [*(rendered(one, found) for one in SENTENCES), *((name, None) for name in NAMES)]:
        start = line.find(sentence)
        if start < 0 or line.count(sentence) > 1:
            wrong.append(f"must be said once: {sentence}")
            continue
        covered += [(start + a, start + b) for a, b in places or [(0, len(sentence))]]
    for number in NUMBER.finditer(line):
        if not any(a <= number.start() and number.end() <= b for a, b in covered):
            wrong.append(f"accounted for by nothing: {line[max(0, number.start() - 40) : number.end() + 10]}")
    return wrong


def section(text: str, heading: str) -> str:
    return text[text.index(heading) :].split("\n## ")[0].strip()


def test_the_table_of_conclusions_is_the_books() -> None:
    book = (BOOK / "results.md").read_text()
    assert section(TEXT, CONCLUSIONS) == section(book, CONCLUSIONS)
    assert book.split("\n")[2] in " ".join(TEXT.split())
    assert len(re.findall(r"^\| \d+ \|", TEXT, re.M)) == 11


def test_every_number_of_the_prose_is_the_value_of_what_its_sentence_names() -> None:
    assert problems(TEXT, values()) == []


def test_a_changed_number_is_found_wherever_it_stands() -> None:
    found, start = values(), TEXT.index(CONCLUSIONS)
    table = range(start, TEXT.index("\n## ", start + 1))
    digits = [place.start() for place in re.finditer(r"\d", TEXT) if place.start() not in table]
    assert len(digits) > 100 and problems(TEXT, found) == []
    for place in digits:
        changed = TEXT[:place] + str((int(TEXT[place]) + 1) % 10) + TEXT[place + 1 :]
        assert problems(changed, found), TEXT[max(0, place - 30) : place + 10]


def test_numbers_of_two_sentences_cannot_be_swapped_and_none_can_be_added() -> None:
    found = values()
    assert problems(TEXT.replace("10.5 points above", "15.6 points above"), found)
    assert problems(TEXT.replace("+0.5, -1.2, +1.9", "-1.2, +0.5, +1.9"), found)
    assert problems(TEXT.replace("- **The teacher.**", "- **The teacher.** It gains 3.1 points."), found)
    assert problems(TEXT.replace("eight seeds. Of", "nine seeds. Of"), found)


def test_every_sentence_is_about_the_record_that_it_names() -> None:
    """Another value of a claim gives another sentence, for each claim that is quoted."""
    found = values()
    quoted = {name for sentence in SENTENCES for name in re.findall(r"c\[([\w-]+)\]", sentence)}
    assert len(quoted) == 12
    for name in quoted:
        kept = vars(found["c"][name])
        other = SimpleNamespace(**{key: each + 1 if isinstance(each, float) else each for key, each in kept.items()})
        assert problems(TEXT, found | {"c": found["c"] | {name: other}}), name
