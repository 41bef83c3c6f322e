"""The judging fold: a fifth of the persons, by their ids alone, apart from all others."""

from bench.judged import GENERATED_PERSONS, one_in, split


def test_a_fifth_judges_and_nobody_of_it_is_among_the_others():
    people = split(None)
    judges, others = set(people.judges.person_ids), set(people.others.person_ids)
    assert not judges & others
    assert len(judges) + len(others) == GENERATED_PERSONS
    assert 0.18 < len(judges) / GENERATED_PERSONS < 0.22


def test_a_fold_depends_on_salt_and_id_alone():
    ids = [str(i) for i in range(1_000)]
    assert [one_in(5, "a", i) for i in ids] == [one_in(5, "a", i) for i in ids]
    both = sum(one_in(5, "a", i) and one_in(5, "b", i) for i in ids)
    assert 20 < both < 60
