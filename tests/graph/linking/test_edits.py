"""People's edits of links: what stands, that a re-fit and other writers lose none, and what is refused."""

import json
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.linking.edits import (
    FILE,
    LinkEdit,
    Overlay,
    append_edit,
    apply,
    check_sides,
    load_links,
    new_link,
    read_edits,
    sides_of,
)
from graph.links import LinkSet, link_id
from market.errors import ArtefactError, ConfigError, NotFoundError
from market.taxonomy import build_taxonomy

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COOK, CLERK, BAKER = "occupation=cook", "occupation=clerk", "occupation=baker"
SIDES = (((COOK,), (BAKER,)), ((COOK,), (CLERK,)), ((CLERK,), (COOK,)))
IDS = tuple(link_id(*sides) for sides in SIDES)
LINKS = LinkSet(
    IDS,
    tuple(seeker for seeker, _ in SIDES),
    tuple(job for _, job in SIDES),
    np.array([3.0, 2.0, 1.0]),
    np.array([30, 20, 10]),
    np.array([4, 3, 2]),
    -1.5,
    "sampled",
)
A, B, C = IDS


def edit(action, found, author="anna", **numbers):
    at = IDS.index(found)
    return LinkEdit(action, found, *SIDES[at], author, NOON, **numbers)


def weights(links):
    return dict(zip(links.link_ids, links.weight.tolist(), strict=True))


def test_a_vetoed_link_targets_nobody_and_the_others_stay_as_they_were():
    left = apply(LINKS, [edit("veto", A)])
    assert left.of_seeker([COOK]) == [left.position[B]]
    assert left.terms_of_job([BAKER]) == []
    assert weights(left) == {B: 2.0, C: 1.0}
    assert (left.hires.tolist(), left.intercept, left.source) == ([20, 10], -1.5, "sampled")


def test_a_boost_sets_the_weight_or_multiplies_what_was_learned():
    boosted = apply(LINKS, [edit("boost", C, weight=9.0), edit("boost", B, factor=0.25)])
    assert boosted.link_ids == (C, A, B)  # still best first
    assert weights(boosted) == {C: 9.0, A: 3.0, B: 0.5}
    assert boosted.hires.tolist() == [10, 30, 20]


def test_an_added_link_fires_without_any_hire_behind_it():
    mine = new_link([COOK, "education=<=12", COOK], [CLERK], 2.5, "anna", NOON, "a course we know")
    links = apply(LINKS, [mine])
    at = links.position[mine.link_id]
    assert (links.seeker[at], links.job[at]) == (("education=<=12", COOK), (CLERK,))
    assert (links.weight[at], links.hires[at], links.no_hires[at]) == (2.5, 0, 0)
    assert at in links.between([COOK, "education=<=12"], [CLERK])
    assert len(apply(LINKS.take([]), [mine])) == 1


def test_adding_a_link_that_is_mined_gives_it_the_persons_weight_and_keeps_its_hires():
    links = apply(LINKS, [new_link([COOK], [CLERK], 7.0, "anna", NOON)])
    assert (links.link_ids[0], links.weight[0], links.hires[0]) == (B, 7.0, 20)
    assert len(links) == 3


def test_the_newest_operation_on_a_link_stands():
    assert weights(apply(LINKS, [edit("veto", A), edit("boost", A, weight=1.5)]))[A] == 1.5
    assert A not in weights(apply(LINKS, [edit("boost", A, weight=1.5), edit("veto", A)]))
    assert weights(apply(LINKS, [edit("boost", A, weight=8.0), edit("boost", A, factor=2.0)]))[A] == 6.0


def test_a_reset_brings_back_what_was_learned_and_takes_back_what_was_added():
    mine = new_link([CLERK], [BAKER], 2.5, "anna", NOON)
    taken_back = LinkEdit("reset", mine.link_id, mine.seeker, mine.job, "bert", NOON)
    edits = [edit("veto", A), edit("boost", B, factor=2), mine, edit("reset", A), edit("reset", B), taken_back]
    assert weights(apply(LINKS, edits)) == weights(LINKS)
    assert Overlay(edits).standing == {}
    assert len(Overlay(edits)) == 6


def test_an_added_link_can_be_boosted_and_vetoed_like_any_other():
    mine = new_link([CLERK], [BAKER], 2.5, "anna", NOON)
    more = LinkEdit("boost", mine.link_id, mine.seeker, mine.job, "bert", NOON, factor=2.0)
    none = LinkEdit("veto", mine.link_id, mine.seeker, mine.job, "bert", NOON)
    assert weights(apply(LINKS, [mine, more]))[mine.link_id] == 5.0
    assert mine.link_id not in weights(apply(LINKS, [mine, none]))
    assert Overlay([mine, none]).dormant(LINKS) == ()


