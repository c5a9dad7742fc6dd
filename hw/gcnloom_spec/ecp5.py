# SPDX-License-Identifier: Apache-2.0
"""What an accelerator takes of a Lattice ECP5, without synthesis."""

from collections.abc import Mapping
from types import MappingProxyType

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.memories import OnChipMemory, on_chip_memories

__all__ = ["PARTS", "block_rams", "resources"]

PARTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "lfe5u-25f": {"LUT": 24288, "FF": 24288, "EBR": 56, "DSP": 28},
        "lfe5u-45f": {"LUT": 43848, "FF": 43848, "EBR": 108, "DSP": 72},
        "lfe5u-85f": {"LUT": 83640, "FF": 83640, "EBR": 208, "DSP": 156},
    }
)
"""Resources by part. EBR are block RAMs of 18 Kbit, DSP 18-bit multipliers."""
SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""Words and bits of a block RAM."""
SMALLEST_BITS = 2048
"""What is smaller, yosys puts into LUT memory."""
LUT_BASE, LUT_SPARSE, LUT_DENSE = 17_292, 77, 213
"""Look-up tables of any accelerator, and for each multiplier of the sparse and the dense engine."""
LUT_BANK = 0.7
"""And for each operand bank that a bit of a processing element's operand may come from."""


def block_rams(memory: OnChipMemory) -> int:
    """Block RAMs of all copies of a memory, each in the shape that takes fewest."""
    if memory.width * memory.depth < SMALLEST_BITS:
        return 0
    each = min(-(-memory.depth // words) * -(-memory.width // bits) for words, bits in SHAPES)
    return each * memory.copies


def resources(config: AcceleratorConfig) -> dict[str, int]:
    """Block RAMs, multipliers and look-up tables that a configuration is expected to take.

    Block RAMs and multipliers are counted, and exactly what synthesis found for the three
    configurations with a report in ``docs/results``. Look-up tables are a plane through these
    three points: good between them, a rough guess elsewhere. For operand banks they have a term
    that follows from synthesis of the banks alone, 16 and 32 for ten elements.
    """
    sparse, dense = config.pes * config.lanes, config.rows * config.columns
    ways = sparse * config.operand_width * config.operand_banks
    return {
        "EBR": sum(block_rams(memory) for memory in on_chip_memories(config)),
        "DSP": config.multipliers,
        "LUT": LUT_BASE + LUT_SPARSE * sparse + LUT_DENSE * dense + round(LUT_BANK * ways),
    }
