"""Routes about the artefacts the engine works with: which version serves, and a look for a newer one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from targeting.hot_swap import SwapState
from targeting.http.schemas import Model
from targeting.http.services import Here, MarketplaceReader, Platform

router = APIRouter(prefix="/v1", tags=["artefacts"])


class ArtefactsOut(Model):
    """version serves; refused could not be loaded last, and why. Of the worker process that answers."""

    version: str
    loading: bool
    refused: str | None = None
    why: str | None = None

    @classmethod
    def of(cls, state: SwapState) -> ArtefactsOut:
        return cls(**vars(state))


@router.get("/artefacts", response_model=ArtefactsOut, response_model_exclude_none=True)
def artefacts(me: MarketplaceReader, here: Here) -> Any:
    """Which artefacts serve."""
    return ArtefactsOut.of(here.live.state())


@router.post("/artefacts:reload", response_model=ArtefactsOut, response_model_exclude_none=True, status_code=202)
def reload(me: Platform, here: Here) -> Any:
    """Load the artefacts in place beside those that serve, and switch when they are ready; requests go on meanwhile."""
    here.live.start()
    return ArtefactsOut.of(here.live.state())
