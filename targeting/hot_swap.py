"""New artefacts without a dropped request: load beside what serves, then switch with one assignment.

    a new version is seen twice in a row -> load it in a thread -> it is still that version -> switch
                                                  any failure  -> refused, logged; what serves goes on

Twice, because a set of artefacts is several directories that are replaced one after the other: in between the folder
holds a mix. A version that was refused is not tried again by itself, only when it is asked for. While both are in
memory the process needs room for two. Every worker process looks for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

from market.errors import ArtefactError, UserError

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True)
class Source(Generic[T]):
    """version: of the artefacts in place, cheap to ask; load: a ready replacement made from them, or an exception."""

    version: Callable[[], str]
    load: Callable[[], T]


@dataclass(frozen=True)
class SwapState:
    """version: of what serves; refused: the version that could not be loaded last, and why."""

    version: str
    loading: bool
    refused: str | None = None
    why: str | None = None


class HotSwap(Generic[T]):
    """Holds what serves. `current` may be read at any time; whoever has read it works on with it to the end.

    outcome: told "switched" or "refused" after every attempt, for a metric.
    """

    def __init__(
        self, current: T, source: Source[T] | None, loaded: str, outcome: Callable[[str], None] = lambda _: None
    ) -> None:
        """loaded: the version that `current` was made from; without a source it stays for ever."""
        self.current, self._source, self._outcome = current, source, outcome
        self._loaded, self._seen = loaded, loaded
        self._refused: tuple[str, str] | None = None
        self._loading = threading.Lock()
        self._thread: threading.Thread | None = None
        self._asked = False

    def state(self) -> SwapState:
        refused, why = self._refused or (None, None)
        return SwapState(self._loaded, self._loading.locked(), refused, why)

    def check(self) -> None:
        """Look for a new version; a housekeeping task. Loading goes on in a thread of its own."""
        if self._source is None:
            return
        found, before = self._source.version(), self._seen
        self._seen = found
        asked, self._asked = self._asked, False
        known = self._loaded if self._refused is None else self._refused[0]
        if (found == before and found not in (self._loaded, known)) or (asked and found != self._loaded):
            self.start()

    def ask(self) -> None:
        """Have the next `check` try the artefacts in place, refused or not; safe in a signal handler."""
        self._asked = True

    def start(self) -> bool:
        """Begin to load the artefacts in place; False when that is going on already or there is no source."""
        if self._source is None or not self._loading.acquire(blocking=False):
            return False
        self._thread = threading.Thread(target=self._load, args=(self._source,), name="artefacts", daemon=True)
        self._thread.start()
        return True

    def wait(self, seconds: float | None = None) -> None:
        """Until what is being loaded has been switched to or refused, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _load(self, source: Source[T]) -> None:
        version = "unknown"
        try:
            version = source.version()
            fresh = source.load()
            if source.version() != version:
                raise ArtefactError("replaced while they were loaded; the next look takes the new ones")
            self.current, self._loaded, self._refused = fresh, version, None
            log.info("artefacts switched", version=version)
            self._outcome("switched")
        except Exception as error:
            why = str(error) if isinstance(error, UserError) else type(error).__name__
            self._refused = version, why
            log.error("new artefacts refused, the old ones serve on", version=version, why=why)
            self._outcome("refused")
        finally:
            self._loading.release()
