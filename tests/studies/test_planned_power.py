"""What `show` says that the planned seeds can detect is what simulated studies of that size do detect."""

import json
from pathlib import Path

import numpy as np
import pytest

from studies.overview import overview, overview_lines
from studies.planned_power import SEEN_DEVIATIONS


def exact_p(differences: np.ndarray) -> np.ndarray:
    """One-sided exact sign-flip p of the mean, for each row."""
    num = differences.shape[1]
    signs = 1 - 2 * ((np.arange(2**num)[:, None] >> np.arange(num)) & 1)
    return (differences @ signs.T >= differences.sum(axis=1, keepdims=True) - 1e-12).mean(axis=1)


def test_a_directed_claim_is_detected_in_four_of_five_simulated_studies(tmp_path) -> None:
    found = overview("training-objectives", "cpu", tmp_path)
    claim = next(one for one in found["claims"] if one["name"] == "feature-maps-gain")
    assert (claim["test"], claim["blocks"], claim["num_blocks"]) == ("greater", "seeds", 8)
    drawn = np.random.default_rng(7).normal(size=(2000, 8)) + claim["detectable_deviations"]
    two_sided_level = 0.05 / len(found["claims"])
    assert (exact_p(drawn) <= two_sided_level / 2).mean() == pytest.approx(0.8, abs=0.04)
    assert claim["detectable"] == claim["detectable_deviations"] * SEEN_DEVIATIONS["cpu", "seeds"]
    lines = "\n".join(overview_lines(found))
    assert (
        f"greater, margin 0.3, 8 seeds: a difference of {claim['detectable_deviations']:.1f} SD, about 6.5 points"
        in lines
    )


def test_where_no_spread_was_seen_there_is_no_number_and_two_seeds_reach_no_verdict(tmp_path) -> None:
    large = overview("operational-optimisations", "gpu", tmp_path)
    assert {one["blocks"] for one in large["claims"]} == {"seeds", "sessions"}
    assert all(one["detectable"] is None and one["detectable_deviations"] > 0 for one in large["claims"])
    small = overview("training-objectives", "smoke", tmp_path)
    assert all(one["detectable_deviations"] is None for one in small["claims"])
    assert "2 seeds: can reach no verdict" in "\n".join(overview_lines(small))


def test_the_spread_that_was_seen_is_that_of_the_committed_run() -> None:
    book = json.loads((Path(__file__).parents[2] / "gallery/paper-cpu/claims.json").read_text())
    rows = [row for row in book if not row["study"].startswith("interactions")]
    for blocks, digits in (("seeds", 1), ("sessions", 3)):
        seen = np.median([float(row["deviation"]) for row in rows if row["blocks"] == blocks])
        assert SEEN_DEVIATIONS["cpu", blocks] == round(float(seen), digits)
