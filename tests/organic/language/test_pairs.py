"""What is drawn as a pair, and what is never told apart."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError, DataError
from organic.language.concepts import Concept, read_esco, read_onet, same_name
from organic.language.held_out import find_held, hold_out
from organic.language.noise import noisy
from organic.language.pairs import ConceptPairs, PairConfig
from tests.organic.language.small_classifications import write_classifications

PLAIN = PairConfig(noisy_share=0, description_share=0, skills_share=0, skills_named=2, vague_above=3, neighbours=2)


@pytest.fixture
def concepts(tmp_path: Path) -> list[Concept]:
    folder = write_classifications(tmp_path)
    return [*read_esco(folder / "esco"), *read_onet(folder / "onet")]


def row(pairs: ConceptPairs, name: str) -> int:
    return next(at for at in range(pairs.names) if same_name(pairs.texts[at]) == same_name(name))


def test_both_texts_of_a_pair_name_one_occupation_and_differ(concepts: list[Concept]) -> None:
    pairs = ConceptPairs(concepts, PLAIN, seed=0)
    names = [{same_name(name) for name in concept.names} for concept in concepts]
    for drawn in islice(pairs.batches(8, 0.0, np.random.default_rng(0)), 30):
        for request, item in zip(drawn.request.tolist(), drawn.item.tolist(), strict=True):
            one, other = same_name(pairs.texts[request]), same_name(pairs.texts[item])
            assert one != other
            assert any({one, other} <= group for group in names)


def test_a_name_of_both_classifications_is_one_text(concepts: list[Concept]) -> None:
    pairs = ConceptPairs(concepts, PLAIN, seed=0)
    forms = [same_name(text) for text in pairs.texts[: pairs.names]]
    assert len(forms) == len(set(forms))
    assert "bread baker" in forms


def test_names_of_one_occupation_are_no_negatives_of_each_other(concepts: list[Concept]) -> None:
    pairs = ConceptPairs(concepts, PLAIN, seed=0)
    asked = np.array([row(pairs, "pastry baker")])
    offered = np.sort([row(pairs, "bread baker"), row(pairs, "arc welder")])
    out = dict(zip(offered.tolist(), pairs.excluded(asked, offered)[0].tolist(), strict=True))
    assert out == {row(pairs, "bread baker"): True, row(pairs, "arc welder"): False}


def test_names_of_different_classifications_are_not_told_apart(concepts: list[Concept]) -> None:
    pairs = ConceptPairs(concepts, PLAIN, seed=0)
    only_esco, only_onet = row(pairs, "ward nurse"), row(pairs, "dough mixer")
    assert pairs.excluded(np.array([only_esco]), np.array([only_onet])).all()
    shared = row(pairs, "bread baker")  # known to both, so it can be told from either's
    assert not pairs.excluded(np.array([only_esco]), np.array([shared])).any()


def test_a_vague_name_is_never_drawn(concepts: list[Concept]) -> None:
    pairs = ConceptPairs(concepts, PairConfig(**{**PLAIN.__dict__, "vague_above": 1}), seed=0)
    operator = row(pairs, "operator")  # a welder in both classifications
    drawn = [d for d in islice(pairs.batches(8, 0.0, np.random.default_rng(0)), 40)]
    assert operator not in {*np.concatenate([d.request for d in drawn]), *np.concatenate([d.item for d in drawn])}
    assert operator not in pairs.inventory


def test_descriptions_and_skills_answer_for_their_occupation(concepts: list[Concept]) -> None:
    config = PairConfig(**{**PLAIN.__dict__, "description_share": 0.5, "skills_share": 0.5})
    pairs = ConceptPairs(concepts, config, seed=0)
    told = {concept.description for concept in concepts} | {"mix dough, heat ovens", "heat ovens, mix dough"}
    items = {pairs.texts[at] for d in islice(pairs.batches(8, 0.0, np.random.default_rng(0)), 40) for at in d.item}
    assert items & told
    assert any(", " in text for text in items)


def test_mined_pairs_come_from_neighbouring_occupations_of_one_classification(concepts: list[Concept]) -> None:
    pairs = ConceptPairs(concepts, PLAIN, seed=0)
    with pytest.raises(ConfigError, match="neighbourhoods"):
        next(pairs.batches(4, 1.0, np.random.default_rng(0)))
    rng = np.random.default_rng(1)
    pairs.neighbourhoods(rng.normal(size=(pairs.names, 8)).astype(np.float32))
    assert len(next(pairs.batches(5, 1.0, rng))) == 5


def test_the_same_seed_draws_the_same_pairs(concepts: list[Concept]) -> None:
    one, two = (ConceptPairs(concepts, PairConfig(skills_named=2), seed=3) for _ in range(2))
    assert one.texts == two.texts
    first, second = (next(p.batches(16, 0.0, np.random.default_rng(5))) for p in (one, two))
    assert (first.request == second.request).all()


def test_occupations_with_one_name_each_teach_nothing() -> None:
    with pytest.raises(DataError, match="two names"):
        ConceptPairs([Concept("a", "1", ("baker",)), Concept("a", "2", ("welder",))], PLAIN, seed=0)


@given(st.text(min_size=1, max_size=60), st.integers(0, 2**31))
def test_a_noisy_title_differs_and_is_a_function_of_its_generator(title: str, seed: int) -> None:
    dressed = noisy(title, np.random.default_rng(seed))
    assert dressed != title
    assert dressed == noisy(title, np.random.default_rng(seed))


def test_held_names_leave_the_concepts_and_preferred_names_stay(concepts: list[Concept]) -> None:
    kept, held = hold_out(concepts, 2)
    assert held
    for before, after in zip(concepts, kept, strict=True):
        assert after.names[0] == before.names[0]
        gone = set(before.names) - set(after.names)
        assert gone == {name.text for name in held if name.code == before.code}
    gone_forms = {same_name(name.text) for name in held}
    assert not any(same_name(name) in gone_forms for concept in kept for name in concept.names[1:])


def test_an_encoder_that_knows_the_answer_finds_every_held_name(concepts: list[Concept]) -> None:
    esco = [concept for concept in concepts if concept.scheme == "esco"]
    kept, held = hold_out(esco, 2)
    code = {same_name(name): concept.code for concept in esco for name in concept.names}
    codes = sorted(set(code.values()))

    def knowing(texts: list[str]) -> np.ndarray:
        out = np.zeros((len(texts), len(codes)), np.float32)
        for at, text in enumerate(texts):
            out[at, codes.index(code.get(same_name(text), codes[0]))] = 1
        return out

    found = find_held(knowing, kept, held)
    assert found["esco"]["mrr"] == 1.0
    assert found["esco"]["n"] == len(held)
