import inspect
from datetime import UTC, datetime

import pytest

import targeting.storage.keys
from market.errors import AuthError, ConfigError
from targeting.storage.keys import ROLES, ApiKey, ForbiddenError, KeyRing, Principal, make_key

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY, RECORD = make_key("acme", "owner", NOW, bytes(range(32)))


class KeyTable:
    """Keys by digest; `down` plays a database that does not answer."""

    def __init__(self, *records: ApiKey) -> None:
        self.records = {record.digest: record for record in records}
        self.down = False

    def find(self, digest: str) -> ApiKey | None:
        if self.down:
            raise TimeoutError
        return self.records.get(digest)


def test_a_stored_key_says_who_is_calling() -> None:
    ring = KeyRing(KeyTable(RECORD).find)
    assert ring.authenticate(f"Bearer {KEY}") == Principal(RECORD.key_id, "acme", "owner")
    assert ring.authenticate(f"bearer {KEY}").account_id == "acme"


def test_the_record_does_not_hold_the_key() -> None:
    assert KEY.startswith("hg_")
    assert KEY not in repr(RECORD)
    assert RECORD.digest not in KEY


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        KEY,
        f"Basic {KEY}",
        "Bearer",
        "Bearer ",
        f"Bearer {KEY}x",
        f"Bearer {KEY} ",
        f"Bearer {KEY[:-1]}",
        "Bearer hg_" + "A" * 43,
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer " + "x" * 100_000,
        "Bearer \ud800",
    ],
)
def test_anything_else_is_nobody(header: str | None) -> None:
    with pytest.raises(AuthError) as caught:
        KeyRing(KeyTable(RECORD).find).authenticate(header)
    assert caught.value.status == 401
    assert KEY not in str(caught.value)


def test_a_known_key_outlives_a_database_that_does_not_answer() -> None:
    table = KeyTable(RECORD)
    ring = KeyRing(table.find, (TimeoutError,))
    ring.authenticate(f"Bearer {KEY}")
    table.down = True
    assert ring.authenticate(f"Bearer {KEY}").account_id == "acme"
    with pytest.raises(TimeoutError):
        KeyRing(table.find, (TimeoutError,)).authenticate(f"Bearer {KEY}")


def test_a_removed_key_stops_at_once_and_is_not_remembered() -> None:
    table = KeyTable(RECORD)
    ring = KeyRing(table.find, (TimeoutError,))
    ring.authenticate(f"Bearer {KEY}")
    table.records.clear()
    with pytest.raises(AuthError):
        ring.authenticate(f"Bearer {KEY}")
    table.down = True
    with pytest.raises(TimeoutError):
        ring.authenticate(f"Bearer {KEY}")


def test_account_roles_see_their_account_and_marketplace_roles_all() -> None:
    scopes = {role: Principal("key_1", "acme", role).scope for role in ROLES}
    assert scopes == {"owner": "acme", "manager": "acme", "analyst": "acme", "platform": None, "auditor": None}


def test_a_role_that_may_not_is_403() -> None:
    with pytest.raises(ForbiddenError, match="analyst") as caught:
        Principal("key_1", "acme", "analyst").require(("owner", "manager"))
    assert caught.value.status == 403


@pytest.mark.parametrize(("account", "role"), [("acme", "admin"), ("", "owner"), ("a b", "owner"), ("ä", "owner")])
def test_bad_account_or_role_is_a_user_error(account: str, role: str) -> None:
    with pytest.raises(ConfigError):
        make_key(account, role, NOW, bytes(32))


def test_digests_are_compared_in_constant_time() -> None:
    source = inspect.getsource(targeting.storage.keys)
    assert "hmac.compare_digest(found.digest, digest)" in source
    assert "digest ==" not in source
