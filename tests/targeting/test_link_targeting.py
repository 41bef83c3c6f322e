"""What edits of links mean for one seeker, against the definition: two jobs, three campaigns, four links."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError
from market.money import Money
from targeting.campaigns import Bid, Budget, Campaign
from targeting.link_targeting import CampaignLinkEdit, EditsInForce, Stance, Tilt, best_of, tilt_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOBS = {"ward": ["occupation=nurse", "section=care"], "till": ["occupation=clerk", "section=shop"]}
LINKS = {
    "carers": (("occupation=carer",), ("section=care",)),
    "schooled": (("education=<=12", "occupation=carer"), ("occupation=nurse",)),
    "sellers": (("section=shop",), ("occupation=clerk",)),
    "movers": (("occupation=carer",), ("occupation=clerk",)),
}
CARER = ["occupation=carer", "section=care", "education=>16"]


def campaign(campaign_id: str, job_id: str = "ward") -> Campaign:
    budget = Budget(Money(100_000_000, "EUR"))
    given_ = campaign_id, "acme", job_id, campaign_id, budget, Bid("auto"), "clicks", NOW, None, "UTC", "even"
    return Campaign(*given_, "active", 1, NOW)  # type: ignore[arg-type]


def edit(campaign_id: str, link_id: str, weight: float | None = None, job_id: str = "ward") -> CampaignLinkEdit:
    action: Any = "veto" if weight is None else "boost"
    return CampaignLinkEdit(campaign_id, job_id, link_id, *LINKS[link_id], action, weight, "key_1", NOW)


def attributes_of(job_id: str) -> Collection[str]:
    return JOBS.get(job_id, [])


def stance(*edits: CampaignLinkEdit, seeker: list[str] = CARER, learned: Collection[str] = LINKS) -> Stance:
    return EditsInForce(edits, learned).stance(seeker, attributes_of)


def test_a_veto_keeps_the_campaign_from_those_the_link_describes_and_from_nobody_else() -> None:
    vetoed = edit("a", "carers")
    assert stance(vetoed).vetoed == {"a"}
    assert stance(vetoed, seeker=["occupation=clerk", "section=shop"]).vetoed == set()
    assert stance(edit("a", "schooled")).vetoed == set()  # asks for schooling that this carer does not have
    assert stance(edit("a", "schooled"), seeker=[*CARER, "education=<=12"]).vetoed == {"a"}


def test_boosts_of_several_links_add_up() -> None:
    both = [*CARER, "education=<=12"]
    assert stance(edit("a", "carers", 1.5), edit("a", "schooled", 0.5), seeker=both).boosts == {"a": 2.0}
    assert stance(edit("a", "carers", 1.5), edit("a", "schooled", 0.5)).boosts == {"a": 1.5}


def test_a_veto_goes_before_a_boost() -> None:
    found = stance(edit("a", "carers", 9.0), edit("a", "schooled"), seeker=[*CARER, "education=<=12"])
    assert (found.vetoed, dict(found.boosts)) == ({"a"}, {})


def test_an_edit_of_a_link_that_leads_elsewhere_by_now_has_no_effect() -> None:
    """The job was uploaded again under another occupation."""
    assert stance(edit("a", "sellers"), seeker=["section=shop"]) == Stance()
    assert stance(edit("a", "sellers", job_id="gone"), seeker=["section=shop"]) == Stance()


def test_after_a_refit_a_veto_holds_and_a_boost_rests_until_its_link_is_learned_again() -> None:
    edits = [edit("a", "carers"), edit("b", "carers", 2.0)]
    assert stance(*edits, learned=()) == Stance(frozenset({"a"}), {})
    assert stance(*edits) == Stance(frozenset({"a"}), {"b": 2.0})


@pytest.mark.parametrize(
    ("action", "weight"),
    [("veto", 1.0), ("boost", None), ("boost", 0.0), ("boost", -1.0), ("boost", 10.5), ("boost", float("nan"))],
)
def test_a_weight_belongs_to_boosts_and_has_bounds(action: str, weight: float | None) -> None:
    with pytest.raises(ConfigError, match="weight"):
        replace(edit("a", "carers", 1.0), action=action, weight=weight)  # type: ignore[arg-type]


# ---- several campaigns of one job


WARD = [campaign("a"), campaign("b")]
LIVE = {"ward": WARD, "till": [campaign("c", "till")]}
JOB_OF = {"a": "ward", "b": "ward", "c": "till"}


def tilt(found: Stance, barred: Collection[str] = ()) -> Tilt:
    return tilt_of(found, frozenset(barred), JOB_OF, LIVE)


def test_a_job_is_barred_only_when_none_of_its_campaigns_may_be_shown() -> None:
    assert tilt(stance(edit("a", "carers"))).jobs == ()
    assert tilt(stance(edit("a", "carers")), barred=["b"]).jobs == ("ward",)
    assert tilt(Stance(), barred=["c", "unknown"]) == Tilt(frozenset({"c", "unknown"}), ("till",), {})


def test_a_job_gains_what_its_best_campaign_gains() -> None:
    found = tilt(stance(edit("a", "carers", 1.0), edit("b", "carers", 3.0), edit("c", "movers", 2.0, "till")))
    assert found.boosts == {"ward": 3.0, "till": 2.0}
    tired = tilt(stance(edit("a", "carers", 1.0), edit("b", "carers", 3.0)), barred=["b"])
    assert tired.boosts == {"ward": 1.0}


def test_a_boost_for_a_campaign_that_is_not_live_helps_nobody() -> None:
    assert tilt(Stance(boosts={"paused": 5.0})) == Tilt()


def shown(score: float, next_score: float, found: Stance) -> str | None:
    chosen = best_of(WARD, "ward", score, next_score, found, tilt(found))
    return None if chosen is None else chosen.campaign_id


def test_without_edits_the_best_bid_is_shown() -> None:
    assert shown(0.5, 0.9, Stance()) == "a"


def test_a_campaign_is_not_carried_in_by_the_boost_of_another_one() -> None:
    boosted = Stance(boosts={"b": 2.0})
    assert shown(2.5, 0.6, boosted) == "b"  # a alone scores .5
    assert shown(2.5, 0.5, boosted) == "a"  # as good as the best that was not retrieved: a had its seat anyway
    assert shown(2.5, float("-inf"), boosted) == "a"


def test_a_vetoed_campaign_leaves_the_job_to_the_other_one() -> None:
    assert shown(0.5, 0.4, Stance(frozenset({"a"}))) == "b"
    assert shown(0.5, 0.4, Stance(frozenset({"a", "b"}))) is None


ids = st.sampled_from(["a", "b", "c"])
edits_ = st.lists(
    st.builds(
        lambda c, name, w: edit(c, name, w, JOB_OF[c]),
        ids,
        st.sampled_from(sorted(LINKS)),
        st.none() | st.floats(0.1, 5),
    ),
    max_size=8,
    unique_by=lambda each: (each.campaign_id, each.link_id),
)
seekers = st.lists(st.sampled_from([*CARER, "education=<=12", "section=shop", "occupation=clerk"]), unique=True)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(edits_, seekers)
def test_any_edits_mean_what_the_definition_says(edits: list[CampaignLinkEdit], seeker: list[str]) -> None:
    found = stance(*edits, seeker=seeker)
    for campaign_id, job_id in JOB_OF.items():
        mine = [
            each
            for each in edits
            if each.campaign_id == campaign_id
            and set(each.seeker) <= set(seeker)
            and set(each.job) <= set(JOBS[job_id])
        ]
        vetoed = any(each.action == "veto" for each in mine)
        assert (campaign_id in found.vetoed) == vetoed
        gain = 0 if vetoed else sum(each.weight or 0 for each in mine)
        assert found.boosts.get(campaign_id, 0) == pytest.approx(gain)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    edits_,
    seekers,
    st.lists(st.floats(0, 3, width=16), min_size=5, max_size=5),
    st.integers(1, 4),
)
def test_a_campaign_is_shown_as_if_its_job_had_no_other_campaign(
    edits: list[CampaignLinkEdit], seeker: list[str], scores: list[float], seats: int
) -> None:
    """Retrieval by jobs, then `best_of`, never shows a campaign that would not be retrieved on its own."""
    found = stance(*edits, seeker=seeker)
    leaning = tilt(found)
    base = dict(zip(["ward", "till", "x", "y", "z"], scores, strict=True))
    open_jobs = [job for job in base if job not in leaning.jobs]
    ranked = sorted(open_jobs, key=lambda job: (-(base[job] + leaning.boosts.get(job, 0)), job))
    score = {job: base[job] + leaning.boosts.get(job, 0) for job in ranked}
    next_score = score[ranked[seats]] if len(ranked) > seats else float("-inf")
    for job in ranked[:seats]:
        if job not in LIVE:
            continue
        chosen = best_of(LIVE[job], job, score[job], next_score, found, leaning)
        assert chosen is not None
        assert chosen.campaign_id not in found.vetoed
        own = base[job] + found.boosts.get(chosen.campaign_id, 0)
        better = sum(score[other] > own + 1e-9 for other in ranked if other != job)
        assert better < seats
