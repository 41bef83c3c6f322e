"""A throw-away PostgreSQL server: its own data directory and socket, no network, gone with the test session."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from targeting.migrations import upgrade
from targeting.storage.database import Database

_SETTINGS = {"listen_addresses": "''", "max_connections": "100", "shared_buffers": "32MB", "log_min_messages": "fatal"}
_EMPTY = """
DO $$ DECLARE each text; BEGIN
  SET LOCAL session_replication_role = replica;  -- no triggers: postings may be emptied
  FOR each IN SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'revisions')
  LOOP EXECUTE format('DELETE FROM %I', each); END LOOP;
  UPDATE revisions SET value = 0;
END $$
"""


def server_programs() -> Path | None:
    """The folder with initdb and pg_ctl, the newest version first; None where no server is installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: (len(str(each)), each), reverse=True)
    found = shutil.which("initdb")
    folders += [Path(found).resolve().parent] if found else []
    return next((each for each in folders if (each / "initdb").exists() and (each / "pg_ctl").exists()), None)


class Cluster:
    """One server. `blank` lends a migrated database without rows; `empty` makes one without any table."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        # The server refuses to run as root, and the path of a socket may not be longer than 107 bytes.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="hg-pg-", dir="/tmp"))
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._data = self._folder / "data"
        given = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        self._run("initdb", "-D", str(self._data), *given)
        settings = "".join(f"{name} = {value}\n" for name, value in _SETTINGS.items())
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.write(f"{settings}unix_socket_directories = '{self._folder}'\n")
        self._made, self._free = 0, list[str]()
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-D", str(self._data), "-l", str(self._folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """fast: connections are cut; immediate: as if the machine had lost its power."""
        self._run("pg_ctl", "stop", "-w", "-D", str(self._data), "-m", mode)

    def change(self, name: str, value: str) -> None:
        """Change a setting of the running server."""
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {name} = {value}")  # type: ignore[call-overload]
        self._run("pg_ctl", "reload", "-D", str(self._data))

    @property
    def process_ids(self) -> list[int]:
        """The server's own, then those of its children."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True)
        return [first, *map(int, found.stdout.split())]

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def empty(self) -> str:
        """URL of a database without any table."""
        self._made += 1
        name = f"test{self._made}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[call-overload]
        return self.url(name)

    @contextmanager
    def blank(self) -> Iterator[str]:
        """URL of a database with all tables and no rows, nobody else's until the end of the block."""
        url = self._free.pop() if self._free else self._migrated()
        yield url
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(_EMPTY)
        self._free.append(url)

    def remove(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-D", str(self._data), "-m", "immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _migrated(self) -> str:
        url = self.empty()
        database = Database(url)
        upgrade(database)
        database.close()
        return url

    def _conninfo(self, name: str) -> str:
        return f"dbname={name} user=postgres host={self._folder}"

    def _run(self, program: str, *given: str) -> None:
        done = subprocess.run(
            [self._programs / program, *given],
            user=self._user,
            extra_groups=[] if self._user else None,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,  # the server keeps a pipe open
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        )
        assert done.returncode == 0, (program, given, done.stderr, self._log())

    def _log(self) -> str:
        log = self._folder / "log"
        return log.read_text()[-2000:] if log.exists() else ""
