"""Three campaigns of the report and their audiences: the links and groups of people that explain who sees them."""

from __future__ import annotations

from html import escape

import numpy as np

from graph.linking.attributes import job_attributes, job_in_words, seeker_in_words
from market.taxonomy import Taxonomy
from sim.market import Market
from sim.page_frame import table
from sim.page_numbers import money
from sim.stage import Stage

SMALLEST_GROUP = 30  # people; a smaller group is never shown
SHOWN = 5


def audiences(stage: Stage, market: Market, currency: str) -> str:
    examples = example_campaigns(stage, market)
    cards = "".join(_audience(stage, market, why, campaign, currency) for why, campaign in examples)
    return f"""<h2>Three audiences, explained</h2>
<p>Why these people are shown these jobs: learned links with the hires behind them, and the network's lift, how many
times as likely as anybody a group is to be hired next into the job's occupation (geometric mean). Groups of fewer than
{SMALLEST_GROUP} people are pooled with others of their section or major group, or not shown.</p>
<div class=audiences>{cards}</div>"""


def example_campaigns(stage: Stage, market: Market) -> list[tuple[str, int]]:
    """(why it was chosen, campaign): largest budget, median budget, rarest occupation in the logs; ties by position."""
    budget = market.terms.budget
    order = np.argsort(-budget, kind="stable")
    hires = stage.learned.hires_by_occupation[stage.world.inventory.occupation[market.terms.job]]
    wanted = [
        ("The largest budget", order),
        ("The median budget", np.roll(order, -(len(order) // 2))),
        ("The rarest occupation among hires", np.argsort(hires, kind="stable")),
    ]
    chosen: list[tuple[str, int]] = []
    for why, ranked in wanted:
        taken = {campaign for _, campaign in chosen}
        found = next((int(campaign) for campaign in ranked if int(campaign) not in taken), None)
        if found is not None:
            chosen.append((why, found))
    return chosen


def _audience(stage: Stage, market: Market, why: str, campaign: int, currency: str) -> str:
    world, learned, taxonomy = stage.world, stage.learned, stage.world.careers.taxonomy
    jobs, job = world.inventory, int(market.terms.job[campaign])
    occupation = int(jobs.occupation[job])
    place = world.metros.names[jobs.metro[job]] + (", or remote" if jobs.remote[job] else "")
    reached = np.repeat(np.arange(len(market.seeker)), np.diff(market.pairs.start))[market.pairs.campaign == campaign]
    people = len(np.unique(market.person[reached]))
    links = learned.links
    aimed = links.of_job(job_attributes(occupation, taxonomy))[:SHOWN]
    link_rows = [
        [
            escape(seeker_in_words(links.seeker[i], taxonomy)),
            escape(job_in_words(links.job[i], taxonomy)),
            f"{links.weight[i]:+.2f}",
            f"{links.hires[i]:,}",
        ]
        for i in aimed
    ]
    groups = occupation_groups(market, occupation, taxonomy)[:SHOWN]
    group_rows = [[escape(name), f"{count:,}", f"×{np.exp(lift):.2f}"] for name, count, lift in groups]
    openings = int(market.terms.openings[campaign])
    lines = [
        place,
        f"budget {money(market.terms.budget[campaign], currency)}",
        "1 opening" if openings == 1 else f"{openings} openings",
        f"{people:,} people in reach" if people >= SMALLEST_GROUP else f"fewer than {SMALLEST_GROUP} people in reach",
        f"{learned.hires_by_occupation[occupation]:,} confirmed hires into {taxonomy.titles[occupation]} in the logs",
    ]
    linked = "<p class=note>No learned link targets this job: it is reached through the network alone.</p>"
    if link_rows:
        linked = table(["Seeker", "Job", "Weight", "Hires"], link_rows, text_columns=2)
    grouped = f"<p class=note>No group of {SMALLEST_GROUP} people to show.</p>"
    if group_rows:
        grouped = table(["Works now as", "People", "Mean lift"], group_rows)
    return f"""<section class=audience><p class=why>{escape(why)}</p><h3>{escape(world.title(jobs, job))}</h3>
<p class=note>{escape(" · ".join(lines))}</p>
<div class=sides><div><h4>Best links to it</h4>{linked}</div>
<div><h4>Likeliest seekers by present occupation</h4>{grouped}</div></div></section>"""


def occupation_groups(market: Market, occupation: int, taxonomy: Taxonomy) -> list[tuple[str, int, float]]:
    """(name, people, mean log lift into `occupation`) of the market's seekers by present occupation, best first.

    Occupations of fewer than SMALLEST_GROUP people (original persons, not copies) are pooled within their section, then
    within their major group; a pool that is still too small is left out.
    """
    current = market.examples.current
    known = np.maximum(current, 0)
    pool = "{}: less common occupations"
    names = (
        *taxonomy.titles,
        *(pool.format(name) for name in taxonomy.section_names),
        *(pool.format(name) for name in taxonomy.major_names),
    )
    first_section, first_major = len(taxonomy), len(taxonomy) + len(taxonomy.section_names)
    group = np.where(current >= 0, current, -1).astype(np.int64)
    _pool_small(group, market.person, first_section + taxonomy.section[known])
    _pool_small(group, market.person, first_major + taxonomy.major[known])
    found = []
    for number in np.unique(group[group >= 0]).tolist():
        rows = group == number
        people = len(np.unique(market.person[rows]))
        if people >= SMALLEST_GROUP:
            found.append((names[number], people, float(market.log_lift[rows, occupation].mean())))
    return sorted(found, key=lambda row: (-row[2], row[0]))


def _pool_small(group: np.ndarray, person: np.ndarray, pool: np.ndarray) -> None:
    """Move the rows of groups with too few people to their `pool`, in place."""
    pairs = np.unique(np.stack([group, person]), axis=1)
    names, people = np.unique(pairs[0], return_counts=True)
    small = np.isin(group, names[people < SMALLEST_GROUP]) & (group >= 0)
    group[small] = pool[small]
