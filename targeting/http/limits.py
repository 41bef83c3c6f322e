"""How much one caller may do: a bucket of units per key, and few wrong keys per address.

A request costs 1 unit to be let in, and what its work weighs once it has been read:

    recommendations, slates    + 1 for every 20 jobs asked for        jobs     + 1 for every 20 jobs sent
    events                     + 1 for every 100 events sent          forecasts  + 20

A bucket holds `burst_seconds` of its rate and fills all the time. Weight may overdraw it: the request that asks for
much is answered, and those behind it wait until the debt is paid. All of this is counted in one worker process.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from market.errors import ConfigError
from targeting.storage.keys import MARKETPLACE_ROLES, Role

_KEPT = 10_000  # buckets and addresses remembered; the ones not seen for longest go first
_MINUTE = 60.0


@dataclass(frozen=True)
class LimitsConfig:
    """What one worker process takes on; several workers take that many times as much.

    account_units_per_second: rate of a key of an account; marketplace_units_per_second: rate of a platform or auditor
    key; burst_seconds: how many seconds of its rate a key may use at once; failed_keys_per_minute: wrong keys from one
    address before it has to wait; concurrency: requests worked on at the same time; queue_seconds: how long a
    request may wait for its turn before it is told to come back; body_seconds: how long a body may take to arrive.
    """

    account_units_per_second: float = 50.0
    marketplace_units_per_second: float = 5_000.0
    burst_seconds: float = 10.0
    failed_keys_per_minute: int = 10
    concurrency: int = 2  # Python runs one thread at a time: more in flight only make each other wait
    queue_seconds: float = 0.03
    body_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (value > 0 and math.isfinite(value)):
                raise ConfigError(f"{name} {value}; give a number above zero")
        smallest = min(self.account_units_per_second, self.marketplace_units_per_second)
        if smallest * self.burst_seconds < 1:
            raise ConfigError(f"burst_seconds {self.burst_seconds} of {smallest} units a second let nobody in")


@dataclass(frozen=True)
class Standing:
    """A key's bucket after a request: its size, what is left (never below 0), and seconds until it is full again."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


@dataclass
class _Bucket:
    rate: float
    size: float
    level: float
    seen: float

    def fill(self, now: float) -> None:
        self.level = min(self.size, self.level + (now - self.seen) * self.rate)
        self.seen = now


class RateLimits:
    """One bucket per key. Calls come from the event loop and from threads; each step is one assignment."""

    def __init__(self, config: LimitsConfig, monotonic: Callable[[], float]) -> None:
        self._config, self._monotonic = config, monotonic
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def knows(self, key_id: str) -> bool:
        """Has this key been good before?"""
        return key_id in self._buckets

    def seconds_until_free(self, key_id: str) -> int:
        """0 when a request of the key may come in, else the whole seconds to wait; a new key may."""
        bucket = self._buckets.get(key_id)
        if bucket is None:
            return 0
        bucket.fill(self._monotonic())
        return 0 if bucket.level >= 1 else max(1, math.ceil((1 - bucket.level) / bucket.rate))

    def admit(self, key_id: str, role: Role) -> Standing:
        """Take the unit of one more request; to be called when `seconds_until_free` is 0."""
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = self._new(role)
            while len(self._buckets) > _KEPT:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key_id)
        bucket.fill(self._monotonic())
        bucket.level -= 1
        return self.standing(key_id)

    def charge(self, key_id: str, units: float) -> None:
        """Take what the work of a request weighs, down to a debt of one full bucket."""
        bucket = self._buckets.get(key_id)
        if bucket is not None:
            bucket.level = max(-bucket.size, bucket.level - units)

    def standing(self, key_id: str) -> Standing:
        bucket = self._buckets[key_id]
        return Standing(
            math.floor(bucket.size),
            max(0, math.floor(bucket.level)),
            math.ceil((bucket.size - bucket.level) / bucket.rate),
        )

    def _new(self, role: Role) -> _Bucket:
        config = self._config
        marketplace = role in MARKETPLACE_ROLES
        rate = config.marketplace_units_per_second if marketplace else config.account_units_per_second
        size = rate * config.burst_seconds
        return _Bucket(rate, size, size, self._monotonic())


class FailedKeys:
    """Counts wrong keys per address over the last minute: guessing keys ends soon."""

    def __init__(self, config: LimitsConfig, monotonic: Callable[[], float]) -> None:
        self._most, self._monotonic = config.failed_keys_per_minute, monotonic
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def note(self, address: str) -> None:
        failures = self._failures.setdefault(address, deque(maxlen=self._most))
        failures.append(self._monotonic())
        self._failures.move_to_end(address)
        while len(self._failures) > _KEPT:
            self._failures.popitem(last=False)

    def seconds_blocked(self, address: str) -> int:
        """0, or how long this address has to wait before it may show another key that is not known to be good."""
        failures = self._failures.get(address)
        if failures is None or len(failures) < self._most:
            return 0
        left = failures[0] + _MINUTE - self._monotonic()
        return max(0, math.ceil(left))
