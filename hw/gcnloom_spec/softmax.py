# SPDX-License-Identifier: Apache-2.0
"""Softmax cross-entropy in fixed point: the gradient of logits, losses, and which are right.

Exponentials and reciprocals come from tables of 1024 entries. A probability differs from the exact
one by less than :data:`PROBABILITY_ERROR`, a row's loss by less than :data:`LOSS_ERROR`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import e, log2

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DISTANCE_BITS",
    "DISTANCE_FRACTION",
    "LOSS_ERROR",
    "LOSS_FRACTION",
    "MULTIPLIER_BITS",
    "MULTIPLIER_FRACTION",
    "PROBABILITY_ERROR",
    "PROBABILITY_FRACTION",
    "TABLE_BITS",
    "WANTED",
    "Softmax",
    "exponentials",
    "logarithms",
    "multiplier_for",
    "reciprocals",
    "softmax",
]

TABLE_BITS = 10
PROBABILITY_FRACTION = 15
"""Probabilities and gradients are multiples of ``2 ** -PROBABILITY_FRACTION``."""
DISTANCE_BITS, DISTANCE_FRACTION = 17, 12
"""How far a logit lies below its row's largest: unsigned, that many bits, so many of them below 1;
what is further away has no probability."""
MULTIPLIER_BITS, MULTIPLIER_FRACTION = 16, 15
LOSS_FRACTION = TABLE_BITS
"""Losses are in bits of information, multiples of ``2 ** -LOSS_FRACTION``."""
PROBABILITY_ERROR = 2.5e-3
"""With up to 300 classes; 1e-3 with up to 64."""
LOSS_ERROR = 4e-3
"""In nats, where the loss is below 20."""
PRESHIFT = 16
WANTED = PRESHIFT - DISTANCE_FRACTION
"""Logits are shifted by ``WANTED - exponent``."""


@cache
def exponentials() -> tuple[int, ...]:
    """``2 ** -(i / 1024)`` in multiples of ``2 ** -15``."""
    return _table(lambda x: 2.0 ** (PROBABILITY_FRACTION - x), 0.0)


@cache
def reciprocals() -> tuple[int, ...]:
    """``1 / x`` in multiples of ``2 ** -15``, in the middle of each 1024th of 1 to 2."""
    return _table(lambda x: (1 << PROBABILITY_FRACTION) / (1 + x), 0.5)


@cache
def logarithms() -> tuple[int, ...]:
    """``log2(x)`` in multiples of ``2 ** -10``, in the middle of each 1024th of 1 to 2."""
    return _table(lambda x: log2(1 + x) * (1 << LOSS_FRACTION), 0.5)


def multiplier_for(scale: float) -> int:
    """Return what makes distances of logits, times `scale` (up to 1), powers of two.

    Raises
    ------
    ValueError
        `scale` is not above 0 and at most 1.
    """
    if not 0 < scale <= 1:
        raise ValueError(f"scale={scale} is outside 0 to 1; use that of the kept elements")
    return round(log2(e) * scale * (1 << MULTIPLIER_FRACTION))


@dataclass(frozen=True, eq=False)
class Softmax:
    """What :func:`softmax` returns.

    Attributes
    ----------
    gradient : NDArray[np.int64]
        Probability less one for the label, in multiples of ``2 ** -15``; shape of the logits.
    losses : NDArray[np.int64]
        Of each row, in multiples of ``2 ** -10`` bits.
    correct : NDArray[np.bool_]
        Whether the label is the first class with the largest logit.
    """

    gradient: NDArray[np.int64]
    losses: NDArray[np.int64]
    correct: NDArray[np.bool_]


def softmax(
    logits: NDArray[np.int64], labels: NDArray[np.int64], *, shift: int, multiplier: int
) -> Softmax:
    """Softmax cross-entropy of each row.

    Parameters
    ----------
    logits : NDArray[np.int64]
        Sums, shape ``(rows, classes)``.
    labels : NDArray[np.int64]
        Class of each row, below `classes`.
    shift : int
        0 to 63: ``WANTED - exponent`` of the logits.
    multiplier : int
        See :func:`multiplier_for`.
    """
    peak = logits.max(axis=1, keepdims=True)
    below = peak - logits
    limit = (1 << DISTANCE_BITS) - 1
    if shift >= PRESHIFT:
        distance = np.minimum(below >> (shift - PRESHIFT), limit)
    else:
        distance = np.minimum(np.minimum(below, limit) << (PRESHIFT - shift), limit)
    drop = DISTANCE_FRACTION + MULTIPLIER_FRACTION - TABLE_BITS
    powers = (distance * multiplier + (1 << (drop - 1))) >> drop
    entry, whole = powers & ((1 << TABLE_BITS) - 1), powers >> TABLE_BITS
    exponential = np.array(exponentials())[entry] >> np.minimum(whole, 31)
    total = exponential.sum(axis=1)
    # The largest is 1, so that totals have at least this many bits.
    place = np.array([int(each).bit_length() - 1 for each in total], dtype=np.int64)
    entry = (total >> (place - TABLE_BITS)) & ((1 << TABLE_BITS) - 1)
    reciprocal = np.array(reciprocals())[entry]
    half = np.int64(1) << (place - 1)
    gradient = (exponential * reciprocal[:, None] + half[:, None]) >> place[:, None]
    rows = np.arange(len(logits))
    gradient[rows, labels] -= 1 << PROBABILITY_FRACTION
    bits = ((place - PROBABILITY_FRACTION) << LOSS_FRACTION) + np.array(logarithms())[entry]
    return Softmax(gradient, powers[rows, labels] + bits, logits.argmax(axis=1) == labels)


def _table(function: Callable[[float], float], middle: float) -> tuple[int, ...]:
    steps = 1 << TABLE_BITS
    return tuple(round(float(function((i + middle) / steps))) for i in range(steps))
