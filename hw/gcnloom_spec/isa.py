# SPDX-License-Identifier: Apache-2.0
"""Commands: 256-bit words for five decoupled units, ordered by dependence tokens.

Each unit (load, aggregate, drain, transform, store) executes its own commands in program order. Bit
``v`` of a command's `waits` takes a token that unit ``v`` left for this command's unit; bit
``v`` of `signals` leaves a token for unit ``v`` once every effect of the command is visible.
A program is legal if executing it in program order finds every token it waits for.
"""

from enum import IntEnum

from gcnloom_spec.config import LOCAL_BITS, AcceleratorConfig, Packing
from gcnloom_spec.words import Word

__all__ = [
    "COMMAND_BYTES",
    "EMISSION",
    "HAZARD_DISTANCE",
    "HEADER",
    "ISA_VERSION",
    "WORDS",
    "Destination",
    "Mode",
    "Opcode",
    "Source",
    "Target",
    "Unit",
    "edge_word",
    "load_group",
    "load_packing",
    "order_word",
]

ISA_VERSION = 2
COMMAND_BYTES = 32
HAZARD_DISTANCE = 4
"""Beats between two edges of one PE that name the same accumulator slot: at least this many,
also where they belong to two commands, for these follow each other without a pause."""


class Unit(IntEnum):
    """The five command queues; also bit positions in `waits` and `signals`."""

    LOAD = 0
    AGGREGATE = 1
    DRAIN = 2
    TRANSFORM = 3
    STORE = 4


class Opcode(IntEnum):
    """First field of every command."""

    LOAD = 1
    AGGREGATE = 2
    DRAIN = 3
    TRANSFORM = 4
    STORE = 5


class Target(IntEnum):
    """On-chip memory that a load fills; PLAIN_EDGES: that of EDGES, which all weigh the same."""

    OPERAND = 0
    EDGES = 1
    ORDER = 2
    LEFT = 3
    RIGHT = 4
    MASK_AGGREGATE = 5
    MASK_TRANSFORM = 6
    PLAIN_EDGES = 7


class Destination(IntEnum):
    """On-chip memory that the fabric carries an emission to."""

    NONE = 0
    OPERAND = 1
    LEFT = 2
    RIGHT = 3


class Mode(IntEnum):
    """What the systolic array does with a :class:`Transform`."""

    WEIGHT_STATIONARY = 0
    OUTPUT_STATIONARY = 1
    PASS = 2


class Source(IntEnum):
    """Engine whose emissions a store writes."""

    AGGREGATE = 0
    TRANSFORM = 1


HEADER = {"opcode": 4, "waits": len(Unit), "signals": len(Unit)}
EMISSION = {
    "vectors": LOCAL_BITS,
    "raw": 1,
    "shift": 6,
    "stochastic": 1,
    "relu": 1,
    "mask": 1,
    "mask_base": LOCAL_BITS,
    "dropout": 1,
    "threshold": 8,
    "tensor": 6,
    "row": 32,
    "feature": 16,
    "destination": 2,
    "destination_base": LOCAL_BITS,
    "destination_bank": 4,
    "store": 1,
}
WORDS = {
    Opcode.LOAD: Word(
        "load",
        HEADER
        | {
            "target": 3,
            "bank": 4,
            "base": LOCAL_BITS,
            "count": LOCAL_BITS,
            "address": 32,
            "weight": -16,
        },
    ),
    Opcode.AGGREGATE: Word(
        "aggregate",
        HEADER
        | {
            "edge_base": LOCAL_BITS,
            "count": LOCAL_BITS,
            "operand_base": LOCAL_BITS,
            "slot_base": LOCAL_BITS,
        },
    ),
    Opcode.DRAIN: Word(
        "drain",
        HEADER
        | {"order_base": LOCAL_BITS, "count": LOCAL_BITS, "slot_base": LOCAL_BITS}
        | EMISSION,
    ),
    Opcode.TRANSFORM: Word(
        "transform",
        HEADER
        | {
            "mode": 2,
            "slice": 8,
            "left_base": LOCAL_BITS,
            "right_base": LOCAL_BITS,
            "sum_base": LOCAL_BITS,
            "count": LOCAL_BITS,
            "first": 1,
            "last": 1,
            "bank": 4,
        }
        | EMISSION,
    ),
    Opcode.STORE: Word(
        "store", HEADER | {"source": 1, "raw": 1, "count": LOCAL_BITS, "address": 32}
    ),
}
"""Packed form of each command; the rest of its 256 bits is zero."""


def edge_word(config: AcceleratorConfig) -> Word:
    """One edge as the PE reads it. `column` and `slot` count from the command's bases."""
    return Word(
        "edge",
        {
            "column": (config.operand_depth - 1).bit_length(),
            "slot": (config.accumulator_depth - 1).bit_length(),
            "weight": -config.operand_width,
            "first": 1,
            "valid": 1,
        },
    )


def order_word(config: AcceleratorConfig) -> Word:
    """One drain-order entry: a PE's slot, from the command's base on; whether its row ends."""
    return Word(
        "order",
        {
            "pe": max(1, (config.pes - 1).bit_length()),
            "slot": (config.accumulator_depth - 1).bit_length(),
            "last": 1,
        },
    )


def load_packing(config: AcceleratorConfig, target: Target) -> Packing:
    """How the items that a load moves to `target` lie in device memory."""
    kinds = {
        Target.EDGES: config.edge_beat,
        Target.PLAIN_EDGES: config.plain_beat,
        Target.ORDER: config.order,
    }
    return kinds.get(target, config.vector)


def load_group(config: AcceleratorConfig, target: Target) -> int:
    """Items that a load writes to `target` in one cycle; its base is a multiple of them."""
    kinds = {
        Target.EDGES: config.edge_group,
        Target.PLAIN_EDGES: config.edge_group,
        Target.ORDER: config.order_group,
    }
    return kinds.get(target, config.vector_group)
