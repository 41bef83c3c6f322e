"""Ranks checked by hand, and what counts as a candidate."""

import gzip

import numpy as np
import pytest

from graph.bipartite import Examples, examples_from_careers
from graph.evaluate import _as_distribution, evaluate, summarise
from graph.network.gnn import ModelConfig
from graph.predictions import rank_of_target
from graph.train import TrainConfig, fit
from market.careers import read_careers

QUICK = TrainConfig(epochs=2, batch=64, model=ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4))


def instances(current, target):
    """Instances with one history item each; current -1: none."""
    lengths = (np.array(current) >= 0).astype(np.int64)
    stop = np.cumsum(lengths)
    return Examples(
        person=np.arange(len(current), dtype=np.int32),
        start=stop - lengths,
        stop=stop,
        item_occupation=np.array([c for c in current if c >= 0], np.int32),
        item_year=np.full(lengths.sum(), 2000, np.float32),
        year=np.full(len(current), 2001, np.float32),
        education_years=np.full(len(current), np.nan, np.float32),
        target=np.array(target, np.int32),
    )


EVERYTHING = np.ones(4, bool)
SCORES = np.array([[0.4, 0.3, 0.2, 0.1]])


def test_rank_is_one_plus_the_better_ones():
    assert rank_of_target(SCORES, instances([3], [2]), EVERYTHING, current=True).tolist() == [3]


def test_the_current_occupation_is_no_candidate_for_changes():
    assert rank_of_target(SCORES, instances([0], [2]), EVERYTHING, current=False).tolist() == [2]
    assert rank_of_target(SCORES, instances([0], [2]), EVERYTHING, current=True).tolist() == [3]


def test_ties_count_half():
    flat = np.array([[0.5, 0.2, 0.2, 0.2]])
    assert rank_of_target(flat, instances([0], [2]), EVERYTHING, current=False).tolist() == [2]
    assert rank_of_target(flat, instances([1], [2]), EVERYTHING, current=False).tolist() == [2.5]


def test_occupations_outside_training_are_no_candidates():
    seen = np.array([True, False, True, True])
    assert rank_of_target(SCORES, instances([3], [2]), seen, current=True).tolist() == [2]


def test_an_outcome_never_seen_in_training_has_no_rank():
    seen = np.array([True, False, True, True])
    assert np.isinf(rank_of_target(SCORES, instances([3], [1]), seen, current=False)).all()
    assert np.isinf(rank_of_target(SCORES, instances([3], [7]), seen, current=False)).all()


def test_an_unknown_or_absent_current_occupation_excludes_nothing():
    both = np.repeat(SCORES, 2, axis=0)
    assert rank_of_target(both, instances([-1, 9], [0, 0]), EVERYTHING, current=False).tolist() == [1, 1]


def test_summary_by_hand():
    found = summarise(np.array([1, 4, 10.5, np.inf]))
    assert found == {"n": 4, "recall@1": 0.25, "recall@5": 0.5, "recall@10": 0.5, "mrr": (1 + 1 / 4 + 1 / 10.5) / 4}
    assert summarise(np.zeros(0)) == {"n": 0, "recall@1": 0, "recall@5": 0, "recall@10": 0, "mrr": 0}


def write_careers(folder, lives, persons="person_id,birth_year\n", audit=None):
    folder.mkdir()
    rows = [f"{person},{year},{code}" for person, life in lives.items() for year, code in life]
    (folder / "occupations.csv").write_text("\n".join(["person_id,year,occ80", *rows]) + "\n")
    titles = "occ80,title,section\n" + "".join(f"{code},Title {code},Section {code // 20}\n" for code in CODES)
    (folder / "occ80_titles.csv").write_text(titles)
    (folder / "persons.csv").write_text(persons)
    if audit is not None:
        (folder / "audit_attributes.csv.gz").write_bytes(audit)
    return folder


CODES = [10, 20, 50, 60, 210, 250]


