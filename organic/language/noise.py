"""How titles look in postings: what employers write around the name of an occupation.

Everything is made up of the lists below (ours, no corpus); a noisy title keeps the words of the name.
"""

from __future__ import annotations

import numpy as np

LEVELS = (
    "Senior",
    "Junior",
    "Lead",
    "Trainee",
    "Graduate",
    "Assistant",
    "Principal",
    "Experienced",
    "Interim",
    "Chief",
)
CONTRACTS = (
    "Full Time",
    "Part Time",
    "Permanent",
    "Contract",
    "Temporary",
    "Freelance",
    "Night Shift",
    "Weekends",
    "12 Month FTC",
    "Remote",
    "Hybrid",
    "Work From Home",
    "Internship",
    "Apprenticeship",
    "Seasonal",
    "Maternity Cover",
)
PLACES = (
    "London",
    "Manchester",
    "Dublin",
    "Berlin",
    "Amsterdam",
    "New York, NY",
    "Chicago",
    "Austin, TX",
    "Leeds",
    "Boston",
    "Toronto",
    "Sydney",
    "Brussels",
    "Paris",
    "South West",
    "City Centre",
    "UK",
    "EMEA",
    "Nationwide",
)
CALLS = ("Urgent", "Immediate Start", "Now Hiring", "Wanted", "Required", "New", "Opportunity", "m/f/d", "Ref 20419")
PAY = ("£25k", "$18/hr", "up to £45,000", "€50.000", "DOE", "+ Benefits", "OTE 60K", "competitive salary")
FIELDS = (
    "Retail",
    "NHS",
    "Healthcare",
    "Finance",
    "IT",
    "Manufacturing",
    "Hospitality",
    "Construction",
    "Start-up",
    "Agency",
    "Public Sector",
    "Logistics",
    "Energy",
    "Automotive",
)
ENDINGS = (" - {}", " ({})", ", {}", " | {}", " / {}", " – {}", ": {}")
TAILS = (CONTRACTS, PLACES, PLACES, CALLS, PAY, FIELDS)


def noisy(title: str, rng: np.random.Generator) -> str:
    """The title as a posting might show it; always different from the title itself."""
    words = title
    if rng.random() < 0.35:
        words = f"{_pick(LEVELS, rng)} {words}"
    if rng.random() < 0.1:
        words = f"{_pick(CALLS, rng)}: {words}"
    for _ in range(int(rng.integers(0, 3))):
        words += _pick(ENDINGS, rng).format(_pick(TAILS[rng.integers(len(TAILS))], rng))
    if rng.random() < 0.1:
        words = _misspelt(words, rng)
    return words if words != title else title + _pick(ENDINGS, rng).format(_pick(PLACES, rng))


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


def _misspelt(text: str, rng: np.random.Generator) -> str:
    """Two neighbouring letters swapped, or one left out."""
    if len(text) < 6:
        return text
    at = int(rng.integers(1, len(text) - 2))
    if rng.random() < 0.5:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :]
