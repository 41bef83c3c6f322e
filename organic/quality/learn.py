"""Rules from dismissals: thresholds and the choice of rules from earlier logs, judged on later ones.

Why a job was dismissed is hidden; reasons are rare and partly wrong, so they choose nothing and are only reported. A
rule is worth having when dismissals are denser among what it removes than elsewhere, and when what it removes holds
few applications.

    time ------- table of neighbours ------- | ------- thresholds, choice ------- | ------- judged -------
                         40 %                                30 %                          30 %
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from market.errors import ConfigError, DataError
from market.tables import Tables
from market.taxonomy import Taxonomy
from organic.quality.config import RuleConfig
from organic.quality.evidence import Evidence, read_evidence
from organic.quality.judge import Effect, effect_of, lift_of, replaced_share
from organic.quality.neighbours import groups_of, neighbours_above, relative_rates
from organic.quality.removal import LEARNABLE, removed_by

Cost = Literal["lost", "replaced"]
# words of a dismissal's reason that mean a rule
REASON_WORDS: Mapping[str, tuple[str, ...]] = {
    "wrong-occupation": ("occupation",),
    "too-senior": ("seniority", "too senior"),
    "too-junior": ("seniority", "too junior"),
    "too-far": ("distance", "too far"),
    "wrong-language": ("language",),
    "stale": ("stale",),
    "duplicate": ("duplicate",),
    "company-muted": ("company",),
}


@dataclass(frozen=True)
class LearnConfig:
    """cap: share of the applications that all rules together may cost, by `cost` as in `judge.Effect`.

    floors, steps, kilometres, weeks, dismissals: thresholds tried; shares of the logs, by time, for tables and choice.
    """

    cap: float = 0.01
    cost: Cost = "lost"
    table_share: float = 0.4
    choice_share: float = 0.3
    floors: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)  # of the relative application rate
    steps: tuple[int, ...] = (1, 2, 3)
    kilometres: tuple[float, ...] = (25.0, 50.0, 80.0, 150.0, 400.0)
    weeks: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8, 10, 13, 26)
    dismissals: tuple[int, ...] = (1, 2, 3, 4)
    draws: int = 300

    def __post_init__(self) -> None:
        if not 0 <= self.cap <= 1:
            raise ConfigError(f"cap is {self.cap}; expected a share of applications from 0 to 1")
        if self.cost not in ("lost", "replaced"):
            raise ConfigError(f"cost is {self.cost!r}; expected lost or replaced")
        if not (self.table_share > 0 and self.choice_share > 0 and self.table_share + self.choice_share < 1):
            raise ConfigError("table_share and choice_share must be above 0 and leave something to judge on")


@dataclass(frozen=True)
class Learned:
    """The configuration to serve with, and what it does to the last part of the logs.

    effects: per rule with the thresholds chosen (whether in force or not), then "all rules" and "chosen rules";
    parts: impressions, dismissals and applications of the three parts; steps: the choice, in order.
    """

    config: RuleConfig
    effects: Mapping[str, Effect]
    parts: Mapping[str, Mapping[str, int]]
    steps: tuple[Mapping[str, Any], ...]

    def report(self) -> dict[str, Any]:
        effects = {name: effect.report() for name, effect in self.effects.items()}
        return {"rules": list(self.config.rules), "effects": effects, "parts": self.parts, "steps": list(self.steps)}


@dataclass(frozen=True)
class Candidate:
    """A rule with one setting, and what it removes from the part that chooses."""

    rule: str
    setting: Mapping[str, Any]
    floor: float | None
    removed: np.ndarray


def learn_rules(
    tables: Tables, base: RuleConfig | None = None, config: LearnConfig | None = None, seed: int = 0
) -> Learned:
    """Learn from `dismissals`, `applications`, `impressions`, `positions` and `jobs`.

    base: scale, areas and languages to go by; its rules and thresholds are replaced. DataError where the logs hold no
    dismissal or no application in a part that needs them.
    """
    base, config, taxonomy = base or RuleConfig(), config or LearnConfig(), tables.taxonomy
    rng = np.random.default_rng(seed)
    evidence, languages = read_evidence(tables, base)
    edges = np.quantile(evidence.day, [config.table_share, config.table_share + config.choice_share])
    part = np.searchsorted(edges, evidence.day, side="right")
    early, choosing, judging = (evidence.take(part == which) for which in range(3))
    for name, each in (("earlier", choosing), ("later", judging)):
        if not each.dismissed.any() or not each.applied.any():
            raise DataError(
                "dismissals", f"the {name} part of the logs has none, or no application", "export more days"
            )

    base = replace(base, rules=(), languages=languages, groups=groups_of(taxonomy), neighbours={})
    found = candidates(choosing, base, relative_rates(early, taxonomy), taxonomy, config)
    chosen, steps = choose(found, choosing, config, rng)
    best = {**_alone(found, choosing, config), **{each.rule: each for each in chosen}}
    rates = relative_rates(evidence.take(part < 2), taxonomy)  # all that may be known before the judged part
    settled = base
    for each in best.values():
        settled = replace(settled, **_setting(each, rates, taxonomy))
    final = replace(settled, rules=tuple(sorted((each.rule for each in chosen), key=LEARNABLE.index)))

    removed = {rule: removed_by(rule, judging, settled, taxonomy) for rule in LEARNABLE}
    nothing = np.zeros(len(judging), bool)
    removed["all rules"] = np.logical_or.reduce([removed[rule] for rule in LEARNABLE])
    removed["chosen rules"] = np.logical_or.reduce([nothing, *(removed[rule] for rule in final.rules)])
    effects = {
        name: effect_of(mask, judging, rng, REASON_WORDS.get(name, ()), config.draws) for name, mask in removed.items()
    }
    names = ("tables", "choice", "judged")
    parts = {name: _counts(each) for name, each in zip(names, (early, choosing, judging), strict=True)}
    return Learned(final, effects, parts, steps)


def candidates(
    evidence: Evidence, base: RuleConfig, rates: np.ndarray, taxonomy: Taxonomy, config: LearnConfig
) -> list[Candidate]:
    """Every rule with every threshold, loosest first, without those that remove nothing."""
    tried: list[tuple[str, dict[str, Any], float | None]] = [
        *(("wrong-occupation", {}, floor) for floor in config.floors),
        *(("too-senior", {"steps_up": steps}, None) for steps in reversed(config.steps)),
        *(("too-junior", {"steps_down": steps}, None) for steps in reversed(config.steps)),
        *(("too-far", {"distance_km": km}, None) for km in reversed(config.kilometres)),
        ("wrong-language", {}, None),
        *(("stale", {"stale_weeks": weeks}, None) for weeks in reversed(config.weeks)),
        ("duplicate", {}, None),
        *(("company-muted", {"company_dismissals": times}, None) for times in reversed(config.dismissals)),
    ]
    found = []
    for rule, setting, floor in tried:
        if floor is not None:
            setting = {"neighbours": neighbours_above(rates, floor, taxonomy)}
        removed = removed_by(rule, evidence, replace(base, **setting), taxonomy)
        if removed.any():
            found.append(Candidate(rule, setting, floor, removed))
    return found


def choose(
    found: list[Candidate], evidence: Evidence, config: LearnConfig, rng: np.random.Generator
) -> tuple[list[Candidate], tuple[Mapping[str, Any], ...]]:
    """The better of two greedy choices: by dismissals above chance per application they cost, and by those alone.

    Either may miss a good set under a cap: many cheap rules leave no room for a strong one, and the other way round.
    Only candidates whose lift is above 1 with its whole interval come in question; of a rule one setting is taken.
    """
    able = [each for each in found if _surely_above_chance(each, evidence, config, rng)]
    plans = [_greedy(able, evidence, config, per_application) for per_application in (True, False)]
    return max(plans, key=lambda plan: _above_chance(_union(plan[0], evidence), evidence))  # equal: the first


def _greedy(
    able: list[Candidate], evidence: Evidence, config: LearnConfig, per_application: bool
) -> tuple[list[Candidate], tuple[Mapping[str, Any], ...]]:
    """Candidates one after the other, best first, until none fits the cap or adds anything."""
    gone, chosen, steps = np.zeros(len(evidence), bool), [], []
    while able:
        gain_now, cost_now = _above_chance(gone, evidence), cost_of(gone, evidence, config.cost)
        scored = []
        for at, each in enumerate(able):
            union = gone | each.removed
            gain, cost = _above_chance(union, evidence) - gain_now, cost_of(union, evidence, config.cost)
            if gain > 0 and cost <= config.cap:
                # one application is the unit below which costs can not be told apart
                added = max(0.0, cost - cost_now) * evidence.applied.sum() + 1
                scored.append((gain / added if per_application else gain, -at))
        if not scored:
            break
        best = able[-max(scored)[1]]
        gone = gone | best.removed
        chosen.append(best)
        steps.append(
            {
                "rule": best.rule,
                "floor": best.floor,
                **{name: value for name, value in best.setting.items() if name != "neighbours"},
                "prevented": float((gone & evidence.dismissed).sum() / evidence.dismissed.sum()),
                "lost": cost_of(gone, evidence, "lost"),
                "replaced": cost_of(gone, evidence, "replaced"),
            }
        )
        able = [each for each in able if each.rule != best.rule]
    return chosen, tuple(steps)


def _union(chosen: list[Candidate], evidence: Evidence) -> np.ndarray:
    return np.logical_or.reduce([np.zeros(len(evidence), bool), *(each.removed for each in chosen)])


def _above_chance(removed: np.ndarray, evidence: Evidence) -> float:
    """Dismissals removed, less what as many impressions hold at the rate of those that stay."""
    waved = evidence.dismissed
    if removed.all():
        return 0.0
    return float((removed & waved).sum() - removed.sum() * waved[~removed].mean())


def cost_of(removed: np.ndarray, evidence: Evidence, cost: Cost) -> float:
    """Share of the applications, as in `judge.Effect`."""
    applied = evidence.applied
    if cost == "lost":
        return float((removed & applied).sum() / applied.sum())
    sums = [0, 0, (removed & applied).sum(), applied.sum(), removed.sum(), len(removed)]
    return float(replaced_share(np.array([sums], float))[0])


def _surely_above_chance(each: Candidate, evidence: Evidence, config: LearnConfig, rng: np.random.Generator) -> bool:
    interval = lift_of(each.removed, evidence, rng, config.draws).ci
    return interval is not None and interval[0] > 1


def _alone(found: list[Candidate], evidence: Evidence, config: LearnConfig) -> dict[str, Candidate]:
    """For each rule the tightest setting within the cap if it were alone, else the loosest: what the report shows."""
    best: dict[str, Candidate] = {}
    for each in found:
        if each.rule not in best or cost_of(each.removed, evidence, config.cost) <= config.cap:
            best[each.rule] = each
    return best


def _setting(each: Candidate, rates: np.ndarray, taxonomy: Taxonomy) -> Mapping[str, Any]:
    return each.setting if each.floor is None else {"neighbours": neighbours_above(rates, each.floor, taxonomy)}


def _counts(evidence: Evidence) -> dict[str, int]:
    return {
        "impressions": len(evidence),
        "dismissals": int(evidence.dismissed.sum()),
        "applications": int(evidence.applied.sum()),
    }
