"""The ablation's table."""

import numpy as np
import pytest

from bench.ablation import Size, fewer, run, show
from graph.ablation import VARIANTS
from sim.generated import generated_careers


def test_of_many_persons_some_are_taken_by_their_ids_alone():
    careers = generated_careers(200, np.random.default_rng(0), years=3)
    assert fewer(careers, 1_000).person_ids == careers.person_ids
    some = fewer(careers, 50)
    assert len(some.person_ids) == 50
    assert fewer(careers.of_persons(np.isin(careers.person_ids, some.person_ids)), 50).person_ids == some.person_ids


def test_the_table_shows_the_base_and_differences_to_it():
    nothing = {name: {key: 0.0, "ci95": None} for name, key in [("recall@10", "recall@10"), ("changes", "mrr")]}
    nothing |= {"cold": {"mrr": 0.0, "ci95": None}, "all": {"mrr": 0.0, "ci95": None}}
    scores = {"changes": {"recall@10": 0.5, "mrr": 0.25}, "cold": {"mrr": 0.2}, "all": {"mrr": 0.4}, "log_loss": 4.0}
    base = {"name": "base", "seconds": 3, **scores, "over_base": {**nothing, "log_loss": {"nats": 0.0, "ci95": None}}}
    other = {**base, "name": "other", "over_base": {**nothing, "log_loss": {"nats": -0.1, "ci95": [-0.2, 0.05]}}}
    head, first, second = show({"rows": [base, other]})
    assert len(head) == len(first) == len(second)
    assert first == ["base", "0.500", "0.2500", "0.2000", "0.4000", "4.000", "3"]
    assert second[0] == "other"
    assert second[-2] == "-0.1000 [-0.2000, +0.0500]"


@pytest.mark.slow
def test_every_variant_runs_without_any_data():
    result = run(None, Size(persons=100, epochs=1))
    assert [row["name"] for row in result["rows"]] == [variant.name for variant in VARIANTS]
    assert len(show(result)) == len(VARIANTS) + 1
