"""What a deployment decides about the service, one frozen section per concern; `hiregraph.settings` fills it in."""

from __future__ import annotations

from dataclasses import dataclass, field

from targeting.storage.journal import BillingConfig


@dataclass(frozen=True)
class ServiceConfig:
    """max_body_bytes: a larger body is refused, counted as it arrives; docs: serve /docs."""

    max_body_bytes: int = 10_000_000
    docs: bool = True
    billing: BillingConfig = field(default_factory=BillingConfig)
