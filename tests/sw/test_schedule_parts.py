# SPDX-License-Identifier: Apache-2.0
"""The steps of scheduling by themselves: issue times, bank patterns, bank orders, levelling."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from gcnloom.scheduling.banks import bank_order, bank_pattern
from gcnloom.scheduling.levelling import Pieces, level
from gcnloom.scheduling.repair import padding
from gcnloom.scheduling.spacing import Queues, issue_times
from gcnloom_spec.isa import HAZARD_DISTANCE


def test_issue_times_reach_the_bound_of_each_queue():
    rng = np.random.default_rng(3)
    for _ in range(300):
        slot = np.repeat(np.arange(rng.integers(1, 9)), rng.integers(1, 7))
        slot = np.concatenate([slot, rng.integers(0, 12, rng.integers(0, 30))])
        queue = rng.integers(0, 3, len(slot))
        queues = Queues.of(queue, slot, 3)
        spare = rng.integers(0, 3, 3)
        times = issue_times(queues, queues.least + spare, int(rng.integers(4, 12)))
        for one in np.unique(queue):
            mine, when = slot[queue == one], times[queue == one]
            assert len(np.unique(when)) == len(when)
            counts = np.bincount(mine)
            fullest = counts.max()
            bound = max(len(mine), HAZARD_DISTANCE * (fullest - 1) + np.sum(counts == fullest))
            assert queues.least[one] == bound
            assert 0 <= when.min() <= when.max() < bound + spare[one]
            for each in np.unique(mine):
                assert np.all(np.diff(np.sort(when[mine == each])) >= HAZARD_DISTANCE)


@pytest.mark.parametrize(("pes", "banks"), [(1, 1), (3, 4), (8, 8), (8, 16), (16, 32)])
def test_a_bank_pattern_has_every_read_and_no_conflict_in_the_fewest_beats(pes, banks):
    rng = np.random.default_rng(pes)
    for _ in range(8):
        reads = rng.integers(0, rng.integers(2, 40), (pes, banks)) * (
            rng.random((pes, banks)) < 0.5
        )
        beats = int(max(reads.sum(axis=0).max(), reads.sum(axis=1).max(), 1))
        pattern = bank_pattern(reads, beats)
        assert pattern.shape == (beats, pes)
        assert all(len(set(beat)) == pes for beat in pattern.tolist())
        for pe in range(pes):
            met = np.bincount(pattern[:, pe], minlength=banks)
            assert np.all(met >= reads[pe])


def test_a_bank_order_stays_within_tiles_and_evens_the_banks_out():
    rng = np.random.default_rng(1)
    column = np.minimum((rng.pareto(1.0, 20_000) * 7).astype(int) * 16, 999)  # all in bank 0
    matrix = csr_array((np.ones(len(column)), (np.arange(len(column)) % 300, column)), (300, 1000))

    def busiest(columns, tiles, max_columns):
        reads = np.bincount(columns // max_columns * 16 + columns % 16, minlength=tiles * 16)
        return reads.reshape(tiles, 16).max(axis=1)

    for max_columns in (256, 1000, 4096):
        tiles = -(-1000 // max_columns)
        order = bank_order(matrix, 16, max_columns)
        assert np.array_equal(np.sort(order), np.arange(1000))
        assert np.array_equal(order // max_columns, np.arange(1000) // max_columns)
        columns = matrix.nonzero()[1]
        edges = np.bincount(columns // max_columns)
        hub = np.zeros(tiles)
        np.maximum.at(hub, np.arange(1000) // max_columns, np.bincount(columns, minlength=1000))
        assert np.array_equal(busiest(columns, tiles, max_columns)[:-1], edges[:-1])
        after = busiest(matrix[:, order].tocsr().nonzero()[1], tiles, max_columns)
        assert np.all(after <= hub + edges / 16 + 1)


def test_levelling_moves_what_is_above_the_bound_and_loses_no_edge():
    rng = np.random.default_rng(4)
    for _ in range(50):
        chunks, tiles, pes = int(rng.integers(5, 30)), int(rng.integers(1, 5)), 4
        row = np.arange(chunks)
        chunk, tile = np.divmod(np.flatnonzero(rng.random(chunks * tiles) < 0.7), tiles)
        size = rng.integers(1, 9, len(chunk))
        pieces = Pieces(chunk=chunk, tile=tile, size=size.copy(), row=row, pe=row % pes)
        bounds = -(-np.bincount(tile, size, tiles).astype(np.int64) // pes)
        level(pieces, bounds, np.full(tiles, 10**6), pes, room=10**6, entries=10**6)
        load = np.zeros((tiles, pes), dtype=int)
        np.add.at(load, (pieces.tile, pieces.pe[pieces.chunk]), pieces.size)
        assert np.all(load <= bounds[:, None])
        assert np.all(pieces.size > 0)
        for matrix_row in row:
            for each in range(tiles):
                mine = (pieces.row[pieces.chunk] == matrix_row) & (pieces.tile == each)
                had = size[(chunk == matrix_row) & (tile == each)].sum()
                assert pieces.size[mine].sum() == had


def test_levelling_stops_where_slots_run_out():
    pieces = Pieces(
        chunk=np.arange(2), tile=np.zeros(2, dtype=int), size=np.array([9, 1]),
        row=np.arange(2), pe=np.arange(2),
    )  # fmt: skip
    level(pieces, np.array([5]), np.array([100]), pes=2, room=1, entries=4)
    assert pieces.size.tolist() == [9, 1]
    level(pieces, np.array([5]), np.array([100]), pes=2, room=2, entries=3)
    assert pieces.size.tolist() == [5, 1, 4]
    assert pieces.pe.tolist() == [0, 1, 1]


def test_padding_keeps_what_no_swap_could_apart():
    chunk = np.array([[0, 1], [0, -1], [2, 1], [-1, -1], [0, 1]])
    pads = padding(chunk)
    at = np.arange(len(chunk)) + np.cumsum(pads)
    for pe in range(2):
        for one in np.unique(chunk[:, pe][chunk[:, pe] >= 0]):
            assert np.all(np.diff(at[chunk[:, pe] == one]) >= HAZARD_DISTANCE)
    assert not padding(np.array([[0], [1], [2], [3], [0]])).any()
