"""PostgreSQL through psycopg: bounded in time, and only on a server that keeps what it acknowledges.

    lock_seconds       a statement waits for another writer at most this long, then the whole transaction is given up
    + 0.25 s           the server ends the statement itself
    + 0.5 s            the client gives up: a frozen server keeps its sockets open and never says a word

A server that was lost is left to one thread that knocks until it is back; until then everybody else is told at once,
so that what can do without a database is not slowed down by it. Writers run at READ COMMITTED on row locks, readers
see one snapshot (REPEATABLE READ, read only), as on SQLite.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, select, text
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError

from market.errors import ConfigError
from targeting.storage.database import CollisionError, StoreUnavailableError

LOCK_SECONDS = 1.5  # above the server's deadlock_timeout (1 s), so that a deadlock is told as one
_STATEMENT_SECONDS, _SILENT_SECONDS = 0.25, 0.5  # on top of waiting for a lock
_SCHEMA_SECONDS = 600.0  # a migration may take its time
_KNOCK_SECONDS = 0.25
_CONNECT_SECONDS = 2  # the least libpq takes

_COLLISIONS = {"40001", "40P01"}  # serialization failure, deadlock
_GIVEN_UP = {"55P03", "57014", "25006"}  # lock timeout, statement timeout, a server that only reads
_NO_ROOM = ("53", "58")  # out of disk, memory or connections; the server's own disk fails
_GONE = ("08", "57P")  # the connection broke; the server stops, starts or crashed


log = structlog.get_logger()


class UnsafeServerError(ConfigError):
    """The server is set up so that it may lose what it has acknowledged."""

    status = 503


class Server:
    """One PostgreSQL database; `reader` and `writer` are engines on the same pool of connections."""

    def __init__(self, url: URL, lock_seconds: float = LOCK_SECONDS) -> None:
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        if url.drivername != "postgresql+psycopg":
            raise ConfigError(f"database URL {url!r}: expected sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")
        self._url = url
        # Beyond 15 connections a process gains nothing, and a server takes 100 by default.
        pool = {"pool_size": 10, "max_overflow": 5, "pool_timeout": lock_seconds, "pool_pre_ping": True}
        self.outage = Outage(self._ping)
        self.writer = _engine(url, lock_seconds, pool, self.outage)
        self.reader = self.writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def changing_schema(self, lock: int) -> Iterator[Connection]:
        """A transaction without hurry that holds the advisory lock; what keeps it from connecting is told in words."""
        engine = _engine(self._url, _SCHEMA_SECONDS, {"poolclass": NullPool})
        try:
            connected = engine.connect()
        except DBAPIError as error:
            why = " ".join(str(error.orig).split())
            raise ConfigError(f"database URL {self._url!r} does not open: {why}") from None
        with connected as connection, connection.begin():
            connection.execute(select(func.pg_advisory_xact_lock(lock)))
            yield connection

    def close(self) -> None:
        self.outage.close()
        self.writer.dispose()

    def failure(self, error: DatabaseError) -> StoreUnavailableError | None:
        """What the caller is told instead of `error`; None when it is a mistake of ours."""
        state = getattr(error.orig, "sqlstate", None)
        if state in _COLLISIONS:
            return CollisionError("another writer was in the way; nothing was written, try again")
        if state is not None and (state in _GIVEN_UP or state.startswith(_NO_ROOM)):
            return StoreUnavailableError("the database is busy; nothing was written, try again")
        if isinstance(error, OperationalError) and (state is None or state.startswith(_GONE)):
            self.outage.begin()
            return StoreUnavailableError("the database does not answer; sending the same again is safe")
        return None

    def _ping(self) -> None:
        with self.writer.connect() as connection:
            connection.execute(text("SELECT 1"))


class Outage:
    """From the first sign that the server is lost until `ping` succeeds again."""

    def __init__(self, ping: Any) -> None:
        self._ping, self._guard = ping, threading.Lock()
        self._knocking: threading.Thread | None = None
        self._closed = threading.Event()

    def check(self) -> None:
        """StoreUnavailableError while the server is known to be lost, for everybody but the thread that knocks."""
        if self._knocking not in (None, threading.current_thread()):
            raise StoreUnavailableError("the database does not answer; nothing was written, try again")

    def begin(self) -> None:
        with self._guard:
            if self._knocking is None and not self._closed.is_set():
                self._knocking = threading.Thread(target=self._knock, name="database-outage", daemon=True)
                self._knocking.start()
                log.warning("the database does not answer")

    def close(self) -> None:
        self._closed.set()
        thread = self._knocking
        if thread is not None:
            thread.join(timeout=2 * _CONNECT_SECONDS)

    def _knock(self) -> None:
        while not self._closed.wait(_KNOCK_SECONDS):
            try:
                self._ping()
                break
            except Exception:  # whatever it is, the next knock tells
                continue
        with self._guard:
            self._knocking = None
        if not self._closed.is_set():
            log.info("the database answers again")


class PatientConnection(psycopg.Connection[Any]):
    """Gives up, and closes, when the server has been silent for patience_seconds."""

    patience_seconds = LOCK_SECONDS + _SILENT_SECONDS
    outage: Outage | None = None

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return super().wait(_not_silent(gen, self.patience_seconds), *args, **kwargs)
        except SilenceError:
            self.pgconn.finish()
            if self.outage is not None:
                self.outage.begin()  # before the pool tries another connection
            raise


class SilenceError(psycopg.OperationalError):
    """Nothing was heard from the server for longer than anything may take."""


def _not_silent(gen: Generator[Any, Any, Any], seconds: float) -> Generator[Any, Any, Any]:
    """`gen` as it is; psycopg sends it 0 several times a second as long as its socket is not ready."""
    heard = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                heard = time.monotonic()
            elif time.monotonic() - heard > seconds:
                raise SilenceError("the server is silent")
            wanted = gen.send(ready)
    except StopIteration as done:
        return done.value


def _engine(url: URL, lock_seconds: float, pool: dict[str, Any], outage: Outage | None = None) -> Engine:
    limits = {"lock_timeout": lock_seconds, "statement_timeout": lock_seconds + _STATEMENT_SECONDS}
    limits["idle_in_transaction_session_timeout"] = lock_seconds + 10  # a frozen client lets go of its locks
    options = " ".join(f"-c {name}={int(1000 * seconds)}" for name, seconds in limits.items())
    try:
        # hide_parameters: what a failing statement was about to store never reaches a log.
        engine = create_engine(url, hide_parameters=True, isolation_level="READ COMMITTED", **pool)
    except ArgumentError as error:
        raise ConfigError(f"database URL {url!r} can not be used: {error}") from None

    def connect(_dialect: Any, _record: Any, given: Any, named: dict[str, Any]) -> PatientConnection:
        if outage is not None:
            outage.check()
        ours: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "hiregraph"}
        named = ours | named | {"options": f"-c TimeZone=UTC {options} {named.get('options', '')}".strip()}
        made: PatientConnection = PatientConnection.connect(*given, **named)
        made.patience_seconds, made.outage = lock_seconds + _SILENT_SECONDS, outage
        try:
            _refuse_unsafe(made)
        except BaseException:
            made.close()
            raise
        return made

    event.listen(engine, "do_connect", connect)
    return engine


def _refuse_unsafe(connection: PatientConnection) -> None:
    names = ("fsync", "synchronous_commit", "full_page_writes", "server_encoding")
    asked = ", ".join(f"current_setting('{name}')" for name in names)
    found = dict(zip(names, connection.execute(f"SELECT {asked}").fetchone() or (), strict=True))
    connection.rollback()
    for name in names[:3]:
        if found[name] == "off":
            raise UnsafeServerError(
                f"PostgreSQL runs with {name} = off and may lose what it has acknowledged; set it to on and start again"
            )
    if found["server_encoding"] != "UTF8":
        raise UnsafeServerError(
            f"the database is encoded as {found['server_encoding']}; create it with ENCODING 'UTF8' TEMPLATE template0"
        )
