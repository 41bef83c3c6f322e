"""What every request passes before a route sees it, cheapest first:

    headers, size and encoding       431, 413, 415
    too many wrong keys before       429   by address, unless the key has been good here
    the key's bucket of units        429
    the queue for its lane           503   said at once when the wait would be too long
    the key                          401   before a byte of the body is read
    the body, counted and timed      413, 408
    its turn                         503   after waiting at most queue_seconds

Nothing but `PUBLIC_PATHS` is answered without a key: a new route is closed unless it is listed here. Each request is
one line in the log, with the route's template and never what stood in the path, the query or the body.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from market.errors import UserError
from targeting.http.limits import FailedKeys, LimitsConfig, RateLimits
from targeting.http.meter import Meter, method_and_route
from targeting.http.problems import failure, problem, problem_of
from targeting.http.shedding import Lane, Turns
from targeting.storage.keys import Principal, key_id_of

PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/oauth2-redirect"})
SEARCHES = frozenset({"/v1/recommendations", "/v1/slates"})
MOST_HEADERS = 100
GONE = 499  # in log and metrics: the caller went away before the body had arrived

log = structlog.get_logger()


class Gate:
    """ASGI middleware; routes find `request.state.request_id` and, on closed paths, `request.state.principal`."""

    def __init__(
        self,
        app: ASGIApp,
        authenticate: Callable[[str | None], Principal],
        meter: Meter,
        rates: RateLimits,
        limits: LimitsConfig,
        max_body_bytes: int,
        new_request_id: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._authenticate, self._meter = app, authenticate, meter
        self._rates, self._limits = rates, limits
        self._max_body_bytes, self._new_request_id = max_body_bytes, new_request_id
        self._failed_keys = FailedKeys(limits, monotonic)
        self._turns = Turns(limits.concurrency, limits.queue_seconds)
        meter.watch("requests_running", "Requests being worked on", lambda: self._turns.running)
        meter.watch("requests_waiting", "Requests waiting for their turn", lambda: self._turns.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = self._new_request_id()
        started, status = time.perf_counter(), 0

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers.update(self._standing(state))
            await send(message)

        try:
            refusal = await self._passed(scope, receive, send_noted)
            if refusal is not None:
                await refusal(scope, receive, send_noted)
        except Exception as error:
            # Nothing above us may see it: a server writes the text of an error into its log.
            answer = failure(request_id, method_and_route(scope)[1], error)
            if status == 0:
                await answer(scope, receive, send_noted)
        finally:
            self._note(scope, status or GONE, time.perf_counter() - started)

    async def _passed(self, scope: Scope, receive: Receive, send: Send) -> Response | None:
        """None when the app has answered or nobody is left to be answered, else why the app is not asked."""
        headers, request_id = Headers(scope=scope), scope["state"]["request_id"]
        if (refusal := self._unfit(scope, headers, request_id)) is not None:
            return refusal
        if scope["path"] in PUBLIC_PATHS:
            await self._app(scope, receive, send)
            return None
        lane: Lane = "searches" if scope["path"] in SEARCHES else "records"
        if (refusal := self._too_much(scope, headers, lane)) is not None:
            return refusal
        if (refusal := await self._nobody(scope, headers)) is not None:
            return refusal
        body = await self._body(receive)
        if isinstance(body, int):
            return problem(request_id, *self._bad_body(body))
        if body is None:
            return None
        if not await self._turns.enter(lane):
            return self._busy(request_id)
        turn = _Turn(self._turns)

        async def send_last(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                turn.over()  # what a route leaves to be done in the background is nobody's wait

        try:
            await self._app(scope, _once(body, receive), send_last)
        finally:
            turn.over()
        return None

    def _unfit(self, scope: Scope, headers: Headers, request_id: str) -> Response | None:
        if len(scope["headers"]) > MOST_HEADERS:
            said = f"more than {MOST_HEADERS} headers; send fewer"
            return problem(request_id, 431, "too_many_headers", said)
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            said = "a compressed body is not read; send it as it is, without Content-Encoding"
            return problem(request_id, 415, "unsupported_encoding", said)
        length = headers.get("content-length", "0")
        if length.isascii() and length.isdecimal() and int(length[:20]) > self._max_body_bytes:
            return problem(request_id, *self._bad_body(413))
        return None

    def _too_much(self, scope: Scope, headers: Headers, lane: Lane) -> Response | None:
        request_id, key_id = scope["state"]["request_id"], _key_id(headers)
        if not self._rates.knows(key_id) and (wait := self._failed_keys.seconds_blocked(_address(scope))):
            return self._later(request_id, "failures", "too_many_wrong_keys", "too many wrong keys", wait)
        if wait := self._rates.seconds_until_free(key_id):
            scope["state"]["key_id"] = key_id
            return self._later(request_id, "rate", "rate_limited", "this key has asked for too much", wait)
        return self._busy(request_id) if self._turns.hopeless(lane) else None

    async def _nobody(self, scope: Scope, headers: Headers) -> Response | None:
        state, authorization = scope["state"], headers.get("authorization")
        try:
            principal = await run_in_threadpool(self._authenticate, authorization)
        except UserError as error:
            if error.status == 401 and authorization:
                self._failed_keys.note(_address(scope))
            return problem_of(state["request_id"], error)
        state["principal"], state["key_id"] = principal, principal.key_id
        self._rates.admit(principal.key_id, principal.role)
        return None

    async def _body(self, receive: Receive) -> bytes | int | None:
        """The whole body; the status to refuse it with; None when the caller has gone away."""
        chunks, read = [], 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunk = message.get("body", b"")
                    chunks.append(chunk)
                    read += len(chunk)
                    if read > self._max_body_bytes:
                        return 413
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            return 408

    def _bad_body(self, status: int) -> tuple[int, str, str]:
        if status == 413:
            return 413, "body_too_large", f"the body is larger than {self._max_body_bytes} bytes; send smaller batches"
        return 408, "body_too_slow", f"the body took longer than {self._limits.body_seconds} seconds; send it again"

    def _busy(self, request_id: str) -> Response:
        self._meter.count_shed("load")
        said = "more requests than can be answered in time; nothing was done, repeat after a pause"
        return problem(request_id, 503, "overloaded", said, headers={"Retry-After": "1"})

    def _later(self, request_id: str, reason: str, code: str, why: str, wait: int) -> Response:
        self._meter.count_shed(reason)
        said = f"{why}; nothing was done, repeat after {wait} seconds"
        return problem(request_id, 429, code, said, headers={"Retry-After": str(wait)})

    def _standing(self, state: dict[str, object]) -> dict[str, str]:
        key_id = state.get("key_id")
        return self._rates.standing(key_id).headers() if isinstance(key_id, str) and self._rates.knows(key_id) else {}

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._meter.count(scope, status, seconds)
        if scope["path"] in PUBLIC_PATHS and status == 200:
            return
        state, (method, route) = scope["state"], method_and_route(scope)
        log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(1000 * seconds, 1),
            request_id=state["request_id"],
            key_id=state.get("key_id", "none"),
        )


class _Turn:
    """One turn of a request, given back once."""

    def __init__(self, turns: Turns) -> None:
        self._turns, self._started, self._is_over = turns, time.perf_counter(), False

    def over(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._turns.leave(time.perf_counter() - self._started)


def _once(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then what comes after it."""
    given = False

    async def received() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def _key_id(headers: Headers) -> str:
    return key_id_of(headers.get("authorization", "").partition(" ")[2])


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"
