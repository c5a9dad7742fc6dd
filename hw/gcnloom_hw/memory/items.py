# SPDX-License-Identifier: Apache-2.0
"""The kinds of items that loads move: how they are packed, and what of them is written on chip."""

from amaranth import Array, Cat, Const, Mux

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target
from gcnloom_spec.items import edge_word
from gcnloom_spec.packing import Packing

__all__ = [
    "PLAIN",
    "grouped",
    "groups_of",
    "item_bits",
    "kind_of",
    "kinds_of",
    "packings_of",
    "sizes_of",
]

VECTOR, EDGES, ORDER, PLAIN = range(4)


def kinds_of(config: AcceleratorConfig) -> int:
    """How many kinds there are; without a sparse engine all items are vectors."""
    return 4 if config.sparse else 1


def kind_of(config: AcceleratorConfig, target):
    """How the items of a target are packed."""
    if not config.sparse:
        return Const(VECTOR, 1)
    kinds = [VECTOR] * 8
    kinds[Target.EDGES] = EDGES
    kinds[Target.ORDER] = ORDER
    kinds[Target.PLAIN_EDGES] = PLAIN
    return Array(kinds)[target]


def packings_of(config: AcceleratorConfig) -> tuple[Packing, ...]:
    """Packing of each kind of items."""
    if not config.sparse:
        return (config.vector,)
    return (config.vector, config.edge_beat, config.order, config.plain_beat)


def groups_of(config: AcceleratorConfig) -> tuple[int, ...]:
    """Items of each kind that are written in a cycle."""
    if not config.sparse:
        return (config.vector_group,)
    return (config.vector_group, config.edge_group, config.order_group, config.edge_group)


def sizes_of(config: AcceleratorConfig) -> tuple[int, ...]:
    """Bits of each kind of items that are written."""
    vector, beat = config.lanes * config.operand_width, config.pes * config.edge_bits
    return (vector, beat, config.order_bits, beat) if config.sparse else (vector,)


def grouped(packing: Packing, group: int) -> Packing:
    """Packing of groups of items."""
    return Packing(
        item_bytes=group * packing.item_bytes,
        items_per_word=packing.items_per_word // group,
        words_per_item=packing.words_per_item,
    )


def item_bits(config: AcceleratorConfig, kind: int, group, weight):
    """Items of a group without what pads them, plain edges with their `weight`."""
    pitch = 8 * packings_of(config)[kind].item_bytes
    items = [group[pitch * index :][:pitch] for index in range(groups_of(config)[kind])]
    if kind == PLAIN:
        return Cat(_weighted(config, item, weight) for item in items)
    if kind != VECTOR:
        return Cat(item[: sizes_of(config)[kind]] for item in items)
    pitch, width = 8 * config.operand_bytes, config.operand_width
    return Cat(item[pitch * lane :][:width] for item in items for lane in range(config.lanes))


def _weighted(config, beat, weight):
    """Put the same weight into each edge of a beat, and none into those that only clear a sum."""
    offsets, bits = edge_word(config).offsets, config.operand_width
    before, pitch = offsets["weight"], config.edge_bits - bits
    first, valid = offsets["first"] - bits, offsets["valid"] - bits
    edges = [beat[pitch * pe :][:pitch] for pe in range(config.pes)]
    return Cat(
        Cat(
            edge[:before],
            Mux(edge[valid], weight[:bits], 0),
            edge[first],
            edge[valid] | edge[first],
        )
        for edge in edges
    )
