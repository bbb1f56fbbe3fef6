"""Predict a latency on one device from a few measured configurations: linear, robust, and with a distribution.

Source of the idea that a linear model of some 50 samples is enough: the published tables of Wang et al. 2020 (HAT),
refitted: its error is that of a network trained on 2,000, as long as depth varies (reference notes of this project).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import spearmanr

from model_zoo.config import EncoderConfig
from model_zoo.student import Student
from search.fingerprint import fingerprint
from search.latency.case import LatencyCase, case_conditions
from search.latency.features import LAUNCHES, features
from search.latency.profile import Check, DeviceProfile, LinearModel
from search.latency.session import LatencySession
from search.latency.summary import summarise
from search.record import Interval, Measurement

Floats = NDArray[np.float64]
Features = Callable[[EncoderConfig, LatencyCase], Mapping[str, float]]
MOST_MEASURED = 50
_HUBER = 1.345
_ITERATIONS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The distribution of one configuration's latency, in the unit that the model was fitted in."""

    value: float
    """The median."""
    mean: float
    standard_deviation: float
    low: float
    high: float
    """2.5 and 97.5 % quantiles."""


def fit(
    configs: Sequence[EncoderConfig], latencies: Sequence[float], case: LatencyCase, described: Features = features
) -> LinearModel:
    """Fit a model to measured latencies: relative errors, Huber's loss, coefficients of at least 0.

    Args:
        latencies: above 0, in any unit.
        described: what the latency is linear in.

    Raises:
        ValueError: fewer than three configurations.
    """
    if len(configs) < 3:
        raise ValueError(f"a latency predictor needs at least 3 measured configurations, got {len(configs)}")
    rows = [described(config, case) for config in configs]
    matrix = np.array([list(row.values()) for row in rows])
    measured = np.array(latencies, dtype=np.float64)
    residuals = []
    for left_out in range(len(configs)):
        rest = np.arange(len(configs)) != left_out
        predicted = float(matrix[left_out] @ _robust(matrix[rest], measured[rest]))
        residuals.append(float(np.log(measured[left_out] / max(predicted, 1e-12))))
    coefficients = _robust(matrix, measured)
    return LinearModel(names=tuple(rows[0]), coefficients=tuple(map(float, coefficients)), residuals=tuple(residuals))


def predict(model: LinearModel, config: EncoderConfig, case: LatencyCase, described: Features = features) -> Prediction:
    """The latency of a configuration, with the errors that leaving out showed.

    Raises:
        ValueError: the model was fitted on other features.
    """
    row = described(config, case)
    if tuple(row) != model.names:
        raise ValueError(f"a model must be of these features, got {', '.join(model.names)}; fit it again")
    value = float(np.dot(list(row.values()), model.coefficients))
    spread = value * np.exp(np.array(model.residuals))
    # positions p (n + 1): the plain quantiles of n errors hold a new one less often than they say
    low, high = np.quantile(spread, [0.025, 0.975], method="weibull")
    return Prediction(
        value=float(np.median(spread)),
        mean=float(spread.mean()),
        standard_deviation=float(spread.std(ddof=1)),
        low=float(low),
        high=float(high),
    )


def cover(
    configs: Mapping[str, EncoderConfig], case: LatencyCase, count: int, seed: int, described: Features = features
) -> tuple[str, ...]:
    """Names of `count` configurations that cover a space: each next one is the farthest from all chosen before.

    Distances are of scaled logarithms of the features. The first is drawn at random, the rest follows from it.

    Raises:
        ValueError: more than 50 wanted, or none.
    """
    if not 1 <= count <= MOST_MEASURED:
        raise ValueError(f"a profile measures 1 to {MOST_MEASURED} configurations, got {count}")
    names = sorted(configs)
    points = np.log1p(np.array([list(described(configs[name], case).values()) for name in names]))
    spread = points.std(axis=0)
    points = points[:, spread > 0] / spread[spread > 0]
    chosen = [int(np.random.default_rng(seed).integers(len(names)))]
    nearest = np.full(len(names), np.inf)
    while len(chosen) < min(count, len(names)):
        nearest = np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(axis=1))
        nearest[chosen] = -1.0
        chosen.append(int(nearest.argmax()))
    return tuple(names[place] for place in chosen)


