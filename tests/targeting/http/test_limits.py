"""Buckets of units per key, wrong keys per address, and what a caller hears of them."""

from __future__ import annotations

import pytest

from market.errors import ConfigError
from targeting.http.limits import FailedKeys, LimitsConfig, RateLimits
from tests.targeting.http.small_service import JOBS, Opener, World, assert_problem, click

CONFIG = LimitsConfig(account_units_per_second=2, marketplace_units_per_second=4, burst_seconds=5)


class Watch:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def admitted(rates: RateLimits, key_id: str = "k", most: int = 100) -> int:
    """How many requests come in at this moment."""
    for number in range(most):
        if rates.seconds_until_free(key_id):
            return number
        rates.admit(key_id, "owner")
    return most


def test_a_key_uses_its_burst_then_its_rate(watch: Watch) -> None:
    rates = RateLimits(CONFIG, watch)
    assert admitted(rates) == 10
    assert rates.seconds_until_free("k") == 1
    watch.seconds += 1
    assert admitted(rates) == 2
    watch.seconds += 3_600
    assert admitted(rates) == 10


def test_keys_do_not_share_a_bucket_and_the_marketplace_has_a_larger_one(watch: Watch) -> None:
    rates = RateLimits(CONFIG, watch)
    assert admitted(rates, "k") == 10
    assert admitted(rates, "l") == 10
    assert rates.admit("site", "platform").limit == 20


def test_weight_is_paid_back_before_the_next_request(watch: Watch) -> None:
    rates = RateLimits(CONFIG, watch)
    rates.admit("k", "owner")
    rates.charge("k", 15)
    assert rates.standing("k").remaining == 0
    assert rates.seconds_until_free("k") == 4  # 9 - 15 = -6: 3.5 seconds to 1
    rates.charge("k", 1e9)
    assert rates.seconds_until_free("k") == 6  # never more than one bucket of debt
    watch.seconds += 5.5
    assert rates.seconds_until_free("k") == 0


def test_what_a_key_is_told_adds_up(watch: Watch) -> None:
    rates = RateLimits(CONFIG, watch)
    rates.admit("k", "owner")
    rates.charge("k", 3)
    assert rates.standing("k").headers() == {
        "RateLimit-Limit": "10",
        "RateLimit-Remaining": "6",
        "RateLimit-Reset": "2",
    }


def test_an_address_with_ten_wrong_keys_waits_until_the_first_is_a_minute_old(watch: Watch) -> None:
    failed = FailedKeys(CONFIG, watch)
    for _ in range(10):
        assert failed.seconds_blocked("a") == 0
        failed.note("a")
        watch.seconds += 1
    assert failed.seconds_blocked("a") == 50
    assert failed.seconds_blocked("b") == 0
    watch.seconds += 50
    assert failed.seconds_blocked("a") == 0


@pytest.mark.parametrize("field", ["account_units_per_second", "burst_seconds", "concurrency", "queue_seconds"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        LimitsConfig(**{field: value})  # type: ignore[arg-type]


def test_a_bucket_that_holds_no_request_is_refused() -> None:
    with pytest.raises(ConfigError, match="let nobody in"):
        LimitsConfig(account_units_per_second=0.1, burst_seconds=1)


SLOW = LimitsConfig(account_units_per_second=0.01, marketplace_units_per_second=0.02, burst_seconds=500)


def test_a_key_that_asks_for_too_much_is_told_when_to_come_back(open_world: Opener) -> None:
    with open_world(limits=SLOW) as world:
        told = [world.call("owner", "GET", "/v1/campaigns") for _ in range(6)]
        assert [answer.status_code for answer in told] == [200] * 5 + [429]
        assert [answer.headers["ratelimit-remaining"] for answer in told] == ["4", "3", "2", "1", "0", "0"]
        assert_problem(told[-1], 429, "rate_limited")
        assert 90 <= int(told[-1].headers["retry-after"]) <= 100
        assert world.call("beta-owner", "GET", "/v1/campaigns").status_code == 200
        assert world.call("nobody", "GET", "/healthz").status_code == 200
        assert 'hiregraph_shed_total{reason="rate"} 1.0' in world.client.get("/metrics").text


@pytest.mark.parametrize(
    ("path", "body", "left"),
    [
        ("/v1/recommendations", {"k": 20}, "8"),
        ("/v1/recommendations", {"k": 100}, "4"),
        ("/v1/slates", {"slots": {"organic": 40, "promoted": 20}}, "6"),
        ("/v1/jobs:batch", {"jobs": JOBS * 20}, "7"),
        ("/v1/events:batch", {"events": [click(f"e{n}", {"tracking_token": "x"}) for n in range(200)]}, "7"),
        ("/v1/recommendations", {"k": 1_000}, "0"),
    ],
)
def test_much_work_weighs_more(open_world: Opener, path: str, body: dict[str, object], left: str) -> None:
    with open_world(limits=SLOW) as world:
        answer = world.call("platform", "POST", path, json=body)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-remaining"] == left


def test_guessing_keys_ends_after_ten_and_good_keys_go_on(world: World) -> None:
    assert world.call("owner", "GET", "/v1/campaigns").status_code == 200
    for number in range(10):
        wrong = {"Authorization": f"Bearer hg_{number:043d}"}
        assert_problem(world.call("nobody", "GET", "/v1/campaigns", headers=wrong), 401)
    wrong = {"Authorization": f"Bearer hg_{11:043d}"}
    answer = world.call("nobody", "GET", "/v1/campaigns", headers=wrong)
    assert_problem(answer, 429, "too_many_wrong_keys")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert world.call("owner", "GET", "/v1/campaigns").status_code == 200


def test_a_request_without_a_key_is_no_guess(world: World) -> None:
    for _ in range(30):
        assert_problem(world.call("nobody", "GET", "/v1/campaigns"), 401)
