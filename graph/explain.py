"""Why a person would be hired into an occupation: the model's numbers, shared links, the nearest confirmed hires."""

from __future__ import annotations

from typing import Any

import numpy as np

from graph.affinity import Affinity
from graph.attributes import job_attributes, job_in_words, seeker_attributes, seeker_in_words
from graph.bipartite import Examples, latest_of_careers
from graph.links import LinkSet
from graph.model import HireModel
from market.careers import Careers
from market.taxonomy import Taxonomy

SHOWN = 5


def explain(model: HireModel, links: LinkSet, careers: Careers, person_id: str, occupation: str) -> dict[str, Any]:
    """{"score", "probability", "links", "nearest_hires", "text"} for one person and one occupation code.

    score is the log lift over the occupation's popularity; nearest_hires are the people of `careers` with the same
    present occupation who moved into it.
    """
    target = model.taxonomy.find(occupation)
    person = careers.find(person_id)
    latest = latest_of_careers(careers, np.array([person]))
    affinity = Affinity(model)
    score = float(affinity.log_lift(latest)[0, target])
    probability = float(affinity.probabilities(latest)[0, target])
    shared = shared_links(links, latest, target, model.taxonomy)
    nearest = _nearest_hires(careers, person, target)
    title, current = model.taxonomy.titles[target], int(latest.current[0])
    now = careers.taxonomy.titles[current]
    lift = f"{np.exp(score):.1f} times" if score >= 0 else f"only {np.exp(score):.2f} times"
    lines = [
        f"Person {person_id} ({now}) is hired into {title!r} next with probability {probability:.1%}, "
        f"{lift} as likely as anybody.",
        *(f"  link {link['link_id']}: {link['words']} ({link['hires']} hires)" for link in shared[:SHOWN]),
        f"  {nearest['count']} people moved from {now!r} to {title!r} here.",
    ]
    return {
        "score": score,
        "probability": probability,
        "links": shared,
        "nearest_hires": nearest["hires"],
        "text": "\n".join(lines),
    }


def shared_links(links: LinkSet, example: Examples, occupation: int, taxonomy: Taxonomy) -> list[dict[str, Any]]:
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
        }
        for i in links.between(seeker_attributes(example, taxonomy)[0], job_attributes(occupation, taxonomy))
    ]


def _nearest_hires(careers: Careers, person: int, target: int) -> dict[str, Any]:
    rows = careers.pairs()
    current = careers.occupation[careers.person == person][-1]
    same = (
        (careers.occupation[rows] == current)
        & (careers.occupation[rows + 1] == target)
        & (careers.person[rows] != person)
    )
    found = rows[same]
    hires = [
        {"person": careers.person_ids[careers.person[row]], "year": int(careers.year[row + 1])} for row in found[:SHOWN]
    ]
    return {"count": len(found), "hires": hires}
