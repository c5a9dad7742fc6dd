# SPDX-License-Identifier: Apache-2.0
"""Schedules are executed edge by edge, as the machine would, and held against their bound."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, eye_array

from gcnloom.scheduling.schedule import schedule
from gcnloom.scheduling.spacing import issue_times
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE, edge_word, order_word

CORA = Path(__file__).parents[2] / ".." / "shared" / "datasets" / "cora.npz"


def execute(plan, config, operand):
    """Run a schedule one edge at a time; return the product and every edge that was added."""
    sums = np.full((config.pes, config.accumulator_depth), 10**9)  # garbage, to miss no `first`
    sums = np.repeat(sums[:, :, None], operand.shape[1], axis=2)
    result, used = [], []
    for block in plan.blocks:
        owner = {}
        entries = order_word(config).unpack(block.order[:, None])
        row = block.rows.start
        for pe, slot, last in zip(*(entries[f] for f in ("pe", "slot", "last")), strict=True):
            assert owner.setdefault((pe, slot), row) == row
            row += last
        assert row == block.rows.stop
        for tile in block.tiles:
            edges = edge_word(config).unpack(tile.beats[:, :, None])
            issued = {}
            for beat, pe in np.argwhere(edges["valid"]):
                slot, weight = edges["slot"][beat, pe], edges["weight"][beat, pe]
                assert beat - issued.get((pe, slot), -HAZARD_DISTANCE) >= HAZARD_DISTANCE
                issued[pe, slot] = beat
                column = tile.columns.start + edges["column"][beat, pe]
                assert column in tile.columns
                old = 0 if edges["first"][beat, pe] else sums[pe, slot]
                sums[pe, slot] = old + weight * operand[column]
                used.append((owner[pe, slot], int(column), int(weight)))
        total = 0
        for pe, slot, last in zip(*(entries[f] for f in ("pe", "slot", "last")), strict=True):
            total = total + sums[pe, slot]
            if last:
                result.append(total)
                total = 0
    return np.array(result), used


def power_law(rng, rows, columns, edges):
    row = (rows * rng.random(edges) ** 3).astype(int)
    column = (columns * rng.random(edges) ** 2).astype(int)
    return np.unique(np.stack([row, column], axis=1), axis=0)


def banded(rng, rows, columns, _edges):
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return np.argwhere(abs(row * columns - column * rows) < 2 * rows)


def hub(rng, rows, columns, _edges):
    full = np.stack([np.full(columns, rows // 2), np.arange(columns)], axis=1)
    return np.concatenate([full, [[0, 0], [rows - 1, columns - 1]]])


def empty(rng, rows, columns, _edges):
    return np.zeros((0, 2), dtype=int)


@pytest.mark.parametrize("shape", [(1, 1), (70, 53), (130, 201)])
@pytest.mark.parametrize("pattern", [power_law, banded, hub, empty])
@pytest.mark.parametrize("name", ["smallest", "odd", "short", "demo"])
def test_executing_a_schedule_gives_the_product(name, pattern, shape):
    config = AcceleratorConfig.from_toml(name)
    rng = np.random.default_rng(shape[0])
    places = np.unique(pattern(rng, *shape, 600), axis=0)
    weight = rng.choice([-8, -3, 1, 7], size=len(places))
    matrix = csr_array((weight, (places[:, 0], places[:, 1])), shape=shape)
    operand = rng.integers(-99, 100, size=(shape[1], 2))
    for max_rows, max_columns in ((shape[0], shape[1]), (64, 50), (24, 16)):
        rows = min(max_rows, config.pes * config.accumulator_depth)
        columns = min(max_columns, config.operand_depth)
        plan = schedule(matrix, config, max_rows=rows, max_columns=columns)
        result, used = execute(plan, config, operand)
        assert np.array_equal(result, matrix @ operand), plan.report()
        expected = [(*place, w) for place, w in zip(places.tolist(), weight.tolist(), strict=True)]
        assert sorted(edge for edge in used if edge[2]) == sorted(expected)
        assert len(used) - len(expected) == np.sum(np.diff(matrix.indptr) == 0)
        assert all(len(block.rows) <= rows for block in plan.blocks)
        assert plan.lower_bound <= plan.length


def test_a_block_whose_hubs_need_many_slots_is_cut_at_a_word_of_vectors():
    config = AcceleratorConfig.from_toml("short")
    config = replace(config, accumulator_depth=16, pes=3)
    dense = np.random.default_rng(5).integers(1, 7, size=(48, 120))
    plan = schedule(csr_array(dense), config, max_rows=48, max_columns=120, max_entries=40)
    assert len(plan.blocks) > 1
    assert all(len(block.order) <= 40 for block in plan.blocks)
    assert all(b.rows.start % config.vector.items_per_word == 0 for b in plan.blocks)
    operand = np.arange(240).reshape(120, 2)
    assert np.array_equal(execute(plan, config, operand)[0], dense @ operand)


def test_issue_times_reach_the_bound_of_each_queue():
    rng = np.random.default_rng(3)
    for _ in range(300):
        slot = np.repeat(np.arange(rng.integers(1, 9)), rng.integers(1, 7))
        slot = np.concatenate([slot, rng.integers(0, 12, rng.integers(0, 30))])
        queue = rng.integers(0, 3, len(slot))
        times = issue_times(queue, slot)
        for one in np.unique(queue):
            mine, when = slot[queue == one], times[queue == one]
            assert len(np.unique(when)) == len(when)
            counts = np.bincount(mine)
            fullest = counts.max()
            bound = max(len(mine), HAZARD_DISTANCE * (fullest - 1) + np.sum(counts == fullest))
            assert when.max() + 1 == bound
            for each in np.unique(mine):
                assert np.all(np.diff(np.sort(when[mine == each])) >= HAZARD_DISTANCE)


def test_a_giant_hub_is_spread_over_all_pes():
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8)
    row = np.concatenate([np.zeros(2000, dtype=int), np.arange(400)])
    column = np.concatenate([np.arange(2000), np.arange(400) + 2000])
    matrix = csr_array((np.ones(2400, dtype=np.int64), (row, column)), shape=(400, 2400))
    plan = schedule(matrix, config, max_rows=400, max_columns=2400)
    assert plan.length <= 1.05 * plan.lower_bound, plan.report()


def test_a_million_edges_are_scheduled_in_seconds_close_to_the_bound():
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8)
    rng = np.random.default_rng(0)
    places = power_law(rng, 60_000, 60_000, 1_000_000)
    weight = np.ones(len(places), dtype=np.int64)
    matrix = csr_array((weight, (places[:, 0], places[:, 1])), shape=(60_000, 60_000))
    started = time.perf_counter()
    plan = schedule(matrix, config, max_rows=2048, max_columns=2048)
    assert time.perf_counter() - started < 10
    assert plan.length <= 1.03 * plan.lower_bound, plan.report()


@pytest.mark.skipif(not CORA.exists(), reason=f"{CORA} is not here")
@pytest.mark.parametrize("which", ["adjacency", "features", "features transposed"])
def test_cora_is_within_five_per_cent_of_the_bound_on_eight_pes(which):
    config = replace(AcceleratorConfig.from_toml("demo"), pes=8)
    file = np.load(CORA, allow_pickle=False)
    kind = "adj" if which == "adjacency" else "feat"
    indices, indptr = file[f"{kind}_indices"], file[f"{kind}_indptr"]
    matrix = csr_array((np.ones(len(indices), dtype=np.int64), indices, indptr))
    if which == "adjacency":
        matrix = csr_array(matrix + eye_array(matrix.shape[0], dtype=np.int64))
    if which == "features transposed":
        matrix = csr_array(matrix.T)
    plan = schedule(matrix, config, max_rows=4096, max_columns=4096)
    print(plan.report())
    assert len(plan.blocks) == 1
    assert plan.length <= 1.05 * -(-matrix.nnz // 8), plan.report()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_rows": 0}, "max_rows=0 is outside 1..2048"),
        ({"max_columns": 5000}, "max_columns=5000 is outside 1..4096"),
        ({"max_entries": 1}, "max_entries=1 is outside 2..4096"),
    ],
)
def test_impossible_sizes_are_refused_by_name(change, message):
    config = AcceleratorConfig.from_toml("demo")
    matrix = csr_array(np.eye(4, dtype=np.int64))
    with pytest.raises(ValueError, match=message):
        schedule(matrix, config, **({"max_rows": 8, "max_columns": 8} | change))


def test_weights_that_are_no_operands_are_refused():
    config = AcceleratorConfig.from_toml("demo")
    with pytest.raises(ValueError, match=r"weight -129 is outside -128\.\.127"):
        schedule(csr_array(np.array([[-129, 127]])), config, max_rows=8, max_columns=8)
    with pytest.raises(ValueError, match="dtype float64"):
        schedule(csr_array(np.eye(2)), config, max_rows=8, max_columns=8)
