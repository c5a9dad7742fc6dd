# SPDX-License-Identifier: Apache-2.0
"""Random but legal edge beats and drain orders, and what of them lies on chip."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import HAZARD_DISTANCE
from gcnloom_spec.items import edge_word, order_word
from gcnloom_spec.number import limits

__all__ = ["EdgeShadow", "random_beats", "random_order", "touching"]

NOWHERE = -1

BUSY_SLOTS = 6
"""Most edges go to few slots, so that sums have many parts and hazards are near."""
BUSY_COLUMNS = 16
"""Most edges read among few operand vectors, so that what they read was written."""


def random_beats(config: AcceleratorConfig, rng: Generator, count: int) -> NDArray[np.uint64]:
    """Packed beats, shape ``(count, pes)``, in which equal slots are far enough apart.

    With operand banks, no two edges of a beat read the same one.
    """
    shape = (count, config.pes)
    slot = _slots(config, rng, shape)
    valid = rng.random(shape) < 0.85
    for beat in range(count):
        recent = slice(max(0, beat - HAZARD_DISTANCE + 1), beat)
        same = (slot[recent] == slot[beat]) & valid[recent]
        valid[beat] &= ~same.any(axis=0)
    low, high = limits(config.operand_width)
    weight = rng.integers(low, high, shape, endpoint=True)
    weight[rng.random(shape) < 0.05] = low
    column = np.where(
        rng.random((count, 1)) < 0.8,
        rng.integers(0, min(BUSY_COLUMNS, config.operand_depth // 2), shape),
        rng.integers(0, config.operand_depth // 2, shape),
    )
    if config.operand_banks:
        bank = column % config.operand_banks
        for pe in range(1, config.pes):
            valid[:, pe] &= ~((bank[:, :pe] == bank[:, [pe]]) & valid[:, :pe]).any(axis=1)
    return edge_word(config).pack(
        column=column,
        slot=slot,
        weight=weight,
        first=rng.random(shape) < 0.25,
        valid=valid,
    )[..., 0]


def random_order(config: AcceleratorConfig, rng: Generator, count: int) -> NDArray[np.uint64]:
    """Packed drain-order entries; about half of the rows are split."""
    return order_word(config).pack(
        pe=rng.integers(0, config.pes, count),
        slot=_slots(config, rng, (count,)),
        last=rng.random(count) < 0.6,
    )[..., 0]


def _slots(config: AcceleratorConfig, rng: Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    # Half of what there is, so that commands may have different bases.
    depth = config.accumulator_depth // 2
    busy = rng.integers(0, min(BUSY_SLOTS, depth), shape)
    return np.where(rng.random(shape) < 0.8, busy, rng.integers(0, depth, shape))


def touching(before: NDArray[np.int64], after: NDArray[np.int64]) -> bool:
    """Whether beats `after` name a slot too soon after the beats `before` them."""
    return any(
        bool(((before[-early] == after[late]) & (after[late] != NOWHERE)).any())
        for late in range(min(len(after), HAZARD_DISTANCE - 1))
        for early in range(1, min(len(before), HAZARD_DISTANCE - 1 - late) + 1)
    )


class EdgeShadow:
    """What the edge memory holds after the loads so far; the rest is unknown.

    Parameters
    ----------
    config : AcceleratorConfig

    Attributes
    ----------
    loaded : NDArray[np.bool_]
        Which beats are known.
    """

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.loaded = np.zeros(config.edge_depth, dtype=np.bool_)
        self._beats = np.zeros((config.edge_depth, config.pes), dtype=np.uint64)

    def load(self, base: int, beats: NDArray[np.uint64]) -> None:
        """Note that `beats` lie from `base` on."""
        self._beats[base : base + len(beats)] = beats
        self.loaded[base : base + len(beats)] = True

    def legal(self, base: int, count: int) -> int:
        """Largest number of beats from `base` on, up to `count`, known to keep the distance."""
        unknown = np.flatnonzero(~self.loaded[base : base + count])
        count = int(unknown[0]) if len(unknown) else min(count, self.config.edge_depth - base)
        fields = edge_word(self.config).unpack(self._beats[base : base + count, :, np.newaxis])
        end = count
        for distance in range(1, min(HAZARD_DISTANCE, count)):
            both = (fields["valid"][distance:] & fields["valid"][:-distance]) != 0
            same = fields["slot"][distance:] == fields["slot"][:-distance]
            close = np.flatnonzero((both & same).any(axis=1))
            if len(close):
                end = min(end, int(close[0]) + distance)
        return end

    def slots(self, base: int, count: int) -> NDArray[np.int64]:
        """Slot of each PE in these beats, -1 without an edge."""
        fields = edge_word(self.config).unpack(self._beats[base : base + count, :, np.newaxis])
        slots: NDArray[np.int64] = np.where(fields["valid"] != 0, fields["slot"], NOWHERE)
        return slots

    def columns(self, base: int, count: int) -> int:
        """Operand vectors that the valid edges of these beats reach over."""
        fields = edge_word(self.config).unpack(self._beats[base : base + count, :, np.newaxis])
        reach: NDArray[np.int64] = np.where(fields["valid"] != 0, fields["column"] + 1, 0)
        return int(reach.max())
