"""Pairs from lists and from Daft tables are the same; what does not fit is refused by name."""

import daft
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graph.linking.key_counts import KeyCounter
from graph.linking.pairs import HIRE, Bags, link_pairs, read_link_pairs
from market.errors import ConfigError, DataError

SEEKERS = {"ann": ["skill=b", "skill=a", "skill=b"], "bob": [], "cem": ["education=<=12"]}
JOBS = {"x": ["skill=a"], "y": ["occupation=1", "skill=b"]}
ROWS = [("ann", "x", True, None), ("ann", "y", False, "impressions"), ("bob", "y", False, "applications"),
        ("cem", "x", True, None)]  # fmt: skip


def tables(seekers=SEEKERS, jobs=JOBS, rows=ROWS):
    seeker, job, hired, source = zip(*rows, strict=True)
    return (
        daft.from_pydict(
            {"seeker_id": list(seeker), "job_id": list(job), "hired": list(hired), "source": list(source)}
        ),
        daft.from_pydict({"seeker_id": list(seekers), "attributes": list(seekers.values())}),
        daft.from_pydict({"job_id": list(jobs), "attributes": list(jobs.values())}),
    )


def same(one, other):
    assert (one.seeker_words, one.job_words, one.sources) == (other.seeker_words, other.job_words, other.sources)
    for name in ("seeker", "job", "hired", "weight", "source"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for side in ("seekers", "jobs"):
        np.testing.assert_array_equal(getattr(one, side).start, getattr(other, side).start)
        np.testing.assert_array_equal(getattr(one, side).tokens, getattr(other, side).tokens)


def test_tables_give_the_pairs_that_lists_give():
    found = read_link_pairs(*tables())
    assert found.seeker_words == ("education=<=12", "skill=a", "skill=b")
    assert found.seekers.row(0).tolist() == [1, 2]
    assert found.source.tolist() == [HIRE, 1, 0, HIRE]
    expected = link_pairs(
        list(SEEKERS.values()), list(JOBS.values()), [0, 0, 1, 2], [0, 1, 1, 0], [True, False, False, True],
        source=np.array([0, 1, 0, 0]), sources=("applications", "impressions"),
    )  # fmt: skip
    same(found, expected)


def test_the_order_and_the_parts_of_tables_do_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    seekers = {f"s{i}": [f"skill={v}" for v in rng.integers(20, size=3)] for i in range(200)}
    rows = [
        (f"s{rng.integers(200)}", "xy"[rng.integers(2)], bool(rng.random() < 0.3), "impressions") for _ in range(500)
    ]
    for name, order in (("one", range(200)), ("other", rng.permutation(200))):
        (tmp_path / name).mkdir()
        ids = [list(seekers)[i] for i in order]
        for part in range(4):
            some = ids[part::4]
            pq.write_table(
                pa.table({"seeker_id": some, "attributes": [seekers[i] for i in some]}),
                tmp_path / name / f"{part}.parquet",
            )
    one, other = (
        read_link_pairs(tables(rows=given)[0], daft.read_parquet(str(tmp_path / name / "*.parquet")), tables()[2])
        for name, given in (("one", rows), ("other", rows[::-1]))
    )
    same(one, other)


def test_rows_that_occur_in_no_pair_are_not_read():
    found = read_link_pairs(*tables(seekers=SEEKERS | {"dan": ["skill=rare"]}))
    assert len(found.seekers) == 3
    assert "skill=rare" not in found.seeker_words


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seekers": {"ann": ["skill=a"], "bob": []}}, "'cem' of pairs is missing"),
        ({"jobs": {"x": ["skill=a"]}}, "'y' of pairs is missing"),
        ({"seekers": SEEKERS | {"bob": ["star_sign=leo"]}}, "'star_sign=leo' is of no known kind"),
        ({"seekers": SEEKERS | {"bob": ["welding"]}}, "'welding' is of no known kind"),
        ({"jobs": JOBS | {"x": ["past_occupation=1"]}}, "'past_occupation=1' is of no known kind"),
        ({"seekers": SEEKERS | {"bob": ["skill=a", None]}}, "an attribute is null"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, says):
    with pytest.raises(DataError, match=says):
        read_link_pairs(*tables(**change))


def test_a_seeker_with_two_rows_is_refused():
    pairs, seekers, jobs = tables()
    with pytest.raises(DataError, match="seeker_id ann occurs twice"):
        read_link_pairs(pairs, seekers.concat(seekers.where(seekers["seeker_id"] == "ann")), jobs)


def test_tables_without_their_columns_or_rows_are_refused():
    pairs, seekers, jobs = tables()
    with pytest.raises(DataError, match=r"no column \['hired'\]"):
        read_link_pairs(pairs.exclude("hired"), seekers, jobs)
    with pytest.raises(DataError, match=r"no column \['attributes'\]"):
        read_link_pairs(pairs, seekers.exclude("attributes"), jobs)
    with pytest.raises(DataError, match="no row"):
        read_link_pairs(pairs.where(pairs["seeker_id"] == "nobody"), seekers, jobs)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seeker": [5]}, "seeker row 5 of 1"),
        ({"job": [-1]}, "job row -1 of 1"),
        ({"hired": [True, False]}, "seeker 1"),
        ({"weight": [-1.0]}, "negative or not finite"),
        ({"weight": [np.nan]}, "negative or not finite"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(change, says):
    given = {"seeker": [0], "job": [0], "hired": [True]} | change
    with pytest.raises(DataError, match=says):
        link_pairs([["skill=a"]], [["skill=a"]], **given)


def test_bags_are_taken_by_row():
    bags = Bags(np.array([0, 2, 2, 3]), np.array([4, 7, 1], np.int32))
    taken = bags.take(np.array([2, 0, 1, 0]))
    assert [taken.row(i).tolist() for i in range(len(taken))] == [[1], [4, 7], [], [4, 7]]
    assert bags.longest == 2


@pytest.mark.parametrize("partitions", [1, 2, 64])
def test_keys_are_counted_as_one_sort_would_count_them(partitions, tmp_path):
    rng = np.random.default_rng(0)
    keys = rng.integers(1 << 64, size=500, dtype=np.uint64)[rng.integers(500, size=3000)]
    with KeyCounter(partitions, tmp_path) as counter:
        for block in np.array_split(keys, 7):
            counter.add(block)
        counted = counter.counted(5)
        assert any(tmp_path.iterdir())
    unique, counts = np.unique(keys, return_counts=True)
    np.testing.assert_array_equal(counted.keys, unique[counts >= 5])
    np.testing.assert_array_equal(counted.counts, counts[counts >= 5])
    assert (counted.distinct, counted.total) == (len(unique), 3000)
    assert list(tmp_path.iterdir()) == []


def test_no_keys_are_counted_as_none():
    with KeyCounter() as counter:
        assert counter.counted().distinct == 0
        counter.add(np.zeros(0, np.uint64))
        assert counter.counted().distinct == 0
    with pytest.raises(ConfigError, match="partitions"):
        KeyCounter(0)
