# SPDX-License-Identifier: Apache-2.0
"""How a sparse matrix is cut, so that its product streams through the on-chip memories."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gcnloom.lower.buffers import TURNS
from gcnloom.lower.builder import aligned, region_unit, row_unit
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Target

__all__ = ["Tiling", "batches", "column_limit", "operand_room", "replayed", "tiling"]

PARTS = 8
"""Parts a tensor is cut into where it could pass as a whole: what lags behind is one of them."""
BLOCKS = 3
"""Row blocks of a matrix whose sums are all on chip: the results of one leave beside the next."""
MOST_PARTS = 64
"""A matrix in more column tiles than this takes longer to start tiles than to multiply them."""


def column_limit(columns: int, config: AcceleratorConfig, panels: int = 1) -> int:
    """Operand rows of a tile: all if they fit, else half the memory, for double buffering."""
    if operand_room(columns, config) * panels <= config.operand_depth:
        return columns
    unit = row_unit(config)
    return config.operand_depth // (2 * panels) // unit * unit


def replayed(panels: int, rows: int, config: AcceleratorConfig) -> int:
    """Panels of an operand that go through the same edges while these are on chip.

    As many as fit, where a beat of edges takes longer to load than to use; else one, so that
    its results can be used while the next panel's are made.
    """
    if config.edge_beat.words_per_item == 1:
        return 1
    slots = -(-config.vector.items_per_word // config.pes)
    while panels > 1 and (
        column_limit(rows, config, panels) < rows
        or 2 * panels * slots > config.accumulator_depth
        or 2 * panels * config.vector.items_per_word > config.operand_depth
    ):
        panels -= 1
    return panels


def batches(panels: int, at_once: int) -> Iterator[range]:
    """Panels, some at once."""
    for start in range(0, panels, at_once):
        yield range(start, min(start + at_once, panels))


def operand_room(rows: int, config: AcceleratorConfig) -> int:
    """Addresses of the operand memory that so many rows take."""
    unit = region_unit(config, Target.OPERAND)
    return -(-rows // unit) * unit


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """Sizes of a matrix's tiles.

    Attributes
    ----------
    config : AcceleratorConfig
    rows, columns : int
        Most rows of a block, most columns of a tile.
    slots : int
        Most accumulators of each PE for a block.
    part : int
        Rows that leave the engine with one command.
    streamed : bool
        The sums of all rows are on chip at once, and columns come tile by tile.
    panels : int
        Panels multiplied at a time.
    whole : int
        Columns of the matrix.
    """

    config: AcceleratorConfig
    rows: int
    columns: int
    slots: int
    part: int
    streamed: bool
    panels: int
    whole: int

    def holds(self, slots: int) -> bool:
        """Whether blocks of so many accumulators in all are on chip twice, with some to spare.

        One set leaves while the other fills; those to spare are for the product that makes the
        operand.
        """
        spare = TURNS * (-(-self.columns // self.config.pes) + 2)
        return (2 * slots + spare) * self.panels <= self.config.accumulator_depth

    def by_rows(self, part: int = 0) -> "Tiling":
        """Tiling for row blocks in turn, of at most `part` rows (0: as many as fit twice)."""
        config = self.config
        slots = config.accumulator_depth // (2 * self.panels)
        rows = aligned(min(config.pes * slots, config.order_depth // 2), config)
        columns = column_limit(self.whole, config, self.panels)
        return replace(
            self, rows=min(rows, part or rows), columns=columns, slots=slots,
            part=fraction(part or self.part, rows, config), streamed=False,
        )  # fmt: skip


def fraction(part: int, most: int, config: AcceleratorConfig) -> int:
    """Largest equal fraction of a part, in whole memory words, of at most `most` rows.

    So what leaves at a time never lies in two parts. Only a part that is a whole tensor is no
    multiple of a word; it has no neighbour.
    """
    if part <= most:
        return part
    words, rest = divmod(part, config.vector.items_per_word)
    if rest:
        return aligned(most, config)
    return next(part // n for n in range(1, words + 1) if words % n == 0 and part // n <= most)


def part_rows(rows: int, most: int, unit: int) -> int:
    """Rows of a part: an eighth of all, at most `most`, in multiples of `unit`."""
    eighth = -(-rows // PARTS)
    return max(unit, min(-(-eighth // unit) * unit, most // unit * unit))


def tiling(
    config: AcceleratorConfig,
    rows: int,
    columns: int,
    *,
    panels: int,
    beside: int = 0,
    part: int = 0,
    streamed: bool = True,
) -> Tiling:
    """Cut a matrix of so many rows and columns.

    Parameters
    ----------
    config : AcceleratorConfig
    rows, columns : int
    panels : int
        Panels of the operand that are multiplied at a time.
    beside : int
        Rows of another operand that is on chip meanwhile.
    part : int
        Rows that leave at a time; 0: as is best.
    streamed : bool
        Let columns come tile by tile, where all that takes fits on chip.
    """
    room = config.operand_depth // panels - beside
    array = min(config.left_depth // TURNS, config.sum_depth, config.mask_depth // 2)
    tile = part_rows(columns, min(max(room // TURNS, 0), array), row_unit(config))
    fits = tile * TURNS <= room and tile * MOST_PARTS >= columns
    part = part or part_rows(rows, array, config.vector.items_per_word)
    block = part * -(-rows // (part * BLOCKS))
    plan = Tiling(
        config=config, rows=min(rows, block, config.order_depth), columns=min(tile, columns),
        slots=config.accumulator_depth, streamed=True, panels=panels, whole=columns, part=part,
    )  # fmt: skip
    enough = -(-rows // config.pes)
    return plan if streamed and fits and plan.holds(enough) else plan.by_rows()
