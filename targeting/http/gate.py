"""What every request passes before a route sees it: an id, a key, a size limit, a count.

Nothing but `PUBLIC_PATHS` is answered without a key: a new route is closed unless it is listed here. The key is checked
before a byte of the body is read, and the limit counts the bytes that arrive, whatever Content-Length says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from market.errors import UserError
from targeting.http.problems import problem, problem_of
from targeting.storage.keys import Principal

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect"})

log = structlog.get_logger()


class Meter:
    """Prometheus counters by route template, never by path: ids and accounts stay out of the metrics."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self._requests = Counter("hiregraph_requests_total", "Requests answered", labels, registry=self.registry)
        self._events = Counter("hiregraph_events_total", "Events received", ("status",), registry=self.registry)
        self._seconds = Histogram(
            "hiregraph_request_seconds",
            "Time to answer",
            ("method", "route"),
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
            registry=self.registry,
        )

    def count_events(self, statuses: Iterable[str]) -> None:
        """Events by what became of them: accepted, duplicate, conflict, quarantined, rejected."""
        for status in statuses:
            self._events.labels(status).inc()

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        template = getattr(scope.get("route"), "path", None)
        route = template if isinstance(template, str) else "other"
        method = scope["method"] if route != "other" else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Gate:
    """ASGI middleware; routes find `request.state.request_id` and, on closed paths, `request.state.principal`."""

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Callable[[str | None], Principal],
        meter: Meter,
        max_body_bytes: int,
        new_request_id: Callable[[], str],
    ) -> None:
        self._app, self._authenticate, self._meter = app, authenticate, meter
        self._max_body_bytes, self._new_request_id = max_body_bytes, new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = scope.setdefault("state", {})["request_id"] = self._new_request_id()
        started, status = time.perf_counter(), 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            refusal = await self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send_noted)
            else:
                await self._app(scope, self._counted(receive), send_noted)
        finally:
            self._meter.count(scope, status, time.perf_counter() - started)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers, request_id = Headers(scope=scope), scope["state"]["request_id"]
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdecimal() and int(length[:20]) > self._max_body_bytes:
            return problem(request_id, 413, "body_too_large", self._too_large())
        if scope["path"] in PUBLIC_PATHS:
            return None
        try:
            authorization = headers.get("authorization")
            scope["state"]["principal"] = await run_in_threadpool(self._authenticate, authorization)
        except UserError as error:
            return problem_of(request_id, error)
        return None

    def _counted(self, receive: Receive) -> Receive:
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_body_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return counted

    def _too_large(self) -> str:
        return f"the body is larger than {self._max_body_bytes} bytes; send it in smaller batches"
