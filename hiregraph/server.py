"""The server: opens the store, loads the engine, and runs the API."""

from __future__ import annotations

import copy
import logging
import sys
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from hiregraph.settings import Settings, hand_over, load_settings, token_secret
from market.clock import SystemClock
from market.errors import ArtefactError, ConfigError
from targeting.engine import Engine, NoEngine
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.store import Store

log = structlog.get_logger()


def run(settings: Settings, workers: int) -> None:
    """Serve until stopped; with several workers each is a process of its own on the same database."""
    if workers < 1:
        raise ConfigError(f"--workers {workers}: at least one worker is needed")
    token_secret(settings)  # made before the workers start, so that they share it
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "log_config": _log_config(),
        "server_header": False,
        "timeout_graceful_shutdown": 10,
    }
    if workers == 1:
        uvicorn.run(build_app(settings), **options)
    else:
        open_store(settings.db).close()
        hand_over(settings)
        uvicorn.run("hiregraph.server:app_of_worker", factory=True, workers=workers, **options)


def app_of_worker() -> FastAPI:
    """The app of one of several workers; its settings came through the environment."""
    return build_app(load_settings())


def build_app(settings: Settings) -> FastAPI:
    """The app on the store and the artefacts that the settings name."""
    logs_to_stderr()
    store = open_store(settings.db)
    engine = load_engine(settings)
    if (missing := engine.ready()) is not None:
        log.warning("engine not ready, campaigns work all the same", missing=missing)
    else:
        _first_jobs(store, settings)
    return create_app(
        store,
        engine,
        SystemClock(),
        ServiceConfig(docs=settings.docs),
        secret=token_secret(settings),
        housekeeping=True,
    )


def open_store(url: str) -> Store:
    """The store at `url`, made or upgraded to this program's schema first."""
    database = Database(url)
    before, now = upgrade(database)
    if before != now:
        log.info("database schema upgraded", version_before=before, version_now=now)
    return Store(database)


def load_engine(settings: Settings) -> Engine:
    """The engine on its artefacts; without usable ones a stand-in that says what to do."""
    if not settings.artefacts.is_dir():
        return NoEngine(f"no artefacts in {settings.artefacts}; run `make demo` first, or give --artefacts")
    try:
        # Imported late: it brings torch, and the server has to start without any model.
        from targeting.marketplace import Marketplace, new_nonce
    except ModuleNotFoundError as error:
        return NoEngine(f"the engine is not installed ({error.name} is missing); install the whole package")
    try:
        engine: Engine = Marketplace.load(
            settings.artefacts, token_secret(settings), new_nonce, Path(".cache") / "text"
        )
    except ArtefactError as error:
        return NoEngine(str(error))
    return engine


def _first_jobs(store: Store, settings: Settings) -> None:
    """A store that never had a job starts with the vacancies beside the artefacts, where the demo left some."""
    from targeting.marketplace import load_vacancies

    vacancies = load_vacancies(settings.artefacts / "jobs")
    if vacancies and store.revision().jobs == 0:
        store.put_jobs(vacancies)
        log.info("empty store, took the vacancies beside the artefacts", jobs=len(vacancies))


def logs_to_stderr() -> None:
    """One line of key=value per event on stderr: stdout belongs to results."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event"), bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when the line is written
    )


def _log_config() -> dict[str, Any]:
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    return config
