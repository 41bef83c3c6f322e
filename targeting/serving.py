"""What a deployment decides about slates: how many ads, how often the same one, how much is left to chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from market.artefacts import digest_of
from market.errors import ConfigError


@dataclass(frozen=True)
class ServingConfig:
    """max_ad_load: promoted items are at most this share of the items shown; one is always allowed.
    per_hour, per_day: promoted impressions of one campaign to one known seeker in the last 60 minutes and 24 hours.
    exploration: chance of a promoted slot to be filled by lot; swap: chance of a slate that two neighbouring promoted
    slots change places; exploration_budget: share of a campaign's daily budget that impressions by lot may reserve, in
    each worker process. reload_seconds: how often new artefacts are looked for.
    """

    max_ad_load: float = 0.3
    per_hour: int = 2
    per_day: int = 6
    exploration: float = 0.02
    swap: float = 0.01
    exploration_budget: float = 0.02
    reload_seconds: float = 5.0

    def __post_init__(self) -> None:
        for name in ("exploration", "swap", "exploration_budget"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")
        if not 0 < self.max_ad_load <= 1:
            raise ConfigError(f"max_ad_load is {self.max_ad_load}, expected above 0 up to 1 (no cap)")
        if not 1 <= self.per_hour <= self.per_day:
            raise ConfigError(f"per_hour is {self.per_hour}, per_day {self.per_day}; expected 1 <= per_hour <= per_day")
        if not self.reload_seconds > 0:
            raise ConfigError(f"reload_seconds is {self.reload_seconds}; give a number of seconds above zero")

    def slots(self, asked: int, listed: int, organic: int) -> int:
        """How many of the promoted slots asked for a slate may have.

        listed: organic jobs at hand, organic: how many of them are wanted. Counted for the worst case, that every
        promoted job is among those listed and not shown a second time.
        """
        for slots in range(asked, 1, -1):
            beside = max(0, min(organic, listed - slots))
            if slots <= self.max_ad_load * (slots + beside) + 1e-9:
                return slots
        return min(asked, 1)

    def policy(self, *more: object) -> str:
        """Short name of the policy that fills promoted slots; another setting gives another name."""
        return f"second-price-{digest_of(asdict(self), *more)[:8]}"
