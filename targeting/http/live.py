"""What serves right now, an engine and the mirror that keeps it equal to the store, and how another pair is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from market.errors import ArtefactError
from market.records import Filters, SeekerProfile
from targeting.engine import Engine, SlateRequest
from targeting.hot_swap import Source
from targeting.storage.mirror import Mirror

TRIAL = SlateRequest(SeekerProfile(titles=("nurse",)), None, Filters(), 1, 1)


@dataclass(frozen=True)
class Live:
    engine: Engine
    mirror: Mirror


@dataclass(frozen=True)
class Artefacts:
    """Where engines come from. version: of what is in place; load: an empty engine made from it, or an exception;
    loaded: the version of the engine that the app starts with."""

    version: Callable[[], str]
    load: Callable[[], Engine]
    loaded: str


def warm(engine: Engine) -> None:
    """Make one slate for nobody before the first caller waits for what is compiled and loaded on first use."""
    if engine.ready() is None:
        engine.slate(replace(TRIAL, query="nurse", organic=2))


def replacements(artefacts: Artefacts, mirror_of: Callable[[Engine], Mirror]) -> Source[Live]:
    """Loads an engine, fills it from the store, and has it make one slate before anybody is served by it."""

    def load() -> Live:
        engine = artefacts.load()
        mirror = mirror_of(engine)
        mirror.catch_up()
        if (missing := engine.ready()) is not None:
            raise ArtefactError(missing)
        if engine.slate(TRIAL).broken:
            raise ArtefactError("the artefacts load, but no slot can be sold with them; fit them again")
        return Live(engine, mirror)

    return Source(artefacts.version, load)