def agreement(configs: Sequence[EncoderConfig], predicted: Sequence[float], measured: Sequence[float]) -> Check:
    """Error and rank correlation, overall and within strata of equal depth and equal number of stacked feed-forwards.

    Depth explains nearly all of a latency, so that a correlation over all tells little of a choice at given depth.
    Where all predictions or all measurements are equal no correlation is defined: it is missing, such a stratum left
    out.
    """
    strata: dict[tuple[int, int], list[int]] = {}
    for place, config in enumerate(configs):
        strata.setdefault((config.num_layers, config.num_feed_forward), []).append(place)
    guess, truth = np.array(predicted), np.array(measured)
    usable = [members for members in strata.values() if len(members) >= 3]
    ranked = [(_spearman(guess[members], truth[members]), len(members)) for members in usable]
    found = [(rank, size) for rank, size in ranked if rank is not None]
    within = sum(rank * size for rank, size in found) / sum(size for _, size in found) if found else None
    return Check(
        mean_error=float(np.mean(np.abs(guess / truth - 1))),
        rank_correlation=_spearman(guess, truth),
        within_strata=within,
        strata=len(found),
    )


def launches(config: EncoderConfig, case: LatencyCase) -> dict[str, float]:
    """The features that count operations, whatever their size."""
    found = features(config, case)
    return {name: found[name] for name in LAUNCHES}


def profile(session: LatencySession, floor: LatencySession, space: str, mark: str) -> DeviceProfile:
    """What two sessions of the same configurations teach: at the study's case, and on a single token."""
    times, launch = summarise(session), summarise(floor)
    names = [one.name for one in session.candidates if one.name in launch.candidates]
    configs = {one.name: _encoder(one.series.config) for one in session.candidates}
    chosen, ratios = [configs[name] for name in names], [times.candidates[name].ratio.value for name in names]
    ratio = fit(chosen, ratios, session.case)
    left_out = [value / float(np.exp(error)) for value, error in zip(ratios, ratio.residuals, strict=True)]
    launch_ms = [launch.candidates[name].latency_ms.value for name in names]
    return DeviceProfile(
        space=space,
        space_mark=mark,
        case=session.case,
        reference=_encoder(session.reference.config),
        reference_ms=times.reference_ms.value,
        ratio=ratio,
        launch_ms=fit(chosen, launch_ms, session.case, launches),
        num_measured=len(names),
        check=agreement(chosen, left_out, ratios),
        conditions=session.conditions,
    )


def _encoder(student: Student) -> EncoderConfig:
    if isinstance(student, EncoderConfig):
        return student
    raise ValueError("a profile is of encoders, got a session with a BiLSTM; measure a search's configurations")


def launch_share(profile: DeviceProfile, config: EncoderConfig) -> float:
    """The part of a latency that launching its operations takes: above one half a point is launch-bound, below it
    compute-bound."""
    launch = predict(profile.launch_ms, config, profile.case, launches).value
    return launch / (predict(profile.ratio, config, profile.case).value * profile.reference_ms)


def predicted_measurements(profile: DeviceProfile, config: EncoderConfig) -> tuple[Measurement, ...]:
    """What a profile says of an encoder: `latency_ms` and `latency_ratio`, marked as predicted."""
    found, share = predict(profile.ratio, config, profile.case), launch_share(profile, config)
    conditions: dict[str, Any] = case_conditions(profile.case) | {
        "source": "predicted",
        "profile": fingerprint(profile.ratio),
        "bound": "launch" if share > 0.5 else "compute",
    }
    scales = (("latency_ms", "ms", profile.reference_ms), ("latency_ratio", "x reference", 1.0))
    return tuple(
        Measurement(
            metric=metric,
            value=found.value * scale,
            unit=unit,
            n=profile.num_measured,
            conditions=conditions | ({"reference": "baseline"} if metric == "latency_ratio" else {}),
            interval=Interval(low=found.low * scale, high=found.high * scale, level=0.95),
        )
        for metric, unit, scale in scales
    )


def _spearman(first: Floats, second: Floats) -> float | None:
    """None where one side does not vary: there is no order to agree with."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(spearmanr(first, second).statistic)


def _robust(matrix: Floats, measured: Floats) -> Floats:
    """Non-negative least squares of relative errors, reweighted so that large errors count linearly (Huber)."""
    relative = matrix / measured[:, None]
    weights = np.ones(len(measured))
    coefficients: Floats = np.zeros(matrix.shape[1])
    for _ in range(_ITERATIONS):
        root = np.sqrt(weights)
        found, _ = nnls(relative * root[:, None], root)
        if np.allclose(found, coefficients, rtol=1e-6, atol=0):
            break
        coefficients = found
        errors = np.abs(relative @ coefficients - 1)
        scale = max(1.4826 * float(np.median(errors)), 1e-9)
        weights = np.minimum(1.0, _HUBER * scale / np.maximum(errors, 1e-12))
    return coefficients
