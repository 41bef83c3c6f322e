"""Links of one meta link each on a world of six occupations, counted by hand; then all of their combinations.

Sections A, B and C hold two occupations each; A and B are one major group. The jobs that pairs without hire are drawn
from are all of one occupation here, so that even the random part is known.
"""

from dataclasses import replace

import numpy as np
import pytest

from graph.bipartite import Examples
from graph.linking.attributes import job_attributes, seeker_attributes
from graph.linking.candidates import CandidateConfig
from graph.linking.mining import LinkConfig, mine, mine_links
from graph.linking.pairs import link_pairs
from graph.linking.quality import L1Config
from market.errors import ConfigError, DataError
from market.taxonomy import build_taxonomy

CODES = ("10", "11", "20", "21", "30", "31")
TAXONOMY = build_taxonomy(
    "toy",
    [(code, f"Title {code}", section, major) for code, section, major in zip(CODES, "AABBCC", "XXXXYY", strict=True)],
)
ONLY_31 = np.array([0, 0, 0, 0, 0, 1.0])
SIMPLE = (
    ("occupation", "occupation"),
    ("past_occupation", "occupation"),
    ("section", "occupation"),
    ("occupation", "section"),
    ("past_occupation", "section"),
    ("section", "section"),
    ("major", "major"),
    ("education", "section"),
)
ONE_EACH = CandidateConfig(templates=SIMPLE, largest_size=1, largest_k=12, largest_per_template=12)
RATIO = LinkConfig(quality="ratio", candidates=ONE_EACH, drop_redundant=False)


def at_least(minimum_hires, config=RATIO):
    return replace(config, candidates=replace(config.candidates, minimum_hires=minimum_hires))


def examples(*rows):
    """One instance per (codes held, oldest first; code hired into; years of schooling)."""
    histories = [[CODES.index(code) for code in held] for held, _, _ in rows]
    stop = np.cumsum([len(h) for h in histories])
    return Examples(
        person=np.arange(len(rows), dtype=np.int32),
        start=stop - [len(h) for h in histories],
        stop=stop,
        item_occupation=np.array([o for h in histories for o in h], np.int32),
        item_year=np.array([2000 + i for h in histories for i in range(len(h))], np.float32),
        year=np.full(len(rows), 2020, np.float32),
        education_years=np.array([years for _, _, years in rows], np.float32),
        target=np.array([CODES.index(code) if code else -1 for _, code, _ in rows], np.int32),
    )


UNKNOWN = np.nan
FOUR_HIRES = examples(*[(["10"], "11", UNKNOWN)] * 4)


def counts(links):
    return {
        (links.seeker[i][0], links.job[i][0]): (int(links.hires[i]), int(links.no_hires[i])) for i in range(len(links))
    }


def test_hires_and_pairs_without_hire_are_counted_by_hand():
    # 4 hires 10 -> 11; 4 * 5 pairs without hire 10 -> 31, which shares no attribute with the job hired into
    assert counts(mine_links(FOUR_HIRES, TAXONOMY, ONLY_31, RATIO)) == {
        ("occupation=10", "occupation=11"): (4, 0),
        ("section=A", "occupation=11"): (4, 0),
        ("occupation=10", "section=A"): (4, 0),
        ("section=A", "section=A"): (4, 0),
        ("major=X", "major=X"): (4, 0),
    }


def test_past_occupations_and_schooling_make_links_of_their_own():
    links = mine_links(examples(*[(["20", "30", "10"], "11", 12)] * 3), TAXONOMY, ONLY_31, RATIO)
    assert {pair for pair in counts(links) if pair[0].startswith(("past", "education"))} == {
        ("past_occupation=20", "occupation=11"),
        ("past_occupation=20", "section=A"),
        ("past_occupation=30", "occupation=11"),
        ("past_occupation=30", "section=A"),
        ("education=<=12", "section=A"),
    }


def test_a_link_needs_a_minimum_of_hires():
    two = FOUR_HIRES.take(slice(0, 2))
    assert len(mine_links(two, TAXONOMY, ONLY_31, RATIO)) == 0
    assert len(mine_links(two, TAXONOMY, ONLY_31, at_least(2))) == 5


def test_a_link_needs_as_many_hires_as_reweighted_pairs_without():
    # 3 hires 10 -> 31 and 1 hire 10 -> 11: 4 * 5 pairs 10 -> 31 without hire count as 4, more than 3
    mixed = examples(*[(["10"], "31", UNKNOWN)] * 3, (["10"], "11", UNKNOWN))
    assert counts(mine_links(mixed, TAXONOMY, ONLY_31, at_least(1))) == {
        ("occupation=10", "occupation=11"): (1, 0),
        ("section=A", "occupation=11"): (1, 0),
        ("occupation=10", "section=A"): (1, 0),
        ("section=A", "section=A"): (1, 0),
        ("major=X", "major=X"): (1, 0),
    }


