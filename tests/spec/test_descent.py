# SPDX-License-Identifier: Apache-2.0
"""The weight step in integers equals exact arithmetic, and follows descent in floating point."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from gcnloom_spec.descent import GUARD_BITS, PRESHIFT, Coefficient, scaled, step
from gcnloom_spec.number import NOISE_BITS, limits
from gcnloom_spec.random import DROPOUT, ROUNDING, draw

NONE = Coefficient(0, 0)


def clip(value, width):
    low, high = limits(width)
    return min(max(value, low), high)


def nearest(value):
    """Ties go to the even one."""
    whole = floor(value)
    rest = value - whole
    return whole + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1))


def term(value, shift, width):
    return clip(floor(Fraction(value) * Fraction(2) ** (PRESHIFT - shift)), width + GUARD_BITS)


def one(weight, momentum, total, *, shift, beta, decay, rate, width, noise=None):
    """A step of one weight in exact arithmetic; also how many results were clipped."""
    wide = beta * momentum + term(total, shift, width)
    wide += term(decay.mantissa * weight, decay.shift, width)

    def rounded(wide, noise):
        exact = Fraction(wide, 1 << NOISE_BITS)
        if noise is None:
            return nearest(exact)
        return floor(exact + Fraction(int(noise), 1 << NOISE_BITS))

    noises = noise or (None, None)
    momenta = rounded(wide, noises[0])
    lost = momenta != clip(momenta, width)
    momenta = clip(momenta, width)
    weights = rounded(256 * weight - term(rate.mantissa * momenta, rate.shift, width), noises[1])
    return clip(weights, width), momenta, lost + (weights != clip(weights, width))


def coefficient(rng):
    return Coefficient(int(rng.integers(256)), int(rng.choice([0, 9, 16, 20, 30, 63])))


@pytest.mark.parametrize("width", [16, 24, 32])
@pytest.mark.parametrize("stochastic", [False, True])
def test_steps_equal_exact_arithmetic_at_every_magnitude(width, stochastic):
    rng = np.random.default_rng(width + stochastic)
    low, high = limits(width)
    for _ in range(60):
        weights, momenta = rng.integers(low, high, (2, 8), endpoint=True) >> rng.integers(
            0, width, (2, 8)
        )
        sums = rng.integers(-(1 << 47), 1 << 47, 8) >> rng.integers(0, 47, 8)
        noise = tuple(rng.integers(0, 256, (2, 8))) if stochastic else None
        keys = {"shift": int(rng.integers(64)), "width": width, "decay": coefficient(rng)}
        rate, beta = coefficient(rng), int(rng.integers(256))
        found = step(weights, momenta, sums, momentum=beta, rate=rate, noise=noise, **keys)
        expected = [
            one(
                int(weights[i]), int(momenta[i]), int(sums[i]), beta=beta, rate=rate,
                noise=noise and (noise[0][i], noise[1][i]), **keys,
            )
            for i in range(8)
        ]  # fmt: skip
        assert found.weights.tolist() == [each[0] for each in expected]
        assert found.momenta.tolist() == [each[1] for each in expected]
        assert found.clipped == sum(each[2] for each in expected)


@pytest.mark.parametrize("width", [16, 24, 32])
def test_many_steps_follow_descent_in_floating_point(width):
    """Momentum 0.9, decay and rate, on a quadratic: the same path within the mantissas' ends."""
    rng = np.random.default_rng(width)
    unit = 2.0 ** (2 - width)  # weights up to 2
    momentum_unit = 2.0 ** (6 - width)
    goal = rng.uniform(-1, 1, 50)
    real, speed = rng.uniform(-1, 1, 50), np.zeros(50)
    weights, momenta = np.rint(real / unit).astype(np.int64), np.zeros(50, dtype=np.int64)
    real = weights * unit
    beta, exponent = 230, -30
    decay = Coefficient.of(0.01 * unit / momentum_unit * 256)
    rate = Coefficient.of(0.05 * momentum_unit / unit * 256)
    shift = PRESHIFT - NOISE_BITS - round(np.log2(2.0**exponent / momentum_unit))
    for _ in range(60):
        sums = np.rint((weights * unit - goal) * 2.0**-exponent).astype(np.int64)
        found = step(
            weights, momenta, sums, shift=shift, momentum=beta, decay=decay, rate=rate, width=width
        )
        weights, momenta = found.weights, found.momenta
        assert not found.clipped
        speed = beta / 256 * speed + (real - goal) + decay.value / 256 * momentum_unit / unit * real
        real = real - rate.value / 256 * unit / momentum_unit * speed
    # Each step rounds twice; the quadratic forgets what is long ago.
    assert np.abs(weights * unit - real).max() < 40 * max(unit, 0.05 * momentum_unit)
    assert np.abs(real - goal).max() < 0.2


def test_stochastic_rounding_is_right_in_the_mean_over_steps():
    """A step far below a weight's last bit moves the mean of many draws by just that much."""
    rows, lanes = np.arange(64), 16
    weights = np.full((64, lanes), 1000, dtype=np.int64)
    sums = np.full((64, lanes), 37, dtype=np.int64)  # of 256ths of a momentum's last bit
    keys = {"shift": PRESHIFT, "momentum": 0, "decay": NONE, "width": 16}
    rate = Coefficient.of(100.0)  # 100 / 256 of a weight's last bit for a momentum of 1
    moved = []
    for seed in range(40):
        noise = tuple(
            draw(seed=seed, step=3, tensor=5, purpose=purpose, rows=rows, feature=8, count=lanes)
            for purpose in (DROPOUT, ROUNDING)
        )
        found = step(weights, 0 * weights, sums, rate=rate, noise=noise, **keys)
        moved.append((1000 - found.weights).mean())
    expected = 37 / 256 * 100 / 256
    assert abs(np.mean(moved) - expected) < 4 * np.std(moved) / np.sqrt(len(moved))
    assert np.std(moved) > 0
    nearest = step(weights, 0 * weights, sums, rate=rate, **keys)
    assert (nearest.weights == 1000).all()


def test_terms_saturate_and_are_never_wrapped():
    high = (1 << 47) - 1
    values = np.array([high, -high - 1, 5, -5, 0])
    assert scaled(values, 0, 26).tolist() == [2**25 - 1, -(2**25), 5 << 16, -5 << 16, 0]
    assert scaled(values, 63, 26).tolist() == [0, -1, 0, -1, 0]
    assert scaled(values, 38, 26).tolist() == [2**25 - 1, -(2**25), 0, -1, 0]


@pytest.mark.parametrize("seed", range(3))
def test_a_coefficient_is_within_its_error_of_any_value_in_range(seed):
    rng = np.random.default_rng(seed)
    values = 2.0 ** rng.uniform(-38, 23.9, 400)
    for value in [*values.tolist(), 1.0, 255.0, 255.5, 0.499, 2.0**23]:
        found = Coefficient.of(value)
        assert abs(found.value / value - 1) <= 2.0**-8
        assert 128 <= found.mantissa < 256
        assert 0 <= found.shift < 64
        assert Coefficient.of(found.value) == found


def test_a_coefficient_that_is_too_small_is_zero_and_one_too_large_is_refused():
    assert Coefficient.of(0.0).value == 0
    assert Coefficient.of(2.0**-48).value == 0
    for value in (-0.5, 2.0**24, 255.9 * 2.0**16):
        with pytest.raises(ValueError, match=r"factor .* is outside 0 to 1.67772e\+07"):
            Coefficient.of(value)
