"""Every rule of the join, on tables of a few rows. Day 0 is 1 January 2024; a section is two characters of a code."""

from datetime import timedelta, timezone
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.hires import HireRules, confirm
from market.errors import ConfigError, DataError
from market.tables import Tables
from tests.graph import toy_logs
from tests.graph.toy_logs import TAXONOMY, application, day, job, position

JOBS = ("acme-111", "acme-112", "acme-211", "zeta-111")


def logs(applications, positions, jobs=JOBS):
    return toy_logs.logs(applications=applications, positions=positions, jobs=[job(job_id) for job_id in jobs])


def confirmed(applications, positions, **options):
    """(event, started day, rule) of every hire, in the order given out."""
    hires = confirm(logs(applications, positions), **options).hires.to_pylist()
    return [(row["application_event_id"], (row["started_at"] - day(0)).days, row["rule"]) for row in hires]


def outcomes(applications, positions, **options):
    rows = confirm(logs(applications, positions), **options).outcomes.to_pylist()
    return {row["event_id"]: row["outcome"] for row in rows}


ONE = [application("a", "acme-111", 0)]
HIRED = [position("acme", "111", 30)]


def test_a_new_position_at_the_employer_after_the_application_is_a_hire():
    found = confirm(logs(ONE, HIRED))
    assert len(found) == 1
    assert found.hires.to_pylist() == [
        {
            "seeker_id": "ann",
            "job_id": "acme-111",
            "employer_id": "acme",
            "application_event_id": "a",
            "rule": "occupation",
            "applied_at": day(0),
            "started_at": day(30),
            "occupation": "111",
        }
    ]


@pytest.mark.parametrize(
    "other",
    [
        position("acme", "111", 30, seeker="bob"),
        position("zeta", "111", 30),
        position("acme", "111", -1),
    ],
    ids=["another seeker", "another employer", "before the application"],
)
def test_a_position_of_someone_or_somewhere_else_or_before_is_no_hire(other):
    assert confirmed(ONE, [other], as_of=day(300)) == []
    assert outcomes(ONE, [other], as_of=day(300)) == {"a": "not_hired"}


@pytest.mark.parametrize(("start", "hires"), [(0, 1), (180, 1), (181, 0)])
def test_both_edges_of_the_window_are_inside(start, hires):
    assert len(confirmed(ONE, [position("acme", "111", start)])) == hires


def test_the_window_is_a_setting():
    assert confirmed(ONE, HIRED, rules=HireRules(window_days=29)) == []
    assert len(confirmed(ONE, HIRED, rules=HireRules(window_days=30))) == 1


@pytest.mark.parametrize("days", [0, -1])
def test_a_window_below_a_day_is_refused(days):
    with pytest.raises(ConfigError, match=f"window_days is {days}"):
        HireRules(window_days=days)


def test_another_occupation_of_the_section_is_a_hire_by_section_unless_switched_off():
    near = [position("acme", "112", 30)]
    assert confirmed(ONE, near) == [("a", 30, "section")]
    assert confirmed(ONE, near, rules=HireRules(allow_section=False)) == []


def test_a_hire_by_section_counts_for_the_occupation_of_the_job():
    assert confirm(logs(ONE, [position("acme", "112", 30)])).hires["occupation"].to_pylist() == ["111"]


@pytest.mark.parametrize("occupation", ["121", "211"])
def test_another_section_is_no_hire_though_the_major_group_is_the_same(occupation):
    assert confirmed(ONE, [position("acme", occupation, 30)]) == []


def test_a_position_without_employer_confirms_nothing():
    assert confirmed(ONE, [position(None, "111", 30), position("zeta", "211", 31)]) == []


def test_positions_without_an_employer_column_are_refused():
    nobody = [{k: v for k, v in position("acme", "111", 30).items() if k != "employer_id"}]
    with pytest.raises(DataError, match="employer_id"):
        confirm(logs(ONE, nobody))


