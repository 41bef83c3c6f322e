"""The HTTP API of the marketplace, put together: gate, routes, errors, and what has to run beside them.

    app = create_app(store, engine, clock)

Everything outside `gate.PUBLIC_PATHS` needs a key. Account roles see their own account, another account's object is
answered exactly like a missing one. Recommendations and slates go on when the store or the promoted part fails.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from market.clock import Clock
from targeting.engine import Engine
from targeting.hot_swap import HotSwap
from targeting.housekeeping import Housekeeping, Task
from targeting.http import (
    artefact_routes,
    audit_routes,
    campaign_routes,
    control_routes,
    forecast_routes,
    job_routes,
    privacy_routes,
    probe_routes,
    seeker_routes,
)
from targeting.http.config import ServiceConfig
from targeting.http.gate import Gate
from targeting.http.insight import insight_of
from targeting.http.limits import RateLimits
from targeting.http.live import Artefacts, Live, replacements, warm
from targeting.http.meter import Meter
from targeting.http.problems import install, responses
from targeting.http.services import Services
from targeting.pacer import Pacer
from targeting.pacing.prices import PriceBoard
from targeting.profile_log import ProfileLog
from targeting.storage.database import StoreUnavailableError
from targeting.storage.erasure import Erasure
from targeting.storage.frequency import Frequency
from targeting.storage.ingestion import Ingestion
from targeting.storage.journal import Journal
from targeting.storage.keys import KeyRing
from targeting.storage.link_edits import LinkEdits
from targeting.storage.mirror import Mirror
from targeting.storage.pacing_store import PacingStore
from targeting.storage.profile_store import ProfileStore
from targeting.storage.shown import ShownLog
from targeting.storage.store import Store
from targeting.storage.tombstones import Tombstones
from targeting.traffic import TrafficBuffer

KEY = [Depends(HTTPBearer(auto_error=False, description="An API key: hiregraph keys create"))]
ROUTES = (
    seeker_routes.router,
    job_routes.router,
    campaign_routes.router,
    control_routes.router,
    forecast_routes.router,
    audit_routes.router,
    privacy_routes.router,
    artefact_routes.router,
)


def create_app(
    store: Store,
    engine: Engine,
    clock: Clock,
    config: ServiceConfig = ServiceConfig(),
    *,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    secret: bytes | None = None,
    housekeeping: bool = False,
    artefacts: Artefacts | None = None,
    prices: PriceBoard | None = None,
) -> FastAPI:
    """The app; starting it fills the engine from the store, stopping it checkpoints and closes the store.

    secret: what the engine signs its tokens with. Without it every token of an event is refused.
    housekeeping: run the background tasks (a server does; tests run them by hand).
    artefacts: where the next engine comes from; without it `engine` serves to the end.
    prices: what the engine's campaigns bid by; the pacing of this app writes there.
    """
    secret = secret or secrets.token_bytes(32)
    tombstones = Tombstones(secret)
    journal = Journal(store.database, config.billing, tombstones)
    ingestion = Ingestion(store.database, secret, config.billing, config.invalid_clicks)
    link_edits = LinkEdits(store.database)

    def mirror_of(engine: Engine) -> Mirror:
        return Mirror(store, engine, clock, journal, link_edits)

    shown = ShownLog(store.database, secret)
    meter, rates = Meter(), RateLimits(config.limits, time.monotonic)
    source = None if artefacts is None else replacements(artefacts, mirror_of)
    loaded = "none" if artefacts is None else artefacts.loaded
    live = HotSwap(Live(engine, mirror_of(engine)), source, loaded, meter.count_artefacts)
    lag = "Writes of jobs and campaigns that this engine has not taken over"
    meter.watch("engine_revision_lag", lag, lambda: live.current.mirror.lag())
    profiles, profile_store = ProfileLog(config.privacy), ProfileStore(store.database, tombstones)
    erasure = Erasure(store.database, tombstones, entropy, profiles.forget, config.privacy.artefacts)
    insight = insight_of(store.database, config)
    pacer = Pacer(
        PacingStore(store.database),
        prices or PriceBoard(config.pacing.auto_cpc_micros),
        clock,
        lambda: _up_to_date(live.current.mirror).running,
        lambda: live.current.engine,
        insight.traffic,
        insight.track,
        config.billing.kappa,
        config.pacing,
        meter.count_plan,
    )
    behind = "Minutes since any worker moved the prices of campaigns"
    meter.watch("pacing_minutes_behind", behind, lambda: pacer.minutes_behind())
    services = Services(
        store,
        live,
        journal,
        ingestion,
        clock,
        entropy,
        meter,
        link_edits,
        shown,
        rates,
        Frequency(store.database, config.serving, config.billing.grace),
        profiles,
        erasure,
        TrafficBuffer(config.traffic),
        insight,
        pacer,
    )
    release = Task("release reserves", 1.0, lambda: meter.count_released(journal.release(clock.now())))
    note = Task("profiles", config.privacy.flush_seconds, lambda: profile_store.flush(profiles))
    erase = Task("erasures", 5.0, lambda: erasure.resume(clock.now()))
    renew = Task("new artefacts", config.serving.reload_seconds, live.check)
    count = Task("traffic", config.traffic.flush_seconds, lambda: services.insight.traffic.flush(services.traffic))
    forget = Task("old traffic", 3_600.0, lambda: services.insight.traffic.forget(clock.now()))
    settle = Task("early events", 60.0, lambda: ingestion.replay(clock.now()))
    pace = (Task("pacing", config.pacing.look_seconds, pacer.tick),) if config.pacing.on else ()
    tasks = Housekeeping((release, note, erase, renew, count, forget, settle, *pace), failed=meter.count_failed_task)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.mirror.catch_up)
        if housekeeping:
            await run_in_threadpool(warm, live.current.engine)
            await run_in_threadpool(tasks.run_first, "pacing")
            tasks.start()
        yield
        pacer.stop(0.0)
        if housekeeping:
            await run_in_threadpool(tasks.stop)
        await run_in_threadpool(pacer.stop, config.pacing.solve_seconds)
        await run_in_threadpool(live.wait, 5.0)
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
        app.include_router(
            routes, dependencies=KEY, responses=responses(400, 401, 403, 404, 408, 413, 415, 422, 429, 431, 500, 503)
        )
    app.include_router(probe_routes.router)
    install(app)
    app.add_middleware(
        Gate,
        authenticate=KeyRing(store.key_by_digest, (StoreUnavailableError,)).authenticate,
        meter=meter,
        rates=rates,
        limits=config.limits,
        max_body_bytes=config.max_body_bytes,
        new_request_id=lambda: f"req_{entropy(12).hex()}",
    )
    return app


def _up_to_date(mirror: Mirror) -> Mirror:
    mirror.catch_up()
    return mirror
