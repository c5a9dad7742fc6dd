# SPDX-License-Identifier: Apache-2.0
"""Level tiles out: edges above a tile's bound move to PEs that have room for them."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pieces", "level"]

Index = NDArray[np.int64]


@dataclass(kw_only=True)
class Pieces:
    """What each chunk has to do in each tile.

    Parameters
    ----------
    chunk, tile, size : NDArray[np.int64]
        For each piece: its chunk, its tile, and how many edges it has.
    row, pe : NDArray[np.int64]
        For each chunk: its row and its PE.
    """

    chunk: Index
    tile: Index
    size: Index
    row: Index
    pe: Index = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def level(pieces: Pieces, bounds: Index, limits: Index, pes: int, room: int, entries: int) -> None:
    """Move edges, in place, until every PE has at most ``bounds[tile]`` edges of each tile.

    Rows with many edges move first: once such a row has a chunk on each PE, moving more of
    its edges in other tiles costs no further slot. What finds no slot stays where it is.
    """
    _Levelling(pieces, bounds, limits, pes, room, entries).run()


class _Levelling:
    """The state of :func:`level`: loads, slots used, and which chunks of a row there are."""

    def __init__(
        self, pieces: Pieces, bounds: Index, limits: Index, pes: int, room: int, entries: int
    ) -> None:
        self.pieces, self.limits, self.room = pieces, limits.tolist(), room
        self.left = entries - len(pieces.row)
        self.used = np.bincount(pieces.pe, minlength=pes)
        queue = pieces.tile * pes + pieces.pe[pieces.chunk]
        load = np.bincount(queue, pieces.size, len(bounds) * pes).astype(np.int64)
        self.above = load.reshape(len(bounds), pes) - bounds[:, None]
        self.edges_of_row = np.bincount(pieces.row[pieces.chunk], pieces.size)
        self.chunks: dict[tuple[int, int], int] = {}
        """The chunk of a row on a PE."""
        self.new: list[tuple[int, int]] = []
        """Row and PE of each chunk that was added."""
        self.moved: list[tuple[int, int, int]] = []
        """Chunk, tile and edges of each piece that was added."""

    def run(self) -> None:
        pieces = self.pieces
        uneven = np.flatnonzero(self.above.max(axis=1) > 0)
        if not len(uneven):
            return
        for chunk, key in enumerate(zip(pieces.row.tolist(), pieces.pe.tolist(), strict=True)):
            self.chunks[key] = chunk
        by_tile = np.argsort(pieces.tile, kind="stable")
        ends = np.cumsum(np.bincount(pieces.tile, minlength=len(self.above)))
        for tile in uneven.tolist():
            start = ends[tile - 1] if tile else 0
            self._tile(tile, by_tile[start : ends[tile]])
        self._finish()

    def _tile(self, tile: int, members: Index) -> None:
        """Level one tile, of which `members` are the pieces."""
        pieces, above = self.pieces, self.above[tile]
        rows = pieces.row[pieces.chunk[members]]
        members = members[np.argsort(-self.edges_of_row[rows], kind="stable")]
        pe = pieces.pe[pieces.chunk[members]]
        sizes = dict(
            zip(pieces.chunk[members].tolist(), pieces.size[members].tolist(), strict=True)
        )
        for source in np.flatnonzero(above > 0).tolist():
            for further in (False, True):
                for piece in members[pe == source].tolist():
                    if above[source] <= 0:
                        break
                    self._move(tile, piece, source, sizes, further=further)

    def _move(
        self, tile: int, piece: int, source: int, sizes: dict[int, int], *, further: bool
    ) -> None:
        """Move edges of a piece until its PE is level, it is empty, or no PE takes more.

        A row whose chunk on a PE has all it should have gets a `further` one there if need be.
        """
        pieces, above = self.pieces, self.above[tile]
        chunk = int(pieces.chunk[piece])
        row = int(pieces.row[chunk])
        under = np.argsort(above, kind="stable")
        targets = [pe for pe in under.tolist() if above[pe] < 0]
        targets.sort(key=lambda pe: (row, pe) not in self.chunks)
        for target in targets:
            other = self.chunks.get((row, target))
            taken = sizes.get(other, 0) if other is not None else 0
            if further and taken >= self.limits[tile]:
                other, taken = None, 0
            amount = int(
                min(above[source], pieces.size[piece], -above[target], self.limits[tile] - taken)
            )
            if amount <= 0 or (other is None and not self._slot(target)):
                continue
            if other is None:
                other = self._add(row, target)
            pieces.size[piece] -= amount
            sizes[chunk] -= amount
            sizes[other] = taken + amount
            self.moved.append((other, tile, amount))
            above[source] -= amount
            above[target] += amount

    def _slot(self, pe: int) -> bool:
        return bool(self.left > 0 and self.used[pe] < self.room)

    def _add(self, row: int, pe: int) -> int:
        chunk = len(self.pieces.row) + len(self.new)
        self.new.append((row, pe))
        self.chunks[row, pe] = chunk
        self.used[pe] += 1
        self.left -= 1
        return chunk

    def _finish(self) -> None:
        """Merge what was added into the pieces, and drop pieces without edges."""
        pieces = self.pieces
        new = np.array(self.new, dtype=np.int64).reshape(-1, 2)
        moved = np.array(self.moved, dtype=np.int64).reshape(-1, 3)
        pieces.row = np.concatenate([pieces.row, new[:, 0]])
        pieces.pe = np.concatenate([pieces.pe, new[:, 1]])
        tiles = len(self.above)
        cell = np.concatenate([pieces.chunk, moved[:, 0]]) * tiles
        cell += np.concatenate([pieces.tile, moved[:, 1]])
        size = np.concatenate([pieces.size, moved[:, 2]])
        kept, index = np.unique(cell[size > 0], return_inverse=True)
        pieces.size = np.bincount(index, size[size > 0]).astype(np.int64)
        pieces.chunk, pieces.tile = kept // tiles, kept % tiles
