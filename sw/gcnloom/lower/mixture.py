# SPDX-License-Identifier: Apache-2.0
"""A dense product dealt to both engines by rows, so that they finish together."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcnloom.lower.builder import aligned
from gcnloom.lower.dense import steps_of
from gcnloom.lower.interleave import array_cycles
from gcnloom_spec.config import AcceleratorConfig

__all__ = ["Load", "Shares", "block_rows", "deal"]

LEAST_GAIN = 1.02
"""Speed-up below which the second copy of the features is not worth its device memory."""
BLOCKS = 96
"""Row blocks the product is cut into at least, where they are not dealt in turn."""
LEAST_SLOTS = 16
"""Accumulators of a PE for a row block: with fewer, its edges are hard to space."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Cycles that one group of panels keeps the engines busy.

    Attributes
    ----------
    array, sparse : float
        The whole dense product on either engine, by the closed form of its commands.
    beside : float
        What the sparse engine does in any case, meanwhile.
    """

    array: float
    sparse: float
    beside: float

    @staticmethod
    def of(features: NDArray[Any], edges: int, config: AcceleratorConfig) -> "Load":
        """Load of a dense product whose results are then multiplied by a matrix of `edges`."""
        rows, inner = features.shape
        panels, tile = config.right_banks, min(config.sum_depth, config.left_depth // 2)
        step = array_cycles(tile, config) / tile
        return Load(
            array=rows * (steps_of(inner, config) * step + panels - 1),
            sparse=np.count_nonzero(features) * panels / config.pes,
            beside=edges * panels / config.pes,
        )

    @property
    def share(self) -> float:
        """Of the dense product's rows, what the sparse engine does for both to end at once."""
        return max(0.0, (self.array - self.beside) / (self.array + self.sparse))

    @property
    def gains(self) -> bool:
        """Whether sharing is worth it."""
        return self.share > 0 and 1 / (1 - self.share) >= LEAST_GAIN

    def alone(self) -> "Load":
        """Return the same where the sparse engine has nothing else to do."""
        return Load(array=self.array, sparse=self.sparse, beside=0.0)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Which rows of a product each engine makes.

    Attributes
    ----------
    array, sparse : tuple of range
        In order; those of the array as long as they can be, those of the sparse engine parts.
    """

    array: tuple[range, ...]
    sparse: tuple[range, ...]


def block_rows(rows: int, panels: int, config: AcceleratorConfig) -> int:
    """Rows of a part where parts are not given: few, for an even end, yet enough to schedule."""
    unit = config.vector.items_per_word
    least = max(config.pes * LEAST_SLOTS, -(-rows // BLOCKS))
    most = aligned(min(config.accumulator_depth // (4 * panels) * config.pes, rows), config)
    return max(unit, min(-(-least // unit) * unit, most))


def deal(rows: int, part: int, share: float, *, in_turn: bool) -> Shares:
    """Deal parts of so many rows, a `share` of them to the sparse engine.

    Parts are dealt `in_turn` where the next product takes them as they come; else the sparse
    engine has the last ones.
    """
    parts = [range(start, min(start + part, rows)) for start in range(0, rows, part)]
    count = round(share * len(parts))
    if in_turn:
        taken = {
            number
            for number in range(len(parts))
            if (number + 1) * count // len(parts) > number * count // len(parts)
        }
    else:
        taken = set(range(len(parts) - count, len(parts)))
    array: list[range] = []
    for number, rest in enumerate(parts):
        if number in taken:
            continue
        if array and array[-1].stop == rest.start:
            array[-1] = range(array[-1].start, rest.stop)
        else:
            array.append(rest)
    return Shares(array=tuple(array), sparse=tuple(parts[number] for number in sorted(taken)))
