"""A device profile: what a latency predictor learned on one machine for one space, as a value that travels as a file.
Needs neither torch nor numpy."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_zoo.config import EncoderConfig
from search.files import read_json, write_whole
from search.fingerprint import fingerprint
from search.latency.case import LatencyCase
from search.values import from_json, to_json

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearModel:
    """Coefficients, each at least 0: no operation takes negative time."""

    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    residuals: tuple[float, ...]
    """log(measured / predicted) of each measured configuration by a model fitted without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How the predictor meets its own measurements, each left out in turn."""

    mean_error: float
    rank_correlation: float | None
    """Spearman's; None where all predictions or all measurements are equal, so that there is no order."""
    within_strata: float | None
    """Within strata of equal depth and equal number of stacked feed-forwards; None where `strata` is 0."""
    strata: int
    """Those with three members or more whose predictions and measurements differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """Latency ratios to `reference` on one device under one case, predicted from a config."""

    space: str
    """The study whose space was measured."""
    space_mark: str
    """`space_mark` of that space."""
    case: LatencyCase
    reference: EncoderConfig
    reference_ms: float
    ratio: LinearModel
    launch_ms: LinearModel
    """The time of as many operations on a single token: what launching alone costs."""
    num_measured: int
    check: Check
    conditions: dict[str, Any]
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"schema must be {SCHEMA}, got {self.schema}; this profile is of another version")


def space_mark(knobs: dict[str, tuple[Any, ...]], baseline: EncoderConfig) -> str:
    """A short name for a space: its knobs and the encoder that they vary. The vocabulary is not part of it: its table
    is looked up, whatever its size."""
    choices = {name: [repr(choice) for choice in values] for name, values in knobs.items()}
    return fingerprint({"knobs": choices, "baseline": replace(baseline, vocab_size=1)})


def write_profile(path: Path, profile: DeviceProfile) -> None:
    """Write a profile whole."""
    write_whole(path, json.dumps(to_json(profile), indent=1, allow_nan=False) + "\n")


def read_profile(path: Path) -> DeviceProfile:
    """Read a profile. Raises ValueError naming the file and what is wrong with it."""
    if not path.is_file():
        raise ValueError(f"a device profile must be a file that `thinbert measure --profile-space` wrote, got {path}")
    return from_json(DeviceProfile, read_json(path), place=f"device profile {path.name}")


def check_profile(profile: DeviceProfile, name: str, mark: str, case: LatencyCase) -> None:
    """Raises ValueError where a profile is of another space or another case than a study's."""
    wanted = f"{name} --runtime {case.runtime} --threads {case.threads}"
    again = f"make one with `thinbert measure --profile-space {wanted}`"
    if profile.space_mark != mark:
        raise ValueError(f"a profile must be of this study's space, got one of {profile.space} that differs; {again}")
    if profile.case != case:
        raise ValueError(f"a profile must be of the case {case.label}, got {profile.case.label}; {again}")
