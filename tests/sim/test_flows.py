"""Flows between groups, on careers small enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from market.careers import Careers
from market.errors import DataError
from market.taxonomy import build_taxonomy
from sim.flows import GROUPS, NAMES, SOC_MAJORS, Changes, compare, group_weights, read_flows, recorded_changes, spearman
from sim.soc_mapping import SocMapping

MIXTURE = ({"11-1011": 1.0}, {"13-1011": 0.5, "15-1111": 0.5}, {"55-1011": 1.0})


def careers() -> Careers:
    """Two people: 0 -> 0 -> 1, and 1 -> 2 -> 0 -> 1 (2 is military, in no group)."""
    occupations = np.array([0, 0, 1, 1, 2, 0, 1], np.int32)
    taxonomy = build_taxonomy("t", [(f"{i}", f"Title {i}", "Section", "Major") for i in range(3)])
    person = np.array([0, 0, 0, 1, 1, 1, 1], np.int32)
    year = np.array([1980, 1981, 1982, 1980, 1981, 1982, 1983], np.int16)
    return Careers(("a", "b"), person, year, occupations, np.full(7, np.nan, np.float32), taxonomy)


def test_the_groups_are_the_soc_majors_in_order() -> None:
    assert len(SOC_MAJORS) == len(GROUPS) == len(NAMES) == 22
    assert dict(zip(SOC_MAJORS, NAMES, strict=True))["29"] == "Healthcare practitioners"
    assert dict(zip(SOC_MAJORS, NAMES, strict=True))["53"] == "Transportation"


def test_changes_are_between_observations_of_one_person_and_split_over_groups() -> None:
    changes = recorded_changes(careers(), group_weights(SocMapping(MIXTURE, ("hand",) * 3)))
    assert changes.person.tolist() == [0, 1]  # stays, the military and the step between people are left out
    assert changes.origin[:, 0].tolist() == [1, 1]
    assert changes.destination[0, :4].tolist() == [0, 0.5, 0.5, 0]


def test_spearman_is_that_of_scipy_ties_included() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 5, 12), rng.integers(0, 5, 12)
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert np.isnan(spearman(np.ones(4), np.arange(4)))


def drawn(chance: np.ndarray, people: int) -> Changes:
    rng = np.random.default_rng(1)
    pair = rng.choice(22 * 22, people * 4, p=(chance / chance.sum()).ravel())
    one = np.eye(22)
    return Changes(np.repeat(np.arange(people), 4), one[pair // 22], one[pair % 22])


def test_the_same_flows_correlate_fully_and_turned_ones_against() -> None:
    flows = np.random.default_rng(2).gamma(0.5, 1.0, (22, 22)) * 1e6
    alike = compare(drawn(flows, 4_000), flows, np.random.default_rng(3))
    assert alike["pooled"]["spearman"] > 0.9
    assert alike["beyond_size"]["spearman"] > 0.8
    low, high = alike["pooled"]["ci95"]
    assert low < alike["pooled"]["spearman"] < high + 0.01
    against = compare(drawn(1 / (flows + 1e3), 4_000), flows, np.random.default_rng(3))
    assert against["pooled"]["spearman"] < -0.5


def test_sizes_of_groups_alone_are_not_taken_for_likeness() -> None:
    size = np.random.default_rng(4).gamma(1.0, 1.0, 22)
    rng = np.random.default_rng(5)
    ours, theirs = (rng.gamma(1.0, 1.0, (22, 22)) * size for _ in range(2))
    found = compare(drawn(ours, 4_000), theirs, np.random.default_rng(6))
    assert found["pooled"]["spearman"] > 0.3
    assert abs(found["beyond_size"]["spearman"]) < 0.2


def test_a_group_with_few_changes_is_not_correlated() -> None:
    flows = np.ones((22, 22))
    flows[7] = 1e-9
    found = compare(drawn(flows, 500), np.random.default_rng(7).random((22, 22)), np.random.default_rng(8))
    assert found["groups"][7]["spearman"] is None
    assert found["groups"][6]["spearman"] is not None


def test_months_are_added_up_and_a_missing_column_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cps_flows"
    folder.mkdir()
    frame = pd.DataFrame(
        {
            "month": ["2019-01", "2019-02", "2019-01"],
            "origin_state": ["occ22_01", "occ22_01", "nilf"],
            "destination_state": ["occ22_02", "occ22_02", "occ22_01"],
            "weighted_transition_count": [10.0, 5.0, 99.0],
        }
    )
    path = folder / "occ22_monthly_transition_counts.csv.gz"
    frame.to_csv(path, index=False)
    flows = read_flows(tmp_path)
    assert flows.sum() == flows[0, 1] == 15
    frame.drop(columns="origin_state").to_csv(path, index=False)
    with pytest.raises(DataError, match="origin_state"):
        read_flows(tmp_path)
