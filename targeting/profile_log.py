"""What is remembered of the profiles that requests bring: noted in memory, written down by housekeeping.

A request pays for one look into a dictionary. Titles, area and years of schooling are kept; skills, seniority, queries
and activity are not (activity comes as events). A profile that was noted before and has not changed is not written
again. Whoever was erased is forgotten here too, and never written: `storage.profile_store` looks at the tombstones.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from market.errors import ConfigError
from market.records import SeekerProfile


@dataclass(frozen=True)
class PrivacyConfig:
    """record_profiles: keep profiles for the log tables that models learn from.

    flush_seconds: how often noted profiles are written down; waiting: how many may wait, the rest is dropped and
    comes with the seeker's next request; remembered: profiles known to be unchanged; artefacts: the folder the engine
    was loaded from, whose tables lose the rows of people who are erased (None: none on this machine).
    """

    record_profiles: bool = True
    flush_seconds: float = 2.0
    waiting: int = 20_000
    remembered: int = 100_000
    artefacts: Path | None = None

    def __post_init__(self) -> None:
        if not self.flush_seconds > 0:
            raise ConfigError(f"flush_seconds {self.flush_seconds}; give a number of seconds above zero")
        if self.waiting < 1 or self.remembered < 1:
            raise ConfigError("waiting and remembered are numbers of profiles, at least 1")


@dataclass(frozen=True)
class NotedProfile:
    """A profile to be written. titles newest first, each once; occupation of the newest as it was read, if it was."""

    seeker_id: str
    titles: tuple[str, ...]
    geo: str | None
    education_years: float | None
    occupation: str | None
    seen_at: datetime


class ProfileLog:
    """Notes profiles from many threads; `take` hands over what waits to be written."""

    def __init__(self, config: PrivacyConfig = PrivacyConfig()) -> None:
        self.config = config
        self.dropped = 0
        self._waiting: OrderedDict[str, NotedProfile] = OrderedDict()
        self._known: OrderedDict[str, int] = OrderedDict()  # seeker id -> hash of the profile last noted
        self._lock = threading.Lock()

    def note(self, seeker: SeekerProfile, now: datetime, occupation: str | None = None) -> None:
        """Remember the profile if it names its seeker, says something and is new."""
        seeker_id = seeker.seeker_id
        if seeker_id is None or not self.config.record_profiles:
            return
        if not seeker.titles and seeker.geo is None and seeker.education_years is None:
            return
        mark = hash((seeker.titles, seeker.geo, seeker.education_years))
        with self._lock:
            if self._known.get(seeker_id) == mark:
                self._known.move_to_end(seeker_id)
                return
            if len(self._waiting) >= self.config.waiting and seeker_id not in self._waiting:
                self.dropped += 1
                return
            self._known[seeker_id] = mark
            self._known.move_to_end(seeker_id)
            if len(self._known) > self.config.remembered:
                self._known.popitem(last=False)
            titles = tuple(dict.fromkeys(title for title in seeker.titles if title.strip()))
            said = seeker.geo, seeker.education_years
            self._waiting[seeker_id] = NotedProfile(seeker_id, titles, *said, occupation, now)

    def take(self) -> list[NotedProfile]:
        """What waits, oldest first; it waits no longer."""
        with self._lock:
            taken, self._waiting = list(self._waiting.values()), OrderedDict()
        return taken

    def put_back(self, profiles: list[NotedProfile]) -> None:
        """Let profiles wait again that could not be written; those noted since go first."""
        with self._lock:
            self._waiting = OrderedDict({each.seeker_id: each for each in profiles} | self._waiting)

    def forget(self, seeker_id: str) -> int:
        """Drop what is noted of a seeker; returns how many places held something."""
        with self._lock:
            held = self._waiting.pop(seeker_id, None), self._known.pop(seeker_id, None)
        return sum(each is not None for each in held)

    def known(self) -> list[str]:
        """Seekers this process remembers."""
        with self._lock:
            return list(self._known.keys() | self._waiting.keys())