def test_vetoed_links_can_be_seen_as_they_were():
    mine = new_link([CLERK], [BAKER], 2.5, "anna", NOON)
    none = LinkEdit("veto", mine.link_id, mine.seeker, mine.job, "bert", NOON)
    overlay = Overlay([edit("boost", A, factor=2.0), edit("veto", A), mine, none, edit("veto", B), edit("reset", B)])
    assert weights(overlay.only_vetoed(LINKS)) == {A: 6.0, mine.link_id: 2.5}
    assert len(Overlay([]).only_vetoed(LINKS)) == 0


def test_an_edit_whose_link_is_gone_is_dormant_and_in_force_again_when_it_returns():
    overlay = Overlay([edit("veto", A), edit("boost", B, weight=5.0)])
    refitted = LINKS.take([1, 2])  # the first link is not mined this time
    assert [found.link_id for found in overlay.dormant(refitted)] == [A]
    assert weights(overlay.apply(refitted)) == {B: 5.0, C: 1.0}
    assert overlay.dormant(LINKS) == ()
    assert A not in weights(overlay.apply(LINKS))


def test_without_edits_the_links_are_the_mined_ones():
    assert apply(LINKS, []) is LINKS
    assert len(apply(LINKS.take([]), [edit("veto", A)])) == 0


def naive(edits):
    """Weight by id, replaying one operation after the other."""
    learned, now, own = weights(LINKS), dict(weights(LINKS)), dict(weights(LINKS))
    for found in edits:
        if found.action == "veto":
            now.pop(found.link_id, None)
        elif found.action == "reset":
            own[found.link_id] = now[found.link_id] = learned[found.link_id]
        elif found.action == "add":
            own[found.link_id] = now[found.link_id] = found.weight
        else:
            base = own[found.link_id]
            now[found.link_id] = found.weight if found.weight is not None else base * found.factor
    return now


operations = st.one_of(
    st.builds(edit, st.sampled_from(["veto", "reset"]), st.sampled_from(IDS)),
    st.builds(edit, st.just("boost"), st.sampled_from(IDS), factor=st.sampled_from([0.5, 2.0])),
    st.builds(edit, st.sampled_from(["boost", "add"]), st.sampled_from(IDS), weight=st.sampled_from([0.25, 4.0])),
)


@given(st.lists(operations, max_size=8))
def test_what_stands_is_what_replaying_every_operation_leaves(edits):
    found = apply(LINKS, edits)
    assert weights(found) == naive(edits)
    assert (np.diff(found.weight) <= 0).all()


# ---- on disk


def test_edits_come_back_as_they_were_written_oldest_first(tmp_path):
    edits = [
        edit("veto", A, reason="Not \nqualified: é"),
        edit("boost", B, factor=1.5),
        new_link([CLERK], [BAKER], 1, "b", NOON),
    ]
    assert read_edits(tmp_path) == ()
    assert [append_edit(tmp_path, found) for found in edits] == [1, 2, 3]
    assert read_edits(tmp_path) == tuple(edits)


def test_times_are_kept_in_utc(tmp_path):
    there = datetime(2026, 3, 1, 13, 30, 0, 250_000, tzinfo=UTC).astimezone()
    append_edit(tmp_path, LinkEdit("veto", A, *SIDES[0], "anna", there))
    assert json.loads((tmp_path / FILE).read_text().splitlines()[1])["at"] == "2026-03-01T13:30:00.250000Z"
    assert read_edits(tmp_path)[0].at == there


def test_edits_survive_a_refit_of_the_links(tmp_path):
    LINKS.save(tmp_path / "links")
    append_edit(tmp_path, edit("veto", A))
    LINKS.take([0, 2]).save(tmp_path / "links")
    assert weights(load_links(tmp_path)) == {C: 1.0}
    LINKS.save(tmp_path / "links")
    assert weights(load_links(tmp_path)) == {B: 2.0, C: 1.0}


