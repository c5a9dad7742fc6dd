# SPDX-License-Identifier: Apache-2.0
"""Cycles of a workload in closed form: good enough to rank thousands of configurations."""

from dataclasses import dataclass

from gcnloom_sim.explore.work import Product, Stage
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["estimate"]

PER_TILE = 40
"""Cycles in which a tile's first load and its last result are not hidden."""


@dataclass(frozen=True)
class _Busy:
    """Cycles that a product keeps each part busy, and those until its first panel is out.

    ``moved`` are memory words, both ways.
    """

    sparse: float = 0.0
    dense: float = 0.0
    read: float = 0.0
    written: float = 0.0
    moved: float = 0.0
    first: float = 0.0


def estimate(
    stages: tuple[Stage, ...], config: AcceleratorConfig, rate: int | None = None
) -> float:
    """Estimate the cycles of all stages, one after the other.

    A stage takes as long as its busiest part (sparse engine, array, reads or writes) and, before
    that, until the first panel of each product but the last has come to the next. `rate` are
    bytes a cycle of a memory that reads and writes share; by default each has the whole port.
    """
    beats = {
        product.matrix: -(-product.nonzeros // config.pes)
        for stage in stages
        for product in stage
        if product.nonzeros
    }
    resident = sum(beats.values()) <= config.edge_depth
    total = 0.0
    seen: set[str] = set()
    for stage in stages:
        parts = []
        for product in stage:
            known = resident and product.matrix in seen
            parts.append(_busy(product, config, resident=resident, known=known))
            seen.add(product.matrix)
        filling = sum(part.first for part in parts[:-1])
        busiest = max(
            sum(getattr(part, name) for part in parts)
            for name in ("sparse", "dense", "read", "written")
        )
        if rate is not None:
            moved = sum(part.moved for part in parts) * config.memory_bytes
            busiest = max(busiest, moved / rate)
        total += busiest + filling
    return total


def _busy(product: Product, config: AcceleratorConfig, *, resident: bool, known: bool) -> _Busy:
    if product.nonzeros:
        return _sparse(product, config, resident=resident, known=known)
    return _transposed(product, config) if product.transposed else _dense(product, config)


def _sparse(product: Product, config: AcceleratorConfig, *, resident: bool, known: bool) -> _Busy:
    """Beats for every panel, drains beside them; tiles where operand or sums do not fit."""
    panels = -(-product.width // config.lanes)
    beats = -(-product.nonzeros // config.pes)
    rows = min(config.pes * config.accumulator_depth, config.order_depth)
    blocks = -(-product.rows // rows)
    fits = product.inner <= config.operand_depth
    columns = product.inner if fits else config.operand_depth // 2
    tiles = blocks * -(-product.inner // columns)
    segments = tiles + beats // (config.edge_depth // 2)
    panel = max(beats + PER_TILE * segments, product.rows)
    loads = 1 if resident else panels
    edges = 0 if known else loads * config.edge_beat.words(beats)
    # Operand rows that have not come through the fabric, or are needed again for another block.
    again = blocks if not fits else 0
    read = edges + panels * again * config.vector.words(product.inner)
    return _Busy(sparse=panels * panel, read=read, **_out(product, config, read), first=panel)


def _dense(product: Product, config: AcceleratorConfig) -> _Busy:
    """Take steps over all rows for every group of columns; further banks pass after."""
    groups = -(-product.width // config.columns)
    steps = -(-product.inner // config.rows)
    left = -(-product.inner // (config.left_banks * config.lanes))
    fits = product.rows * left <= config.left_depth
    tile = min(config.sum_depth, config.left_depth if fits else config.left_depth // 2)
    tiles = -(-product.rows // tile)
    panels = -(-product.width // config.lanes)
    passes = max(0, panels - groups) * product.rows
    step = product.rows + tiles * (1 + max(config.rows, 2))
    vectors = left * config.left_banks * config.vector.words(product.rows)
    weights = steps * config.rows * config.right_banks / config.vector.items_per_word
    small = product.inner <= config.right_depth // 2
    read = vectors * (1 if fits else groups) + groups * weights * (1 if small else tiles)
    return _Busy(
        dense=groups * steps * step + passes, read=read, **_out(product, config, read),
        first=steps * step,
    )  # fmt: skip


def _transposed(product: Product, config: AcceleratorConfig) -> _Busy:
    """Inner rows stream through the array once for every block of results."""
    groups = -(-product.width // config.columns)
    steps = -(-product.rows // config.rows)
    tile = min(config.left_depth, config.right_depth) // 2
    cycles = groups * steps * (product.inner + config.rows + 4 * -(-product.inner // tile))
    left = -(-product.rows // (config.left_banks * config.lanes)) * config.left_banks
    read = config.vector.words(product.inner) * (groups * left + steps * config.right_banks)
    return _Busy(dense=cycles, read=read, **_out(product, config, read), first=cycles / steps)


def _out(product: Product, config: AcceleratorConfig, read: float) -> dict[str, float]:
    """Cycles of the stores of a product, and words that move with those that are read."""
    if not product.stored:
        return {"written": 0.0, "moved": read}
    packing = config.sums if product.raw else config.vector
    panels = -(-product.width // config.lanes)
    # A vector of several words holds its engine up; several vectors a word leave one a cycle.
    cycles = panels * product.rows * max(1, packing.words_per_item)
    return {"written": cycles, "moved": read + panels * packing.words(product.rows)}
