"""Money: whole micros (millionths) of one ISO 4217 currency, never a float.

Arithmetic stays within one currency and within +-10^18 micros, so that sums of a few amounts still fit into int64.
Minor units (cents, yen, fils) and decimal text come in exactly or are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from market.errors import MoneyError

MAX_MICROS = 10**18
MICROS_DECIMALS = 6

# ISO 4217 minor units; two decimals wherever nothing else is said.
MINOR_DECIMALS: Mapping[str, int] = {
    currency: decimals
    for decimals, currencies in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for currency in currencies.split()
}

_CURRENCY = re.compile(r"[A-Z]{3}")
_DECIMAL = re.compile(r"(-?)(0|[1-9][0-9]{0,18})(?:\.([0-9]{1,18}))?")


def minor_decimals(currency: str) -> int:
    """Decimals of the currency's minor unit: 2 for EUR, 0 for JPY, 3 for KWD."""
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise MoneyError(f"currency {currency!r}; expected three capital letters such as EUR")
    return MINOR_DECIMALS.get(currency, 2)


@dataclass(frozen=True)
class Money:
    """An amount that may be negative. Raises MoneyError for anything but an int within +-10^18 micros."""

    amount_micros: int
    currency: str

    def __post_init__(self) -> None:
        minor_decimals(self.currency)
        _check_whole("amount_micros", self.amount_micros)
        if abs(self.amount_micros) > MAX_MICROS:
            raise MoneyError(
                f"{self.amount_micros} micros {self.currency}; amounts go up to 10^18 micros (a million million)"
            )

    @classmethod
    def from_minor(cls, units: int, currency: str) -> Self:
        """From cents, yen, fils: exact."""
        _check_whole("minor units", units)
        return cls(units * _micros_per_minor(currency), currency)

    def to_minor(self) -> int:
        """In cents, yen, fils; refused where a fraction of the minor unit would be lost."""
        units, rest = divmod(self.amount_micros, _micros_per_minor(self.currency))
        if rest:
            raise MoneyError(f"{self.format()} {self.currency} is no whole number of minor units; keep it in micros")
        return units

    @classmethod
    def parse(cls, text: str, currency: str) -> Self:
        """From decimal text such as "12.50": ASCII digits, an optional leading minus, at most six decimals.

        Refuses exponents, separators, spaces, a plus sign, leading zeros, and a fraction of a micro.
        """
        minor_decimals(currency)
        match = _DECIMAL.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise MoneyError(f"amount {text!r}; expected a decimal number such as 12.50")
        sign, whole, decimals = match.group(1), match.group(2), match.group(3) or ""
        if len(decimals) > MICROS_DECIMALS:
            raise MoneyError(f"amount {text!r} has {len(decimals)} decimals; expected at most {MICROS_DECIMALS}")
        micros = int(whole) * 10**MICROS_DECIMALS + int(decimals.ljust(MICROS_DECIMALS, "0"))
        return cls(-micros if sign else micros, currency)

    @classmethod
    def parse_minor(cls, text: str, currency: str) -> Self:
        """As `parse`, and refused unless it is a whole number of minor units: no 12.345 EUR, no 1.5 JPY."""
        money = cls.parse(text, currency)
        if money.amount_micros % _micros_per_minor(currency):
            raise MoneyError(f"amount {text!r}; {currency} has {minor_decimals(currency)} decimals")
        return money

    def format(self) -> str:
        """Decimal text with the currency's decimals, more where they are needed; `parse` reads back the same amount."""
        whole, rest = divmod(abs(self.amount_micros), 10**MICROS_DECIMALS)
        decimals = f"{rest:0{MICROS_DECIMALS}d}"
        kept = max(minor_decimals(self.currency), len(decimals.rstrip("0")))
        sign = "-" if self.amount_micros < 0 else ""
        return f"{sign}{whole}.{decimals[:kept]}" if kept else f"{sign}{whole}"

    def __str__(self) -> str:
        return f"{self.format()} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_micros + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_micros - self._same(other), self.currency)

    def _same(self, other: object) -> int:
        if not isinstance(other, Money):
            raise MoneyError(f"money and {type(other).__name__} do not add up; give Money in {self.currency}")
        if other.currency != self.currency:
            raise MoneyError(f"{self.currency} and {other.currency} do not add up; convert one of them first")
        return other.amount_micros


def _micros_per_minor(currency: str) -> int:
    return int(10 ** (MICROS_DECIMALS - minor_decimals(currency)))


def _check_whole(what: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise MoneyError(f"{what} is {number!r}, a {type(number).__name__}; expected an int")
