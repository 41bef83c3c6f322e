"""The table of aggregators: what is asked, of whom, and that nothing of the judging persons is learned from."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bench.activity_task import Budget, Folds, frozen
from bench.organic_activity import aggregators, as_log, cooccurrence_vectors, folds_of, moves, show, text_vectors
from market.careers import Careers
from market.taxonomy import build_taxonomy

pytestmark = pytest.mark.journey  # long for `make check`

C, YEARS = 12, 6
TAXONOMY = build_taxonomy("twelve", [(str(c), f"Title {c}", f"section {c // 4}", "major") for c in range(C)])
QUICK = Budget(epochs=1, proxy_epochs=1, task_epochs=1, seeds=(0, 1), rates=(0.5, 0.8))


class Hashed:
    dimension = 6

    def encode(self, texts):
        numbers = [list(hashlib.sha256(text.encode()).digest()[:6]) for text in texts]
        found = np.array(numbers, np.float32).reshape(-1, 6) - 127
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def careers_of(occupations: list[list[int]]) -> Careers:
    lengths = [len(row) for row in occupations]
    return Careers(
        person_ids=tuple(map(str, range(len(occupations)))),
        person=np.repeat(np.arange(len(occupations)), lengths).astype(np.int32),
        year=np.concatenate([np.arange(1990, 1990 + length) for length in lengths]).astype(np.int16),
        occupation=np.concatenate(occupations).astype(np.int32),
        education_years=np.full(sum(lengths), 12, np.float32),
        taxonomy=TAXONOMY,
    )


def cycles(persons: int, seed: int) -> Careers:
    """Everybody moves to the next occupation but one of four, sometimes staying."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, C, persons)
    steps = np.cumsum(rng.random((persons, YEARS)) < 0.8, axis=1)
    return careers_of(((starts[:, None] + steps) % C).tolist())


def test_a_question_is_asked_at_every_change_and_knows_only_what_came_before():
    vectors = np.eye(C, dtype=np.float32)
    found = moves(careers_of([[3, 3, 5, 4], [7], [1, 2]]), vectors)
    assert found.target.tolist() == [5, 4, 2]
    assert found.current.tolist() == [3, 5, 1]
    assert found.person.tolist() == [0, 0, 2]
    histories = [found.before.job[i, : found.before.count[i]].tolist() for i in range(3)]
    assert histories == [[3, 3], [3, 3, 5], [1]]


def test_the_log_of_many_persons_keeps_their_order():
    careers = cycles(120, 0)
    log = as_log(careers)
    assert log.seeker.tolist() == careers.person.tolist()
    assert log.job.tolist() == careers.occupation.tolist()


def test_cooccurrence_vectors_put_occupations_that_lead_to_the_same_ones_together():
    # 0 and 1 both lead to 2 and 3, never to each other; 4 and 5 to 6 and 7
    rows = [[a, b] for a, b in ((0, 2), (0, 3), (1, 2), (1, 3), (4, 6), (4, 7), (5, 6), (5, 7))] * 3
    found = cooccurrence_vectors(careers_of(rows), 4)
    assert found[0] @ found[1] == pytest.approx(1, abs=1e-5)
    assert abs(found[0] @ found[4]) < 1e-5
    assert not found[8:].any(), "nobody moved from or to these"
    assert np.array_equal(found, cooccurrence_vectors(careers_of(rows), 4))


def test_the_predictor_learns_what_can_be_known():
    vectors = np.eye(C, dtype=np.float32)
    folds = folds_of(cycles(300, 0), cycles(60, 1), lambda careers: vectors)
    budget = Budget(epochs=30)
    newest = frozen(folds, lambda rows: vectors[rows.last()[0]], budget, 0)
    assert (newest.judge == 1).mean() > 0.99, "the next occupation is the current one plus one"
    nothing = frozen(folds, lambda rows: np.zeros((len(rows), 2), np.float32), budget, 0)
    assert (nothing.judge == 1).mean() < 0.3


def test_the_current_occupation_is_no_candidate():
    folds = folds_of(cycles(100, 0), cycles(30, 1), lambda careers: np.eye(C, dtype=np.float32))
    found = frozen(folds, lambda rows: np.ones((len(rows), 1), np.float32), QUICK, 0)
    assert found.judge.max() <= C - 1


def test_training_and_validation_persons_are_apart():
    folds = folds_of(cycles(200, 0), cycles(50, 1), lambda careers: np.eye(C, dtype=np.float32))
    assert isinstance(folds, Folds)
    assert len(np.unique(folds.train.person)) + len(np.unique(folds.check.person)) <= 200
    assert set(folds.log.seeker) >= set(folds.train.person)
    assert len(folds.log.seeker_ids) < 200, "validation persons are in no log that anything is learned from"


def test_every_aggregator_is_answered_and_shown():
    others, judges = cycles(60, 0), cycles(20, 1)
    found = {
        "moves": aggregators(folds_of(others, judges, lambda careers: cooccurrence_vectors(careers, 8)), QUICK),
        "text": aggregators(folds_of(others, judges, lambda careers: text_vectors(careers, Hashed())), QUICK),
    }
    for part in found.values():
        assert set(part["rates"]) == {"0.5", "0.8", "1"}
        assert {row["n"] for row in part["rows"].values()} == {next(iter(part["rows"].values()))["n"]}
        assert part["rows"]["mean"]["mrr over mean"]["difference"] == 0
        assert part["rows"]["cnn, proxy"]["seeds"] == 2
        for row in part["rows"].values():
            assert 0 < row["mrr"]["mean"] <= 1
    rows = show(found)
    assert len({len(row) for row in rows}) == 1
    assert [row[0] for row in rows if row[0]] == ["occupations by", "moves", "text"]
