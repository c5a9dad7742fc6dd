# SPDX-License-Identifier: Apache-2.0
"""The arithmetic: quantise, wrap, requantise, saturate; one definition for every executor.

A tensor is signed integer mantissas of ``operand_width`` bits and one power-of-two exponent,
``value = mantissa * 2 ** exponent``. Products are exact. Sums wrap modulo ``2 ** sum_width``,
so that no order of addition can change a bit.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NOISE_BITS",
    "envelope",
    "exponent_for",
    "limits",
    "quantise",
    "requantise",
    "shift_for",
    "wrap",
]

NOISE_BITS = 8
"""Random bits added below the kept bits by stochastic rounding."""


def limits(width: int) -> tuple[int, int]:
    """Smallest and largest signed integer of `width` bits."""
    return -(1 << (width - 1)), (1 << (width - 1)) - 1


def wrap(values: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Reduce integers modulo ``2 ** width`` to the signed range."""
    sign = np.int64(1) << np.int64(width - 1)
    mask = (sign << np.int64(1)) - np.int64(1)
    return ((values & mask) ^ sign) - sign


def envelope(sums: NDArray[np.int64]) -> int:
    """Bitwise OR of ``x ^ (x >> sign)``: has the bit length of the largest magnitude.

    An OR costs hardware a tenth of a maximum and carries all that choosing a power-of-two
    shift needs: ``envelope(x).bit_length() + 1`` bits hold every `x` in two's complement.
    """
    if sums.size == 0:
        return 0
    return int(np.bitwise_or.reduce((sums ^ (sums >> 63)).ravel()))


def shift_for(peak: int, width: int) -> int:
    """Smallest right shift after which an :func:`envelope` of `peak` fits `width` bits."""
    return max(0, peak.bit_length() + 1 - width)


def requantise(
    sums: NDArray[np.int64], shift: int, width: int, noise: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], int]:
    """Shift right, round and saturate sums to operands.

    Parameters
    ----------
    sums : NDArray[np.int64]
        Sums, already wrapped to the sum width.
    shift : int
        Right shift, 0 or more.
    width : int
        Operand width in bits.
    noise : NDArray[np.int64], optional
        ``NOISE_BITS`` random bits for each sum: rounds stochastically,
        ``floor(sum / 2**shift + noise / 2**NOISE_BITS)``. Without it ties round to even.

    Returns
    -------
    operands : NDArray[np.int64]
    saturations : int
        How many results had to be clipped.
    """
    if shift == 0:
        addend: NDArray[np.int64] | int = 0
    elif noise is None:
        addend = ((1 << (shift - 1)) - 1) + ((sums >> shift) & 1)
    else:
        below = NOISE_BITS - shift
        addend = noise >> below if below > 0 else noise << -below
    rounded = (sums + addend) >> shift
    low, high = limits(width)
    clipped = np.clip(rounded, low, high)
    return clipped, int(np.count_nonzero(clipped != rounded))


def exponent_for(values: NDArray[np.floating], width: int) -> int:
    """Smallest exponent at which every value's rounded mantissa fits `width` bits."""
    peak = float(np.max(np.abs(values), initial=0.0))
    if peak == 0.0:
        return 0
    # frexp: peak = m * 2**e with 0.5 <= m < 1, so peak / 2**(e - (width - 1)) < 2**(width - 1).
    exponent = int(np.frexp(peak)[1]) - (width - 1)
    if np.rint(np.ldexp(peak, -exponent)) > limits(width)[1]:
        exponent += 1
    return exponent


def quantise(values: NDArray[np.floating], exponent: int, width: int) -> NDArray[np.int64]:
    """Round values to mantissas at `exponent`, ties to even, saturating."""
    low, high = limits(width)
    return np.clip(np.rint(np.ldexp(values.astype(np.float64), -exponent)), low, high).astype(
        np.int64
    )
