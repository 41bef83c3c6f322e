"""Why a person would be hired into an occupation: the model's numbers, shared links, the nearest confirmed hires.

The nearest hires are people who made the move, most alike to the network first: by the cosine of seeker vectors just
before the hire. Other people's ids and years are shown only where at least FEWEST_PEOPLE were hired there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graph.affinity import Affinity
from graph.bipartite import Examples, examples_from_careers, latest_of_careers
from graph.linking.attributes import job_attributes, job_in_words, seeker_attributes, seeker_in_words
from graph.links import LinkSet
from graph.model import HireModel
from market.careers import Careers
from market.taxonomy import Taxonomy

SHOWN = 5
EARLIER = 2  # occupations before the last one, in words
FEWEST_PEOPLE = 5


def explain(
    model: HireModel,
    links: LinkSet,
    careers: Careers,
    person_id: str,
    occupation: str,
    edited_by: Mapping[str, str] | None = None,
    vetoed: LinkSet | None = None,
) -> dict[str, Any]:
    """{"score", "probability", "links", "nearest_hires", "text"} for one person and one occupation code.

    score is the log lift over the occupation's popularity; links are those in use, edited_by says who edited which;
    nearest_hires: see the module. With `vetoed`, links that people took out of use, those which would join the two are
    under "vetoed". NotFoundError for a person or an occupation that nothing is known of.
    """
    target = model.taxonomy.find(occupation)
    person = careers.find(person_id)
    latest = latest_of_careers(careers, np.array([person]))
    affinity = Affinity(model)
    score = float(affinity.log_lift(latest)[0, target])
    probability = float(affinity.probabilities(latest)[0, target])
    shared = shared_links(links, latest, target, model.taxonomy, edited_by)
    moves = _moves_into(careers, person, target)
    nearest = _nearest(affinity, moves, latest, careers)
    lines = [
        _forecast(model, latest, careers, person_id, target, score, probability),
        *_cautions(model, latest, target),
        *_links_in_words(links, shared),
        *_hires_in_words(moves, nearest, latest, careers, target),
    ]
    answer: dict[str, Any] = {"score": score, "probability": probability, "links": shared, "nearest_hires": nearest}
    if vetoed is not None:
        answer["vetoed"] = shared_links(vetoed, latest, target, model.taxonomy, edited_by)
        lines += [f"  vetoed: {_link_in_words(link)}" for link in answer["vetoed"]]
    return answer | {"text": "\n".join(lines)}


def shared_links(
    links: LinkSet, example: Examples, occupation: int, taxonomy: Taxonomy, edited_by: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The links a seeker and an occupation share, best first, with their attributes in words."""
    return [
        {
            "link_id": links.link_ids[i],
            "seeker": list(links.seeker[i]),
            "job": list(links.job[i]),
            "weight": float(links.weight[i]),
            "hires": int(links.hires[i]),
            "no_hires": int(links.no_hires[i]),
            "words": f"{seeker_in_words(links.seeker[i], taxonomy)} -> {job_in_words(links.job[i], taxonomy)}",
            "edited_by": (edited_by or {}).get(links.link_ids[i]),
        }
        for i in links.between(seeker_attributes(example, taxonomy)[0], job_attributes(occupation, taxonomy))
    ]


def _moves_into(careers: Careers, person: int, target: int) -> Examples:
    """Other people's changes into an occupation, as they were just before."""
    examples = examples_from_careers(careers)
    return examples.take((examples.target == target) & examples.changed & (examples.person != person))


def _nearest(affinity: Affinity, moves: Examples, latest: Examples, careers: Careers) -> list[dict[str, Any]]:
    """The SHOWN most alike people who made the move, each once; ties to the earlier row."""
    if not len(moves):
        return []
    own = affinity.retrieval(latest)[0][0].astype(np.float64)
    vectors = affinity.retrieval(moves)[0].astype(np.float64)
    cosine = vectors @ own / np.maximum(np.linalg.norm(vectors, axis=1) * np.linalg.norm(own), 1e-12)
    order = np.argsort(-cosine.round(5), kind="stable")  # float32 noise is no order among equals
    _, first = np.unique(moves.person[order], return_index=True)
    chosen = order[np.sort(first)[:SHOWN]]
    open_to_show = len(np.unique(moves.person)) >= FEWEST_PEOPLE
    titles = careers.taxonomy.titles
    return [
        {
            "person": careers.person_ids[moves.person[row]] if open_to_show else None,
            "year": int(moves.year[row]) if open_to_show else None,
            "similarity": round(float(cosine[row]), 4),
            "occupation": titles[moves.current[row]],
            "earlier": [titles[o] for o in _earlier(moves, row)],
        }
        for row in chosen.tolist()
    ]


def _earlier(examples: Examples, row: int) -> list[int]:
    """The occupations before the last one, newest first, each once."""
    past = examples.item_occupation[examples.start[row] : examples.stop[row]][::-1].tolist()
    return [o for o in dict.fromkeys(past) if o != past[0]][:EARLIER]


def _forecast(
    model: HireModel, latest: Examples, careers: Careers, person_id: str, target: int, score: float, probability: float
) -> str:
    title, current = model.taxonomy.titles[target], int(latest.current[0])
    lift = f"{np.exp(score):.1f} times" if score >= 0 else f"only {np.exp(score):.2f} times"
    does = "is still" if current == target else "is hired into"
    return (
        f"Person {person_id} ({careers.taxonomy.titles[current]}) {does} {title!r} next with probability "
        f"{probability:.1%}, {lift} as likely as anybody."
    )


def _cautions(model: HireModel, latest: Examples, target: int) -> list[str]:
    """What the forecast has to do without, if anything."""
    taxonomy, found = model.taxonomy, []
    if not model.seen[target]:
        section = taxonomy.section_names[taxonomy.section[target]]
        found.append(
            f"  Nobody was seen in {taxonomy.titles[target]!r} in training: it is judged by section {section!r}."
        )
    if latest.current[0] >= len(taxonomy):
        found.append("  The model does not know the present occupation: it judges by the rest of the record.")
    if latest.lengths[0] == 1:
        found.append("  One observation is all that is known of this person.")
    return found


def _links_in_words(links: LinkSet, shared: list[dict[str, Any]]) -> list[str]:
    if not shared:
        return ["  no link joins them" if len(links) else "  no links were learned"]
    return [f"  {_link_in_words(link)}" for link in shared[:SHOWN]]


def _link_in_words(link: dict[str, Any]) -> str:
    mark = f", edited by {link['edited_by']}" if link["edited_by"] else ""
    return f"link {link['link_id']}: {link['words']} (weight {link['weight']:.2f}, {link['hires']} hires{mark})"


def _hires_in_words(
    moves: Examples, nearest: list[dict[str, Any]], latest: Examples, careers: Careers, target: int
) -> list[str]:
    titles = careers.taxonomy.titles
    current = int(latest.current[0])
    count = len(np.unique(moves.person[moves.current == current]))
    lines = []
    if current != target:
        people = f"fewer than {FEWEST_PEOPLE}" if 0 < count < FEWEST_PEOPLE else count
        lines.append(f"  {people} people moved from {titles[current]!r} to {titles[target]!r} here.")
    for hire in nearest:
        when = f"in {hire['year']} " if hire["year"] is not None else ""
        before = f", before that {' and '.join(map(repr, hire['earlier']))}" if hire["earlier"] else ""
        lines.append(f"  hired {when}like this person: was {hire['occupation']!r}{before}")
    return lines
