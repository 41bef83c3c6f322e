import gzip
import math
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, R, nDCG

from market.errors import ConfigError, DataError
from market.ranking import (
    evaluate_run,
    mean_ranks,
    metrics_by_query,
    mrr,
    ordered,
    rank_metrics,
    read_qrels,
    read_run,
    recall_at,
    write_run,
)

NOWHERE = -np.inf


def test_a_rank_counts_better_ones_fully_and_ties_by_half() -> None:
    scores = [[3, 2, 2, 1], [3, 2, 2, 1], [1, 1, 1, 1], [0, 5, 0, 0]]
    assert mean_ranks(scores, [0, 1, 3, 1]).tolist() == [1.0, 2.5, 2.5, 1.0]


def test_what_is_no_candidate_neither_beats_nor_ties() -> None:
    scores = [[NOWHERE, 2.0, 2.0, NOWHERE], [NOWHERE, 2.0, 1.0, NOWHERE]]
    assert mean_ranks(scores, [1, 2]).tolist() == [1.5, 2.0]


def test_a_target_that_is_no_candidate_has_no_rank() -> None:
    ranks = mean_ranks([[1.0, NOWHERE], [1.0, 2.0]], [1, -1])
    assert ranks.tolist() == [math.inf, math.inf]
    assert mrr(ranks) == 0.0
    assert recall_at(ranks, 1000) == 0.0


def test_mean_ranks_agree_with_a_sort_on_random_scores() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (200, 17)).astype(float)
    target = rng.integers(0, 17, 200)
    for row, column, rank in zip(scores, target, mean_ranks(scores, target), strict=True):
        places = [place for place, score in enumerate(np.sort(row)[::-1], 1) if score == row[column]]
        assert rank == np.mean(places)


