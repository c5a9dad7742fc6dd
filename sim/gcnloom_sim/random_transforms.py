# SPDX-License-Identifier: Apache-2.0
"""Random but legal commands of the systolic array, without what they emit."""

from gcnloom_sim.random_choices import Dice
from gcnloom_spec.commands import Transform
from gcnloom_spec.isa import Mode

__all__ = ["outputs", "passing", "stationary"]


def stationary(dice: Dice) -> Transform:
    """Choose a multiplication by weights that stay in the array."""
    config, rng = dice.config, dice.rng
    count = dice.count(min(config.left_depth, config.sum_depth))
    last = dice.flag(0.6)
    return Transform(
        mode=Mode.WEIGHT_STATIONARY,
        count=count,
        left_base=dice.place(config.left_depth, count),
        right_base=dice.place(config.right_depth, config.rows),
        sum_base=dice.place(config.sum_depth, count),
        slice=int(rng.integers(config.left_slices)),
        first=dice.flag(0.5),
        last=last,
        bank=int(rng.integers(config.right_banks)),
    )


def outputs(dice: Dice, *, first: int, last: int) -> Transform:
    """Choose a part of a product whose sums stay in the array."""
    config, rng = dice.config, dice.rng
    count = dice.count(min(config.left_depth, config.right_depth))
    return Transform(
        mode=Mode.OUTPUT_STATIONARY,
        count=count,
        left_base=dice.place(config.left_depth, count),
        right_base=dice.place(config.right_depth, count),
        sum_base=dice.place(config.sum_depth, config.rows),
        slice=int(rng.integers(config.left_slices)),
        first=first,
        last=last,
        bank=int(rng.integers(config.right_banks)),
    )


def passing(dice: Dice) -> Transform:
    """Choose an emission of earlier sums."""
    config, rng = dice.config, dice.rng
    count = dice.count(config.sum_depth)
    return Transform(
        mode=Mode.PASS,
        count=count,
        sum_base=dice.place(config.sum_depth, count),
        bank=int(rng.integers(config.right_banks)),
    )