def test_equal_support_is_no_evidence():
    # 4 hires 10 -> 31 against 20 pairs counted as 4: log(5 / 5) = 0
    even = examples(*[(["10"], "31", UNKNOWN)] * 4)
    assert len(mine_links(even, TAXONOMY, ONLY_31, RATIO)) == 0


def test_applications_without_hire_count_against_a_link():
    turned_down = examples(*[(["10"], "11", UNKNOWN)] * 15)
    links = mine_links(FOUR_HIRES, TAXONOMY, ONLY_31, RATIO, turned_down)
    assert counts(links)["occupation=10", "occupation=11"] == (4, 15)
    assert links.weight.tolist() == pytest.approx([np.log(5 / 4)] * 5)
    too_many = examples(*[(["10"], "11", UNKNOWN)] * 21)
    assert len(mine_links(FOUR_HIRES, TAXONOMY, ONLY_31, RATIO, too_many)) == 0


def test_the_ratio_is_the_smoothed_log_of_hires_over_reweighted_pairs():
    links = mine_links(FOUR_HIRES, TAXONOMY, ONLY_31, RATIO)
    assert links.weight.tolist() == pytest.approx([np.log(5)] * 5)


def test_an_unknown_outcome_is_no_hire():
    unknown = examples(*[(["10"], "11", UNKNOWN)] * 4, *[(["20"], None, UNKNOWN)] * 4)
    assert counts(mine_links(unknown, TAXONOMY, ONLY_31, RATIO)) == counts(
        mine_links(FOUR_HIRES, TAXONOMY, ONLY_31, RATIO)
    )


