# SPDX-License-Identifier: Apache-2.0
"""The weight step: descent with momentum and weight decay on integers of 16 to 32 bits.

Weights and momenta are mantissas at exponents that stay the same for a run. With the exponents
folded into shifts a step is::

    momentum' = round((beta * momentum + sum * 2**a + decay * weight * 2**b) / 256)
    weight' = round((256 * weight - rate * momentum' * 2**c) / 256)

where `beta`, `decay` and `rate` are integers of 8 bits, and the powers are ``16 - shift``.
"""

from dataclasses import dataclass
from math import frexp

import numpy as np
from numpy.typing import NDArray

from gcnloom_spec.number import NOISE_BITS, limits, requantise
from gcnloom_spec.registers import MOST_SHIFT

__all__ = [
    "COEFFICIENT_BITS",
    "GUARD_BITS",
    "PRESHIFT",
    "Coefficient",
    "Step",
    "scaled",
    "step",
]

COEFFICIENT_BITS = 8
PRESHIFT = 16
"""A term is shifted left by so many bits, then right by its shift."""
GUARD_BITS = NOISE_BITS + 2
"""Bits that a term has beyond those of a weight; it saturates there."""


@dataclass(frozen=True)
class Coefficient:
    """A factor ``mantissa * 2 ** (PRESHIFT - shift)`` of a term."""

    mantissa: int
    shift: int

    @classmethod
    def of(cls, value: float) -> "Coefficient":
        """Nearest factor to `value`, within 0.4 %.

        Raises
        ------
        ValueError
            The value is negative or too large. One that is too small becomes zero.
        """
        if value == 0:
            return cls(0, 0)
        fraction, exponent = frexp(value)
        mantissa = round(fraction * (1 << COEFFICIENT_BITS))
        if mantissa == 1 << COEFFICIENT_BITS:
            mantissa, exponent = mantissa >> 1, exponent + 1
        shift = PRESHIFT - (exponent - COEFFICIENT_BITS)
        if value < 0 or shift < 0:
            raise ValueError(f"factor {value} is outside 0 to {2.0 ** (PRESHIFT + 8):g}")
        return cls(mantissa, shift) if shift <= MOST_SHIFT else cls(0, 0)

    @property
    def value(self) -> float:
        """The factor as it is used."""
        return self.mantissa * 2.0 ** (PRESHIFT - self.shift)


@dataclass(frozen=True, eq=False)
class Step:
    """What :func:`step` returns: weights, momenta, and how many of both were clipped."""

    weights: NDArray[np.int64]
    momenta: NDArray[np.int64]
    clipped: int


def scaled(values: NDArray[np.int64], shift: int, width: int) -> NDArray[np.int64]:
    """``floor(values * 2 ** (PRESHIFT - shift))``, saturated to `width` bits."""
    low, high = limits(width)
    if shift >= PRESHIFT:
        shifted = values >> (shift - PRESHIFT)
    else:
        shifted = np.clip(values, low, high) << (PRESHIFT - shift)
    saturated: NDArray[np.int64] = np.clip(shifted, low, high)
    return saturated


def step(
    weights: NDArray[np.int64],
    momenta: NDArray[np.int64],
    sums: NDArray[np.int64],
    *,
    shift: int,
    momentum: int,
    decay: Coefficient,
    rate: Coefficient,
    width: int,
    noise: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Step:
    """Step once.

    Parameters
    ----------
    weights, momenta : NDArray[np.int64]
        Mantissas of `width` bits.
    sums : NDArray[np.int64]
        Gradients as the engines sum them.
    shift : int
        0 to 63: the sums are multiplied by ``2 ** (PRESHIFT - shift)``.
    momentum : int
        0 to 255, in 256ths.
    decay, rate : Coefficient
    width : int
        Bits of a weight and of a momentum.
    noise : pair of NDArray[np.int64], optional
        Random bytes for momenta and for weights: both round stochastically. Without, to nearest.
    """
    guarded = width + GUARD_BITS
    wide = momentum * momenta + scaled(sums, shift, guarded)
    wide = wide + scaled(decay.mantissa * weights, decay.shift, guarded)
    noises = noise or (None, None)
    momenta, lost_momenta = requantise(wide, NOISE_BITS, width, noises[0])
    wide = (weights << NOISE_BITS) - scaled(rate.mantissa * momenta, rate.shift, guarded)
    weights, lost_weights = requantise(wide, NOISE_BITS, width, noises[1])
    return Step(weights, momenta, lost_momenta + lost_weights)
