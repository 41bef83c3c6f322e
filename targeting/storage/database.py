"""Connections and transactions: one writer at a time, durable when committed, safe on old SQLite libraries.

SQLite 3.7.0 to 3.51.2 can corrupt a database in WAL mode when one connection commits at the very moment another one
checkpoints ("WAL-reset bug"). Python usually links such a version, so no connection ever checkpoints by itself
(wal_autocheckpoint=0), and every writer and every checkpoint takes the same exclusive lock, across threads and
processes. SQLite has one writer at a time anyway: the lock costs two system calls and replaces its busy polling. The
checkpoint SQLite runs when the last connection closes is safe: it holds the whole file exclusively.

On PostgreSQL (`postgres`) many write at once, and what one transaction reads before it writes has to be locked first.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, OperationalError, TimeoutError
from sqlalchemy.orm import Session

from market.errors import ConfigError, UserError

if TYPE_CHECKING:
    from targeting.storage.postgres import Server

Result = TypeVar("Result")

WAL_LIMIT_BYTES = 16 << 20
LOCK_SECONDS = 5.0
UNHURRIED_SECONDS = 600.0  # lock_timeout_seconds of commands that read or write everything while nobody waits
_TRIES = 20  # each that fails means that another writer got through; more writers than this are not at work at once
_UNIQUE_VIOLATION = "23505"
_SCHEMA_LOCK = 4_801  # any number, the same in every process
_PRAGMAS = (
    "busy_timeout=5000",
    "journal_mode=WAL",
    "synchronous=FULL",  # NORMAL loses committed transactions when the power goes
    "foreign_keys=ON",
    "wal_autocheckpoint=0",
    "secure_delete=ON",  # who is erased leaves no bytes in free pages
)

_UNAVAILABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


class StoreUnavailableError(UserError):
    """The database does not answer in time (locked, full, gone); nothing was written, a retry is safe."""

    code = "store_unavailable"
    status = 503


class CollisionError(StoreUnavailableError):
    """Two transactions wanted the same at once and this one was undone; `Database.write` tries again by itself."""


class Database:
    """`with database.reading() as session` and `with database.writing() as session`: one transaction each."""

    def __init__(self, url: str, lock_timeout_seconds: float | None = None) -> None:
        """lock_timeout_seconds: how long a writer waits for others; on PostgreSQL it bounds every statement too."""
        self.url = url
        self.path = sqlite_path(url)
        self._lock: _WriteLock | None = None
        self._server: Server | None = None
        self._writer: Engine
        if self.path is None:
            self._server = _server(url, lock_timeout_seconds)
            self.engine = self._writer = self._server.writer
            self._reader: Engine = self._server.reader
            return
        self.engine = self._reader = _connect(url, self.path)
        self._writer = self.engine.execution_options(writes=True)
        seconds = LOCK_SECONDS if lock_timeout_seconds is None else lock_timeout_seconds
        self._lock = _WriteLock(self.path.with_name(self.path.name + ".lock"), seconds)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Everything in it is read from one moment."""
        with self._translated(), Session(self._reader) as session, session.begin():
            yield session

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """For the few small SELECTs that every request makes: no objects, and a quarter of the cost of `reading`."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, wait_seconds: float | None = None) -> Iterator[Session]:
        """Waits for other writers at most wait_seconds (None: the timeout of this database)."""
        with self._translated(), self.write_lock(wait_seconds):
            with Session(self._writer) as session, session.begin():
                if self._server is not None and wait_seconds is not None:
                    session.execute(text(f"SET LOCAL lock_timeout = {max(1, int(1000 * wait_seconds))}"))
                yield session
            if self.path is not None and _size(self.path.with_name(self.path.name + "-wal")) > WAL_LIMIT_BYTES:
                self._checkpoint()

    def write(self, work: Callable[[Session], Result], wait_seconds: float | None = None) -> Result:
        """`work` in one writing transaction, from the start again when another transaction got in its way.

        That is a deadlock, or a row with the same key stored at the same moment; the next try sees that row.
        """
        for left in reversed(range(_TRIES)):
            try:
                with self.writing(wait_seconds) as session:
                    return work(session)
            except CollisionError:
                if not left:
                    raise
            except IntegrityError as error:
                if getattr(error.orig, "sqlstate", None) != _UNIQUE_VIOLATION:
                    raise
                if not left:
                    raise CollisionError("another writer was in the way; nothing was written, try again") from None
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def changing_schema(self) -> Iterator[Connection]:
        """A writing transaction as a plain connection, for migrations; one at a time."""
        if self._server is not None:
            with self._server.changing_schema(_SCHEMA_LOCK) as connection:
                yield connection
            return
        with self._translated(), self.write_lock(), self._writer.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write_lock(self, wait_seconds: float | None = None) -> Iterator[None]:
        """The lock that writers and checkpoints share; a no-op on databases that look after themselves."""
        with nullcontext() if self._lock is None else self._lock.held(wait_seconds):
            yield

    def checkpoint(self) -> None:
        """Move the write-ahead log into the database file, as far as readers allow."""
        with self._translated(), self.write_lock():
            self._checkpoint()

    def close(self) -> None:
        """Checkpoint, unless another process is at work, and close all connections."""
        with suppress(StoreUnavailableError):
            self.checkpoint()
        self.engine.dispose()
        if self._lock is not None:
            self._lock.close()
        if self._server is not None:
            self._server.close()

    def ping(self) -> None:
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self._server is not None:
            self._server.outage.check()
        try:
            yield
        except TimeoutError:
            raise StoreUnavailableError("the database is busy; nothing was written, try again") from None
        except DatabaseError as error:
            told = _failure(error) if self._server is None else self._server.failure(error)
            if told is None:
                raise
            raise told from None

    def _checkpoint(self) -> None:
        if self.path is None:
            return
        raw = self.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA busy_timeout=100")  # a reader in the way: next time
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            cursor.execute("PRAGMA busy_timeout=5000")
            cursor.close()
        finally:
            raw.close()


class _WriteLock:
    """Exclusive among the threads of this process, then among processes by flock; released by the kernel on a kill."""

    def __init__(self, path: Path, timeout_seconds: float) -> None:
        self._threads, self._timeout_seconds = threading.Lock(), timeout_seconds
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @contextmanager
    def held(self, wait_seconds: float | None = None) -> Iterator[None]:
        timeout_seconds = self._timeout_seconds if wait_seconds is None else wait_seconds
        deadline = time.monotonic() + timeout_seconds
        if not self._threads.acquire(timeout=timeout_seconds):
            raise StoreUnavailableError("the database is busy with other writes; try again in a few seconds")
        try:
            self._wait_for_other_processes(deadline)
            try:
                yield
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        os.close(self._descriptor)

    def _wait_for_other_processes(self, deadline: float) -> None:
        pause = 0.0005
        while True:
            try:
                return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise StoreUnavailableError(
                        "another process holds the database; try again in a few seconds"
                    ) from None
            time.sleep(pause)
            pause = min(2 * pause, 0.01)


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL, None for another database; ConfigError when the URL is not one."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError(f"database URL {url!r}: expected something like sqlite:///out/hiregraph.sqlite") from None
    if parsed.get_backend_name() != "sqlite":
        return None
    if not parsed.database or parsed.database == ":memory:" or "uri" in parsed.query:
        raise ConfigError(f"database URL {url!r}: name a file, for example sqlite:///out/hiregraph.sqlite")
    return Path(parsed.database)


def _server(url: str, lock_seconds: float | None) -> Server:
    try:
        # Imported late: a marketplace on SQLite needs no driver for PostgreSQL.
        from targeting.storage.postgres import LOCK_SECONDS, Server
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"a database server needs the package psycopg ({error.name} is missing); pip install 'hiregraph[postgres]'"
        ) from None
    return Server(make_url(url), LOCK_SECONDS if lock_seconds is None else lock_seconds)


def _connect(url: str, path: Path) -> Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # hide_parameters: what a failing statement was about to store never reaches a log.
        engine = create_engine(url, hide_parameters=True, pool_size=10, max_overflow=30, pool_timeout=5)
    except (ArgumentError, ImportError, OSError) as error:
        raise ConfigError(f"database URL {make_url(url)!r} can not be opened: {error}") from None
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions are opened by _begin, not guessed from statements
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock first; a transaction that reads and then writes could not be upgraded.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _failure(error: DatabaseError) -> UserError | None:
    """What the caller is told instead of an error of SQLite; None when it is a mistake of ours."""
    # SQLite also calls a mistake in a statement "operational": only its primary result code tells.
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_NOTADB:
        return ConfigError("the database file is not a SQLite database; give another one")
    if isinstance(error, OperationalError) and (code is None or code & 0xFF in _UNAVAILABLE):
        return StoreUnavailableError("the database does not answer; nothing was written, try again")
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
