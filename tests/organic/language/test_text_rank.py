"""Exact text ranking on vectors of two dimensions, against the obvious loop, and through the command."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import organic.language.text_rank
from hiregraph.text_commands import text_app
from market.errors import DataError, UserError
from organic.language.text_rank import NamedTexts, rank_texts, read_named_texts


def slow_twin(queries, query_vectors, corpus, corpus_vectors):
    """All cosines, the best per pair of ids, sorted in Python."""
    answers = []
    for query, first in enumerate(queries.starts[:-1]):
        best = {}
        for one in query_vectors[first : queries.starts[query + 1]].astype(float):
            for doc in range(len(corpus)):
                for other in corpus_vectors[corpus.starts[doc] : corpus.starts[doc + 1]].astype(float):
                    cosine = np.float32(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
                    best[doc] = max(best.get(doc, cosine), cosine)
        answers.append(sorted(best, key=lambda doc: (-best[doc], corpus.ids[doc])))
    return answers


def named(*rows: tuple[str, str]) -> NamedTexts:
    return NamedTexts.of(rows)


def test_the_best_text_of_an_id_counts_on_both_sides():
    queries = named(("q", "east"), ("q", "north"))
    corpus = named(("far", "west"), ("both", "west"), ("both", "north"))
    directions = {"east": [1, 0], "north": [0, 1], "west": [-1, 0]}
    vectors = [np.array([directions[text] for text in side.texts], np.float32) for side in (queries, corpus)]
    rows, scores = rank_texts(queries, vectors[0], corpus, vectors[1], k=5)
    assert [corpus.ids[row] for row in rows[0]] == ["both", "far"]
    np.testing.assert_array_equal(scores, [[1, 0]])


def test_equal_scores_go_by_id():
    corpus = named(*[(name, "same") for name in ("b", "a", "d", "c")])
    rows, _ = rank_texts(named(("q", "x")), np.ones((1, 2)), corpus, np.ones((4, 2)), k=3)
    assert [corpus.ids[row] for row in rows[0]] == ["a", "b", "c"]


@pytest.mark.parametrize(("texts_per_block", "k"), [(1, 3), (2, 50), (7, 5), (1000, 50)])
def test_any_block_size_equals_the_obvious_loop(monkeypatch, texts_per_block, k):
    monkeypatch.setattr(organic.language.text_rank, "TEXTS_PER_BLOCK", texts_per_block)
    monkeypatch.setattr(organic.language.text_rank, "QUERIES_PER_BLOCK", texts_per_block)
    rng = np.random.default_rng(3)
    queries = named(*[(f"q{rng.integers(5)}", str(n)) for n in range(9)])
    corpus = named(*[(f"d{rng.integers(20):02}", str(n)) for n in range(40)])
    # few directions, hence many exact ties; lengths differ on purpose
    directions = rng.integers(-1, 2, size=(6, 3)) + np.array([0.5, 0, 0])
    left = (directions[rng.integers(6, size=9)] * 2).astype(np.float32)
    right = directions[rng.integers(6, size=40)].astype(np.float32)
    rows, scores = rank_texts(queries, left, corpus, right, k)
    assert rows.tolist() == [answer[:k] for answer in slow_twin(queries, left, corpus, right)]
    assert (np.diff(scores, axis=1) <= 0).all()


def test_files_may_be_packed_and_end_lines_either_way(tmp_path):
    plain, packed = tmp_path / "plain.tsv", tmp_path / "packed"
    plain.write_bytes(b'b\tsay "hi"\r\na\tsecond\r\n\r\nb\tagain')
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    expected = NamedTexts.of([("b", 'say "hi"'), ("a", "second"), ("b", "again")])
    for path in (plain, packed):
        found = read_named_texts(path)
        assert (
            (found.ids, found.texts) == (expected.ids, expected.texts) == (("a", "b"), ("second", 'say "hi"', "again"))
        )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no rows"),
        (b"a\tb\nonly one\n", "row 1: 1 columns"),
        (b"a\tb\tc\n", "3 columns"),
        (b"two words\ttext\n", "white space"),
        (b"a\t\xff\n", "not UTF-8"),
        (b"\x1f\x8bbroken", "check the path"),
    ],
)
def test_files_of_another_form_are_refused_with_the_place(tmp_path, content, message):
    path = tmp_path / "texts.tsv"
    path.write_bytes(content)
    with pytest.raises((DataError, UserError), match=message):
        read_named_texts(path)


def test_the_commands_rank_and_measure(tmp_path):
    (tmp_path / "queries.tsv").write_text("q1\tNurse\nq2\tWelder\n")
    (tmp_path / "corpus.tsv").write_text("d1\tRegistered nurse\nd2\tWelding machine operator\nd2\tBanker\nd3\tPilot\n")
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    run, here = tmp_path / "new" / "run.trec", [f"--{name}={tmp_path / name}.tsv" for name in ("queries", "corpus")]
    ranked = CliRunner().invoke(text_app, ["rank", *here, "--out", str(run), "--k", "2", "--json"])
    assert ranked.exit_code == 0, ranked.output
    summary = json.loads(ranked.stdout)
    assert (summary["queries"], summary["documents"], summary["texts"]) == (2, 3, 6)
    first = run.read_text().splitlines()[0].split()
    assert (first[:4], first[5]) == (["q1", "Q0", "d1", "1"], "hiregraph")
    assert len(run.read_text().splitlines()) == 4
    measured = CliRunner().invoke(text_app, ["evaluate", f"--run={run}", f"--qrels={tmp_path / 'qrels'}", "--json"])
    metrics = json.loads(measured.stdout)
    assert metrics.keys() == {"map", "mrr", "recall@5", "recall@10", "ndcg@10", "n"}
    assert metrics["map"] == metrics["mrr"] == 1


@pytest.mark.parametrize("command", ["rank", "evaluate"])
def test_every_command_has_help_with_an_example(command):
    shown = CliRunner().invoke(text_app, [command, "--help"])
    assert "Example:" in shown.stdout


def test_user_errors_come_before_the_model_is_loaded(tmp_path):
    texts = tmp_path / "texts.tsv"
    texts.write_text("a\tb\n")
    for wrong in (["--k", "0"], ["--out", str(tmp_path)], ["--corpus", str(tmp_path / "none")], ["--model", "./none"]):
        options = {"--queries": texts, "--corpus": texts, "--out": tmp_path / "run"} | dict([wrong])
        found = CliRunner().invoke(text_app, ["rank", *(str(part) for pair in options.items() for part in pair)])
        assert isinstance(found.exception, UserError)
        assert "\n" not in str(found.exception)
