"""The server: opens the store, loads the engine, and runs the API."""

from __future__ import annotations

import logging
import random
import signal
import sys
import threading
from collections.abc import MutableMapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from hiregraph.settings import (
    Deployment,
    hand_over,
    load_settings,
    refuse_unknown_variables,
    service_config,
    token_secret,
)
from market.clock import SystemClock
from market.errors import ArtefactError, ConfigError
from targeting.artefact_version import version_of
from targeting.engine import Engine, NoEngine
from targeting.exploration import ExplorationBudget
from targeting.http.api import create_app
from targeting.http.live import Artefacts
from targeting.http.problems import printable
from targeting.migrations import upgrade
from targeting.pacing.prices import PriceBoard
from targeting.serving import ServingConfig
from targeting.storage.database import Database
from targeting.storage.store import Store

MOST_CONNECTIONS = 1_000  # of one worker; more are told 503 before they are read
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
    "loggers": {"uvicorn": {"handlers": ["stderr"], "level": "INFO", "propagate": False}},
}

log = structlog.get_logger()

# How long a working thread may keep the others waiting: the event loop has to refuse in time what is too much.
SWITCH_SECONDS = 0.0005


def run(settings: Deployment, workers: int) -> None:
    """Serve until stopped; with several workers each is a process of its own on the same database."""
    refuse_unknown_variables()
    if workers < 1:
        raise ConfigError(f"--workers {workers}: at least one worker is needed")
    token_secret(settings)  # made before the workers start, so that they share it
    if workers == 1:
        uvicorn.run(build_app(settings), **_options(settings))
    else:
        open_store(settings.db).close()
        hand_over(settings)
        uvicorn.run("hiregraph.server:app_of_worker", factory=True, workers=workers, **_options(settings))


def _options(settings: Deployment) -> dict[str, Any]:
    """What uvicorn is told; headers are limited to 16 KB in all by its parser (400 beyond)."""
    return {
        "host": settings.host,
        "port": settings.port,
        "log_config": LOGGING,
        "access_log": False,  # the gate writes a line a request, without paths
        "server_header": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies,
        "limit_concurrency": MOST_CONNECTIONS,
        "h11_max_incomplete_event_size": 16_384,
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": settings.drain_seconds,
    }


def app_of_worker() -> FastAPI:
    """The app of one of several workers; its settings came through the environment."""
    return build_app(load_settings())


def build_app(settings: Deployment) -> FastAPI:
    """The app on the store and the artefacts that the settings name."""
    logs_to_stderr()
    sys.setswitchinterval(SWITCH_SECONDS)
    store = open_store(settings.db)
    config = service_config(settings)
    exploration = ExplorationBudget(config.serving.exploration_budget, config.billing.kappa)
    loaded = version_of(settings.artefacts)  # asked before: what is put there meanwhile is new
    prices = PriceBoard(config.pacing.auto_cpc_micros)
    engine = load_engine(settings, config.serving, exploration, prices)
    if (missing := engine.ready()) is not None:
        log.warning("engine not ready, campaigns work all the same", missing=missing)
    else:
        _first_jobs(store, settings)
    if config.privacy.artefacts is None and settings.artefacts.is_dir():
        config = replace(config, privacy=replace(config.privacy, artefacts=settings.artefacts))
    opened = partial(open_engine, settings, config.serving, exploration, prices)
    artefacts = Artefacts(partial(version_of, settings.artefacts), opened, loaded)
    secret = token_secret(settings)
    app = create_app(
        store, engine, SystemClock(), config, secret=secret, housekeeping=True, artefacts=artefacts, prices=prices
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, lambda *_: app.state.services.live.ask())
    return app


def open_store(url: str) -> Store:
    """The store at `url`, made or upgraded to this program's schema first."""
    database = Database(url)
    before, now = upgrade(database)
    if before != now:
        log.info("database schema upgraded", version_before=before, version_now=now)
    return Store(database)


def load_engine(
    settings: Deployment,
    serving: ServingConfig = ServingConfig(),
    exploration: ExplorationBudget | None = None,
    prices: PriceBoard | None = None,
) -> Engine:
    """The engine on its artefacts; without usable ones a stand-in that says what to do."""
    try:
        return open_engine(settings, serving, exploration, prices)
    except ArtefactError as error:
        return NoEngine(str(error))


def open_engine(
    settings: Deployment,
    serving: ServingConfig,
    exploration: ExplorationBudget | None,
    prices: PriceBoard | None = None,
) -> Engine:
    """The same, or ArtefactError. `exploration` and `prices` outlive an engine: what was spent stays spent."""
    if not settings.artefacts.is_dir():
        raise ArtefactError(f"no artefacts in {settings.artefacts}; run `make demo` first, or give --artefacts")
    try:
        # Imported late: it brings torch, and the server has to start without any model.
        from targeting.marketplace import Marketplace, new_nonce
    except ModuleNotFoundError as error:
        raise ArtefactError(f"the engine is not installed ({error.name} is missing); install all of it") from None
    return Marketplace.load(
        settings.artefacts,
        token_secret(settings),
        new_nonce,
        Path(".cache") / "text",
        serving=serving,
        chance=random.SystemRandom().random,
        exploration=exploration,
        prices=prices,
    )


def _first_jobs(store: Store, settings: Deployment) -> None:
    """A store that never had a job starts with the vacancies beside the artefacts, where the demo left some."""
    from targeting.vacancies import load_vacancies

    vacancies = load_vacancies(settings.artefacts / "jobs")
    if vacancies and store.revision().jobs == 0:
        store.put_jobs(vacancies)
        log.info("empty store, took the vacancies beside the artefacts", jobs=len(vacancies))


def logs_to_stderr() -> None:
    """One line of key=value per event on stderr: stdout belongs to results."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _on_one_line,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event"), bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when the line is written
    )


def _on_one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Values of a line can not end it, nor turn its direction: what is not printable is written as its number."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
