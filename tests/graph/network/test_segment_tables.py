"""Vectors of the segments: sums over groups, titles, and the neighbours people move between."""

import numpy as np
import pytest
import torch

from graph.network.segment_tables import SegmentTable, neighbours_of
from market.taxonomy import build_taxonomy

TAXONOMY = build_taxonomy(
    "toy", [(str(c), f"Occupation {c}", f"section {c // 2}", f"major {c // 4}") for c in range(5)]
)


def test_a_segment_is_the_sum_of_itself_and_its_groups():
    torch.manual_seed(0)
    table = SegmentTable(TAXONOMY, 3)
    vectors = table(None, None, 0)
    assert vectors.shape == (6, 3)
    expected = table.own.weight[3] + table.of_section.weight[1] + table.of_major.weight[0]
    torch.testing.assert_close(vectors[3], expected)
    unknown = table.own.weight[5] + table.of_section.weight[3] + table.of_major.weight[2]
    torch.testing.assert_close(vectors[5], unknown)


def test_segments_called_alike_share_what_is_learned_of_titles():
    torch.manual_seed(0)
    table = SegmentTable(TAXONOMY, 3, titles=2)
    titles = torch.tensor([[1.0, 0], [1.0, 0], [0, 1.0], [0, 0], [0, 0], [0, 0]])
    added = table(titles, None, 0) - table(torch.zeros(6, 2), None, 0)
    torch.testing.assert_close(added[0], added[1])
    torch.testing.assert_close(added[2], table.of_title.weight[:, 1])
    assert not added[3:].any()


def test_smoothing_is_the_mean_of_the_powers_of_the_matrix():
    torch.manual_seed(0)
    table = SegmentTable(TAXONOMY, 3)
    matrix = torch.rand(6, 6)
    h = table(None, None, 0)
    expected = (h + matrix @ h + matrix @ matrix @ h) / 3
    torch.testing.assert_close(table(None, matrix, 2), expected)


def test_neighbours_are_normalised_on_both_sides():
    # 0 -> 1 twice, 1 -> 0 once, 1 -> 2 once: degrees 3, 4, 1; segment 3 has no neighbour.
    found = neighbours_of(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 2]), 4)
    assert found[0, 1] == found[1, 0] == pytest.approx(3 / np.sqrt(12))
    assert found[1, 2] == pytest.approx(0.5)
    assert found[3].tolist() == [0, 0, 0, 1, 0]
    assert found[4].tolist() == [0, 0, 0, 0, 1]
    assert np.abs(np.linalg.eigvalsh(found)).max() == pytest.approx(1)
