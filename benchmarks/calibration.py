"""How often is a verdict false, and how often is a true claim reproduced? Synthetic studies with known answers.

Run as `python -m benchmarks.calibration --studies 20000 --seed 0`. It judges simulated studies by the code that judges
real ones and prints a table: the share of studies with any false verdict (at most 5 % where arms are exchangeable but
for a shift; only reported where noise is skewed and differs between arms), and what became of the first claim. Effects
and margins are in standard deviations of a paired difference; where looks were declared, they are included.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from reports.calibration import Noise, Rates, Truth, rates
from reports.forecast import detectable
from search.claim import LEVEL, Claim, Part, Test, beats, gains_more

NOISES: tuple[Noise, ...] = get_args(Noise)[:-1]
"""Those under which arms are exchangeable."""
LOOKS = (8, 12, 16)


def claim(name: str, *parts: Part, test: Test = "greater", margin: float = 0.5) -> Claim:
    """A claim about nothing in particular."""
    return Claim(
        name=name, says=name, source="simulated", test=test, margin=margin, margin_because="simulated", parts=parts
    )


def hardest_family() -> tuple[tuple[Claim, ...], dict[str, float]]:
    """Six claims that are all false, each by as little as can be: any verdict that says otherwise is false.

    Four arms are alike, `c` is better by the margin of the claim that it costs nothing, `d` worse by that of the claim
    that it loses nothing.
    """
    claims = (
        claim("a beats bare", beats("a", "bare")),
        claim("b beats bare", beats("b", "bare"), margin=1.0),
        claim("b beats a", beats("b", "a"), margin=2.0),
        claim("a beats bare and b beats a", beats("a", "bare"), beats("b", "a")),
        claim("c costs nothing", beats("c", "bare"), test="equivalent", margin=1.0),
        claim("d is not less", beats("d", "bare"), test="not less", margin=1.0),
    )
    return claims, {"bare": 0.0, "a": 0.0, "b": 0.0, "c": 1.0, "d": -1.0}


def null_truths() -> Iterator[Truth]:
    """Where the false-verdict rate counts: single claims, families, looks, and every noise shape."""
    arms = {"bare": 0.0, "a": 0.0}
    one = claim("a", beats("a", "bare"))
    family, means = hardest_family()
    for noise in NOISES:
        yield Truth(name="greater, no effect", claims=(one,), means=arms, noise=noise)
        same = claim("a", beats("a", "bare"), test="equivalent", margin=1.0)
        yield Truth(name="equivalent, effect = margin", claims=(same,), means=arms | {"a": 1.0}, noise=noise)
        less = replace(same, test="not less")
        yield Truth(name="not less, effect = -margin", claims=(less,), means=arms | {"a": -1.0}, noise=noise)
        yield Truth(
            name="greater, effect = margin", claims=(replace(one, margin=1.0),), means=arms | {"a": 1.0}, noise=noise
        )
        yield Truth(name="six claims, all on the border", claims=family, means=means, noise=noise)
        yield Truth(name="one claim, three looks", claims=(one,), means=arms, noise=noise, looks=LOOKS)
        yield Truth(name="six claims, three looks", claims=family, means=means, noise=noise, looks=LOOKS)


def unbounded_truths() -> Iterator[Truth]:
    """Where differences are not symmetric: what the rate is then is reported, not bounded."""
    arms = {"bare": 0.0, "a": 0.0, "b": 0.0}
    one, steps = claim("a", beats("a", "bare")), claim("a", gains_more(("b", "a"), ("a", "bare")))
    family, means = hardest_family()
    unequal = Truth(name="greater, no effect", claims=(one,), means=arms, noise="skewed, unequal", bounded=False)
    yield unequal
    yield replace(unequal, name="six claims, all on the border", claims=family, means=means)
    yield Truth(name="one step gains more, no effect", claims=(steps,), means=arms, noise="bimodal", bounded=False)


def planned_truths() -> Iterator[tuple[Truth, float]]:
    """True claims with the effect (or the margin) that planning promises to show in 80 % of studies."""
    for num_seeds in (8, 12):
        one = claim("a", beats("a", "bare"), margin=0.01)
        effect = detectable(one, 1.0, num_seeds)
        assert effect is not None
        means = {"bare": 0.0, "a": effect}
        yield Truth(name=f"greater by {effect:.2f}", claims=(one,), means=means, looks=(num_seeds,)), 0.8
        for test in ("equivalent", "not less"):
            margin = detectable(replace(one, test=test), 1.0, num_seeds)
            assert margin is not None
            same = replace(one, test=test, margin=margin)
            name = f"{test} within {margin:.2f}, no effect"
            yield Truth(name=name, claims=(same,), means={"bare": 0.0, "a": 0.0}, looks=(num_seeds,)), 0.8


def power_truths() -> Iterator[Truth]:
    """True claims of several sizes under every noise shape, and with looks."""
    one = claim("a", beats("a", "bare"), margin=0.25)
    for noise in NOISES:
        for effect in (0.5, 1.0, 1.5, 2.0):
            means = {"bare": 0.0, "a": effect}
            truth = Truth(name=f"greater by {effect}", claims=(one,), means=means, noise=noise)
            yield truth
            yield replace(truth, name=f"greater by {effect}, three looks", looks=LOOKS)


COLUMNS = (
    "truth", "noise of a run", "seeds", "false, %", "bound, %", "reproduced, %", "contradicted, %", "equivalent, %",
    "planned, %",
)  # fmt: skip


def row(truth: Truth, found: Rates, planned: float | None = None) -> str:
    """One line of the table."""
    first = found.outcomes[0]
    shares = " | ".join(f"{100 * first[name]:.1f}" for name in ("reproduced", "contradicted", "equivalent"))
    bound = f"<= {100 * LEVEL:g}" if truth.bounded else "reported"
    promised = "" if planned is None else f"{100 * planned:g}"
    seeds = "/".join(map(str, truth.looks))
    return f"| {truth.name} | {truth.noise} | {seeds} | {100 * found.false:.2f} | {bound} | {shares} | {promised} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    print(f"simulated studies a row: {options.studies} ({options.studies // 5} with looks); seed {options.seed}")
    print(f"| {' | '.join(COLUMNS)} |")
    print(f"|{' --- |' * len(COLUMNS)}")
    rows: list[tuple[Truth, float | None]] = [(truth, None) for truth in (*null_truths(), *unbounded_truths())]
    rows += [*planned_truths(), *((truth, None) for truth in power_truths())]
    for truth, planned in rows:
        studies = options.studies // (5 if len(truth.looks) > 1 else 1)
        print(row(truth, rates(truth, studies, options.seed), planned), flush=True)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
