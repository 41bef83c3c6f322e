"""Why jobs are waved away: the formula by hand, reasons with their noise, and logs that change in no other table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from market.errors import ConfigError
from sim.dismissals import (
    CAUSES,
    OTHER,
    DismissalConfig,
    bad_match_probability,
    disliked,
    dismissal_probability,
    draw_reasons,
    overtaken,
)
from sim.logs import LoggingConfig, write_logs
from sim.world import World

CONFIG = DismissalConfig(base=0.1, stale=0.5, company=0.2)


def test_causes_act_one_beside_the_other():
    causes = {"stale": np.array([False, True, True]), "company": np.array([False, False, True])}
    assert bad_match_probability(CONFIG, causes) == pytest.approx([0, 0.5, 1 - 0.5 * 0.8])
    assert dismissal_probability(CONFIG, causes) == pytest.approx([0.1, 1 - 0.9 * 0.5, 1 - 0.9 * 0.5 * 0.8])


def test_an_unknown_cause_is_refused():
    with pytest.raises(ConfigError, match="weather"):
        bad_match_probability(CONFIG, {"weather": np.ones(1, bool)})


@pytest.mark.parametrize("wrong", [{"base": -0.1}, {"language": 1.1}, {"stale_days": 0}, {"level_gap": -1}])
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ConfigError):
        DismissalConfig(**wrong)


def test_reasons_are_given_by_some_and_wrong_for_some():
    n = 40_000
    config = replace(CONFIG, base=0.0)
    reasons = draw_reasons(config, {"stale": np.ones(n, bool), "company": np.zeros(n, bool)}, np.random.default_rng(0))
    given = reasons[reasons != np.array(None)]
    assert len(given) / n == pytest.approx(config.reason_share, abs=0.01)
    assert (given == "stale").mean() == pytest.approx(1 - config.wrong_reason_share, abs=0.01)
    assert set(given) == {"stale", "company", OTHER}


def test_a_true_reason_is_a_cause_that_is_there_or_chance():
    n = 20_000
    config = replace(CONFIG, reason_share=1.0, wrong_reason_share=0.0)
    causes = {"stale": np.ones(n, bool), "company": np.zeros(n, bool)}
    reasons = pd.Series(draw_reasons(config, causes, np.random.default_rng(0))).value_counts(normalize=True)
    assert reasons.to_dict() == pytest.approx({"stale": 0.5 / 0.6, OTHER: 0.1 / 0.6}, abs=0.01)


def test_no_dismissals_have_no_reasons():
    assert len(draw_reasons(CONFIG, {"stale": np.zeros(0, bool)}, np.random.default_rng(0))) == 0


def test_a_posting_is_overtaken_once_its_copy_is_out():
    keys, posted = np.array([7, 7, 8, 7]), np.array([1.0, 5.0, 0.0, 9.0])
    job, day = np.array([0, 0, 1, 1, 2, 3]), np.array([4.9, 5.0, 8.0, 9.5, 99.0, 99.0])
    assert overtaken(keys, posted, job, day).tolist() == [False, True, False, True, False, False]


def test_a_seeker_dislikes_the_same_employers_every_time():
    config = DismissalConfig(disliked_share=0.3)
    seeker, employer = np.repeat(np.arange(200), 50), np.tile(np.arange(50), 200)
    first = disliked(config, seeker, employer)
    assert np.array_equal(first, disliked(config, seeker, employer))
    assert first.mean() == pytest.approx(0.3, abs=0.02)


def test_another_dismissal_model_changes_no_other_table(world: World, logs: dict[str, pa.Table]) -> None:
    many = write_logs(world, LoggingConfig(dismissal=DismissalConfig(base=0.5, reason_share=1.0)))
    assert many["dismissals"].num_rows > 5 * logs["dismissals"].num_rows
    assert all(many[name].equals(logs[name]) for name in logs if name != "dismissals")


def test_what_was_applied_to_is_not_dismissed_and_causes_show_in_the_rates(world: World) -> None:
    """Only staleness: every old job that is seen is waved away, no new one."""
    only = {name: 0.0 for name in ("base", *CAUSES)} | {"stale": 1.0}
    logs = write_logs(world, LoggingConfig(dismissal=DismissalConfig(**only)))
    tables = {name: logs[name].to_pandas().drop_duplicates("event_id") for name in ("impressions", "dismissals")}
    shown = tables["impressions"].merge(logs["jobs"].to_pandas()[["job_id", "posted_at"]], on="job_id")
    key = ["seeker_id", "job_id", "request_id"]
    shown = shown.merge(tables["dismissals"][key].assign(dismissed=True), on=key, how="left")
    dismissed = shown.dismissed.notna()
    old = (shown.occurred_at - shown.posted_at) > pd.Timedelta(days=DismissalConfig().stale_days)
    assert not dismissed[~old].any()
    top = old & (shown.position == 1)  # the first place is always seen
    assert dismissed[top].mean() > 0.95
    assert 0 < dismissed[old & (shown.position == 8)].mean() < 0.5
