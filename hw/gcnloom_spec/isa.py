# SPDX-License-Identifier: Apache-2.0
"""Commands: 256-bit words for six decoupled units, ordered by dependence tokens.

Each unit (load, aggregate, drain, transform, store, update) executes its own commands in program
order. Bit ``v`` of a command's `waits` takes a token that unit ``v`` left for this command's unit;
bit ``v`` of `signals` leaves a token for unit ``v`` once every effect of the command is visible.
A program is legal if executing it in program order finds every token it waits for. Programs that
loop are made of such programs, each ended by a `Repeat`.
"""

from enum import IntEnum

from gcnloom_spec.config import LOCAL_BITS
from gcnloom_spec.words import Word

__all__ = [
    "COMMAND_BYTES",
    "EMISSION",
    "HAZARD_DISTANCE",
    "HEADER",
    "ISA_VERSION",
    "LOOPS",
    "TENSOR_BITS",
    "WORDS",
    "Destination",
    "Mode",
    "Opcode",
    "Rule",
    "Source",
    "Target",
    "Unit",
]

ISA_VERSION = 3
COMMAND_BYTES = 32
TENSOR_BITS = 7
LOOPS = 4
"""Counters of passes that repeats have."""
HAZARD_DISTANCE = 4
"""Beats between two edges of one PE that name the same accumulator slot: at least this many,
also where they belong to two commands, for these follow each other without a pause."""


class Unit(IntEnum):
    """The six command queues; also bit positions in `waits` and `signals`."""

    LOAD = 0
    AGGREGATE = 1
    DRAIN = 2
    TRANSFORM = 3
    STORE = 4
    UPDATE = 5


class Opcode(IntEnum):
    """First field of every command."""

    LOAD = 1
    AGGREGATE = 2
    DRAIN = 3
    TRANSFORM = 4
    STORE = 5
    LOSS = 6
    STEP = 7
    SCALE = 8
    REPEAT = 9


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
    """Engine whose emissions a store writes or a step takes."""

    AGGREGATE = 0
    TRANSFORM = 1


class Rule(IntEnum):
    """What a :class:`Scale` does."""

    FIT = 0
    SAME = 1
    SET = 2


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
    "tensor": TENSOR_BITS,
    "row": 32,
    "feature": 16,
    "destination": 2,
    "destination_base": LOCAL_BITS,
    "destination_bank": 4,
    "store": 1,
    "scaled": 1,
    "step": 1,
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
    Opcode.LOSS: Word(
        "loss",
        HEADER
        | {
            "gradient": 1,
            "judged": 1,
            "first": 1,
            "count": LOCAL_BITS,
            "panels": 6,
            "classes": 12,
            "address": 32,
            "pitch": 20,
            "labels": 32,
            "gradients": 32,
            "gradient_pitch": 20,
            "record": 32,
            "multiplier": 16,
            "logits": TENSOR_BITS,
            "tensor": TENSOR_BITS,
        },
    ),
    Opcode.STEP: Word(
        "step",
        HEADER
        | {
            "source": 1,
            "count": LOCAL_BITS,
            "address": 32,
            "operands": 32,
            "offset": 6,
            "tensor": TENSOR_BITS,
            "gradient": TENSOR_BITS,
            "momentum": 8,
            "decay": 8,
            "decay_shift": 6,
            "rate": 8,
            "rate_shift": 6,
            "halving": 5,
            "stochastic": 1,
            "row": 32,
            "feature": 16,
        },
    ),
    Opcode.SCALE: Word(
        "scale",
        HEADER
        | {
            "rule": 2,
            "tensor": TENSOR_BITS,
            "left": TENSOR_BITS,
            "right": TENSOR_BITS,
            "exponent": -12,
            "wanted": -12,
        },
    ),
    Opcode.REPEAT: Word(
        "repeat",
        {
            "opcode": 4,
            "loop": 2,
            "passes": 24,
            "advance": 1,
            "patience": 16,
            "target": 32,
            "target_count": 24,
            "following": 32,
            "following_count": 24,
        },
    ),
}
"""Packed form of each command; the rest of its 256 bits is zero."""
