"""Signed tracking tokens: what a promoted item was served for, so that events never carry prices.

    token = base64url(JSON payload) . base64url(HMAC-SHA256(secret, payload))

Expiry bounds billing only. A token with another signature, or another shape, is refused with AuthError. Tokens of every
version that was ever handed out stay valid: applications and hires refer to them for months.

    1   campaign_id .. nonce
    2   and policy, propensity
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from market.clock import utc
from market.errors import AuthError

LIFE = timedelta(minutes=30)
VERSION = 2
SINCE = {"policy": 2, "propensity": 2}  # fields that older versions lack


@dataclass(frozen=True)
class Token:
    """price_micros is what a valid click posts at most; day is the account's calendar day of serving.

    model: version of the artefacts that p_click comes from; policy: what filled the slot, and propensity the chance it
    had to put this job there (None in tokens from before it was known).
    """

    campaign_id: str
    job_id: str
    price_micros: int
    currency: str
    position: int
    day: str
    model: str
    p_click: float
    issued_at: int  # seconds since 1970, UTC
    expires_at: int
    nonce: str
    policy: str = ""
    propensity: float | None = None
    version: int = VERSION


_FIELDS = {
    version: frozenset(field.name for field in fields(Token) if SINCE.get(field.name, 1) <= version)
    for version in range(1, VERSION + 1)
}


def sign(token: Token, secret: bytes) -> str:
    said = {name: value for name, value in vars(token).items() if name in _fields(token.version)}
    return _signed(json.dumps(said, sort_keys=True, separators=(",", ":")).encode(), secret)


def verify(text: str, secret: bytes) -> Token:
    """The token, whatever its age; AuthError when it was not signed with this secret."""
    try:
        payload = text.partition(".")[0].encode()
        raw = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
        # The whole text is compared: base64 skips foreign characters, and a token has one spelling only.
        if not hmac.compare_digest(text.encode(), _signed(raw, secret).encode()):
            raise AuthError("tracking_token: the signature does not fit; send the token as it was served")
        content = json.loads(raw)
        if content.keys() != _fields(content["version"]):
            raise ValueError("not the fields of its version")
        return Token(**content)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
        if isinstance(error, AuthError):
            raise
        raise AuthError("tracking_token: not a token of this service; send it as it was served") from None


def token_id(text: str) -> str:
    """What the ledger knows a token by: hex, 64 characters. The token itself is not stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def expiry(issued: datetime) -> datetime:
    return utc(issued) + LIFE


def _fields(version: object) -> frozenset[str]:
    """What a token of this version says."""
    if type(version) is not int or version not in _FIELDS:
        raise ValueError("unknown version")
    return _FIELDS[version]


def _signed(payload: bytes, secret: bytes) -> str:
    return f"{_text(payload)}.{_text(hmac.new(secret, payload, hashlib.sha256).digest())}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