def test_an_internal_move_is_not_a_hire():
    assert confirmed(ONE, [position("acme", "211", -400), *HIRED]) == []


def test_a_first_position_that_begins_with_the_application_is_not_internal():
    assert confirmed(ONE, [position("acme", "111", 0)]) == [("a", 0, "occupation")]


def test_work_for_another_employer_is_not_internal():
    assert len(confirmed(ONE, [position("zeta", "111", -400), *HIRED])) == 1


def test_the_better_rule_beats_the_later_application():
    applied = [application("a", "acme-111", 0), application("b", "acme-112", 10)]
    assert confirmed(applied, HIRED) == [("a", 30, "occupation")]


def test_among_equal_rules_the_latest_application_gets_the_hire():
    applied = [application("a", "acme-111", 0), application("b", "acme-111", 10), application("c", "acme-111", 40)]
    assert confirmed(applied, HIRED) == [("b", 30, "occupation")]


def test_among_equal_applications_the_smallest_event_id_gets_the_hire():
    applied = [application(event, "acme-111", 10) for event in ("c", "b", "d")]
    assert confirmed(applied, HIRED) == [("b", 30, "occupation")]


def test_one_application_explains_its_earliest_position_only():
    assert confirmed(ONE, [position("acme", "111", 60), *HIRED]) == [("a", 30, "occupation")]


def test_one_application_explains_a_better_match_rather_than_an_earlier_one():
    assert confirmed(ONE, [position("acme", "112", 10), *HIRED]) == [("a", 30, "occupation")]


def test_duplicated_events_and_positions_count_once():
    again = {**HIRED[0], "recorded_at": day(45), "geo": "there"}
    found = confirm(logs([*ONE, *ONE, application("a", "acme-111", 5)], [*HIRED, *HIRED, again]))
    assert len(found) == found.outcomes.num_rows == 1
    assert found.hires["applied_at"].to_pylist() == [day(0)]


def test_what_was_recorded_later_does_not_exist():
    late = [position("acme", "111", 30, recorded=50)]
    assert confirmed(ONE, late, as_of=day(49)) == []
    assert len(confirmed(ONE, late, as_of=day(50))) == 1


def test_an_application_of_the_future_does_not_exist():
    assert outcomes([*ONE, application("b", "acme-111", 100)], HIRED, as_of=day(99)) == {"a": "hired"}


def test_nothing_known_yet_is_no_error():
    found = confirm(logs(ONE, HIRED), as_of=day(-1))
    assert len(found) == found.outcomes.num_rows == 0


@pytest.mark.parametrize(("as_of", "outcome"), [(179, "censored"), (180, "not_hired"), (400, "not_hired")])
def test_an_application_is_a_negative_only_when_its_window_has_passed(as_of, outcome):
    assert outcomes(ONE, [position("zeta", "211", -5)], as_of=day(as_of)) == {"a": outcome}


def test_a_hire_inside_a_window_that_is_still_open_is_a_hire():
    assert outcomes(ONE, HIRED, as_of=day(31)) == {"a": "hired"}


def test_as_of_is_the_latest_record_unless_given():
    waiting = [*ONE, application("b", "acme-111", 10)]
    elsewhere = [position("zeta", "211", -5, recorded=185)]
    assert outcomes(waiting, elsewhere) == {"a": "not_hired", "b": "censored"}


def test_as_of_means_the_same_instant_in_every_zone_and_utc_without_one():
    tokyo = day(180).astimezone(timezone(timedelta(hours=9)))
    new_york = day(180).astimezone(timezone(timedelta(hours=-5)))
    for as_of in (tokyo, new_york, day(180).replace(tzinfo=None)):
        assert outcomes(ONE, [position("zeta", "211", -5)], as_of=as_of) == {"a": "not_hired"}


def test_an_application_to_a_job_that_is_not_in_the_logs_has_an_outcome_but_no_hire():
    found = confirm(logs(ONE, HIRED, jobs=["zeta-111"]), as_of=day(300))
    assert len(found) == 0
    assert found.outcomes["outcome"].to_pylist() == ["not_hired"]


