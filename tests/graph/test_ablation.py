"""Variants are data: each changes what it names, and all are judged on the same persons."""

from dataclasses import replace

import numpy as np
import pytest

from graph.ablation import VARIANTS, Variant, ablate
from graph.bipartite import examples_from_careers
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig
from market.errors import DataError
from sim.generated import generated_careers

WIDTHS = ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4)
QUICK = TrainConfig(epochs=1, batch=256, learning_rate=1e-2, members=3, backwards=0.3, model=WIDTHS)
CAREERS = generated_careers(80, np.random.default_rng(0), years=6)
EXAMPLES = examples_from_careers(CAREERS)


def rows_of(*variants, **more):
    return ablate(EXAMPLES, CAREERS.taxonomy, QUICK, np.random.default_rng(1), variants=variants, **more)


def test_a_variant_changes_what_it_names_and_nothing_else():
    variant = Variant("x", train={"backwards": 0.0}, model={"encoder": "mean"})
    assert variant.of(QUICK, 5) == replace(QUICK, members=1, backwards=0.0, model=replace(WIDTHS, encoder="mean"))
    assert Variant("y", titles=True).of(QUICK, 5).model.titles == 5


def test_every_variant_is_a_configuration_that_can_be_built():
    names = [variant.name for variant in VARIANTS]
    assert len(set(names)) == len(names)
    assert [variant.of(TrainConfig(), 3) for variant in VARIANTS]


def test_the_base_differs_from_itself_by_nothing():
    (row,) = rows_of(Variant("base"))
    for part, name in (("changes", "mrr"), ("cold", "mrr"), ("all", "mrr"), ("log_loss", "nats")):
        assert row["over_base"][part] == {name: 0, "ci95": [0, 0]}
    assert 0 < row["changes"]["mrr"] <= 1
    assert 0 < row["log_loss"] < 20


def test_the_same_configuration_under_another_name_differs_by_nothing():
    base, twin = rows_of(Variant("base"), Variant("twin"))
    assert twin["over_base"]["changes"]["mrr"] == 0
    assert {**twin, "name": "base", "seconds": 0} == {**base, "seconds": 0}


def test_differences_are_those_of_the_scores():
    base, other = rows_of(Variant("base"), Variant("mean", model={"encoder": "mean"}))
    assert other["over_base"]["changes"]["mrr"] == pytest.approx(other["changes"]["mrr"] - base["changes"]["mrr"])
    assert other["over_base"]["log_loss"]["nats"] == pytest.approx(other["log_loss"] - base["log_loss"])
    low, high = other["over_base"]["log_loss"]["ci95"]
    assert low <= other["over_base"]["log_loss"]["nats"] <= high


def test_titles_are_read_where_there_are_vectors_of_them():
    variants = Variant("base"), Variant("titles", titles=True)
    assert len(rows_of(*variants)) == 1
    vectors = np.random.default_rng(0).normal(size=(len(CAREERS.taxonomy), 4)).astype(np.float32)
    assert len(rows_of(*variants, titles=vectors)) == 2


def test_the_base_comes_first():
    with pytest.raises(DataError, match="put Variant"):
        rows_of(Variant("other"))


def test_nobody_to_judge_by_is_refused():
    nobody = EXAMPLES.take(~EXAMPLES.first)
    with pytest.raises(DataError, match="no cold change"):
        ablate(nobody, CAREERS.taxonomy, QUICK, np.random.default_rng(1))
