# SPDX-License-Identifier: Apache-2.0
"""The on-chip memories of an accelerator: how many there are, how wide and how deep."""

from dataclasses import dataclass

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.registers import STATISTICS

__all__ = ["OnChipMemory", "buffer_bytes", "on_chip_memories"]

EPILOGUES = 2


@dataclass(frozen=True, kw_only=True)
class OnChipMemory:
    """Memories of one kind, each with one read and one write port.

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
    sums = config.lanes * config.sum_width

    def memory(name: str, width: int, depth: int, copies: int = 1, group: int = 1) -> OnChipMemory:
        return OnChipMemory(name=name, width=width, depth=-(-depth // group), copies=copies * group)

    vectors = config.vector_group
    # What a load fills is cut into as many banks as it writes items in a cycle.
    return (
        # One that all PEs share is cut into more banks than that.
        memory("operand", vector, config.operand_depth, 1, config.operand_banks)
        if config.operand_banks
        else memory("operand", vector, config.operand_depth, config.pes, vectors),
        memory("accumulator", sums, config.accumulator_depth, config.pes),
        memory("edges", config.pes * config.edge_bits, config.edge_depth, 1, config.edge_group),
        memory("order", config.order_bits, config.order_depth, 1, config.order_group),
        memory("left", vector, config.left_depth, config.left_banks, vectors),
        memory("right", vector, config.right_depth, config.right_banks, vectors),
        memory("sum", config.columns * config.sum_width, config.sum_depth),
        memory("mask", config.lanes, config.mask_depth, EPILOGUES, vectors),
        # Of every tensor, the envelope and a count of 32 bits.
        memory("statistics", config.sum_width + 32, STATISTICS, EPILOGUES),
    )


def buffer_bytes(config: AcceleratorConfig) -> int:
    """Bytes of all on-chip memories, copies counted."""
    return -(-sum(memory.bits for memory in on_chip_memories(config)) // 8)
