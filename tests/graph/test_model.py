"""The network and its artefact, with random weights: what holds for every model holds here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graph.bipartite import Examples, hetero_data
from graph.model import Calibrators, HireModel
from graph.network.copy_path import COPY_PATHS
from graph.network.encoders import ENCODERS
from graph.network.gnn import HireGNN, ModelConfig
from market.errors import ArtefactError, ConfigError
from market.taxonomy import build_taxonomy

TAXONOMY = build_taxonomy(
    "toy", [(str(100 + c), f"Occupation {c}", f"section {c // 2}", f"major {c // 4}") for c in range(8)]
)
WIDTHS = ModelConfig(width=8, heads=2, hidden=12, seeker=6, memory=3, periods=4)


def seekers(*histories, year=2004.5):
    """One instance per history of occupations (oldest first), a year apart, the newest a year before `year`."""
    lengths = np.array([len(history) for history in histories])
    stop = np.cumsum(lengths)
    years = [year - len(history) + j for history in histories for j in range(len(history))]
    return Examples(
        person=np.arange(len(histories), dtype=np.int32),
        start=stop - lengths,
        stop=stop,
        item_occupation=np.array([o for history in histories for o in history], np.int32),
        item_year=np.array(years, np.float32),
        year=np.full(len(histories), year, np.float32),
        education_years=np.where(np.arange(len(histories)) % 2, 12, np.nan).astype(np.float32),
        target=np.full(len(histories), -1, np.int32),
    )


SEEKERS = seekers((0,), (1, 2, 1, 3), (), (5, 99), (99,), (7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 7))


def random_model(members=1, calibrators=None, widths=WIDTHS, encoders=("attention", "gru", "mean", "transformer")):
    torch.manual_seed(5)
    nets = []
    for number in range(members):
        net = HireGNN(TAXONOMY, replace(widths, encoder=encoders[number % len(encoders)]))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.normal_(std=0.5)
            net.attribute_mean[1], net.attribute_scale[1] = 2002, 2
            net.year_range.copy_(torch.tensor([2000.5, 2003.5]))
        nets.append(net.eval())
    rng = np.random.default_rng(0)
    return HireModel(
        TAXONOMY,
        widths,
        tuple(nets),
        transitions=rng.integers(0, 9, (8, 8)).astype(float),
        outcomes=rng.integers(80, 99, 8).astype(float),
        seen=np.arange(8) != 6,
        calibrators=calibrators or Calibrators(1.3, 0.9, 0.2),
        training={"seed": 3},
    )


def scores_of(model, examples):
    """float32[n, C]: dot product plus copies, -inf at the current occupation: from the reading alone."""
    reading = model.read(examples)
    scores = reading.vectors @ model.occupation_vectors.T
    np.add.at(scores, (reading.instance, reading.occupation), reading.weight)
    has = reading.current >= 0
    scores[has, reading.current[has]] = -np.inf
    return scores


GATED = replace(WIDTHS, copy="gated")
EVERY_KIND = [
    *(replace(WIDTHS, copy=copy) for copy in COPY_PATHS),
    *(replace(GATED, encoder=encoder) for encoder in ENCODERS),
    replace(WIDTHS, smoothing=2, titles=3),
]


@pytest.mark.parametrize("widths", EVERY_KIND, ids=lambda w: f"{w.encoder}-{w.copy}-{w.smoothing}")
def test_reading_as_dot_products_is_the_network_itself(widths):
    model = random_model(calibrators=Calibrators(), widths=widths, encoders=(widths.encoder,))
    with torch.no_grad():
        scores, stay = model.members[0].change_scores(hetero_data(SEEKERS, 8))
    np.testing.assert_allclose(scores_of(model, SEEKERS), scores.numpy(), rtol=1e-5, atol=1e-5)
    has = model.read(SEEKERS).current >= 0
    np.testing.assert_allclose(model.read(SEEKERS).stay[has], stay.numpy()[has], rtol=1e-5)


def test_members_are_averaged_as_scores_and_divided_by_the_temperature():
    model = random_model(members=3, widths=GATED)
    alone = [scores_of(replace(model, members=(member,)), SEEKERS) for member in model.members]
    np.testing.assert_allclose(scores_of(model, SEEKERS), np.mean(alone, axis=0), rtol=1e-4, atol=1e-5)
    cold = replace(model, calibrators=replace(model.calibrators, temperature=1.0))
    np.testing.assert_allclose(scores_of(model, SEEKERS) * 1.3, scores_of(cold, SEEKERS), rtol=1e-4, atol=1e-5)


def test_vectors_of_the_default_widths_have_256_coordinates():
    widths = ModelConfig()
    assert widths.seeker + widths.memory + 1 == 256


def test_batch_equals_one_by_one():
    model = random_model(members=4, widths=GATED)
    single = [scores_of(model, SEEKERS.take(slice(i, i + 1))) for i in range(len(SEEKERS))]
    np.testing.assert_allclose(scores_of(model, SEEKERS), np.concatenate(single), rtol=1e-4, atol=1e-5)


def test_no_instances_give_no_rows():
    reading = random_model().read(SEEKERS.take(slice(0, 0)))
    assert reading.vectors.shape == (0, 10)
    assert len(reading.stay) == len(reading.instance) == 0


def test_nobody_without_a_known_current_occupation_stays():
    reading = random_model().read(SEEKERS)
    assert reading.current.tolist() == [0, 3, -1, -1, -1, 7]
    assert np.isneginf(reading.stay).tolist() == [False, False, True, True, True, False]


def test_years_beyond_training_are_read_as_the_last_year():
    model = random_model()
    late, last = (model.read(seekers((1, 2), year=year)) for year in (2050.5, 2003.5))
    np.testing.assert_allclose(late.vectors, last.vectors, rtol=1e-5)
    np.testing.assert_allclose(late.stay, last.stay, rtol=1e-5)


def test_only_the_newest_twelve_items_speak():
    model = random_model(members=4, widths=GATED)
    history = tuple(np.random.default_rng(0).integers(0, 8, 12))
    longer, other = (model.read(seekers((old, *history))) for old in (0, 5))
    np.testing.assert_array_equal(longer.vectors, other.vectors)


def test_popularity_is_smoothed_and_that_of_changes_leaves_stays_out():
    model = replace(random_model(), outcomes=np.arange(8.0), transitions=np.eye(8))
    assert model.popularity.sum() == pytest.approx(1)
    assert model.popularity[0] == pytest.approx(1 / (28 + 8))
    with_changes = replace(model, outcomes=np.arange(8.0) + 1)
    assert with_changes.change_popularity == pytest.approx(np.arange(8) / 28)


def test_artefact_gives_the_same_scores_and_names_its_seed(tmp_path):
    model = random_model(members=4, widths=replace(GATED, smoothing=1, titles=3))
    model.save(tmp_path / "model", inputs={"careers": "abc"})
    again = HireModel.load(tmp_path / "model")
    assert [member.config.encoder for member in again.members] == ["attention", "gru", "mean", "transformer"]
    np.testing.assert_array_equal(scores_of(model, SEEKERS), scores_of(again, SEEKERS))
    np.testing.assert_array_equal(model.transitions, again.transitions)
    np.testing.assert_array_equal(model.seen, again.seen)
    assert again.taxonomy.codes == TAXONOMY.codes
    assert again.calibrators == model.calibrators
    assert again.training == {"seed": 3}
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [".json", ".json", ".json", ".safetensors"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"encoder": "lstm"}, "encoder has to be one of attention, mean, gru, transformer, not 'lstm'"),
        ({"copy": "always"}, "copy has to be one of none, rank, gated"),
        ({"width": 0}, "at least 1"),
        ({"width": 10, "heads": 4}, "multiple of heads 4"),
        ({"smoothing": -1}, "at least 0"),
        ({"dropout": 1.0}, "dropout in"),
    ],
)
def test_networks_that_can_not_be_built_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**setting)


def test_a_model_of_a_later_format_is_refused(tmp_path):
    random_model().save(tmp_path / "model")
    manifest = tmp_path / "model" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(ArtefactError, match="format"):
        HireModel.load(tmp_path / "model")


def test_a_model_written_in_format_1_answers_as_it_did():
    model = HireModel.load(Path(__file__).parent / "artefacts" / "hire_model_format_1")
    assert (model.config.encoder, model.config.copy, len(model.members)) == ("attention", "rank", 2)
    scores = scores_of(model, SEEKERS)
    expected = [-np.inf, -1.7343, 1.3519, -0.9937, 0.5368, 1.8744, 0.1671, -2.0481]
    np.testing.assert_allclose(scores[0], expected, atol=1e-3)
    expected = [-3.8569, -3.2161, -2.4092, -np.inf, 4.1693, 4.3237, -4.2268, -4.0010]
    np.testing.assert_allclose(scores[1], expected, atol=1e-3)
    stay = [-2.0916, 0.1355, -np.inf, -np.inf, -np.inf, -1.2298]
    np.testing.assert_allclose(model.read(SEEKERS).stay, stay, atol=1e-3)


def test_damaged_artefact_is_refused(tmp_path):
    random_model().save(tmp_path / "model")
    weights = tmp_path / "model" / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtefactError, match="is damaged"):
        HireModel.load(tmp_path / "model")
