"""Searches beside writers see each row as it was before or after a write, never a mix; and a write that has returned is
seen by the next search, whoever asks.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Thread

import numpy as np
import pytest

from gpu_index import Clause, Index
from gpu_index.shards import ShardedIndex

VERSIONS = 4
ROUNDS = 60


@pytest.fixture(params=["one", "bf16", "shards", "shards searched in threads"])
def build(request):
    return {
        "one": Index,
        "bf16": partial(Index, precision="bf16"),
        "shards": partial(ShardedIndex, shards=3),
        "shards searched in threads": partial(ShardedIndex, shards=2, threads=2),
    }[request.param]


def put(index, ids, version):
    """Rows whose vectors in both spaces and whose terms all say the same version."""
    terms = [[f"version={version}", f"weight={version}", "all=1"]] * len(ids)
    vectors = {"v": np.full((len(ids), 16), version + 1), "w": np.full((len(ids), 1), version + 1)}
    index.upsert(ids, vectors=vectors, terms=terms)


def assert_every_row_is_whole(index, space, dim):
    """One query per version: the clause reads one term, the boost another, the score the vector."""
    hits = index.search(
        np.ones((VERSIONS, dim), np.float32),
        space,
        300,
        [Clause([[f"version={version}"]]) for version in range(VERSIONS)],
        [{f"weight={version}": 1000.0 for version in range(VERSIONS)}] * VERSIONS,
    )
    for version in range(VERSIONS):
        found = hits.ids[version][hits.ids[version] >= 0]
        assert len(set(found.tolist())) == len(found)
        assert set(hits.scores[version][: len(found)].tolist()) <= {dim * (version + 1) + 1000.0}
    return int((hits.ids >= 0).sum())


class Beside:
    """Runs a function again and again in a thread of its own; what it raises comes out at the end."""

    def __init__(self, function):
        self.stop, self.error = Event(), None
        self.thread = Thread(target=self._run, args=(function,))

    def _run(self, function):
        number = 0
        try:
            while not self.stop.is_set():
                function(number)
                number += 1
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        if self.error is not None:
            raise self.error


def test_searches_beside_a_writer_see_whole_rows(build):
    """All rows are replaced in each write; none is ever deleted, so every search of one index finds all of them."""
    index, ids = build(spaces={"v": 16, "w": 1}), np.arange(200)
    put(index, ids, 0)
    with Beside(lambda number: put(index, ids, number % VERSIONS)):
        for _ in range(ROUNDS):
            found = assert_every_row_is_whole(index, "v", 16) + assert_every_row_is_whole(index, "w", 1)
            assert found == 400
            assert index.count(Clause([["all=1"]])) == len(index) == 200


def test_searches_beside_writes_of_thousands_of_rows_find_every_row_once(build):
    """A big write may be applied in pieces; at every moment each row has one version, whole."""
    index, rows = build(spaces={"v": 16, "w": 1}), 12_000
    put(index, np.arange(rows), 0)
    with Beside(lambda number: put(index, np.arange(rows), number % VERSIONS)):
        for _ in range(5):
            where = [Clause([[f"version={version}"]]) for version in range(VERSIONS)]
            hits = index.search(np.ones((VERSIONS, 16), np.float32), "v", rows, where)
            if getattr(index, "_pool", None) is None:
                found = hits.ids[hits.ids >= 0]
                assert len(found) == rows
                assert len(np.unique(found)) == rows
            for version in range(VERSIONS):
                scores = hits.scores[version][hits.ids[version] >= 0]
                assert (scores == 16 * (version + 1)).all()


def test_searches_beside_a_writer_that_deletes_and_inserts_see_whole_rows(build):
    """Slots are freed by one row and taken by another of another version."""
    index = build(spaces={"v": 16, "w": 1})

    def churn(number):
        rng = np.random.default_rng(number)
        put(index, rng.permutation(300)[:80], number % VERSIONS)
        index.delete(rng.permutation(300)[:80])

    churn(0)
    with Beside(churn):
        for _ in range(ROUNDS):
            assert_every_row_is_whole(index, "v", 16)
            assert_every_row_is_whole(index, "w", 1)


def test_many_readers_and_writers_at_once_end_with_what_was_written_last(build):
    """Each writer owns some ids: it sees its own writes and deletes at once, and the end is known."""
    index = build(spaces={"v": 16, "w": 1})
    writers, each = 3, 40

    def write(writer):
        mine = np.arange(writer * each, (writer + 1) * each)
        query, mark = np.ones((1, 16), np.float32), f"writer={writer}"
        for number in range(12):
            vectors = {"v": np.full((each, 16), number + 1)}
            index.upsert(mine, vectors=vectors, terms=[[mark, f"turn={writer}-{number}"]] * each)
            hits = index.search(query, "v", 50, [Clause([[mark], [f"turn={writer}-{number}"]])])
            assert hits.ids[0][:each].tolist() == mine.tolist()
            assert index.delete(mine[::2]) == each // 2
            assert index.search(query, "v", 50, [Clause([[mark]])]).ids[0][: each // 2].tolist() == mine[1::2].tolist()
            assert index.count(Clause([[mark]])) == each // 2
            assert mine[0] not in index
            assert index.terms_of(mine[1]) == [f"turn={writer}-{number}", mark]

    def read(_):
        for _ in range(30):
            hits = index.search(np.ones((3, 16), np.float32), "v", 20)
            assert (np.diff(hits.scores[0][hits.ids[0] >= 0]) <= 0).all()
            assert 0 <= index.count(Clause([["writer=0"]])) <= each

    with ThreadPoolExecutor(writers + 2) as pool:
        futures = [pool.submit(write, writer) for writer in range(writers)] + [pool.submit(read, i) for i in range(2)]
        for future in futures:
            future.result()
    assert len(index) == writers * each // 2
    assert index.count(Clause([[f"turn={writer}-11" for writer in range(writers)]])) == len(index)


def test_a_snapshot_taken_beside_a_writer_holds_whole_calls(build, tmp_path):
    """Every write gives all rows one version; a snapshot of two versions would be of no moment that ever was."""
    index, ids = build(spaces={"v": 16, "w": 1}), np.arange(150)
    put(index, ids, 0)
    load = (build.func if isinstance(build, partial) else build).load
    with Beside(lambda number: put(index, ids, number % VERSIONS)):
        for _ in range(6):
            index.save(tmp_path / "index")
            again = load(tmp_path / "index")
            assert assert_every_row_is_whole(again, "v", 16) == 150
            assert 150 in {again.count(Clause([[f"version={version}"]])) for version in range(VERSIONS)}
