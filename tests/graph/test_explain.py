"""Explanations agree with the model, the links and the careers they speak of."""

from dataclasses import replace

import numpy as np
import pytest

from graph.affinity import Affinity
from graph.bipartite import examples_from_careers, latest_of_careers
from graph.explain import FEWEST_PEOPLE, SHOWN, explain, shared_links
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.links import LinkSet, link_id
from graph.network.gnn import ModelConfig
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

SIDES = [
    (("occupation=10",), ("occupation=11",), 3.0),
    (("education=<=12", "occupation=10"), ("section=A",), 2.0),
    (("occupation=10", "past_occupation=11"), ("occupation=11",), 1.5),
    (("occupation=14",), ("occupation=15",), 1.0),
]
LINKS = LinkSet(
    tuple(link_id(seeker, job) for seeker, job, _ in SIDES),
    tuple(seeker for seeker, _, _ in SIDES),
    tuple(job for _, job, _ in SIDES),
    np.array([weight for *_, weight in SIDES]),
    np.array([7, 7, 1, 5]),
    np.array([0, 4, 0, 1]),
)
NO_LINKS = LinkSet((), (), (), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))


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
    return fit(examples, TAXONOMY, QUICK), LINKS


def test_the_numbers_are_those_of_the_affinity(fitted):
    model, links = fitted
    found = explain(model, links, CAREERS, "p12", "11")
    latest = latest_of_careers(CAREERS, np.array([12]))
    affinity = Affinity(model)
    assert set(found) == {"score", "probability", "links", "nearest_hires", "text"}
    assert found["probability"] == affinity.probabilities(latest)[0, 1]
    assert found["score"] == affinity.log_lift(latest)[0, 1]
    assert found["score"] == pytest.approx(np.log(found["probability"] / model.popularity[1]), abs=1e-4)


def cosines_by_hand(model, careers, person, target):
    """{row of the hire: cosine} from single readings of the network, one person at a time."""
    affinity, examples = Affinity(model), examples_from_careers(careers)
    own = affinity.retrieval(latest_of_careers(careers, np.array([person])))[0][0]
    found = {}
    for row in range(len(examples)):
        if examples.target[row] == target and examples.current[row] != target and examples.person[row] != person:
            other = affinity.retrieval(examples.take(slice(row, row + 1)))[0][0]
            found[row] = float(own @ other / np.linalg.norm(own) / np.linalg.norm(other))
    return found, examples


def test_the_nearest_hires_are_the_most_alike_of_those_who_made_the_move(fitted):
    mixed = careers_of([[0, 1]] * 3 + [[2, 1], [5, 4, 1], [3, 3, 1, 0, 1], [0, 2], [2, 0]])
    found = explain(*fitted, mixed, "p7", "11")["nearest_hires"]
    by_hand, examples = cosines_by_hand(fitted[0], mixed, 7, 1)
    best = {}
    for row, cosine in by_hand.items():
        best[f"p{examples.person[row]}"] = max(cosine, best.get(f"p{examples.person[row]}", -1))
    assert len({hire["person"] for hire in found}) == len(found) == SHOWN
    for hire in found:
        assert hire["similarity"] == pytest.approx(best[hire["person"]], abs=1e-3)
    shown = [hire["similarity"] for hire in found]
    assert shown == sorted(shown, reverse=True)
    assert min(shown) >= sorted(best.values())[-SHOWN] - 1e-3
    typist = next((hire for hire in found if hire["person"] == "p4"), None)
    assert typist is None or (typist["occupation"], typist["earlier"]) == ("clerk", ["typist"])


def test_the_nearest_hires_are_told_with_year_and_occupations(fitted):
    found = explain(*fitted, CAREERS, "p12", "11")
    first = found["nearest_hires"][0]
    assert (first["person"], first["year"], first["occupation"], first["earlier"]) == ("p0", 2001, "baker", [])
    assert "7 people moved from 'baker' to 'miller' here" in found["text"]
    assert "hired in 2001 like this person: was 'baker'" in found["text"]


def test_a_persons_own_moves_are_not_their_nearest_hires(fitted):
    there_and_back = careers_of([[0, 1, 0]] + [[0, 1]] * 5)
    found = explain(*fitted, there_and_back, "p0", "11")
    assert [hire["person"] for hire in found["nearest_hires"]] == ["p1", "p2", "p3", "p4", "p5"]


