"""Which rows may be found: an AND of OR-groups of terms, and terms that must be absent.

A term is a non-empty `field=value`; the value may hold further `=` signs and any other character.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from market.errors import IndexInputError


@dataclass(frozen=True)
class Clause:
    """(g1t1 OR g1t2 OR ...) AND (g2t1 OR ...) AND ... AND NOT (n1 OR n2 OR ...).

    all_of   groups of terms; no groups match every row, an empty group matches none
    none_of  terms a row must not have

    A term no row has matches nothing; a repeated term counts once. Both fields are tuples after construction, so a
    clause is hashable. A malformed term raises IndexInputError.
    """

    all_of: Sequence[Sequence[str]] = ()
    none_of: Sequence[str] = ()

    def __post_init__(self) -> None:
        if isinstance(self.all_of, str) or not isinstance(self.all_of, Iterable):
            raise IndexInputError(f"all_of is {self.all_of!r}; expected groups of terms: [['field=value', ...], ...]")
        groups = tuple(distinct_terms(group, f"all_of[{g}]") for g, group in enumerate(self.all_of))
        object.__setattr__(self, "all_of", groups)
        object.__setattr__(self, "none_of", distinct_terms(self.none_of, "none_of"))


def distinct_terms(terms: Sequence[str], place: str) -> tuple[str, ...]:
    """The terms in order of first appearance, each checked; `place` says in an error where they stood."""
    if isinstance(terms, str) or not isinstance(terms, Iterable):
        raise IndexInputError(f"{place} is {terms!r}; expected a list of terms: ['field=value', ...]")
    return tuple(dict.fromkeys(checked_term(term, place) for term in terms))


def checked_term(term: object, place: str) -> str:
    """`term` itself, if it is a string `field=value` with neither side empty, of characters that UTF-8 has."""
    if isinstance(term, str):
        field, _, value = term.partition("=")
        if field and value and (term.isascii() or _is_text(term)):
            return term
    raise IndexInputError(f"{place} holds {term!r}; expected a term 'field=value' with neither side empty")


def _is_text(term: str) -> bool:
    """Whether the string can be written down: half of a surrogate pair can not."""
    try:
        term.encode()
    except UnicodeEncodeError:
        return False
    return True
