"""A newer posting comes first among jobs that fit about equally well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from market.errors import ConfigError
from organic.rows import term, week_of


@dataclass(frozen=True)
class Freshness:
    """A job posted in this calendar week scores `most` (a cosine) more, in the week before share * most, and so on.

    The default is meant to decide between jobs that fit about equally well; it was chosen by hand, not tuned.
    """

    most: float = 0.02
    share: float = 0.5
    weeks: int = 4

    def __post_init__(self) -> None:
        if not (0 <= self.most <= 1 and 0 < self.share <= 1 and 1 <= self.weeks <= 52):
            raise ConfigError(
                f"most {self.most}, share {self.share}, weeks {self.weeks}; expected 0 to 1, above 0 to 1, 1 to 52"
            )

    def boosts(self, now: datetime) -> dict[str, float]:
        """{term: weight} for the index; jobs without a posting time have no such term and gain nothing."""
        weeks = [week_of(now - timedelta(weeks=ago)) for ago in range(self.weeks)]
        return {term("posted", week): self.most * self.share**ago for ago, week in enumerate(weeks)}
