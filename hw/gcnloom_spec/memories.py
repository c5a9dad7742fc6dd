# SPDX-License-Identifier: Apache-2.0
"""The on-chip memories of an accelerator: how many there are, how wide and how deep."""

from dataclasses import dataclass

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import WORDS, Opcode
from gcnloom_spec.packing import power_of_two
from gcnloom_spec.registers import MOST_SHIFT, STATISTICS
from gcnloom_spec.softmax import PROBABILITY_FRACTION, TABLE_BITS

__all__ = ["OnChipMemory", "buffer_bytes", "on_chip_memories"]

COUNTER_BITS, COUNTER_PLACES = 36, 7
"""Bits that the memory of the performance counters keeps of each, and of its address."""
TABLE = 1 << TABLE_BITS
SCALE_BITS = 2 * -WORDS[Opcode.SCALE].fields["exponent"] + MOST_SHIFT.bit_length()
LOSS_ROWS, TOTAL_BITS = 64, 21
"""Vectors of logits and of exponentials that the loss unit keeps, and bits of what it
knows of a row of these."""


@dataclass(frozen=True, kw_only=True)
class OnChipMemory:
    """Memories of one kind, each with one read and one write port; a table with two read ports.

    Parameters
    ----------
    name : str
    width : int
        Bits of a word.
    depth : int
        Words.
    copies : int
        How many the accelerator has.
    """

    name: str
    width: int
    depth: int
    copies: int

    @property
    def bits(self) -> int:
        """Bits of all copies."""
        return self.width * self.depth * self.copies


def on_chip_memories(config: AcceleratorConfig) -> tuple[OnChipMemory, ...]:
    """Every memory of an accelerator that is addressed; the queues between units are none."""
    vector = config.lanes * config.operand_width
    sums, entry = config.lanes * config.sum_width, config.sum_width + 32

    def memory(name: str, width: int, depth: int, copies: int = 1, group: int = 1) -> OnChipMemory:
        return OnChipMemory(name=name, width=width, depth=-(-depth // group), copies=copies * group)

    vectors, epilogues = config.vector_group, 2 if config.sparse else 1
    # What a load fills is cut into as many banks as it writes items in a cycle.
    sparse = () if not config.sparse else (
        # One that all PEs share is cut into more banks than that.
        memory("operand", vector, config.operand_depth, 1, config.operand_banks)
        if config.operand_banks
        else memory("operand", vector, config.operand_depth, config.pes, vectors),
        memory("accumulator", sums, config.accumulator_depth, config.pes),
        memory("edges", config.pes * config.edge_bits, config.edge_depth, 1, config.edge_group),
        memory("order", config.order_bits, config.order_depth, 1, config.order_group),
    )  # fmt: skip
    masks = (
        (memory("mask", config.lanes, config.mask_depth, epilogues, vectors),)
        if config.mask_depth
        else ()
    )
    return (
        *sparse,
        memory("left", vector, config.left_depth, config.left_banks, vectors),
        memory("right", vector, config.right_depth, config.right_banks, vectors),
        memory("sum", config.columns * config.sum_width, config.sum_depth),
        *masks,
        # Of every tensor, the envelope and a count of 32 bits; of operands and of masters each.
        memory("statistics", entry, STATISTICS, epilogues + (2 if config.master_width else 0)),
        memory("counters", COUNTER_BITS, 1 << COUNTER_PLACES),
        *(_update_memories(config) if config.master_width else ()),
    )


def _update_memories(config: AcceleratorConfig) -> tuple[OnChipMemory, ...]:
    """Memories of the update unit but for its statistics."""
    logit, exponential = config.sum_width + 3, PROBABILITY_FRACTION + 2
    slices = LOSS_ROWS * power_of_two(config.update_slices)
    sizes = (
        ("scales", SCALE_BITS, STATISTICS, 1),
        ("logits", config.update_width * logit, slices, 1),
        ("peaks", logit, LOSS_ROWS, 1),
        ("exponentials", config.update_width * exponential, slices, 1),
        ("totals", TOTAL_BITS, LOSS_ROWS, 1),
        # Two lanes share the two ports of a table.
        ("exponential_table", PROBABILITY_FRACTION + 1, TABLE, -(-config.update_width // 2)),
        ("reciprocal_table", PROBABILITY_FRACTION, TABLE, 1),
        ("logarithm_table", TABLE_BITS + 1, TABLE, 1),
    )
    return tuple(
        OnChipMemory(name=name, width=width, depth=depth, copies=copies)
        for name, width, depth, copies in sizes
    )


def buffer_bytes(config: AcceleratorConfig) -> int:
    """Bytes of all on-chip memories, copies counted."""
    return -(-sum(memory.bits for memory in on_chip_memories(config)) // 8)
