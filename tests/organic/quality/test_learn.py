"""Learning on impressions made by hand: planted causes are found, nothing is found where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.errors import ConfigError, DataError
from market.tables import Tables
from organic.quality.config import RuleConfig
from organic.quality.evidence import Evidence
from organic.quality.judge import effect_of, lift_of
from organic.quality.learn import Candidate, LearnConfig, candidates, choose, cost_of, learn_rules
from organic.quality.neighbours import groups_of, neighbours_above, relative_rates
from tests.organic.quality.small_logs import small_logs, small_taxonomy, table

TAXONOMY = small_taxonomy()
BASE = RuleConfig(groups=groups_of(TAXONOMY))


def evidence_of(n: int, **columns) -> Evidence:
    """n impressions of n / 10 seekers of whom nothing is known but what is given."""
    blank = {
        "seeker": np.arange(n) // 10,
        "day": np.arange(n, dtype=float),
        "dismissed": np.zeros(n, bool),
        "applied": np.zeros(n, bool),
        "reason": np.full(n, None, object),
        "held": np.full((n, 3), -1, np.int32),
        "occupation": np.full(n, -1, np.int32),
        **{name: np.full(n, np.nan) for name in ("step", "asked", "km", "weeks", "foreign")},
        "duplicate": np.zeros(n, bool),
        "company": np.zeros(n),
        "decided": np.zeros(n, bool),
    }
    return Evidence(**{**blank, **columns})


# ---- neighbours


def test_a_pair_is_judged_by_its_rate_not_by_how_often_it_was_shown():
    """Nurses saw 2,000 doctors' jobs and applied to 20, 200 welders' jobs and applied to 20: welding is nearer."""
    position = TAXONOMY.position
    n = 2_200
    occupation = np.where(np.arange(n) < 2_000, position["d"], position["w"]).astype(np.int32)
    applied = np.zeros(n, bool)
    applied[:20] = applied[2_000:2_020] = True
    held = np.full((n, 3), -1, np.int32)
    held[:, 0] = position["n"]
    rates = relative_rates(evidence_of(n, held=held, occupation=occupation, applied=applied), TAXONOMY)
    health, metal = (TAXONOMY.section_names.index(name) for name in ("health", "metal"))
    assert rates[health, metal] > 2
    assert rates[health, health] < 1


def test_a_pair_never_shown_leans_on_its_major_group_and_that_on_all():
    rates = relative_rates(evidence_of(10, applied=np.ones(10, bool)), TAXONOMY)
    assert np.array_equal(rates, np.ones_like(rates))  # no occupation is known: nothing is
    held = np.full((50, 3), TAXONOMY.position["n"], np.int32)
    occupation = np.full(50, TAXONOMY.position["c"], np.int32)
    applied = np.arange(50) < 10
    rates = relative_rates(evidence_of(50, held=held, occupation=occupation, applied=applied), TAXONOMY)
    assert rates == pytest.approx(np.ones_like(rates))  # the only pair shown is all there is


def test_neighbours_are_other_sections_at_or_above_the_floor():
    rates = np.ones((4, 4))
    rates[0, 1] = 0.2
    assert neighbours_above(rates, 0.2, TAXONOMY)["health"] == ("food", "metal", "office")
    assert neighbours_above(rates, 0.21, TAXONOMY)["health"] == ("metal", "office")
    assert neighbours_above(rates, 2.0, TAXONOMY)["health"] == ()


# ---- what a rule would have done


def test_effects_are_shares_of_dismissals_and_applications():
    removed = np.zeros(100, bool)
    removed[:20] = True
    dismissed, applied = np.zeros(100, bool), np.zeros(100, bool)
    dismissed[[0, 1, 2, 50]] = True
    applied[[3, 60, 61, 62, 63, 64, 65, 66, 67, 68]] = True
    reason = np.full(100, None, object)
    reason[[0, 1]] = "stale", "other"
    evidence = evidence_of(100, dismissed=dismissed, applied=applied, reason=reason)
    effect = effect_of(removed, evidence, np.random.default_rng(0), ("stale",))
    assert (effect.removed, effect.dismissals, effect.applications) == (20, 3, 1)
    assert effect.prevented.value == pytest.approx(3 / 4)
    assert effect.lost.value == pytest.approx(1 / 10)
    assert effect.lift.value == pytest.approx((3 / 20) / (4 / 100))
    # 20 places filled at the rate of those that stay: 9 of 80
    assert effect.replaced.value == pytest.approx((1 - 20 * 9 / 80) / 10)
    assert effect.named == 0.5
    assert cost_of(removed, evidence, "lost") == pytest.approx(effect.lost.value)
    assert cost_of(removed, evidence, "replaced") == pytest.approx(effect.replaced.value)


def test_a_rule_that_removes_nothing_has_no_lift_and_costs_nothing():
    evidence = evidence_of(50, dismissed=np.arange(50) % 5 == 0, applied=np.arange(50) % 7 == 0)
    effect = effect_of(np.zeros(50, bool), evidence, np.random.default_rng(0))
    assert (effect.prevented.value, effect.lost.value, effect.lift.value, effect.named) == (0, 0, None, None)


def test_seekers_who_dismiss_everything_widen_the_interval():
    rng = np.random.default_rng(5)
    removed = np.arange(1_000) % 2 == 0
    spread = evidence_of(1_000, dismissed=rng.random(1_000) < 0.1)
    lumped = evidence_of(1_000, dismissed=np.isin(np.arange(1_000) // 10, np.arange(10)))
    wide, narrow = (lift_of(removed, each, np.random.default_rng(1)).ci for each in (lumped, spread))
    assert wide[0] <= 1 <= wide[1]
    assert narrow[0] < 1 < narrow[1]


# ---- the choice


def planted(n: int = 20_000) -> Evidence:
    """Foreign jobs (5 %) are dismissed five times as often and never applied to; old ones are as good as any."""
    rng = np.random.default_rng(3)
    foreign = rng.random(n) < 0.05
    chance = np.where(foreign, 0.25, 0.05)
    return evidence_of(
        n,
        foreign=foreign.astype(float),
        weeks=rng.integers(0, 12, n).astype(float),
        dismissed=rng.random(n) < chance,
        applied=~foreign & (rng.random(n) < 0.03),
    )


def chosen_rules(evidence: Evidence, config: LearnConfig) -> list[str]:
    found = candidates(evidence, BASE, np.ones((4, 4)), TAXONOMY, config)
    return [each.rule for each in choose(found, evidence, config, np.random.default_rng(0))[0]]


def test_a_planted_cause_is_chosen_and_chance_is_not():
    assert chosen_rules(planted(), LearnConfig()) == ["wrong-language"]


def test_what_costs_more_applications_than_the_cap_is_not_chosen():
    evidence = planted()
    costly = replace(evidence, applied=evidence.foreign > 0)
    assert chosen_rules(costly, LearnConfig()) == []
    assert chosen_rules(costly, LearnConfig(cap=1.0)) == ["wrong-language"]


def test_rules_together_stay_within_the_cap():
    n = 1_000
    applied, first, second = np.arange(n) % 10 == 0, np.zeros(n, bool), np.zeros(n, bool)
    first[:30], second[30:60] = True, True  # 3 of 100 applications each
    evidence = evidence_of(n, applied=applied, dismissed=first | second)
    found = [Candidate("stale", {}, None, first), Candidate("duplicate", {}, None, second)]
    rng = np.random.default_rng(0)
    assert len(choose(found, evidence, LearnConfig(cap=0.05), rng)[0]) == 1
    assert len(choose(found, evidence, LearnConfig(cap=0.06), rng)[0]) == 2


def test_many_cheap_rules_do_not_shut_out_a_strong_one():
    """100 applications, a cap of 3: two weak rules for 1 and 2 of them, or a strong one for 3."""
    n = 1_000
    applied, cheap, other, strong = np.arange(n) % 10 == 0, *(np.zeros(n, bool) for _ in range(3))
    cheap[:10], other[10:30], strong[30:60] = True, True, True
    dismissed = strong.copy()
    dismissed[:10:1] = True
    dismissed[10:18] = True
    evidence = evidence_of(n, applied=applied, dismissed=dismissed)
    found = [Candidate("stale", {}, None, cheap), Candidate("duplicate", {}, None, other)]
    found.append(Candidate("too-far", {}, None, strong))
    config = LearnConfig(cap=0.03)
    chosen, _ = choose(found, evidence, config, np.random.default_rng(0))
    assert [each.rule for each in chosen] == ["too-far"]


def test_of_a_rule_one_setting_is_taken():
    evidence = planted()
    old = evidence.weeks > 6
    evidence = replace(evidence, dismissed=evidence.dismissed | old, applied=evidence.applied & ~old)
    found = candidates(evidence, BASE, np.ones((4, 4)), TAXONOMY, LearnConfig())
    chosen, steps = choose(found, evidence, LearnConfig(), np.random.default_rng(0))
    assert [each.rule for each in chosen] == ["stale", "wrong-language"]
    assert chosen[0].setting == {"stale_weeks": 6}
    assert [step["rule"] for step in steps] == ["stale", "wrong-language"]


def test_learning_from_logs_judges_later_ones_and_writes_a_configuration_that_can_be_read():
    tables = small_logs(0, seekers=40, jobs=60, impressions=3_000)
    learned = learn_rules(tables, RuleConfig(languages=("en",)), LearnConfig(cap=0.5, draws=50))
    assert RuleConfig.from_json(learned.config.to_json()) == learned.config
    assert learned.config.groups == groups_of(TAXONOMY)
    assert learned.config.languages == ("en",)
    parts = [learned.parts[name]["impressions"] for name in ("tables", "choice", "judged")]
    assert sum(parts) == 3_000
    assert parts == pytest.approx([1_200, 900, 900], abs=2)
    again = learn_rules(tables, RuleConfig(languages=("en",)), LearnConfig(cap=0.5, draws=50))
    assert again.report() == learned.report()


def test_what_happens_in_the_judged_part_does_not_choose():
    """The last tenth turned upside down: other effects, the same configuration."""
    tables = small_logs(0, seekers=40, jobs=60, impressions=3_000)
    rows = sorted(tables["dismissals"].to_pylist(), key=lambda row: row["occurred_at"])
    fewer = table("dismissals", rows[: int(0.9 * len(rows))])
    config = LearnConfig(cap=0.5, draws=50)
    one = learn_rules(tables, RuleConfig(), config)
    other = learn_rules(Tables({**tables.tables, "dismissals": fewer}, TAXONOMY), RuleConfig(), config)
    assert one.config == other.config
    assert one.parts["judged"] != other.parts["judged"]


def test_logs_without_dismissals_in_a_part_are_refused():
    tables = small_logs(0)
    first = min(tables["dismissals"].to_pylist(), key=lambda row: row["occurred_at"])
    with pytest.raises(DataError, match="earlier part"):
        learn_rules(Tables({**tables.tables, "dismissals": table("dismissals", [first])}, TAXONOMY))


@pytest.mark.parametrize("wrong", [{"cap": -0.1}, {"cap": 2}, {"cost": "net"}, {"table_share": 0.8}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError):
        LearnConfig(**wrong)
