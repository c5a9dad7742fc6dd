# SPDX-License-Identifier: Apache-2.0
"""The sparse engine's schedule: which PE multiplies which non-zero in which beat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gcnloom.scheduling.dealing import Deal, Edges, chunk_counts, deal, edges_of
from gcnloom.scheduling.spacing import issue_times
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import edge_word, order_word
from gcnloom_spec.number import limits

__all__ = ["RowBlock", "Schedule", "Tile", "schedule"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tile:
    """The non-zeros of one row block in one column block, beat by beat.

    Parameters
    ----------
    columns : range
        Columns of the matrix (rows of the operand) that the tile reads.
    beats : NDArray[np.uint64]
        Packed edges, shape ``(beats, pes)``; their `column` counts from ``columns.start``.
    edges : int
        Valid edges among them.
    """

    columns: range
    beats: NDArray[np.uint64]
    edges: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RowBlock:
    """Rows accumulated together: aggregate every tile in order, then drain.

    Parameters
    ----------
    rows : range
        Rows of the matrix.
    order : NDArray[np.uint64]
        Packed drain order: the rows in turn, the chunks of a split row side by side.
    tiles : tuple of Tile
        In the order they must execute; column blocks without edges are left out.
    """

    rows: range
    order: NDArray[np.uint64]
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """A sparse matrix as the sparse engine executes it.

    Parameters
    ----------
    shape : tuple of int
        Shape of the matrix.
    pes : int
        Processing elements it was scheduled for.
    nnz : int
        Non-zeros of the matrix.
    blocks : tuple of RowBlock
        In row order.
    """

    shape: tuple[int, int]
    pes: int
    nnz: int
    blocks: tuple[RowBlock, ...]

    @property
    def length(self) -> int:
        """Beats of all tiles."""
        return sum(len(tile.beats) for block in self.blocks for tile in block.tiles)

    @property
    def lower_bound(self) -> int:
        """Beats below which no schedule of the same tiles gets, however rows are split.

        Each tile needs ``ceil(edges / pes)``, where an empty row counts as one edge: something
        has to clear its accumulator. Hazards add nothing, as rows may be split at will.
        """
        return sum(-(-tile.edges // self.pes) for block in self.blocks for tile in block.tiles)

    @property
    def entries(self) -> int:
        """Drain-order entries of all row blocks."""
        return sum(len(block.order) for block in self.blocks)

    def report(self) -> str:
        """One line about length, bound and splitting."""
        rows, columns = self.shape
        ratio = self.length / self.lower_bound
        tiles = sum(len(block.tiles) for block in self.blocks)
        return (
            f"{rows} x {columns}, {self.nnz} non-zeros on {self.pes} PEs: {self.length} beats, "
            f"bound {self.lower_bound} (x{ratio:.3f}), {len(self.blocks)} row blocks, "
            f"{tiles} tiles, {self.entries - rows} extra drain entries"
        )


def schedule(
    matrix: Any,
    config: AcceleratorConfig,
    *,
    max_rows: int,
    max_columns: int,
    max_entries: int | None = None,
) -> Schedule:
    """Schedule a sparse matrix of integer weights on the sparse engine.

    Parameters
    ----------
    matrix : csr_array of int
        Mantissas within the operand width. Stored zeros are dropped, duplicates added up.
    config : AcceleratorConfig
    max_rows : int
        Rows of a block. A block whose rows, split, need more accumulators or drain-order
        entries than there are is cut smaller, to a multiple of the vectors in a memory word.
    max_columns : int
        Columns of a tile, at most ``config.operand_depth``.
    max_entries : int, optional
        Drain-order entries of a block, at most ``config.order_depth``, which is the default.

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
    entries = config.order_depth if max_entries is None else max_entries
    _check_sizes(config, max_rows, max_columns, entries)
    capacity = min(config.pes * config.accumulator_depth, entries)
    weights = _checked(matrix, config)
    blocks: list[RowBlock] = []
    start = 0
    while start < weights.shape[0]:
        rows = range(start, min(start + max_rows, weights.shape[0]))
        blocks.append(_row_block(weights, rows, config, max_columns, capacity))
        start = blocks[-1].rows.stop
    return Schedule(shape=weights.shape, pes=config.pes, nnz=int(weights.nnz), blocks=tuple(blocks))


def _check_sizes(
    config: AcceleratorConfig, max_rows: int, max_columns: int, max_entries: int
) -> None:
    """Refuse blocks that the memories cannot hold."""
    multiple = config.vector.items_per_word
    for name, value, low, high in (
        ("max_rows", max_rows, 1, config.pes * config.accumulator_depth),
        ("max_columns", max_columns, 1, config.operand_depth),
        ("max_entries", max_entries, multiple, config.order_depth),
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
    weights: csr_array, rows: range, config: AcceleratorConfig, max_columns: int, capacity: int
) -> RowBlock:
    """Schedule `rows`, or as many of the first of them as `capacity` chunks are enough for."""
    multiple = config.vector.items_per_word
    edges = edges_of(weights, rows, max_columns)
    counts = chunk_counts(edges.row, edges.tile, len(rows), config.pes)
    while counts.sum() > capacity and len(rows) > multiple:
        fitting = int(np.searchsorted(np.cumsum(counts), capacity, side="right"))
        rows = rows[: max(multiple, min(fitting, len(rows) - 1) // multiple * multiple)]
        edges = edges_of(weights, rows, max_columns)
        counts = chunk_counts(edges.row, edges.tile, len(rows), config.pes)
    if counts.sum() > capacity:
        counts = np.minimum(counts, capacity // len(rows))
    dealt = deal(edges.row, edges.tile, counts, config)
    order = order_word(config).pack(pe=dealt.pe, slot=dealt.slot, last=dealt.last)[:, 0]
    return RowBlock(rows=rows, order=order, tiles=_tiles(edges, dealt, config))


def _tiles(edges: Edges, dealt: Deal, config: AcceleratorConfig) -> tuple[Tile, ...]:
    """Place every edge in its beat and pack the beats."""
    pe, slot = dealt.pe[dealt.chunk], dealt.slot[dealt.chunk]
    time = issue_times(edges.tile * config.pes + pe, slot)
    lengths = np.zeros(len(edges.spans), dtype=np.int64)
    np.maximum.at(lengths, edges.tile, time + 1)
    starts = np.cumsum(lengths) - lengths
    time += starts[edges.tile]
    earliest = np.full(len(dealt.pe), np.iinfo(np.int64).max)
    np.minimum.at(earliest, dealt.chunk, time)

    beats = np.zeros((int(lengths.sum()), config.pes), dtype=np.uint64)
    beats[time, pe] = edge_word(config).pack(
        column=edges.column,
        slot=slot,
        weight=edges.weight,
        first=time == earliest[dealt.chunk],
        valid=1,
    )[:, 0]
    sizes = np.bincount(edges.tile)
    return tuple(
        Tile(columns=span, beats=beats[start : start + length], edges=int(size))
        for span, start, length, size in zip(edges.spans, starts, lengths, sizes, strict=True)
    )
