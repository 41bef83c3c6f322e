"""The table of request times on a market of a few hundred jobs: every kind of request is answered and timed."""

from __future__ import annotations

import numpy as np
import pytest

from bench.organic_requests import RULES_IN_FORCE, Sizes, run, show
from organic.quality.config import RULE_IDS

pytestmark = pytest.mark.slow  # it loads the sentence encoder and fits a student


@pytest.fixture(scope="module")
def result():
    return run(None, Sizes(jobs=300, requests=8, slow_requests=2, fitted=60, warm_up=1))


def test_every_row_has_its_percentiles_and_parts_that_add_up(result):
    assert result["jobs"] == 300
    assert len(result["rows"]) == 7
    for row in result["rows"].values():
        assert 0 < row["p50"] <= row["p99"]
        parts = row["parts"]
        assert np.isclose(sum(parts[name] for name in parts if name != "all"), parts["all"])


def test_facets_are_counted_only_in_their_row(result):
    rows = result["rows"]
    assert rows["profile with an area, five facets"]["parts"]["count"] > rows["profile with an area"]["parts"]["count"]


def test_the_table_has_a_line_for_every_row(result):
    head, *lines = show(result)
    assert {len(line) for line in lines} == {len(head)}
    assert [line[0] for line in lines] == list(result["rows"])


def test_the_rules_in_force_are_known_ones():
    assert set(RULES_IN_FORCE) <= set(RULE_IDS)
