"""The table of link mining on a few hundred hires: both miners agree, and the page can be shown."""

import numpy as np
import pytest

from bench.link_mining import beside_the_twin, generate, growth, measure, show


def test_survivors_and_counts_are_those_of_the_plain_pandas_twin():
    result = beside_the_twin(400)
    assert result["same"]
    assert result["survivors"] > 100


def test_generated_tables_are_the_same_for_the_same_seed(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        generate(tmp_path / name, 50, np.random.default_rng(3))
    one, other = ([path.read_bytes() for path in sorted((tmp_path / n).rglob("*.parquet"))] for n in ("one", "other"))
    assert len(one) == 3
    assert one == other


def test_the_table_has_a_row_a_size_and_says_how_time_grows():
    size = measure(600)
    twin = {"hires": 5, "same": True} | dict.fromkeys(
        ("candidates_seconds", "all_seconds", "twin_candidates_seconds", "twin_all_seconds"), 1.0
    )
    head, *rows = show({"sizes": [size], "twin": twin, "exponent": growth([size, {**size, "hires": 1200}])})
    assert {len(row) for row in rows} == {len(head)}
    assert rows[0][0] == "600"
    assert growth(
        [dict.fromkeys(("count_seconds", "weigh_seconds", "cpu_seconds"), n**2) | {"hires": n} for n in (2, 3)]
    )["cpu_seconds"] == pytest.approx(2)
    assert size["candidates"] > size["survivors"] >= size["links"] > 0
