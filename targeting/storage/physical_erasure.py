"""Takes deleted bytes off the disk: what SQL deletes may live on in free pages and in the write-ahead log.

On SQLite every connection overwrites what it deletes (secure_delete); the log is moved into the database and cut to
nothing; then file and log are searched for the id, and if it is still there the file is built anew (VACUUM). Another
database is not searched: the receipt says what is left to its operator.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from targeting.canary import SHORT, search_file
from targeting.storage.database import Database

TRIES, PAUSE_SECONDS = 20, 0.1  # readers that keep the log busy are given this long
ELSEWHERE = "backups, archived logs and exports made before are not reached; export again, let old backups expire"
SERVER = "run VACUUM FULL on the tables, and expire archived write-ahead logs, to free the deleted bytes; "


@dataclass(frozen=True)
class Traces:
    """log_emptied: False when readers did not let go of the log, so that the purge has to be repeated.

    found: how often the id still stands in the database's files; None: not searched (id unknown, too short to tell,
    or another database).
    """

    log_emptied: bool
    rebuilt: bool
    found: int | None
    note: str

    def told(self) -> dict[str, Any]:
        return {"rebuilt": self.rebuilt, "found": self.found, "note": self.note}


def purge(database: Database, seeker_id: str | None) -> Traces:
    """Free what was deleted. seeker_id None: it is not known any more, so the file is built anew unseen."""
    if database.path is None:
        return Traces(True, False, None, SERVER + ELSEWHERE)
    if not _emptied_log(database):
        return Traces(False, False, None, ELSEWHERE)
    searchable = seeker_id is not None and len(seeker_id) >= SHORT
    found = _occurrences(database, seeker_id) if searchable and seeker_id is not None else None
    if seeker_id is not None and not found:
        return Traces(True, False, found, ELSEWHERE)
    if not _rebuilt(database):
        return Traces(False, False, found, ELSEWHERE)
    found = _occurrences(database, seeker_id) if seeker_id is not None else None
    return Traces(True, True, found, ELSEWHERE)


def _emptied_log(database: Database) -> bool:
    for _ in range(TRIES):
        if _on_its_own(database, "PRAGMA wal_checkpoint(TRUNCATE)"):
            return True
        time.sleep(PAUSE_SECONDS)
    return False


def _rebuilt(database: Database) -> bool:
    _on_its_own(database, "VACUUM")
    return _emptied_log(database)


def _on_its_own(database: Database, statement: str) -> bool:
    """Run a statement outside of transactions and beside no writer; False when it reports that it was kept waiting."""
    with database.write_lock(wait_seconds=60):
        raw = database.engine.raw_connection()
        cursor = raw.cursor()
        try:
            cursor.execute("PRAGMA busy_timeout=100")
            answered = cursor.execute(statement).fetchall()
            return not answered or answered[0][0] == 0
        finally:
            cursor.execute("PRAGMA busy_timeout=5000")
            cursor.close()
            raw.close()


def _occurrences(database: Database, seeker_id: str) -> int:
    path = database.path
    assert path is not None
    files = [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")]
    return sum(hit.count for file in files if file.exists() for hit in search_file(file, seeker_id))
