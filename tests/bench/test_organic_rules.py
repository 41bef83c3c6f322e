"""The table of quality rules on a small world, and the parts of it that can be followed by hand."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from bench.organic_rules import measured, show
from bench.rules_world import FOREIGN_SHARE, FOREIGN_TEXT, REPOST_SHARE, Crowd, fill_shelf, no_copy_seen, with_faults
from organic.quality.duplicates import posting_digest
from organic.quality.language import guess_language
from organic.quality.removal import LEARNABLE
from sim.behaviour import examination, read_behaviour
from sim.dismissals import DismissalConfig
from sim.logs import LoggingConfig, write_logs
from sim.world import World, WorldConfig, build_world
from tests.organic.small_market import WordEncoder

pytestmark = pytest.mark.journey  # long for `make check`


@cache
def world() -> World:
    shape = WorldConfig(kind="generated", persons=600, serve_replicas=2, inventory=300, metros=2)
    return build_world(shape, read_behaviour(), None, None)


@cache
def logs() -> dict[str, pa.Table]:
    return write_logs(world(), LoggingConfig(impression_days=2_000))


def test_a_copy_counts_where_the_first_was_not_seen():
    vacancy = np.array([[7, 8, 7, 7]])
    seen = np.array([[0.5, 0.4, 0.3, 0.2]])
    assert no_copy_seen(vacancy, seen) == pytest.approx(np.array([[1, 1, 0.5, 0.5 * 0.7]]))


def test_the_shelf_has_copies_and_foreign_postings_that_the_engine_can_see():
    shelf = fill_shelf(world())
    assert 0.5 * REPOST_SHARE < len(shelf.jobs) / 300 - 1 < 1.5 * REPOST_SHARE
    assert guess_language(FOREIGN_TEXT) == "de"
    assert 0 < shelf.foreign.mean() < 2 * FOREIGN_SHARE
    digests = [posting_digest(job) for job in shelf.jobs]
    newest = {digest: at for at, digest in enumerate(digests)}  # the shelf is in the order of posting
    assert [newest[digest] != at for at, digest in enumerate(digests)] == shelf.copied.tolist()


def test_faults_are_added_and_nothing_else_changes():
    config = DismissalConfig()
    tables = with_faults(world(), logs(), config)
    for name in ("impressions", "seekers", "clicks", "occupations"):
        assert tables[name].equals(logs()[name])
    assert (
        0 < logs()["applications"].num_rows - tables["applications"].num_rows < 0.05 * logs()["applications"].num_rows
    )
    assert tables["dismissals"].num_rows > logs()["dismissals"].num_rows
    assert set(tables["jobs"]["seniority"].to_pylist()) <= {"entry", "junior", "mid", "senior", "director"}


def test_expectations_are_probabilities_and_empty_places_bring_nothing():
    shelf, crowd = fill_shelf(world()), Crowd.of(world(), 20)
    shown = np.tile(np.arange(5), (len(crowd.profiles), 1))
    shown[:, 4] = -1
    expected = crowd.expected(DismissalConfig(), shelf, shown)
    seen = examination(world().behaviour, 5)
    for values in expected.values():
        assert (values >= 0).all()
        assert (values <= seen).all()
        assert not values[:, 4].any()
    assert (expected["bad"] < expected["dismissals"])[:, :4].all()
    assert (expected["applications"] <= expected["postings"]).all()


def test_the_table_has_a_row_a_rule_and_the_row_without_rules_changes_nothing():
    result = measured(world(), WordEncoder(), seekers=40, logging=LoggingConfig(impression_days=2_000))
    rows = {row["rules"]: row for row in result["rows"]}
    assert rows["none"]["bad_change"]["relative"] == 0
    assert {f"{rule} alone" for rule in LEARNABLE} < set(rows)
    assert rows["duplicate alone"]["bad"] < rows["none"]["bad"]
    assert rows["wrong-language alone"]["bad"] <= rows["none"]["bad"]
    table = show(result)
    assert len({len(row) for row in table}) == 1
    assert len(table) == len(rows) + 1
