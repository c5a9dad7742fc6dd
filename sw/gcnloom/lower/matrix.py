# SPDX-License-Identifier: Apache-2.0
"""A scheduled sparse matrix in device memory."""

from collections.abc import Iterator
from dataclasses import dataclass

from gcnloom.scheduling.schedule import Schedule
from gcnloom.tensors.items import pack_beats, pack_order
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["StoredMatrix", "place_matrix"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredMatrix:
    """Where a schedule's beats and drain orders lie.

    Parameters
    ----------
    name : str
    schedule : Schedule
    orders : tuple of int
        First word of each row block's drain order.
    tiles : tuple of tuple of int
        First word of each tile's beats, by row block.
    streamed : bool
        Whether the sums of all rows are to be on chip at once, so that columns may come one tile
        after the other.
    columns : int
        Columns of a tile.
    part : int
        Rows that leave the engine with one command.
    """

    name: str
    schedule: Schedule
    orders: tuple[int, ...]
    tiles: tuple[tuple[int, ...], ...]
    streamed: bool
    columns: int
    part: int

    def blobs(self, config: AcceleratorConfig) -> Iterator[tuple[int, bytes]]:
        """Addresses and bytes to write to the device before any program uses the matrix."""
        for block, order, tiles in zip(self.schedule.blocks, self.orders, self.tiles, strict=True):
            yield order, pack_order(config, block.order)
            for tile, address in zip(block.tiles, tiles, strict=True):
                yield address, pack_beats(config, tile.beats)


def place_matrix(
    name: str,
    schedule: Schedule,
    allocator: Allocator,
    config: AcceleratorConfig,
    *,
    streamed: bool,
    columns: int,
    part: int,
) -> StoredMatrix:
    """Reserve device memory for a schedule; see :class:`StoredMatrix`."""
    orders, tiles = [], []
    for number, block in enumerate(schedule.blocks):
        orders.append(
            allocator.allocate(f"{name}.order{number}", config.order.words(len(block.order)))
        )
        tiles.append(
            tuple(
                allocator.allocate(
                    f"{name}.beats{number}.{index}", config.edge_beat.words(len(tile.beats))
                )
                for index, tile in enumerate(block.tiles)
            )
        )
    return StoredMatrix(
        name=name, schedule=schedule, orders=tuple(orders), tiles=tuple(tiles),
        streamed=streamed, columns=columns, part=part,
    )  # fmt: skip
