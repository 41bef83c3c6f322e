"""Signed tracking tokens: what a promoted item was served for, so that events never carry prices.

    token = base64url(JSON payload) . base64url(HMAC-SHA256(secret, payload))

Expiry bounds billing only. A token with another signature, or another shape, is refused with AuthError.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from market.clock import utc
from market.errors import AuthError

LIFE = timedelta(minutes=30)
VERSION = 1


@dataclass(frozen=True)
class Token:
    """price_micros is what a valid click posts at most; day is the account's calendar day of serving."""

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
    version: int = VERSION


def sign(token: Token, secret: bytes) -> str:
    return _signed(json.dumps(asdict(token), sort_keys=True, separators=(",", ":")).encode(), secret)


def verify(text: str, secret: bytes) -> Token:
    """The token, whatever its age; AuthError when it was not signed with this secret."""
    try:
        payload = text.partition(".")[0].encode()
        raw = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
        # The whole text is compared: base64 skips foreign characters, and a token has one spelling only.
        if not hmac.compare_digest(text.encode(), _signed(raw, secret).encode()):
            raise AuthError("tracking_token: the signature does not fit; send the token as it was served")
        return Token(**json.loads(raw))
    except (ValueError, TypeError, binascii.Error) as error:
        if isinstance(error, AuthError):
            raise
        raise AuthError("tracking_token: not a token of this service; send it as it was served") from None


def token_id(text: str) -> str:
    """What the ledger knows a token by: hex, 64 characters. The token itself is not stored."""
    return hashlib.sha256(text.encode()).hexdigest()


def expiry(issued: datetime) -> datetime:
    return utc(issued) + LIFE


def _signed(payload: bytes, secret: bytes) -> str:
    return f"{_text(payload)}.{_text(hmac.new(secret, payload, hashlib.sha256).digest())}"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
