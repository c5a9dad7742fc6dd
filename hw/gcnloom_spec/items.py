# SPDX-License-Identifier: Apache-2.0
"""Items that lie in device memory, and how they are packed."""

from enum import IntEnum

from gcnloom_spec.config import AcceleratorConfig, Packing
from gcnloom_spec.isa import Target
from gcnloom_spec.words import Word

__all__ = [
    "LABEL",
    "RECORD",
    "Split",
    "edge_word",
    "load_group",
    "load_packing",
    "order_word",
]

RECORD = Word(
    "record",
    {
        "train_loss": 40,
        "train_correct": 24,
        "val_loss": 40,
        "val_correct": 24,
        "test_loss": 40,
        "test_correct": 24,
    },
)
LABEL = Word("label", {"label": 12, "split": 2})


class Split(IntEnum):
    """Which nodes a row belongs to."""

    NONE = 0
    TRAIN = 1
    VAL = 2
    TEST = 3


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
    if not config.sparse:
        return config.vector
    kinds = {
        Target.EDGES: config.edge_beat,
        Target.PLAIN_EDGES: config.plain_beat,
        Target.ORDER: config.order,
    }
    return kinds.get(target, config.vector)


def load_group(config: AcceleratorConfig, target: Target) -> int:
    """Items that a load writes to `target` in one cycle; its base is a multiple of them."""
    if not config.sparse:
        return config.vector_group
    kinds = {
        Target.EDGES: config.edge_group,
        Target.PLAIN_EDGES: config.edge_group,
        Target.ORDER: config.order_group,
    }
    return kinds.get(target, config.vector_group)
