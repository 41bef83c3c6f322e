"""Explanations agree with the model, the links and the careers they speak of."""

import numpy as np
import pytest

from graph.affinity import Affinity
from graph.attributes import job_attributes, seeker_attributes
from graph.bipartite import examples_from_careers, latest_of_careers
from graph.explain import SHOWN, explain, shared_links
from graph.mining import LinkConfig, mine_links
from graph.model import ModelConfig
from graph.train import TrainConfig, fit
from market.careers import Careers
from market.errors import NotFoundError
from market.taxonomy import build_taxonomy

NAMES = ("baker", "miller", "cook", "waiter", "clerk", "typist")
TAXONOMY = build_taxonomy(
    "toy",
    [(str(10 + i), name, section, "all") for i, (name, section) in enumerate(zip(NAMES, "AABBCC", strict=True))],
)
WIDTHS = ModelConfig(width=8, heads=2, hidden=8, seeker=8, memory=4)
QUICK = TrainConfig(epochs=1, batch=64, learning_rate=1e-2, model=WIDTHS)


def careers_of(occupations, schooling=12.0):
    """One person per row of occupations, observed yearly from 2000."""
    persons = np.repeat(np.arange(len(occupations)), [len(row) for row in occupations])
    return Careers(
        person_ids=tuple(f"p{i}" for i in range(len(occupations))),
        person=persons.astype(np.int32),
        year=np.concatenate([2000 + np.arange(len(row)) for row in occupations]).astype(np.int16),
        occupation=np.concatenate(occupations).astype(np.int32),
        education_years=np.full(len(persons), schooling, np.float32),
        taxonomy=TAXONOMY,
    )


# seven bakers became millers (p0 to p6), five clerks typists; p12 and p13 are bakers today, p13 was a miller before
CAREERS = careers_of([[0, 1]] * 7 + [[4, 5]] * 5 + [[2, 0], [1, 0]])


@pytest.fixture(scope="module")
def fitted():
    examples = examples_from_careers(CAREERS)
    model = fit(examples, TAXONOMY, QUICK)
    links = mine_links(examples, TAXONOMY, np.array([0, 0, 0, 1.0, 0, 0]), LinkConfig(quality="ratio"))
    return model, links


def test_the_numbers_are_those_of_the_affinity(fitted):
    model, links = fitted
    found = explain(model, links, CAREERS, "p12", "11")
    latest = latest_of_careers(CAREERS, np.array([12]))
    affinity = Affinity(model)
    assert set(found) == {"score", "probability", "links", "nearest_hires", "text"}
    assert found["probability"] == affinity.probabilities(latest)[0, 1]
    assert found["score"] == affinity.log_lift(latest)[0, 1]
    assert found["score"] == pytest.approx(np.log(found["probability"] / model.popularity[1]), abs=1e-4)


def test_the_nearest_hires_are_people_who_made_the_same_move(fitted):
    found = explain(*fitted, CAREERS, "p12", "11")
    assert found["nearest_hires"] == [{"person": f"p{i}", "year": 2001} for i in range(SHOWN)]
    assert "7 people moved from 'baker' to 'miller' here" in found["text"]


def test_a_persons_own_moves_are_not_their_nearest_hires(fitted):
    there_and_back = careers_of([[0, 1, 0], [0, 1]])
    found = explain(*fitted, there_and_back, "p0", "11")
    assert found["nearest_hires"] == [{"person": "p1", "year": 2001}]


def test_a_move_nobody_made_has_no_nearest_hires(fitted):
    found = explain(*fitted, CAREERS, "p12", "15")
    assert found["nearest_hires"] == []
    assert "0 people moved" in found["text"]


def test_the_links_are_all_that_person_and_occupation_share_best_first(fitted):
    model, links = fitted
    found = explain(model, links, CAREERS, "p13", "11")["links"]
    mine = seeker_attributes(latest_of_careers(CAREERS, np.array([13])), TAXONOMY)[0]
    pairs = {((s,), (j,)) for s in mine for j in job_attributes(1, TAXONOMY)}
    assert [link["link_id"] for link in found] == [
        i for i, s, j in zip(links.link_ids, links.seeker, links.job, strict=True) if (s, j) in pairs
    ]
    weights = [link["weight"] for link in found]
    assert weights == sorted(weights, reverse=True)
    best = {(*link["seeker"], *link["job"]): link for link in found}
    assert best["occupation=10", "occupation=11"]["hires"] == 7
    assert best["occupation=10", "occupation=11"]["no_hires"] == 0
    assert best["occupation=10", "occupation=11"]["words"] == "works as baker -> as miller"


def test_the_text_names_person_present_job_and_probability(fitted):
    found = explain(*fitted, CAREERS, "p12", "11")
    first = found["text"].splitlines()[0]
    assert first.startswith("Person p12 (baker) is hired into 'miller' next with probability ")
    assert f"{found['probability']:.1%}" in first
    assert sum(line.startswith("  link ") for line in found["text"].splitlines()) == min(SHOWN, len(found["links"]))


def test_an_unlikely_move_is_told_as_such(fitted):
    model, links = fitted
    latest = latest_of_careers(CAREERS, np.array([12]))
    lift = Affinity(model).log_lift(latest)[0]
    for target in (int(lift.argmin()), int(lift.argmax())):
        text = explain(model, links, CAREERS, "p12", TAXONOMY.codes[target])["text"]
        assert ("only " in text) == (lift[target] < 0)
    assert lift.min() < 0


def test_without_shared_links_there_are_none(fitted):
    _, links = fitted
    clerk = latest_of_careers(CAREERS, np.array([7]))
    assert shared_links(links, clerk, 3, TAXONOMY) == []


@pytest.mark.parametrize(("person", "occupation", "missing"), [("nobody", "11", "nobody"), ("p12", "99", "99")])
def test_an_unknown_person_or_occupation_is_refused_by_name(fitted, person, occupation, missing):
    with pytest.raises(NotFoundError, match=f"'{missing}'"):
        explain(*fitted, CAREERS, person, occupation)
