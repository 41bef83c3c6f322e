"""API keys: who is calling, for which account, and what that role may do.

A key is `hg_` and 32 random bytes. The store keeps its SHA-256 only; a key has 256 bits of entropy, so a slow password
hash would add nothing but latency. The key itself is shown once, when it is made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from market.errors import AuthError, ConfigError

Role = Literal["owner", "manager", "analyst", "platform", "auditor"]

ROLES: tuple[Role, ...] = get_args(Role)
MARKETPLACE_ROLES: frozenset[Role] = frozenset({"platform", "auditor"})
ACCOUNT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SHAPE = re.compile(r"hg_[A-Za-z0-9_-]{43}")
_REMEMBERED = 10_000


class ForbiddenError(AuthError):
    """The key is good, its role may not do this."""

    code = "forbidden"
    status = 403


@dataclass(frozen=True)
class ApiKey:
    """What the store keeps of a key: never the key itself."""

    key_id: str
    digest: str
    account_id: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class Principal:
    """Who is calling. scope is the account whose objects exist for the caller; None: the whole marketplace."""

    key_id: str
    account_id: str
    role: Role

    @property
    def scope(self) -> str | None:
        return None if self.role in MARKETPLACE_ROLES else self.account_id

    def require(self, roles: Collection[Role]) -> None:
        if self.role not in roles:
            raise ForbiddenError(f"the role {self.role} may not do this; it takes {' or '.join(sorted(roles))}")


def digest_of_key(key: str) -> str:
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def key_id_of(key: str) -> str:
    """The name of a key, by which logs and people speak of it; says nothing about the key."""
    return f"key_{digest_of_key(key)[:16]}"


def make_key(account_id: str, role: str, now: datetime, entropy: bytes) -> tuple[str, ApiKey]:
    """(the key to hand out, the record to store) from 32 random bytes; ConfigError names a bad account or role."""
    if not ACCOUNT_ID.fullmatch(account_id):
        raise ConfigError(f"account {account_id!r}: expected 1 to 128 letters, digits, '.', '_' or '-'")
    if role not in ROLES:
        raise ConfigError(f"role {role!r} does not exist; choose one of {', '.join(ROLES)}")
    if len(entropy) != 32:
        raise ValueError(f"a key takes 32 bytes of entropy, got {len(entropy)}")
    key = "hg_" + base64.urlsafe_b64encode(entropy).rstrip(b"=").decode()
    return key, ApiKey(key_id_of(key), digest_of_key(key), account_id, role, now)


@dataclass
class KeyRing:
    """Checks keys against the store, and remembers good ones for the time the store does not answer.

    find(digest) asks the store and returns None for an unknown digest. A revoked key stops at once while the store
    answers; while it does not, a key that was good before stays good, so that recommendations go on.
    """

    find: Callable[[str], ApiKey | None]
    store_failures: tuple[type[Exception], ...] = ()
    _known: OrderedDict[str, ApiKey] = field(default_factory=OrderedDict, repr=False)

    def authenticate(self, authorization: str | None) -> Principal:
        """The caller behind an `Authorization` header; AuthError when there is none."""
        if not authorization:
            raise AuthError("an API key is required; send the header Authorization: Bearer KEY")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not _SHAPE.fullmatch(key):
            raise AuthError("this is not an API key of the marketplace; send the header Authorization: Bearer KEY")
        digest = digest_of_key(key)
        found = self._find(digest)
        if found is None or not hmac.compare_digest(found.digest, digest):
            raise AuthError("this API key is unknown or has been revoked; create one with `hiregraph keys create`")
        return Principal(found.key_id, found.account_id, found.role)

    def _find(self, digest: str) -> ApiKey | None:
        try:
            found = self.find(digest)
        except self.store_failures:
            if digest in self._known:
                return self._known[digest]
            raise
        self._known.pop(digest, None)
        if found is not None:
            self._known[digest] = found
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found
