"""Counterfactual replay of a logged site whose truth is known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from market.errors import DataError
from sim.counterfactual import judge, replay, rewards_under
from sim.decision_log import DecisionLog, decisions_of
from sim.logged_site import LoggedSite, drawn_site, site_of
from sim.market import MarketConfig
from sim.off_policy import diagnose
from sim.slate_policy import SlatePolicy
from sim.stage import Stage

SERVED = SlatePolicy("bid", exploration=0.3, swap=0.3)
Logged = tuple[dict[str, pa.Table], pa.Table]


@pytest.fixture(scope="module")
def site() -> LoggedSite:
    return drawn_site(np.random.default_rng(1), kinds=60, candidates=8)


@pytest.fixture(scope="module")
def logged(site: LoggedSite) -> Logged:
    return site.log(SERVED, 1500, 2, np.random.default_rng(2))


@pytest.fixture(scope="module")
def log(logged: Logged) -> DecisionLog:
    return decisions_of(*logged)


def test_enumeration_and_simulation_of_a_policy_agree(site: LoggedSite) -> None:
    policy = SlatePolicy("value", exploration=0.1)
    truth = site.truth(policy)
    assert site.simulated(policy, "click", 20_000, np.random.default_rng(3)) == pytest.approx(truth, abs=0.025)


@pytest.mark.parametrize("reward", ["click", "application", "qualified"])
@pytest.mark.parametrize("policy", ["bid", "bid,exploration=0.6,swap=0.1", "clicks,exploration=0.02"])
def test_estimates_cover_what_the_simulator_says(log: DecisionLog, site: LoggedSite, reward: str, policy: str) -> None:
    target = SlatePolicy.parse(policy)
    found = judge(log, {policy: target}, reward, draws=50)[policy]  # type: ignore[arg-type]
    truth = site.truth(target, reward)  # type: ignore[arg-type]
    unsupported = found["diagnostics"]["unsupported_mass"]
    for name in ("ips", "snips", "dr", "sndr"):
        value = found["estimates"][name]
        slack = truth * unsupported  # what no slate could show is missing, or filled by the model
        assert abs(value["value"] - truth) < 3.5 * value["standard_error"] + 2 * slack, name


def test_mean_weights_and_unsupported_mass_make_one(log: DecisionLog) -> None:
    for policy in ("bid", "value", "clicks"):
        about = diagnose(rewards_under(log, SlatePolicy.parse(policy), "click"))
        assert about.unsupported_mass is not None
        assert abs(about.mean_weight + about.unsupported_mass - 1) < 4 * about.mean_weight_error


def test_a_policy_that_shows_what_no_lot_could_bring_says_how_much(site: LoggedSite) -> None:
    rng = np.random.default_rng(4)
    log = decisions_of(*site.log(SlatePolicy("bid", swap=0.3), 200, 1, rng))
    found = replay(log, SlatePolicy("value"))
    never = np.array([
        sum(winner not in served for winner in SlatePolicy("value").lottery(choices, 3).winners)
        for choices in log.choices or ()
        for served in [SlatePolicy("bid").lottery(choices, 3).winners]
    ])  # fmt: skip
    assert never.sum() > 0
    assert (found.unsupported >= never).all()


def test_the_policy_that_was_served_is_recomputed_to_its_own_chances(log: DecisionLog) -> None:
    assert replay(log, SERVED).target == pytest.approx(log.propensity, abs=1e-12)


def test_the_model_of_a_slate_has_not_seen_its_rewards(log: DecisionLog) -> None:
    """Other rewards of the even seekers change the model of the odd ones only."""
    even = log.seeker[log.request] % 2 == 0
    changed = DecisionLog(**{**vars(log), "clicked": log.clicked | even})
    before, after = (rewards_under(each, SlatePolicy("value"), "click").model for each in (log, changed))
    assert before is not None
    assert after is not None
    assert (before[even] == after[even]).all()
    assert (before[~even] < after[~even]).all()


def test_without_candidates_only_the_served_policy_can_be_judged(logged: Logged) -> None:
    bare = decisions_of(logged[0], None)
    assert judge(bare, {"logged": None}, "click", draws=20)["logged"]["estimates"]["ips"]["value"] > 0
    with pytest.raises(DataError, match="can not be judged without what each request could have shown"):
        replay(bare, SlatePolicy("bid"))
    with pytest.raises(DataError, match="ask for click or application"):
        bare.reward("qualified")


def test_repeated_events_count_once(logged: Logged, log: DecisionLog) -> None:
    tables = {name: pa.concat_tables([table, table.slice(0, 50)]) for name, table in logged[0].items()}
    again = decisions_of(tables, logged[1])
    assert (again.clicked == log.clicked).all()
    assert again.propensity.tolist() == log.propensity.tolist()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t, c: (t.drop_columns("propensity"), c), "no column 'propensity'"),
        (lambda t, c: (_set(t, "propensity", 0.0), c), r"propensity is 0.0. log the chance of each draw, in \(0, 1\]"),
        (lambda t, c: (_set(t, "propensity", 1.5), c), "propensity is 1.5"),
        (lambda t, c: (_set(t, "propensity", 0.123), c), "is not the .* of policy 'bid,exploration=0.3,swap=0.3'"),
        (lambda t, c: (_set(t, "propensity", None), c), "propensity is missing"),
        (lambda t, c: (_set(t, "request_id", None), c), "lacks request_id or position"),
        (lambda t, c: (_set(t, "promoted", False, every=True), c), "none of them is promoted"),
        (lambda t, c: (t, c.drop_columns("bid_micros")), "candidates: .*no column 'bid_micros'"),
        (lambda t, c: (t, c.slice(8)), "none of request"),
        (lambda t, c: (t, c.filter(pc.not_equal(c["job_id"], "j3"))), "was shown, and no candidate"),
        (lambda t, c: (t, _set(c, "p_click", 0.0)), "p_click is 0.0"),
    ],
)
def test_a_log_that_can_not_be_trusted_is_refused(logged: Logged, change, problem: str) -> None:
    impressions, candidates = change(logged[0]["impressions"], logged[1])
    with pytest.raises(DataError, match=problem):
        decisions_of({**logged[0], "impressions": impressions}, candidates)


def _set(table: pa.Table, column: str, value: object, every: bool = False) -> pa.Table:
    values = [value] * len(table) if every else [value, *table[column].to_pylist()[1:]]
    kind = table[column].type
    return table.set_column(table.column_names.index(column), column, pa.array(values, kind))


def test_a_market_of_the_simulator_is_judged_from_its_logs(stage: Stage) -> None:
    """Estimates of the learned model, clicks of the world: what another exploration rate earns, from logged slates."""
    market = stage.market(MarketConfig(days=1, campaigns=30))
    site = site_of(market, market.pairs.p_click * market.pairs.value_per_click, 0.4, np.array([1.0, 0.44, 0.29]))
    log = decisions_of(*site.log(SERVED, 600, 2, np.random.default_rng(5)))
    target = SlatePolicy("bid", exploration=0.02, swap=0.01)
    value = judge(log, {"t": target}, "click", draws=20)["t"]["estimates"]["dr"]
    assert value["standard_error"] > 0
    assert abs(value["value"] - site.truth(target)) < 3.5 * value["standard_error"]
