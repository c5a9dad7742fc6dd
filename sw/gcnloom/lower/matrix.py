# SPDX-License-Identifier: Apache-2.0
"""A scheduled sparse matrix in device memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gcnloom.scheduling.schedule import Schedule
from gcnloom.tensors.items import pack_beats, pack_order, pack_plain_beats
from gcnloom.tensors.memory import Allocator
from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.items import edge_word

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
    weight : int or None
        Of every non-zero, if they all have the same; such edges lie there without it.
    columns : int
        Columns of a tile.
    part : int
        Rows that leave the engine with one command.
    first : int
        Row of the whole product that its first row is.
    """

    name: str
    schedule: Schedule
    orders: tuple[int, ...]
    tiles: tuple[tuple[int, ...], ...]
    streamed: bool
    weight: int | None
    columns: int
    part: int
    first: int = 0

    def packing(self, config: AcceleratorConfig) -> Packing:
        """Packing of the beats."""
        return config.edge_beat if self.weight is None else config.plain_beat

    def blobs(self, config: AcceleratorConfig) -> Iterator[tuple[int, bytes]]:
        """Addresses and bytes to write to the device before any program uses the matrix."""
        pack = pack_beats if self.weight is None else pack_plain_beats
        for block, order, tiles in zip(self.schedule.blocks, self.orders, self.tiles, strict=True):
            yield order, pack_order(config, block.order)
            for tile, address in zip(block.tiles, tiles, strict=True):
                yield address, pack(config, tile.beats)


def place_matrix(
    name: str,
    schedule: Schedule,
    allocator: Allocator,
    config: AcceleratorConfig,
    *,
    streamed: bool,
    columns: int,
    part: int,
    first: int = 0,
) -> StoredMatrix:
    """Reserve device memory for a schedule; see :class:`StoredMatrix`."""
    orders, tiles = [], []
    weight = _only_weight(schedule, config)
    packing = config.edge_beat if weight is None else config.plain_beat
    for number, block in enumerate(schedule.blocks):
        orders.append(
            allocator.allocate(f"{name}.order{number}", config.order.words(len(block.order)))
        )
        tiles.append(
            tuple(
                allocator.allocate(f"{name}.beats{number}.{index}", packing.words(len(tile.beats)))
                for index, tile in enumerate(block.tiles)
            )
        )
    return StoredMatrix(
        name=name, schedule=schedule, orders=tuple(orders), tiles=tuple(tiles),
        streamed=streamed, weight=weight, columns=columns, part=part, first=first,
    )  # fmt: skip


def _only_weight(schedule: Schedule, config: AcceleratorConfig) -> int | None:
    """Weight that all edges have, but for those that clear the sums of empty rows."""
    seen: set[int] = set()
    for block in schedule.blocks:
        for tile in block.tiles:
            fields = edge_word(config).unpack(tile.beats[..., np.newaxis])
            counted = (fields["valid"] > 0) & ((fields["first"] == 0) | (fields["weight"] != 0))
            seen.update(np.unique(fields["weight"][counted]).tolist())
            if len(seen) > 1:
                return None
    return seen.pop() if seen else None