@pytest.mark.parametrize(
    ("scores", "target", "message"),
    [
        ([[1.0, np.nan]], [0], "NaN"),
        ([1.0], [0], "do not fit"),
        ([[1.0]], [0, 0], "do not fit"),
        ([[1.0]], [1], "target\\[0\\] is 1"),
        ([[1.0]], [-2], "target\\[0\\] is -2"),
        ([[1.0]], [0.0], "int64"),
    ],
)
def test_scores_that_can_not_be_ranked_are_refused(scores: object, target: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mean_ranks(scores, target)  # type: ignore[arg-type]


def test_rank_metrics_of_a_worked_example() -> None:
    assert rank_metrics([1, 2, 5.5, math.inf]) == {
        "n": 4,
        "recall@1": 0.25,
        "recall@5": 0.5,
        "recall@10": 0.75,
        "mrr": (1 + 1 / 2 + 1 / 5.5) / 4,
    }
    assert rank_metrics([]) == {"n": 0, "recall@1": 0.0, "recall@5": 0.0, "recall@10": 0.0, "mrr": 0.0}
    with pytest.raises(ConfigError, match="k is 0"):
        recall_at([1], 0)


def test_ties_are_ordered_by_document_id() -> None:
    assert ordered({"b": 1.0, "a": 1.0, "c": 2.0}) == [("c", 2.0), ("a", 1.0), ("b", 1.0)]
    qrels = {"q": {"b": 1}}
    assert evaluate_run({"q": {"b": 1.0, "a": 1.0}}, qrels)["mrr"] == 0.5
    assert evaluate_run({"q": {"b": 1.0, "c": 1.0}}, qrels)["mrr"] == 1.0


def test_measures_of_a_worked_example() -> None:
    qrels = {"q": {"a": 2, "b": 1, "c": 0, "z": 1}, "missing": {"a": 1}, "empty": {"a": 0}}
    run = {"q": {"c": 4.0, "a": 3.0, "x": 2.0, "b": 1.0}, "unjudged": {"a": 1.0}}
    third = {name: value * 3 for name, value in evaluate_run(run, qrels).items()}
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert third["n"] == 9
    assert third["map"] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert third["mrr"] == pytest.approx(1 / 2)
    assert third["recall@5"] == third["recall@10"] == pytest.approx(2 / 3)
    assert third["ndcg@10"] == pytest.approx((2 / math.log2(3) + 1 / math.log2(5)) / ideal)


def test_no_judgements_give_zeros() -> None:
    assert set(evaluate_run({"q": {"a": 1.0}}, {}).values()) == {0}


def test_measures_agree_with_trec_eval_on_random_runs_without_ties() -> None:
    rng = np.random.default_rng(1)
    documents = [f"d{at}" for at in range(60)]
    qrels = {f"q{q}": {d: int(rng.integers(0, 4)) for d in rng.choice(documents, 12, replace=False)} for q in range(40)}
    run = {}
    for q in range(5, 45):  # some judged queries are missing, some queries are not judged
        found = rng.choice(documents, int(rng.integers(1, 60)), replace=False)
        run[f"q{q}"] = dict(zip(found.tolist(), rng.permutation(len(found)).astype(float).tolist(), strict=True))
    theirs = ir_measures.calc_aggregate([AP, RR, R @ 5, R @ 10, nDCG @ 10], qrels, run)
    ours = evaluate_run(run, qrels)
    assert ours["n"] == 40
    for name, measure in zip(
        ("map", "mrr", "recall@5", "recall@10", "ndcg@10"), (AP, RR, R @ 5, R @ 10, nDCG @ 10), strict=True
    ):
        assert ours[name] == pytest.approx(theirs[measure], abs=1e-12)


@pytest.mark.parametrize("name", ["run.txt", "run.txt.gz"])
def test_a_run_is_read_back_as_it_was_written(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(2)
    run = {f"q{q}": {f"d{d}": float(rng.normal()) for d in range(5)} for q in range(3)}
    write_run(tmp_path / name, run, tag="test")
    assert read_run(tmp_path / name) == run
    first = (tmp_path / name).read_bytes()
    write_run(tmp_path / name, run, tag="test")
    assert (tmp_path / name).read_bytes() == first


def test_a_run_is_written_in_trec_form(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"q": {"b": 1.0, "a": 1.0, "c": 2.5}}, tag="t")
    assert (tmp_path / "run").read_text() == "q Q0 c 1 2.5 t\nq Q0 a 2 1.0 t\nq Q0 b 3 1.0 t\n"


def test_ids_with_white_space_and_scores_without_a_value_are_not_written(tmp_path: Path) -> None:
    for run in ({"q 1": {"a": 1.0}}, {"q": {"a b": 1.0}}, {"q": {"": 1.0}}, {"q": {"a": math.nan}}):
        with pytest.raises(DataError):
            write_run(tmp_path / "run", run)


def test_judgements_are_read_from_plain_text_and_gzip(tmp_path: Path) -> None:
    text = "q1 0 a 1\nq1\t0\tb\t0\n\nq2 0 a 2\n"
    (tmp_path / "plain").write_text(text)
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode()))
    expected = {"q1": {"a": 1, "b": 0}, "q2": {"a": 2}}
    assert read_qrels(tmp_path / "plain") == read_qrels(tmp_path / "packed") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 a 1 2.0 t\nq Q0 a 2 1.0 t\n", "row 1: document a comes twice"),
        ("q Q0 a 1 2.0\n", "row 0: 5 fields, expected 6"),
        ("q Q0 a 1 high t\n", "row 0: score 'high' is not a number"),
        ("q Q0 a 1 nan t\n", "row 0: score 'nan' is not finite"),
    ],
)
def test_a_malformed_run_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run").write_text(text)
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"q 0 a 1\nq 0 a 0\n", "row 1: document a is judged twice"),
        (b"q 0 a\n", "row 0: 3 fields, expected 4"),
        (b"q 0 a 0.5\n", "row 0: grade '0.5' is not a whole number"),
        (b"q 0 \xff 1\n", "not UTF-8"),
        (gzip.compress(b"q 0 a 1\n", mtime=0)[:10] + b"\xff" * 20, "gzip file is damaged"),
        (gzip.compress(b"q 0 a 1\n", mtime=0)[:-9], "gzip file is damaged"),
    ],
)
def test_malformed_judgements_are_refused_by_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "qrels").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_qrels(tmp_path / "qrels")


def test_a_missing_file_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can not be read"):
        read_qrels(tmp_path / "nowhere")


def test_the_means_of_a_run_are_those_of_its_queries():
    run = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"c": 1.0}}
    qrels = {"q1": {"b": 1, "c": 1}, "q2": {"a": 1}, "q3": {"a": 1}}
    by_query = metrics_by_query(run, qrels)
    means = evaluate_run(run, qrels)
    assert by_query["map"].tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2, 0.0, 0.0])
    assert by_query["mrr"].tolist() == [0.5, 0.0, 0.0]
    for name, values in by_query.items():
        assert values.mean() == pytest.approx(means[name])


def test_no_judgements_are_no_rows():
    assert metrics_by_query({}, {})["map"].shape == (0,)
