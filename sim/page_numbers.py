"""How numbers are written on the report's page: shares, points, money, intervals; a dash where nothing is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.page_frame import MICROS

NONE = "–"


def with_interval(value: float | None, interval: Sequence[float] | None, form: Callable[[float], str]) -> str:
    if not _known(value):
        return NONE
    if not interval:
        return form(value)
    return f"{form(value)}<small>{form(interval[0])} to {form(interval[1])}</small>"


def _known(value: float | None) -> bool:
    return value is not None and bool(np.isfinite(value))


def percent(value: float | None, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %" if _known(value) else NONE


def signed_percent(value: float | None) -> str:
    return f"{100 * value:+.1f} %" if _known(value) else NONE


def points(value: float) -> str:
    return f"{100 * value:+.1f}"


def amount(micros: float | None) -> str:
    """Currency units; a sum too small for two digits keeps all six."""
    if not _known(micros):
        return NONE
    units = micros / MICROS
    return f"{units:,.2f}" if units == 0 or abs(units) >= 0.005 else f"{units:.6f}"


def money(micros: float, currency: str) -> str:
    return f"{amount(micros)} {currency}"


def cost_per_qualified(point: dict[str, float]) -> str:
    """Cost per qualified application of a point; none where there was no such application."""
    return amount(point["cost_per_qualified_application_micros"] if point["qualified_applications"] > 0 else None)


def count(value: float | None) -> str:
    return f"{value:,.0f}" if _known(value) else NONE


def factor_of(ratio: float) -> str:
    return f"×{ratio:.2f}"


def factor(log_ratio: float | None) -> str:
    return f"{log_ratio:+.3f}<small>×{np.exp(log_ratio):.3f}</small>" if _known(log_ratio) else NONE