def test_logs_without_applications_are_refused():
    empty = SimpleNamespace(num_rows=0)
    tables = Tables({"applications": empty, "positions": logs(ONE, HIRED)["positions"]}, TAXONOMY)
    with pytest.raises(DataError, match="no rows to join"):
        confirm(tables)


def by_hand(applied, held, window=180):
    """The rules once more in plain loops: the slow, obvious twin."""
    best = {}
    for p in held:
        began = [
            h["started_at"] for h in held if (h["seeker_id"], h["employer_id"]) == (p["seeker_id"], p["employer_id"])
        ]
        for a in applied:
            if a["seeker_id"] != p["seeker_id"] or a["job_id"].split("-")[0] != p["employer_id"]:
                continue
            lag = p["started_at"] - a["occurred_at"]
            wanted = a["job_id"].split("-")[1]
            if not timedelta(0) <= lag <= timedelta(days=window) or min(began) < a["occurred_at"]:
                continue
            if wanted[:2] != p["occupation"][:2]:
                continue
            second = wanted != p["occupation"]
            key = (p["seeker_id"], p["employer_id"], p["occupation"], p["started_at"])
            rank = (second, -a["occurred_at"].timestamp(), a["event_id"])
            best[key] = min(best.get(key, (rank, a)), (rank, a), key=lambda found: found[0])
    chosen = {}
    for key, (rank, a) in best.items():
        mine = (rank[0], key[3], key[2])
        if a["event_id"] not in chosen or mine < chosen[a["event_id"]]:
            chosen[a["event_id"]] = mine
    hires = [
        (e, (began - day(0)).days, "section" if second else "occupation") for e, (second, began, _) in chosen.items()
    ]
    return sorted(hires)


@st.composite
def worlds(draw):
    """Up to 8 applications and 8 positions of two seekers, then copies of some rows, then every row in some order."""
    seeker, when = st.sampled_from(["ann", "bob"]), st.integers(-3, 6).map(lambda week: 60 * week)
    applied = draw(st.lists(st.tuples(st.sampled_from(JOBS), when, seeker), min_size=1, max_size=8))
    held = draw(
        st.lists(
            st.tuples(st.sampled_from(["acme", "zeta", None]), st.sampled_from(["111", "112", "211"]), when, seeker),
            min_size=1,
            max_size=8,
        )
    )
    applications = [application(f"event {i}", *row) for i, row in enumerate(applied)]
    return applications, [position(*row) for row in held], draw(st.randoms(use_true_random=False))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(worlds())
def test_any_logs_give_what_the_rules_say_in_any_order_of_rows_and_with_copies(world):
    applications, positions, random = world
    first = confirm(logs(applications, positions), as_of=day(1000))
    hires = [(r["application_event_id"], (r["started_at"] - day(0)).days, r["rule"]) for r in first.hires.to_pylist()]
    assert sorted(hires) == by_hand(applications, positions)

    shuffled = [applications + applications[:3], positions + positions[:3]]
    for rows in shuffled:
        random.shuffle(rows)
    again = confirm(logs(*shuffled), as_of=day(1000))
    assert again.hires.equals(first.hires)
    assert again.outcomes.sort_by("event_id").equals(first.outcomes.sort_by("event_id"))


def test_hires_come_in_the_order_of_their_applications():
    rng = np.random.default_rng(0)
    people = [f"seeker {i}" for i in range(20)]
    applied = [application(f"event {i}", "acme-111", int(rng.integers(0, 30)), p) for i, p in enumerate(people)]
    found = confirm(logs(applied, [position("acme", "111", 40, seeker=p) for p in people])).hires
    keys = list(zip(found["applied_at"].to_pylist(), found["application_event_id"].to_pylist(), strict=True))
    assert len(keys) == 20
    assert keys == sorted(keys)
