"""From profiles and hires to the instances everything is learned from. Day 0 is 1 January 2024."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from graph.bipartite import Examples
from graph.hires import Hires
from graph.history import decimal_year, examples_from_hires, examples_of_profiles, popularity
from market.errors import DataError
from market.tables import Tables, check_table
from market.taxonomy import build_taxonomy

TAXONOMY = build_taxonomy("toy", [(code, f"Title {code}", code[:1], "all") for code in ("11", "12", "21")])
NOTHING = pa.table({"event_id": pa.array([], pa.string())})


def day(number):
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)


def position(seeker, occupation, start, employer="acme"):
    return {
        "seeker_id": seeker,
        "employer_id": employer,
        "occupation": occupation,
        "title": occupation,
        "geo": "here",
        "started_at": day(start),
        "recorded_at": day(start),
    }


def hire(seeker, occupation, applied):
    return {
        "seeker_id": seeker,
        "job_id": "job",
        "employer_id": "zeta",
        "application_event_id": f"{seeker} {applied}",
        "rule": "occupation",
        "applied_at": day(applied),
        "started_at": day(applied + 30),
        "occupation": occupation,
    }


def schooling(seeker, years, updated):
    return {"seeker_id": seeker, "geo": "here", "education_years": years, "updated_at": day(updated)}


def learned_from(positions, hires, seekers=None):
    tables = {"positions": positions} | ({} if seekers is None else {"seekers": seekers})
    checked = {name: check_table(name, pa.Table.from_pylist(rows)) for name, rows in tables.items()}
    table = check_table("hires", pa.Table.from_pylist(hires))
    return examples_from_hires(Tables(checked, TAXONOMY), Hires(table, NOTHING))


def codes(examples, i):
    return [TAXONOMY.codes[o] for o in examples.item_occupation[examples.start[i] : examples.stop[i]]]


def test_a_hire_is_told_by_the_positions_begun_before_the_application():
    held = [position("ann", "12", -100), position("ann", "11", -400), position("ann", "21", 40)]
    examples, seekers = learned_from(held, [hire("ann", "21", 0)])
    assert seekers == ("ann",)
    assert codes(examples, 0) == ["11", "12"]
    assert examples.target.tolist() == [TAXONOMY.find("21")]
    assert examples.year.tolist() == pytest.approx([2024.0], abs=0.01)
    assert examples.item_year.tolist() == pytest.approx([2024 - 400 / 365.25, 2024 - 100 / 365.25, 2024.11], abs=0.01)


def test_the_position_that_confirms_a_hire_and_one_begun_with_the_application_are_not_in_its_history():
    examples, _ = learned_from([position("ann", "11", 0), position("ann", "21", 30)], [hire("ann", "21", 0)])
    assert codes(examples, 0) == []
    assert examples.current.tolist() == [-1]


def test_each_of_several_hires_sees_what_came_before_it():
    held = [position("ann", "11", -400), position("ann", "12", 30), position("ann", "21", 230)]
    examples, _ = learned_from(held, [hire("ann", "12", 0), hire("ann", "21", 200)])
    assert [codes(examples, i) for i in range(2)] == [["11"], ["11", "12"]]
    assert examples.person.tolist() == [0, 0]


def test_seekers_do_not_see_each_other_and_those_never_hired_are_left_out():
    held = [position("bob", "12", -10), position("ann", "11", -20), position("cid", "21", -30)]
    examples, seekers = learned_from(held, [hire("cid", "11", 0), hire("ann", "12", 1)])
    assert seekers == ("ann", "cid")
    assert examples.person.tolist() == [1, 0]
    assert [codes(examples, i) for i in range(2)] == [["21"], ["11"]]


def test_a_hire_without_any_earlier_position_has_an_empty_history():
    examples, _ = learned_from([position("bob", "11", -10)], [hire("ann", "12", 0)])
    assert (codes(examples, 0), examples.lengths.tolist()) == ([], [0])


def test_a_position_recorded_twice_counts_once():
    held = [position("ann", "11", -10), position("ann", "11", -10)]
    examples, _ = learned_from(held, [hire("ann", "12", 0)])
    assert codes(examples, 0) == ["11"]


def test_the_order_of_rows_does_not_matter():
    held = [position(s, o, -d) for s, o, d in (("ann", "11", 9), ("bob", "12", 8), ("ann", "21", 7), ("bob", "11", 6))]
    hires = [hire("ann", "12", 0), hire("bob", "21", 1)]
    examples, seekers = learned_from(held, hires)
    again, same_seekers = learned_from(held[::-1], hires)
    assert seekers == same_seekers
    for name, values in vars(examples).items():
        np.testing.assert_array_equal(values, getattr(again, name))


def test_schooling_is_the_last_known_when_applying():
    rows = [schooling("ann", 16, 500), schooling("ann", 12, -900), schooling("ann", 14, 100)]
    examples, _ = learned_from([position("ann", "11", -10)], [hire("ann", "12", 0), hire("ann", "21", 150)], rows)
    assert examples.education_years.tolist() == [12, 14]


def test_schooling_is_found_for_times_of_another_resolution():
    tables = {"positions": [position("ann", "11", -10)], "seekers": [schooling("ann", 12, -5)]}
    checked = {name: check_table(name, pa.Table.from_pylist(rows)) for name, rows in tables.items()}
    asked = pa.table(
        {"seeker_id": ["ann"], "occupation": ["12"], "applied_at": pa.array([day(0)], pa.timestamp("ns", "UTC"))}
    )
    examples, _ = examples_from_hires(Tables(checked, TAXONOMY), Hires(asked, NOTHING))
    assert examples.education_years.tolist() == [12]


def test_schooling_recorded_only_later_is_taken_from_the_earliest_record():
    rows = [schooling("ann", 16, 500), schooling("ann", 14, 400)]
    examples, _ = learned_from([position("ann", "11", -10)], [hire("ann", "12", 0)], rows)
    assert examples.education_years.tolist() == [14]


def test_unknown_schooling_is_nan():
    hires = [hire("ann", "12", 0), hire("bob", "12", 0)]
    held = [position("ann", "11", -10)]
    examples, _ = learned_from(held, hires, [schooling("ann", None, -5), schooling("eve", 12, -5)])
    assert np.isnan(examples.education_years).all()
    assert np.isnan(learned_from(held, hires)[0].education_years).all()


def test_a_market_without_hires_is_refused():
    hires = Hires(check_table("hires", pa.Table.from_pylist([hire("ann", "12", 0)])).slice(1), NOTHING)
    tables = Tables({"positions": check_table("positions", pa.Table.from_pylist([position("ann", "11", 0)]))}, TAXONOMY)
    with pytest.raises(DataError, match="no confirmed hire was found"):
        examples_from_hires(tables, hires)


def test_a_decimal_year_counts_julian_years_since_1970():
    at = [np.datetime64("1970-01-01"), np.datetime64("1970-01-01T12:00"), np.datetime64("2024-01-01")]
    assert decimal_year(np.array(at, "datetime64[us]")).tolist() == pytest.approx(
        [1970, 1970 + 0.5 / 365.25, 2024], abs=2e-3
    )
    assert (np.diff(decimal_year(np.arange("2000", "2030", dtype="datetime64[M]"))) > 0).all()


def test_profiles_become_instances_whose_outcome_is_unknown():
    examples = examples_of_profiles(
        [[0, 2], [], [1]], [[2010.0, 2020.0], [], [2015.5]], np.array([12, np.nan, 16]), 2024.5
    )
    assert [codes(examples, i) for i in range(3)] == [["11", "21"], [], ["12"]]
    assert examples.person.tolist() == [0, 1, 2]
    assert examples.target.tolist() == [-1, -1, -1]
    assert examples.year.tolist() == [2024.5] * 3
    np.testing.assert_array_equal(examples.education_years, np.array([12, np.nan, 16], np.float32))


def test_no_profiles_are_no_instances():
    assert len(examples_of_profiles([], [], np.empty(0), 2024.0)) == 0


def test_a_profile_from_the_future_is_refused():
    with pytest.raises(DataError, match="not older than the outcome"):
        examples_of_profiles([[0]], [[2025.0]], np.array([12]), 2024.5)


def test_popularity_is_the_share_of_known_outcomes():
    none = np.zeros(4, np.int64)
    examples = Examples(
        person=np.arange(4, dtype=np.int32),
        start=none,
        stop=none,
        item_occupation=np.empty(0, np.int32),
        item_year=np.empty(0, np.float32),
        year=np.full(4, 2024, np.float32),
        education_years=np.full(4, np.nan, np.float32),
        target=np.array([0, 2, 0, -1], np.int32),
    )
    assert popularity(examples, TAXONOMY).tolist() == pytest.approx([2 / 3, 0, 1 / 3])
