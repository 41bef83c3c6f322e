"""Probes that need no key: is the process alive, can it serve, what does it count."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest

from targeting.engine import NotReadyError
from targeting.http.problems import responses
from targeting.http.services import Here

router = APIRouter(tags=["probes"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz", responses=responses(503))
def readyz(here: Here) -> dict[str, str]:
    """The store answers and the engine can search."""
    here.store.ping()
    if (missing := here.engine.ready()) is not None:
        raise NotReadyError(missing)
    return {"status": "ready"}


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(here: Here) -> Response:
    return Response(generate_latest(here.meter.registry), media_type="text/plain; version=0.0.4; charset=utf-8")
