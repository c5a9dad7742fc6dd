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
BLOCK_SHAPES = (
    (512, 36, 36),
    (1024, 18, 9),
    (2048, 9, 9),
    (4096, 4, 4),
    (8192, 2, 2),
    (16384, 1, 1),
)
"""Words and bits of a block RAM, and how many bits share a write enable."""
LUT_SHAPE = (16, 4, 4)
"""The same of a LUT memory."""
BLOCK_PRICE, LUT_PRICE = 128, 4
"""What yosys takes one of either to cost."""
LUT_BASE, LUT_SPARSE, LUT_DENSE = 11_846, 203, 220
"""Look-up tables of any accelerator, and for each multiplier of the sparse and the dense engine."""
LUT_UPDATE, LUT_UPDATE_LANE, DSP_UPDATE_LANE = 8_044, 2_310, 5
"""Those of an update unit with weights of 16 bits and for each of its lanes, and multipliers."""
LUT_SLICED, LUT_SLICED_LANE = -950, 68
"""What changes where the unit works on slices: fewer generators of random bytes; and for each lane
of a vector the way into a slice and out of it."""
LUT_BANK = 0.7
"""And for each operand bank that a bit of a processing element's operand may come from."""


def block_rams(memory: OnChipMemory) -> int:
    """Block RAMs of all copies of a memory, none if LUT memory is cheaper by yosys' prices."""
    price, blocks = min(_price(memory, shape, BLOCK_PRICE) for shape in BLOCK_SHAPES)
    in_tables, _ = _price(memory, LUT_SHAPE, LUT_PRICE)
    return 0 if in_tables < price else blocks * memory.copies


def _price(memory: OnChipMemory, shape: tuple[int, int, int], each: int) -> tuple[float, int]:
    """Reckon one copy in cells of a shape as yosys' ``memory_libmap`` does: price and cells."""
    words, bits, enabled = shape
    rows = -(-memory.depth // words)
    cells = -(-rows * -(-memory.width // enabled) * enabled // bits)
    # Half a unit for each bit that one more row multiplexes, and each row's write enable.
    selection = (rows - 1) * memory.width + (rows if rows > 1 else 0)
    return each * cells + selection / 2, cells


def resources(config: AcceleratorConfig) -> dict[str, int]:
    """Block RAMs, multipliers and look-up tables that a configuration is expected to take.

    Block RAMs and multipliers are counted, and exactly what synthesis found for the
    configurations with a report in ``docs/results``. Look-up tables are a plane through three
    points, those of an update unit a line through two: good between them, a rough guess elsewhere.
    For operand banks they have a term that follows from synthesis of the banks alone, 16 and 32 for
    ten elements.
    """
    sparse, dense = config.pes * config.lanes, config.rows * config.columns
    ways = sparse * config.operand_width * config.operand_banks
    updated = config.update_width if config.master_width else 0
    update = LUT_UPDATE + LUT_UPDATE_LANE * updated if updated else 0
    if config.update_slices > 1:
        update += LUT_SLICED + LUT_SLICED_LANE * config.lanes
    return {
        "EBR": sum(block_rams(memory) for memory in on_chip_memories(config)),
        "DSP": config.multipliers + DSP_UPDATE_LANE * updated,
        "LUT": LUT_BASE + LUT_SPARSE * sparse + LUT_DENSE * dense + round(LUT_BANK * ways) + update,
    }
