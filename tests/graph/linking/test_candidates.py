"""Candidates beside a plain twin that combines meta links in sets and dictionaries."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.linking.candidates import LARGEST_K, CandidateConfig, find_candidates
from graph.linking.pairs import link_pairs
from market.errors import ConfigError, DataError

KINDS = ("occupation", "section", "education", "skill")
ALIKE = tuple((kind, kind) for kind in KINDS)
ACROSS = (("skill", "skill"), ("skill", "occupation"), ("occupation", "occupation"), ("occupation", "section"))


def hires_of(bags):
    """Pairs that are all hires, one seeker and one job each."""
    seekers, jobs = zip(*bags, strict=True)
    rows = np.arange(len(bags))
    return link_pairs(seekers, jobs, rows, rows, np.ones(len(bags), bool))


def in_words(found, pairs):
    """{(seeker values, job values): hires that propose it}"""
    return {
        (
            tuple(pairs.seeker_words[t] for t in found.seeker.row(i)),
            tuple(pairs.job_words[t] for t in found.job.row(i)),
        ): int(found.proposed[i])
        for i in range(len(found))
    }


def kind_of(value):
    return value.partition("=")[0]


def meta_links(mine, theirs, templates):
    return {(a, b) for a in mine for b in theirs if (kind_of(a), kind_of(b)) in templates}


def twin(bags, config):
    """Every candidate with its hires before the minimum, the plain way."""
    proposals = [meta_links(*bag, config.templates) for bag in bags]
    hires = Counter(meta for found in proposals for meta in found)
    counted = Counter()
    for found in proposals:
        often = sorted((meta for meta in found if hires[meta] >= config.minimum_hires), key=lambda m: (hires[m], m))
        alike, chosen = Counter(), []
        for meta in often:
            template = (kind_of(meta[0]), kind_of(meta[1]))
            if alike[template] < config.largest_per_template and len(chosen) < config.largest_k:
                alike[template] += 1
                chosen.append(meta)
        counted.update(
            {
                (tuple(sorted({a for a, _ in some})), tuple(sorted({b for _, b in some})))
                for size in range(1, min(config.largest_size, len(chosen)) + 1)
                for some in combinations(chosen, size)
            }
        )
    return counted


VALUES = st.integers(0, 2)
SKILLS = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def a_bag(draw):
    single = [f"{kind}={draw(VALUES)}" for kind in KINDS[:3] if draw(st.booleans())]
    return single + [f"skill={skill}" for skill in draw(SKILLS)]


WORLDS = st.lists(st.tuples(a_bag(), a_bag()), min_size=1, max_size=12)
CONFIGS = st.builds(
    CandidateConfig,
    templates=st.sampled_from([ALIKE, ACROSS, (("skill", "skill"),)]),
    minimum_hires=st.integers(1, 3),
    largest_k=st.integers(1, 6),
    largest_per_template=st.integers(1, 4),
    largest_size=st.integers(1, 6),
    partitions=st.sampled_from([1, 3]),
)


@given(WORLDS, CONFIGS)
@settings(max_examples=200, deadline=None)
def test_candidates_are_those_of_the_plain_twin(bags, config):
    pairs = hires_of(bags)
    expected = twin(bags, config)
    found = find_candidates(pairs, config)
    assert in_words(found, pairs) == {link: n for link, n in expected.items() if n >= config.minimum_hires}
    assert (found.distinct, found.enumerated) == (len(expected), sum(expected.values()))


@pytest.mark.parametrize("k", range(1, 8))
def test_k_meta_links_over_single_valued_attributes_give_two_to_the_k_less_one_candidates(k):
    kinds = ("occupation", "section", "major", "education", "skill", "seniority", "industry")[:k]
    bag = [f"{kind}=a" for kind in kinds]
    config = CandidateConfig(tuple((kind, kind) for kind in kinds), minimum_hires=1)
    found = find_candidates(hires_of([(bag, bag)]), config)
    assert len(found) == found.distinct == found.enumerated == 2**k - 1


def test_a_candidate_counts_once_a_hire_however_many_combinations_lead_to_it():
    # skills a, b on both sides: of the 15 combinations of 4 meta links 9 sets of values are left
    bag = (["skill=a", "skill=b"], ["skill=a", "skill=b"])
    config = CandidateConfig((("skill", "skill"),), minimum_hires=2, largest_per_template=4)
    found = find_candidates(hires_of([bag, bag]), config)
    assert found.proposed.tolist() == [2] * 9


def test_the_rarest_meta_links_that_can_survive_come_first():
    common = (["skill=c", "skill=b"], ["skill=c"])
    rare = (["skill=c", "skill=b", "skill=once"], ["skill=c"])
    bags = [common, common, (["skill=c"], ["skill=c"]), rare]
    config = CandidateConfig((("skill", "skill"),), minimum_hires=2, largest_k=1)
    # of the last hire's meta links "once" has too few hires, b -> c has 3 and c -> c has 4: b -> c is its one proposal
    assert in_words(find_candidates(hires_of(bags), config), hires_of(bags)) == {(("skill=b",), ("skill=c",)): 3}


def test_a_link_has_at_most_the_largest_size_in_meta_links():
    bag = [f"{kind}=a" for kind in KINDS]
    found = find_candidates(hires_of([(bag, bag)]), CandidateConfig(ALIKE, minimum_hires=1, largest_size=2))
    assert len(found) == 4 + 6
    assert np.diff(found.seeker.start).max() == 2


def random_world(hires, seed=0):
    rng = np.random.default_rng(seed)

    def side():
        return [f"occupation={rng.integers(4)}", *(f"skill={s}" for s in rng.integers(9, size=3))]

    return [(side(), side()) for _ in range(hires)]


def test_counting_in_blocks_on_disk_gives_the_same_bytes_and_leaves_nothing(tmp_path):
    pairs = hires_of(random_world(4000))
    whole = find_candidates(pairs, CandidateConfig(ACROSS))
    blocks = find_candidates(pairs, CandidateConfig(ACROSS, block_keys=1 << LARGEST_K, partitions=7), tmp_path)
    assert whole.enumerated > 20 << LARGEST_K
    for side in ("seeker", "job"):
        np.testing.assert_array_equal(getattr(whole, side).tokens, getattr(blocks, side).tokens)
        np.testing.assert_array_equal(getattr(whole, side).start, getattr(blocks, side).start)
    np.testing.assert_array_equal(whole.proposed, blocks.proposed)
    assert whole.distinct == blocks.distinct
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_nothing_on_disk_either(tmp_path):
    pairs = hires_of(random_world(2000))

    def stop(words):
        if words.startswith("enumerated") and any(tmp_path.iterdir()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_candidates(pairs, CandidateConfig(ACROSS, block_keys=1 << LARGEST_K), tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_the_order_of_hires_does_not_matter():
    bags = random_world(300)
    one, other = hires_of(bags), hires_of(bags[::-1])
    assert in_words(find_candidates(one), one) == in_words(find_candidates(other), other)


def test_hires_without_a_permitted_pair_of_values_have_no_candidates():
    found = find_candidates(hires_of([(["skill=a"], []), ([], ["skill=a"]), (["skill=a"], ["occupation=b"])] * 3),
                            CandidateConfig((("skill", "skill"),)))  # fmt: skip
    assert (len(found), found.distinct, found.enumerated) == (0, 0, 0)


def test_pairs_without_any_hire_are_refused():
    pairs = hires_of([(["skill=a"], ["skill=a"])])
    with pytest.raises(DataError, match="no hire to learn links from"):
        find_candidates(pairs.take(np.zeros(1, bool)))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"templates": (("star_sign", "skill"),)}, "unknown kind"),
        ({"templates": (("skill", "past_occupation"),)}, "unknown kind"),
        ({"templates": ()}, "empty"),
        ({"templates": (("skill", "skill"),) * 2}, "twice"),
        ({"largest_k": 0}, "largest_k is 0, expected 1 to 12"),
        ({"largest_k": 13}, "largest_k is 13"),
        ({"minimum_hires": 0}, "minimum_hires"),
        ({"largest_size": 0}, "largest_size"),
        ({"largest_per_template": 0}, "largest_per_template"),
        ({"partitions": 0}, "partitions"),
        ({"block_keys": 1}, "block_keys"),
    ],
)
def test_impossible_settings_are_refused(setting, says):
    with pytest.raises(ConfigError, match=says):
        CandidateConfig(**setting)
