"""Training on a world where the next occupation is known: a ring, with a habit of going back."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from graph.affinity import Affinity
from graph.bipartite import Examples, examples_from_careers
from graph.model import HireModel
from graph.network.gnn import ModelConfig
from graph.train import TrainConfig, decay_for, device_of, fit
from market.artefacts import digest_of_tree
from market.careers import Careers
from market.errors import ConfigError, DataError
from market.taxonomy import build_taxonomy

C = 12
TAXONOMY = build_taxonomy(
    "ring", [(str(c), f"Occupation {c}", f"section {c // 3}", f"major {c // 6}") for c in range(C)]
)
WIDTHS = ModelConfig(width=16, heads=2, hidden=16, seeker=16, memory=8)
QUICK = TrainConfig(epochs=4, batch=128, learning_rate=1e-2, weight_decay=0.02, model=WIDTHS)


def ring(persons=300, years=7, seed=0):
    """Odd occupations are kept with chance .6, even ones with .1; a change goes from o to o + 1, 1 in 10 anywhere."""
    rng = np.random.default_rng(seed)
    occupation = np.zeros((persons, years), np.int32)
    occupation[:, 0] = rng.integers(0, C, persons)
    for t in range(1, years):
        now = occupation[:, t - 1]
        stays = rng.random(persons) < np.where(now % 2, 0.6, 0.1)
        change = np.where(rng.random(persons) < 0.1, rng.integers(0, C, persons), (now + 1) % C)
        occupation[:, t] = np.where(stays, now, change)
    return Careers(
        person_ids=tuple(map(str, range(persons))),
        person=np.repeat(np.arange(persons), years).astype(np.int32),
        year=np.tile(np.arange(1990, 1990 + years), persons).astype(np.int16),
        occupation=occupation.ravel(),
        education_years=np.full(persons * years, np.nan, np.float32),
        taxonomy=TAXONOMY,
    )


EXAMPLES = examples_from_careers(ring())


@pytest.fixture(scope="module")
def model():
    return fit(EXAMPLES, TAXONOMY, replace(QUICK, epochs=16))


def test_a_planted_transition_is_learned_for_people_never_seen(model):
    strangers = examples_from_careers(ring(persons=50, seed=9))
    change = Affinity(model).change_probabilities(strangers)
    successor = (strangers.current + 1) % C
    assert (change.argmax(axis=1) == successor).mean() > 0.95
    assert 0.8 < change[np.arange(len(strangers)), successor].mean() < 0.98


def test_stayers_are_told_from_movers(model):
    strangers = examples_from_careers(ring(persons=50, seed=9))
    stay = Affinity(model).stay_probability(strangers)
    assert stay[strangers.current % 2 == 1].mean() == pytest.approx(0.6, abs=0.08)
    assert stay[strangers.current % 2 == 0].mean() == pytest.approx(0.1, abs=0.08)


def test_the_model_keeps_the_counts_of_all_instances(model):
    assert model.outcomes.sum() == model.transitions.sum() == len(EXAMPLES)
    assert np.diag(model.transitions).sum() == len(EXAMPLES) - EXAMPLES.changed.sum()
    assert model.seen.all()
    assert model.training["epochs"] == 16


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_caller_alone(tmp_path):
    mixed = {"members": 2, "encoders": ("attention", "gru"), "backwards": 0.3, "model": replace(WIDTHS, copy="gated")}
    config = replace(QUICK, epochs=1, validation_share=0.2, **mixed)
    threads = torch.get_num_threads()
    digests = []
    for name, seed, caller_seed in (("a", 1, 0), ("b", 1, 99), ("c", 2, 0)):
        torch.manual_seed(caller_seed)
        expected = torch.rand(1)
        torch.manual_seed(caller_seed)
        fit(EXAMPLES, TAXONOMY, replace(config, seed=seed)).save(tmp_path / name)
        assert torch.rand(1) == expected
        digests.append(digest_of_tree(tmp_path / name))
    assert digests[0] == digests[1] != digests[2]
    assert torch.get_num_threads() == threads


def test_saved_model_answers_the_same(model, tmp_path):
    model.save(tmp_path / "model")
    again = HireModel.load(tmp_path / "model")
    some = EXAMPLES.take(slice(0, 20))
    np.testing.assert_array_equal(Affinity(model).log_lift(some), Affinity(again).log_lift(some))


def test_seekers_without_a_history_can_be_trained_on_and_asked_about():
    firsts = EXAMPLES.take(EXAMPLES.first)
    nothing_known = replace(firsts, start=firsts.stop, target=np.full(len(firsts), 4, np.int32))
    model = fit(nothing_known, TAXONOMY, replace(QUICK, epochs=8))
    assert Affinity(model).probabilities(nothing_known.take(slice(0, 1))).argmax() == 4
    assert model.transitions.sum() == 0


def test_progress_ends_at_one():
    seen = []
    fit(
        EXAMPLES, TAXONOMY, replace(QUICK, epochs=2, members=2), progress=lambda share, note: seen.append((share, note))
    )
    assert [share for share, _ in seen] == [0.25, 0.5, 0.75, 1.0]
    assert seen[-1][1].startswith("member 2/2 epoch 2/2 loss ")


def test_equal_weights_of_any_size_are_no_weights(model):
    weighted = fit(EXAMPLES, TAXONOMY, replace(QUICK, epochs=2), weights=np.full(len(EXAMPLES), 7.0))
    plain = fit(EXAMPLES, TAXONOMY, replace(QUICK, epochs=2))
    some = EXAMPLES.take(slice(0, 50))
    np.testing.assert_allclose(Affinity(weighted).log_lift(some), Affinity(plain).log_lift(some), atol=0.02)


def test_an_instance_of_weight_zero_teaches_nothing():
    lies = replace(EXAMPLES, target=np.where(EXAMPLES.changed, 0, EXAMPLES.target).astype(np.int32))
    both = replace(
        EXAMPLES,
        **{
            name: np.concatenate([getattr(EXAMPLES, name), getattr(lies, name)])
            for name in ("person", "start", "stop", "year", "education_years", "target")
        },
    )
    truth = np.arange(len(both)) < len(EXAMPLES)
    model = fit(both, TAXONOMY, replace(QUICK, epochs=8), weights=truth.astype(float))
    strangers = examples_from_careers(ring(persons=50, seed=9))
    likely = Affinity(model).change_probabilities(strangers).argmax(axis=1)
    assert (likely == (strangers.current + 1) % C).mean() > 0.9


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(3), "one weight an instance"),
        (np.where(np.arange(len(EXAMPLES)) == 4, -1.0, 1.0), "weights, row 4: -1.0 is no weight"),
        (np.where(np.arange(len(EXAMPLES)) == 5, np.nan, 1.0), "row 5: nan"),
        (np.zeros(len(EXAMPLES)), "sum to 0"),
    ],
)
def test_numbers_that_can_not_be_weights_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        fit(EXAMPLES, TAXONOMY, QUICK, weights=weights)


KINDS = [
    {"model": replace(WIDTHS, copy="gated")},
    {"model": replace(WIDTHS, encoder="gru")},
    {"model": replace(WIDTHS, encoder="transformer")},
    {"model": replace(WIDTHS, smoothing=2)},
    {"hard_negatives": 0.3},
    {"members": 2, "encoders": ("attention", "gru")},
]


@pytest.mark.parametrize("change", KINDS, ids=["gated", "gru", "transformer", "smoothed", "hard", "two kinds"])
def test_every_kind_of_network_learns_the_planted_transition(change):
    model = fit(EXAMPLES, TAXONOMY, replace(QUICK, epochs=8, **change))
    strangers = examples_from_careers(ring(persons=50, seed=9))
    likely = Affinity(model).change_probabilities(strangers).argmax(axis=1)
    assert (likely == (strangers.current + 1) % C).mean() > 0.95


def going_back_and_forth(persons=300, seed=0):
    """People between two occupations of their own, both drawn at random: nothing but the own past tells the next."""
    rng = np.random.default_rng(seed)
    pair = np.stack([rng.permutation(C)[:2] for _ in range(persons)])  # [persons, 2]
    careers = ring(persons, 6)
    return replace(careers, occupation=pair[:, np.arange(6) % 2].ravel().astype(np.int32))


@pytest.mark.parametrize(("copy", "finds"), [("none", False), ("rank", True), ("gated", True)])
def test_only_a_copy_path_finds_the_way_back_at_once(copy, finds):
    examples = examples_from_careers(going_back_and_forth())
    model = fit(examples, TAXONOMY, replace(QUICK, epochs=3, model=replace(WIDTHS, copy=copy)))
    strangers = examples_from_careers(going_back_and_forth(60, seed=5))
    later = strangers.take(strangers.lengths >= 2)
    right = (Affinity(model).change_probabilities(later).argmax(axis=1) == later.target).mean()
    assert (right > 0.9) == finds


def test_careers_read_backwards_teach_transitions_but_are_not_counted():
    config = replace(QUICK, epochs=8, backwards=0.3)
    model = fit(EXAMPLES, TAXONOMY, config)
    assert model.outcomes.sum() == len(EXAMPLES)
    strangers = examples_from_careers(ring(persons=50, seed=9))
    change = Affinity(model).change_probabilities(strangers)
    # Read backwards the ring turns the other way, the worst that can happen; the network is told the direction.
    assert (change.argmax(axis=1) == (strangers.current + 1) % C).mean() > 0.95
    stay = Affinity(model).stay_probability(strangers)
    assert stay[strangers.current % 2 == 1].mean() == pytest.approx(0.6, abs=0.08)


def test_titles_are_read_by_a_model_that_asks_for_them():
    titles = np.eye(C, 5, dtype=np.float32)
    model = fit(EXAMPLES, TAXONOMY, replace(QUICK, model=replace(WIDTHS, titles=5)), titles=titles)
    np.testing.assert_array_equal(model.members[0].title_vectors[:-1].numpy(), titles)
    for wrong in (None, titles[:, :4], titles[:3]):
        with pytest.raises(ConfigError, match="the model reads titles: give float32"):
            fit(EXAMPLES, TAXONOMY, replace(QUICK, model=replace(WIDTHS, titles=5)), titles=wrong)


def test_without_a_cuda_device_auto_is_the_cpu_and_cuda_is_refused():
    if torch.cuda.is_available():
        assert device_of(TrainConfig(device="auto")).type == "cuda"
    else:
        assert device_of(TrainConfig(device="auto")).type == "cpu"
        with pytest.raises(ConfigError, match="no CUDA device"):
            fit(EXAMPLES, TAXONOMY, replace(QUICK, device="cuda"))


def test_fewer_instances_are_shrunk_harder():
    assert decay_for(100_000, TrainConfig()) == 1
    assert decay_for(25_000, TrainConfig()) == 2
    assert decay_for(10, TrainConfig()) == 5


def test_careers_without_any_change_are_refused():
    stays = EXAMPLES.take(~EXAMPLES.changed)
    with pytest.raises(DataError, match="no outcome differs"):
        fit(stays, TAXONOMY, QUICK)


def test_occupations_outside_the_taxonomy_are_refused():
    stranger = Examples(**{**vars(EXAMPLES), "target": np.full(len(EXAMPLES), C, np.int32)})
    with pytest.raises(DataError, match="outside the 12 of ring"):
        fit(stranger, TAXONOMY, QUICK)


@pytest.mark.parametrize(
    "setting",
    [
        {"members": 0},
        {"epochs": 0},
        {"validation_share": 1.0},
        {"backwards": -0.1},
        {"hard_negatives": -1},
        {"device": "tpu"},
        {"encoders": ("attention", "lstm")},
    ],
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigError):
        TrainConfig(**setting)
