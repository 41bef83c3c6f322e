"""A search beside a writer sees each row as it was before or after a write, never a mix."""

from threading import Thread

import numpy as np

from gpu_index import Clause, Index


def test_searches_beside_a_writer_see_whole_rows():
    index = Index(spaces={"v": 16})
    ids = np.arange(200)
    stop = False

    def write(generation):
        """All rows change sign and term in one call."""
        sign = 1 if generation % 2 else -1
        index.upsert(ids, vectors={"v": np.full((200, 16), sign)}, terms=[[f"sign={sign}"]] * 200)

    def keep_writing():
        generation = 0
        while not stop:
            generation += 1
            write(generation)

    write(0)
    writer = Thread(target=keep_writing)
    writer.start()
    try:
        for _ in range(150):
            where = [Clause([["sign=1"]]), Clause([["sign=-1"]])]
            hits = index.search(np.ones((2, 16), np.float32), space="v", k=200, where=where)
            found = hits.ids >= 0
            assert found.sum() == 200
            assert set(hits.scores[0][found[0]].tolist()) <= {16.0}
            assert set(hits.scores[1][found[1]].tolist()) <= {-16.0}
    finally:
        stop = True
        writer.join()
