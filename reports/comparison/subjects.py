"""What the names after `thinbert compare` mean. Imports nothing heavy until a name is that of a run folder.

A name is a preset, a JSON file with the fields of an EncoderConfig (or a trial file), a Hugging Face folder (its
config.json alone is read), `RUN:FINGERPRINT` (the first digits are enough), `RUN:ARM` with all its seeds, or `RUN`: a
search stands for the point to decide on, an ablation for all its arms.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from model_zoo.bilstm_config import BiLSTMConfig
from model_zoo.config import EncoderConfig
from model_zoo.presets import PRESETS
from model_zoo.student import Student
from model_zoo.transformers_config import from_fields
from reports.records import Record, Run
from search.files import read_json
from search.values import from_json

Kind = Literal["preset", "config file", "Hugging Face folder", "trial", "arm", "point of a search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The run that an item is of."""

    folder: Path
    run: Run
    """With its latency sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One item of a comparison."""

    name: str
    kind: Kind
    student: Student
    encoder: str = ""
    """The fingerprint under which sessions know it; empty outside runs."""
    source: Source | None = None
    blocks: Mapping[int, Record | None]
    """Its trial of each seed, None where that was planned and is not there; empty outside runs."""
    arm: str = ""
    note: str = ""
    """How it was chosen, where a name leaves that open."""

    @property
    def records(self) -> tuple[Record, ...]:
        """Its trials, by seed."""
        return tuple(record for _, record in sorted(self.blocks.items()) if record is not None)

    @property
    def spec(self) -> Record | None:
        """What its first trial says of student, recipe, teacher and data; None outside runs."""
        return self.records[0]["spec"] if self.records else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What one name stands for: one item, or all arms of an ablation."""

    name: str
    subjects: tuple[Subject, ...]
    is_ablation: bool = False


def read_groups(names: Sequence[str]) -> tuple[Group, ...]:
    """One group per name; no two of their items are called alike.

    Raises:
        ValueError: nothing named, an unknown name (with the nearest ones), a file or folder that holds no config, no
            such arm or trial or several, a run without trials.
    """
    if not names:
        raise ValueError(f"compare needs at least one name, got none; presets are {', '.join(PRESETS)}")
    sources: dict[Path, Source] = {}
    used: set[str] = set()
    return tuple(_renamed(_read(name, sources), used) for name in names)


def read_subject(name: str) -> Subject:
    """The one item that a name stands for. Raises ValueError as `read_groups`, and for an ablation, which is many."""
    (group,) = read_groups([name])
    if group.is_ablation:
        arms = ", ".join(subject.arm for subject in group.subjects)
        raise ValueError(f"one encoder is needed, got the ablation {group.name}; name RUN:ARM, its arms are {arms}")
    return group.subjects[0]


def printable(text: str) -> str:
    """Text on one line without characters that steer a terminal.

    >>> printable("an arm\\x1b[31m")
    'an arm?[31m'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def encoder_of(content: Any, place: str) -> EncoderConfig:
    """A config from its JSON; a trial's student may be a BiLSTM, whose fields have no counterpart in an encoder's."""
    if isinstance(content, dict) and "num_channels" in content:
        raise ValueError(f"{place} holds a BiLSTM, compare shows encoders; its figures are on the run's page")
    return from_json(EncoderConfig, content, place=place)


def student_of(content: Any, place: str) -> Student:
    """The same, a BiLSTM too."""
    is_bilstm = isinstance(content, dict) and "num_channels" in content
    return from_json(BiLSTMConfig, content, place) if is_bilstm else from_json(EncoderConfig, content, place)


def _read(name: str, sources: dict[Path, Source]) -> Group:
    if name in PRESETS:
        return _single(Subject(name=name, kind="preset", student=PRESETS[name](), blocks={}))
    path = Path(name)
    if path.is_file():
        return _single(_from_file(path))
    if path.is_dir() and (path / "config.json").is_file() and not (path / "study.json").is_file():
        return _single(_from_huggingface(path))
    if path.is_dir():
        from reports.comparison.runs import read_whole

        return read_whole(path, sources)
    for place, letter in enumerate(name):
        if letter == ":" and place and Path(name[:place]).is_dir():
            from reports.comparison.runs import read_part

            return _single(read_part(Path(name[:place]), name[place + 1 :], sources))
    raise ValueError(
        "a configuration is a preset, a JSON file, a Hugging Face folder, RUN, RUN:ARM or RUN:FINGERPRINT, got "
        f"{name!r}; {_nearest(name)}"
    )


def _single(subject: Subject) -> Group:
    return Group(name=subject.name, subjects=(subject,))


def _nearest(name: str) -> str:
    """The folder beside it whose name comes nearest, for what looks like a path; else the nearest presets."""
    path = Path(name.partition(":")[0])
    if ("/" in name or ":" in name) and path.parent.is_dir():
        beside = sorted(folder.name for folder in path.parent.iterdir() if folder.is_dir())
        folders = difflib.get_close_matches(path.name, beside, n=3, cutoff=0.6)
        if folders:
            return f"the nearest folders there are {', '.join(folders)}"
    near = difflib.get_close_matches(name, PRESETS, n=3, cutoff=0.4) or list(PRESETS)
    return f"the nearest presets are {', '.join(near)}"


def _from_file(path: Path) -> Subject:
    content = read_json(path)
    if isinstance(content, dict) and isinstance(content.get("spec"), dict):
        content = content["spec"]
    if isinstance(content, dict) and isinstance(content.get("student"), dict):
        content = content["student"]
    config = encoder_of(content, place=f"config file {path.name}")
    return Subject(name=printable(path.stem), kind="config file", student=config, blocks={})


def _from_huggingface(folder: Path) -> Subject:
    name = folder.resolve().name
    config, _, _ = from_fields(read_json(folder / "config.json"), f"{name}/config.json")
    return Subject(name=printable(name), kind="Hugging Face folder", student=config, blocks={})


def _renamed(group: Group, used: set[str]) -> Group:
    """The group with a number behind every name that an earlier item has already."""
    renamed = []
    for subject in group.subjects:
        name, count = subject.name, 1
        while name in used:
            count += 1
            name = f"{subject.name} ({count})"
        used.add(name)
        renamed.append(replace(subject, name=name))
    return replace(group, subjects=tuple(renamed))