def some_lives(n=80, seed=0):
    """Person id -> [(year, code)]; the last code is nobody's."""
    rng = np.random.default_rng(seed)
    return {str(p): [(1980 + t, rng.choice(CODES[:-1])) for t in range(rng.integers(2, 6))] for p in range(n)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    careers = read_careers(write_careers(tmp_path_factory.mktemp("train") / "careers", some_lives()))
    return fit(examples_from_careers(careers), careers.taxonomy, QUICK)


def evaluated(model, folder):
    return evaluate(model, read_careers(folder, taxonomy=model.taxonomy))


def test_the_report_has_the_keys_others_rely_on(model, tmp_path):
    found = evaluated(model, write_careers(tmp_path / "careers", some_lives(seed=1)))
    assert set(found) == {"changes", "all", "cold", "calibration", "baselines"}
    assert set(found["baselines"]) == {"popularity", "markov", "recent_history"}
    for table in (found, *found["baselines"].values()):
        for part in ("changes", "all", "cold"):
            assert set(table[part]) == {"n", "recall@1", "recall@5", "recall@10", "mrr"}
    assert {"ece", "slope", "bins", "top1", "changes", "periods"} <= set(found["calibration"])
    assert {"ece", "slope", "bins", "top1", "log_loss"} <= set(found["calibration"]["changes"])


def test_cold_changes_and_new_occupations_are_counted_by_hand(model, tmp_path):
    lives = {
        "a": [(1990, 10), (1991, 20), (1992, 250)],  # a cold change, then a change into what training never saw
        "b": [(1990, 10), (1991, 10), (1992, 50)],  # a stay, then a change that is not cold
        "c": [(1990, 250), (1995, 60)],  # a cold change of a person of an unknown occupation
        "d": [(1990, 60)],
    }
    found = evaluated(model, write_careers(tmp_path / "careers", lives))
    assert [found[part]["n"] for part in ("changes", "all", "cold")] == [4, 5, 2]
    assert found["changes"]["recall@10"] == 3 / 4, "five candidates: everybody but the unseen outcome is in the top ten"
    assert found["baselines"]["popularity"]["all"]["recall@10"] == 4 / 5


def test_birth_years_and_the_audit_file_change_nothing(model, tmp_path):
    lives = some_lives(seed=2)
    plain = evaluated(model, write_careers(tmp_path / "plain", lives))
    persons = "person_id,birth_year,sex,race\n" + "".join(f"{p},{1950 + int(p)},1,2\n" for p in lives)
    rich = evaluated(model, write_careers(tmp_path / "rich", lives, persons, audit=gzip.compress(b"\x00not a table")))
    assert plain == rich


def test_blocks_do_not_change_the_result(model, tmp_path, monkeypatch):
    folder = write_careers(tmp_path / "careers", some_lives(seed=3))
    whole = evaluated(model, folder)
    monkeypatch.setattr("graph.evaluate.BLOCK", 7)
    monkeypatch.setattr("graph.predictions.BLOCK", 5)
    parts = evaluated(model, folder)
    assert parts["changes"] == pytest.approx(whole["changes"])
    assert parts["baselines"] == whole["baselines"]
    assert parts["calibration"]["ece"] == pytest.approx(whole["calibration"]["ece"], abs=1e-5)
    assert parts["calibration"]["changes"]["log_loss"] == pytest.approx(whole["calibration"]["changes"]["log_loss"])


def test_careers_without_a_pair_give_an_empty_report(model, tmp_path):
    found = evaluated(model, write_careers(tmp_path / "careers", {"a": [(1990, 10)]}))
    assert found["all"]["n"] == 0
    calibration = found["calibration"]
    assert [calibration[key] for key in ("ece", "slope", "n", "bins", "periods")] == [0.0, 1.0, 0, [], []]
    assert calibration["changes"]["log_loss"]["n"] == 0


def test_candidates_are_what_training_saw(model):
    assert [code for code, seen in zip(model.taxonomy.codes, model.seen, strict=True) if seen] == [
        str(code) for code in CODES[:-1]
    ]


def test_every_calendar_year_of_outcomes_is_a_period_of_its_own(model, tmp_path):
    lives = {
        "a": [(1990, 10), (1991, 20), (1993, 20)],
        "b": [(1990, 10), (1991, 10), (1993, 50)],
        "c": [(1990, 250), (1991, 250)],  # whether somebody stays in an unknown occupation is not asked
    }
    periods = evaluated(model, write_careers(tmp_path / "careers", lives))["calibration"]["periods"]
    told = [(row["period"], row["n"], row["stay_observed"], row["changes"]) for row in periods]
    assert told == [(1991, 2, 0.5, 1), (1993, 2, 0.5, 1)]
    assert all(0 < row["stay_predicted"] < 1 for row in periods)


def test_the_baseline_is_a_distribution_over_the_candidates_that_gives_nobody_nothing():
    seen = np.array([True, True, True, False])
    scores = np.array([[3.0, 1.0, 0.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    found = _as_distribution(scores, instances([1, -1], [0, 0]), seen)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], [0.95, 0, 0.05, 0])
    np.testing.assert_allclose(found[1], [1 / 3, 1 / 3, 1 / 3, 0])


def test_intervals_come_with_a_generator_hold_the_value_and_repeat(model, tmp_path):
    careers = read_careers(write_careers(tmp_path / "careers", some_lives(seed=4)), taxonomy=model.taxonomy)
    found = evaluate(model, careers, np.random.default_rng(5))
    assert found == evaluate(model, careers, np.random.default_rng(5))
    plain = evaluate(model, careers)
    for part in ("changes", "all", "cold"):
        low, high = found["ci95"][part]["mrr"]
        assert low <= plain[part]["mrr"] == found[part]["mrr"] <= high
        over = found["ci95"][part]["over"]["markov"]
        assert over["relative"] == pytest.approx(plain[part]["mrr"] / plain["baselines"]["markov"][part]["mrr"] - 1)
    for row in found["calibration"]["bins"]:
        low, high = row["ci95"]
        assert low <= row["ratio"] <= high
    assert "ci95" not in plain
