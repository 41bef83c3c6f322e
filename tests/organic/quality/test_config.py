"""The rule configuration: there and back as JSON, and everything a hand could mistype."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from organic.quality.config import RULE_IDS, SCALE, RuleConfig

FULL = RuleConfig(
    rules=("stale", "wrong-occupation"),
    groups={"313": "office", "207": "health"},
    neighbours={"office": ("health",), "health": ()},
    areas={"31080": (34.05, -118.24)},
    languages=("de", "en"),
)


def test_a_configuration_survives_json():
    assert RuleConfig.from_json(FULL.to_json()) == FULL
    assert RuleConfig.from_json("{}") == RuleConfig()


@given(
    st.builds(
        RuleConfig,
        rules=st.lists(st.sampled_from(RULE_IDS), unique=True).map(tuple),
        least_skills=st.integers(3, 9),
        stale_weeks=st.integers(1, 99),
        distance_km=st.floats(0, 1e5),
        scale=st.just(SCALE) | st.just({}),
    )
)
def test_any_valid_configuration_survives_json(config):
    assert RuleConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stale_week": 3}, "stale_week"),
        ({"rules": ["too-good"]}, "too-good"),
        ({"rules": "stale"}, "wrong kind"),
        ({"languages": ["klingon"]}, "klingon"),
        ({"neighbours": {"nowhere": []}}, "nowhere"),
        ({"groups": {"1": "a"}, "neighbours": {"a": ["b"]}}, "'b'"),
        ({"groups": [1]}, "wrong kind"),
        ({"least_skills": 2}, "least_skills"),
        ({"steps_up": -1}, "steps_up"),
        ({"steps_up": 1.5}, "steps_up"),
        ({"steps_up": True}, "steps_up"),
        ({"stale_weeks": 0}, "stale_weeks"),
        ({"company_dismissals": 0}, "company_dismissals"),
        ({"distance_km": -1}, "distance_km"),
        ({"distance_km": "far"}, "wrong kind"),
        ({"scale": {"boss": 6}}, "boss"),
        ({"scale": {"Boss": 5}}, "Boss"),
        ({"areas": {"here": [91, 0]}}, "here"),
        ({"areas": {"here": [1]}}, "here"),
        ({"version": 2}, "version 2"),
    ],
)
def test_what_is_unknown_or_out_of_range_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        RuleConfig.from_json(json.dumps(change))


@pytest.mark.parametrize("text", ["", "[]", "nonsense", "3"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ConfigError, match="JSON"):
        RuleConfig.from_json(text)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="can not be read"):
        RuleConfig.load(tmp_path / "rules.json")


def test_seniority_is_compared_in_any_spelling():
    config = RuleConfig()
    assert config.step_of("  TEAM   Lead ") == config.step_of("team lead") == 4
    assert config.step_of("wizard") is None
    assert config.step_of(None) is None
