"""Errors as RFC 9457 problem documents: one shape for everything that goes wrong, and never a detail of the inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from market.errors import AuthError, UserError
from targeting.campaigns import CampaignError

MEDIA_TYPE = "application/problem+json"
_SHOWN_ERRORS = 20
_POINTER_LENGTH = 200
_OURS = ("market", "gpu_index", "graph", "organic", "targeting", "hiregraph")
_CODES = {400: "bad_request", 404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}

log = structlog.get_logger()

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


class PreconditionError(UserError):
    """If-Match names another version than the present one."""

    code = "precondition_failed"
    status = 412


class IdempotencyError(UserError):
    """An Idempotency-Key was used before for a different request."""

    code = "idempotency_mismatch"


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of the problems a route can answer."""
    content = {MEDIA_TYPE: {"schema": dict(SCHEMA)}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in sorted(statuses)}


def problem(
    request_id: str,
    status: int,
    code: str,
    detail: str,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """One problem document; `errors` holds {pointer, detail} per offending field."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": printable(detail),
        "code": code,
        "request_id": request_id,
    }
    if errors:
        document["errors"] = list(errors)
    return JSONResponse(document, status, headers=headers, media_type=MEDIA_TYPE)


def problem_of(request_id: str, error: UserError) -> JSONResponse:
    """The document of an error that the caller can mend."""
    headers = {"Retry-After": "2"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if isinstance(error, AuthError) and error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="hiregraph"'
    errors = [{"pointer": error.pointer, "detail": str(error)}] if isinstance(error, CampaignError) else []
    return problem(request_id, error.status, error.code, str(error), errors, headers)


def install(app: FastAPI) -> None:
    """One handler per kind of error; what none of them knows is a failure of ours, and the gate answers it."""
    app.add_exception_handler(UserError, _on_user_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_user_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UserError)
    return problem_of(request.state.request_id, error)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    shown = [{"pointer": _pointer(each), "detail": printable(said(each))} for each in found[:_SHOWN_ERRORS]]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    detail = f"{shown[0]['pointer'] or 'body'}: {shown[0]['detail']}{more}"
    return problem(request.state.request_id, 422, "invalid_request", detail, shown)


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "http_error")
    return problem(request.state.request_id, error.status_code, code, str(error.detail), headers=error.headers)


def failure(request_id: str, route: str, error: Exception) -> JSONResponse:
    """A failure of ours: the log hears its kind and the line of code, never its text, which may quote anything."""
    log.error("failure", request_id=request_id, route=route, error=type(error).__name__, where=_where(error))
    return problem(request_id, 500, "internal_error", "something went wrong on our side; quote the request_id")


def _where(error: Exception) -> str:
    """module:line of the innermost frame in this project's packages."""
    place, trace = "unknown", error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.split(".")[0] in _OURS:
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def said(error: Mapping[str, Any]) -> str:
    """What pydantic says of one error, without its prefix for what our own checks say."""
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def _pointer(error: Mapping[str, Any]) -> str:
    """The JSON pointer of a pydantic error; parameters keep their place (`query/limit`) in front."""
    if error["type"] == "json_invalid":
        return ""
    place, *steps = error["loc"]
    if place != "body":
        return printable("/".join(str(step) for step in error["loc"]))[:_POINTER_LENGTH]
    escaped = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    return printable("".join(f"/{step}" for step in escaped))[:_POINTER_LENGTH]


def printable(text: str) -> str:
    """`text` fit for UTF-8 and for one line of a log: a client may have named a field with half a surrogate pair."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text[:1000])
