"""What a deployment decides about the service, one frozen section per concern; `hiregraph.settings` fills it in."""

from __future__ import annotations

from dataclasses import dataclass, field

from targeting.forecast import ForecastConfig
from targeting.http.limits import LimitsConfig
from targeting.pacing.controller import PacingConfig
from targeting.profile_log import PrivacyConfig
from targeting.serving import ServingConfig
from targeting.storage.invalid_clicks import InvalidClickConfig
from targeting.storage.journal import BillingConfig
from targeting.traffic import TrafficConfig


@dataclass(frozen=True)
class ServiceConfig:
    """max_body_bytes: a larger body is refused, counted as it arrives; docs: serve /docs."""

    max_body_bytes: int = 10_000_000
    docs: bool = True
    billing: BillingConfig = field(default_factory=BillingConfig)
    invalid_clicks: InvalidClickConfig = field(default_factory=InvalidClickConfig)
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    serving: ServingConfig = field(default_factory=ServingConfig)
    traffic: TrafficConfig = field(default_factory=TrafficConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    pacing: PacingConfig = field(default_factory=PacingConfig)
