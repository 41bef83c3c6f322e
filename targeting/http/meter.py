"""What the service counts, for Prometheus: by route template, kind and currency, never by id, account or person.

Each worker process counts for itself, and `/metrics` answers for the one that was asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import Scope

from market.money import Money
from targeting.engine import Slate

_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Meter:
    """Counters of one app; `registry` is what `/metrics` prints."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests answered", "method", "route", "status")
        self._shed = self._counter("shed", "Requests sent away to come back later, by what was too much", "reason")
        self._events = self._counter("events", "Events received, by what became of them", "status")
        self._slates = self._counter("slates", "Slates made; fallback: organic jobs only, ads had failed", "kind")
        self._skipped = self._counter("candidates_skipped", "Promoted jobs without a usable P(click)")
        self._broken = self._counter("ads_broken", "Slates whose promoted part failed in the engine")
        self._by_lot = self._counter("placements_by_lot", "Promoted items whose slot was left to chance", "how")
        self._artefacts = self._counter("artefact_loads", "New artefacts, by what became of them", "outcome")
        self._plans = self._counter("pacing_plans", "Plans of the market, by what became of them", "outcome")
        self._posted = self._counter("posted_micros", "Billed for clicks", "currency")
        self._released = self._counter("reserves_released", "Reserves let go of without a click")
        self._tasks = self._counter("housekeeping_failures", "Background tasks that failed", "task")
        self._seconds = Histogram(
            "hiregraph_request_seconds", "Time to answer", ("method", "route"), buckets=_BUCKETS, registry=self.registry
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """One request that has been answered."""
        method, route = method_and_route(scope)
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def count_events(self, statuses: Iterable[str]) -> None:
        """Events by what became of them: accepted, duplicate, conflict, quarantined, rejected."""
        for status in statuses:
            self._events.labels(status).inc()

    def count_billed(self, amounts: Iterable[Money]) -> None:
        for amount in amounts:
            self._posted.labels(amount.currency).inc(amount.amount_micros)

    def count_slate(self, kind: str) -> None:
        """promoted: with at least one promoted job; organic: without; fallback: without, because ads failed."""
        self._slates.labels(kind).inc()

    def count_auction(self, slate: Slate) -> None:
        """What went wrong with single jobs or all ads, and what was left to chance; whether or not it is shown."""
        self._skipped.inc(slate.skipped)
        self._broken.inc(slate.broken)
        self._by_lot.labels("explored").inc(sum(item.explored for item in slate.items))
        self._by_lot.labels("swapped").inc(sum(item.swapped for item in slate.items))

    def count_artefacts(self, outcome: str) -> None:
        """switched or refused: what became of new artefacts."""
        self._artefacts.labels(outcome).inc()

    def count_plan(self, outcome: str) -> None:
        """accepted, refused (the last good prices stay) or failed."""
        self._plans.labels(outcome).inc()

    def count_released(self, reserves: int) -> None:
        self._released.inc(reserves)

    def count_failed_task(self, name: str) -> None:
        self._tasks.labels(name).inc()

    def count_shed(self, reason: str) -> None:
        """rate: a key's bucket is empty; failures: too many wrong keys; load: the queue is full."""
        self._shed.labels(reason).inc()

    def watch(self, name: str, meaning: str, value: Callable[[], float]) -> None:
        """A gauge that is asked for when somebody reads `/metrics`."""
        Gauge(f"hiregraph_{name}", meaning, registry=self.registry).set_function(value)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"hiregraph_{name}_total", meaning, labels, registry=self.registry)


def method_and_route(scope: Scope) -> tuple[str, str]:
    """Method and route of a request as they stand in the OpenAPI document; "other" for what does not stand there."""
    route, method = scope.get("route"), scope["method"]
    path = getattr(route, "path", None)
    if not isinstance(path, str):
        return "other", "other"
    return method if method in (getattr(route, "methods", None) or ()) else "other", path
