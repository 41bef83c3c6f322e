"""Settings of serving: what is refused, and how many slots a slate may have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from targeting.serving import ServingConfig


@pytest.mark.parametrize(
    "changes",
    [
        {"max_ad_load": 0.0},
        {"max_ad_load": 1.1},
        {"max_ad_load": float("nan")},
        {"exploration": -0.1},
        {"exploration": float("nan")},
        {"swap": 2.0},
        {"exploration_budget": -1.0},
        {"per_hour": 0},
        {"per_hour": 7, "per_day": 6},
        {"reload_seconds": 0.0},
    ],
)
def test_a_setting_out_of_range_is_named(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        ServingConfig(**changes)


def test_three_ads_need_seven_organic_jobs_beside_them() -> None:
    config = ServingConfig(max_ad_load=0.3)
    assert config.slots(3, listed=20, organic=17) == 3
    assert config.slots(3, listed=10, organic=7) == 3
    assert config.slots(3, listed=9, organic=7) == 2  # all three might be among the nine listed
    assert config.slots(3, listed=20, organic=6) == 2


def test_one_ad_is_always_allowed_and_none_where_none_was_asked_for() -> None:
    config = ServingConfig(max_ad_load=0.01)
    assert config.slots(5, listed=0, organic=0) == 1
    assert config.slots(1, listed=3, organic=3) == 1
    assert config.slots(0, listed=3, organic=3) == 0


def test_without_a_cap_everything_asked_for_is_allowed() -> None:
    assert ServingConfig(max_ad_load=1.0).slots(5, listed=0, organic=0) == 5


@given(
    st.floats(0.01, 1),
    st.integers(0, 50),
    st.integers(0, 80),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 9),
)
def test_however_many_promoted_jobs_were_listed_too_the_share_holds(
    share: float, asked: int, listed: int, organic: int, twice: int, fewer: int
) -> None:
    slots = ServingConfig(max_ad_load=share).slots(asked, listed, organic)
    beside = min(organic, listed - min(twice, slots, listed))
    assert slots <= asked
    if slots > 1:
        assert slots <= share * (slots + beside) + 1e-6
