# SPDX-License-Identifier: Apache-2.0
"""The sparse engine's schedule: which PE multiplies which non-zero in which beat."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.scheduling.dealing import Deal, deal
from gcnloom.scheduling.edges import Edges, edges_of, split, tile_bounds
from gcnloom.scheduling.placing import place, unevenness
from gcnloom.scheduling.result import Excess, RowBlock, Schedule, Tile
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.items import edge_word, order_word
from gcnloom_spec.number import limits

__all__ = ["Excess", "RowBlock", "Schedule", "Tile", "schedule"]

Index = NDArray[np.int64]


def schedule(
    matrix: Any,
    config: AcceleratorConfig,
    *,
    max_rows: int,
    max_columns: int,
    max_entries: int | None = None,
    max_slots: int | None = None,
) -> Schedule:
    """Schedule a sparse matrix of integer weights on the sparse engine.

    Parameters
    ----------
    matrix : csr_array of int
        Mantissas within the operand width. Stored zeros are dropped, duplicates added up.
    config : AcceleratorConfig
        With ``operand_banks``, column c of a tile is read from bank ``c % operand_banks``, and
        no two PEs read the same bank in one beat.
    max_rows : int
        Rows of a block. A block whose rows, split, need more accumulators or drain-order
        entries than there are is cut smaller, to a multiple of the vectors in a memory word.
    max_columns : int
        Columns of a tile, at most ``config.operand_depth``.
    max_entries : int, optional
        Drain-order entries of a block, at most ``config.order_depth``; by default as many whole
        groups as that holds.
    max_slots : int, optional
        Slots of each PE for a block, at most ``config.accumulator_depth``, which is the default.

    Returns
    -------
    Schedule

    Raises
    ------
    ValueError
        A size is impossible, or a weight does not fit an operand.

    Examples
    --------
    >>> from gcnloom_spec.config import AcceleratorConfig
    >>> config = AcceleratorConfig.from_toml("demo")
    >>> eye = csr_array(np.eye(8, dtype=np.int64))
    >>> schedule(eye, config, max_rows=1024, max_columns=2048).length
    2
    """
    # Entries are loaded in groups, of which the memory holds whole ones.
    most = config.order_depth - config.order_depth % config.order_group
    entries = most if max_entries is None else max_entries
    slots = config.accumulator_depth if max_slots is None else max_slots
    _check_sizes(config, max_rows, max_columns, entries, slots)
    weights = _checked(matrix, config)
    blocks: list[RowBlock] = []
    start = 0
    while start < weights.shape[0]:
        rows = range(start, min(start + max_rows, weights.shape[0]))
        blocks.append(_row_block(weights, rows, config, max_columns, slots, entries))
        start = blocks[-1].rows.stop
    return Schedule(
        shape=weights.shape, pes=config.pes, banks=config.operand_banks, nnz=int(weights.nnz),
        blocks=tuple(blocks),
    )  # fmt: skip


def _check_sizes(
    config: AcceleratorConfig, max_rows: int, max_columns: int, max_entries: int, max_slots: int
) -> None:
    """Refuse blocks that the memories cannot hold."""
    multiple = config.vector.items_per_word
    for name, value, low, high in (
        ("max_rows", max_rows, 1, config.pes * config.accumulator_depth),
        ("max_columns", max_columns, 1, config.operand_depth),
        ("max_entries", max_entries, multiple, config.order_depth),
        ("max_slots", max_slots, -(-multiple // config.pes), config.accumulator_depth),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name}={value} is outside {low}..{high} of this configuration")


def _checked(matrix: Any, config: AcceleratorConfig) -> csr_array:
    """Canonical copy of the matrix, or an error about what cannot be scheduled."""
    if not np.issubdtype(matrix.dtype, np.integer):
        raise ValueError(f"weights have dtype {matrix.dtype}; quantise them to integer mantissas")
    if min(matrix.shape) < 1:
        raise ValueError(f"matrix of shape {matrix.shape} has nothing to schedule")
    weights = csr_array(matrix, dtype=np.int64, copy=True)
    weights.sum_duplicates()
    weights.eliminate_zeros()
    low, high = limits(config.operand_width)
    if weights.nnz and (weights.data.min() < low or weights.data.max() > high):
        worst = weights.data[np.argmax(np.abs(weights.data))]
        raise ValueError(f"weight {worst} is outside {low}..{high}; quantise to a larger exponent")
    return weights


def _row_block(
    weights: csr_array, rows: range, config: AcceleratorConfig, max_columns: int, room: int,
    entries: int,
) -> RowBlock:  # fmt: skip
    """Schedule `rows`, or as many of the first of them as slots and entries are enough for."""
    multiple = config.vector.items_per_word
    capacity = min(config.pes * room, entries)
    spare = min(capacity // 16, 4 * (config.pes - 1))
    while True:
        edges = edges_of(weights, rows, max_columns)
        bounds = tile_bounds(edges, config.pes, config.operand_banks)
        limits, counts = split(edges, bounds, config.operand_banks, len(rows))
        if counts.sum() <= capacity - spare or len(rows) <= multiple:
            break
        fitting = int(np.searchsorted(np.cumsum(counts), capacity - spare, side="right"))
        rows = rows[: max(multiple, min(fitting, len(rows) - 1) // multiple * multiple)]
    if counts.sum() > capacity:
        counts = np.minimum(counts, capacity // len(rows))
    dealt = deal(edges, counts, bounds, limits, config.pes, room, capacity)
    return _packed(rows, edges, dealt, bounds, config)


def _packed(
    rows: range, edges: Edges, dealt: Deal, bounds: Index, config: AcceleratorConfig
) -> RowBlock:
    """Place every edge in its beat and pack the beats."""
    order = order_word(config).pack(pe=dealt.pe, slot=dealt.slot, last=dealt.last)[:, 0]
    issue = place(edges, dealt, bounds, config)
    earliest = np.full(len(dealt.pe), np.iinfo(np.int64).max)
    np.minimum.at(earliest, dealt.chunk, issue.beat)
    pe = dealt.pe[dealt.chunk]
    beats = np.zeros((int(issue.lengths.sum()), config.pes), dtype=np.uint64)
    beats[issue.beat, pe] = edge_word(config).pack(
        column=edges.column,
        slot=dealt.slot[dealt.chunk],
        weight=edges.weight,
        first=issue.beat == earliest[dealt.chunk],
        valid=1,
    )[:, 0]
    ends = np.cumsum(issue.lengths)
    tiles = tuple(
        Tile(columns=span, beats=part, edges=int(size), bound=int(bound), busiest=int(busiest))
        for span, part, size, bound, busiest in zip(
            edges.spans, np.split(beats, ends[:-1]), np.bincount(edges.tile), bounds,
            issue.busiest, strict=True,
        )
    )  # fmt: skip
    return RowBlock(
        rows=rows, order=order, tiles=tiles, slots=int(dealt.slot.max()) + 1,
        skew=unevenness(earliest, dealt.pe, len(beats)),
    )  # fmt: skip
