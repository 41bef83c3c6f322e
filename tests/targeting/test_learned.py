"""Everything learned from logs as one artefact: the same numbers after a round trip, and nothing from damaged files."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from graph.bipartite import Examples
from graph.history import examples_of_profiles
from graph.linking.edits import LinkEdit, append_edit
from graph.linking.no_hires import NoHireConfig
from graph.train import TrainConfig
from market.errors import ArtefactError, ConfigError, DataError
from market.tables import Tables
from targeting.learned import SITE_LINKS, Learned, LearnedConfig, fit_learned, ignored_impressions
from targeting.response import FEATURES
from tests.sim.small_world import small_learned, small_logs, small_world


@pytest.fixture(scope="module")
def learned() -> Learned:
    return small_learned()


@pytest.fixture(scope="module")
def saved(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned") / "artefacts"
    learned.save(folder)
    return folder


def people(n: int = 30) -> Examples:
    rng = np.random.default_rng(0)
    histories = [rng.integers(0, 180, rng.integers(1, 5)).tolist() for _ in range(n)]
    years = [[2010.0 + 2 * i for i in range(len(history))] for history in histories]
    return examples_of_profiles(histories, years, np.full(n, 12.0), 2022.0)


def test_a_round_trip_gives_the_same_numbers(learned: Learned, saved: Path) -> None:
    again = Learned.load(saved)
    assert (again.retrieval(people()) == learned.retrieval(people())).all()
    assert (again.occupation_vectors == learned.occupation_vectors).all()
    features = np.random.default_rng(0).random((20, len(FEATURES))).astype(np.float32)
    assert (again.response.p_click(features) == learned.response.p_click(features)).all()
    assert (again.response.value_per_click(features) == learned.response.value_per_click(features)).all()
    for name in ("wage", "open_jobs", "hires_by_occupation", "seekers_by_occupation"):
        assert getattr(again, name).tolist() == getattr(learned, name).tolist()
    for name in ("qualification", "rarity", "attribute_lift", "metrics"):
        assert getattr(again, name) == getattr(learned, name)
    assert again.links.link_ids == learned.links.link_ids
    assert again.links.weight.tolist() == learned.links.weight.tolist()
    assert again.segments.to_json() == learned.segments.to_json()


def test_saving_again_replaces_what_was_there(learned: Learned, tmp_path: Path) -> None:
    for _ in range(2):
        learned.save(tmp_path / "artefacts")
    assert sorted(path.name for path in (tmp_path / "artefacts").iterdir()) == ["links", "model", "rates"]
    Learned.load(tmp_path / "artefacts")


@pytest.mark.parametrize("part", ["rates", "links", "model"])
def test_a_damaged_file_is_refused_by_name(learned: Learned, tmp_path: Path, part: str) -> None:
    learned.save(tmp_path)
    for file in sorted((tmp_path / part).iterdir()):
        kept = file.read_bytes()
        file.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]) if file.name != "manifest.json" else kept[: len(kept) // 2])
        with pytest.raises(ArtefactError, match="damaged"):
            Learned.load(tmp_path)
        file.unlink()
        with pytest.raises(ArtefactError, match="missing"):
            Learned.load(tmp_path)
        file.write_bytes(kept)
    Learned.load(tmp_path)


def test_an_artefact_of_another_format_is_refused(learned: Learned, tmp_path: Path) -> None:
    learned.save(tmp_path)
    manifest = tmp_path / "rates" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(ArtefactError, match="format 99"):
        Learned.load(tmp_path)


def test_the_same_logs_and_seed_learn_the_same_numbers(learned: Learned) -> None:
    tables = Tables(small_logs(), small_world().careers.taxonomy)
    again, hires = fit_learned(tables, LearnedConfig(train=TrainConfig(epochs=1)))
    assert (again.retrieval(people()) == learned.retrieval(people())).all()
    assert again.response.to_json() == learned.response.to_json()
    assert again.attribute_lift == learned.attribute_lift
    assert again.metrics["hires"] == len(hires) == again.hires_by_occupation.sum()


def test_what_is_learned_counts_people_once_and_jobs_as_shares(learned: Learned) -> None:
    assert learned.open_jobs.sum() == pytest.approx(1)
    logged = len(set(small_logs()["positions"]["seeker_id"].to_pylist()))
    assert learned.seekers_by_occupation.sum() == logged
    assert (learned.wage > 0).all()
    assert len(learned.segments) > 1


def test_the_graph_space_is_the_expected_grade_over_rarity(learned: Learned) -> None:
    """Written plainly for a few people and occupations."""
    forecast = learned.affinity.probabilities(people(4)).astype(float)
    score = learned.retrieval(people(4)) @ learned.occupation_vectors.T
    for o in (0, 17, 93):
        expected = forecast @ learned.grades[:, o]
        common = float(learned.model.popularity @ learned.grades[:, o])
        assert score[:, o] == pytest.approx(expected / common**learned.rarity, rel=1e-4)


def test_attributes_that_point_to_themselves_have_lift(learned: Learned) -> None:
    """People move mostly inside their field, so the same section is likelier than chance."""
    sections = {name: lift for name, lift in learned.attribute_lift.items() if name.startswith("section=")}
    assert np.median(list(sections.values())) > 1
    kinds = {name.split("=")[0] for name in learned.attribute_lift}
    assert kinds == {"occupation", "section", "major", "past_occupation"}


@pytest.mark.parametrize("rarity", [-0.1, 1.1])
def test_a_rarity_out_of_range_is_refused(rarity: float) -> None:
    with pytest.raises(ConfigError, match="rarity"):
        LearnedConfig(rarity=rarity)


def test_logs_that_teach_nothing_are_refused_in_words() -> None:
    logs = dict(small_logs())
    logs["applications"] = logs["applications"].slice(0, 1)
    with pytest.raises(DataError, match="more careers or logs"):
        fit_learned(Tables(logs, small_world().careers.taxonomy), LearnedConfig(train=TrainConfig(epochs=1)))


def test_learned_has_no_field_that_is_not_saved(learned: Learned, saved: Path) -> None:
    again = Learned.load(saved)
    assert all(getattr(again, field.name) is not None for field in fields(Learned))
    assert again.taxonomy.codes == learned.taxonomy.codes


def test_whoever_loads_gets_the_links_as_people_edited_them(learned: Learned, tmp_path: Path) -> None:
    learned.save(tmp_path)
    gone, at = learned.links.link_ids[0], datetime(2024, 1, 1, tzinfo=UTC)
    append_edit(tmp_path, LinkEdit("veto", gone, learned.links.seeker[0], learned.links.job[0], "ann", at, "too broad"))
    assert Learned.load(tmp_path).links.link_ids == learned.links.link_ids[1:]
    learned.save(tmp_path)  # a re-fit into the same directory
    assert gone not in Learned.load(tmp_path).links.position


def test_ignored_impressions_stand_against_links_when_they_are_named_as_a_source() -> None:
    logs = Tables(small_logs(), small_world().careers.taxonomy)
    sources = NoHireConfig(sources=("impressions", "sampled"), observed_per_hire=2.0)
    config = LearnedConfig(train=TrainConfig(epochs=1), links=replace(SITE_LINKS, no_hires=sources))
    learned, hires = fit_learned(logs, config)
    assert "impressions" in learned.links.source
    applied = {(row["seeker_id"], row["job_id"]) for row in logs["applications"].to_pylist()}
    shown = {(row["seeker_id"], row["job_id"]) for row in logs["impressions"].to_pylist()}
    ignored = ignored_impressions(logs, hires)
    assert ignored is not None
    assert 0 < len(ignored) <= logs["impressions"].num_rows
    assert len(np.unique(ignored.person)) <= len({seeker for seeker, _ in shown - applied})
