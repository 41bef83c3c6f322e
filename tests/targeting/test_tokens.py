"""Tokens: what was signed comes back, anything else is refused, and every token has one spelling."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import AuthError
from targeting.tokens import LIFE, Token, expiry, sign, verify

SECRET = b"a secret of thirty-two bytes ...."
TOKEN = Token(
    campaign_id="cmp_1",
    job_id="j1",
    price_micros=800_000,
    currency="EUR",
    position=1,
    day="2026-03-01",
    model="hire-model-1",
    p_click=0.025,
    issued_at=1_772_366_400,
    expires_at=1_772_368_200,
    nonce="n1",
    policy="second-price-1",
    propensity=0.98,
)


# Handed out before tokens had a policy and a propensity; TOKEN without those two.
OF_VERSION_1 = (
    "eyJjYW1wYWlnbl9pZCI6ImNtcF8xIiwiY3VycmVuY3kiOiJFVVIiLCJkYXkiOiIyMDI2LTAzLTAxIiwiZXhwaXJlc19hdCI6MTc3MjM2ODIwMCwi"
    "aXNzdWVkX2F0IjoxNzcyMzY2NDAwLCJqb2JfaWQiOiJqMSIsIm1vZGVsIjoiaGlyZS1tb2RlbC0xIiwibm9uY2UiOiJuMSIsInBfY2xpY2siOjAu"
    "MDI1LCJwb3NpdGlvbiI6MSwicHJpY2VfbWljcm9zIjo4MDAwMDAsInZlcnNpb24iOjF9.GY8UYHa-3l59w8Htt8xZRPfKgvZXHePsU68Sn8BP-uo"
)


def signed_anyhow(payload: bytes) -> str:
    """A text with a good signature over any payload."""
    parts = payload, hmac.new(SECRET, payload, hashlib.sha256).digest()
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_what_was_signed_comes_back() -> None:
    assert verify(sign(TOKEN, SECRET), SECRET) == TOKEN


@given(st.integers(0, 2**63 - 1), st.text(max_size=20), st.floats(0, 1))
def test_any_token_survives_the_round_trip(price: int, nonce: str, p_click: float) -> None:
    token = replace(TOKEN, price_micros=price, nonce=nonce, p_click=p_click)
    assert verify(sign(token, SECRET), SECRET) == token


def test_the_same_token_has_the_same_text_and_another_nonce_another() -> None:
    assert sign(TOKEN, SECRET) == sign(replace(TOKEN), SECRET)
    assert sign(TOKEN, SECRET) != sign(replace(TOKEN, nonce="n2"), SECRET)


def test_another_secret_is_refused() -> None:
    with pytest.raises(AuthError, match="signature"):
        verify(sign(TOKEN, b"another secret"), SECRET)


def test_a_cheaper_price_under_the_old_signature_is_refused() -> None:
    cheaper = json.dumps(asdict(replace(TOKEN, price_micros=1)), sort_keys=True, separators=(",", ":")).encode()
    forged = base64.urlsafe_b64encode(cheaper).decode().rstrip("=") + "." + sign(TOKEN, SECRET).split(".")[1]
    with pytest.raises(AuthError, match="signature"):
        verify(forged, SECRET)


def test_no_character_of_a_token_can_be_changed_added_or_left_out() -> None:
    text = sign(TOKEN, SECRET)
    for at in range(len(text)):
        for other in ("A", "b", "!", " ", "=", "."):
            changed = text[:at] + other + text[at + 1 :]
            for wrong in (changed, text[:at] + other + text[at:], text[:at] + text[at + 1 :]):
                if wrong != text:
                    with pytest.raises(AuthError):
                        verify(wrong, SECRET)


@given(st.text(max_size=80))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(AuthError):
        verify(text, SECRET)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"17", b"{}", b'{"campaign_id": "cmp_1"}', b"\xff", b"{"])
def test_a_well_signed_payload_of_another_shape_is_refused(payload: bytes) -> None:
    with pytest.raises(AuthError, match="not a token"):
        verify(signed_anyhow(payload), SECRET)


def test_a_token_expires_half_an_hour_after_serving_and_is_still_read_then() -> None:
    served = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert expiry(served) - served == LIFE == timedelta(minutes=30)
    old = replace(TOKEN, issued_at=0, expires_at=1)
    assert verify(sign(old, SECRET), SECRET) == old  # expiry bounds billing, not reading


def test_a_token_of_the_first_version_is_still_read_and_signs_to_the_same_text() -> None:
    found = verify(OF_VERSION_1, SECRET)
    assert found == replace(TOKEN, policy="", propensity=None, version=1)
    assert sign(found, SECRET) == OF_VERSION_1


@pytest.mark.parametrize("version", [0, 3, -1, "1", None, 1.5, True])
def test_a_token_of_another_version_is_refused(version: object) -> None:
    payload = json.dumps(asdict(TOKEN) | {"version": version}).encode()
    with pytest.raises(AuthError, match="not a token"):
        verify(signed_anyhow(payload), SECRET)


def test_a_token_says_exactly_what_its_version_says() -> None:
    content = asdict(TOKEN)
    for wrong in (content | {"version": 1}, {name: content[name] for name in content if name != "policy"}):
        with pytest.raises(AuthError, match="not a token"):
            verify(signed_anyhow(json.dumps(wrong).encode()), SECRET)
