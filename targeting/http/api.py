"""The HTTP API of the marketplace, put together: gate, routes, errors, and what has to run beside them.

    app = create_app(store, engine, clock)

Everything outside `gate.PUBLIC_PATHS` needs a key. Account roles see their own account, another account's object is
answered exactly like a missing one. Recommendations and slates go on when the store or the promoted part fails.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from market.clock import Clock
from targeting.engine import Engine
from targeting.housekeeping import Housekeeping, Task
from targeting.http import campaign_routes, job_routes, probe_routes, seeker_routes
from targeting.http.config import ServiceConfig
from targeting.http.gate import Gate, Meter
from targeting.http.problems import install, responses
from targeting.http.services import Services
from targeting.storage.database import StoreUnavailableError
from targeting.storage.ingestion import Ingestion
from targeting.storage.journal import Journal
from targeting.storage.keys import KeyRing
from targeting.storage.mirror import Mirror
from targeting.storage.store import Store

KEY = [Depends(HTTPBearer(auto_error=False, description="An API key: hiregraph keys create"))]
ROUTES = (seeker_routes.router, job_routes.router, campaign_routes.router)


def create_app(
    store: Store,
    engine: Engine,
    clock: Clock,
    config: ServiceConfig = ServiceConfig(),
    *,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    secret: bytes | None = None,
    housekeeping: bool = False,
) -> FastAPI:
    """The app; starting it fills the engine from the store, stopping it checkpoints and closes the store.

    secret: what the engine signs its tokens with. Without it every token of an event is refused.
    housekeeping: run the background tasks (a server does; tests run them by hand).
    """
    journal = Journal(store.database, config.billing)
    ingestion = Ingestion(store.database, secret or secrets.token_bytes(32), config.billing)
    mirror = Mirror(store, engine, clock, journal)
    services = Services(store, engine, mirror, journal, ingestion, clock, entropy, Meter())
    tasks = Housekeeping((Task("release reserves", 1.0, lambda: journal.release(clock.now())),))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.mirror.catch_up)
        if housekeeping:
            tasks.start()
        yield
        if housekeeping:
            await run_in_threadpool(tasks.stop)
        await run_in_threadpool(store.close)

    app = FastAPI(
        title="HireGraph",
        version="1",
        description="Campaigns, jobs, recommendations and slates of a job marketplace.",
        lifespan=lifespan,
        docs_url="/docs" if config.docs else None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    for routes in ROUTES:
        app.include_router(routes, dependencies=KEY, responses=responses(401, 403, 404, 413, 422, 503))
    app.include_router(probe_routes.router)
    install(app)
    app.add_middleware(
        Gate,
        authenticate=KeyRing(store.key_by_digest, (StoreUnavailableError,)).authenticate,
        meter=services.meter,
        max_body_bytes=config.max_body_bytes,
        new_request_id=lambda: f"req_{entropy(12).hex()}",
    )
    return app
