# SPDX-License-Identifier: Apache-2.0
"""How long schedules are, against their lower bound, and what makes them longer."""

import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from gcnloom.graphs import datasets
from gcnloom.graphs.graph import gcn_norm
from gcnloom.lower.tiling import column_limit
from gcnloom.scheduling.banks import bank_order
from gcnloom.scheduling.schedule import Schedule, schedule
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["SCHEDULES", "schedule_rows"]

SCHEDULES = (
    "matrix", "non-zeros", "PEs", "feed", "beats", "bound", "beats / bound", "beats / (edges / P)",
    "rounding", "banks", "imbalance", "hazards", "row blocks", "tiles", "more entries", "skew",
    "seconds", "peak MiB",
)  # fmt: skip

OPERANDS, SLOTS = 8192, 512


def schedule_rows(data: Sequence[str], pes: Sequence[int]) -> Iterator[tuple[object, ...]]:
    """Schedule every sparse matrix of some graphs with every operand feed.

    The feeds are a copy for each PE, twice as many banks as PEs or, that being
    no power of two, somewhat more, and these with the columns in
    :func:`~gcnloom.scheduling.banks.bank_order`. Weights are all one.

    Yields
    ------
    tuple
        One row of the table headed by :data:`SCHEDULES`. Beats are ``edges / P`` and what the
        columns from `rounding` to `hazards` say; `skew` is that of the worst row block, relative
        to its slots.
    """
    for spec in data:
        for name, matrix in _matrices(spec):
            for count in pes:
                for feed in ("copies", "banks", "banks, ordered"):
                    banks = 0 if feed == "copies" else 1 << (2 * count - 1).bit_length()
                    config = _config(count, banks)
                    width = column_limit(matrix.shape[1], config)
                    given = matrix
                    if feed == "banks, ordered":
                        order = bank_order(matrix, config.operand_banks, width)
                        given = csr_array(matrix[:, order])
                    started = time.process_time()
                    plan = schedule(given, config, max_rows=SLOTS * count, max_columns=width)
                    seconds = time.process_time() - started
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                    cells = _cells(plan)
                    yield name, f"{plan.nnz:,}", count, feed, *cells, f"{seconds:.2f}", peak


def _config(pes: int, banks: int) -> AcceleratorConfig:
    demo = AcceleratorConfig.from_toml("demo")
    return replace(
        demo, pes=pes, operand_banks=banks, operand_depth=OPERANDS, accumulator_depth=SLOTS,
        order_depth=SLOTS * pes,
    )  # fmt: skip


def _matrices(spec: str) -> Iterator[tuple[str, csr_array]]:
    graph = datasets.load(spec)
    if issparse(graph.features):
        yield f"{spec} X", _ones(graph.features)
        yield f"{spec} Xᵀ", _ones(graph.features.T)
    yield f"{spec} Â", _ones(gcn_norm(graph.adjacency))


def _ones(matrix: Any) -> csr_array:
    pattern = csr_array(matrix)
    ones = np.ones(pattern.nnz, dtype=np.int64)
    return csr_array((ones, pattern.indices, pattern.indptr), shape=pattern.shape)


def _cells(plan: Schedule) -> tuple[object, ...]:
    tiles = [tile for block in plan.blocks for tile in block.tiles]
    ideal = sum(tile.edges for tile in tiles) / plan.pes
    excess = plan.excess
    return (
        plan.length, plan.lower_bound, f"{plan.length / plan.lower_bound:.4f}",
        f"{plan.length / ideal:.4f}", excess.rounding, excess.banks, excess.imbalance,
        excess.hazards, len(plan.blocks), len(tiles), plan.entries - plan.shape[0],
        f"{max(block.skew / block.slots for block in plan.blocks):.2f}",
    )  # fmt: skip
