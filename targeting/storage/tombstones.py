"""Who was erased: keyed digests of seeker ids, looked at by everything that writes about people.

The key is derived from the secret of the service, so that nobody without it can tell from a copy of the database
whether a given person was here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import bindparam, insert, select, text
from sqlalchemy.orm import Session

from targeting.storage.seeker_tables import ErasedRow

_PURPOSE = b"hiregraph erased seekers"
_CHUNK = 500

_AMONG = select(ErasedRow.digest).where(ErasedRow.digest.in_(bindparam("digests", expanding=True)))


class Tombstones:
    """Digests under one secret; with another secret earlier erasures are not known any more."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.new(secret, _PURPOSE, hashlib.sha256).digest()

    def digest(self, seeker_id: str) -> str:
        """Hex, 64 characters: the seeker id as `erased_seekers` and operations know it."""
        return self._keyed("seeker", seeker_id)

    def rekeyed(self, event_digest: str) -> str:
        """What stands for the digest of an erased person's event: a guessed content can not be confirmed by it."""
        return self._keyed("event", event_digest)

    def among(self, session: Session, seeker_ids: Collection[str]) -> frozenset[str]:
        """Those of `seeker_ids` that were erased, as of this transaction."""
        by_digest = {self.digest(seeker_id): seeker_id for seeker_id in seeker_ids}
        digests = sorted(by_digest)
        found: set[str] = set()
        for start in range(0, len(digests), _CHUNK):
            there = session.connection().execute(_AMONG, {"digests": digests[start : start + _CHUNK]})
            found.update(by_digest[digest] for digest in there.scalars())
        return frozenset(found)

    def put(self, session: Session, seeker_id: str, now: datetime) -> bool:
        """Add the tombstone; False when it stood there before. No transaction that began to write without seeing it
        is still at work when this returns: SQLite has one writer at a time, PostgreSQL waits for readers of the table.
        """
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("LOCK TABLE erased_seekers IN ACCESS EXCLUSIVE MODE"))
        digest = self.digest(seeker_id)
        if session.get(ErasedRow, digest) is not None:
            return False
        session.execute(insert(ErasedRow).values(digest=digest, erased_at=now))
        return True

    def _keyed(self, kind: str, value: str) -> str:
        return hmac.new(self._key, f"{kind}\n{value}".encode(), hashlib.sha256).hexdigest()
