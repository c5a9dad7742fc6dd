# SPDX-License-Identifier: Apache-2.0
"""Dice: the random choices that random programs are made of."""

from numpy.random import Generator

from gcnloom.programs.access import Access
from gcnloom_spec.commands import Emission
from gcnloom_spec.config import AcceleratorConfig
from gcnloom_spec.isa import Destination

__all__ = ["Dice", "conflict"]


class Dice:
    """Choose counts, places and emissions that fit an accelerator.

    Parameters
    ----------
    config : AcceleratorConfig
    rng : Generator
    """

    def __init__(self, config: AcceleratorConfig, rng: Generator) -> None:
        self.config, self.rng = config, rng

    def count(self, limit: int) -> int:
        """Choose 1 to `limit`: mostly few, sometimes one, seldom all."""
        kind = self.rng.random()
        if kind < 0.15:
            return 1
        if kind < 0.92:
            return int(self.rng.integers(1, min(limit, 12), endpoint=True))
        return limit if kind > 0.98 else int(self.rng.integers(1, limit, endpoint=True))

    def flag(self, probability: float) -> int:
        """Return 1 with the given probability, or 0."""
        return int(self.rng.random() < probability)

    def place(self, depth: int, count: int) -> int:
        """Choose the base of `count` items; often near zero, so that commands collide."""
        most = depth - count
        near = min(most, 16) if self.rng.random() < 0.7 else most
        return int(self.rng.integers(near, endpoint=True))

    def emission(self, vectors: int, room: int) -> Emission:
        """Choose how `vectors` vectors are emitted; sometimes only to the statistics.

        At most `room` vectors are stored.
        """
        config, rng = self.config, self.rng
        store = self.flag(0.6) if vectors <= room else 0
        raw = self.flag(0.25) if store else 0
        destination, base, bank = (Destination.NONE, 0, 0) if raw else self._destination(vectors)
        mask = self.flag(0.3) if vectors <= config.mask_depth else 0
        near = int(rng.integers(0, 2 * config.operand_width))
        draws = 0.0 if config.without_draws else 0.3
        shift = near if rng.random() < 0.8 else int(rng.integers(config.sum_width))
        return Emission(
            vectors=vectors,
            raw=raw,
            shift=shift,
            stochastic=self.flag(draws),
            relu=self.flag(0.3),
            mask=mask,
            mask_base=self.place(config.mask_depth, vectors) if mask else 0,
            dropout=self.flag(draws),
            threshold=int(rng.integers(256)),
            tensor=int(rng.integers(64)),
            row=int(rng.integers((1 << 32) - vectors)),
            feature=config.lanes * int(rng.integers((1 << 16) // config.lanes)),
            destination=destination,
            destination_base=base,
            destination_bank=bank,
            store=store,
        )

    def _destination(self, vectors: int) -> tuple[Destination, int, int]:
        config = self.config
        destination = Destination(int(self.rng.integers(len(Destination))))
        depth, banks = {
            Destination.NONE: (0, 1),
            Destination.OPERAND: (config.operand_depth, 1),
            Destination.LEFT: (config.left_depth, config.left_banks),
            Destination.RIGHT: (config.right_depth, config.right_banks),
        }[destination]
        if vectors > depth:
            return Destination.NONE, 0, 0
        return destination, self.place(depth, vectors), int(self.rng.integers(banks))


def conflict(one: Access, other: Access) -> bool:
    """Whether two accesses touch the same items."""
    return one.space == other.space and one.low < other.high and other.low < one.high
