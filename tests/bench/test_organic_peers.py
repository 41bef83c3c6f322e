"""The peers compute what their papers say, on a dozen events, under the filters the index applies."""

import math

import numpy as np
import pytest
import scipy.sparse

from bench.organic_engagement import case, moves
from bench.organic_peers import AlsChoice, TextChoice, _solved, als, bm25, chance, informed, ranked, tfidf
from organic.learning.engagement import NEVER, read_engagement
from organic.learning.recall import retrieve
from tests.organic.learning.small_logs import POSITIONS, logs

TABLES = logs(positions=[*POSITIONS, ("dan", "1", "Nurses", "hamburg", -9, -8)])
SITE = read_engagement(TABLES)
EVERYBODY = np.arange(len(SITE))
NAMES = [job.job_id for job in SITE.inventory.jobs]


def test_brute_force_searches_what_the_index_searches():
    rng = np.random.default_rng(0)
    vectors, asked = (rng.integers(-2, 3, (n, 5)).astype(np.float32) for n in (len(NAMES), len(SITE)))
    assert np.array_equal(ranked(SITE, lambda rows: asked[rows] @ vectors.T, 4), retrieve(SITE, asked, vectors, 4)[0])


def test_bm25_is_the_formula():
    choice = TextChoice(fields=("title", "occupation"), decay=0.0, liked=0.0)
    found = bm25(SITE, TABLES.taxonomy, choice)(EVERYBODY)
    titles = {code: title for code, title in SITE.inventory.occupations.items()}
    documents = [f"{job.title} {titles[job.occupation]}".lower().split() for job in SITE.inventory.jobs]
    documents = [[word.rstrip("s") for word in words] for words in documents]
    mean = sum(map(len, documents)) / len(documents)
    for row, request in enumerate(SITE.requests):
        (word,) = [title.lower().rstrip("s") for title in request.seeker.titles[:1]]
        with_it = sum(word in words for words in documents)
        idf = math.log(1 + (len(documents) - with_it + 0.5) / (with_it + 0.5))
        for column, words in enumerate(documents):
            tf = words.count(word)
            score = idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * len(words) / mean))
            assert found[row, column] == pytest.approx(score)


@pytest.mark.parametrize("letters", [False, True])
def test_tfidf_finds_the_occupation_of_the_profile(letters):
    choice = TextChoice(fields=("title", "occupation"), letters=letters)
    best = ranked(SITE, tfidf(SITE, TABLES.taxonomy, choice), 1)[:, 0]
    assert SITE.inventory.jobs[best[0]].occupation == "1"
    assert SITE.inventory.jobs[best[1]].occupation == "2"


def test_als_solves_its_least_squares():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (3, 6)).astype(float)
    items, choice = rng.standard_normal((6, 2)), AlsChoice(factors=2, alpha=4.0, reg=0.7)
    found = _solved(scipy.sparse.csr_matrix(counts), items, choice)
    for row, solution in zip(counts, found, strict=True):
        confidence, wanted = np.diag(1 + 4.0 * row), (row > 0).astype(float)
        exact = np.linalg.solve(items.T @ confidence @ items + 0.7 * np.eye(2), items.T @ confidence @ wanted)
        assert solution == pytest.approx(exact)


@pytest.mark.parametrize("items", ["job", "title", "occupation"])
def test_als_sends_cooks_where_cooks_went(items):
    scores = als(SITE, SITE, TABLES.taxonomy, AlsChoice(items, factors=3))(EVERYBODY)
    cat = SITE.seekers.index("cat")
    assert scores[cat, NAMES.index("w1")] > scores[cat, NAMES.index("n1")]


def test_who_knows_the_occupation_beats_chance():
    applied = np.flatnonzero(np.bincount(SITE.request[SITE.applied], minlength=len(SITE)))
    best = ranked(SITE, informed(SITE, 0), 1)[applied, 0]
    wanted = [SITE.inventory.jobs[item].occupation for item in SITE.item[SITE.applied]]
    assert [SITE.inventory.jobs[row].occupation for row in best] == wanted
    assert chance(SITE, 0)(EVERYBODY).shape == (len(SITE), len(NAMES))


def test_a_case_learns_from_the_past_of_other_persons_only():
    middle = int(SITE.moment[3])
    judging = case(SITE, middle, NEVER, "engagement")
    assert judging.train.moment.max(initial=0) < middle <= judging.judged.moment.min()
    assert judging.cold.tolist() == [seeker not in judging.train.seekers for seeker in judging.judged.seekers]
    assert set(judging.judged.request[judging.judged.applied]) == set(range(len(judging.judged)))


def test_another_occupation_is_one_the_newest_title_does_not_name():
    assert moves(SITE).tolist() == [False, True, True, True, True, True]
