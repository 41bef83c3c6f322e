"""Jobs get the vectors of another model while requests are answered and jobs change."""

from __future__ import annotations

import threading

import numpy as np

from gpu_index import Index
from organic.recommend import put_jobs
from organic.renewal import renew
from organic.rows import JobBook
from organic.towers import TextTowers
from tests.organic.small_market import JOBS, WordEncoder, job


class Halted(TextTowers):
    """Calls `meanwhile` between encoding a slice and handing it out."""

    def __init__(self, meanwhile) -> None:
        super().__init__(WordEncoder())
        self.meanwhile, self.slices = meanwhile, []

    def job_vectors(self, jobs):
        self.slices.append(len(jobs))
        vectors = super().job_vectors(jobs)
        self.meanwhile(len(self.slices))
        return vectors


def refilled(meanwhile=lambda book, number: None, size: int = 4):
    """-> (book, towers, {job id: title written}, jobs written) of a renewal during which `meanwhile(book, n)` runs."""
    book, lock, written = JobBook(JOBS), threading.Lock(), {}
    towers = Halted(lambda number: meanwhile(book, number))

    def write(jobs, vectors):
        assert lock.locked()
        np.testing.assert_array_equal(vectors, TextTowers(WordEncoder()).job_vectors(jobs))
        written.update({each.job_id: each.title for each in jobs})

    count = renew(book, [each.job_id for each in JOBS], towers, write, lock, size)
    return towers, written, count


def test_every_job_is_written_in_slices():
    towers, written, count = refilled()
    assert towers.slices == [4, 4, 3]
    assert written == {each.job_id: each.title for each in JOBS}
    assert count == len(JOBS)


def test_a_job_replaced_while_it_was_encoded_is_left_to_its_writer():
    _, written, count = refilled(lambda book, number: book.add([job("nurse-1", "Surgeon")]) if number == 1 else None)
    assert "nurse-1" not in written
    assert count == len(JOBS) - 1


def test_a_job_replaced_before_its_slice_is_written_as_it_is_now():
    _, written, _ = refilled(lambda book, number: book.add([job("cook-5", "Surgeon")]) if number == 1 else None)
    assert written["cook-5"] == "Surgeon"


def test_a_job_removed_meanwhile_does_not_come_back():
    _, written, count = refilled(lambda book, number: book.remove("nurse-2") if number == 1 else None)
    assert "nurse-2" not in written
    assert count == len(JOBS) - 1


def test_the_new_index_equals_one_filled_at_once():
    book, lock, towers = JobBook(JOBS), threading.Lock(), TextTowers(WordEncoder())
    index, at_once = Index({"organic": towers.dimension}), Index({"organic": towers.dimension})

    def write(jobs, vectors):
        rows = book.rows([each.job_id for each in jobs])
        index.upsert(rows, {"organic": vectors}, [book.terms(each) for each in jobs])

    renew(book, [each.job_id for each in JOBS], towers, write, lock, 3)
    put_jobs(at_once, JobBook(), towers, JOBS)
    query = towers.job_vectors([job("x", "Night nurse")])
    found, expected = index.search(query, "organic", 11), at_once.search(query, "organic", 11)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