def obvious_world(people=400, seed=0):
    """Nine in ten are hired within their section, the rest anywhere; half of the people came from another section."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(people):
        now = int(rng.integers(6))
        target = now ^ 1 if rng.random() < 0.9 else int(rng.integers(6))
        past = [CODES[(now + 2) % 6]] if rng.random() < 0.5 else []
        rows.append(([*past, CODES[now]], CODES[target], rng.choice([8, 12, 16, UNKNOWN])))
    return examples(*rows)


WORLD, EVENLY = obvious_world(), np.ones(6)


def total(links, held, job):
    """What the index would sum: the weights of the links a seeker and a job share."""
    mine = set(seeker_attributes(examples((held, None, UNKNOWN)), TAXONOMY)[0])
    theirs = set(job_attributes(CODES.index(job), TAXONOMY))
    return sum(
        w for s, j, w in zip(links.seeker, links.job, links.weight, strict=True) if set(s) <= mine and set(j) <= theirs
    )


def test_both_qualities_see_the_same_sign_on_an_obvious_world():
    ratio = mine_links(WORLD, TAXONOMY, EVENLY, RATIO)
    logistic = mine_links(WORLD, TAXONOMY, EVENLY, replace(RATIO, quality="logistic"))
    assert 0 < len(logistic) <= len(ratio)
    assert set(logistic.link_ids) <= set(ratio.link_ids)
    for held in CODES:
        partner = CODES[CODES.index(held) ^ 1]
        for links in (ratio, logistic):
            sums = {job: total(links, [held], job) for job in CODES}
            assert max(sums, key=sums.get) == partner
            assert sums[partner] > 1


def test_a_smaller_inverse_penalty_keeps_fewer_links():
    sizes = [
        len(mine_links(WORLD, TAXONOMY, EVENLY, replace(RATIO, quality="logistic", logistic=L1Config(c))))
        for c in (1e-3, 0.05, 1.0)
    ]
    assert sizes[0] == 0 < sizes[1] < sizes[2]


@pytest.mark.parametrize("quality", ["logistic", "ratio"])
def test_links_come_best_first_with_positive_weights_and_enough_support(quality):
    links = mine_links(WORLD, TAXONOMY, EVENLY, LinkConfig(quality=quality))
    assert (np.diff(links.weight) <= 0).all()
    assert (links.weight > 0).all()
    assert (links.hires >= 3).all()
    assert (links.hires >= links.no_hires / 5).all()
    assert len(set(zip(links.seeker, links.job, strict=True))) == len(set(links.link_ids)) == len(links)


def test_counts_match_a_plain_loop_over_the_hires():
    links = mine_links(WORLD, TAXONOMY, EVENLY, RATIO)
    attributes = seeker_attributes(WORLD, TAXONOMY)
    for i in range(len(links)):
        wanted = sum(
            set(links.seeker[i]) <= set(mine) and set(links.job[i]) <= set(job_attributes(target, TAXONOMY))
            for mine, target in zip(attributes, WORLD.target.tolist(), strict=True)
        )
        assert links.hires[i] == wanted


def test_the_same_seed_gives_the_same_links_whatever_happened_before():
    first = mine_links(WORLD, TAXONOMY, EVENLY, LinkConfig(seed=3))
    np.random.default_rng().random(10)
    again = mine_links(WORLD, TAXONOMY, EVENLY, LinkConfig(seed=3))
    other = mine_links(WORLD, TAXONOMY, EVENLY, LinkConfig(seed=4))
    assert first.link_ids == again.link_ids
    np.testing.assert_array_equal(first.weight, again.weight)
    assert first.no_hires.tolist() != other.no_hires.tolist()


def test_links_speak_of_what_templates_permit_only():
    kinds = {attribute.split("=", 1)[0] for row in seeker_attributes(WORLD, TAXONOMY) for attribute in row}
    assert kinds == {"occupation", "past_occupation", "section", "major", "education"} == {s for s, _ in SIMPLE}
    links = mine_links(WORLD, TAXONOMY, EVENLY, RATIO)
    for seeker, job in zip(links.seeker, links.job, strict=True):
        assert (seeker[0].split("=")[0], job[0].split("=")[0]) in SIMPLE


def test_a_link_set_says_where_its_pairs_without_hire_came_from():
    turned_down = examples(*[(["10"], "11", UNKNOWN)] * 6)
    links = mine_links(FOUR_HIRES, TAXONOMY, ONLY_31, RATIO, turned_down, turned_down.take(slice(0, 2)))
    assert links.source == "applications 1.5, impressions 0.5, sampled 3 a hire; each counts 0.2"


def test_conjunctions_join_what_single_values_can_not_tell():
    # neither schooling nor occupation decides, both together do
    rows = [(["10"], "11", 12), (["10"], "31", 16), (["20"], "31", 12), (["20"], "11", 16)] * 20
    both = np.array([0, 1.0, 0, 0, 0, 1.0])
    templates = (("occupation", "occupation"), ("education", "occupation"))
    config = LinkConfig(quality="ratio", candidates=CandidateConfig(templates))
    links = mine_links(examples(*rows), TAXONOMY, both, config)
    assert set(zip(links.seeker[:4], links.job[:4], strict=True)) == {
        (("education=<=12", "occupation=10"), ("occupation=11",)),
        (("education=<=16", "occupation=10"), ("occupation=31",)),
        (("education=<=12", "occupation=20"), ("occupation=31",)),
        (("education=<=16", "occupation=20"), ("occupation=11",)),
    }


def test_links_that_fire_on_the_pairs_of_a_shorter_one_are_dropped():
    config = LinkConfig(quality="ratio", candidates=CandidateConfig((*SIMPLE, ("education", "occupation"))))
    everything = mine_links(WORLD, TAXONOMY, EVENLY, replace(config, drop_redundant=False))
    links = mine_links(WORLD, TAXONOMY, EVENLY, config)
    assert set(links.link_ids) < set(everything.link_ids)
    assert not any({"occupation=10", "section=A"} <= set(side) for side in links.seeker + links.job)
    assert any({"occupation=10", "section=A"} <= set(side) for side in everything.seeker)


def test_at_most_the_largest_design_is_weighed():
    few = mine_links(WORLD, TAXONOMY, EVENLY, replace(RATIO, largest_design=5))
    assert 0 < len(few) <= 5
    assert set(few.link_ids) < set(mine_links(WORLD, TAXONOMY, EVENLY, RATIO).link_ids)


@pytest.mark.parametrize("config", [at_least(10_000), LinkConfig(logistic=L1Config(inverse_penalty=1e-9))])
def test_no_link_is_an_answer_too(config):
    links = mine_links(WORLD, TAXONOMY, EVENLY, config)
    assert len(links) == 0
    assert links.of_seeker(["occupation=10"]) == []
    assert links.terms_of_job(job_attributes(0, TAXONOMY)) == []


def test_nothing_to_learn_from_is_refused():
    for nothing in (WORLD.take(slice(0, 0)), examples((["10"], None, UNKNOWN))):
        with pytest.raises(DataError, match="no hire to learn links from"):
            mine_links(nothing, TAXONOMY, EVENLY)


@pytest.mark.parametrize(
    "setting", [{"threshold": -0.1}, {"largest_design": 0}, {"quality": "hope"}, {"past_items": -1}]
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError):
        LinkConfig(**setting)


def test_links_that_speak_against_a_hire_are_no_targets_but_listed():
    # either skill helps, both together help less than either: the pair of them needs a weight below 0
    bags = [["skill=a"], ["skill=b"], ["skill=a", "skill=b"], ["skill=c"]]
    seeker = np.repeat(np.arange(4), 80)
    hired = np.concatenate([np.arange(80) < hires for hires in (60, 60, 20, 0)])
    pairs = link_pairs(bags, [["skill=j"]], seeker, np.zeros(320, int), hired, np.where(hired, 1, 0.2))
    mined = mine(pairs, LinkConfig(logistic=L1Config(10.0), candidates=CandidateConfig((("skill", "skill"),))))
    assert set(mined.links.seeker) == {("skill=a",), ("skill=b",)}
    assert mined.against.seeker == (("skill=a", "skill=b"),)
    assert (mined.links.weight > 0).all()
    assert (mined.against.weight < 0).all()
    assert mined.survivors == mined.candidates == 3