def test_few_people_are_shown_without_id_and_year_and_not_counted_out_loud(fitted):
    few = careers_of([[0, 1]] * (FEWEST_PEOPLE - 1) + [[2, 0]])
    found = explain(*fitted, few, f"p{FEWEST_PEOPLE - 1}", "11")
    assert found["nearest_hires"]
    assert all(hire["person"] is None and hire["year"] is None for hire in found["nearest_hires"])
    assert "fewer than 5 people moved from 'baker' to 'miller'" in found["text"]
    assert "2001" not in found["text"]


def test_a_move_nobody_made_has_no_nearest_hires(fitted):
    found = explain(*fitted, CAREERS, "p12", "13")
    assert found["nearest_hires"] == []
    assert "0 people moved from 'baker' to 'waiter'" in found["text"]


def test_people_hired_from_elsewhere_are_near_when_nobody_came_from_here(fitted):
    found = explain(*fitted, CAREERS, "p12", "15")
    assert {hire["occupation"] for hire in found["nearest_hires"]} == {"clerk"}
    assert "0 people moved from 'baker' to 'typist'" in found["text"]


def test_what_the_forecast_has_to_do_without_is_said(fitted):
    """A person with one observation in an occupation the model does not know; nobody was ever seen as a waiter."""
    model, _ = fitted
    rows = [(TAXONOMY.codes[o], NAMES[o], "AABBCC"[o], "all") for o in range(6)]
    wider = build_taxonomy("toy", [*rows, ("99", "diver", "D", "all")])
    people = replace(careers_of([[6]]), taxonomy=wider)
    found = explain(model, NO_LINKS, people, "p0", "13")
    assert 0 < found["probability"] < 1
    assert found["links"] == found["nearest_hires"] == []
    for words in ("Person p0 (diver)", "Nobody was seen in 'waiter' in training", "section 'B'", "One observation",
                  "does not know the present occupation", "no links were learned"):  # fmt: skip
        assert words in found["text"]


def test_staying_is_not_called_a_hire(fitted):
    text = explain(*fitted, CAREERS, "p12", "10")["text"]
    assert "Person p12 (baker) is still 'baker' next with probability" in text
    assert "people moved" not in text


def test_an_edited_link_says_who_edited_it(fitted):
    model, links = fitted
    plain = explain(model, links, CAREERS, "p12", "11")
    assert all(link["edited_by"] is None for link in plain["links"])
    edited = plain["links"][0]["link_id"]
    found = explain(model, links, CAREERS, "p12", "11", {edited: "anna"})
    assert [link["edited_by"] for link in found["links"]].count("anna") == 1
    assert f"link {edited}" in found["text"]
    assert ", edited by anna)" in found["text"]


def test_vetoed_links_are_told_only_when_asked_for(fitted):
    model, links = fitted
    in_use, taken_out = links.take([1, 2, 3]), links.take([0])
    assert "vetoed" not in explain(model, in_use, CAREERS, "p12", "11")
    found = explain(model, in_use, CAREERS, "p12", "11", {links.link_ids[0]: "anna"}, taken_out)
    assert [link["weight"] for link in found["vetoed"]] == [3.0]
    assert [link["weight"] for link in found["links"]] == [2.0]
    assert f"  vetoed: link {links.link_ids[0]}" in found["text"]


def test_the_links_are_all_that_person_and_occupation_share_best_first(fitted):
    found = explain(*fitted, CAREERS, "p13", "11")["links"]
    assert [link["weight"] for link in found] == [3.0, 2.0, 1.5]
    assert [link["weight"] for link in explain(*fitted, CAREERS, "p12", "11")["links"]] == [3.0, 2.0]
    both = found[1]
    assert (both["hires"], both["no_hires"], both["job"]) == (7, 4, ["section=A"])
    assert both["words"] == "works as baker, at most 12 years of schooling -> in section A"
    mine = seeker_attributes(latest_of_careers(CAREERS, np.array([13])), TAXONOMY)[0]
    for link in found:
        assert set(link["seeker"]) <= set(mine)
        assert set(link["job"]) <= set(job_attributes(1, TAXONOMY))


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
