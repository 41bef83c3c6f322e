"""What nobody may target, filter or learn by, whatever it is called; the list is in force at the edge of the service.

Kinds after the prohibited categories of large job sites and of EU and US law on job advertisements: sex, race, age,
religion, family, health, citizenship, veterans, convictions, and small areas that stand in for them. Area codes
(`geo`) are those of commuting areas: a platform that uploads postcodes as `geo` goes round this, and no shape tells the
two apart, so fields are judged by their names.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from market.errors import UserError
from market.tables import PROTECTED

# Single words, or two written as one: birth_year, birthYear and birthyear are all found.
KINDS = {
    "sex": "gendered genders male female men women man woman transgender nonbinary pronoun pronouns sexual sexuality "
    "orientation lgbt lgbtq",
    "race": "races racial ethnicities hispanic latino latina ancestry caste tribe indigenous skincolour skincolor",
    "age": "ages aged agegroup agerange elderly dateofbirth birthplace birthyear",
    "religion": "religion religious religions faith church creed belief beliefs",
    "family": "family marital married marriage divorced spouse parent parents parental parenthood children child kids "
    "pregnancy pregnant maternity paternity caregiver",
    "health": "disability disabilities disabled handicap health medical illness disease genetic genetics hiv",
    "citizenship": "citizenship citizen nationality nationalities nationalorigin immigrant immigration migrant refugee "
    "visa",
    "service and convictions": "veteran veterans military criminal conviction convictions arrest arrests",
    "opinion": "political politics tradeunion unionmember",
    "small areas": "postcode postcodes postalcode postal zip zipcode zipcodes plz neighbourhood neighborhood",
}
WORDS = PROTECTED | frozenset(word for words in KINDS.values() for word in words.split())


class ProtectedFieldError(UserError):
    """A filter or feature names a protected attribute."""

    code = "protected_attribute"


def speaks_of_a_protected_attribute(name: str) -> bool:
    """Whether a field name holds one of the words, in whatever spelling: sex, birthYear, POST-CODE, ｓｅｘ."""
    plain = unicodedata.normalize("NFKC", name)
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", plain).casefold()
    words = [word for word in re.split(r"[^a-z]+", parted) if word]
    pairs = [a + b for a, b in pairwise(words)]
    return bool(WORDS & {*words, *pairs, "".join(words)})


def refuse_protected(field: str) -> str:
    """The field name as it is; ProtectedFieldError when it may not be targeted by."""
    if speaks_of_a_protected_attribute(field):
        raise ProtectedFieldError(
            f"{field[:60]!r} is a protected attribute or stands in for one; nobody may be targeted or filtered by it. "
            "Take the term out"
        )
    return field
