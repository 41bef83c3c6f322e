"""What the quality rules are set to: one JSON document that a command learns and an engineer edits.

Tables are data: which groups of occupations are neighbours, where areas lie, which seniority words mean which step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from market.errors import ConfigError
from organic.quality.language import LANGUAGES

VERSION = 1
STEPS = 5  # of the seniority scale
# in the order in which they are compiled; the first two of `organic.rules.RULES` always hold beside them
RULE_IDS = (
    "wrong-occupation",
    "missing-skill",
    "too-senior",
    "too-junior",
    "too-far",
    "wrong-language",
    "stale",
    "duplicate",
    "company-muted",
)
SCALE = {
    "intern": 1, "trainee": 1, "apprentice": 1, "entry": 1, "entry level": 1, "graduate": 1,
    "junior": 2, "associate": 2, "assistant": 2,
    "mid": 3, "mid-level": 3, "intermediate": 3, "professional": 3, "experienced": 3,
    "senior": 4, "lead": 4, "team lead": 4, "specialist": 4, "expert": 4,
    "principal": 5, "manager": 5, "head": 5, "director": 5, "executive": 5,
}  # fmt: skip


@dataclass(frozen=True)
class RuleConfig:
    """rules: ids of those in force. A table that is empty, or does not name what is asked about, says nothing.

    groups             occupation code -> its group, such as a section of the classification
    neighbours         group -> groups whose jobs are near enough for its people; a group is always near to itself
    least_skills       a shared skill is asked for where seeker and job both list at least this many; 3 or more
    scale              seniority word (lower case) -> step 1 to 5
    steps_up, _down    a job may be this many steps above or below the seeker
    areas              area -> (latitude, longitude) in degrees
    distance_km        an area is near up to here, great circle
    languages          every seeker reads these; further ones are seen from what they wrote and applied to
    stale_weeks        calendar weeks (ISO) a posting may lie back
    company_dismissals dismissed jobs of one company that mute it; a dismissal with the reason "company" always does
    """

    rules: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    neighbours: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least_skills: int = 3
    scale: Mapping[str, int] = field(default_factory=lambda: dict(SCALE))
    steps_up: int = 2
    steps_down: int = 2
    areas: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    distance_km: float = 80.0
    languages: tuple[str, ...] = ()
    stale_weeks: int = 8
    company_dismissals: int = 3
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ConfigError(f"rules have version {self.version}, expected {VERSION}; learn them again")
        _check_known("rules", self.rules, RULE_IDS)
        _check_known("languages", self.languages, LANGUAGES)
        known = set(self.groups.values())
        _check_known("neighbours", self.neighbours, known)
        for group, near in self.neighbours.items():
            _check_known(f"neighbours[{group!r}]", near, known)
        for name, least in (
            ("least_skills", 3), ("steps_up", 0), ("steps_down", 0), ("stale_weeks", 1), ("company_dismissals", 1)
        ):  # fmt: skip
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} is {value!r}; expected a whole number of at least {least}")
        if not 0 <= self.distance_km < math.inf:
            raise ConfigError(f"distance_km is {self.distance_km}; expected a distance of at least 0")
        for word, step in self.scale.items():
            if step not in range(1, STEPS + 1) or word != " ".join(word.casefold().split()):
                raise ConfigError(f"scale[{word!r}] is {step}; expected a lower-case word and a step from 1 to {STEPS}")
        for area, place in self.areas.items():
            if len(place) != 2 or not (abs(place[0]) <= 90 and abs(place[1]) <= 180):
                raise ConfigError(f"areas[{area!r}] is {place}; expected [latitude, longitude] in degrees")

    @cached_property
    def near_groups(self) -> Mapping[str, frozenset[str]]:
        """Group -> itself and its neighbours; groups the table does not name are missing."""
        return {group: frozenset((group, *near)) for group, near in self.neighbours.items()}

    def step_of(self, seniority: str | None) -> int | None:
        """Step 1 to 5 of a seniority word in any spelling; None when it is not on the scale."""
        return None if seniority is None else self.scale.get(" ".join(seniority.casefold().split()))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RuleConfig:
        """ConfigError names what is unknown, of the wrong kind or out of range."""
        try:
            given = json.loads(text)
        except ValueError as problem:
            raise ConfigError(f"the rules are no JSON ({problem}); `organic rules learn` writes them") from None
        if not isinstance(given, dict):
            raise ConfigError("the rules are no JSON object; `organic rules learn` writes them")
        _check_known("the rules", given, [each.name for each in fields(cls)])
        try:
            return cls(**{name: _read(name, value) for name, value in given.items()})
        except (TypeError, AttributeError):
            raise ConfigError("a field of the rules is of the wrong kind; compare with `organic rules learn`") from None

    @classmethod
    def load(cls, path: Path) -> RuleConfig:
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError(f"{path} can not be read ({problem}); `organic rules learn` writes it") from None


def _check_known(what: str, given: Sequence[str] | Mapping[str, Any], known: Sequence[str] | set[str]) -> None:
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise ConfigError(f"{what}: {unknown!r} is unknown; known are {', '.join(sorted(known)[:40]) or 'none'}")


def _read(name: str, value: Any) -> Any:
    """JSON has lists where the configuration has tuples."""
    if name in ("rules", "languages"):
        if not isinstance(value, list):
            raise TypeError(name)
        return tuple(value)
    if name in ("neighbours", "areas"):
        return {key: tuple(each) for key, each in value.items()}
    return dict(value) if name in ("groups", "scale") else value
