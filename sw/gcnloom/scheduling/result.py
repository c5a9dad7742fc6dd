# SPDX-License-Identifier: Apache-2.0
"""What scheduling results in: beats by tile and row block, their bound, and reasons for excess."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Excess", "RowBlock", "Schedule", "Tile"]


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
        Valid edges among them. An empty row counts as one: something has to clear its
        accumulator.
    bound : int
        Beats below which no schedule of these edges gets, however rows are split.
    busiest : int
        Edges of the PE that has most.
    """

    columns: range
    beats: NDArray[np.uint64]
    edges: int
    bound: int
    busiest: int


@dataclass(frozen=True, kw_only=True, eq=False)
class RowBlock:
    """Rows accumulated together: aggregate every tile in order, then drain.

    The tiles may run back to back: edges of one PE and slot are at least the hazard distance
    apart across tiles too.

    Parameters
    ----------
    rows : range
        Rows of the matrix.
    order : NDArray[np.uint64]
        Packed drain order: the rows in turn, the chunks of a split row side by side.
    tiles : tuple of Tile
        In the order they must execute; column blocks without edges are left out.
    slots : int
        Slots used: one more than the largest of any PE.
    skew : int
        How far the running count of a PE's ``first`` edges gets from a straight line. In the
        beat of such an edge the PE reads no sum, which leaves its memory to a drain.
    """

    rows: range
    order: NDArray[np.uint64]
    tiles: tuple[Tile, ...]
    slots: int
    skew: int


@dataclass(frozen=True, kw_only=True)
class Excess:
    """Why a schedule has more beats than all its edges over all PEs, whole beats counted.

    Parameters
    ----------
    rounding : int
        Tiles whose edges are no multiple of the PEs. Part of the lower bound.
    banks : int
        Tiles of which one bank is read more often than a PE has edges. Part of the lower bound.
    imbalance : int
        A PE has more edges of a tile than the bound, as slots to split rows further ran out.
    hazards : int
        Edges of one slot had to be kept apart.
    """

    rounding: int
    banks: int
    imbalance: int
    hazards: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """A sparse matrix as the sparse engine executes it.

    Parameters
    ----------
    shape : tuple of int
        Shape of the matrix.
    pes : int
        Processing elements it was scheduled for.
    banks : int
        Operand banks it was scheduled for: no two PEs read columns of one tile that are equal
        modulo `banks` in one beat. 0 if each PE has a copy of the operand.
    nnz : int
        Non-zeros of the matrix.
    blocks : tuple of RowBlock
        In row order.
    """

    shape: tuple[int, int]
    pes: int
    banks: int
    nnz: int
    blocks: tuple[RowBlock, ...]

    @property
    def length(self) -> int:
        """Beats of all tiles."""
        return sum(len(tile.beats) for block in self.blocks for tile in block.tiles)

    @property
    def lower_bound(self) -> int:
        """Beats below which no schedule of the same tiles gets, however rows are split."""
        return sum(tile.bound for block in self.blocks for tile in block.tiles)

    @property
    def excess(self) -> Excess:
        """Where the beats above the least conceivable come from.

        ``ceil(edges / pes) + rounding + banks`` is the lower bound; with `imbalance` and
        `hazards` it is the length.
        """
        tiles = [tile for block in self.blocks for tile in block.tiles]
        needed = [max(tile.bound, tile.busiest) for tile in tiles]
        rounded = sum(-(-tile.edges // self.pes) for tile in tiles)
        return Excess(
            rounding=rounded - -(-sum(tile.edges for tile in tiles) // self.pes),
            banks=self.lower_bound - rounded,
            imbalance=sum(needed) - self.lower_bound,
            hazards=self.length - sum(needed),
        )

    @property
    def entries(self) -> int:
        """Drain-order entries of all row blocks."""
        return sum(len(block.order) for block in self.blocks)

    def report(self) -> str:
        """One line about length, bound, the reasons for any excess, and splitting."""
        rows, columns = self.shape
        tiles = sum(len(block.tiles) for block in self.blocks)
        excess = self.excess
        feed = f" and {self.banks} banks" if self.banks else ""
        return (
            f"{rows} x {columns}, {self.nnz} non-zeros on {self.pes} PEs{feed}: "
            f"{self.length} beats, "
            f"bound {self.lower_bound} (x{self.length / self.lower_bound:.3f}; "
            f"{excess.imbalance} more for imbalance, {excess.hazards} for hazards), "
            f"{len(self.blocks)} row blocks, {tiles} tiles, "
            f"{self.entries - rows} extra drain entries"
        )
