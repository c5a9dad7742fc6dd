# SPDX-License-Identifier: Apache-2.0
"""Stalls: endless iterators of one boolean a cycle, true where a side waits."""

import random
from collections.abc import Iterator
from itertools import repeat

__all__ = ["bursts", "named_stalls", "no_stalls", "random_stalls"]

PROBABILITY = 0.4
LONGEST = 12


def no_stalls() -> Iterator[bool]:
    """Never wait."""
    return repeat(False)


def random_stalls(seed: int | str, probability: float = PROBABILITY) -> Iterator[bool]:
    """Wait in each cycle with the same probability."""
    dice = random.Random(seed)
    while True:
        yield dice.random() < probability


def bursts(seed: int | str, longest: int = LONGEST) -> Iterator[bool]:
    """Wait and run in turn, each for a random time of up to `longest` cycles."""
    dice = random.Random(seed)
    while True:
        for waiting in (True, False):
            yield from repeat(waiting, dice.randint(1, longest))


def named_stalls(name: str, seed: int | str) -> Iterator[bool]:
    """Stalls by the name that a test parametrises over: ``none``, ``random`` or ``bursts``."""
    match name:
        case "none":
            return no_stalls()
        case "random":
            return random_stalls(seed)
        case "bursts":
            return bursts(seed)
    raise ValueError(f"unknown stalls {name!r}; use 'none', 'random' or 'bursts'")
