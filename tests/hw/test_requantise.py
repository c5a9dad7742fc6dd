# SPDX-License-Identifier: Apache-2.0
"""Requantisation in hardware against the contract's definition."""

import numpy as np
import pytest
from amaranth.sim import Simulator

from gcnloom_hw.arithmetic.requantise import Requantise
from gcnloom_spec.number import limits, requantise

WIDTHS = [(8, 32), (4, 32), (8, 36), (16, 48)]
# The definition has the noise of a larger shift in 64 bits no more.
LARGEST_SHIFTS = [(0, 63), (1, 55)]


def run(dut, cases):
    """Results of the component for (sum, shift, stochastic, noise, raw), one a cycle."""
    results = []

    async def bench(ctx):
        for cycle in range(len(cases) + dut.latency):
            if cycle >= dut.latency:
                results.append((ctx.get(dut.result), ctx.get(dut.clipped)))
            if cycle < len(cases):
                inputs = (dut.sum, dut.shift, dut.stochastic, dut.noise, dut.raw)
                for port, value in zip(inputs, cases[cycle], strict=True):
                    ctx.set(port, int(value))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def expected(case, width):
    total, shift, stochastic, noise, raw = case
    if raw:
        return int(total), 0
    bytes_ = np.array([noise]) if stochastic else None
    operands, clipped = requantise(np.array([total], dtype=np.int64), shift, width, bytes_)
    return int(operands[0]), clipped


def edge_cases(width, sum_width, shift, rng):
    """Sums next to every place where rounding or saturation changes its mind."""
    low, high = limits(width)
    floor, ceiling = limits(sum_width)
    unit = 1 << shift
    points = [
        floor,
        ceiling,
        0,
        low * unit,
        high * unit,
        *(int(point) * unit for point in rng.integers(low, high, 4)),
    ]
    points += [int(point) + unit // 2 for point in points]
    anywhere = rng.integers(floor, ceiling, 6) >> rng.integers(0, sum_width, 6)
    points += anywhere.tolist()
    near = [int(point) + offset for point in points for offset in (-1, 0, 1)]
    return [point for point in near if floor <= point <= ceiling]


@pytest.mark.parametrize(("width", "sum_width"), WIDTHS)
@pytest.mark.parametrize(("stochastic", "largest_shift"), LARGEST_SHIFTS)
def test_results_and_clipping_equal_the_definition_at_every_shift(
    width, sum_width, stochastic, largest_shift
):
    rng = np.random.default_rng(11)
    cases = [
        (total, shift, stochastic, int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)])), 0)
        for shift in range(largest_shift + 1)
        for total in edge_cases(width, sum_width, shift, rng)
    ]
    results = run(Requantise(operand_width=width, sum_width=sum_width), cases)
    for case, result in zip(cases, results, strict=True):
        assert result == expected(case, width), case


def test_shifts_and_modes_may_change_every_cycle():
    rng = np.random.default_rng(12)
    cases = []
    for _ in range(600):
        total = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(0, 32))
        raw = int(rng.integers(0, 4) == 0)
        shift = 0 if raw else int(rng.integers(0, 32))
        cases.append((total, shift, int(rng.integers(2)), int(rng.integers(256)), raw))
    results = run(Requantise(operand_width=8, sum_width=32), cases)
    assert results == [expected(case, 8) for case in cases]


@pytest.mark.parametrize(("width", "sum_width"), WIDTHS)
def test_the_compact_one_rounds_to_nearest_at_every_shift(width, sum_width):
    rng = np.random.default_rng(13)
    cases = [
        (total, shift, 0, 0, 0)
        for shift in range(64)
        for total in edge_cases(width, sum_width, shift, rng)
    ]
    cases += [(total, 0, 0, 0, 1) for total in edge_cases(width, sum_width, 9, rng)]
    results = run(Requantise(operand_width=width, sum_width=sum_width, compact=True), cases)
    for case, result in zip(cases, results, strict=True):
        assert result == expected(case, width), case
