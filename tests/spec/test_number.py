# SPDX-License-Identifier: Apache-2.0
"""The arithmetic equals exact rational arithmetic."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from gcnloom_spec.number import (
    NOISE_BITS,
    envelope,
    exponent_for,
    limits,
    quantise,
    requantise,
    shift_for,
    wrap,
)

SHIFTS = (0, 1, 2, 7, 8, 9, 20, 40)


def _sums(seed, width=40, count=400):
    """Sums of every magnitude, with ties and limits at every shift."""
    rng = np.random.default_rng(seed)
    low, high = limits(width)
    magnitudes = rng.integers(0, width - 1, count)
    random = rng.integers(low, high, count) >> magnitudes
    ties = [(2 * k + 1) << max(0, shift - 1) for shift in SHIFTS for k in range(-5, 5)]
    edges = [0, 1, -1, low, high, low + 1, high - 1]
    return np.array([*random, *ties, *edges], dtype=np.int64)


def _clip(value, width):
    return min(max(value, -(2 ** (width - 1))), 2 ** (width - 1) - 1)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("width", [4, 8, 16])
def test_requantise_rounds_ties_to_even_and_saturates(shift, width):
    sums = _sums(shift * 100 + width)
    # Fraction rounds half to even, exactly.
    rounded = [round(Fraction(int(x), 2**shift)) for x in sums]
    expected = [_clip(x, width) for x in rounded]
    operands, saturations = requantise(sums, shift, width)
    assert operands.tolist() == expected
    assert saturations == sum(a != b for a, b in zip(rounded, expected, strict=True))


@pytest.mark.parametrize("shift", SHIFTS)
def test_stochastic_requantise_is_the_floor_of_the_exact_sum(shift):
    sums = _sums(shift + 7)
    noise = np.random.default_rng(shift).integers(0, 2**NOISE_BITS, sums.size)
    # Bits of noise below the last bit of the sum cannot exist when shift is small.
    finest = Fraction(1, 2**shift)
    expected = []
    for x, n in zip(sums.tolist(), noise.tolist(), strict=True):
        addend = floor(Fraction(n, 2**NOISE_BITS) / finest) * finest
        expected.append(_clip(floor(Fraction(x, 2**shift) + addend), 8))
    assert requantise(sums, shift, 8, noise)[0].tolist() == expected


def test_stochastic_rounding_is_unbiased_over_all_noise():
    noise = np.arange(2**NOISE_BITS)
    for x in (3, 100, -77, 1000, -1):
        operands, _ = requantise(np.full(noise.size, x), 8, 16, noise)
        assert Fraction(int(operands.sum()), 2**NOISE_BITS) == Fraction(x, 2**8)


@pytest.mark.parametrize("width", [4, 32, 40, 48])
def test_wrap_is_congruent_and_in_range(width):
    values = np.random.default_rng(width).integers(-(2**62), 2**62, 200)
    for value, wrapped in zip(values.tolist(), wrap(values, width).tolist(), strict=True):
        assert (value - wrapped) % 2**width == 0
        assert -(2 ** (width - 1)) <= wrapped < 2 ** (width - 1)


def test_shift_of_the_envelope_is_the_smallest_that_fits():
    rng = np.random.default_rng(5)
    for _ in range(200):
        sums = rng.integers(-(2**39), 2**39, 8) >> rng.integers(0, 39)
        for width in (4, 8, 16):
            low, high = limits(width)
            shift = shift_for(envelope(sums), width)
            assert all(low <= int(x) >> shift <= high for x in sums)
            if shift:
                assert not all(low <= int(x) >> (shift - 1) <= high for x in sums)


def test_envelope_of_nothing_and_of_both_signs():
    assert envelope(np.zeros(0, dtype=np.int64)) == 0
    assert envelope(np.array([-1])) == 0
    assert envelope(np.array([5, -9])) == 5 | 8


@pytest.mark.parametrize("width", [4, 8, 16])
def test_exponent_is_the_smallest_that_does_not_saturate(width):
    rng = np.random.default_rng(width)
    peaks = [1.0, 0.5, 127.4, 127.5, 127.6, 32767.5, 7.5, 7.49, *rng.lognormal(0, 20, 50)]
    for peak in peaks:
        values = np.array([peak, -peak / 3])
        exponent = exponent_for(values, width)
        high = 2 ** (width - 1) - 1
        assert round(Fraction(peak) / Fraction(2) ** exponent) <= high
        assert round(Fraction(peak) / Fraction(2) ** (exponent - 1)) > high
    assert exponent_for(np.zeros(3), width) == 0


def test_quantise_rounds_to_the_nearest_even_mantissa_and_saturates():
    values = np.random.default_rng(3).normal(0, 40, 300)
    values[:6] = [0.25, 0.75, -0.25, 1.25, 1e9, -1e9]
    expected = [_clip(round(Fraction(x) / Fraction(1, 2)), 8) for x in values.tolist()]
    assert quantise(values, -1, 8).tolist() == expected
