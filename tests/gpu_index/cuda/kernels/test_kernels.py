"""Each kernel beside the torch step it stands for: odd sizes, nothing matched, ties, full buffers."""

import numpy as np
import pytest
import torch

from gpu_index.cuda import kernels, twin
from gpu_index.cuda.coarse import Int8Codes, bf16_of
from gpu_index.cuda.mirror import Mirror
from gpu_index.cuda.probe import padded, probe_of
from gpu_index.cuda.score_kernels import fold_order
from gpu_index.cuda.tuning import Tuning
from gpu_index.rows import RowStore
from gpu_index.scoring import exact_dots


class Small:
    """A few hundred rows with masks and queries on the device."""

    def __init__(self, device, rows=150, dim=8, queries=3, precision="float32", boosted=False, rate=0.5, int8=False):
        rng = np.random.default_rng(0)
        store = RowStore({"v": dim}, precision)
        vectors = rng.standard_normal((rows, dim)).astype(np.float32)
        vectors[rows // 2 :] = vectors[: rows - rows // 2]  # every score twice
        if precision == "bf16":
            vectors = (vectors.view(np.uint32) & 0xFFFF0000).view(np.float32)
        store.spaces["v"].put(store.claim(np.arange(rows)), vectors)
        self.mirror = Mirror(store, device)
        self.mirror.refresh()
        self.space = self.mirror.spaces["v"]
        self.coarse = Int8Codes().of("v", self.space) if int8 else bf16_of(self.space)
        bits = rng.random((self.mirror.capacity // 32, padded(queries), 32)) < rate
        bits[:, queries:] = False
        words = np.packbits(bits, axis=2, bitorder="little").view(np.int32)[..., 0]
        self.masks = torch.from_numpy(words).to(device) & self.space.present[:, None]
        totals = rng.standard_normal((2, self.mirror.capacity + 64)) if boosted else np.zeros((0, 64))
        row = np.array([0, -1, 1])[:queries] if boosted else np.full(queries, -1)
        queries = rng.standard_normal((queries, dim)).astype(np.float32)
        sizes = np.full(len(queries), 4.0)
        self.probe = probe_of(queries, torch.from_numpy(totals).to(device), row, sizes, device, int8)


def words(rng, shape, device):
    return torch.from_numpy(rng.integers(-(2**31), 2**31, shape).astype(np.int32)).to(device)


def lists(found, counts, room):
    return [sorted(found[query, : min(count, room)].tolist()) for query, count in enumerate(counts.tolist())]


def test_a_group_is_the_or_of_its_bitmaps_and_an_empty_group_is_empty(device):
    rng = np.random.default_rng(0)
    dense = words(rng, (5, 1030), device)
    rows = torch.tensor([0, 3, 4, 4], dtype=torch.int32, device=device)
    start = torch.tensor([0, 3, 3, 4], dtype=torch.int32, device=device)
    mine = kernels.or_bitmaps(dense, rows, start)
    assert mine.equal(twin.or_bitmaps(dense, rows, start))
    assert not mine[1].any()


def test_no_groups_give_no_bitmaps(device):
    nothing = torch.zeros(0, dtype=torch.int32, device=device)
    start = torch.zeros(1, dtype=torch.int32, device=device)
    assert kernels.or_bitmaps(torch.zeros((0, 4), dtype=torch.int32, device=device), nothing, start).shape == (0, 4)


def test_postings_set_their_bits_once_and_skip_pairs_that_are_gone(device):
    rng = np.random.default_rng(1)
    slots = torch.from_numpy(rng.integers(-1, 200, 1500).astype(np.int32)).to(device)
    pieces = torch.tensor([[0, 0, 1024], [2, 1024, 400], [0, 3, 70], [1, 5, 0]], device=device)
    before = words(rng, (3, 8), device) & words(rng, (3, 8), device)
    mine, theirs = before.clone(), before.clone()
    kernels.or_postings(mine, slots, pieces)
    twin.or_postings(theirs, slots, pieces)
    assert mine.equal(theirs)


@pytest.mark.parametrize("size", [2, 64, 130])
def test_masks_and_counts_of_clauses(device, size):
    rng = np.random.default_rng(2)
    present, groups = words(rng, size, device), words(rng, (4, size + 6), device)
    members = torch.full((16, 3), -1, dtype=torch.int32, device=device)
    members[0, 0], members[1, :2], members[2, :3] = 3, torch.tensor([0, 2]), torch.tensor([0, 1, 2])
    excluded = torch.full((16,), -1, dtype=torch.int32, device=device)
    excluded[1], excluded[4] = 3, 0
    mine, theirs = (steps.match(present, groups, members, excluded) for steps in (kernels, twin))
    assert mine[0].equal(theirs[0])
    assert mine[1].equal(theirs[1])


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize(("dim", "boosted", "every"), [(8, False, 1), (5, True, 2), (130, True, 1), (128, False, 3)])
def test_a_sample_has_the_twins_bounds_up_to_rounding(device, dim, boosted, every, int8):
    small = Small(device, rows=200, dim=dim, boosted=boosted, int8=int8)
    mine, theirs = (steps.sample(small.coarse, small.masks, small.probe, every) for steps in (kernels, twin))
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize(
    ("dim", "queries", "boosted", "skip", "rate"),
    [(8, 3, False, False, 0.5), (5, 3, True, True, 0.02), (130, 3, True, False, 0.5), (1, 40, False, True, 0.1)],
)
def test_a_scan_finds_the_matching_rows_above_the_floor(device, dim, queries, boosted, skip, rate, int8):
    small = Small(device, rows=300, dim=dim, queries=queries, boosted=boosted, rate=rate, int8=int8)
    bounds = twin.bounds(small.coarse, small.probe, torch.arange(300, device=device), 1)
    middle = bounds.mean(dim=0) + 0.1234567  # no bound is that close
    room = 512
    arguments = small.coarse, small.masks, small.probe, middle, room, skip
    mine, theirs = kernels.scan(*arguments), twin.scan(*arguments)
    assert mine[1].any()
    assert mine[1].equal(theirs[1])
    assert lists(*mine, room) == lists(*theirs, room)


def test_a_floor_of_minus_infinity_keeps_every_match_and_nothing_else(device):
    small = Small(device)
    floors = torch.full((16,), float("-inf"), device=device)
    mine = kernels.scan(small.coarse, small.masks, small.probe, floors, 256, False)
    assert lists(*mine, 256) == lists(*twin.compact(small.masks, 256), 256)


def test_a_full_buffer_counts_on_and_never_writes_past_its_end(device):
    small = Small(device, rows=400, rate=1.0)
    floors = torch.full((16,), float("-inf"), device=device)
    found, counts = kernels.scan(small.coarse, small.masks, small.probe, floors, 10, True)
    assert counts[:3].tolist() == [400] * 3
    assert found.shape == (16, 10)
    assert all(len(set(row)) == 10 and max(row) < 400 for row in found[:3].tolist())
    found, counts = kernels.compact(small.masks, 10)
    assert counts[:3].tolist() == [400] * 3


def test_nothing_matched_gives_nothing(device):
    small = Small(device, rate=0.0)
    floors = torch.full((16,), float("-inf"), device=device)
    for counts in (
        kernels.scan(small.coarse, small.masks, small.probe, floors, 8, True)[1],
        kernels.compact(small.masks, 8)[1],
    ):
        assert not counts.any()
    assert kernels.sample(small.coarse, small.masks, small.probe, 1).eq(float("-inf")).all()


@pytest.mark.parametrize(("rows", "queries"), [(10, 1), (1100, 20)])
def test_set_bits_become_slots(device, rows, queries):
    small = Small(device, rows=rows, dim=1, queries=queries, rate=0.3)
    assert lists(*kernels.compact(small.masks, 600), 600) == lists(*twin.compact(small.masks, 600), 600)


@pytest.mark.parametrize(("rows", "sketch"), [(70, 1), (1000, 4)])
def test_rows_with_far_sketches_leave_the_masks(device, rows, sketch):
    small = Small(device, rows=rows, queries=5)
    rng = np.random.default_rng(6)
    sketches, wanted = words(rng, (small.mirror.capacity, sketch), device), words(rng, (16, sketch), device)
    limits = torch.full((16,), 16 * sketch, dtype=torch.int32, device=device)
    limits[0], limits[1] = 32 * sketch, -1
    mine, theirs = (steps.narrow(small.masks, sketches, wanted, limits) for steps in (kernels, twin))
    assert mine[0].equal(theirs[0])
    assert mine[1].equal(theirs[1])
    assert mine[0][:, 0].equal(small.masks[:, 0])
    assert not mine[0][:, 1].any()


def test_weights_are_added_in_float64_and_postings_that_are_gone_are_skipped(device):
    rng = np.random.default_rng(3)
    slots = torch.from_numpy(rng.permutation(1400).astype(np.int32)).to(device)
    slots[::7] = -1
    pieces = torch.tensor([[0, 0, 1024], [0, 1024, 300], [1, 100, 55]], device=device)
    weights = torch.tensor([0.1, 0.1, -1e30], dtype=torch.float64, device=device)
    before = torch.from_numpy(rng.standard_normal((2, 1408))).to(device)
    mine, theirs = before.clone(), before.clone()
    kernels.add_weights(mine, slots, pieces, weights)
    twin.add_weights(theirs, slots, pieces, weights)
    assert mine.equal(theirs)


@pytest.mark.parametrize(
    ("dim", "precision", "boosted"),
    [
        (1, "float32", False),
        (2, "bf16", True),
        (3, "float32", True),
        (33, "bf16", False),
        (100, "float32", False),
        (128, "float32", True),
        (5000, "float32", False),
    ],
)
def test_exact_scores_are_the_twins_bit_for_bit(device, dim, precision, boosted):
    small = Small(device, rows=40, dim=dim, precision=precision, boosted=boosted)
    rng = np.random.default_rng(4)
    found = torch.from_numpy(rng.integers(0, 40, (3, 30)).astype(np.int32)).to(device)
    counts = torch.tensor([30, 0, 17], device=device)
    mine, theirs = (steps.rescore(small.space, small.probe, found[:, :29], counts - 1) for steps in (kernels, twin))
    assert mine.equal(theirs)


@pytest.mark.parametrize("dim", [*range(1, 40), 100, 128, 257, 4095])
def test_folding_the_ordered_leaves_in_halves_is_the_fold_of_the_score(dim):
    rng = np.random.default_rng(dim)
    query, row = rng.standard_normal((2, dim)).astype(np.float32)
    order = fold_order(dim)
    assert sorted(order[order >= 0].tolist()) == list(range(dim))
    leaves = np.where(order >= 0, (query.astype(np.float64) * row)[order], 0.0)
    while len(leaves) > 1:
        leaves = leaves[: len(leaves) // 2] + leaves[len(leaves) // 2 :]
    assert leaves[0] == exact_dots(query, row[None])[0]


@pytest.mark.parametrize(("precision", "first_pass"), [("float32", "bf16"), ("bf16", "bf16"), ("float32", "int8")])
def test_a_short_history_gives_the_answers_of_the_reference(world, bag, clause, device, precision, first_pass):
    rng = np.random.default_rng(5)
    tuning = Tuning(gather_matches=30, sample_every=2, spare=1, rebuild_after=100)
    index = world(6, precision, str(device), steps=kernels, tuning=tuning, first_pass=first_pass)
    where = [None, clause([1, 2]), clause([1, 2], [3], none=[4]), clause([])]
    boosts = [None, {"t=1": 0.5, "t=5": -0.25}, {"t=3": 1e-3}, {"t=7": 1.0}]
    for _ in range(2):
        ids = rng.permutation(300)[:200]
        vectors = rng.standard_normal((200, 6)).astype(np.float32)
        vectors[50:90] = vectors[0]
        index.write(ids, [bag(*rng.integers(0, 9, 3)) for _ in ids], v=vectors)
        index.delete(rng.permutation(300)[:40])
        queries = rng.standard_normal((4, 6)).astype(np.float32)
        index.check(queries, 7, where, boosts)
        index.check(queries, 300, where)
