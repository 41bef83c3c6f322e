"""Link sets by hand: who is covered, what a job carries, and that nothing is lost on disk."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.linking.subsets import SubsetIndex
from graph.links import LinkSet, conjunction, link_id
from market.artefacts import writing
from market.errors import ArtefactError, DataError

COOK, CLERK, SCHOOL = "occupation=cook", "occupation=clerk", "education=<=12"
LINKS = LinkSet(
    ("a", "b", "c", "d"),
    ((COOK,), ("education=<=12", COOK), (CLERK,), (COOK,)),
    ((CLERK,), ("occupation=baker", "section=food"), (COOK,), ("section=food",)),
    np.array([3.0, 2.0, 1.0, 0.5]),
    np.array([30, 20, 10, 5]),
    np.array([4, 3, 2, 1]),
    -1.5,
    "sampled, 5 a hire",
)
NOBODY = LINKS.take([])


def test_a_seeker_has_the_links_whose_whole_seeker_side_it_covers_best_first():
    assert LINKS.of_seeker([COOK]) == [0, 3]
    assert LINKS.of_seeker([COOK, SCHOOL, "section=food"]) == [0, 1, 3]
    assert LINKS.of_seeker([]) == []


def test_a_job_carries_the_terms_of_all_links_that_end_in_it():
    assert LINKS.terms_of_job([CLERK, "section=office"]) == ["link=a"]
    assert LINKS.terms_of_job(["occupation=baker", "section=food"]) == ["link=b", "link=d"]
    assert LINKS.terms_of_job(["section=sea"]) == []


def test_a_link_fires_when_both_sides_are_covered():
    assert LINKS.between([COOK, SCHOOL], ["occupation=baker", "section=food"]) == [1, 3]
    assert LINKS.between([COOK], ["occupation=baker", "section=food"]) == [3]
    assert LINKS.between([CLERK], [CLERK]) == []


def test_an_empty_set_of_links_answers_with_nothing():
    assert len(NOBODY) == 0
    assert NOBODY.of_seeker([COOK]) == NOBODY.between([COOK], [CLERK]) == []
    assert NOBODY.terms_of_job([CLERK]) == []


def test_links_can_be_picked():
    picked = LINKS.take(np.array([2, 0]))
    assert (picked.link_ids, picked.weight.tolist(), picked.hires.tolist()) == (("c", "a"), [1.0, 3.0], [10, 30])
    assert (picked.intercept, picked.source) == (-1.5, "sampled, 5 a hire")


def test_columns_of_different_length_are_refused():
    with pytest.raises(DataError, match="weight"):
        LinkSet(("a",), ((COOK,),), ((CLERK,),), np.zeros(2), np.zeros(1), np.zeros(1))


def test_the_id_of_a_link_depends_on_its_attributes_alone():
    # ids of one attribute a side are those of the first format: people may have edited them
    assert link_id(["occupation=10"], ["occupation=11"]) == "7963332f1d38"
    assert link_id([COOK, SCHOOL], [CLERK]) == link_id([SCHOOL, COOK, COOK], [CLERK])
    assert len({link_id(["a=1"], ["b=2", "c=3"]), link_id(["a=1", "b=2"], ["c=3"]), link_id(["a=1"], ["b=2"])}) == 3


@pytest.mark.parametrize("links", [LINKS, NOBODY], ids=["some", "none"])
def test_saved_links_come_back_the_same(tmp_path, links):
    links.save(tmp_path / "links")
    found = LinkSet.load(tmp_path / "links")
    for name in ("link_ids", "seeker", "job", "intercept", "source"):
        assert getattr(found, name) == getattr(links, name)
    for name in ("weight", "hires", "no_hires"):
        np.testing.assert_array_equal(getattr(found, name), getattr(links, name))


def test_links_of_the_first_format_are_still_read(tmp_path):
    with writing(tmp_path / "links", "link-set", 1) as scratch:
        row = {"link_ids": ["x"], "seeker": [COOK], "job": [CLERK], "weight": [2.0], "hires": [3], "no_hires": [1]}
        pq.write_table(pa.table(row), scratch / "links.parquet")
    found = LinkSet.load(tmp_path / "links")
    assert (found.seeker, found.job, found.weight.tolist()) == (((COOK,),), ((CLERK,),), [2.0])
    assert found.terms_of_job([CLERK]) == ["link=x"]


def test_links_of_a_later_format_are_refused(tmp_path):
    with writing(tmp_path / "links", "link-set", 99) as scratch:
        (scratch / "links.parquet").write_bytes(b"unknown")
    with pytest.raises(ArtefactError, match="99"):
        LinkSet.load(tmp_path / "links")


def test_damaged_links_are_refused(tmp_path):
    LINKS.save(tmp_path / "links")
    (tmp_path / "links" / "links.parquet").write_bytes(b"something else")
    with pytest.raises(ArtefactError, match=r"links\.parquet is damaged"):
        LinkSet.load(tmp_path / "links")


@given(st.lists(st.frozensets(st.sampled_from("abcdef")), max_size=20), st.frozensets(st.sampled_from("abcdefg")))
def test_a_subset_index_finds_what_trying_every_set_finds(sets, wanted):
    found = SubsetIndex([sorted(members) for members in sets]).covered_by(wanted)
    assert found == [i for i, members in enumerate(sets) if members <= wanted]


def test_a_conjunction_is_sorted_and_holds_each_attribute_once():
    assert conjunction([COOK, SCHOOL, COOK]) == (SCHOOL, COOK)
