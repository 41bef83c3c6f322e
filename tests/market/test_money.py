import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import MoneyError
from market.money import MAX_MICROS, Money, minor_decimals

currencies = st.sampled_from(["EUR", "USD", "JPY", "KRW", "KWD", "BHD", "TND", "OMR", "JOD"])
amounts = st.integers(-MAX_MICROS, MAX_MICROS)


@settings(derandomize=True)
@given(amounts, currencies)
def test_parse_reads_back_what_format_wrote(micros: int, currency: str) -> None:
    money = Money(micros, currency)
    assert Money.parse(money.format(), currency) == money


@settings(derandomize=True)
@given(st.integers(-(10**11), 10**11), currencies)
def test_minor_units_come_back_exactly(units: int, currency: str) -> None:
    assert Money.from_minor(units, currency).to_minor() == units


@pytest.mark.parametrize(
    ("currency", "decimals", "micros"),
    [("EUR", 2, 10_000), ("JPY", 0, 1_000_000), ("KWD", 3, 1_000), ("XXX", 2, 10_000)],
)
def test_a_minor_unit_is_worth_what_iso_4217_says(currency: str, decimals: int, micros: int) -> None:
    assert minor_decimals(currency) == decimals
    assert Money.from_minor(1, currency) == Money(micros, currency)


@pytest.mark.parametrize(
    ("text", "currency", "micros"),
    [
        ("12.50", "EUR", 12_500_000),
        ("12.5", "EUR", 12_500_000),
        ("0", "EUR", 0),
        ("-0.000001", "EUR", -1),
        ("0.125", "EUR", 125_000),
        ("1000000000000", "JPY", MAX_MICROS),
    ],
)
def test_decimal_text_is_read_exactly(text: str, currency: str, micros: int) -> None:
    assert Money.parse(text, currency) == Money(micros, currency)


@pytest.mark.parametrize(
    "text",
    [
        *["", " 1", "1 ", "+1", "1.", ".5", "01", "--1", "1,50", "1_000", "1e3", "1E3", "NaN", "nan", "inf", "0x1"],
        *["١٢", "１２.50", "1.5\n", "1.2.3", "0.0000001", "1000000000000.000001", "9" * 30],
    ],
)
def test_text_that_is_no_exact_amount_is_refused(text: str) -> None:
    with pytest.raises(MoneyError):
        Money.parse(text, "EUR")


def test_text_that_is_no_string_is_refused() -> None:
    with pytest.raises(MoneyError, match="expected a decimal number"):
        Money.parse(12.5, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "currency"), [("12.345", "EUR"), ("1.5", "JPY"), ("1.0001", "KWD")])
def test_a_fraction_of_a_minor_unit_is_refused_where_minor_units_are_asked_for(text: str, currency: str) -> None:
    with pytest.raises(MoneyError, match=f"{currency} has {minor_decimals(currency)} decimals"):
        Money.parse_minor(text, currency)
    with pytest.raises(MoneyError, match="minor units"):
        Money.parse(text, currency).to_minor()


def test_whole_minor_units_are_read_where_they_are_asked_for() -> None:
    assert Money.parse_minor("12.50", "EUR").to_minor() == 1250
    assert Money.parse_minor("7", "JPY").to_minor() == 7
    assert Money.parse_minor("1.500", "KWD").to_minor() == 1500


@pytest.mark.parametrize("amount", [True, 1.0, "1", None, 1.5])
def test_an_amount_that_is_no_int_is_refused(amount: object) -> None:
    with pytest.raises(MoneyError, match="expected an int"):
        Money(amount, "EUR")  # type: ignore[arg-type]
    with pytest.raises(MoneyError, match="expected an int"):
        Money.from_minor(amount, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["eur", "EURO", "", "E1R", "ÄÖÜ", "EUR\n", None, 978])
def test_a_currency_that_is_no_iso_code_is_refused(currency: object) -> None:
    with pytest.raises(MoneyError, match="three capital letters"):
        Money(1, currency)  # type: ignore[arg-type]


def test_amounts_add_up_within_one_currency() -> None:
    assert Money(3, "EUR") + Money(4, "EUR") == Money(7, "EUR")
    assert Money(3, "EUR") - Money(4, "EUR") == Money(-1, "EUR")


def test_currencies_do_not_mix() -> None:
    with pytest.raises(MoneyError, match="EUR and USD"):
        Money(3, "EUR") + Money(4, "USD")
    with pytest.raises(MoneyError, match="EUR and USD"):
        Money(3, "EUR") - Money(4, "USD")
    with pytest.raises(MoneyError, match="int"):
        Money(3, "EUR") + 4  # type: ignore[operator]


def test_nothing_goes_beyond_the_largest_amount() -> None:
    largest = Money(MAX_MICROS, "EUR")
    with pytest.raises(MoneyError, match="10\\^18"):
        largest + Money(1, "EUR")
    with pytest.raises(MoneyError, match="10\\^18"):
        Money(-MAX_MICROS, "EUR") - Money(1, "EUR")
    with pytest.raises(MoneyError, match="10\\^18"):
        Money.from_minor(MAX_MICROS, "EUR")


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [(12_500_000, "EUR", "12.50"), (7_000_000, "JPY", "7"), (1_500_000, "KWD", "1.500"), (-1, "EUR", "-0.000001")],
)
def test_format_shows_the_decimals_of_the_currency_and_more_where_needed(micros: int, currency: str, text: str) -> None:
    assert Money(micros, currency).format() == text
    assert str(Money(micros, currency)) == f"{text} {currency}"
