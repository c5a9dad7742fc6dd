# SPDX-License-Identifier: Apache-2.0
"""Sparse matrices to schedule, and an executor that checks every rule of a schedule."""

import numpy as np
from scipy.sparse import csr_array

from gcnloom_spec.isa import HAZARD_DISTANCE
from gcnloom_spec.items import edge_word, order_word


def execute(plan, config, operand):
    """Run a schedule one edge at a time; return the product and every edge that was added."""
    sums = np.full((config.pes, config.accumulator_depth), 10**9)  # garbage, to miss no `first`
    sums = np.repeat(sums[:, :, None], operand.shape[1], axis=2)
    result, used = [], []
    for block in plan.blocks:
        owner = _owners(block, config)
        assert block.slots == 1 + max(slot for _, slot in owner)
        issued, firsts, start = {}, [], 0
        for tile in block.tiles:
            edges = edge_word(config).unpack(tile.beats[:, :, None])
            assert np.count_nonzero(edges["valid"]) == tile.edges
            assert np.count_nonzero(edges["valid"], axis=0).max() == tile.busiest
            if config.operand_banks:
                banks = np.where(edges["valid"], edges["column"] % config.operand_banks, -1)
                for beat in banks:
                    assert np.bincount(beat[beat >= 0], minlength=1).max() <= 1
            for beat, pe in np.argwhere(edges["valid"]):
                slot, weight = edges["slot"][beat, pe], edges["weight"][beat, pe]
                # The tiles of a block run back to back.
                now, before = start + beat, issued.get((pe, slot), -HAZARD_DISTANCE)
                assert now - before >= HAZARD_DISTANCE
                first = edges["first"][beat, pe]
                assert first == ((pe, slot) not in issued)
                issued[pe, slot] = now
                if first:
                    firsts.append((pe, now))
                column = tile.columns.start + edges["column"][beat, pe]
                assert column in tile.columns
                sums[pe, slot] = (0 if first else sums[pe, slot]) + weight * operand[column]
                used.append((owner[pe, slot], int(column), int(weight)))
            start += len(tile.beats)
        assert issued.keys() == owner.keys()
        assert block.skew == _skew(firsts, start, config.pes)
        result.extend(_drained(block, config, sums))
    return np.array(result), used


def _entries(block, config):
    entries = order_word(config).unpack(block.order[:, None])
    return zip(*(entries[field] for field in ("pe", "slot", "last")), strict=True)


def _owners(block, config):
    """The row of each PE's slot; rows in order, their chunks side by side."""
    owner, row = {}, block.rows.start
    for pe, slot, last in _entries(block, config):
        assert (pe, slot) not in owner
        owner[pe, slot] = row
        row += last
    assert row == block.rows.stop
    return owner


def _drained(block, config, sums):
    total = 0
    for pe, slot, last in _entries(block, config):
        total = total + sums[pe, slot]
        if last:
            yield total
            total = 0


def _skew(firsts, beats, pes):
    worst = 0
    for pe in range(pes):
        mine = {beat for other, beat in firsts if other == pe}
        count = 0
        for beat in range(beats):
            worst = max(worst, beat * len(mine) / beats - count)
            count += beat in mine
            if beat in mine:
                worst = max(worst, count - beat * len(mine) / beats)
    return int(np.ceil(worst))


def power_law(rng, rows, columns, edges):
    row = (rows * rng.random(edges) ** 3).astype(int)
    column = (columns * rng.random(edges) ** 2).astype(int)
    return np.unique(np.stack([row, column], axis=1), axis=0)


def banded(rng, rows, columns, _edges):
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    return np.argwhere(abs(row * columns - column * rows) < 2 * rows)


def dense(rng, rows, columns, _edges):
    return np.argwhere(rng.random((min(rows, 40), min(columns, 60))) < 0.9)


def hub(rng, rows, columns, _edges):
    full = np.stack([np.full(columns, rows // 2), np.arange(columns)], axis=1)
    return np.concatenate([full, [[0, 0], [rows - 1, columns - 1]]])


def one_column(rng, rows, columns, _edges):
    return np.stack([np.arange(rows), np.full(rows, columns // 2)], axis=1)


def empty(rng, rows, columns, _edges):
    return np.zeros((0, 2), dtype=int)


PATTERNS = (power_law, banded, dense, hub, one_column, empty)


def matrix_of(places, shape, rng):
    """A matrix with small non-zero weights at `places`."""
    places = np.unique(places, axis=0)
    weight = rng.choice([-8, -3, 1, 7], size=len(places))
    return csr_array((weight, (places[:, 0], places[:, 1])), shape=shape)


def check(plan, matrix, config, rng):
    """Hold a schedule against its matrix: the product, and every non-zero exactly once."""
    operand = rng.integers(-99, 100, size=(matrix.shape[1], 2))
    result, used = execute(plan, config, operand)
    assert np.array_equal(result, matrix @ operand), plan.report()
    row, column = matrix.nonzero()
    expected = zip(row.tolist(), column.tolist(), matrix.data.tolist(), strict=True)
    assert sorted(edge for edge in used if edge[2]) == sorted(expected)
    assert len(used) - matrix.nnz == np.sum(np.diff(matrix.indptr) == 0)
    assert plan.lower_bound <= plan.length
    assert plan.lower_bound == sum(_bound(tile, config) for b in plan.blocks for tile in b.tiles)
    excess = plan.excess
    ideal = -(-len(used) // config.pes)
    assert ideal + excess.rounding + excess.banks == plan.lower_bound
    assert plan.lower_bound + excess.imbalance + excess.hazards == plan.length
    assert min(excess.rounding, excess.banks, excess.imbalance, excess.hazards) >= 0


def _bound(tile, config):
    edges = edge_word(config).unpack(tile.beats[:, :, None])
    column = edges["column"][edges["valid"] == 1]
    reads = np.bincount(column % config.operand_banks) if config.operand_banks else [0]
    return max(-(-len(column) // config.pes), *reads)