def test_writers_at_the_same_time_lose_no_edit(tmp_path):
    def write(author):
        for minute in range(10):
            found = LinkEdit("veto", A, *SIDES[0], author, NOON + timedelta(minutes=minute))
            append_edit(tmp_path, found)

    threads = [threading.Thread(target=write, args=(f"author {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    edits = read_edits(tmp_path)
    assert len(edits) == 40
    for i in range(4):
        mine = [found.at for found in edits if found.author == f"author {i}"]
        assert mine == sorted(mine)
        assert len(mine) == 10


def test_what_a_killed_writer_left_half_done_is_not_an_edit_and_bars_nobody(tmp_path):
    append_edit(tmp_path, edit("veto", A))
    whole = (tmp_path / FILE).read_bytes()
    for cut in (1, 20, 60):
        (tmp_path / FILE).write_bytes(whole + whole.splitlines(keepends=True)[1][:-cut])
        assert len(read_edits(tmp_path)) == 1
        assert append_edit(tmp_path, edit("boost", B, weight=4.0)) == 2
        assert [found.action for found in read_edits(tmp_path)] == ["veto", "boost"]
    (tmp_path / FILE).write_bytes(b'{"format"')  # killed while it wrote the very first line
    assert read_edits(tmp_path) == ()
    assert append_edit(tmp_path, edit("veto", A)) == 1


@pytest.mark.parametrize("damage", [b"nonsense\n", b"{}\n", b'["veto"]\n', b'{"action":"fly"}\n', b"\xff\xfe\n"])
def test_a_damaged_line_is_named_and_nothing_is_written_behind_it(tmp_path, damage):
    append_edit(tmp_path, edit("veto", A))
    content = (tmp_path / FILE).read_bytes() + damage
    (tmp_path / FILE).write_bytes(content)
    for touch in (lambda: read_edits(tmp_path), lambda: append_edit(tmp_path, edit("veto", B))):
        with pytest.raises(ArtefactError, match="line 3"):
            touch()
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("head", [{"kind": "link-edits", "format": 2}, {"kind": "diary", "format": 1}])
def test_edits_of_another_format_are_refused_and_left_alone(tmp_path, head):
    (tmp_path / FILE).write_text(json.dumps(head) + "\n")
    with pytest.raises(ArtefactError, match="format"):
        read_edits(tmp_path)
    with pytest.raises(ArtefactError, match="format"):
        append_edit(tmp_path, edit("veto", A))
    assert json.loads((tmp_path / FILE).read_text()) == head


# ---- mistakes


def test_an_unknown_link_is_named_unless_an_edit_remembers_it():
    assert sides_of(A, LINKS, ()) == SIDES[0]
    assert sides_of(A, LINKS.take([1]), [edit("veto", A)]) == SIDES[0]
    with pytest.raises(NotFoundError, match=r"'0000'.*graph links"):
        sides_of("0000", LINKS, [edit("veto", A)])


@pytest.mark.parametrize(
    ("action", "numbers", "word"),
    [
        ("boost", {}, "either a weight or a factor"),
        ("boost", {"weight": 1.0, "factor": 2.0}, "either a weight or a factor"),
        ("boost", {"weight": 0.0}, "above 0"),
        ("boost", {"factor": -1.0}, "above 0"),
        ("boost", {"weight": float("nan")}, "above 0"),
        ("add", {"factor": 2.0}, "a weight"),
        ("veto", {"weight": 2.0}, "no weight"),
        ("praise", {}, "veto, boost, add or reset"),
        ("veto", {"author": " "}, "author"),
    ],
)
def test_an_impossible_edit_is_refused(action, numbers, word):
    with pytest.raises(ConfigError, match=word):
        edit(action, A, **numbers)


def test_an_edit_names_its_link_by_content_and_its_time_by_zone():
    with pytest.raises(ConfigError, match="does not join"):
        LinkEdit("veto", A, *SIDES[1], "anna", NOON)
    with pytest.raises(ConfigError, match="does not join"):
        new_link([], [CLERK], 1.0, "anna", NOON)
    with pytest.raises(ConfigError, match="offset"):
        LinkEdit("veto", A, *SIDES[0], "anna", datetime(2026, 3, 1))


TAXONOMY = build_taxonomy("toy", [("10", "baker", "Food", "Making"), ("11", "clerk", "Office", "Serving")])


def test_a_link_may_speak_of_what_seekers_and_jobs_have():
    check_sides(["occupation=10", "past_occupation=11", "section=Food", "education=<=12"], ["major=Serving"], TAXONOMY)
    check_sides(["skill=anything at all"], ["seniority=entry", "occupation=11"], TAXONOMY)


@pytest.mark.parametrize(
    ("seeker", "job", "word"),
    [
        (["sex=female"], ["occupation=10"], "seeker attribute 'sex=female' is unknown"),
        (["race=1"], ["occupation=10"], "unknown"),
        (["birth_year=1960"], ["occupation=10"], "unknown"),
        (["occupation"], ["occupation=10"], "KIND=VALUE"),
        (["occupation="], ["occupation=10"], "KIND=VALUE"),
        (["occupation=99"], ["occupation=10"], "'99' is unknown; give its occupation of toy"),
        (["education=12"], ["occupation=10"], "<=12"),
        (["occupation=10"], ["past_occupation=10"], "job attribute"),
        (["occupation=10"], ["section=Sea"], "'Sea'"),
    ],
)
def test_a_link_about_anything_else_is_refused_by_name(seeker, job, word):
    with pytest.raises(ConfigError, match=word):
        check_sides(seeker, job, TAXONOMY)
