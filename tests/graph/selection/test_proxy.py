"""Early proxies: which open applications stand in for hires, at what weight, beside the hires themselves."""

from __future__ import annotations

import numpy as np
import pytest

from graph.hires import confirm
from graph.history import examples_from_hires
from graph.selection.proxy import ProxyConfig, proxy_table, with_proxies
from market.errors import ConfigError
from market.qualification import Qualification
from tests.graph.toy_logs import TAXONOMY, application, day, job, logs, position

TODAY = day(300)
JOBS = [job(f"{employer}-{code}") for employer in ("acme", "zeta") for code in ("111", "112", "121", "211")]
HIRE = application("hire", "acme-111", 10)
POSITIONS = [
    position("zeta", "112", -100),
    position("acme", "111", 30),
    position("zeta", "111", -50, seeker="bob"),
]


def site(*applications, positions=POSITIONS):
    tables = logs(applications=[HIRE, *applications], positions=positions, jobs=JOBS)
    return tables, confirm(tables, TODAY)


def proxies(*applications, grade=0.0, weight=0.3, **more):
    """(seeker, occupation) of every proxy."""
    table = proxy_table(*site(*applications, **more), Qualification(), ProxyConfig(weight, grade))
    return list(zip(table["seeker_id"].to_pylist(), table["occupation"].to_pylist(), strict=True))


def test_an_open_application_is_a_proxy_and_one_with_an_outcome_is_not():
    late, refused = application("late", "zeta-112", 250, "bob"), application("refused", "zeta-112", 50, "bob")
    assert proxies(late) == [("bob", "112")]
    assert proxies(refused) == []


@pytest.mark.parametrize(
    ("grade", "kept"),
    [(0.0, ["111", "112", "121", "211"]), (0.1, ["111", "112", "121"]), (0.35, ["111", "112"]), (1.0, ["111"])],
)
def test_the_grade_asked_for_is_that_of_the_present_occupation(grade, kept):
    """Bob is a 111: the same occupation, the same section (112), the same major group (121), nothing in common."""
    applied = [application(code, f"acme-{code}", 250, "bob") for code in ("111", "112", "121", "211")]
    assert [occupation for _, occupation in proxies(*applied, grade=grade)] == kept


def test_twenty_applications_to_one_kind_of_job_are_one_intention():
    applied = [application(f"b{i}", f"{employer}-112", 250 + i, "bob") for i, employer in enumerate(("acme", "zeta"))]
    assert proxies(*applied) == [("bob", "112")]


def test_an_applicant_without_a_past_is_a_proxy_only_where_no_grade_is_asked_for():
    unknown = application("new", "acme-112", 250, "newcomer")
    assert proxies(unknown) == [("newcomer", "112")]
    assert proxies(unknown, grade=0.1) == []


def test_weight_zero_takes_none():
    assert proxies(application("late", "zeta-112", 250, "bob"), weight=0.0) == []


def test_hires_come_first_at_weight_one_and_proxies_after_them_at_theirs():
    tables, hires = site(application("late", "zeta-112", 250, "bob"), application("more", "acme-121", 260))
    examples, seekers, weights = with_proxies(tables, hires, Qualification(), ProxyConfig(0.3))
    alone, _ = examples_from_hires(tables, hires)
    assert weights.tolist() == [1.0, 0.3, 0.3]
    assert examples.target[:1].tolist() == alone.target.tolist()
    codes = [TAXONOMY.codes[o] for o in examples.target]
    people = [seekers[person] for person in examples.person]
    assert list(zip(people, codes, strict=True)) == [("ann", "111"), ("bob", "112"), ("ann", "121")]


def test_a_proxy_knows_what_was_known_when_it_was_made():
    tables, hires = site(application("late", "zeta-112", 250, "bob"), application("more", "acme-121", 260))
    examples, _, _ = with_proxies(tables, hires, Qualification(), ProxyConfig(0.3))
    assert [TAXONOMY.codes[o] for o in examples.current] == ["112", "111", "111"]
    assert (np.diff(examples.year) > 0).all()


@pytest.mark.parametrize(("weight", "grade", "words"), [(-0.1, 0, "weight"), (1.1, 0, "weight"), (0.5, 2, "minimum")])
def test_settings_that_mean_nothing_are_refused(weight, grade, words):
    with pytest.raises(ConfigError, match=words):
        ProxyConfig(weight, grade)
